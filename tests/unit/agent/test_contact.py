"""What the status says of a centre that cannot be talked to."""

import json
from dataclasses import asdict

import pytest

from agent.cloud_errors import CloudRefused, busy, confused, unreachable, untrusted
from agent.contact import Contact, Failing, Failure, kind_of
from agent.status import centre_status
from agent.status_view import _troubles
from appliance.text import Lang


def test_failures_are_counted_by_kind_and_forgotten_as_failing_when_one_succeeds() -> None:
    contact = Contact()
    contact.note("records", unreachable("u", "gone"), 10.0)
    contact.note("records", confused("u", "HTML"), 12.0)
    contact.note("heartbeat", unreachable("u", "gone"), 11.0)
    contact.note("heartbeat", None, 13.0)
    (failing,) = contact.failing
    assert failing == Failing(
        "records",
        Failure.CONFUSED,
        "u gave an answer that no centre gives: HTML",
        10.0,
        2,
        "cloud.confused",
        {"url": "u", "detail": "HTML"},
    )
    contact.note("records", None, 14.0)
    assert contact.failing == ()
    assert contact.counts == {
        ("records", Failure.UNREACHABLE): 1,
        ("records", Failure.CONFUSED): 1,
        ("heartbeat", Failure.UNREACHABLE): 1,
    }


def test_every_error_has_a_kind_of_its_own() -> None:
    errors = [
        unreachable("u", ""),
        untrusted("u", ""),
        confused("u", ""),
        busy("u", 503, 0.0),
        CloudRefused(403, "box.revoked", "no"),
    ]
    assert [kind_of(error) for error in errors] == list(Failure)


def test_a_poll_that_is_held_again_is_no_centre_out_of_reach() -> None:
    contact = Contact()
    contact.note("config", unreachable("u", "gone"), 10.0)
    contact.note("recordings", unreachable("u", "gone"), 11.0)
    contact.note("heartbeat", None, 12.0)
    assert [one.task for one in contact.failing] == ["recordings"], "those are answered at once, or fail"
    contact.note("config", confused("u", "HTML"), 13.0)
    contact.note("heartbeat", None, 14.0)
    assert [one.task for one in contact.failing] == ["recordings", "config"]


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "no connection to the centre https://c: cut"),
        ("ja", "センター https://c に接続できません: cut"),
    ],
)
def test_the_status_says_in_the_readers_language_why_the_centre_is_away(lang: Lang, words: str) -> None:
    contact = Contact()
    contact.note("records", unreachable("https://c", "cut"), 10.0)
    served = json.loads(json.dumps(asdict(centre_status(contact, 12.0))))
    status = {"tasks": {}, "centre": served, "recording_allowed": True, "spool": {"parked": 0}}
    lines = _troubles({**status, "config": {"problems": []}}, lang)
    assert [words in str(line) for line in lines] == [True]
