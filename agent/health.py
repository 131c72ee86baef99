"""CORE. Whether a box is well after its configuration was switched. Time and figures are handed in.

Only what the switch can have caused counts: a Kamailio that did not answer before is not held against the new version,
and calls that an upstream refuses are not counted, only answers 500 that the box itself gave.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from agent.self_test import Answers, Broken, broken
from cloudsync.wire import Reason, reason_of

WATCH_S = 10.0
"""Watched for so long after a switch, and no newer version is taken meanwhile. Workers read the new snapshot with the
next request, so a fault shows at once on a busy site; on a quiet one the self-test calls are those requests."""

SAMPLE_S = 1.0
"""One look a second."""

SILENT_SAMPLES = 5
"""Kamailio silent for so many looks in a row: worse than one busy moment."""

SERVER_ERRORS_MAX = 10
"""Answers 500 of the box's own during the watch: the script fails on the new data."""

BROKEN_SAMPLES = 3
"""Self-test calls fail for so many looks in a row: a single lost datagram says nothing."""

REGISTERED_SHARE_MIN = 0.5
"""Fewer than this share of the contacts of before: phones are being turned away."""

REGISTERED_COUNTED_FROM = 10
"""Fewer contacts than this say nothing: two phones that were unplugged would be half of them."""


class Verdict(StrEnum):
    """What the watch says so far."""

    WAIT = "wait"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look. kamailio: it answered. registered: contacts. server_errors: its own 500 answers so far.
    None: not known. extensions: how many the version in use has. self_tests: what the self-test calls were answered."""

    kamailio: bool
    registered: int | None = None
    server_errors: int | None = None
    extensions: int = 0
    self_tests: Answers = field(default_factory=dict)


class HealthWatch:
    """The watch over one switch. before: vitals just before it. began_s: when it was made, monotonic seconds."""

    def __init__(self, before: Vitals, began_s: float) -> None:
        self._before = before
        self._began_s = began_s
        self._silent = 0
        self._broken = 0
        self.reasons: tuple[Reason, ...] = ()

    def look(self, vitals: Vitals, now_s: float) -> Verdict:
        """Take one look into account. With UNHEALTHY, `reasons` says why."""
        self._silent = 0 if vitals.kamailio else self._silent + 1
        lost = broken(self._before.self_tests, vitals.self_tests) if vitals.kamailio else []
        self._broken = self._broken + 1 if lost else 0
        self.reasons = tuple(self._complaints(vitals, lost))
        if self.reasons:
            return Verdict.UNHEALTHY
        return Verdict.HEALTHY if now_s - self._began_s >= WATCH_S else Verdict.WAIT

    def _complaints(self, now: Vitals, lost: list[Broken]) -> list[Reason]:
        found = []
        if self._before.kamailio and self._silent >= SILENT_SAMPLES:
            found.append(
                unwell(
                    "kamailio",
                    "Kamailio has not answered {count} times in a row since the switch",
                    count=self._silent,
                )
            )
        errors = _grown(self._before.server_errors, now.server_errors)
        if errors > SERVER_ERRORS_MAX:
            found.append(
                unwell(
                    "errors",
                    "{count} requests failed inside the box since the switch; at most {most} may",
                    count=errors,
                    most=SERVER_ERRORS_MAX,
                )
            )
        if self._broken >= BROKEN_SAMPLES:
            found += [
                unwell(
                    "call",
                    "calls find no way since the switch: {case}: {now} instead of {before}",
                    **one._asdict(),
                )
                for one in lost
            ]
        if self._phones_lost(now):
            found.append(
                unwell(
                    "contacts",
                    "{left} of {before} contacts are left since the switch; at least {share} must be",
                    left=now.registered,
                    before=self._before.registered,
                    share=f"{REGISTERED_SHARE_MIN:.0%}",
                )
            )
        return found

    def _phones_lost(self, now: Vitals) -> bool:
        if self._before.registered is None or now.registered is None:
            return False
        if now.extensions < self._before.extensions:  # fewer phones are what the document asks for
            return False
        counted = self._before.registered >= REGISTERED_COUNTED_FROM
        return counted and now.registered < REGISTERED_SHARE_MIN * self._before.registered


def unwell(name: str, template: str, **values: object) -> Reason:
    """A reason to go back; `template` is the English text of the catalogue's `unwell.<name>`."""
    return reason_of(template.format(**values), f"unwell.{name}", values)


def _grown(before: int | None, now: int | None) -> int:
    """Growth of a counter; one that began anew (Kamailio restarted) counts from zero."""
    if now is None:
        return 0
    return now - before if before is not None and now >= before else now
