"""A centre that lacks records which it once acknowledged (it was restored from a backup) gets them again from the copies here.

Looked at whenever nothing waits and the centre's receipt is short of what this box has numbered. Records that are put back wait
like any other, under their own numbers and hashes; the centre knows those that it holds after all.
"""

import asyncio
from collections.abc import Callable

from agent.acknowledged import Acknowledged
from agent.cdr_fields import event_id
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudRefused
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import Spool
from agent.spool_chain import Chain
from cloudsync.wire import MISSING_RUNS_MAX, LedgerReceipt, Priority, RecordKind

PAGES_MAX = 100
"""Answers that are asked for in one look: a hundred thousand holes. What is behind them is found when these are closed."""
_NOT_FOUND = 404

Runs = list[tuple[int, int]]


class SentAgain:
    """One look after the other. count: records put back since the agent started. told: called with how many were."""

    def __init__(
        self,
        spool: Spool,
        copies: Acknowledged,
        cloud: CloudClient,
        now: Callable[[], Moment],
        told: Callable[[int], object] = lambda _count: None,
    ) -> None:
        self._spool = spool
        self._copies = copies
        self._cloud = cloud
        self._now = now
        self._told = told
        self._in_vain: Runs = []
        self.count = 0

    async def look(self, receipt: LedgerReceipt, chain: Chain) -> None:
        """Put back what the centre lacks by this receipt and is kept here. Raises CloudError, SpoolError."""
        own_seq = chain.next_seq - 1
        if receipt.complete and receipt.seq >= own_seq:
            return
        runs = [] if receipt.complete else await self._missing()
        if receipt.seq < own_seq:
            runs.append((receipt.seq + 1, own_seq))
        if runs == self._in_vain:  # nothing has come to the copies since that is not at the centre
            return
        count = await asyncio.to_thread(self._put_back, runs, receipt.site_id)
        self._in_vain = [] if count else runs
        if count:
            self.count += count
            self._told(count)

    async def _missing(self) -> Runs:
        runs: Runs = []
        for _ in range(PAGES_MAX):
            try:
                found = await self._cloud.missing(runs[-1][1] if runs else 0)
            except CloudRefused as error:
                if error.status != _NOT_FOUND:
                    raise
                break  # a centre that is older than this question
            runs += found.runs
            if len(found.runs) < MISSING_RUNS_MAX:
                break
        return runs

    def _put_back(self, runs: Runs, site_id: str) -> int:
        count, first, last = 0, 0, 0
        for records in self._copies.find(runs):
            back = self._spool.put_back(records)
            if back:
                count += len(back)
                first, last = min(first or back[0], *back), max(last, *back)
        if count:
            now = self._now()
            id_ = event_id(
                site_id, "", "records_sent_again", f"{first}-{last}", now.boot_id, str(now.mono_ms)
            )
            body = {"event": "records_sent_again", "count": count, "first_seq": first, "last_seq": last}
            self._spool.append(
                [NewRecord(id_, RecordKind.EVENT, Priority.REST, now.wall_ms, now.boot_id, body)]
            )
        return count
