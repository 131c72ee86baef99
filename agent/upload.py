"""Sends the records that the spool holds, in batches. Deletes only for the centre's word.

Each `send` is one attempt that raises a CloudError when the line or the centre is at fault; repeating, backing off and
stopping are `senders`' business. Whatever is cut off in the middle can be done again: the centre knows a record by its id
and hash.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from agent import records
from agent.acknowledged import Acknowledged
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudRefused
from agent.records import Settlement
from agent.spool import Spool
from agent.spool_errors import SpoolError
from cloudsync.wire import BATCH_RECORDS_MAX, RecordText

_UNFIT_STATUS = (400, 413, 422)
"""The batch itself displeases the centre: smaller ones find the record that is to blame."""

SHRINKS_TO = 6
"""A batch travels as about a sixth of its records' bodies (936 bytes to 166 were measured)."""

HELD_BACK_MAX_S = 2.0
"""A limit meant for recordings may be none at all by day; 250 call records a second still go."""

RESTS = 1.0
"""While calls are up the box rests after a batch of history for as long as the batch took: half of the time the processor and the
disk are left to calls alone."""

Pace = Callable[[int], Awaitable[None]]
"""Called with the number of bytes before they are sent; waits as long as the limit of the hour and calls demand."""


async def no_limit(_bytes: int) -> None:
    """The Pace of a line without a limit."""


@dataclass(slots=True)
class Counters:
    """What was sent since the agent started, for metrics."""

    acknowledged: int = 0
    duplicates: int = 0
    parked: int = 0


class RecordSender:
    """Empties the record table into the centre. site_id: as enrolled. drained: called whenever nothing is left to send.
    calls_up: how many calls there are; rest: sleeps. copies: of what is acknowledged; no_copy: told why one was not made."""

    def __init__(
        self,
        spool: Spool,
        cloud: CloudClient,
        site_id: str,
        *,
        pace: Pace = no_limit,
        drained: Callable[[], Awaitable[None]] | None = None,
        calls_up: Callable[[], int] = lambda: 0,
        monotonic_s: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
        copies: Acknowledged | None = None,
        no_copy: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._site_id = site_id
        self._pace = pace
        self._drained = drained
        self._calls_up = calls_up
        self._rest = rest
        self._copies = copies
        self._no_copy = no_copy
        self._monotonic_s = monotonic_s
        self._limit = BATCH_RECORDS_MAX
        self._newest_first = True
        self.counters = Counters()

    async def send(self) -> int:
        """Try one batch; gives how many records were in it, 0 when nothing waits. Afterwards they are gone, parked, or
        (when the centre took offence at the batch as a whole) the next batch is a smaller one.

        Raises CloudError (nothing was deleted) and SpoolError.
        """
        batch, history = await asyncio.to_thread(self._next)
        if not batch:
            found = await self._find_place()
            if not found:
                await asyncio.to_thread(self._spool.look_for_stranded)
            if not found and self._drained is not None:
                await self._drained()
            return found
        if history:
            await self._hold_back(sum(len(record.text) for record in batch) // SHRINKS_TO)
        began_s = self._monotonic_s()
        try:
            results = await self._cloud.send_records(self._site_id, batch)
        except CloudRefused as error:
            await self._unfit(batch, error)
            return len(batch)
        took_s = self._monotonic_s() - began_s
        settlement = records.settle(results)
        await asyncio.to_thread(self._let_go, batch, settlement)
        self._limit = records.fitting(self._limit, len(batch), took_s)
        self.counters.acknowledged += len(settlement.delete)
        self.counters.duplicates += sum(result.status == "duplicate" for result in results)
        self.counters.parked += len(settlement.park)
        if history and self._calls_up():
            await self._rest(min((self._monotonic_s() - began_s) * RESTS, HELD_BACK_MAX_S))
        return len(batch)

    def _let_go(self, batch: list[RecordText], settlement: Settlement) -> None:
        """Keep a copy of what the centre has, then do what its answer means. Without a copy, records go all the same."""
        if self._copies is not None:
            there = set(settlement.delete)
            try:
                self._copies.keep([record for record in batch if record.id in there])
            except (SpoolError, OSError) as error:
                self._no_copy(error)
        self._spool.settle(settlement)

    async def _hold_back(self, size_bytes: int) -> None:
        """History yields to calls and to the hour's limit, but no longer than HELD_BACK_MAX_S for each batch."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HELD_BACK_MAX_S):
                await self._pace(size_bytes)

    def _next(self) -> tuple[list[RecordText], bool]:
        """The next batch, and whether it is history. Every second one is of the newest records, if any of those wait; so
        neither they nor the history behind them ever wait for the other."""
        newest = records.NEWEST_RECORDS if self._newest_first else 0
        self._newest_first = not self._newest_first
        batch = records.choose(self._spool.waiting(self._limit, newest=newest), self._limit)
        newest_from = self._spool.chain().next_seq - records.NEWEST_RECORDS
        return batch, len(batch) == self._limit and all(record.seq < newest_from for record in batch)

    async def _find_place(self) -> int:
        """A new or repaired spool learns from the centre where the site's sequence goes on; gives how many records came
        nearer to their numbers. What has its number may be sent before the next ones get theirs."""
        chain = await asyncio.to_thread(self._spool.chain)
        if not chain.unsure_from:
            return 0
        if not await asyncio.to_thread(lambda: self._spool.rechaining):
            known = await self._cloud.enrolment()
            next_seq, last_hash = await asyncio.to_thread(
                self._behind_copies, known.next_seq, known.last_hash
            )
            await asyncio.to_thread(self._spool.begin_rechain, next_seq, last_hash)
        return await asyncio.to_thread(self._spool.rechain_some)

    def _behind_copies(self, next_seq: int, last_hash: str) -> tuple[int, str]:
        """Where the sequence goes on: where the centre says, or behind what it once acknowledged, if it was set back since: those
        numbers are given, and come to it again from the copies."""
        try:
            last = self._copies.last() if self._copies is not None else None
        except (SpoolError, OSError):
            last = None
        return (
            (last.seq + 1, last.hash) if last is not None and last.seq >= next_seq else (next_seq, last_hash)
        )

    async def _unfit(self, batch: list[RecordText], error: CloudRefused) -> None:
        """Narrow down to the record that the centre cannot take, and park that one."""
        if error.status not in _UNFIT_STATUS:
            raise error
        if len(batch) > 1:
            self._limit = records.smaller(len(batch))
            return
        await asyncio.to_thread(self._spool.settle, Settlement((), {batch[0].id: error.key}))
        self.counters.parked += 1
        self._limit = BATCH_RECORDS_MAX
