"""What somebody has set at his telephone, laid over what the site document says of his extension. Pure.

Whoever spoke last is right: a setting made at a telephone holds until it is made anew there, or until the site document says
something else of that field than it did when the setting was made. One that says what the document says anyway is none.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from appliance.kamailio.compact_json import read, write
from appliance.kamailio.view import Extension

FIELDS = frozenset(
    {
        "forward_always",
        "forward_busy",
        "forward_no_answer",
        "do_not_disturb",
        "reject_anonymous",
        "blocked_too",
    }
)
"""Of `Extension`; what can be set at a telephone."""

LAID_KEPT = 4_096
"""Extensions with settings that a worker remembers."""

Value = str | bool


def key_of(extension: str) -> str:
    """Where an extension's settings are kept (`kept`)."""
    return f"set:{extension}"


@lru_cache(LAID_KEPT)
def laid_over(extension: Extension, text: str) -> Extension:
    """The extension as it is with its settings. text: of `changed`, or "". What cannot be read is passed over."""
    now: dict[str, Any] = {
        field: value
        for field, (value, base) in _read(text).items()
        if getattr(extension, field) == base and type(value) is type(base)
    }
    return replace(extension, **now) if now else extension


def changed(extension: Extension, text: str, field: str, value: Value) -> str:
    """The settings with one more. extension: as the site document says; text: the settings before, "" for none. Gives "" when
    none is left."""
    base: Value = getattr(extension, field)
    settings = dict(_read(text))
    settings.pop(field, None)
    if value != base:
        settings[field] = (value, base)
    return write({name: list(pair) for name, pair in settings.items()}) if settings else ""


def _read(text: str) -> Mapping[str, tuple[Value, Value]]:
    if not text:
        return {}
    try:
        return {name: (value, base) for name, (value, base) in read(text).items() if name in FIELDS}
    except (ValueError, TypeError, AttributeError):
        return {}
