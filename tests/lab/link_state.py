"""What the link emulator is told: the state of the whole line, as one value that travels as JSON. Pure."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tests.lab.impair import Impairment


class Kind(StrEnum):
    """What happens to traffic in a direction that is cut."""

    OPEN = "open"
    DROP = "drop"
    """A black hole: datagrams vanish, TCP stalls, a new connection's SYN is not answered."""
    REJECT = "reject"
    """The router says no: ICMP port unreachable for datagrams, RST for TCP."""
    CLOSE = "close"
    """The far side's servers end: TCP connections get a FIN, new ones are refused, datagrams vanish."""
    HALF_OPEN = "half_open"
    """TCP stays or becomes established but nothing passes, datagrams vanish: a stale NAT or a dead middlebox."""


DIRECTIONS = ("up", "down")
"""``up`` is from the box to the cloud, ``down`` the other way."""


@dataclass(frozen=True)
class LineState:
    """Both directions at once; the default is a perfect line."""

    kind: Kind = Kind.OPEN
    cut: tuple[str, ...] = ()
    """The directions that ``kind`` applies to."""
    up: Impairment = field(default_factory=Impairment)
    down: Impairment = field(default_factory=Impairment)

    def __post_init__(self) -> None:
        """Refuse a direction that does not exist."""
        for direction in self.cut:
            if direction not in DIRECTIONS:
                raise ValueError(f"direction {direction!r}: must be one of {', '.join(DIRECTIONS)}")

    def blocks(self, direction: str) -> bool:
        """Whether nothing passes in ``direction``."""
        return direction in self.cut and self.kind is not Kind.OPEN

    def impairment(self, direction: str) -> Impairment:
        """The faults of ``direction``."""
        return self.up if direction == "up" else self.down

    def to_json(self) -> dict[str, Any]:
        """A value that ``json.dumps`` takes."""
        return {
            "kind": self.kind.value,
            "cut": list(self.cut),
            "up": asdict(self.up),
            "down": asdict(self.down),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "LineState":
        """The reverse of ``to_json``; raises ``ValueError`` or ``TypeError`` on anything else."""
        return cls(
            Kind(data["kind"]), tuple(data["cut"]), Impairment(**data["up"]), Impairment(**data["down"])
        )


def directions(name: str) -> tuple[str, ...]:
    """``both``, ``up`` or ``down`` as a tuple of directions; raises ``ValueError`` on another word."""
    if name == "both":
        return DIRECTIONS
    if name not in DIRECTIONS:
        raise ValueError(f"direction {name!r}: must be both, up or down")
    return (name,)
