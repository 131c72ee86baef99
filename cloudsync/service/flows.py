"""Call flows of a site's newest document, looked at and edited at the centre: every edit is a new version, checked as a whole."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance import site as site_document
from appliance.document_diff import Difference, differences
from cloudsync.refusals import NotFound
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish_within
from cloudsync.service.sites import require_site
from cloudsync.store import configs, sites

Edit = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit came to. before, after: versions; after is 0 when nothing was published: the edit changes nothing, or was
    only tried."""

    before: int
    after: int
    found: list[Difference]


def document(centre: Centre, site_id: str) -> dict[str, Any]:
    """The site's newest document. Raises NotFound `site.unknown`, `site.no_version`."""
    with centre.database.read() as connection:
        return _newest(connection, site_id)


def edit(centre: Centre, site_id: str, change: Edit, actor: str, *, dry_run: bool = False) -> Edited:
    """Publish the newest document as `change` makes it; nobody else publishes in between. Raises as
    `configuration.publish`, NotFound `site.no_version`, and what `change` raises."""
    with centre.database.write() as connection:
        configs.lock(connection)
        first = _newest(connection, site_id)
        second = change(first)
        found = differences(first, second)
        if not found or dry_run:
            site_document.parse(second)
            return Edited(int(first["version"]), 0, found)
        envelope, _ = publish_within(connection, centre, second, actor, {"edited": "flows"})
        return Edited(int(first["version"]), envelope.version, found)


def _newest(connection: Any, site_id: str) -> dict[str, Any]:
    require_site(sites.find(connection, site_id), site_id)
    envelope = configs.newest(connection, site_id)
    if envelope is None:
        raise NotFound(
            "site.no_version",
            f"{site_id!r} has no published document yet",
            "Publish one with kyusai centre site publish.",
            site=site_id,
            version=0,
        )
    found: dict[str, Any] = json.loads(envelope.document)
    return found
