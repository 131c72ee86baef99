"""ADAPTER. Asks the agent for its status over the Unix socket, and shows it live."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent.status_view import view
from appliance.errors import KyusaiError
from appliance.text import Lang, explain

ANSWER_S = 3.0
"""The agent answers in milliseconds; longer means that it hangs."""

LOOK_S = 0.5
"""Twice a second: a change of the link is seen as it happens."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        self.sock.connect(str(self._path))


def ask(path: Path) -> dict[str, Any]:
    """The agent's status. Raises `KyusaiError` "agent.silent", "agent.forbidden". Blocks for `ANSWER_S` at most."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/status")
        found = json.loads(connection.getresponse().read())
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except PermissionError as error:
        raise KyusaiError(
            "agent.forbidden",
            f"{path} is not open to this user",
            "Run the command as root, or as a member of the group kyusai.",
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
    return found


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
