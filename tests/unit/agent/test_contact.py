"""What the status says of a centre that cannot be talked to."""

from agent.cloud_errors import CloudRefused, busy, confused, unreachable, untrusted
from agent.contact import Contact, Failing, Failure, kind_of


def test_failures_are_counted_by_kind_and_forgotten_as_failing_when_one_succeeds() -> None:
    contact = Contact()
    contact.note("records", unreachable("u", "gone"), 10.0)
    contact.note("records", confused("u", "HTML"), 12.0)
    contact.note("heartbeat", unreachable("u", "gone"), 11.0)
    contact.note("heartbeat", None, 13.0)
    (failing,) = contact.failing
    assert failing == Failing(
        "records", Failure.CONFUSED, "u gave an answer that no centre gives: HTML", 10.0, 2
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
