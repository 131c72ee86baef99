"""Changes made at a box while the centre is out of reach: which fields a person there may set, and to what. Pure.

A field is named by the entry that it belongs to (`extensions[201].forward_always`), never by its place, so that a change
still means the same in a later version of the document. Whether a value can be used is the site document's business:
the document is checked as a whole with the changes in it.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from appliance.errors import KyusaiError

Json = Any
"""What `json.loads` gives."""

OPEN_MAX = 50
"""Changes that may be open at once: an emergency needs a few; more is a new document."""

ENDED_KEPT = 20
"""Changes that are over, kept on the box for people to look at."""

WHY_CHARACTERS_MAX = 200
BY_CHARACTERS_MAX = 64
ENTRIES_MAX = 64
"""Of a list: twice as many as a group may have members."""
TEXT_CHARACTERS_MAX = 128

ID_EXPRESSION = r"[0-9a-f]{8}"
"""Ids are random: a box that was made anew must not give away those of the one before it."""


class Sort(StrEnum):
    """What a field holds."""

    TEXT = "text"
    FLAG = "flag"
    NUMBER = "number"
    LIST = "list"


_FORWARDINGS = dict.fromkeys(("forward_always", "forward_busy", "forward_no_answer"), (Sort.TEXT, ""))

FIELDS: Mapping[str, Mapping[str, tuple[Sort, Json]]] = {
    "extensions": _FORWARDINGS | {"no_answer_s": (Sort.NUMBER, 20), "do_not_disturb": (Sort.FLAG, False)},
    "groups": {
        "members": (Sort.LIST, None),
        "strategy": (Sort.TEXT, "all"),
        "ring_s": (Sort.NUMBER, 20),
        "overflow": (Sort.TEXT, ""),
    },
    "gateways": {"max_calls": (Sort.NUMBER, 0), "order": (Sort.LIST, None)},
    "limits": {"offline_international": (Sort.FLAG, False), "offline_outside_calls_max": (Sort.NUMBER, 0)},
    "emergency": {"gateways": (Sort.LIST, [])},
}
"""What may be set: table -> field -> what it holds and what an absent one means. Who may call what, passwords, addresses
and recordings stay the centre's."""

KEYS = {"extensions": "number", "groups": "number", "gateways": "id"}
"""Tables that are lists, and the field that names an entry."""

ORDER = "order"
"""`gateways.order` is no field of the document but the order of its gateways, the first choice first."""

_PATH = re.compile(r"([a-z_]{1,20})(?:\[([A-Za-z0-9._-]{1,63})\])?\.([a-z_]{1,30})")
_FLAGS = {
    "on": True,
    "true": True,
    "yes": True,
    "1": True,
    "off": False,
    "false": False,
    "no": False,
    "0": False,
}


class State(StrEnum):
    """ACTIVE: in use. SET_ASIDE: not in use, because it cannot be used with the document as it is now; a person decides.
    The others are ends. MERGED: the document says it now. REFUSED: the centre said no. WITHDRAWN, REPLACED: by a person
    at the box. TAKEN_BACK: the box was unwell with it."""

    ACTIVE = "active"
    SET_ASIDE = "set_aside"
    MERGED = "merged"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    TAKEN_BACK = "taken_back"


OPEN = frozenset({State.ACTIVE, State.SET_ASIDE})


@dataclass(frozen=True, slots=True)
class Target:
    """One field. name: the entry's number or id, "" where the table is no list."""

    table: str
    name: str
    field: str

    @property
    def path(self) -> str:
        """As people write it."""
        return f"{self.table}[{self.name}].{self.field}" if self.name else f"{self.table}.{self.field}"

    @property
    def sort(self) -> Sort:
        """What the field holds."""
        return FIELDS[self.table][self.field][0]

    @property
    def default(self) -> Json:
        """What a document means that does not have the field."""
        return FIELDS[self.table][self.field][1]


@dataclass(frozen=True, slots=True)
class Change:
    """One field set at the box. base: what the document said when it was made; version: of that document. made: the
    overlay's revision that brought it, the same for all of one command. reason: of its present state."""

    id: str
    path: str
    value: Json
    base: Json
    by: str
    why: str
    made_utc: str
    version: int
    made: int
    state: State = State.ACTIVE
    reason: str = ""

    @property
    def target(self) -> Target:
        """The field. Raises KyusaiError `change.not_allowed`."""
        return target(self.path)

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to decide on it."""
        return self.state in OPEN

    def now(self, state: State, reason: str = "") -> "Change":
        """The same in another state."""
        return replace(self, state=state, reason=reason)

    def as_json(self) -> dict[str, Json]:
        """As it is kept and told."""
        return asdict(self)


def target(path: str) -> Target:
    """The field that a path names. Raises KyusaiError `change.not_allowed`."""
    match = _PATH.fullmatch(path)
    table, name, field = match.groups("") if match else ("", "", "")
    is_entry = table in KEYS and field != ORDER
    if field not in FIELDS.get(table, ()) or bool(name) != is_entry:
        raise KyusaiError(
            "change.not_allowed",
            f"{path[:80]!r} cannot be changed at a box; what can: {', '.join(allowed())}",
            "Everything else is changed at the centre.",
            path=path[:80],
            allowed=", ".join(allowed()),
        )
    return Target(table, name, field)


def allowed() -> list[str]:
    """The fields that may be set, as paths with `[]` for any entry."""
    return [
        f"{table}[].{field}" if table in KEYS and field != ORDER else f"{table}.{field}"
        for table, fields in FIELDS.items()
        for field in fields
    ]


def value_of(where: Target, text: str) -> Json:
    """A value as somebody typed it. Raises KyusaiError `change.bad_value`."""
    if where.sort is Sort.FLAG and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if where.sort is Sort.NUMBER and re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    if where.sort is Sort.LIST:
        return checked(where, [one.strip() for one in text.split(",") if one.strip()])
    if where.sort is Sort.TEXT:
        return checked(where, text)
    raise _bad_value(where, text)


def checked(where: Target, value: Json) -> Json:
    """The value when it is of the field's sort. Raises KyusaiError `change.bad_value`."""
    fits = {
        Sort.FLAG: isinstance(value, bool),
        Sort.NUMBER: type(value) is int and 0 <= value < 10**9,
        Sort.TEXT: isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX,
        Sort.LIST: isinstance(value, list)
        and len(value) <= ENTRIES_MAX
        and all(isinstance(one, str) and len(one) <= TEXT_CHARACTERS_MAX for one in value),
    }
    if not fits[where.sort]:
        raise _bad_value(where, value)
    return value


def _bad_value(where: Target, value: Json) -> KyusaiError:
    examples = {Sort.FLAG: "on, off", Sort.NUMBER: "4", Sort.TEXT: "0312340000", Sort.LIST: "201,202"}
    return KyusaiError(
        "change.bad_value",
        f"{where.path}: {str(value)[:60]!r} is no {where.sort.value}; for example {examples[where.sort]}",
        path=where.path,
        value=str(value)[:60],
        sort=where.sort.value,
        example=examples[where.sort],
    )


def change_from(value: Json) -> Change:
    """A change from its JSON. Raises ValueError for what is none."""
    try:
        known = Change(**{**value, "state": State(value["state"])})
        texts = (known.id, known.path, known.by, known.why, known.made_utc, known.reason)
        numbers = (known.version, known.made)
        if not all(isinstance(one, str) for one in texts) or not all(type(one) is int for one in numbers):
            raise ValueError("a change's field has the wrong type")
        checked(known.target, known.value)
    except (TypeError, KeyError, KyusaiError) as error:
        raise ValueError(f"no change: {error}") from error
    return known
