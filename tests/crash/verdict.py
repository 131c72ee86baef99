"""What the centre holds after a run, against what the box was told that it would: lost, doubled, corrupt, stuck.

Stuck is what is whole and not where it belongs: the box still has it, and a person would have to look. What is at neither side,
or no longer whole, is lost or corrupt, also when the box says so itself.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync.service.centre import Centre, open_centre
from cloudsync.store import recordings
from cloudsync.store import records as store
from cloudsync.wire import Refusal
from tests.crash import workload
from tests.crash.plan import Side

if TYPE_CHECKING:
    from tests.crash.run import Story

ROWS_MAX = 10_000
SENT_AGAIN = "records_sent_again"
"""A box tells so of records that it sent again from its copies (`agent.sent_again`); no backup of a centre is restored here."""
REFUSALS = (*Refusal, "recording.", "body.", "centre.")
"""How reasons begin that are the centre's words: the box still has what it refused."""


@dataclass(slots=True)
class Verdict:
    """Faults of one run, in words."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not (self.caught or self.stuck)

    @property
    def caught(self) -> bool:
        """Whether a promise was broken for good, which nobody's patience mends."""
        return bool(self.lost or self.doubled or self.corrupt)


@dataclass(frozen=True, slots=True)
class Parked:
    """What the box has parked at the end, by id. calls: how many of them are calls' records; spoilt: ids of what the box cannot
    give away any more, with the reason."""

    ids: frozenset[str]
    calls: int
    records: int
    spoilt: dict[str, str]

    @classmethod
    def of(cls, rows: list[list[str]]) -> "Parked":
        """From what the box said: (id, kind, reason) of records, (id, reason) of recordings."""
        spoilt = {row[0]: row[-1] for row in rows if not row[-1].startswith(REFUSALS)}
        whole = [row for row in rows if row[0] not in spoilt and len(row) == 3]
        return cls(
            ids=frozenset(row[0] for row in rows),
            calls=sum(row[1] == "cdr" for row in whole),
            records=len(whole),
            spoilt=spoilt,
        )


def judge(story: "Story", folder: Path) -> Verdict:
    """Look at everything. The processes have ended."""
    verdict = Verdict()
    verdict.corrupt += [f"spool: {problem}" for problem in story.said("damaged")]
    verdict.corrupt += [f"receipt: {problem}" for problem in set(story.said("receipt"))]
    parked = Parked.of([row for rows in story.said("parked") for row in rows])
    verdict.corrupt += [f"{id_}: {reason}" for id_, reason in parked.spoilt.items()]
    verdict.stuck += [f"parked: {id_}" for id_ in sorted(parked.ids - set(parked.spoilt))]
    verdict.stuck += story.said("failed")
    if not story.said("drained"):  # nothing is lost that may still be at the box
        verdict.stuck.append(f"not drained; errors: {Counter(story.said('error')).most_common(3)}")
        return verdict
    centre = open_centre(folder / Side.CENTRE)
    try:
        _records(centre, story, verdict, parked)
        _recordings(centre, story, verdict, parked)
    finally:
        centre.close()
    return verdict


def _records(centre: Centre, story: "Story", verdict: Verdict, parked: Parked) -> None:
    with centre.database.read() as connection:
        rows = store.newest(connection, site_id=workload.SITE, limit=ROWS_MAX)
        ledger = store.ledger(connection, workload.SITE)
        refused = store.refused(connection, site_id=workload.SITE, limit=10)
    bodies = [(str(row["kind"]), json.loads(str(row["body"]))) for row in rows]
    held = Counter(body["call_id"] for kind, body in bodies if kind == "cdr")
    texts = Counter(body["text"] for kind, body in bodies if kind == "event" and "text" in body)
    told = {
        workload.event_text(number, life)
        for number, life in story.said("event")
        if workload.event_id(number, life) not in parked.ids
    }
    verdict.lost += [f"call {call}" for call in sorted(workload.calls() - set(held))[parked.calls :]]
    verdict.lost += [text[:20] for text in sorted(told - set(texts))]
    again = [str(body) for kind, body in bodies if kind == "event" and body.get("event") == SENT_AGAIN]
    verdict.lost += again  # the box's copies mended it: the centre had lost what it had acknowledged
    verdict.doubled += [str(what)[:20] for what, count in (held + texts).items() if count > 1]
    possible = {workload.event_text(n, life) for n in range(workload.EVENTS) for life in range(20)}
    verdict.corrupt += [f"never said: {text[:40]}" for text in sorted(set(texts) - possible)]
    if ledger.missing > parked.records:
        verdict.lost.append(f"{ledger.missing - parked.records} numbers of 1..{ledger.last_seq}")
    verdict.stuck += [f"refused: {row['id']} {row['reason']}" for row in refused]


def _recordings(centre: Centre, story: "Story", verdict: Verdict, parked: Parked) -> None:
    with centre.database.read() as connection:
        rows = {row.id: row for row in recordings.newest(connection, site_id=workload.SITE, limit=ROWS_MAX)}
    for number in story.said("recording"):
        id_ = workload.recording_id(number)
        row = rows.get(id_)
        if id_ in parked.ids:
            continue
        if row is None or row.state != "stored":
            verdict.lost.append(f"{id_}: {row.state if row else 'unknown'}")
            continue
        try:
            data = centre.blobs.whole_path(workload.SITE, id_).read_bytes()
        except OSError:
            verdict.lost.append(f"{id_}: receipted and gone")
            continue
        made = {hashlib.sha256(workload.cipher(number, life)).hexdigest() for life in range(20)}
        digest = hashlib.sha256(data).hexdigest()
        if digest not in made or digest != row.cipher_sha256 or row.sha256 != workload.plain_sha256(number):
            verdict.corrupt.append(id_)
