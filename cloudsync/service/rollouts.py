"""Staged rollouts: one change to many sites, ring by ring. `cloudsync.rollout` decides; this reads, publishes, keeps.

Every step is one transaction, so a centre that is killed goes on where it was, and of several processes one acts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance import site as site_document
from appliance.errors import KyusaiError
from appliance.problems import DocumentError
from cloudsync.refusals import NotFound
from cloudsync.rollout import (
    Effect,
    Event,
    Policy,
    SiteOutcome,
    SiteState,
    State,
    advance,
    errors,
    judge,
    patched,
    site_state,
)
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish_within
from cloudsync.store import audit, boxes, configs, rollouts, sites
from cloudsync.store.rollouts import Rollout
from cloudsync.wire import Json, canonical_json, parse_utc

REST = "rest"
"""Stands for all sites that have a document and are in no ring before; with a tenant, for those of its sites."""

ENGINE = "centre"
"""Who acts when nobody types."""


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site in a rollout as shown. state: "" while its ring waits."""

    site: str
    ring: int
    version: int | None
    version_before: int | None
    state: str


@dataclass(frozen=True, slots=True)
class View:
    """A rollout as shown to people and programs; rings count from 1."""

    id: int
    state: str
    reason: str
    ring: int
    rings: int
    errors: int
    errors_max: int
    accepted: int
    started_utc: str
    changed_utc: str
    change: Json
    sites: tuple[SiteView, ...]


def start(
    centre: Centre,
    change: Json,
    rings: Sequence[Sequence[str]],
    policy: Policy,
    actor: str,
    tenant: str = "",
) -> View:
    """Begin a rollout and publish its first ring. change: a JSON merge patch for the document of each site. tenant: whose
    sites `rest` stands for, "" for all.

    The changed documents of all sites are checked before the first is published. Raises KyusaiError
    `rollout.bad_change`, `rollout.bad_rings`, `rollout.unfinished`, `rollout.invalid`, NotFound `site.unknown`,
    `tenant.unknown`.
    """
    if not isinstance(change, dict) or not change or {"version", "format"} & change.keys():
        raise KyusaiError(
            "rollout.bad_change",
            "a change is a JSON object with the fields to set, without version and format",
            'For example {"limits": {"offline_international": true}}; null removes a field.',
        )
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        configs.lock(connection)
        before = rollouts.newest(connection)
        if before is not None and before.state != State.FINISHED and not _ended(before):
            raise KyusaiError(
                "rollout.unfinished",
                f"rollout {before.id} is {before.state}",
                "Finish it first: `kyusai centre rollout resume`, or `kyusai centre rollout stop --for-good`.",
                id=before.id,
                state=before.state,
            )
        named = _rings(connection, rings, tenant)
        for site_id in (one for ring in named for one in ring):
            _check(connection, site_id, change)
        values: dict[str, object] = {
            "change": canonical_json(change),
            "state": State.RUNNING.value,
            "ring": 0,
            "errors_max": policy.errors_max,
            "accepted": 0,
            "soak_s": policy.soak_s,
            "patience_s": policy.patience_s,
            "reason": "",
            "actor": actor,
            "started_utc": now_utc,
            "ring_utc": now_utc,
            "changed_utc": now_utc,
        }
        number = rollouts.add(connection, values, named)
        audit.add(connection, now_utc, actor, "rollout.start", str(number), rings=len(named))
        _publish_ring(connection, centre, number, 0, change, actor)
        return _view(connection)


def step(centre: Centre) -> bool:
    """Look how the running rollout is and act on it; False when there was nothing to do. Blocks on the store."""
    with centre.database.read() as connection:
        known = rollouts.newest(connection)
    if known is None or known.state != State.RUNNING:
        return False
    try:
        return _step(centre)
    except (DocumentError, KyusaiError) as error:
        _halt(centre, str(error))
        return True


def stop(centre: Centre, actor: str, *, for_good: bool = False) -> View:
    """Publish no further ring. for_good: it cannot be resumed, and another may begin. Raises `rollout.none`,
    `rollout.not_possible`."""
    return _told(centre, Event.STOP, actor, "for good" if for_good else "")


def resume(centre: Centre, actor: str) -> View:
    """Go on, and accept the errors so far. Raises `rollout.none`, `rollout.not_possible`."""
    return _told(centre, Event.RESUME, actor, "")


def status(centre: Centre) -> View:
    """The rollout that was begun last. Raises NotFound `rollout.none`."""
    with centre.database.read() as connection:
        return _view(connection)


def stop_restored(connection: Connection, now_utc: str) -> None:
    """Of a centre that was just filled from a backup: what ran then waits for a person. It would publish documents as they were
    at the backup, under numbers above those that boxes got since."""
    known = rollouts.newest(connection)
    if known is not None and known.state == State.RUNNING:
        state, _ = advance(State.RUNNING, Event.STOP)
        rollouts.change(connection, known.id, now_utc, state=state.value, reason="restored from a backup")


def _step(centre: Centre) -> bool:
    now = centre.clock()
    with centre.database.write() as connection:
        configs.lock(connection)
        known = _newest(connection)
        if known.state != State.RUNNING:
            return False
        members = rollouts.sites(connection, known.id)
        event = judge(
            _outcomes(connection, known),
            known.ring,
            1 + max(one.ring for one in members),
            Policy(known.errors_max, known.soak_s, known.patience_s),
            ring_age_s=(now - parse_utc(known.ring_utc)).total_seconds(),
            accepted=known.accepted,
        )
        state, effect = advance(State.RUNNING, event)
        if event is Event.WAIT:
            return False
        now_utc = centre.now_utc()
        if effect is Effect.PUBLISH_NEXT:
            _publish_ring(connection, centre, known.id, known.ring + 1, json.loads(known.change), ENGINE)
            rollouts.change(connection, known.id, now_utc, ring=known.ring + 1, ring_utc=now_utc)
        else:
            rollouts.change(connection, known.id, now_utc, state=state.value, reason=event.value)
        audit.add(connection, now_utc, ENGINE, f"rollout.{event}", str(known.id), ring=known.ring + 1)
    return True


def _halt(centre: Centre, reason: str) -> None:
    """A ring that cannot be published: nothing of it was."""
    with centre.database.write() as connection:
        known = _newest(connection)
        rollouts.change(connection, known.id, centre.now_utc(), state=State.HALTED.value, reason=reason[:500])
        audit.add(connection, centre.now_utc(), ENGINE, "rollout.halt", str(known.id), reason=reason[:500])


def _told(centre: Centre, event: Event, actor: str, reason: str) -> View:
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        configs.lock(connection)
        known = _newest(connection)
        if _ended(known) or (known.state == State.STOPPED and event is Event.STOP and reason):
            state, effect = State(known.state), Effect.NOTHING
            if event is Event.RESUME:
                advance(State.FINISHED, event)
        else:
            state, effect = advance(State(known.state), event)
        values: dict[str, object] = {"state": state.value, "reason": reason}
        if effect is Effect.ACCEPT_ERRORS:
            values["accepted"] = errors(_outcomes(connection, known))
        rollouts.change(connection, known.id, now_utc, **values)
        audit.add(connection, now_utc, actor, f"rollout.{event}", str(known.id))
        return _view(connection)


def _ended(known: Rollout) -> bool:
    return known.state == State.STOPPED and known.reason == "for good"


def _rings(connection: Connection, rings: Sequence[Sequence[str]], tenant: str) -> list[list[str]]:
    """The rings with `rest` filled in. Raises NotFound `site.unknown`, `tenant.unknown`, KyusaiError `rollout.bad_rings`."""
    if tenant and not sites.tenant_exists(connection, tenant):
        raise NotFound(
            "tenant.unknown", f"no tenant {tenant!r} here", "`kyusai sites` shows them.", tenant=tenant
        )
    with_document = [
        site.id
        for site in sites.every(connection)
        if tenant in ("", site.tenant_id) and configs.newest_version(connection, site.id)
    ]
    found: list[list[str]] = []
    for ring in rings:
        taken = {one for earlier in found for one in earlier}
        own = [one for one in with_document if one not in taken] if list(ring) == [REST] else list(ring)
        doubled = sorted((taken & set(own)) | {one for one in own if own.count(one) > 1})
        if not own or doubled:
            raise KyusaiError(
                "rollout.bad_rings",
                f"ring {len(found) + 1} names no site" if not own else f"{', '.join(doubled)}: in two rings",
                "Name each site once: --ring tokyo-1 --ring osaka-1,nagoya-1 --ring rest",
                ring=len(found) + 1,
                doubled=", ".join(doubled) or "-",
            )
        found.append(own)
    return found


def _document(connection: Connection, site_id: str) -> Json:
    envelope = configs.newest(connection, site_id)
    if envelope is None:
        raise NotFound(
            "rollout.no_document",
            f"site {site_id!r} is unknown or has no document to change",
            "`kyusai sites` lists the sites; publish a document first.",
            site=site_id,
        )
    return json.loads(envelope.document)


def _check(connection: Connection, site_id: str, change: Json) -> None:
    document = _document(connection, site_id)
    try:
        if site_document.parse(patched(document, change)).id == site_id:
            return
        why = "it would belong to another site"
    except DocumentError as error:
        why = "; ".join(f"{one.path}: {one.message}" for one in error.problems[:5])
    raise KyusaiError(
        "rollout.invalid",
        f"with this change the document of {site_id} is not valid: {why}",
        "Nothing was published.",
        site=site_id,
        why=why,
    )


def _publish_ring(
    connection: Connection, centre: Centre, number: int, ring: int, change: Json, actor: str
) -> None:
    for member in rollouts.sites(connection, number):
        if member.ring != ring:
            continue
        document = _document(connection, member.site_id)
        before = int(document["version"])
        envelope, _ = publish_within(
            connection, centre, patched(document, change), actor, {"rollout": number, "ring": ring + 1}
        )
        rollouts.published(connection, number, member.site_id, envelope.version, before)


def _outcomes(connection: Connection, known: Rollout) -> list[SiteOutcome]:
    return [
        SiteOutcome(one.site_id, one.ring, _site_state(connection, one.site_id, one.version))
        for one in rollouts.sites(connection, known.id)
        if one.version is not None
    ]


def _site_state(connection: Connection, site_id: str, version: int) -> SiteState:
    told = [
        (box.config_version, box.config_state)
        for box in boxes.every(connection, site_id)
        if box.revoked_utc is None
    ]
    return site_state(version, told)


def _newest(connection: Connection) -> Rollout:
    known = rollouts.newest(connection)
    if known is None:
        raise NotFound(
            "rollout.none", "there was no rollout yet", "`kyusai centre rollout start FILE --ring SITE`"
        )
    return known


def _view(connection: Connection) -> View:
    known = _newest(connection)
    members = rollouts.sites(connection, known.id)
    outcomes = _outcomes(connection, known)
    states = {one.site_id: one.state.value for one in outcomes}
    return View(
        id=known.id,
        state=known.state,
        reason=known.reason,
        ring=known.ring + 1,
        rings=1 + max(one.ring for one in members),
        errors=errors(outcomes),
        errors_max=known.errors_max,
        accepted=known.accepted,
        started_utc=known.started_utc,
        changed_utc=known.changed_utc,
        change=json.loads(known.change),
        sites=tuple(
            SiteView(one.site_id, one.ring + 1, one.version, one.version_before, states.get(one.site_id, ""))
            for one in members
        ),
    )
