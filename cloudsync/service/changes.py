"""Changes that people made at boxes while the centre was out of reach: both sides are shown, and a person merges or refuses.

Either way the site gets a new version, which names the changes that were decided on; the box drops them in the same switch
with which it takes the version, so nothing is in between. Until then the box's value holds there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance.errors import KyusaiError
from appliance.local_change import Change, State, change_from
from appliance.overlay import Sides, applied, sides
from cloudsync.merge import Sound
from cloudsync.refusals import NotFound
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish_within
from cloudsync.service.sites import require_site
from cloudsync.store import audit, changes, configs, sites
from cloudsync.store.changes import Kept
from cloudsync.wire import Envelope, Json

EVENT = "local_change"
"""The event by which a box tells of a change and of each state that it comes to."""


@dataclass(frozen=True, slots=True)
class View:
    """A change beside the newest document. sides: see `appliance.overlay.Sides`; document: what that says of the field."""

    kept: Kept
    sides: Sides
    document: Json

    def as_json(self) -> dict[str, Json]:
        """For programs."""
        kept = self.kept
        return {
            "site": kept.site_id,
            "box": kept.box_id,
            **kept.change.as_json(),
            "sides": self.sides.value,
            "document": self.document,
            "told_utc": kept.told_utc,
            "decision": kept.decision,
            "decided_by": kept.decided_by,
            "decided_utc": kept.decided_utc,
            "decided_why": kept.decided_why,
            "decided_version": kept.decided_version,
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """The version that carries a decision, and the changes that it is about."""

    envelope: Envelope
    changes: tuple[Change, ...]


def notice(connection: Connection, who: BoxIdentity, item: Sound, now_utc: str) -> None:
    """Keep what a box's event says of a change, in the transaction that stores the event. One that cannot be read stays a
    record and is no more: it must not keep others out."""
    body = json.loads(item.body)
    try:
        change = change_from({name: value for name, value in body.items() if name != "event"})
    except ValueError:
        return
    if not changes.note(connection, who.site_id, who.box_id, change, item.seq, now_utc):
        return
    told = {
        name: getattr(change, name) for name in ("path", "value", "base", "by", "why", "made_utc", "reason")
    }
    audit.add(
        connection, now_utc, f"box:{who.box_id}", f"change.{change.state}", who.site_id, id=change.id, **told
    )


def view(centre: Centre, site_id: str = "", *, over: bool = False) -> list[View]:
    """The changes of a site, or of all, that are open at their boxes; with `over` all that are known. Raises NotFound
    `site.unknown`."""
    with centre.database.read() as connection:
        if site_id:
            require_site(sites.find(connection, site_id), site_id)
        found = changes.every(connection, site_id, still_open=not over)
        documents = {one.site_id: _newest(connection, one.site_id) for one in found}
    return [_view(one, documents[one.site_id]) for one in found]


def merge(
    centre: Centre, site_id: str, ids: Sequence[str], actor: str, why: str = "", *, overwrite: bool = False
) -> Decided:
    """Publish the newest document with changes in it; without ids, with all that wait. overwrite: also where the centre
    changed the same field meanwhile.

    Raises NotFound `site.unknown`, `change.not_waiting`, KyusaiError `change.conflict`, `change.no_entry`, SiteInvalid
    with every fault; nothing is decided then.
    """
    with centre.database.write() as connection:
        configs.lock(connection)
        chosen = _chosen(connection, site_id, ids)
        document = _newest(connection, site_id)
        views = [_view(one, document) for one in chosen]
        conflicts = [one.kept.change for one in views if one.sides is Sides.CONFLICT]
        if conflicts and not overwrite:
            raise KyusaiError(
                "change.conflict",
                "the document was changed in the same place meanwhile: "
                + ", ".join(f"{one.id} {one.path}" for one in conflicts),
                "Look at both sides (`kyusai centre change list`), then merge with --overwrite, or refuse.",
                changes=", ".join(f"{one.id} {one.path}" for one in conflicts),
            )
        merged = applied(document, [one.change for one in chosen])
        return _decided(connection, centre, chosen, State.MERGED, merged, actor, why)


def refuse(centre: Centre, site_id: str, ids: Sequence[str], actor: str, why: str = "") -> Decided:
    """Publish the newest document again, so that the box drops changes; without ids, all that wait. Raises NotFound
    `site.unknown`, `change.not_waiting`."""
    with centre.database.write() as connection:
        configs.lock(connection)
        chosen = _chosen(connection, site_id, ids)
        return _decided(connection, centre, chosen, State.REFUSED, _newest(connection, site_id), actor, why)


def _decided(
    connection: Connection,
    centre: Centre,
    chosen: Sequence[Kept],
    decision: State,
    document: Json,
    actor: str,
    why: str,
) -> Decided:
    now_utc = centre.now_utc()
    for one in chosen:
        changes.decide(connection, one, decision.value, actor, why, now_utc)
    listed: list[Json] = [one.change.id for one in chosen]
    envelope, _ = publish_within(connection, centre, document, actor, {f"{decision}_changes": listed})
    for one in chosen:
        changes.decided_in(connection, one, envelope.version)
        audit.add(
            connection,
            now_utc,
            actor,
            "change.merge" if decision is State.MERGED else "change.refuse",
            one.site_id,
            id=one.change.id,
            box=one.box_id,
            path=one.change.path,
            value=one.change.value,
            version=envelope.version,
            why=why,
        )
    return Decided(envelope, tuple(one.change for one in chosen))


def _chosen(connection: Connection, site_id: str, ids: Sequence[str]) -> list[Kept]:
    require_site(sites.find(connection, site_id), site_id)
    waiting = [one for one in changes.every(connection, site_id, still_open=True) if one.is_undecided]
    chosen = [one for one in waiting if not ids or one.change.id in ids]
    missing = sorted(set(ids) - {one.change.id for one in chosen})
    if missing or not chosen:
        raise NotFound(
            "change.not_waiting",
            f"no change {', '.join(missing) or 'at all'} of site {site_id!r} waits for a decision",
            "`kyusai centre change list --all` shows what became of each.",
            id=", ".join(missing) or "-",
            site=site_id,
        )
    return chosen


def _newest(connection: Connection, site_id: str) -> Json:
    envelope = configs.newest(connection, site_id)
    return json.loads(envelope.document) if envelope else {}


def _view(kept: Kept, document: Json) -> View:
    return View(kept, *sides(document, kept.change))
