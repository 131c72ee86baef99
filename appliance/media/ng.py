"""ADAPTER of rtpengine's ng protocol: bencoded commands over UDP, each with a cookie and a time-out."""

import secrets
import socket
from typing import Any

TIMEOUT_S = 1.0
"""rtpengine answers in under a millisecond on the same machine; a second means that it is not there."""


class RtpengineSilent(Exception):
    """rtpengine did not answer, or not with what the protocol promises."""


class NgClient:
    """Asks one rtpengine. address: "127.0.0.1:2223"."""

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._timeout_s = timeout_s

    def command(self, name: str, **arguments: str | int) -> dict[str, Any]:
        """The answer to one command. Raises RtpengineSilent. Blocks for `timeout_s` at most."""
        cookie = secrets.token_hex(8).encode()
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.settimeout(self._timeout_s)
            try:
                line.connect(self._target)
                fields = {"command": name} | {
                    key.replace("_", "-"): value for key, value in arguments.items()
                }
                line.send(cookie + b" " + encode(fields))
                while True:
                    got, _, body = line.recv(65535).partition(b" ")
                    if got == cookie:
                        break
                answer, _ = decode(body)
            except (OSError, ValueError, IndexError) as error:
                raise RtpengineSilent(f"rtpengine at {self._target[0]}:{self._target[1]}: {error}") from error
        if not isinstance(answer, dict):
            raise RtpengineSilent("rtpengine answered something other than a dictionary")
        return answer

    def knows(self, call_id: str) -> bool:
        """True while rtpengine holds the call. Raises RtpengineSilent."""
        return self.command("query", call_id=call_id).get("result") == "ok"

    def calls(self, limit: int) -> list[str]:
        """Call-IDs of at most `limit` calls that rtpengine holds. Raises RtpengineSilent."""
        found = self.command("list", limit=limit).get("calls")
        return [str(call_id) for call_id in found] if isinstance(found, list) else []

    def stop_recording(self, call_id: str) -> None:
        """End a call's capture; its audio goes on. What is captured is finished. Raises RtpengineSilent."""
        self.command("stop recording", call_id=call_id)


def encode(value: object) -> bytes:
    """Bencoding of strings, integers, lists and dictionaries."""
    if isinstance(value, dict):
        return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(encode(item) for item in value) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    raw = str(value).encode("utf-8", "surrogateescape")
    return b"%d:%s" % (len(raw), raw)


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value at `at` and the offset behind it; strings as text. Raises ValueError or IndexError on anything else."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"d", b"l"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = decode(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if kind == b"d" else items), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise ValueError("a string is cut off")
    return data[colon + 1 : end].decode("utf-8", "surrogateescape"), end
