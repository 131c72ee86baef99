"""The figures that a site's boxes recorded over time, from the store."""

import json
from typing import Any

from cloudsync.series import Point, points
from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.store import records, sites
from cloudsync.wire import RecordKind


def read(centre: Centre, site_id: str, limit: int) -> list[Point]:
    """The newest `limit` points of a site, oldest first. Raises NotFound `site.unknown`. Blocks."""
    with centre.database.read() as connection:
        require_site(sites.find(connection, site_id), site_id)
        rows = records.newest(connection, site_id=site_id, kinds=(RecordKind.STAT,), limit=limit)
    return points([_decoded(row) for row in rows])


def _decoded(row: dict[str, object]) -> dict[str, Any]:
    body = row["body"]
    return {**row, "body": json.loads(body) if isinstance(body, str | bytes) else body}
