"""uvicorn's HTTP/1.1 protocol, less patient: a connection has to bring its first request head within seconds.

uvicorn times idle connections only after their first answer; without this, whoever opens connections and says
nothing, or one byte a minute, keeps them for ever. Bodies are timed in `cloudsync.http.limits`.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

FIRST_REQUEST_S = 20.0
"""TLS is done before this starts; a head of 1 KiB needs one round trip, lost packets a few."""


class ImpatientProtocol(H11Protocol):
    """Closes a connection that has no request after FIRST_REQUEST_S."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(FIRST_REQUEST_S, self._give_up)

    def handle_events(self) -> None:
        """Stop the clock at the first request."""
        super().handle_events()
        if self._deadline is not None and self.cycle is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
