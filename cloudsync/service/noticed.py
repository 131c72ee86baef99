"""What the centre keeps of some records beside them, in the transaction that stores them: changes made at boxes, clocks
that were wrong, records that a box gave up, voicemail messages that are told by mail, classes of recordings. Called for every
batch, so it reads few bodies."""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloudsync.merge import Sound
from cloudsync.service import changes, clocks, given_up, retention, voicemails
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.plausible import plausible
from cloudsync.wire import RecordKind

_CHANGE = f'"event":"{changes.EVENT}"'
"""As it stands in canonical JSON."""
_CDR, _EVENT = str(RecordKind.CDR), str(RecordKind.EVENT)


def notice(
    connection: Connection, centre: Centre, who: BoxIdentity, stored: Iterable[Sound], now_utc: str
) -> None:
    """Take note of what was stored just now."""
    early, late = plausible(now_utc)
    doubted: set[str] = set()
    was_set: dict[str, bool] = {}  # whether the clock was set, for boots that were asked for
    for item in stored:
        if not early <= item.created_utc <= late:
            doubted.add(item.boot_id)
        if item.kind == _CDR:
            if was_set.get(item.boot_id, True) and clocks.may_be_by_two_clocks(item):
                if item.boot_id not in was_set:
                    was_set[item.boot_id] = clocks.was_set(connection, who, item.boot_id)
                if was_set[item.boot_id] and clocks.by_two_clocks(item):
                    doubted.add(item.boot_id)
            if retention.told_in(item.body):
                retention.notice(connection, centre, who, item)
            continue
        if item.kind != _EVENT:
            continue
        if _CHANGE in item.body:
            changes.notice(connection, who, item, now_utc)
        elif voicemails.MARK in item.body:
            voicemails.notice(connection, centre, who, item)
        elif clocks.MARK in item.body and clocks.notice(connection, who, item, now_utc):
            doubted.add(item.boot_id)
        elif given_up.MARK in item.body:
            given_up.notice(connection, who, item, now_utc)
    if doubted:
        clocks.doubt(connection, centre, who, doubted)
