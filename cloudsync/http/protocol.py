"""uvicorn's HTTP/1.1 protocol (httptools), less patient: a request head has to be whole within seconds, and small.

uvicorn times idle connections only after their first answer, and its httptools protocol takes a head of any length; without
this, whoever opens connections and says nothing, one byte a minute or headers without end keeps them for ever. Bodies are
timed in `cloudsync.http.limits`.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 20.0
"""TLS is done before this starts; a head of 1 KiB needs one round trip, lost packets a few."""
HEAD_BYTES_MAX = 16 * 1024
"""A request head that is not whole after so much; a box sends below 1 KiB."""


class ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request head does not become whole within HEAD_S, or is above HEAD_BYTES_MAX."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is still not whole then has its limits."""
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The request head is too large.")
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The head is whole: stop the clock."""
        self._in_head = False
        self._stop_clock()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._in_head = False
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
