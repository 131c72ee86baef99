"""ADAPTER for msgspec: a batch as it came, as records that are ready to be judged and stored. Decides nothing.

The quick way takes a body's text as it stands and hashes it, once it has seen that it is canonical; it is taken
only when every record of the batch is sound. Anything else goes the plain way through `cloudsync.merge`, which says
of each record by itself what is wrong with it. Both ways give the same words (a test holds them to it).
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from cloudsync import coding as coding_of_batches
from cloudsync.merge import Merged, Sound, parse_records
from cloudsync.wire import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    CDR_FIELDS,
    RECORD_BYTES_MAX,
    RECORD_ID_PATTERN,
    SHA256_PATTERN,
    UTC_PATTERN,
    ItemStatus,
    RecordKind,
    RecordResult,
    as_json,
    decode_batch,
    one_word,
    short_answer,
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


class _Step(msgspec.Struct, gc=False):
    """Of a CDR's route; `_Cdr` says why."""

    kind: Any = msgspec.UNSET
    leg: Any = msgspec.UNSET
    ms: Any = msgspec.UNSET
    outcome: Any = msgspec.UNSET
    reason: Any = msgspec.UNSET
    target: Any = msgspec.UNSET


_Cdr = msgspec.defstruct(
    "_Cdr",
    [(name, list[_Step] if name == "route" else Any, msgspec.UNSET) for name in sorted(CDR_FIELDS)],
    gc=False,
)
"""A CDR's fields in the order of canonical JSON. Read into places that are known and written from them in their order, a text
takes little more than half the time that a dictionary and its sorting take; only a canonical one without other fields comes out
as it went in."""

_decode = msgspec.json.Decoder(_Batch).decode
_sound: Callable[[tuple[int, str, str, int, str, str, str, str, str]], Sound] = partial(tuple.__new__, Sound)
"""`Sound` of its fields in their order, without the call that a named tuple makes in Python."""
_decode_cdr = msgspec.json.Decoder(_Cdr).decode
_decode_body = msgspec.json.Decoder(dict[str, object]).decode
_encode_body = msgspec.json.Encoder(order="deterministic").encode
"""Keys of dictionaries sorted, fields of structures as they are declared."""
_id_and_time_fit = re.compile(rf"{RECORD_ID_PATTERN}\n{UTC_PATTERN}").fullmatch
_boot_id_fits = re.compile(r"[ !#-\[\]-~]{0,64}").fullmatch
"""Without the two characters that JSON escapes."""
_hash_fits = re.compile(SHA256_PATTERN).fullmatch
_one_at_a_time = threading.Lock()
"""Python runs one thread at a time whatever one does. Four batches that are read in turns are all ready at the end, and nothing
is written to the disk until then; read one after the other, the second is read while the first is committed."""


def read_batch(body: bytes, *, coding: str) -> tuple[str, str, list[Sound | RecordResult]]:
    """Site, box, and for each record in order either what to store or why it is refused.

    coding: the Content-Encoding, see `cloudsync.coding`. Raises wire.WireError when the body is no batch.
    """
    text = coding_of_batches.plain(body, coding, BATCH_BYTES_MAX)
    with _one_at_a_time:
        quick = _quickly(text) if len(text) <= BATCH_BYTES_MAX else None
        if quick is not None:
            return quick
        batch = decode_batch(text, gzipped=False)
        return batch.site_id, batch.box_id, parse_records(batch.records)


def _quickly(text: bytes) -> tuple[str, str, list[Sound | RecordResult]] | None:
    """The batch when all of its records are sound, else None."""
    items: list[Sound | RecordResult] = []
    boot_id, hash_before = "", "none yet"
    try:
        batch = _decode(text)
        if len(batch.records) > BATCH_RECORDS_MAX:
            return None
        for one in batch.records:
            raw = bytes(one.body)
            if len(raw) > RECORD_BYTES_MAX or not _is_canonical(one.kind, raw):
                return None
            if one.prev_hash != hash_before and not _hash_fits(one.prev_hash):
                return None
            if one.boot_id != boot_id and not _boot_id_fits(one.boot_id):
                return None
            if not _id_and_time_fit(f"{one.id}\n{one.created_utc}"):
                return None
            body = raw.decode()
            said = (
                f'kyusai-record-v1\0{one.prev_hash}\0[{one.seq},"{one.id}","{one.kind}",{one.priority},'
                f'"{one.created_utc}","{one.boot_id}",{body}]'
            )
            if hashlib.sha256(said.encode()).hexdigest() != one.hash:
                return None
            boot_id, hash_before = one.boot_id, one.hash
            items.append(
                _sound(
                    (
                        one.seq,
                        one.id,
                        one.kind,
                        one.priority,
                        one.created_utc,
                        boot_id,
                        body,
                        one.prev_hash,
                        hash_before,
                    )
                )
            )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return batch.site_id, batch.box_id, items


def _is_canonical(kind: str, raw: bytes) -> bool:
    """Whether this is the one text that the value has."""
    if kind == RecordKind.CDR and _encode_body(_decode_cdr(raw)) == raw:
        return True
    return _encode_body(_decode_body(raw)) == raw


def encode_answer(merged: Merged[Sound], *, short: bool = False) -> bytes:
    """The answer to a batch. An id that was refused may hold what no UTF-8 can; escaped, it goes back as it came.

    short: the box understands one word for all of them."""
    if short and merged.all_new:
        return msgspec.json.encode(one_word(ItemStatus.STORED, [item.id for item in merged.to_store]))
    results = merged.results
    answer = short_answer(results) if short else None
    if answer is not None:
        return msgspec.json.encode(answer)
    try:
        return msgspec.json.encode({"results": results})
    except UnicodeEncodeError:
        return json.dumps({"results": [as_json(result) for result in results]}).encode()
