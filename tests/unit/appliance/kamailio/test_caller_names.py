"""Names of callers from outside: shown as they are, whatever is in them, and to nobody but who is called."""

import pytest

from appliance.freeswitch.names import NAME_HEADER
from appliance.kamailio.call import begin
from appliance.kamailio.facts import DISPLAY_MAX, FROM_NAME, call_facts, digits_of, name_of
from appliance.kamailio.presentation import on_phone
from appliance.kamailio.request import CallFacts, Origin
from tests.helpers.site_view import site


def facts(origin: Origin, from_name: bytes = b"", **headers: str) -> CallFacts:
    told = {"$fU": "0312345678", FROM_NAME: from_name.hex()}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call_facts(
        origin, "gw1", lambda pv: told.get(pv, ""), lambda name: [named[name]] if name in named else []
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (b"Sato", "Sato"),
        (b'"Sato, Haruka"', "Sato, Haruka"),
        ('"佐藤 春香"'.encode(), "佐藤 春香"),
        ("佐藤".encode("cp932"), "佐藤"),
        (rb'"100%s%n ${hupall} <b> \"x\" \\ `id`"', '100%s%n ${hupall} <b> "x" \\ `id`'),
        (b'"Bob%0AEvent-Name: x"', "Bob%0AEvent-Name: x"),
        (b"\xff\xfe\x00\x1b[2J", "[2J"),
        (b"", ""),
        (b"x" * 1000, "x" * DISPLAY_MAX),
    ],
)
def test_a_name_is_shown_as_it_is_but_for_what_cannot_be_printed(given: bytes, name: str) -> None:
    found = facts(Origin.GATEWAY, given)
    shown = on_phone(begin(found, site()))
    assert (found.display, shown.user, shown.display) == (name, "0312345678", name)
    assert name_of(digits_of(name)) == name
    assert facts(Origin.MEDIA, b"other", **{NAME_HEADER: digits_of(name)}).display == name


def test_an_asserted_name_comes_before_the_one_in_from() -> None:
    both = facts(
        Origin.UPSTREAM, b"Anybody", P_Asserted_Identity='"Sato \\"H\\"" <sip:0612345678@cloud.example>'
    )
    assert both.display == 'Sato "H"'
    bare = facts(Origin.UPSTREAM, b"Sato", P_Asserted_Identity="<sip:0612345678@cloud.example>")
    assert bare.display == "Sato"


@pytest.mark.parametrize("origin", [Origin.PHONE, Origin.STRANGER])
def test_what_a_telephone_calls_itself_is_not_believed(origin: Origin) -> None:
    named = {"P_Asserted_Identity": '"Boss" <sip:201@x>', NAME_HEADER.replace("-", "_"): digits_of("Boss")}
    assert facts(origin, b"Boss", **named).display == ""


@pytest.mark.parametrize("digits", ["zz", "4", "'; drop", "${x}"])
def test_odd_digits_are_no_name(digits: str) -> None:
    assert facts(Origin.MEDIA, b"Boss", **{NAME_HEADER.replace("-", "_"): digits}).display == ""
