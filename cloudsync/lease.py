"""CORE. A lease that box and centre renew together, by which a cloned disk is noticed: two boxes with one identity.

The centre hands out a random lease, the box keeps it on disk and shows it with the next heartbeat. A box whose answer was
lost shows the one before. Of two boxes with one identity one renews, and the other then shows a lease that is neither.

Leases of a box count upwards. One that is above the centre's own was handed out by a centre that has since been set back, as
by restoring a backup: then it is the centre that forgot, and no box is a copy. Who makes up a number hides nothing by it: the
box that was there is found out in his place, with both addresses.
"""

import binascii
from dataclasses import dataclass
from enum import StrEnum

NUMBER_BYTES = 8
"""At the beginning of a lease."""
CHANCE_BYTES = 16
"""Random ones behind it. Leases of older releases are these alone."""
NUMBER_MAX = 2**63
"""Above it a number was made up: a renewal a minute takes seventeen billion years."""
RENEW_S = 60
"""A lease is renewed after this time: two clones are told apart within two renewals, and a box syncs its disk once a minute."""


class Verdict(StrEnum):
    """KEEP: as it should be. RENEW: hand out a new one. FORKED: somebody else has renewed in this box's name."""

    KEEP = "keep"
    RENEW = "renew"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Lease:
    """What the centre holds. current, before: "" for none. age_s: below 0 it was handed out by a clock that was ahead."""

    current: str = ""
    before: str = ""
    age_s: float = 0.0


def judge(held: Lease, shown: str) -> Verdict:
    """What to make of the lease that a box shows; "" when it has none."""
    if not held.current:
        return Verdict.RENEW
    if shown == held.current:
        return Verdict.KEEP if 0 <= held.age_s < RENEW_S else Verdict.RENEW
    known = shown == held.before or number_of(shown) > number_of(held.current)
    return Verdict.RENEW if known else Verdict.FORKED


def number_of(lease: str) -> int:
    """Which of its box's leases it is; 0 for one of an older release and for what is none."""
    try:
        decoded = binascii.a2b_base64(lease, strict_mode=True)
    except ValueError:
        return 0
    number = int.from_bytes(decoded[:NUMBER_BYTES]) if len(decoded) == NUMBER_BYTES + CHANCE_BYTES else 0
    return number if number < NUMBER_MAX else 0


def renewed(held: Lease, shown: str, chance: bytes) -> str:
    """The next lease: above what the centre handed out and what the box shows. chance: CHANCE_BYTES random ones."""
    number = max(number_of(held.current), number_of(shown)) + 1
    return binascii.b2a_base64(number.to_bytes(NUMBER_BYTES) + chance, newline=False).decode()
