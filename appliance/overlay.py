"""The overlay: changes made at a box, laid over the signed document, and what becomes of them in the next one. Pure.

    document 12 + changes ──► in use        document 13 ─► rebased: changes that the document says by now, or that the
                                                          centre refused, end; those that cannot be used are set aside

The document with the changes in it is checked as a whole, like any document; so a box never runs what is not valid.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.errors import KyusaiError
from appliance.local_change import (
    ENDED_KEPT,
    KEYS,
    OPEN_MAX,
    ORDER,
    Change,
    Json,
    State,
    Target,
    change_from,
    checked,
    target,
)
from appliance.site import Site, SiteInvalid, parse

PROBLEMS_TOLD = 3
"""Of the faults for which a change was set aside."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The changes of one box, the oldest first. revision: grows with every new state of it."""

    revision: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def active(self) -> tuple[Change, ...]:
        """Those in use."""
        return tuple(one for one in self.changes if one.state is State.ACTIVE)

    @property
    def open(self) -> tuple[Change, ...]:
        """Those that somebody has to decide on."""
        return tuple(one for one in self.changes if one.is_open)

    def as_json(self) -> dict[str, Json]:
        """As it is kept."""
        return {"revision": self.revision, "changes": [one.as_json() for one in self.changes]}


def overlay_from(value: Json) -> Overlay:
    """An overlay from its JSON. Raises ValueError."""
    if not isinstance(value, dict) or type(value.get("revision")) is not int:
        raise ValueError("no overlay")
    return Overlay(value["revision"], tuple(change_from(one) for one in value.get("changes", ())))


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, why, and when (UTC as on the wire)."""

    by: str
    why: str
    made_utc: str


def read(document: Mapping[str, Json], where: Target) -> Json:
    """What a decoded document says of a field, its default included. Raises KyusaiError `change.no_entry`."""
    if where.field == ORDER:
        return [str(one.get("id", "")) for one in document.get(where.table) or ()]
    if where.table not in KEYS:
        return (document.get(where.table) or {}).get(where.field, where.default)
    entries: list[dict[str, Json]] = document.get(where.table) or []
    return entries[_index(entries, where)].get(where.field, where.default)


def applied(document: Mapping[str, Json], changes: Iterable[Change]) -> dict[str, Json]:
    """The document with the changes in it, in their order; the given one stays as it is. Raises KyusaiError
    `change.no_entry`."""
    changed = dict(document)
    for one in changes:
        _set(changed, one.target, one.value)
    return changed


def made(
    document: Mapping[str, Json],
    overlay: Overlay,
    wanted: Sequence[tuple[str, Json]],
    author: Author,
    new_id: Callable[[], str],
) -> tuple[Overlay, Site]:
    """The overlay with more changes, and the site as it then is. wanted: path and value of each.

    A value that the document has anyway ends the change of that field. Raises SiteInvalid with every fault, and
    KyusaiError `change.not_allowed`, `change.bad_value`, `change.no_entry`, `change.nothing`, `change.too_many`;
    nothing has changed then.
    """
    revision = overlay.revision + 1
    changes = list(overlay.changes)
    for path, value in wanted:
        where = target(path)
        base, full = read(document, where), _full(document, where, checked(where, value))
        before = next((at for at, one in enumerate(changes) if one.is_open and one.path == where.path), None)
        if before is not None:
            if changes[before].state is State.ACTIVE and changes[before].value == full:
                continue
            changes[before] = changes[before].now(State.WITHDRAWN if full == base else State.REPLACED)
        if full != base:
            changes.append(
                Change(
                    new_id(), where.path, full, base, author.by, author.why, author.made_utc,
                    int(document["version"]), revision,
                )
            )  # fmt: skip
    return _laid(document, overlay, changes)


def withdrawn(
    document: Mapping[str, Json], overlay: Overlay, ids: Sequence[str], reason: str
) -> tuple[Overlay, Site]:
    """The overlay without some of its open changes, and the site as it then is. ids: none for all.

    Raises what `made` raises, and KyusaiError `change.unknown` for an id that is not open.
    """
    known = {one.id for one in overlay.open}
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise KyusaiError(
            "change.unknown",
            f"no open change has the id {', '.join(unknown)[:80]}",
            "`kyusai change list` shows them.",
            id=", ".join(unknown)[:80],
        )
    gone = set(ids) or known
    changes = [one.now(State.WITHDRAWN, reason) if one.id in gone else one for one in overlay.changes]
    return _laid(document, overlay, changes)


def rebased(
    document: Mapping[str, Json], overlay: Overlay, *, merged: Iterable[str], refused: Iterable[str]
) -> tuple[Overlay, Site]:
    """The overlay over another version of the document, and the site as it then is. merged, refused: ids that the
    centre has decided on.

    Changes of one command are used together or set aside together. Raises SiteInvalid when the document is not valid
    by itself.
    """
    ends = dict.fromkeys(refused, State.REFUSED) | dict.fromkeys(merged, State.MERGED)
    moved = [_moved(document, one, ends) for one in overlay.changes]
    site, aside = _usable(document, [one for one in moved if one.state is State.ACTIVE])
    final = tuple(
        one.now(State.SET_ASIDE, aside[one.made]) if _is_aside(one, aside) else one for one in moved
    )
    if final == overlay.changes:
        return overlay, site
    return Overlay(overlay.revision + 1, _kept(final)), site


def _is_aside(one: Change, aside: Mapping[int, str]) -> bool:
    return one.state is State.ACTIVE and one.made in aside


def _moved(document: Mapping[str, Json], one: Change, ends: Mapping[str, State]) -> Change:
    if not one.is_open:
        return one
    if one.id in ends:
        return one.now(ends[one.id], f"version {document['version']}")
    try:
        said = read(document, one.target)
    except KyusaiError as error:
        return one if one.state is State.SET_ASIDE else one.now(State.SET_ASIDE, error.message)
    if said == one.value:
        return one.now(State.MERGED, f"version {document['version']}")
    return one


def _usable(document: Mapping[str, Json], active: Sequence[Change]) -> tuple[Site, dict[int, str]]:
    """The site with as many of the changes as can be used, and why the others cannot, by the revision that made them."""
    try:
        return parse(applied(document, active)), {}
    except SiteInvalid:
        site = parse(dict(document))
    used: list[Change] = []
    aside: dict[int, str] = {}
    for revision in sorted({one.made for one in active}):
        group = [one for one in active if one.made == revision]
        try:
            site = parse(applied(document, [*used, *group]))
        except SiteInvalid as invalid:
            aside[revision] = "; ".join(map(str, invalid.problems[:PROBLEMS_TOLD]))
        else:
            used += group
    return site, aside


def _laid(document: Mapping[str, Json], overlay: Overlay, changes: Sequence[Change]) -> tuple[Overlay, Site]:
    if tuple(changes) == overlay.changes:
        raise KyusaiError(
            "change.nothing", "that is how it is already", "`kyusai change list` shows what was changed."
        )
    new = replace(overlay, revision=overlay.revision + 1, changes=_kept(changes))
    if len(new.open) > OPEN_MAX:
        raise KyusaiError(
            "change.too_many",
            f"{len(new.open)} open changes; at most {OPEN_MAX} are allowed",
            "Let the centre merge or refuse them, or withdraw some: kyusai change undo ID",
            count=len(new.open),
            most=OPEN_MAX,
        )
    return new, parse(applied(document, new.active))


def _kept(changes: Sequence[Change]) -> tuple[Change, ...]:
    """All that are open and the last few that are over."""
    over = [one.id for one in changes if not one.is_open]
    return tuple(one for one in changes if one.is_open or one.id in over[-ENDED_KEPT:])


def _index(entries: Sequence[Mapping[str, Json]], where: Target) -> int:
    key = KEYS[where.table]
    for index, entry in enumerate(entries):
        if str(entry.get(key, "")) == where.name:
            return index
    raise KyusaiError(
        "change.no_entry",
        f"the document has no {where.table}[{where.name}]",
        "`kyusai config show` prints the document.",
        entry=f"{where.table}[{where.name}]",
    )


def _full(document: Mapping[str, Json], where: Target, value: Json) -> Json:
    """An order that names some of the gateways, with the others behind them as they are."""
    if where.field != ORDER:
        return value
    known = read(document, where)
    unknown = [one for one in value if one not in known]
    if unknown:
        _index((), Target(where.table, unknown[0], "max_calls"))
    named = list(dict.fromkeys(value))
    return [*named, *(one for one in known if one not in named)]


def _set(document: dict[str, Json], where: Target, value: Json) -> None:
    """Set one field in a document of which only the top level may be changed."""
    if where.field == ORDER:
        by_id = {str(one.get("id", "")): one for one in document.get(where.table) or ()}
        document[where.table] = [by_id[one] for one in _full(document, where, value)]
    elif where.table not in KEYS:
        document[where.table] = {**(document.get(where.table) or {}), where.field: value}
    else:
        entries = list(document.get(where.table) or ())
        at = _index(entries, where)
        entries[at] = {**entries[at], where.field: value}
        document[where.table] = entries


class Sides(StrEnum):
    """How the document of now and the box's value stand to what the document said when the change was made. CLEAN: the
    document is as it was. SAME: it says what the box says. CONFLICT: it says something else again. GONE: the entry is."""

    CLEAN = "clean"
    SAME = "same"
    CONFLICT = "conflict"
    GONE = "gone"


def sides(document: Mapping[str, Json], change: Change) -> tuple[Sides, Json]:
    """How a change stands to a document, and what the document says of the field (None where the entry is gone)."""
    try:
        said = read(document, change.target)
    except KyusaiError:
        return Sides.GONE, None
    if said == change.value:
        return Sides.SAME, said
    return (Sides.CLEAN if said == change.base else Sides.CONFLICT), said
