"""ADAPTER. Asks the agent for its status over the Unix socket, shows it live, and carries orders to it."""

import http.client
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent.status_view import view
from appliance.errors import KyusaiError
from appliance.problems import Problem
from appliance.site import SiteInvalid
from appliance.text import Lang, explain

ANSWER_S = 3.0
"""The agent answers in milliseconds; longer means that it hangs."""

ORDER_S = 150.0
"""An order is answered when its fate is known; the agent gives up after `local_http.ACTION_S`."""

LOOK_S = 0.5
"""Twice a second: a change of the link is seen as it happens."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, limit_s: float) -> None:
        super().__init__("localhost", timeout=limit_s)
        self._path = path
        self._limit_s = limit_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._limit_s)
        self.sock.connect(str(self._path))


def ask(path: Path) -> dict[str, Any]:
    """The agent's status. Raises `KyusaiError` "agent.silent", "agent.forbidden". Blocks for `ANSWER_S` at most."""
    return _request(path, "GET", "/status", None, ANSWER_S)[1]


def order(path: Path, what: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What became of an order. Raises what `ask` raises, and the agent's own errors, a document's with all problems.
    Blocks for `ORDER_S` at most."""
    status, told = _request(path, "POST", what, json.dumps(value).encode(), ORDER_S)
    if status == 200:
        return told
    key, message = str(told.get("key", "agent.silent")), str(told.get("message", status))
    problems = told.get("problems") or ()
    if problems:
        raise SiteInvalid(
            tuple(
                Problem(one["path"], one["key"], one["message"], one["hint"], one["values"])
                for one in problems
            )
        )
    raise KyusaiError(key, message, str(told.get("hint", "")), **(told.get("values") or {}))


def _request(
    path: Path, method: str, what: str, body: bytes | None, limit_s: float
) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(path, limit_s)
    try:
        connection.request(method, what, body)
        answer = connection.getresponse()
        if answer.status == 403:
            raise PermissionError
        found = json.loads(answer.read())
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except PermissionError as error:
        raise KyusaiError(
            "agent.forbidden" if method == "GET" else "agent.root_only",
            f"{path} is not open to this user",
            "Run the command as root, or as a member of the group kyusai."
            if method == "GET"
            else "Run the command as root.",
            path=str(path),
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise KyusaiError(
            "agent.silent",
            f"the agent does not answer on {path}: {detail}",
            "Calls do not depend on it. Look at: systemctl status kyusai-agent",
            path=str(path),
            detail=detail,
        ) from error
    finally:
        connection.close()
    return answer.status, found


def watch(path: Path, lang: Lang, console: Console, looks: int | None = None) -> None:
    """Show the status until interrupted, or for so many looks. An agent that is away is shown as such."""
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while looks is None or looks > 0:
            try:
                shown = view(ask(path), lang)
            except KyusaiError as error:
                message, hint = explain(error, lang)
                shown = Text(f"{message}\n{hint}", "red")
            live.update(shown, refresh=True)
            looks = None if looks is None else looks - 1
            if looks != 0:
                time.sleep(LOOK_S)


def control_status(path: Path, within_s: float = ANSWER_S) -> dict[str, Any]:
    """How the controller fares. Raises `KyusaiError` "control.silent", "agent.root_only". Blocks for `within_s` at most."""
    return _controller(path, "GET", "/v1/status", None, within_s)


def control_calls(path: Path) -> list[dict[str, Any]]:
    """Legs of calls in applications. Raises as `control_status`."""
    return list(_controller(path, "GET", "/v1/calls", None, ANSWER_S)["calls"])


def control_order(path: Path, value: Mapping[str, Any]) -> dict[str, Any]:
    """What became of an order (`appliance.freeswitch.orders`). Raises as `control_status`, and the controller's own errors.
    Blocks for `ORDER_S` at most: a telephone may ring."""
    return _controller(path, "POST", "/v1/orders", json.dumps(value).encode(), ORDER_S)


def _controller(path: Path, method: str, what: str, body: bytes | None, limit_s: float) -> dict[str, Any]:
    try:
        status, told = _request(path, method, what, body, limit_s)
    except KyusaiError as error:
        if error.key != "agent.silent":
            raise
        raise KyusaiError(
            "control.silent",
            f"the controller does not answer on {path}: {error.values['detail']}",
            "Calls do not depend on it. Look at: systemctl status kyusai-control",
            **error.values,
        ) from error
    if status != 200:
        values = told.get("values") or {}
        raise KyusaiError(str(told.get("key")), str(told.get("message")), str(told.get("hint", "")), **values)
    return told
