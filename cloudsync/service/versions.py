"""The versions of a site's document: going back to one on purpose, what differs between two, recording keys."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance.document_diff import Difference, differences
from appliance.errors import KyusaiError
from cloudsync import sealing
from cloudsync.refusals import NotFound
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish_within
from cloudsync.service.sites import require_site
from cloudsync.store import audit, configs, sites
from cloudsync.wire import Envelope, Json, KeyLink


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions and what leads from one to the other."""

    before: int
    after: int
    found: list[Difference]


def revert(centre: Centre, site_id: str, version: int, actor: str) -> Envelope:
    """Publish what `version` said as a new version: numbers only grow, so boxes take it as any other.

    Retired recording keys in it are replaced by those of now. Raises NotFound `site.unknown`, `site.no_version`, and
    what `configuration.publish` raises: an old document may break a newer rule.
    """
    with centre.database.write() as connection:
        configs.lock(connection)
        require_site(sites.find(connection, site_id), site_id)
        document = json.loads(_version(connection, site_id, version).document)
        envelope, _ = publish_within(connection, centre, document, actor, {"reverted_to": version})
    return envelope


def history(centre: Centre, site_id: str, limit: int) -> list[tuple[int, str]]:
    """Version and time of publishing, newest first. Raises NotFound `site.unknown`."""
    with centre.database.read() as connection:
        require_site(sites.find(connection, site_id), site_id)
        return configs.history(connection, site_id, limit)


def compare(centre: Centre, site_id: str, before: int, after: int) -> Compared:
    """What differs between two versions. 0 for `after`: the newest; 0 for `before`: the one published before `after`.

    Raises NotFound `site.unknown`, `site.no_version`.
    """
    with centre.database.read() as connection:
        require_site(sites.find(connection, site_id), site_id)
        after = after or configs.newest_version(connection, site_id)
        before = before or configs.version_before(connection, site_id, after)
        first, second = (json.loads(_version(connection, site_id, one).document) for one in (before, after))
    return Compared(before, after, differences(first, second))


def rotate_signing_key(centre: Centre, actor: str) -> KeyLink:
    """A new signing key, vouched for by the one before it; it signs from now on. Raises KyusaiError `keys.rotating`."""
    link = centre.keys.rotate()
    with centre.database.write() as connection:
        audit.add(
            connection, centre.now_utc(), actor, "keys.rotate", link.key_id, vouched_for_by=link.signed_by
        )
    return link


def rotate_recipient(
    centre: Centre, tenant_id: str, recipient: str, actor: str, hand: sealing.Hand | None = None
) -> tuple[str, list[str]]:
    """Encrypt the tenant's new recordings to another key; gives the recipient and the sites that were published anew.

    recipient: the tenant's own, or "" for a pair made here and handed over (hand; None: into the centre's own
    folder). What was encrypted to the old key stays readable with it.
    Raises NotFound `tenant.unknown`, KyusaiError `site.bad_recipient`.
    """
    if recipient and not sealing.is_recipient(recipient):
        raise KyusaiError(
            "site.bad_recipient",
            f"{recipient!r} is not an age recipient",
            "It begins with age1; `age-keygen` prints it as the public key.",
            value=recipient,
        )
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        configs.lock(connection)
        if not sites.tenant_exists(connection, tenant_id):
            raise NotFound(
                "tenant.unknown",
                f"no tenant {tenant_id!r} here",
                "`kyusai sites` shows them.",
                tenant=tenant_id,
            )
        new = recipient or sealing.make_identity(
            hand or sealing.into_folder(centre.layout.tenant_keys_dir(tenant_id))
        )
        sites.add_recipient(connection, tenant_id, new, now_utc)
        sites.retire_recipients(connection, tenant_id, new, now_utc)
        audit.add(connection, now_utc, actor, "recipients.rotate", tenant_id, recipient=new)
        renewed = [
            site.id
            for site in sites.every(connection)
            if site.tenant_id == tenant_id and _renew(connection, centre, site.id, actor)
        ]
    return new, renewed


def _renew(connection: Connection, centre: Centre, site_id: str, actor: str) -> bool:
    """Publish the site's newest document again if it names a retired recipient; False when it does not."""
    envelope = configs.newest(connection, site_id)
    document: Json = json.loads(envelope.document) if envelope else {}
    named = frozenset(document.get("recording", {}).get("recipients", ()))
    known = require_site(sites.find(connection, site_id), site_id)
    if named.isdisjoint(sites.retired_recipients(connection, known.tenant_id)):
        return False
    publish_within(connection, centre, document, actor, {"because": "recipients.rotate"})
    return True


def _version(connection: Connection, site_id: str, version: int) -> Envelope:
    envelope = configs.one(connection, site_id, version)
    if envelope is None:
        raise NotFound(
            "site.no_version",
            f"site {site_id!r} has no version {version}",
            "`kyusai centre site versions SITE` lists them.",
            site=site_id,
            version=version,
        )
    return envelope
