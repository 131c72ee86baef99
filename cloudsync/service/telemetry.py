"""Heartbeats: the newest word of each box is kept, and answered with what the box should know.

A box whose lease was renewed by another one is marked as cloned, with the addresses that speak in its name. Neither is
refused: a person decides which is the real one and enrols it with a new key.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cloudsync.lease import Lease, Verdict, judge
from cloudsync.service import box_keys
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import audit, boxes, configs
from cloudsync.wire import Json, canonical_json, format_utc, parse_utc, to_base64

LEASE_BYTES = 16
SEEN_MAX = 4
"""Places kept that a box was last seen at: two clones, and where each was before."""
BOOT_CHARACTERS = 8
"""Of a boot id, beside the address: clones behind one NAT have one address."""


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """lease: what the box shows next time, None for a box that shows none. cloned: somebody has to look.
    rotate_key: the box is to make a new key."""

    server_time_utc: str
    config_version: int
    lease: str | None
    cloned: bool
    rotate_key: bool


def heartbeat(centre: Centre, who: BoxIdentity, telemetry: dict[str, Json], source: str) -> HeartbeatAnswer:
    """Keep the telemetry. source: the address it came from."""
    now = centre.clock()
    now_utc = format_utc(now)
    with centre.database.write() as connection:
        boxes.saw(connection, who.box_id, canonical_json(telemetry), now_utc)
        lease, cloned = _lease(connection, centre, who, telemetry, source, now)
        box = boxes.find(connection, who.box_id)
        wanted = box is not None and box_keys.is_wanted(box, now)
        version = configs.newest_version(connection, who.site_id)
    return HeartbeatAnswer(now_utc, version, lease, cloned, wanted)


def _lease(
    connection: Connection,
    centre: Centre,
    who: BoxIdentity,
    telemetry: dict[str, Json],
    source: str,
    now: datetime,
) -> tuple[str | None, bool]:
    shown, box = telemetry.get("lease"), boxes.find(connection, who.box_id)
    if box is None or not isinstance(shown, str):
        return None, False
    age_s = (now - parse_utc(box.lease_utc)).total_seconds() if box.lease_utc else 0.0
    verdict = judge(Lease(box.lease or "", box.lease_before or "", age_s), shown)
    if verdict is Verdict.KEEP:
        return box.lease, box.cloned_utc is not None
    now_utc = format_utc(now)
    new = to_base64(centre.random(LEASE_BYTES))
    boot = str(telemetry.get("boot_id") or "")[:BOOT_CHARACTERS]
    values = {
        "lease": new,
        "lease_before": shown,
        "lease_utc": now_utc,
        "seen_at": canonical_json(_seen(box.seen_at, source, boot, now_utc)),
    }
    if verdict is Verdict.FORKED and box.cloned_utc is None:
        values["cloned_utc"] = now_utc
        audit.add(
            connection, now_utc, f"box:{who.box_id}", "box.cloned", who.site_id, seen_at=values["seen_at"]
        )
    boxes.change(connection, who.box_id, values)
    return new, "cloned_utc" in values or box.cloned_utc is not None


def _seen(before: str | None, source: str, boot: str, now_utc: str) -> list[Json]:
    """The places that the box was seen at, the newest first."""
    others = [
        one for one in json.loads(before or "[]") if (one.get("address"), one.get("boot")) != (source, boot)
    ]
    return [{"address": source, "boot": boot, "utc": now_utc}, *others][:SEEN_MAX]
