"""A Kamailio and an rtpengine as children of the lab, and a client for Kamailio's JSON-RPC datagram socket."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.processes import Process

RPC_TIMEOUT_S = 2.0
RPC_BYTES = 1 << 18


class RpcFailed(RuntimeError):
    """Kamailio answered an RPC command with an error."""


class Rpc:
    """Asks one Kamailio. Path: its datagram socket; the answers come to a socket beside it."""

    _numbers = itertools.count(1)

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self.path = path

    async def call(self, method: str, *parameters: str | int) -> Any:
        """The command's result. Raises ``RpcFailed``, ``TimeoutError``, ``OSError`` when nobody listens."""
        number = next(self._numbers)
        own = self.path.with_name(f"rpc-{os.getpid()}-{number}")
        request = {"jsonrpc": "2.0", "method": method, "params": list(parameters), "id": number}
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.setblocking(False)
            sock.bind(str(own))
            try:
                sock.connect(str(self.path))
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, json.dumps(request).encode())
                async with asyncio.timeout(RPC_TIMEOUT_S):
                    answer = json.loads(await loop.sock_recv(sock, RPC_BYTES))
            finally:
                own.unlink()
        if "error" in answer:
            raise RpcFailed(f"{method} {parameters}: {answer['error']}")
        return answer.get("result")

    async def answers(self) -> bool:
        """Whether the server takes commands yet."""
        try:
            return bool(await self.call("core.version"))
        except (OSError, TimeoutError):
            return False


class Kamailio:
    """One Kamailio, started in the foreground by a given command line."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        folder: Path,
        rpc: Path,
        *,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """``rpc`` is the datagram socket that its configuration names."""
        self.rpc = Rpc(rpc)
        self.process = Process(name, argv, folder, env=env)

    async def start(self) -> None:
        """Start it and wait until it answers RPC (its SIP sockets are bound before)."""
        self.rpc.path.unlink(missing_ok=True)
        await self.process.start()
        await self.process.wait(self.rpc.answers, "answers RPC", 15)

    async def stop(self) -> None:
        """End it in order."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL to all of its processes."""
        await self.process.kill()


class RtpEngine:
    """One rtpengine in user space."""

    def __init__(self, name: str, folder: Path, ng: str, arguments: list[str]) -> None:
        """``ng`` is ``address:port`` of its control socket, ``arguments`` go to it as they are."""
        self._ng = ng
        self.process = Process(name, ["rtpengine", "-f", "-E", *arguments], folder)

    async def start(self) -> None:
        """Start it and wait until it answers a ping on its control socket."""
        await self.process.start()
        await self.process.wait(self._answers, "answers ng", 15)

    async def stop(self) -> None:
        """End it in order."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    async def _answers(self) -> bool:
        host, _, port = self._ng.rpartition(":")
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.setblocking(False)
            try:
                sock.connect((host, int(port)))
                sock.send(b"lab d7:command4:pinge")
                async with asyncio.timeout(0.3):
                    answer = await asyncio.get_running_loop().sock_recv(sock, 100)
            except (OSError, TimeoutError):
                return False
        return b"pong" in answer
