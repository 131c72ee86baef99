"""ADAPTER for httpx: one request to the centre, its answer or a typed error. Decides nothing, keeps no state.

Only the pinned CA is trusted. No proxy settings of the environment, no redirects: the box talks to one literal
address. Every request has a deadline as a whole, so that a server that drips bytes cannot hold it for ever, and every
answer a size limit.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from agent.bulk_line import BulkLine, options
from agent.cloud_errors import CloudError, CloudRefused, busy, confused, unreachable, untrusted
from agent.slices import Sliced
from cloudsync.wire import JSON_BYTES_MAX, WireError, parse_json

CONNECT_S = 5.0
"""Three SYNs on a line with seconds of delay; beyond that the line is as good as down."""
DEADLINE_S = 60.0
"""A whole request: 2 MiB of records at 300 kbit/s."""
ANSWER_BYTES_MAX = JSON_BYTES_MAX
"""Answers other than a site document are small."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h), which the module ssl has no name for. A box that comes up with a clock that
is years ahead would take the centre's certificate for expired and never learn the time; what it trusts is one pinned CA."""
RETRY_AFTER_MAX_S = 600.0
"""A longer wish is not followed: a clock or a proxy may be wrong."""

_CLOSED = "without sending a response"
"""How httpx says that the connection was closed before an answer began: a restart over there, not nonsense."""

Method = Literal["GET", "HEAD", "POST", "PATCH", "PUT"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def pinned(ca_pem: str) -> ssl.SSLContext:
    """Trust this CA and nothing else. Raises ssl.SSLError for what is no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    context.verify_flags |= NO_CHECK_TIME
    return context


def unverified() -> ssl.SSLContext:
    """Trust anybody: only to fetch the CA, whose fingerprint is checked before anything secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Transport:
    """Keep-alive connections to one centre. url: `https://` and a literal address. connections: at once, at most.

    bulk: for connections that carry recordings; learns of each, and they are opened as `bulk_line` says."""

    def __init__(
        self, url: str, context: ssl.SSLContext, *, connections: int = 8, bulk: BulkLine | None = None
    ) -> None:
        self.url = url.rstrip("/")
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._extensions = {"trace": bulk.trace} if bulk else {}
        self._client = httpx.AsyncClient(
            base_url=self.url,
            transport=httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=limits,
                socket_options=options(self.url) if bulk else None,
            ),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(DEADLINE_S, connect=CONNECT_S, pool=None),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "kyusai"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def request(
        self,
        method: Method,
        path: str,
        *,
        content: bytes | Sliced | None = None,
        headers: dict[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
        limit_bytes: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """The centre's 2xx answer. A `Sliced` body is sent as its pace allows.

        Raises CloudUnreachable, CloudUntrusted, CloudConfused, CloudBusy, CloudRefused."""
        try:
            if isinstance(content, Sliced):
                headers = {**(headers or {}), "Content-Length": str(len(content))}
            async with (
                asyncio.timeout(deadline_s),
                self._client.stream(
                    method,
                    path,
                    content=content,
                    headers=headers,
                    timeout=httpx.Timeout(deadline_s, connect=CONNECT_S, pool=deadline_s),
                    extensions=self._extensions,
                ) as response,
            ):
                body = await self._body(response, limit_bytes)
        except TimeoutError as error:
            raise unreachable(self.url, f"no answer within {deadline_s:g} s") from error
        except httpx.DecodingError as error:
            raise confused(self.url, str(error)) from error
        except httpx.RemoteProtocolError as error:
            if _CLOSED in str(error):
                raise unreachable(self.url, str(error)) from error
            raise confused(self.url, str(error)) from error
        except httpx.TransportError as error:
            raise self._broken(error) from error
        found = {name.lower(): value for name, value in response.headers.items()}
        if 200 <= response.status_code < 300:
            return Answer(response.status_code, found, body)
        raise _error(self.url, response.status_code, found, body)

    async def _body(self, response: httpx.Response, limit_bytes: int) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > limit_bytes:
                raise confused(self.url, f"more than {limit_bytes} bytes")
        return bytes(body)

    def _broken(self, error: httpx.TransportError) -> CloudError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return untrusted(self.url, cause.verify_message)
            cause = cause.__cause__ or cause.__context__
        return unreachable(self.url, str(error) or type(error).__name__)


def json_of(answer: Answer, url: str) -> Any:
    """The answer's JSON. Raises CloudConfused when it is of another kind."""
    kind = answer.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise confused(url, f"HTTP {answer.status} with content type {kind[:60]!r} where JSON was expected")
    try:
        return parse_json(answer.body)
    except WireError as error:
        raise confused(url, error.message) from error


def _error(url: str, status: int, headers: dict[str, str], body: bytes) -> CloudError:
    if status in (408, 429) or status >= 500:
        return busy(url, status, _retry_after_s(headers))
    offset = _whole_number(headers.get("upload-offset", ""))
    try:
        value = parse_json(body)
        return CloudRefused(
            status, str(value["key"]), str(value["message"]), str(value.get("hint") or ""), offset
        )
    except (WireError, KeyError, TypeError, AttributeError):
        if offset >= 0:  # an answer to HEAD has no body
            return CloudRefused(status, "cloud.refused", f"{url} answered HTTP {status}", offset=offset)
        return confused(url, f"HTTP {status} without an error body of the centre")


def _retry_after_s(headers: dict[str, str]) -> float:
    seconds = _whole_number(headers.get("retry-after", ""))
    return min(float(max(seconds, 0)), RETRY_AFTER_MAX_S)


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
