"""The ways in which a site loses its cloud, and how each is done to a lab and undone."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.lab.cloud import Cloud
from tests.lab.link import Link

LOSS_RATIO = 0.3
OVERLOADED = 503


@dataclass(frozen=True)
class Cut:
    """One way. do: does it, returns the moment (monotonic seconds). transport: how the box talks to the cloud.

    What the design promises: noticed_s, within which the box has to notice; worst_ms and median_ms, extra post-dial delay
    of the first call, ``None`` where only a connected call is promised."""

    name: str
    what: str
    do: Callable[[Link, Cloud], Awaitable[float]]
    transport: str = "udp"
    noticed_s: float = 3.0
    worst_ms: float | None = 1000.0
    median_ms: float | None = 700.0


async def _overloaded(link: Link, cloud: Cloud) -> float:
    await cloud.answer(OVERLOADED)
    return await link.restore()  # the line stays; this only tells the moment


CUTS = (
    Cut("drop", "everything vanishes, both ways", lambda link, _: link.cut("drop")),
    Cut("reject", "the router answers port unreachable", lambda link, _: link.cut("reject")),
    Cut(
        "half_open",
        "TCP connections stand, nothing passes (the box talks TCP to the cloud)",
        lambda link, _: link.half_open(),
        transport="tcp",
    ),
    Cut("one_way_up", "what the box sends vanishes", lambda link, _: link.cut("drop", "up")),
    Cut("one_way_down", "what the cloud sends vanishes", lambda link, _: link.cut("drop", "down")),
    Cut(
        "loss_30",
        "30 % of the packets vanish, each way",
        lambda link, _: link.loss(LOSS_RATIO),
        noticed_s=10.0,
        worst_ms=None,
        median_ms=None,
    ),
    Cut("answers_5xx", "the cloud answers 503 to everything", _overloaded),
    Cut(
        "carrier_gone", "the box's own interface is down: sending fails", lambda link, _: link.carrier_gone()
    ),
)


async def undo(link: Link, cloud: Cloud) -> float:
    """Everything is well again; returns the moment."""
    await cloud.well()
    return await link.restore()
