"""Heartbeats: the newest word of each box is kept, and answered with what the box should know.

They are taken many at a time, in one transaction. A box whose lease was renewed by another one is marked as cloned, with the
addresses that speak in its name. Neither is refused: a person decides which is the real one and enrols it with a new key.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloudsync.lease import CHANCE_BYTES, Lease, Verdict, judge, renewed
from cloudsync.refusals import Refused
from cloudsync.service import box_keys
from cloudsync.service.access import BoxIdentity, identify_within
from cloudsync.service.centre import Centre
from cloudsync.store import audit, boxes, configs
from cloudsync.store.boxes import Standing
from cloudsync.wire import Json, canonical_json, format_utc, parse_utc

SEEN_MAX = 4
"""Places kept that a box was last seen at: two clones, and where each was before."""
BOOT_CHARACTERS = 8
"""Of a boot id, beside the address: clones behind one NAT have one address."""
LEASE_PATTERN = r"[A-Za-z0-9+/=]{0,64}"
_NO_LEASE = "?"
"""Kept instead of what cannot be a lease: it is nobody's, and safe to store."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat. text: its body, JSON; told: the same, decoded; source: the address it came from."""

    text: str
    told: dict[str, Json]
    source: str


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """key_id: of the key that signs now. lease: what the box shows next time, None for a box that shows none.
    cloned: somebody has to look. rotate_key: the box is to make a new key."""

    server_time_utc: str
    config_version: int
    key_id: str
    lease: str | None
    cloned: bool
    rotate_key: bool


def heartbeats(centre: Centre, beats: Sequence[tuple[str, Beat]]) -> list[HeartbeatAnswer | Refused]:
    """Keep what boxes tell. beats: each with its access token. The answers are in the same order; Refused as
    `access.identify` raises it."""
    now = centre.clock()
    with centre.database.write() as connection:
        known = identify_within(connection, [token for token, _ in beats], format_utc(now))
        taken = [
            (who, beat) for who, (_, beat) in zip(known, beats, strict=True) if isinstance(who, BoxIdentity)
        ]
        answers = iter(_keep(connection, centre, taken, now)) if taken else iter(())
    return [next(answers) if isinstance(who, BoxIdentity) else who for who in known]


def heartbeat(centre: Centre, who: BoxIdentity, told: dict[str, Json], source: str) -> HeartbeatAnswer:
    """Keep the telemetry of one box."""
    with centre.database.write() as connection:
        beat = Beat(canonical_json(told), told, source)
        return _keep(connection, centre, [(who, beat)], centre.clock())[0]


def _keep(
    connection: Connection, centre: Centre, beats: Sequence[tuple[BoxIdentity, Beat]], now: datetime
) -> list[HeartbeatAnswer]:
    now_utc = format_utc(now)
    boxes.saw_all(connection, {who.box_id: beat.text for who, beat in beats}, now_utc)
    standings = boxes.standings(
        connection, {who.box_id for who, _ in beats}
    )  # after the update: rows are locked
    versions = configs.newest_versions(connection, {who.site_id for who, _ in beats})
    key_id = centre.keys.newest_id
    renewed: dict[str, Standing] = {}
    answers = []
    for who, beat in beats:
        box = standings[who.box_id]
        if _renew(connection, centre, box, beat, now):
            renewed[box.id] = box
        answers.append(
            HeartbeatAnswer(
                now_utc,
                versions.get(who.site_id, 0),
                key_id,
                box.lease if isinstance(beat.told.get("lease"), str) else None,
                box.cloned_utc is not None,
                box_keys.is_wanted(box, now),
            )
        )
    if renewed:
        boxes.lease_all(connection, renewed.values())
    return answers


def _renew(connection: Connection, centre: Centre, box: Standing, beat: Beat, now: datetime) -> bool:
    """Judge the lease that is shown, and change `box` if there is a new one; whether there is."""
    shown = beat.told.get("lease")
    if not isinstance(shown, str):
        return False
    if re.fullmatch(LEASE_PATTERN, shown) is None:
        shown = _NO_LEASE
    age_s = (now - parse_utc(box.lease_utc)).total_seconds() if box.lease_utc else 0.0
    held = Lease(box.lease or "", box.lease_before or "", age_s)
    verdict = judge(held, shown)
    if verdict is Verdict.KEEP:
        return False
    now_utc = format_utc(now)
    boot = str(beat.told.get("boot_id") or "")[:BOOT_CHARACTERS]
    box.lease = renewed(held, shown, centre.random(CHANCE_BYTES))
    box.lease_before, box.lease_utc = shown, now_utc
    box.seen_at = canonical_json(_seen(box.seen_at, beat.source, boot, now_utc))
    if verdict is Verdict.FORKED and box.cloned_utc is None:
        box.cloned_utc = now_utc
        audit.add(connection, now_utc, f"box:{box.id}", "box.cloned", box.site_id, seen_at=box.seen_at)
    return True


def _seen(before: str | None, source: str, boot: str, now_utc: str) -> list[Json]:
    """The places that the box was seen at, the newest first."""
    others = [
        one for one in json.loads(before or "[]") if (one.get("address"), one.get("boot")) != (source, boot)
    ]
    return [{"address": source, "boot": boot, "utc": now_utc}, *others][:SEEN_MAX]
