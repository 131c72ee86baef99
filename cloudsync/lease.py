"""CORE. A lease that box and centre renew together, by which a cloned disk is noticed: two boxes with one identity.

The centre hands out a random lease, the box keeps it on disk and shows it with the next heartbeat. A box whose answer was
lost shows the one before. Of two boxes with one identity one renews, and the other then shows a lease that is neither.
"""

from dataclasses import dataclass
from enum import StrEnum

RENEW_S = 60
"""A lease is renewed after this time: two clones are told apart within two renewals, and a box syncs its disk once a minute."""


class Verdict(StrEnum):
    """KEEP: as it should be. RENEW: hand out a new one. FORKED: somebody else has renewed in this box's name."""

    KEEP = "keep"
    RENEW = "renew"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Lease:
    """What the centre holds. current, before: "" for none."""

    current: str = ""
    before: str = ""
    age_s: float = 0.0


def judge(held: Lease, shown: str) -> Verdict:
    """What to make of the lease that a box shows; "" when it has none."""
    if not held.current:
        return Verdict.RENEW
    if shown == held.current:
        return Verdict.RENEW if held.age_s >= RENEW_S else Verdict.KEEP
    return Verdict.RENEW if shown == held.before else Verdict.FORKED
