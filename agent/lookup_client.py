"""Asks what an HTTP node of a flow wants to know. Adapter: httpx, DNS.

The address is looked up first and judged, and the connection goes to that address: a name cannot lead elsewhere between the two.
Redirects are not followed, the environment's proxies not used.
"""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import IPPROTO_TCP, getaddrinfo

import httpx

from agent import lookup_secrets
from appliance.freeswitch import lookup
from appliance.freeswitch.flow import Lookup
from appliance.freeswitch.lookup import ANSWER_BYTES_MAX, Failed

AT_ONCE_MAX = 20
"""Look-ups at the same time; another one fails at once, and its caller goes on."""

RESOLVERS = 4
"""Threads of its own: a dead DNS must not hold those that write to the disk."""


class LookupClient:
    """One per agent. secrets: folder with one file each. trust: certificates beside the system's, where the file exists."""

    def __init__(self, secrets: Path, trust: Path) -> None:
        self._secrets = secrets
        self._trust = trust
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._resolvers = ThreadPoolExecutor(RESOLVERS, "lookup-dns")
        self._context: tuple[float, ssl.SSLContext] | None = None

    async def ask(self, wanted: Lookup, known: Mapping[str, str]) -> dict[str, str]:
        """Variables that the answer sets. Raises `Failed` for whatever goes wrong, within the document's time."""
        if self._slots.locked():
            raise Failed(f"{AT_ONCE_MAX} look-ups are under way")
        async with self._slots:
            try:
                async with asyncio.timeout(wanted.time_ms / 1000):
                    return await self._ask(wanted, known)
            except TimeoutError:
                raise Failed(f"no answer within {wanted.time_ms} ms") from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise Failed(f"{type(error).__name__}: {error}"[:200]) from None

    def close(self) -> None:
        """Let go of the threads."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, wanted: Lookup, known: Mapping[str, str]) -> dict[str, str]:
        sent = lookup.request(wanted, known)
        host, port = lookup.where(wanted.url)
        address = await self._address(host, port, wanted.private)
        shown = f"[{address}]" if ":" in address else address
        url = httpx.URL(sent.url).copy_with(host=shown, port=port)
        headers = {"Host": host if port == 443 else f"{host}:{port}", "Accept": "application/json"}
        if wanted.secret:
            headers["Authorization"] = await asyncio.to_thread(self._secret, wanted.secret)
        if sent.body:
            headers["Content-Type"] = "application/json"
        context = await asyncio.to_thread(self._tls)
        async with (
            httpx.AsyncClient(verify=context, trust_env=False, timeout=wanted.time_ms / 1000) as client,
            client.stream(
                sent.method,
                url,
                headers=headers,
                content=sent.body or None,
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise Failed(f"more than {ANSWER_BYTES_MAX} bytes")
            return lookup.noted(wanted, answer.status_code, body)

    async def _address(self, host: str, port: int, private: bool) -> str:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._resolvers, lambda: getaddrinfo(host, port, proto=IPPROTO_TCP))
        found = lookup.allowed((str(row[4][0]) for row in rows), private)
        if not found:
            raise Failed(f"{host} has no address that the document allows")
        return found[0]

    def _secret(self, name: str) -> str:
        found = lookup_secrets.read(self._secrets, name)
        if not found:
            raise Failed(f"the box has no secret {name}")
        return found

    def _tls(self) -> ssl.SSLContext:
        """Made anew when the box's own list of certificates has changed."""
        try:
            stamp = self._trust.stat().st_mtime
        except OSError:
            stamp = 0.0
        if self._context is None or self._context[0] != stamp:
            context = ssl.create_default_context()
            if stamp:
                context.load_verify_locations(self._trust)
            self._context = (stamp, context)
        return self._context[1]
