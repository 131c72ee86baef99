"""The controller's socket: HTTP with JSON over a Unix socket, for root and the box's own user. Adapter: gevent's server.

`GET /v1/status`, `GET /v1/calls`, `POST /v1/orders` (see `orders`); docs/control.md describes them. The kernel tells who asks.
"""

import json
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from appliance.errors import KyusaiError
from appliance.freeswitch import orders
from appliance.freeswitch.desk import Desk

BODY_MAX_BYTES = 8_192
"""An order has some hundred bytes."""

AT_ONCE_MAX = 64
"""Requests at once; more wait to be accepted. One that rings a telephone lasts a minute."""

REQUEST_S = 75.0
"""A connection that has not been served by then is closed: a telephone rings for 60 s."""

SOCKET_MODE = 0o660

Start = Callable[[str, list[tuple[str, str]]], object]

STATUS = {
    "control.no_call": "404 Not Found",
    "control.which_call": "409 Conflict",
    "freeswitch.silent": "503 Service Unavailable",
}
"""By an error's key; others are 400."""


class _Handler(WSGIHandler):  # type: ignore[misc]
    """Hands the kernel's word on who asks to the application, and reads no more than an order's bytes."""

    def get_environ(self) -> dict[str, Any]:
        """As in WSGI, with "kyusai.uid"."""
        environ: dict[str, Any] = super().get_environ()
        size = struct.calcsize("3i")
        found = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        environ["kyusai.uid"] = struct.unpack("3i", found)[1]
        return environ


class ControlHttp:
    """One server."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is opened yet."""
        self._desk = desk

    def serve(self, path: Path) -> WSGIServer:
        """Listen, replacing a socket that a killed controller left. Raises OSError."""
        path.unlink(missing_ok=True)
        from gevent import socket as green

        listener = green.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        listener.listen(AT_ONCE_MAX)
        server = WSGIServer(
            listener,
            self.application,
            spawn=Pool(AT_ONCE_MAX),
            log=None,
            error_log=None,
            handler_class=_Handler,
        )
        server.start()
        return server

    def application(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """WSGI."""
        status, answer = self._answer(environ)
        body = json.dumps(answer, ensure_ascii=False).encode()
        start(
            status,
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ],
        )
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, object]:
        if environ.get("kyusai.uid") not in (0, os.geteuid()):
            return "403 Forbidden", {"key": "control.forbidden", "message": "for root and the box's own user"}
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (method, path) == ("GET", "/v1/status"):
            return "200 OK", self._desk.status()
        if (method, path) == ("GET", "/v1/calls"):
            return "200 OK", {"calls": self._desk.calls()}
        if (method, path) != ("POST", "/v1/orders"):
            return "404 Not Found", {"key": "control.no_page", "message": "no such page"}
        try:
            order = orders.read(_body(environ))
            return "200 OK", self._desk.carry_out(order)
        except KyusaiError as error:
            told = {
                "key": error.key,
                "message": error.message,
                "hint": error.hint,
                "values": _plain(error.values),
            }
            return STATUS.get(error.key, "400 Bad Request"), told
        except Exception as error:  # an order with a bug must not stop the controller
            return "500 Internal Server Error", {"key": "control.bug", "message": type(error).__name__}


def _body(environ: dict[str, Any]) -> object:
    """The JSON value of a request; None for what is none or too long."""
    given = environ.get("CONTENT_LENGTH") or "0"
    if not str(given).isdigit() or int(given) > BODY_MAX_BYTES:
        return None
    try:
        return json.loads(environ["wsgi.input"].read(int(given)))
    except ValueError:
        return None


def _plain(values: Mapping[str, object]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in values.items()
    }
