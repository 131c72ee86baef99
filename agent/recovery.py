"""Renews the phones' registrations upstream after a failback, paced. CORE pacing, and the task that asks Kamailio.

A cloud that comes back from an outage is not to be greeted by all phones of all sites at once: each site spreads its
renewals over a span that grows with their number, from a start that differs from box to box. Phones notice nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agent.kamailio_rpc import KamailioRpc
from agent.logs import Logger
from appliance.site import Site

RENEWALS_PER_S = 20.0
"""Renewals a second from one site: 200 phones in 10 s; a hundred sites of that size ask for 2,000 a second together,
half of what one Kamailio took in the measurement."""

START_SPREAD_S = 5.0
"""Sites begin at different moments within this span, so that a cloud that returns is not hit in one instant."""


@dataclass(slots=True)
class Pace:
    """How many of `total` renewals are due. began_s: monotonic seconds; jitter: 0..1, of this box, at random."""

    total: int
    began_s: float
    jitter: float = 0.0
    per_s: float = RENEWALS_PER_S
    given: int = 0

    def due(self, now_s: float) -> int:
        """Renewals that are due now and have not been given out yet; they count as given."""
        running_s = now_s - self.began_s - self.jitter * START_SPREAD_S
        allowed = 0 if running_s < 0 else min(self.total, 1 + int(running_s * self.per_s))
        due = max(0, allowed - self.given)
        self.given += due
        return due

    @property
    def done(self) -> bool:
        """All have been given out."""
        return self.given >= self.total

    @property
    def span_s(self) -> float:
        """How long it takes from the first to the last."""
        return max(0, self.total - 1) / self.per_s


class Recovery:
    """Renews registrations upstream when asked to. site: the one in use, None before the first."""

    def __init__(self, rpc: KamailioRpc, log: Logger, now_s: Callable[[], float]) -> None:
        self._rpc = rpc
        self._log = log
        self._now_s = now_s
        self._asked: set[str] = set()
        self._news = asyncio.Event()
        self.site: Site | None = None
        self.renewed = 0

    def ask(self, upstream_id: str) -> None:
        """An upstream is back."""
        self._asked.add(upstream_id)
        self._news.set()

    async def keep(self) -> None:
        """Serve what is asked, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            asked, self._asked = self._asked, set()
            for upstream_id in sorted(asked):
                self._log.info("renewing", upstream=upstream_id)
