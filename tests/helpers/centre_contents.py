"""A centre with something of everything in it, and what it holds as plain values, to compare two of them."""

import hashlib
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import pyrage

from appliance.local_change import Change
from cloudsync import wire
from cloudsync.clocks import Step
from cloudsync.service import audit_log
from cloudsync.service import recordings as recording_rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.attempts import failed
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish
from cloudsync.service.enrolment import make_code
from cloudsync.service.records import take
from cloudsync.service.sites import add_site
from cloudsync.store import changes, clocks, copying, sites
from tests.helpers.centre_box import ROOT, chain, random_bytes

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")


def fill(centre: Centre, records: int = 1200, recordings: int = 2) -> list[wire.Record]:
    """Sites, a document, a code, records, refused ones, recordings; gives the records."""
    for site in ("tokyo-1", "osaka-1"):
        add_site(centre, site, f"Site {site}", "acme", (), "admin:test")
    publish(centre, (ROOT / "tests/data/site.json").read_text("utf-8"), "admin:test")
    make_code(centre, "osaka-1", 1.0, "admin:test")
    failed(centre, "192.0.2.9")
    sent = chain(records)
    send(centre, sent)
    send(centre, chain(3, prefix="x"))
    for number in range(recordings):
        store_recording(centre, f"rec-{number}")
    keep_beside(centre)
    return sent


def keep_beside(centre: Centre) -> None:
    """What the centre keeps beside records: a change made at a box, a clock that was set, a time that was corrected, seals."""
    change = Change(
        "5f0c3a19", "extensions[201].do_not_disturb", True, False, "sato", "line cut", "2026-11-21", 1, 1
    )
    told = clocks.Told(1, "2026-11", "cdr", "1970-01-01T00:02:00.000Z", centre.now_utc())
    with centre.database.write() as connection:
        changes.note(connection, *astuple(WHO), change, 9, centre.now_utc())
        clocks.add_step(connection, *astuple(WHO), "boot-1", Step(9, 2_000, 1_000, None))
        clocks.put(connection, WHO.site_id, [told], [clocks.Corrected(told, centre.now_utc(), "set")])
    audit_log.seal(centre)


def send(centre: Centre, records: list[wire.Record]) -> None:
    """Take records as from the box of WHO."""
    for begin in range(0, len(records), 500):
        raw = [asdict(record) for record in records[begin : begin + 500]]
        take(centre, WHO, wire.Batch(WHO.site_id, WHO.box_id, raw))


def store_recording(centre: Centre, recording_id: str) -> bytes:
    """Upload one; gives its audio."""
    audio = random_bytes(50_000, len(recording_id) + sum(recording_id.encode()))
    put_recording(centre, recording_id, audio)
    return audio


def put_recording(centre: Centre, recording_id: str, audio: bytes) -> None:
    """Upload this audio, encrypted to the tenant."""
    with centre.database.read() as connection:
        recipients = sites.recipients(connection, "acme")
    cipher = pyrage.encrypt(audio, [pyrage.x25519.Recipient.from_str(one) for one in recipients])
    offer = wire.RecordingOffer(
        id=recording_id,
        call="call-1",
        sha256=hashlib.sha256(audio).hexdigest(),
        cipher_sha256=hashlib.sha256(cipher).hexdigest(),
        bytes=len(cipher),
        started_utc="2026-11-21T00:00:00.000Z",
        duration_s=4.0,
        format="ogg/opus",
    )
    recording_rules.offer(centre, WHO, offer)
    part, known = recording_rules.open_part(centre, WHO, offer.id, 0)
    with part:
        recording_rules.append(part, known, cipher)
        recording_rules.acknowledge(centre, part, known)
    recording_rules.complete(centre, known)


def contents(centre: Centre) -> dict[str, Any]:
    """Every row of every table that is kept, but for the audit trail's last lines; and every recording's bytes."""
    with centre.database.read() as connection:
        found: dict[str, Any] = {
            table.name: [row for rows in copying.batches(connection, table) for row in rows]
            for table in copying.tables()
        }
    found["audit"] = [
        {**row, "serial": 0}
        for row in found["audit"]
        if row["action"] not in ("centre.move", "centre.restore")
    ]
    found["bytes"] = {}
    for row in found["recording"]:
        if row["state"] == "stored":
            with centre.blobs.open_whole(row["site_id"], row["id"], row["cipher_sha256"]) as file:
                found["bytes"][row["id"]] = hashlib.sha256(file.read()).hexdigest() == row["cipher_sha256"]
    return found


def altered_file(path: Path) -> None:
    """Flip one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
