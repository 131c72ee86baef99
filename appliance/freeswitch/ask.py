"""One command to FreeSWITCH over its event socket, and its answer. Adapter: asyncio's sockets, a connection for each command.

For those who ask now and then (the agent after a switch of versions, a person at the terminal); the controller keeps a
connection of its own (`esl`). Every step has a time limit, and whatever goes wrong is one error.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from appliance.errors import KyusaiError
from appliance.freeswitch.quoting import command

REPLY_S = 5.0
"""For a whole exchange: FreeSWITCH answers within milliseconds, `reloadxml` of a large site within half a second."""

ANSWER_BYTES_MAX = 4 * 1024 * 1024


class FreeSwitchSilent(KyusaiError):
    """FreeSWITCH does not answer, or not as it should."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "freeswitch.silent",
            f"FreeSWITCH does not answer on its event socket: {detail}",
            "Look at kyusai-freeswitch.service; calls that need no application go on.",
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where a box's event socket is, and its password."""

    host: str
    port: int
    password: str


async def ask(address: Address, name: str, *arguments: str, within_s: float = REPLY_S) -> str:
    """What FreeSWITCH answers to an API command. name, arguments: see `quoting.command`. Raises `FreeSwitchSilent`,
    `KyusaiError` "freeswitch.argument"."""
    line = command(name, *arguments)
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                await _expect(reader, "auth/request")
                await _said(writer, f"auth {address.password}")
                if not (await _expect(reader, "command/reply")).get("reply-text", "").startswith("+OK"):
                    raise FreeSwitchSilent("it refuses the box's password")
                await _said(writer, f"api {line}")
                answer = await _expect(reader, "api/response")
                return answer["body"]
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        raise FreeSwitchSilent(f"nothing within {within_s:g} s") from None
    except (OSError, EOFError, ValueError) as error:
        raise FreeSwitchSilent(str(error) or type(error).__name__) from error


async def _said(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\n\n".encode())
    await writer.drain()


async def _expect(reader: asyncio.StreamReader, kind: str) -> dict[str, str]:
    """The next block; raises `FreeSwitchSilent` for one of another kind. Its body is under "body"."""
    block: dict[str, str] = {}
    while line := (await reader.readuntil(b"\n")).strip():
        name, _, value = line.decode("utf-8", "replace").partition(":")
        block[name.strip().lower()] = value.strip()
    length = int(block.get("content-length", "0"))
    if not 0 <= length <= ANSWER_BYTES_MAX:
        raise FreeSwitchSilent(f"an answer of {length} bytes")
    block["body"] = (await reader.readexactly(length)).decode("utf-8", "replace")
    if block.get("content-type") != kind:
        raise FreeSwitchSilent(f"it said {block.get('content-type', 'nothing')!r} instead of {kind!r}")
    return block
