"""Guessing enrolment codes ends in waiting: failures are counted by source, for all processes of the centre."""

from cloudsync import attempts as rule
from cloudsync.refusals import Refused
from cloudsync.service.centre import Centre
from cloudsync.store import attempts
from cloudsync.wire import ErrorKey


def check(centre: Centre, source: str) -> None:
    """Raise Refused `enrol.too_many_attempts` (429) while the source has to wait."""
    with centre.database.read() as connection:
        failed = attempts.failures(connection, source)
    wait_s = rule.wait_s(failed, centre.clock().timestamp())
    if wait_s > 0:
        raise Refused(
            429,
            ErrorKey.TOO_MANY_ATTEMPTS,
            "too many failed enrolments from this address",
            f"Wait {wait_s:.0f} s.",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )


def failed(centre: Centre, source: str) -> None:
    """Count a failure."""
    now_s = centre.clock().timestamp()
    with centre.database.write() as connection:
        known = attempts.locked_failures(connection, source, now_s)
        attempts.put(connection, source, rule.with_failure(known, now_s))
        attempts.forget(connection, now_s - rule.WINDOW_S, rule.SOURCES_MAX)
