"""A centre's store with thousands of enrolled boxes, made directly: by their codes it would take an hour."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from cloudsync import wire
from cloudsync.service.centre import Centre
from cloudsync.service.sites import add_site
from cloudsync.store import sites
from cloudsync.store.tables import audit, box, config_version, enrolment_code, site
from tests.bench.fleet_plan import Identity

TENANT = "fleet"
SAMPLE = Path(__file__).parents[1] / "data" / "site.json"
ROWS_AT_ONCE = 1000


def enrol_all(centre: Centre, count: int) -> None:
    """Sites and boxes 0 to count-1, each with its key and a published document of version 1."""
    add_site(centre, "fleet-first", "", TENANT, (), "bench")
    now_utc = centre.now_utc()
    everybody = [Identity(number) for number in range(count)]
    _add_sites(centre, everybody)
    for part in _parts(everybody):
        with centre.database.write() as connection:
            connection.execute(
                insert(box),
                [
                    {
                        "id": one.box_id,
                        "site_id": one.site_id,
                        "public_key": wire.to_base64(one.key.public_key().public_bytes_raw()),
                        "enrolled_utc": now_utc,
                        "key_utc": now_utc,
                        "versions": "{}",
                    }
                    for one in part
                ],
            )
    publish_all(centre, everybody, 1)


def offer_codes(centre: Centre, boxes: Sequence[Identity]) -> None:
    """Sites for boxes that have to enrol, each with its code."""
    _add_sites(centre, boxes)
    publish_all(centre, boxes, 1)
    with centre.database.write() as connection:
        connection.execute(
            insert(enrolment_code),
            [
                {
                    "code_sha256": hashlib.sha256(b"kyusai-code-v1\0" + one.code.encode()).hexdigest(),
                    "site_id": one.site_id,
                    "created_utc": centre.now_utc(),
                    "expires_utc": "9999-01-01T00:00:00.000Z",
                }
                for one in boxes
            ],
        )


def _add_sites(centre: Centre, boxes: Sequence[Identity]) -> None:
    now_utc = centre.now_utc()
    for part in _parts(boxes):
        with centre.database.write() as connection:
            connection.execute(
                insert(site),
                [
                    {"id": one.site_id, "tenant_id": TENANT, "name": one.site_id, "created_utc": now_utc}
                    for one in part
                ],
            )


def publish_all(centre: Centre, boxes: Sequence[Identity], version: int) -> None:
    """A new version for each, in one transaction as a ring of a rollout has it. Signing is done before it begins."""
    document = json.loads(SAMPLE.read_text("utf-8"))
    rows = []
    with centre.database.read() as connection:
        document["recording"]["recipients"] = list(sites.recipients(connection, TENANT))
    document["site"]["tenant"], document["version"] = TENANT, version
    for one in boxes:
        document["site"]["id"] = one.site_id
        envelope = centre.keys.sign_document(wire.canonical_json(document), version)
        rows.append(
            {
                "site_id": one.site_id,
                "version": version,
                "document": envelope.document,
                "key_id": envelope.key_id,
                "signature": envelope.signature,
                "published_utc": centre.now_utc(),
            }
        )
    with centre.database.write() as connection:
        for part in _parts(rows):
            connection.execute(insert(config_version), part)
            connection.execute(
                insert(audit),
                [
                    {
                        "at_utc": row["published_utc"],
                        "actor": "bench",
                        "action": "site.publish",
                        "subject": row["site_id"],
                        "detail": "{}",
                    }
                    for row in part
                ],
            )


def _parts(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(rows), ROWS_AT_ONCE)]
