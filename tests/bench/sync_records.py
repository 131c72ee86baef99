"""Call records as the agent makes them, from journal events of made-up calls: other numbers, times, routes and durations
in each, and Call-IDs as random as those of telephones. The same seed gives the same records.
"""

import random
import uuid
from collections.abc import Iterator

from agent.cdr import CallBook
from agent.cdr_fields import utc_text
from agent.journal_events import JournalEvent, Kind, Moment
from agent.records import NewRecord
from cloudsync.wire import GENESIS_HASH, Record, chain_record

WALL_MS = 1_790_000_000_000
BOOT = "0f8fad5b-d9cb-469f-a165-70867728950e"
BETWEEN_CALLS_MS = 2_592
"""A month of a million calls: one each 2.6 s."""
SETTLED_MS = 600_000
_CODECS = ("PCMU", "PCMA", "G722", "opus")


def made(site: str, box: str, count: int, seed: int = 1) -> Iterator[NewRecord]:
    """``count`` CDRs, one call after the other."""
    dice = random.Random(seed)
    book = CallBook(site, box)
    for number in range(count):
        begin_ms = 60_000 + number * BETWEEN_CALLS_MS
        for event in _call(dice, number, begin_ms):
            book.apply(event)
        now_ms = begin_ms + SETTLED_MS * 8
        yield from book.tick(_moment(now_ms), kamailio_alive=True)
        book.take_touched()


def chained(site: str, box: str, count: int, seed: int = 1) -> Iterator[Record]:
    """The same as links of the site's chain, from its beginning."""
    before = GENESIS_HASH
    for seq, new in enumerate(made(site, box, count, seed), start=1):
        record = chain_record(
            before,
            seq=seq,
            record_id=new.id,
            kind=str(new.kind),
            priority=new.priority,
            created_utc=utc_text(new.created_wall_ms),
            boot_id=new.boot_id,
            body=dict(new.body),
        )
        before = record.hash
        yield record


def _moment(mono_ms: int) -> Moment:
    return Moment(BOOT, mono_ms, WALL_MS + mono_ms)


def _call(dice: random.Random, number: int, begin_ms: int) -> list[JournalEvent]:
    """An extension calls a number outside or another extension; one in five is not answered."""
    call_id = f"{uuid.UUID(int=dice.getrandbits(128), version=4)}@192.0.2.{dice.randrange(20, 250)}"
    call = f"{call_id}#{dice.getrandbits(32):08x}"
    caller, inside = f"2{dice.randrange(100):02}", dice.random() < 0.4
    dialled = f"2{dice.randrange(100):02}" if inside else f"03{dice.randrange(10**8):08}"
    number_ = dialled if inside else f"+81{dialled[1:]}"
    ring_ms, talk_ms = dice.randrange(1_500, 20_000), int(dice.expovariate(1 / 120_000)) + 1_000
    answered, up = dice.random() < 0.8, dice.random() < 0.7

    def at(after_ms: int, what: Kind, /, **data: object) -> JournalEvent:
        return JournalEvent(number * 10, call, what, _moment(begin_ms + after_ms), data)

    events = [
        at(
            0,
            Kind.START,
            call_id=call_id,
            origin="phone",
            origin_id=caller,
            caller=caller,
            dialled=dialled,
            number=number_,
            kind="extension" if inside else "national",
            record=False,
            emergency=False,
            source=f"192.0.2.{dice.randrange(20, 250)}",
            link="UP" if up else "DOWN",
        )
    ]
    step = 0
    if up:
        events.append(
            at(1, Kind.STEP, index=0, kind="cloud", target="cloud", users=[dialled], reason="cloud_controls")
        )
        if dice.random() < 0.1:
            events.append(at(601, Kind.STEP_END, index=0, outcome="no_life", code=0))
            step = 1
    if not up or step:
        what = {"kind": "contacts", "target": ""} if inside else {"kind": "gateway", "target": "gw1"}
        reason = "cloud_silent" if step else "cloud_down"
        events.append(at(602, Kind.STEP, index=step, users=[dialled], reason=reason, **what))
    if answered:
        codec = dice.choice(_CODECS)
        events.append(at(ring_ms, Kind.ANSWER, index=step, code=200, user=dialled, codec=codec))
        by = dice.choice(("caller", "callee"))
        events.append(at(ring_ms + talk_ms, Kind.END, cause="normal_clearing", code=200, by=by))
    else:
        code, cause = dice.choice(((486, "user_busy"), (487, "originator_cancel"), (480, "no_answer")))
        events.append(at(ring_ms, Kind.STEP_END, index=step, outcome="busy", code=code))
        events.append(at(ring_ms, Kind.END, cause=cause, code=code, by="callee"))
    return events
