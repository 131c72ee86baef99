"""Which records a box sends when, with a centre that always says yes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from agent import upload
from agent.records import NEWEST_RECORDS, Settlement
from agent.spool_chain import Chain
from agent.upload import RecordSender
from cloudsync.wire import BATCH_RECORDS_MAX, RecordResult, RecordText


class Box:
    """A spool and a centre. takes_s: how long each record takes on the line."""

    def __init__(self, waiting: int, takes_s: float = 0.0) -> None:
        self.seqs = list(range(1, waiting + 1))
        self.next_seq = waiting + 1
        self.now_s = 0.0
        self.sent: list[list[int]] = []
        self._takes_s = takes_s

    def make(self) -> None:
        self.seqs.append(self.next_seq)
        self.next_seq += 1

    def waiting(self, limit: int, *, newest: int = 0) -> list[RecordText]:
        recent = [seq for seq in self.seqs if newest and seq >= self.next_seq - newest]
        return [
            RecordText(seq, f"r{seq}", "cdr", 1, "2026-11-21T09:30:00Z", "b", "{}", "", "")
            for seq in (recent or self.seqs)[:limit]
        ]

    def chain(self) -> Chain:
        return Chain(self.next_seq, unsure_from=0)

    def settle(self, settlement: Settlement) -> None:
        self.seqs = [seq for seq in self.seqs if f"r{seq}" not in settlement.delete]

    async def send_records(self, _site: str, records: Sequence[RecordText]) -> list[RecordResult]:
        self.sent.append([record.seq for record in records])
        self.now_s += len(records) * self._takes_s
        return [RecordResult(record.id, "stored") for record in records]

    def sender(self, **more: Any) -> RecordSender:
        clock = {"monotonic_s": lambda: self.now_s}
        return RecordSender(self, self, "tokyo-1", **clock, **more)  # type: ignore[arg-type]


async def test_newest_go_first_after_an_outage_and_history_follows_in_order() -> None:
    box = Box(2_000)
    sender = box.sender()
    while box.seqs:
        await sender.send()
    assert box.sent[0] == list(range(2_001 - NEWEST_RECORDS, 2_001))
    history = [seq for batch in box.sent[1:] for seq in batch]
    assert history == list(range(1, 2_001 - NEWEST_RECORDS))


async def test_steady_calls_neither_wait_for_the_history_nor_starve_it() -> None:
    box = Box(5_000)
    sender, waited = box.sender(), []
    while any(seq <= 4_000 for seq in box.seqs):
        box.make()
        made = box.next_seq - 1
        for tries in range(1, 4):
            await sender.send()
            if made not in box.seqs:
                waited.append(tries)
                break
    assert max(waited) <= 2
    assert len(box.sent) < 30


async def test_batches_become_as_large_as_a_narrow_line_carries_in_two_seconds() -> None:
    box = Box(3_000, takes_s=0.05)
    sender = box.sender()
    for _ in range(20):
        await sender.send()
    assert [len(batch) for batch in box.sent[-3:]] == [40, 40, 40]


async def test_history_is_held_back_but_never_for_ever(monkeypatch: Any) -> None:
    asked: list[int] = []

    async def never(size_bytes: int) -> None:
        asked.append(size_bytes)
        await asyncio.Event().wait()

    monkeypatch.setattr(upload, "HELD_BACK_MAX_S", 0.001)
    box = Box(4 * BATCH_RECORDS_MAX)
    sender = box.sender(pace=never)
    await sender.send()
    assert asked == [], "what is new is not held back"
    while box.seqs:
        await sender.send()
    assert len(asked) == 3, "each batch of the history is, once"


async def test_history_rests_while_calls_are_up_and_what_is_new_never_does() -> None:
    box, rests = Box(3_000, takes_s=0.002), list[float]()
    calls = 1

    async def rest(seconds: float) -> None:
        rests.append(round(seconds, 3))

    sender = box.sender(calls_up=lambda: calls, rest=rest)
    await sender.send()
    assert rests == [], "the newest"
    await sender.send()
    assert rests == [1.0], "as long as 500 records took"
    calls = 0
    for _ in range(3):
        await sender.send()
    assert rests == [1.0], "nobody calls"
