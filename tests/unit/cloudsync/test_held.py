"""What is told of a recording that a call's record names. A failure calls one lost that may still come, or hides one that is."""

from dataclasses import asdict
from typing import Any

import pytest

from agent.status import SpoolStatus
from cloudsync.held import Held, Known, Named, as_json, may_come, named, names_of

CAME, LATER, SOON = "2026-11-21T09:00:00.000Z", "2026-11-21T10:00:00.000Z", "2026-11-21T09:59:59.000Z"
NOTHING_LEFT = {"spool": {"recordings_waiting": 0, "recordings_parked": 0}}


@pytest.mark.parametrize(
    ("kind", "body", "names"),
    [
        ("cdr", {"recordings": ["rec-a", "rec-b"]}, ["rec-a", "rec-b"]),
        ("cdr", {"recordings": ["rec-a", 7, "", None]}, ["rec-a"]),
        ("cdr", {"recordings": [f"rec-{n}" for n in range(300)]}, [f"rec-{n}" for n in range(200)]),
        ("cdr", {"recordings": []}, []),
        ("cdr", {"recordings": None}, []),
        ("cdr", {}, []),
        ("event", {"event": "voicemail", "recording": "rec-v"}, ["rec-v"]),
        ("event", {"event": "voicemail"}, []),
        ("event", {"event": "recording_given_up", "recording": "rec-g"}, []),
        ("stat", {"recordings": ["rec-a"]}, []),
    ],
)
def test_names_are_those_of_calls_and_of_messages(kind: str, body: dict[str, Any], names: list[str]) -> None:
    assert names_of({"kind": kind, "body": body}) == names


def test_what_is_here_and_what_was_given_up_stand_beside_each_other() -> None:
    here = [Known("r-1", Held.STORED), Known("r-2", Held.COMING)]
    found = named("r", here, ["r-2", "r-3"], expected=True)
    known = (Known("r-1", Held.STORED), Known("r-2", Held.COMING), Known("r-3", Held.GIVEN_UP))
    assert found == Named("r", (Held.STORED, Held.COMING, Held.GIVEN_UP), known)
    assert as_json([found])[0]["recordings"][2] == {"id": "r-3", "held": "given_up"}


@pytest.mark.parametrize(("expected", "held"), [(True, Held.EXPECTED), (False, Held.MISSING)])
def test_name_without_any_recording_says_why(expected: bool, held: Held) -> None:
    assert named("r", [], [], expected=expected) == Named("r", (held,))


def test_boxes_tell_what_is_asked_of_them() -> None:
    told = asdict(SpoolStatus(recordings_waiting=0, recordings_parked=0))
    assert not may_come(CAME, LATER, {"spool": told}, revoked=False)
    assert may_come(CAME, LATER, {"spool": told | {"recordings_parked": 2}}, revoked=False)


@pytest.mark.parametrize(
    ("seen_utc", "telemetry", "revoked", "may"),
    [
        (LATER, NOTHING_LEFT, False, False),
        (LATER, NOTHING_LEFT, True, False),
        (None, {}, True, False),
        (None, NOTHING_LEFT, False, True),
        (SOON, NOTHING_LEFT, False, True),
        (LATER, {"spool": {"recordings_waiting": 1, "recordings_parked": 0}}, False, True),
        (LATER, {"spool": {"recordings_waiting": 0, "recordings_parked": 1}}, False, True),
        (LATER, {"spool": {"recordings_waiting": 0}}, False, True),
        (LATER, {"spool": []}, False, True),
        (LATER, {}, False, True),
    ],
)
def test_box_may_bring_a_recording_until_it_says_an_hour_later_that_none_is_left(
    seen_utc: str | None, telemetry: dict[str, Any], revoked: bool, may: bool
) -> None:
    assert may_come(CAME, seen_utc, telemetry, revoked=revoked) is may
