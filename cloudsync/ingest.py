"""ADAPTER for msgspec: a batch as it came, as records that are ready to be judged and stored. Decides nothing.

The quick way takes a body's text as it stands and hashes it, once it has seen that it is canonical; it is taken
only when every record of the batch is sound. Anything else goes the plain way through `cloudsync.merge`, which says
of each record by itself what is wrong with it. Both ways give the same words (a test holds them to it).
"""

import hashlib
import json
import re
from typing import Annotated, Literal

import msgspec

from cloudsync.merge import Sound, parse_records
from cloudsync.wire import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    RECORD_BYTES_MAX,
    RECORD_ID_PATTERN,
    SHA256_PATTERN,
    UTC_PATTERN,
    RecordResult,
    as_json,
    decode_batch,
    gunzip,
)


class _Record(msgspec.Struct, gc=False):
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    id: str
    kind: Literal["cdr", "event", "stat"]
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)]
    created_utc: str
    boot_id: str
    body: msgspec.Raw
    prev_hash: str
    hash: str


class _Batch(msgspec.Struct):
    site_id: str
    box_id: str
    records: list[_Record]


_decode = msgspec.json.Decoder(_Batch).decode
_decode_body = msgspec.json.Decoder(dict[str, object]).decode
_encode_body = msgspec.json.Encoder(order="sorted").encode
_texts_fit = re.compile(
    rf"{RECORD_ID_PATTERN}\n{UTC_PATTERN}\n[ !#-\[\]-~]{{0,64}}\n{SHA256_PATTERN}"
).fullmatch
"""Id, time, boot id (without the two characters that JSON escapes) and predecessor, a line each."""


def read_batch(body: bytes, *, gzipped: bool) -> tuple[str, str, list[Sound | RecordResult]]:
    """Site, box, and for each record in order either what to store or why it is refused.

    Raises wire.WireError when the body is no batch.
    """
    plain = gunzip(body, BATCH_BYTES_MAX) if gzipped else body
    if len(plain) <= BATCH_BYTES_MAX:
        quick = _quickly(plain)
        if quick is not None:
            return quick
    batch = decode_batch(plain, gzipped=False)
    return batch.site_id, batch.box_id, parse_records(batch.records)


def _quickly(plain: bytes) -> tuple[str, str, list[Sound | RecordResult]] | None:
    """The batch when all of its records are sound, else None."""
    items: list[Sound | RecordResult] = []
    try:
        batch = _decode(plain)
        if len(batch.records) > BATCH_RECORDS_MAX:
            return None
        for one in batch.records:
            raw = bytes(one.body)
            if len(raw) > RECORD_BYTES_MAX or _encode_body(_decode_body(raw)) != raw:
                return None
            if not _texts_fit(f"{one.id}\n{one.created_utc}\n{one.boot_id}\n{one.prev_hash}"):
                return None
            text = raw.decode()
            said = (
                f'kyusai-record-v1\0{one.prev_hash}\0[{one.seq},"{one.id}","{one.kind}",{one.priority},'
                f'"{one.created_utc}","{one.boot_id}",{text}]'
            )
            if hashlib.sha256(said.encode()).hexdigest() != one.hash:
                return None
            items.append(
                Sound(
                    one.seq,
                    one.id,
                    one.kind,
                    one.priority,
                    one.created_utc,
                    one.boot_id,
                    text,
                    one.prev_hash,
                    one.hash,
                )
            )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return batch.site_id, batch.box_id, items


def encode_results(results: tuple[RecordResult, ...]) -> bytes:
    """The answer to a batch. An id that was refused may hold what no UTF-8 can; escaped, it goes back as it came."""
    try:
        return msgspec.json.encode({"results": results})
    except UnicodeEncodeError:
        return json.dumps({"results": [as_json(result) for result in results]}).encode()
