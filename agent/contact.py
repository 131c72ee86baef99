"""CORE. What became of the box's requests to the centre: counted by kind of failure, and what fails just now.

A failure lasts until the same sort of request succeeds. The words of a failure may come from whatever answered in the
centre's place: only `Failing.kind` is a fixed word, and fit for a label.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.cloud_errors import CloudBusy, CloudConfused, CloudError, CloudRefused, CloudUntrusted


class Failure(StrEnum):
    """Kinds of failure, as `cloud_errors` tells them apart."""

    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    CONFUSED = "confused"
    BUSY = "busy"
    REFUSED = "refused"


HELD = "config"
"""The requests that the centre holds: a good one is not answered for most of a minute."""
MESSAGE_CHARACTERS = 300
"""Kept of a failure's words."""


@dataclass(frozen=True, slots=True)
class Failing:
    """One sort of request that fails. since_s: monotonic time of its first failure in a row; count: failures in a row.
    key, values: to say `message` in another language."""

    task: str
    kind: Failure
    message: str
    since_s: float
    count: int
    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


class Contact:
    """The record of one agent's requests. counts: (task, kind) -> failures since the agent started."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Failure]] = Counter()
        self._failing: dict[str, Failing] = {}

    def note(self, task: str, error: CloudError | None, now_s: float) -> None:
        """A request of `task` has succeeded (None) or failed. One that got through shows that a held one has a centre again."""
        if error is None:
            self._failing.pop(task, None)
            if HELD in self._failing and self._failing[HELD].kind is Failure.UNREACHABLE:
                del self._failing[HELD]
            return
        kind = kind_of(error)
        self.counts[task, kind] += 1
        before = self._failing.get(task)
        since_s, count = (before.since_s, before.count) if before else (now_s, 0)
        values = {name: str(value)[:MESSAGE_CHARACTERS] for name, value in error.values.items()}
        self._failing[task] = Failing(
            task, kind, error.message[:MESSAGE_CHARACTERS], since_s, count + 1, error.key, values
        )

    @property
    def failing(self) -> tuple[Failing, ...]:
        """What fails just now, longest first."""
        return tuple(sorted(self._failing.values(), key=lambda failing: failing.since_s))


_KINDS = {
    CloudUntrusted: Failure.UNTRUSTED,
    CloudConfused: Failure.CONFUSED,
    CloudBusy: Failure.BUSY,
    CloudRefused: Failure.REFUSED,
}


def kind_of(error: CloudError) -> Failure:
    """Which kind an error is of."""
    return next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), Failure.UNREACHABLE)
