"""A batch of records on its way and the answer to it. What is not certain never counts as an acknowledgement."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudsync.wire.limits import BATCH_BYTES_MAX, BATCH_RECORDS_MAX
from cloudsync.wire.record import Record, RecordText, quoted
from cloudsync.wire.values import Json, WireError, canonical_json, parse_json
from cloudsync.wire.words import ItemStatus


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The centre's word on one record; results come in the order of the batch, one for each record."""

    id: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What travels in POST /v1/records.

    `records` are raw JSON: each is judged by itself, see `record_from`.
    """

    site_id: str
    box_id: str
    records: list[Json]


def batch_json(site_id: str, box_id: str, records: Iterable[Record | RecordText]) -> bytes:
    """A batch as canonical JSON, before its coding. The same input gives the same bytes."""
    items = ",".join([_record_json(record) for record in records])
    return f'{{"box_id":{quoted(box_id)},"records":[{items}],"site_id":{quoted(site_id)}}}'.encode()


def _record_json(record: Record | RecordText) -> str:
    text = record.text if isinstance(record, RecordText) else canonical_json(record.body)
    return (
        f'{{"body":{text},"boot_id":{quoted(record.boot_id)},"created_utc":{quoted(record.created_utc)},'
        f'"hash":{quoted(record.hash)},"id":{quoted(record.id)},"kind":{quoted(record.kind)},'
        f'"prev_hash":{quoted(record.prev_hash)},"priority":{record.priority},"seq":{record.seq}}}'
    )


def gzip_batch(plain: bytes) -> bytes:
    """The batch as every centre takes it (Content-Encoding gzip). The same input gives the same bytes."""
    return gzip.compress(plain, compresslevel=6, mtime=0)


def encode_batch(site_id: str, box_id: str, records: Sequence[Record | RecordText]) -> bytes:
    """A batch as gzip JSON (Content-Type application/json, Content-Encoding gzip).

    The same input gives the same bytes.
    """
    return gzip_batch(batch_json(site_id, box_id, records))


def gunzip(data: bytes, limit_bytes: int) -> bytes:
    """Inflate one gzip member to at most `limit_bytes`; raises WireError `bad_gzip` or `too_large`."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise WireError("bad_gzip", f"the body is not gzip: {error}") from error
    if len(plain) > limit_bytes:
        raise WireError(
            "too_large", f"the body inflates to more than {limit_bytes} bytes", "Send smaller batches."
        )
    if not inflater.eof:
        raise WireError("bad_gzip", "the gzip body ends early", "Send the batch again.")
    return plain


def decode_batch(data: bytes, *, gzipped: bool = True) -> Batch:
    """A batch from the request body; raises WireError when it is no batch.

    Its records are not judged here.
    """
    plain = gunzip(data, BATCH_BYTES_MAX) if gzipped else data
    if len(plain) > BATCH_BYTES_MAX:
        raise WireError("too_large", f"a batch of {len(plain)} bytes is above {BATCH_BYTES_MAX}")
    value = parse_json(plain)
    if not isinstance(value, dict) or not isinstance(value.get("records"), list):
        raise WireError("malformed", "a batch must be an object with the list 'records'")
    if not isinstance(value.get("site_id"), str) or not isinstance(value.get("box_id"), str):
        raise WireError("malformed", "a batch must name 'site_id' and 'box_id'")
    if len(value["records"]) > BATCH_RECORDS_MAX:
        raise WireError(
            "too_many_records",
            f"a batch of {len(value['records'])} records is above {BATCH_RECORDS_MAX}",
            "Send smaller batches.",
        )
    return Batch(value["site_id"], value["box_id"], value["records"])


def ids_sha256(ids: Iterable[str]) -> str:
    """What a short answer names a batch by: SHA-256 in hex over its ids, a line each."""
    return hashlib.sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()


def short_answer(results: Sequence[RecordResult]) -> dict[str, Json] | None:
    """The answer to a batch of which every record got the same word, STORED or DUPLICATE; None when that is not so.

    It takes a hundred bytes instead of eighty for each record, and says of which records it speaks.
    """
    words = {(result.status, result.reason) for result in results}
    if len(words) != 1 or results[0].status == ItemStatus.REFUSED:
        return None
    return one_word(results[0].status, [result.id for result in results])


def one_word(status: str, ids: Sequence[str]) -> dict[str, Json]:
    """The short answer: this word on each of these records."""
    return {"status": str(status), "count": len(ids), "ids_sha256": ids_sha256(ids)}


def decode_results(data: bytes, expected: Sequence[str]) -> list[RecordResult]:
    """The centre's answer to a batch whose record ids were `expected`, in full or short.

    Raises WireError unless it holds exactly one known word for each record in the same order, or one word for
    just these records: an answer that is not certain (a proxy's page, a truncated body, the answer to another
    batch) must never count as an acknowledgement.
    """
    value = parse_json(data)
    if isinstance(value, dict) and "results" not in value and "ids_sha256" in value:
        return _short_results(value, expected)
    items = value.get("results") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) != len(expected):
        raise WireError("malformed", f"expected {len(expected)} results")
    results = []
    for item, id_ in zip(items, expected, strict=True):
        if not isinstance(item, dict) or item.get("id") != id_ or item.get("status") not in tuple(ItemStatus):
            raise WireError("malformed", f"no usable result for record {id_!r}")
        results.append(RecordResult(id_, item["status"], str(item.get("reason") or "")))
    return results


def _short_results(value: dict[str, Json], expected: Sequence[str]) -> list[RecordResult]:
    """One word for all records of the batch."""
    fits = value.get("count") == len(expected) and value["ids_sha256"] == ids_sha256(expected)
    if not fits or value.get("status") not in (ItemStatus.STORED, ItemStatus.DUPLICATE):
        raise WireError("malformed", f"no usable word on these {len(expected)} records")
    return [RecordResult(id_, value["status"]) for id_ in expected]
