"""Something that stands where the centre should be, with the centre's own certificate, and answers nonsense."""

import asyncio
import ssl

from cloudsync.layout import CentreLayout
from cloudsync.tls import ServerTls
from tests.lab.addresses import CENTRE_PORT
from tests.lab.lab import Lab


def answer(status: str, kind: str, body: bytes, length: int | None = None) -> bytes:
    """An HTTP answer; `length` is what it claims of its body."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


PAGE = b"<html><body>Please log in</body></html>"
ANSWERS: dict[str, bytes | None] = {
    "a login page": answer("200 OK", "text/html", PAGE),
    "half an answer": answer("200 OK", "application/json", b'{"results": [{"id": ', 400),
    "half a JSON": answer("200 OK", "application/json", b'{"results": [{"id": '),
    "401": answer("401 Unauthorized", "text/html", PAGE),
    "403": answer("403 Forbidden", "text/html", PAGE),
    "500": answer("500 Internal Server Error", "text/plain", b"Traceback"),
    "nothing": None,
}
"""What it may say; None: it takes the request and never says a word."""


class OddCentre:
    """In the place of a lab's centre, which must not run meanwhile. `say` changes what it answers."""

    def __init__(self, lab: Lab) -> None:
        self.say: bytes | None = None
        self.requests = 0
        self._at = (lab.addresses.centre, CENTRE_PORT)
        self._pem = ServerTls(CentreLayout(lab.centre.data).tls_dir).server_pem
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "OddCentre":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem)
        self._server = await asyncio.start_server(self._serve, *self._at, ssl=context)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            if self.say is None:
                await asyncio.Event().wait()
            else:
                writer.write(self.say)
                await writer.drain()
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            if not writer.is_closing():
                writer.transport.abort()
