"""The centre's API as calls. Gets and renews the access token by the box's key; what each answer means is decided
elsewhere (`records`, `upload`). An answer that does not fit the contract is a CloudConfused, never a success.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from agent import batch_coding
from agent.cloud_errors import CloudError, CloudRefused, confused
from agent.cloud_transport import ANSWER_BYTES_MAX, DEADLINE_S, Answer, Method, Transport, json_of
from agent.identity import Signer
from agent.slices import NoLimit, Pace, Sliced
from cloudsync.wire import (
    CODING_GZIP,
    DOCUMENT_BYTES_MAX,
    LONG_POLL_MAX_S,
    PATH_CONFIG,
    PATH_CONFIG_STATUS,
    PATH_ENROLMENT,
    PATH_HEARTBEAT,
    PATH_KEY,
    PATH_LEDGER,
    PATH_LEDGER_MISSING,
    PATH_PROMPTS,
    PATH_RECORDINGS,
    PATH_RECORDS,
    PATH_TOKEN,
    PATH_TOKEN_CHALLENGE,
    PIECE_DIGEST_HEADER,
    PREFER_SHORT,
    PROMPT_PIECE_BYTES,
    ConfigState,
    Enrolment,
    Envelope,
    ErrorKey,
    LedgerReceipt,
    Missing,
    Reason,
    Receipt,
    Record,
    RecordingOffer,
    RecordingState,
    RecordResult,
    RecordText,
    UploadStands,
    WireError,
    as_json,
    batch_json,
    canonical_json,
    decode_results,
    enrolment_from,
    envelope_from,
    ledger_receipt_from,
    missing_from,
    piece_digest,
    piece_path,
    reasons_json,
    receipt_from,
    to_base64,
    token_signing_bytes,
    upload_stands_from,
)

TOKEN_RENEW_SHARE = 0.8
"""A token is renewed after this share of its life."""
POLL_SLACK_S = 20.0
"""How much longer than the agreed wait a configuration poll may take on a slow line."""
PIECE_DEADLINE_S = 300.0
"""A piece counts wholly or not at all, and shares the line with seven others: they are through at 60 kbit/s."""
UNPACED = NoLimit()
REVOKED_PAUSE_S = 60.0
"""A box that was shut out asks this often whether it was let in again, and says nothing else to the centre."""
EARLIER_PAUSE_S = 60.0
"""A box that none of its keys lets in tries the earlier ones this often: its tasks ask many times a minute."""
Given = TypeVar("Given")
Parsed = TypeVar("Parsed")
_UNKNOWN_CODING = 415
_JSON = {"Content-Type": "application/json"}


Observe = Callable[[str, CloudError | None], object]
"""Told of every request what it was for (a fixed word) and how it failed, None when it succeeded."""


@dataclass(frozen=True, slots=True)
class UploadState:
    """What the centre holds of a recording. receipt: only with state `stored`."""

    state: RecordingState
    receipt: Receipt | None = None


class CloudClient:
    """Calls to one centre in the name of one box. Every method raises the errors of `cloud_errors`."""

    def __init__(
        self,
        transport: Transport,
        box_id: str,
        sign: Signer,
        *,
        earlier: Callable[[], Sequence[Signer]] = tuple,
        monotonic_s: Callable[[], float] = time.monotonic,
        observe: Observe = lambda _task, _error: None,
    ) -> None:
        """earlier: keys of before the one that signs, the newest first; a centre that does not know that one is shown them."""
        self._transport = transport
        self._box_id = box_id
        self._sign = sign
        self._earlier = earlier
        self._earlier_again_s = 0.0
        self.by_earlier_key = False
        """Whether an earlier key got the token in use: this centre does not know the one of now."""
        self._monotonic_s = monotonic_s
        self._observe = observe
        self._token = ""
        self._renew_at_s = 0.0
        self._token_lock = asyncio.Lock()
        self._coding = CODING_GZIP
        self._shut_out: CloudRefused | None = None
        self._ask_again_s = 0.0

    @property
    def revoked(self) -> bool:
        """Whether the centre has shut this box out, as far as is known."""
        return self._shut_out is not None

    @property
    def url(self) -> str:
        """The centre's address."""
        return self._transport.url

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def enrolment(self) -> Enrolment:
        """What the box must know now: keys, recipients, where the sequence stands, the centre's time."""
        return self._parsed(enrolment_from, json_of(await self._call("GET", PATH_ENROLMENT), self.url))

    async def offer_key(self, public_key: str, signature: str) -> None:
        """Make the box's next key known; both open the centre until the next one is used."""
        await self._post(PATH_KEY, {"public_key": public_key, "signature": signature})

    def forget_token(self) -> None:
        """The next request gets a new token, by the key that is then in place."""
        self._token = ""

    async def config(self, have: int, wait_s: float) -> Envelope | None:
        """The newest site document when its version is not `have`; None when nothing new came within `wait_s`
        (at most LONG_POLL_MAX_S). The signature is not checked here."""
        with self._told("config"):
            wait_s = min(wait_s, LONG_POLL_MAX_S)
            answer = await self._call(
                "GET",
                f"{PATH_CONFIG}?have={have}&wait_s={wait_s:g}",
                deadline_s=wait_s + POLL_SLACK_S,
                limit_bytes=2 * DOCUMENT_BYTES_MAX,
            )
            return None if answer.status == 204 else self._parsed(envelope_from, json_of(answer, self.url))

    async def config_status(self, version: int, state: ConfigState, reasons: Sequence[Reason] = ()) -> None:
        """Tell what became of a version."""
        problems, details = reasons_json(reasons)
        with self._told("config"):
            told = {"version": version, "state": str(state), "problems": problems, "details": details}
            await self._post(PATH_CONFIG_STATUS, told)

    async def prompt(self, sha256: str, begin: int) -> tuple[bytes, int]:
        """A piece of a prompt from a byte on, and how many bytes it has in all. The hash is not checked here."""
        with self._told("config"):
            path, wanted = f"{PATH_PROMPTS}/{sha256}", {"Range": f"bytes={begin}-"}
            answer = await self._call("GET", path, headers=wanted, limit_bytes=2 * PROMPT_PIECE_BYTES)
            said = answer.headers.get("content-range", "")
            found = re.fullmatch(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})", said, re.ASCII)
            if not found or int(found[1]) != begin or int(found[2]) - begin + 1 != len(answer.body):
                raise confused(self.url, f"a piece of a prompt with Content-Range {said[:40]!r}")
            return answer.body, int(found[3])

    async def heartbeat(self, telemetry: Mapping[str, Any]) -> dict[str, Any]:
        """Report; gives the centre's answer (`server_time_utc` and, when so, `revoked`)."""
        with self._told("heartbeat"):
            value = json_of(await self._post(PATH_HEARTBEAT, dict(telemetry)), self.url)
            if not isinstance(value, dict):
                raise confused(self.url, "a heartbeat's answer must be an object")
            return value

    async def send_records(self, site_id: str, records: Sequence[Record | RecordText]) -> list[RecordResult]:
        """Send one batch; one result for each record, in order, all of them on the centre's disk.

        It is coded as the centre's last answer allowed; a centre that no longer takes that gets gzip, which all take."""
        with self._told("records"):
            plain = await asyncio.to_thread(batch_json, site_id, self._box_id, records)
            try:
                answer = await self._post_batch(plain)
            except CloudRefused as error:
                if error.status != _UNKNOWN_CODING or self._coding == CODING_GZIP:
                    raise
                self._coding = CODING_GZIP
                answer = await self._post_batch(plain)
            self._coding = batch_coding.best(answer.headers.get("accept-encoding", ""))
            json_of(answer, self.url)
            return self._parsed(lambda body: decode_results(body, [r.id for r in records]), answer.body)

    async def ledger(self) -> LedgerReceipt:
        """The centre's word on how much of the site's sequence it holds. The signature is not checked here."""
        return self._parsed(ledger_receipt_from, json_of(await self._call("GET", PATH_LEDGER), self.url))

    async def missing(self, after: int) -> Missing:
        """Which numbers behind `after` the centre does not know though it knows higher ones."""
        value = json_of(await self._call("GET", f"{PATH_LEDGER_MISSING}?after={after}"), self.url)
        return self._parsed(missing_from, value)

    async def offer(self, offer: RecordingOffer) -> UploadStands:
        """Announce a recording; gives what the centre has of it already."""
        with self._told("recordings"):
            value = json_of(await self._post(PATH_RECORDINGS, as_json(offer)), self.url)
            return self._parsed(upload_stands_from, value)

    async def put_piece(self, offer: RecordingOffer, begin: int, data: bytes, pace: Pace = UNPACED) -> None:
        """Send the piece that begins at a byte, as fast as `pace` allows; it is on the centre's disk afterwards."""
        with self._told("recordings"):
            await self._call(
                "PUT",
                piece_path(offer.id, begin),
                content=Sliced(data, pace),
                headers={
                    "Content-Type": "application/octet-stream",
                    PIECE_DIGEST_HEADER: piece_digest(data),
                    "If-Match": f'"{offer.cipher_sha256}"',
                },
                deadline_s=PIECE_DEADLINE_S,
            )

    async def piece(self, recording_id: str, offset: int, data: bytes) -> int:
        """Send bytes from `offset` on; gives the offset that the centre has on disk."""
        with self._told("recordings"):
            answer = await self._call(
                "PATCH",
                f"{PATH_RECORDINGS}/{recording_id}",
                content=data,
                headers={"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)},
            )
            stands = answer.headers.get("upload-offset", "")
            if not stands.isdigit() or int(stands) > offset + len(data):
                raise confused(self.url, f"the upload cannot stand at {stands[:20]!r}")
            return int(stands)

    async def recording(self, recording_id: str) -> UploadState:
        """What the centre holds of a recording, with its receipt once it is stored."""
        with self._told("recordings"):
            answer = await self._call("GET", f"{PATH_RECORDINGS}/{recording_id}")
            value = json_of(answer, self.url)
            try:
                state = RecordingState(value["state"])
                receipt = receipt_from(value["receipt"]) if state is RecordingState.STORED else None
            except (KeyError, TypeError, ValueError) as error:
                raise confused(self.url, f"no usable state of recording {recording_id}: {error}") from error
            return UploadState(state, receipt)

    async def _post_batch(self, plain: bytes) -> Answer:
        content = await asyncio.to_thread(batch_coding.coded, plain, self._coding)
        headers = {**_JSON, "Content-Encoding": self._coding, "Prefer": PREFER_SHORT}
        return await self._call("POST", PATH_RECORDS, content=content, headers=headers)

    @contextmanager
    def _told(self, task: str) -> Iterator[None]:
        try:
            yield
        except CloudError as error:
            self._observe(task, error)
            raise
        self._observe(task, None)

    def _parsed(self, parse: Callable[[Given], Parsed], value: Given) -> Parsed:
        try:
            return parse(value)
        except WireError as error:
            raise confused(self.url, error.message) from error

    async def _post(self, path: str, value: dict[str, Any]) -> Answer:
        return await self._call("POST", path, content=canonical_json(value).encode(), headers=_JSON)

    async def _call(
        self,
        method: Method,
        path: str,
        *,
        content: bytes | Sliced | None = None,
        headers: dict[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
        limit_bytes: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """One request with a token. A box that was shut out sends none but one each `REVOKED_PAUSE_S`."""
        if self._shut_out is not None and self._monotonic_s() < self._ask_again_s:
            raise self._shut_out.with_traceback(None)
        self._ask_again_s = self._monotonic_s() + REVOKED_PAUSE_S
        try:
            answer = await self._with_token(method, path, content, headers or {}, deadline_s, limit_bytes)
        except CloudRefused as error:
            self._shut_out = error if error.key == ErrorKey.BOX_REVOKED else None
            if self._shut_out is not None:
                self._token = ""
            raise
        self._shut_out = None
        return answer

    async def _with_token(
        self,
        method: Method,
        path: str,
        content: bytes | Sliced | None,
        headers: dict[str, str],
        deadline_s: float,
        limit_bytes: int,
    ) -> Answer:
        """The request; once more with a fresh token when the centre no longer knows this one."""
        for last_try in (False, True):
            token = await self._fresh_token()
            try:
                return await self._transport.request(
                    method,
                    path,
                    content=content,
                    headers={**headers, "Authorization": f"Bearer {token}"},
                    deadline_s=deadline_s,
                    limit_bytes=limit_bytes,
                )
            except CloudRefused as error:
                if last_try or error.key != ErrorKey.TOKEN_INVALID:
                    raise
                self._drop_token(token)
        raise AssertionError("the second try returns or raises")

    def _drop_token(self, token: str) -> None:
        if self._token == token:
            self._token = ""

    async def _fresh_token(self) -> str:
        async with self._token_lock:
            if not self._token or self._monotonic_s() >= self._renew_at_s:
                await self._get_token()
            return self._token

    async def _get_token(self) -> None:
        """By the key of now. A centre that was restored from an old backup may know an earlier one alone."""
        try:
            await self._prove(self._sign)
        except CloudRefused as error:
            if error.key != ErrorKey.TOKEN_REFUSED or not await self._prove_by_earlier():
                raise
            self.by_earlier_key = True
        else:
            self.by_earlier_key = False

    async def _prove_by_earlier(self) -> bool:
        """Whether an earlier key has opened. None of them is tried any further by a box that the centre knows and shut out."""
        if self._monotonic_s() < self._earlier_again_s:
            return False
        for sign in await asyncio.to_thread(self._earlier):
            try:
                await self._prove(sign)
            except CloudRefused as error:
                if error.key != ErrorKey.TOKEN_REFUSED:
                    raise
            else:
                return True
        self._earlier_again_s = self._monotonic_s() + EARLIER_PAUSE_S
        return False

    async def _prove(self, sign: Signer) -> None:
        challenge = await self._open(PATH_TOKEN_CHALLENGE, {"box_id": self._box_id})
        nonce = challenge.get("nonce")
        if not isinstance(nonce, str):
            raise confused(self.url, "a challenge without a nonce")
        signature = to_base64(sign(token_signing_bytes(self._box_id, nonce)))
        proof = {"box_id": self._box_id, "nonce": nonce, "signature": signature}
        given = await self._open(PATH_TOKEN, proof)
        token, life_s = given.get("token"), given.get("expires_in_s")
        if not isinstance(token, str) or not token or not isinstance(life_s, int | float):
            raise confused(self.url, "a token answer without a token")
        self._token = token
        self._renew_at_s = self._monotonic_s() + TOKEN_RENEW_SHARE * life_s

    async def _open(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        answer = await self._transport.request(
            "POST", path, content=canonical_json(value).encode(), headers=_JSON
        )
        found = json_of(answer, self.url)
        if not isinstance(found, dict):
            raise confused(self.url, "an object was expected")
        return found
