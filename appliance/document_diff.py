"""CORE. What differs between two site documents, entry by entry, in an order and in names that a person knows.

Entries of a list are told apart by what names them (`number`, `id`), not by their place: a telephone that was put in
front of the others is one addition. Secrets (HA1 values) are compared and never shown.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

NAMES = ("number", "id")
"""Fields that name an entry of a list, the first that all entries have."""

DIGEST_PREFIX = "ha1_"
"""HA1 values are as good as passwords."""

HIDDEN = "..."
"""Stands for a value that is not shown."""

LEFT_OUT = frozenset({"version", "local_changes"})
"""The one differs between any two versions, the other is between centre and box."""

VALUE_CHARACTERS = 120
"""Of a value, as shown."""


class Change(StrEnum):
    """What happened to an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that differs. path: `extensions[201].display`; before, after: JSON, shortened, secrets as `...`, ""
    where there is none."""

    path: str
    change: Change
    before: str
    after: str


def differences(before: Any, after: Any) -> list[Difference]:
    """What leads from one decoded document to the other, by path."""
    first = {name: value for name, value in before.items() if name not in LEFT_OUT}
    second = {name: value for name, value in after.items() if name not in LEFT_OUT}
    return sorted(_walk("", first, second), key=lambda one: one.path)


def without_secrets(value: Any) -> Any:
    """The same JSON value with every HA1 value as dots."""
    if isinstance(value, dict):
        return {
            name: HIDDEN if name.startswith(DIGEST_PREFIX) and one else without_secrets(one)
            for name, one in value.items()
        }
    return [without_secrets(one) for one in value] if isinstance(value, list) else value


def _walk(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    first, second = _entries(before), _entries(after)
    if first is None or second is None or type(before) is not type(after):
        yield Difference(path, Change.CHANGED, _shown(path, before), _shown(path, after))
        return
    for name in first.keys() | second.keys():
        inner = _joined(path, name, of_list=isinstance(before, list))
        if name not in first:
            yield Difference(inner, Change.ADDED, "", _shown(inner, second[name]))
        elif name not in second:
            yield Difference(inner, Change.REMOVED, _shown(inner, first[name]), "")
        else:
            yield from _walk(inner, first[name], second[name])


def _entries(value: Any) -> dict[str, Any] | None:
    """What lies below a value by name; None for what is compared as a whole."""
    if isinstance(value, dict):
        return {str(name): one for name, one in value.items()}
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    for field in NAMES:
        named = {str(one[field]): one for one in value if field in one}
        if len(named) == len(value):
            return named
    return None


def _joined(path: str, name: str, *, of_list: bool) -> str:
    if of_list:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _shown(path: str, value: Any) -> str:
    if path.rpartition(".")[2].startswith(DIGEST_PREFIX):
        return HIDDEN if value else '""'
    text = json.dumps(without_secrets(value), ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS else text[: VALUE_CHARACTERS - 1] + "…"
