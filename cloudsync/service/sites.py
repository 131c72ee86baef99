"""Sites and tenants: adding them, and what an administrator sees of each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import KyusaiError
from cloudsync import sealing
from cloudsync.drift import Standing, Told, Wanted, drift
from cloudsync.refusals import NotFound
from cloudsync.service.centre import Centre
from cloudsync.store import audit, boxes, changes, overview, sites
from cloudsync.wire import SILENT_AFTER_S, AtRest, Json, Reason, is_id, parse_utc, reasons_from

EXPOSED = frozenset({AtRest.NONE.value, AtRest.UNKNOWN.value, ""})
"""What a box may have told of its disk without its being protected for sure."""
_KINDS = frozenset({"", *(kind.value for kind in AtRest)})


@dataclass(frozen=True, slots=True)
class BoxView:
    """A box as shown to people. `state`: online, silent, new or revoked. config_problems: what it found wrong with the
    version that it told of last, in English; config_reasons: the same for every language. running_version …
    standing_since_utc: see `cloudsync.drift`. cloned_utc: since when two boxes speak in its name; seen_at: addresses, the
    newest first, each with the start of its boot id. disk_encryption: of `AtRest`, as its last heartbeat said; "" when it
    said nothing (an older release, or none yet). audio_encryption: the same of where it keeps what people say before that is
    encrypted."""

    id: str
    state: str
    last_seen_utc: str | None
    config_version: int | None
    config_state: str | None
    config_problems: tuple[str, ...] = ()
    config_reasons: tuple[Reason, ...] = ()
    running_version: int | None = None
    wanted_version: int = 0
    standing: str = Standing.UNKNOWN.value
    standing_since_utc: str = ""
    cloned_utc: str | None = None
    seen_at: tuple[str, ...] = ()
    disk_encryption: str = ""
    audio_encryption: str = ""

    @property
    def exposed(self) -> bool:
        """Whether somebody who takes its disk may read it: it is not known to be encrypted, and the box is not shut out."""
        return self.state != "revoked" and self.disk_encryption in EXPOSED


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site as shown to people: configuration, completeness of records, recordings, boxes. local_changes: made at its
    boxes, waiting for somebody's decision. records_given_up: by its boxes, before they came."""

    id: str
    name: str
    tenant: str
    version: int
    records: int
    records_missing: int
    records_refused: int
    recordings: int
    recordings_bytes: int
    boxes: tuple[BoxView, ...]
    local_changes: int = 0
    records_given_up: int = 0


def add_site(
    centre: Centre,
    site_id: str,
    name: str,
    tenant_id: str,
    recipients: Sequence[str],
    actor: str,
    hand: sealing.Hand | None = None,
) -> tuple[str, ...]:
    """Add a site, its tenant if new, and keys for the tenant's recordings; gives the tenant's recipients.

    `recipients`: age recipients that the tenant brings; without any, and for a tenant that has none yet, the
    centre makes a key pair and hands its identity over (hand; None: into the centre's own folder).
    Raises KyusaiError `site.bad_id`, `site.exists`, `site.bad_recipient`.
    """
    for what, value in (("site", site_id), ("tenant", tenant_id)):
        if not is_id(value):
            raise KyusaiError(
                "site.bad_id",
                f"{what} id {value!r}: letters, digits, '.', '_' and '-', at most 63, a letter or digit first",
                "Choose a short name such as tokyo-1.",
                what=what,
                value=value,
            )
    for recipient in recipients:
        if not sealing.is_recipient(recipient):
            raise KyusaiError(
                "site.bad_recipient",
                f"{recipient!r} is not an age recipient",
                "It begins with age1; `age-keygen` prints it as the public key.",
                value=recipient,
            )
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        sites.add_tenant(connection, tenant_id, now_utc)
        if not sites.add(connection, sites.Site(site_id, tenant_id, name or site_id, now_utc)):
            raise KyusaiError(
                "site.exists", f"site {site_id!r} is there already", "Choose another id.", site=site_id
            )
        for recipient in recipients:
            sites.add_recipient(connection, tenant_id, recipient, now_utc)
        if not sites.recipients(connection, tenant_id):
            made = sealing.make_identity(
                hand or sealing.into_folder(centre.layout.tenant_keys_dir(tenant_id))
            )
            sites.add_recipient(connection, tenant_id, made, now_utc)
        audit.add(connection, now_utc, actor, "site.add", site_id, tenant=tenant_id)
        return sites.recipients(connection, tenant_id)


def list_sites(centre: Centre) -> list[SiteView]:
    """Every site, by id."""
    now = centre.clock()
    silent_before = now.timestamp() - SILENT_AFTER_S
    views = []
    with centre.database.read() as connection:
        versions = overview.newest_versions(connection)
        ledgers = overview.ledgers(connection)
        stored = overview.recordings(connection)
        refused = overview.refused_counts(connection)
        of_site = overview.boxes_by_site(connection)
        undecided = changes.undecided_counts(connection)
        for site in sites.every(connection):
            wanted = Wanted(*versions.get(site.id, (0, "")))
            ledger = ledgers.get(site.id)
            count, size_bytes = stored.get(site.id, (0, 0))
            views.append(
                SiteView(
                    id=site.id,
                    name=site.name,
                    tenant=site.tenant_id,
                    version=wanted.version,
                    records=ledger.received if ledger else 0,
                    records_missing=ledger.missing if ledger else 0,
                    records_refused=refused.get(site.id, 0),
                    recordings=count,
                    recordings_bytes=size_bytes,
                    boxes=tuple(_view(box, silent_before, wanted) for box in of_site.get(site.id, ())),
                    local_changes=undecided.get(site.id, 0),
                    records_given_up=ledger.given_up if ledger else 0,
                )
            )
    return views


def _view(box: boxes.Box, silent_before: float, wanted: Wanted) -> BoxView:
    if box.revoked_utc is not None:
        state = "revoked"
    elif box.last_seen_utc is None:
        state = "new"
    else:
        state = "silent" if parse_utc(box.last_seen_utc).timestamp() < silent_before else "online"
    reasons = reasons_from(json.loads(box.config_problems or "[]"))
    last = _last_told(box)
    told = Told(_running_version(last), box.config_version, box.config_state, box.config_reported_utc)
    stands = drift(wanted, told)
    return BoxView(
        id=box.id,
        state=state,
        last_seen_utc=box.last_seen_utc,
        config_version=box.config_version,
        config_state=box.config_state,
        config_problems=tuple(map(str, reasons)),
        config_reasons=reasons,
        running_version=stands.running,
        wanted_version=stands.wanted,
        standing=stands.standing.value,
        standing_since_utc=stands.since_utc,
        cloned_utc=box.cloned_utc,
        seen_at=tuple(f"{one['address']} ({one['boot']})" for one in json.loads(box.seen_at or "[]")),
        disk_encryption=_kind(last, "disk_encryption"),
        audio_encryption=_kind(last, "audio_encryption"),
    )


def _last_told(box: boxes.Box) -> dict[str, Json]:
    """The last heartbeat; nothing where there was none."""
    telemetry = json.loads(box.telemetry or "{}")
    return telemetry if isinstance(telemetry, dict) else {}


def _kind(told: dict[str, Json], name: str) -> str:
    """A word of `AtRest`, or "" for nothing. A word that this centre does not know claims nothing here."""
    kind = told.get(name, "")
    return kind if isinstance(kind, str) and kind in _KINDS else AtRest.UNKNOWN.value


def _running_version(told: dict[str, Json]) -> int | None:
    """None when it said nothing usable."""
    config = told.get("config")
    version = config.get("version") if isinstance(config, dict) else None
    return version if isinstance(version, int) else None


def revoke_box(centre: Centre, box_id: str, actor: str) -> None:
    """Shut a box out: its next request is refused. Raises NotFound `box.unknown`. Revoking twice is fine."""
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        if boxes.find(connection, box_id) is None:
            raise NotFound(
                "box.unknown", f"no box {box_id!r} here", "`kyusai sites` lists the boxes.", box=box_id
            )
        boxes.revoke(connection, box_id, now_utc)
        audit.add(connection, now_utc, actor, "box.revoke", box_id)


def require_site(site: sites.Site | None, site_id: str) -> sites.Site:
    """The site; raises NotFound `site.unknown` for None."""
    if site is None:
        raise NotFound(
            "site.unknown", f"no site {site_id!r} here", "`kyusai sites` lists the sites.", site=site_id
        )
    return site
