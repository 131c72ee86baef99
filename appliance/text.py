"""User-facing texts in English and Japanese, by stable key. Reads the `texts.toml` catalogues, no more.

A catalogue lies beside the code that uses it. Each entry is a table with `en` and `ja`; a hint is the entry
`<key>.hint`. Placeholders are `str.format`'s, by name.
"""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

from appliance.errors import KyusaiError
from appliance.problems import one_line

Lang = Literal["en", "ja"]

PACKAGES = ("appliance", "agent", "cloudsync")
"""Folders beside this package whose catalogues `text` reads; a box without the centre's package has fewer."""

LANGUAGE_VARIABLES = ("KYUSAI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""Asked in this order, as POSIX orders the locale variables; the first that is set decides."""


WORD_PREFIX = "word."
"""Entries that name types and forms of values; they fill placeholders of other entries."""


class Fault(Protocol):
    """What `explain` can say: a `KyusaiError`, or one `Problem` of a document."""

    @property
    def key(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def hint(self) -> str: ...
    @property
    def values(self) -> Mapping[str, object]: ...


class Told(Protocol):
    """What `retold` can say: what another machine has told in English. values: of the placeholders of the text of `key`."""

    @property
    def text(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...
    @property
    def path(self) -> str: ...


class Catalogue:
    """Texts of one or more `texts.toml`: key -> language -> template."""

    def __init__(self, entries: Mapping[str, Mapping[str, str]]) -> None:
        self._entries = dict(entries)
        self._words = {entry["en"]: entry for key, entry in entries.items() if key.startswith(WORD_PREFIX)}

    @classmethod
    def load(cls, *paths: Path) -> "Catalogue":
        """Read the files, blocking on disk. Raises `KyusaiError` "text.doubled": two files define one key."""
        entries: dict[str, Mapping[str, str]] = {}
        for path in paths:
            for key, entry in _flatten(tomllib.loads(path.read_text("utf-8"))):
                if key in entries:
                    raise KyusaiError("text.doubled", f"{path}: the text {key!r} is defined twice", text=key)
                entries[key] = entry
        return cls(entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def keys(self) -> tuple[str, ...]:
        """Every key, in file order."""
        return tuple(self._entries)

    def template(self, key: str, lang: Lang) -> str:
        """The unfilled text; English when the language has none. Raises `KeyError` for an unknown key."""
        entry = self._entries[key]
        return entry.get(lang) or entry["en"]

    def text(self, key: str, lang: Lang = "en", **values: object) -> str:
        """The text of `key`, filled in. Raises `KeyError` for an unknown key or a value that is missing."""
        return self.template(key, lang).format(**values)

    def explain(self, fault: "Fault", lang: Lang = "en") -> tuple[str, str]:
        """Message and hint of an error or problem; its own English ones where there are none. Never raises."""
        values = {name: self._word(value, lang) for name, value in fault.values.items()}
        return (
            self._or_own(fault.key, fault.message, lang, values),
            self._or_own(f"{fault.key}.hint", fault.hint, lang, values),
        )

    def retold(self, told: Told, lang: Lang) -> str:
        """What another machine told, in `lang` and one line: by this catalogue's own text of its key. As it came, in
        English, and where there is no such text or one of its values did not come. Never raises."""
        if lang == "en" or told.key not in self:
            return told.text
        values = {name: self._word(value, lang) for name, value in told.values.items()}
        hint = f"{told.key}.hint"
        try:
            message = self.template(told.key, lang).format_map(values)
            what_to_do = self.template(hint, lang).format_map(values) if hint in self else ""
        except (KeyError, IndexError, ValueError, AttributeError):
            return told.text
        return one_line(told.path, message, what_to_do)

    def _word(self, value: object, lang: Lang) -> object:
        """A value that is itself one of the catalogue's words ("word." entries), in `lang`."""
        return (
            self._words[value].get(lang, value) if isinstance(value, str) and value in self._words else value
        )

    def _or_own(self, key: str, own: str, lang: Lang, values: Mapping[str, object]) -> str:
        try:
            return self.text(key, lang, **values) if own else ""
        except (KeyError, IndexError, ValueError, AttributeError):
            return own


def _flatten(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Nested TOML tables as dotted keys; a table with an `en` string is an entry (and may hold a `hint`)."""
    for name, value in table.items():
        if not isinstance(value, dict):
            continue
        key = f"{prefix}{name}"
        if isinstance(value.get("en"), str):
            yield key, {lang: text for lang, text in value.items() if isinstance(text, str)}
        yield from _flatten(value, f"{key}.")


@functools.cache
def catalogue() -> Catalogue:
    """All catalogues of the installed packages, read once. Blocks on disk the first time."""
    root = Path(__file__).resolve().parent.parent
    return Catalogue.load(*(path for name in PACKAGES for path in sorted((root / name).rglob("texts.toml"))))


def text(key: str, lang: Lang = "en", **values: object) -> str:
    """The text of `key` in `lang`, its placeholders filled. Raises `KeyError` for an unknown key."""
    return catalogue().text(key, lang, **values)


def explain(fault: Fault, lang: Lang = "en") -> tuple[str, str]:
    """(message, hint) of an error or a problem in `lang`; its own English where the catalogue has none."""
    return catalogue().explain(fault, lang)


def retold(told: Told, lang: Lang) -> str:
    """What another machine told in English, in `lang` where the catalogue knows its key."""
    return catalogue().retold(told, lang)


BREAK_AFTER_CHARS = 8
"""A run of Japanese is broken at the next particle or mark once it is so long; the narrowest column of help has 27 cells."""

_BREAKS = re.compile(rf"[、。](?=\S)|[^\x00-\x7f、。]{{{BREAK_AFTER_CHARS},}}?[をにではがと](?=[^\s、。])")


def breakable(text: str) -> str:
    """Japanese with spaces where a line may end. Terminal tables break lines at spaces alone, and cut off what is longer."""
    return _BREAKS.sub(lambda found: f"{found[0]} ", text)


def language(env: Mapping[str, str]) -> Lang:
    """The user's language by the environment: "ja" when the deciding variable begins with it, else "en"."""
    for name in LANGUAGE_VARIABLES:
        if value := env.get(name, "").strip():
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"
