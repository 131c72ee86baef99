"""CORE. What becomes of the records of a batch, given what the store holds: stored, duplicate or refused.

Opens nothing and keeps nothing. The rule (DESIGN, principle 5): an id made at the source and a hash; the same id
with the same hash has arrived before and is acknowledged again, the same id with another hash is refused; a
refused record never stands in the way of those behind it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from cloudsync.wire import (
    GENESIS_HASH,
    ItemStatus,
    Json,
    RecordResult,
    Refusal,
    WireError,
    canonical_json,
    hash_fits,
    record_from,
)


class Link(Protocol):
    """A record as a link of the site's chain: what judging it takes."""

    @property
    def seq(self) -> int:
        """Its number, from 1."""

    @property
    def id(self) -> str:
        """Made at the source."""

    @property
    def prev_hash(self) -> str:
        """The hash of the record before it."""

    @property
    def hash(self) -> str:
        """Its own."""


class Held(NamedTuple):
    """What the ledger knows of a record that it holds."""

    seq: int
    id: str
    prev_hash: str
    hash: str


def given_up_link(seq: int, prev_hash: str, digest: str) -> Held:
    """What the ledger has of a record that its box gave up: a place, and no content."""
    return Held(seq, f"given-up-{seq}", prev_hash, digest)


def is_given_up(link: Link) -> bool:
    """Whether it is one of those."""
    return link.id == f"given-up-{link.seq}"


class Sound(NamedTuple):
    """A record that can be read and whose own hash fits. `body`: canonical JSON, the text that was hashed."""

    seq: int
    id: str
    kind: str
    priority: int
    created_utc: str
    boot_id: str
    body: str
    prev_hash: str
    hash: str


L = TypeVar("L", bound=Link)


@dataclass(frozen=True, slots=True)
class Merged(Generic[L]):
    """`to_store` are the records that are new. all_new: they are the whole batch, and there is nothing else to say.

    refused: whether the ledger was the reason to refuse any of them."""

    judged: tuple[RecordResult, ...]
    to_store: tuple[L, ...]
    refused: bool = False
    all_new: bool = False

    @property
    def results(self) -> tuple[RecordResult, ...]:
        """The answer to the batch, in its order."""
        if self.all_new:
            return tuple([RecordResult(item.id, ItemStatus.STORED) for item in self.to_store])
        return self.judged


class Known:
    """The part of a site's ledger that touches a batch; grows while the batch is walked."""

    def __init__(self, held: Iterable[Link]) -> None:
        self.by_id: dict[str, Link] = {}
        self.by_seq: dict[int, Link] = {}
        for item in held:
            self.add(item)

    def add(self, item: Link) -> None:
        """Learn one record."""
        self.by_id[item.id] = item
        self.by_seq[item.seq] = item


def parse_records(raw: Sequence[Json]) -> list[Sound | RecordResult]:
    """Each raw item as a record, or as the refusal of that one item; same order and length."""
    return [_parse_record(item) for item in raw]


def _parse_record(raw: Json) -> Sound | RecordResult:
    try:
        record = record_from(raw)
    except WireError as error:
        id_ = raw.get("id") if isinstance(raw, dict) else None
        return RecordResult(id_ if isinstance(id_, str) else "", ItemStatus.REFUSED, error.key)
    if not hash_fits(record):
        return RecordResult(record.id, ItemStatus.REFUSED, Refusal.BAD_HASH)
    return Sound(
        record.seq,
        record.id,
        record.kind,
        record.priority,
        record.created_utc,
        record.boot_id,
        canonical_json(record.body),
        record.prev_hash,
        record.hash,
    )


def merge(items: Sequence[L | RecordResult], held: Iterable[Link]) -> Merged[L]:
    """Judge the items of `parse_records` against what the store holds under their ids and beside their numbers."""
    known = Known(held)
    fresh = _new_links(items, known)
    if fresh is not None:
        return Merged((), fresh, all_new=True)
    results: list[RecordResult] = []
    to_store: list[L] = []
    refused = False
    for item in items:
        if isinstance(item, RecordResult):
            results.append(item)
            continue
        result = judge(item, known)
        results.append(result)
        if result.status == ItemStatus.STORED:
            to_store.append(item)
            known.add(item)
        refused = refused or result.status == ItemStatus.REFUSED
    return Merged(tuple(results), tuple(to_store), refused)


def in_a_row(items: Sequence[L | RecordResult]) -> tuple[L, ...] | None:
    """The items when all of them are records that continue one another without a gap, none twice; None otherwise."""
    links = tuple([item for item in items if not isinstance(item, RecordResult)])
    if not links or len(links) != len(items) or len({item.id for item in links}) != len(links):
        return None
    seq, prev_hash = links[0].seq, links[0].prev_hash
    for item in links:
        if item.seq != seq or item.prev_hash != prev_hash:
            return None
        seq, prev_hash = seq + 1, item.hash
    return links


def _new_links(items: Sequence[L | RecordResult], known: Known) -> tuple[L, ...] | None:
    """The items when they are `in_a_row` and all of them new: nearly every batch. None otherwise, and then they are judged
    one by one, with the same outcome."""
    links = in_a_row(items)
    if links is None or not _chain_fits(links[0], known) or not _chain_fits(links[-1], known):
        return None
    first, last = links[0].seq, links[-1].seq
    if any(first <= held <= last for held in known.by_seq) or any(item.id in known.by_id for item in links):
        return None
    return links


def judge(record: Link, known: Known) -> RecordResult:
    """The word on one record whose own hash fits."""
    same = known.by_id.get(record.id)
    if same is not None:
        if same.hash == record.hash:
            return RecordResult(record.id, ItemStatus.DUPLICATE)
        return RecordResult(record.id, ItemStatus.REFUSED, Refusal.CONFLICT)
    there = known.by_seq.get(record.seq)
    if (
        there is not None and there.hash == record.hash
    ):  # one of them was given up: a record that comes after all is taken
        return RecordResult(record.id, ItemStatus.DUPLICATE if is_given_up(record) else ItemStatus.STORED)
    if there is not None:
        return RecordResult(record.id, ItemStatus.REFUSED, Refusal.SEQ_CONFLICT)
    if not _chain_fits(record, known):
        return RecordResult(record.id, ItemStatus.REFUSED, Refusal.BROKEN_CHAIN)
    return RecordResult(record.id, ItemStatus.STORED)


def _chain_fits(record: Link, known: Known) -> bool:
    """Whether the neighbours that are known agree; records may come in any order, so one may be missing."""
    before, after = known.by_seq.get(record.seq - 1), known.by_seq.get(record.seq + 1)
    expected = GENESIS_HASH if record.seq == 1 else before.hash if before else record.prev_hash
    return record.prev_hash == expected and (after is None or after.prev_hash == record.hash)
