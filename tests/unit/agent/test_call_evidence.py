"""What real calls say of an upstream: a cloud that answers probes and serves no calls must not look well."""

import pytest

from agent.call_evidence import ATTEMPTS_MAX, CallEvidence
from agent.evidence import Sighting
from agent.journal_events import JournalEvent, Kind, Moment

AT = Moment("boot", 0, 0)


def event(what: Kind, call: str = "a#1", /, **data: object) -> JournalEvent:
    return JournalEvent(1, call, what, AT, data)


def outcome(*events: JournalEvent) -> list[tuple[str, Sighting]]:
    seen = CallEvidence()
    return [found for one in events if (found := seen.take(one)) is not None]


CLOUD = event(Kind.STEP, index=0, kind="cloud", target="cloud")


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (event(Kind.STEP_END, outcome="no_life"), [("cloud", Sighting.CALL_SILENT)]),
        (event(Kind.STEP_END, outcome="overloaded"), [("cloud", Sighting.CALL_OVERLOADED)]),
        (event(Kind.STEP_END, outcome="busy"), [("cloud", Sighting.CALL_SERVED)]),
        (event(Kind.STEP_END, outcome="no_contact"), [("cloud", Sighting.CALL_SERVED)]),
        (event(Kind.ANSWER), [("cloud", Sighting.CALL_SERVED)]),
        (event(Kind.STEP_END, outcome="full"), []),
        (event(Kind.END, cause="originator_cancel"), []),
        (event(Kind.STEP_END, "other#2", outcome="no_life"), []),
    ],
    ids=lambda value: str(value)[:40],
)
def test_how_an_attempt_at_the_cloud_ended_is_evidence(
    end: JournalEvent, found: list[tuple[str, Sighting]]
) -> None:
    assert outcome(CLOUD, end) == found


def test_an_attempt_at_a_gateway_says_nothing_of_the_cloud() -> None:
    gateway = event(Kind.STEP, index=1, kind="gateway", target="gw1")
    assert outcome(CLOUD, gateway, event(Kind.STEP_END, outcome="no_life")) == []


def test_attempts_that_never_end_are_forgotten() -> None:
    seen = CallEvidence()
    for number in range(ATTEMPTS_MAX + 1):
        seen.take(event(Kind.STEP, f"{number}#", kind="cloud", target="cloud"))
    assert seen.take(event(Kind.ANSWER, "0#")) is None
    assert seen.take(event(Kind.ANSWER, "1#")) == ("cloud", Sighting.CALL_SERVED)
