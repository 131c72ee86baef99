"""Heartbeats: the newest word of each box is kept, and answered with what the box should know."""

from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import boxes, configs
from cloudsync.wire import Json, canonical_json


def heartbeat(centre: Centre, who: BoxIdentity, telemetry: dict[str, Json]) -> tuple[str, int]:
    """Keep the telemetry; gives the centre's time and the newest configuration version of the site."""
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        boxes.saw(connection, who.box_id, canonical_json(telemetry), now_utc)
        return now_utc, configs.newest_version(connection, who.site_id)
