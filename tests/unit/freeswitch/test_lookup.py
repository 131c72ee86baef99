"""A look-up's request and what its answer means."""

import json

import pytest

from appliance.freeswitch import lookup
from appliance.freeswitch.flow import Lookup
from appliance.freeswitch.lookup import Failed, Request

GET = Lookup("https://crm.example/a?site=1", send=(("tel", "caller"), ("id", "typed")))
HOSTILE = "1&x=2#\r\nHost: evil/../${api(x)}%0A\"'<é"


def test_a_caller_s_value_is_percent_encoded_and_nothing_else() -> None:
    found = lookup.request(GET, {"caller": HOSTILE})
    assert found.url == (
        "https://crm.example/a?site=1&tel=1%26x%3D2%23Host%3A%20evil%2F..%2F%24%7Bapi%28x%29%7D%250A%22%27%3C%C3%A9&id="
    )


def test_post_sends_an_object() -> None:
    found = lookup.request(
        Lookup("https://crm.example/a", "POST", GET.send), {"caller": HOSTILE, "typed": "7"}
    )
    assert (found.method, found.url) == ("POST", "https://crm.example/a")
    assert json.loads(found.body) == {"tel": HOSTILE.replace("\r\n", ""), "id": "7"}


def test_nothing_to_send_leaves_the_url_as_it_is() -> None:
    assert lookup.request(Lookup("https://crm.example/a"), {}) == Request("GET", "https://crm.example/a", "")


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.0.9", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - an address that is refused
        ("::ffff:127.0.0.1", False, True),
    ],
)
def test_only_addresses_that_the_document_allows_are_asked(address: str, public: bool, private: bool) -> None:
    assert (bool(lookup.allowed([address], False)), bool(lookup.allowed([address], True))) == (
        public,
        private,
    )


FIELDS = Lookup(
    "https://crm.example/a",
    fields=(("level", "customer.level"), ("first", "numbers.0"), ("none", "customer.x.y"), ("vip", "vip")),
)


@pytest.mark.parametrize(
    ("answer", "noted"),
    [
        (
            {"customer": {"level": "gold"}, "numbers": [201, 202], "vip": True},
            {"level": "gold", "first": "201", "none": "", "vip": "true"},
        ),
        ([], {"level": "", "first": "", "none": "", "vip": ""}),
        (
            {"customer": {"level": "a b\n${x}%0A;佐"}, "numbers": {"0": {}}, "vip": None},
            {"level": "a_b___x__0A__", "first": "", "none": "", "vip": ""},
        ),
        ({"vip": "9" * 100}, {"level": "", "first": "", "none": "", "vip": "9" * 64}),
    ],
)
def test_fields_of_the_answer_become_variables(answer: object, noted: dict[str, str]) -> None:
    assert lookup.noted(FIELDS, 200, json.dumps(answer).encode()) == noted


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (302, b"{}"),
        (500, b"{}"),
        (204, b""),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b'"' + b"x" * 70_000 + b'"'),
    ],
)
def test_everything_else_fails(status: int, body: bytes) -> None:
    with pytest.raises(Failed):
        lookup.noted(FIELDS, status, body)
