"""ADAPTER. systemd's readiness and watchdog protocol (sd_notify(3)): one datagram to the socket it names."""

import os
import socket
from collections.abc import Mapping

WATCHDOG_SHARE = 3
"""The watchdog is fed three times in its period: one late beat is no restart."""


def notify(state: str, env: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd, e.g. "READY=1", "WATCHDOG=1", "STOPPING=1"; False when nobody listens. Never raises."""
    path = env.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
            channel.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def watchdog_beat_s(env: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between beats, by `WATCHDOG_USEC`; None when systemd does not watch."""
    period = env.get("WATCHDOG_USEC", "")
    return int(period) / 1_000_000 / WATCHDOG_SHARE if period.isdigit() and int(period) else None
