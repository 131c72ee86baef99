"""Site documents: validated as a whole, numbered upwards only, signed, handed out, and what boxes say of them."""

import json

from sqlalchemy import Connection

from appliance import site as site_document
from appliance.errors import KyusaiError
from appliance.local_change import State
from cloudsync.service import prompts
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.store import audit, boxes, changes, configs, sites
from cloudsync.wire import ConfigState, Envelope, Json, canonical_json, reasons_from, reasons_kept


def publish(
    centre: Centre, text: str | bytes, actor: str
) -> tuple[Envelope, tuple[site_document.SiteProblem, ...]]:
    """Validate, number, sign and store a site document; gives the envelope and the document's warnings.

    Filled in here: `version` (one above any that the store or a box knows), `recording.recipients`, if the document
    names none or a retired one, and `local_changes`: those of the site's boxes that were decided on. Raises
    `appliance.site.SiteInvalid` with all problems, recordings that nobody stored among them, NotFound
    `site.unknown`, KyusaiError `site.other_tenant`; nothing is stored then.
    """
    document = _decode(text)
    with centre.database.write() as connection:
        configs.lock(connection)
        return publish_within(connection, centre, document, actor, {})


def publish_within(
    connection: Connection, centre: Centre, document: Json, actor: str, why: dict[str, Json]
) -> tuple[Envelope, tuple[site_document.SiteProblem, ...]]:
    """`publish` of a decoded document in the caller's transaction, which holds `configs.lock`; changes `document`.

    why: kept in the audit trail beside the version.
    """
    site_id = _site_id(document)
    now_utc = centre.now_utc()
    if site_id is not None:
        known = require_site(sites.find(connection, site_id), site_id)
        document["version"] = configs.highest_seen(connection, site_id) + 1
        retired = sites.retired_recipients(connection, known.tenant_id)
        _fill_recipients(document, sites.recipients(connection, known.tenant_id), retired)
        _fill_decisions(connection, document, site_id)
    parsed = site_document.parse(document)
    known = require_site(sites.find(connection, parsed.id), parsed.id)
    if parsed.tenant != known.tenant_id:
        raise KyusaiError(
            "site.other_tenant",
            f"$.site.tenant: {parsed.tenant!r}, but the site belongs to {known.tenant_id!r}",
            "Correct the document; a site cannot change its tenant.",
            tenant=parsed.tenant,
            known=known.tenant_id,
        )
    prompts.require_stored(centre.blobs, known.tenant_id, parsed.media.prompts)
    envelope = centre.keys.sign_document(canonical_json(document), parsed.version)
    configs.add(connection, parsed.id, envelope, now_utc)
    audit.add(connection, now_utc, actor, "site.publish", parsed.id, version=parsed.version, **why)
    return envelope, parsed.warnings + _strange_recipients(connection, document, known.tenant_id)


def newest(centre: Centre, site_id: str, have: int) -> Envelope | None:
    """The site's newest document if it is above `have`, signed by the key that signs now: a box may have forgotten
    the one it was published with."""
    with centre.database.read() as connection:
        envelope = configs.newest(connection, site_id, above=have)
    return None if envelope is None else centre.keys.renewed(envelope)


def report(centre: Centre, who: BoxIdentity, version: int, state: ConfigState, problems: list[Json]) -> None:
    """Keep what became of a version on the box."""
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        told = boxes.Configured(
            who.box_id, version, state, canonical_json(reasons_kept(reasons_from(problems)))
        )
        boxes.configured_all(connection, [told], now_utc)
        audit.add(connection, now_utc, f"box:{who.box_id}", f"config.{state}", who.site_id, version=version)


def last_serial(centre: Centre) -> int:
    """Counts publishes of all sites; also those of other processes."""
    with centre.database.read() as connection:
        return configs.last_serial(connection)


def versions_since(centre: Centre, serial: int) -> dict[str, int]:
    """The newest version of each site that got one after publish number `serial`."""
    with centre.database.read() as connection:
        return configs.versions_since(connection, serial)


def _decode(text: str | bytes) -> Json:
    """The decoded document. Raises SiteInvalid when the text itself is at fault, duplicates of names included."""
    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        site_document.loads(text)
        raise


def _without_doubles(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return table


def _site_id(document: Json) -> str | None:
    own = document.get("site") if isinstance(document, dict) else None
    site_id = own.get("id") if isinstance(own, dict) else None
    return site_id if isinstance(site_id, str) and site_id else None


def _fill_decisions(connection: Connection, document: dict[str, Json], site_id: str) -> None:
    """What boxes still have to hear: they drop a change with the version that names it. Nothing where there is none, for
    boxes of before."""
    document.pop("local_changes", None)
    decided = {
        state.value: found
        for state in (State.MERGED, State.REFUSED)
        if (found := changes.undelivered(connection, site_id, state.value))
    }
    if decided:
        document["local_changes"] = decided


def _strange_recipients(
    connection: Connection, document: Json, tenant_id: str
) -> tuple[site_document.SiteProblem, ...]:
    """The warning that this tenant will not be able to hear its own recordings, as where a document was copied."""
    named, known = document["recording"]["recipients"], sites.recipients(connection, tenant_id)
    if not set(named).isdisjoint(known):
        return ()
    values = {"named": ", ".join(named), "tenant": tenant_id, "known": ", ".join(known)}
    return (
        site_document.SiteProblem(
            "$.recording.recipients",
            "site.strange_recipients",
            "recordings are encrypted to {named}, and none of these is a key of the tenant {tenant}".format(
                **values
            ),
            "Whoever has that private key alone can play them. Leave the field out, and the tenant's own keys are filled "
            "in: {known}.".format(**values),
            values,
        ),
    )


def _fill_recipients(document: dict[str, Json], recipients: tuple[str, ...], retired: frozenset[str]) -> None:
    """The tenant's recipients where the document names none, or one that was retired."""
    recording = document.setdefault("recording", {})
    if not isinstance(recording, dict):
        return
    named = recording.get("recipients")
    if not named or (isinstance(named, list) and not retired.isdisjoint(map(str, named))):
        recording["recipients"] = list(recipients)
