"""Typed reading of a document (JSON or TOML values) that notes every fault with its path. Pure.

A `Table` is asked for each field it may have; whatever it was not asked for is an unknown field. A reading
method always returns a usable value, the default where the document's is wrong, so that reading goes on.
"""

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from appliance.addresses import AddressError
from appliance.problems import Problems, shown, type_name
from appliance.words import Form

TEXT_MAX_CHARS = 128
"""Longest string of a field that states no limit of its own: fits every SIP header with room to spare."""

SECRET_NAMES = frozenset(
    {"password", "passwd", "pass", "secret", "ha1", "pin", "auth_password", "sip_password"}
)
"""Field names that people use for clear passwords. They get a message of their own, and no value is shown."""

_HEX_DIGITS = frozenset("0123456789abcdef")
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BAD_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A field that a parser asked for (the documentation's test reads it). default: None when required."""

    kind: str
    default: object


@dataclass(slots=True)
class Document:
    """What reading one document gathers. asked: path with `[]` for any index -> field."""

    problems: Problems
    asked: dict[str, Asked] = field(default_factory=dict)


LOST = object()
"""Stands for an object whose absence was reported: its fields are not reported missing one by one."""

REQUIRED: str = "\x00required"
"""Stands for "no default" where a string is read."""


class Table:
    """A JSON object or TOML table at a path."""

    def __init__(self, value: object, path: str, document: Document, pattern: str | None = None) -> None:
        self.path = path
        self._pattern = path if pattern is None else pattern
        self._document = document
        self._names: list[str] = []
        self._values: dict[str, object] = {}
        self._lost = value is LOST
        if isinstance(value, dict):
            self._values = {str(name): item for name, item in value.items()}
        elif not self._lost:
            self._lost = True
            self._wrong_type(path, value, "object")

    def at(self, name: str) -> str:
        """Path of one of this table's fields."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the document gives the field at all."""
        return name in self._values

    def problem(self, field_name: str, key: str, **values: object) -> None:
        """Note a fault of one of this table's fields."""
        self._document.problems.add(self.at(field_name), key, **values)

    def text(
        self,
        name: str,
        default: str = REQUIRED,
        *,
        most: int = TEXT_MAX_CHARS,
        form: Form | None = None,
    ) -> str:
        """A string. "" is allowed only where it is the default; anything else must have `form`."""
        given = self._ask(name, "string", None if default is REQUIRED else default)
        if given is _ABSENT:
            return self._absent(name, default, form.expected if form else "string")
        fallback = "" if default is REQUIRED else default
        if not isinstance(given, str):
            self._wrong_type(self.at(name), given, "string")
            return fallback
        if given == "" and default == "":
            return given
        return given if self._good_text(self.at(name), given, most, form) else fallback

    def texts(
        self,
        name: str,
        default: Iterable[str] | None = None,
        *,
        count_least: int = 0,
        count_most: int,
        form: Form,
    ) -> tuple[str, ...]:
        """An array of different strings, each having `form`. A faulty entry is "", so that indices stay."""
        given = self._ask(name, "array of strings", None if default is None else list(default))
        good: list[str] = []
        for path, item in self._items(name, given, default is None, (count_least, count_most)):
            good.append(self._entry(path, item, good, form))
        return tuple(default or ()) if given is _ABSENT else tuple(good)

    def integer(self, name: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number from low to high."""
        given = self._ask(name, "number", default)
        fallback = low if default is None else default
        if given is _ABSENT:
            if default is None:
                self._missing(name, f"{low}–{high}")
            return fallback
        if isinstance(given, bool) or not isinstance(given, int):
            self._wrong_type(self.at(name), given, "whole number")
            return fallback
        if not low <= given <= high:
            self.problem(name, "field.range", value=shown(given), low=low, high=high)
            return fallback
        return given

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        given = self._ask(name, "boolean", default)
        if given is _ABSENT:
            return default
        if not isinstance(given, bool):
            self._wrong_type(self.at(name), given, "boolean")
            return default
        return given

    def choice(self, name: str, default: str | None, allowed: Iterable[str]) -> str:
        """One of the allowed strings."""
        names = [str(one) for one in allowed]
        given = self._ask(name, f"one of {', '.join(names)}", default)
        fallback = names[0] if default is None else default
        if given is _ABSENT:
            if default is None:
                self._missing(name, " | ".join(names))
            return fallback
        return str(given) if self._is_choice(self.at(name), given, names) else fallback

    def choices(
        self, name: str, default: Iterable[str] | None, allowed: Iterable[str], *, count_least: int = 0
    ) -> tuple[str, ...]:
        """An array of different strings out of the allowed ones."""
        names = [str(one) for one in allowed]
        given = self._ask(name, f"array of {', '.join(names)}", None if default is None else list(default))
        good: list[str] = []
        for path, item in self._items(name, given, default is None, (count_least, len(names))):
            if not self._is_choice(path, item, names):
                continue
            if item in good:
                self._document.problems.add(path, "field.doubled", value=shown(item))
            else:
                good.append(str(item))
        return tuple(default or ()) if given is _ABSENT else tuple(good)

    def hexadecimal(self, name: str, digits: int) -> str:
        """Exactly so many lower-case hexadecimal digits, or "". The value is a secret and never shown."""
        given = self._ask(name, f"{digits} hexadecimal digits", "")
        if given is _ABSENT or given == "":
            return ""
        if not isinstance(given, str):
            self.problem(name, "field.type", value="the value", found=type_name(given), expected="string")
        elif len(given) != digits or not set(given) <= _HEX_DIGITS:
            self.problem(name, "field.hex", length=len(given), digits=digits)
        else:
            return given
        return ""

    def address(
        self,
        name: str,
        parse: Callable[[str], object],
        default: str = REQUIRED,
        *,
        expected: str,
        example: str,
    ) -> str:
        """A string that `parse` (of `appliance.addresses`) accepts; "" only where it is the default."""
        value = self.text(name, default)
        if not value or value == default:
            return value
        try:
            parse(value)
        except AddressError as error:
            key = f"address.{error.reason}"
            public = f"...@{value.rpartition('@')[2]}" if "@" in value else value
            self.problem(name, key, value=shown(public), expected=expected, example=example)
            return "" if default is REQUIRED else default
        return value

    def table(self, name: str, *, required: bool = True) -> "Table":
        """A nested object; an empty one where it is missing."""
        given = self._ask(name, "object", None if required else {})
        if given is _ABSENT:
            given = {}
            if required:
                self._missing(name, "object")
                given = LOST
        return Table(given, self.at(name), self._document, self._pattern_of(name))

    def tables(self, name: str, *, count_most: int) -> list["Table"]:
        """An array of objects; empty where it is missing."""
        given = self._ask(name, "array of objects", [])
        pattern = f"{self._pattern_of(name)}[]"
        rows = self._items(name, given, False, (0, count_most))
        return [Table(item, path, self._document, pattern) for path, item in rows]

    def finish(self) -> None:
        """Note every field that nobody asked for. Call it after the last field was read."""
        for name in self._values:
            if name in self._names:
                continue
            if name.lower() in SECRET_NAMES:
                self.problem(name, "field.secret")
                continue
            near = difflib.get_close_matches(name[:TEXT_MAX_CHARS], self._names, n=1)
            if near:
                self.problem_at(name, "field.misspelt", name=shown(name), suggestion=shown(near[0]))
            else:
                self.problem_at(name, "field.unknown", name=shown(name), known=", ".join(self._names))

    def problem_at(self, field_name: str, key: str, **values: object) -> None:
        """Note a fault of a field whose name cannot be trusted to be printable."""
        printable = (
            field_name if field_name.isprintable() and len(field_name) < TEXT_MAX_CHARS else shown(field_name)
        )
        self.problem(printable, key, **values)

    # the parts

    def _pattern_of(self, name: str) -> str:
        return f"{self._pattern}.{name}" if self._pattern else name

    def _ask(self, name: str, kind: str, default: object) -> object:
        self._names.append(name)
        self._document.asked[self._pattern_of(name)] = Asked(kind, default)
        return self._values.get(name, _ABSENT)

    def _absent(self, name: str, default: str, expected: str) -> str:
        if default is not REQUIRED:
            return default
        self._missing(name, expected)
        return ""

    def _missing(self, name: str, expected: str) -> None:
        if not self._lost:
            self.problem(name, "field.missing", expected=expected)

    def _items(
        self, name: str, given: object, required: bool, count: tuple[int, int]
    ) -> Iterator[tuple[str, object]]:
        if given is _ABSENT:
            if required:
                self._missing(name, "array")
            return
        if not isinstance(given, list | tuple):
            self._wrong_type(self.at(name), given, "array")
            return
        least, most = count
        if len(given) < least:
            self.problem(name, "field.few", count=len(given), least=least)
        if len(given) > most:
            self.problem(name, "field.many", count=len(given), most=most)
        for index, item in enumerate(given[:most]):
            yield f"{self.at(name)}[{index}]", item

    def _entry(self, path: str, item: object, before: list[str], form: Form) -> str:
        if not isinstance(item, str):
            self._wrong_type(path, item, "string")
        elif self._good_text(path, item, TEXT_MAX_CHARS, form):
            if item not in before:
                return item
            self._document.problems.add(path, "field.doubled", value=shown(item))
        return ""

    def _is_choice(self, path: str, given: object, names: list[str]) -> bool:
        if isinstance(given, str) and given in names:
            return True
        if isinstance(given, str):
            self._document.problems.add(path, "field.choice", value=shown(given), allowed=", ".join(names))
        else:
            self._wrong_type(path, given, "string")
        return False

    def _good_text(self, path: str, given: str, most: int, form: Form | None) -> bool:
        problems = self._document.problems
        if not given:
            problems.add(path, "field.empty", most=most)
        elif len(given) > most:
            problems.add(path, "field.long", length=len(given), most=most)
        elif (position := _control_position(given)) is not None:
            problems.add(
                path,
                "field.control",
                value=shown(given),
                character=f"U+{ord(given[position]):04X}",
                position=position + 1,
            )
        elif form and not form.holds(given):
            problems.add(
                path, "field.pattern", value=shown(given), expected=form.expected, example=form.example
            )
        else:
            return True
        return False

    def _wrong_type(self, path: str, given: object, expected: str) -> None:
        value = shown(given) if isinstance(given, str | bool | int | float | None) else "the value"
        self._document.problems.add(
            path, "field.type", value=value, found=type_name(given), expected=expected
        )


_ABSENT = object()


def _control_position(value: str) -> int | None:
    """Index of the first character that could break a header, a log line or a reader's eye, or None."""
    for index, character in enumerate(value):
        if unicodedata.category(character) in _BAD_CATEGORIES or character in _BIDI_OVERRIDES:
            return index
    return None
