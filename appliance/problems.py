"""Faults of a document as values: where, which rule, what to do. Pure.

The English texts stand beside the rules, so that a core can speak without a file; `texts.toml` holds the same
texts and the Japanese ones under the same keys (a test keeps them equal).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from appliance.errors import KyusaiError

SHOWN_CHARS = 48
"""A value is shown in a message up to this length; whoever wrote the document knows the rest."""


SHOWN_BITS = 64
"""Python refuses to print integers of thousands of digits; nobody needs to read them either."""

PROBLEMS_MAX = 1000
"""So many faults of one document are listed: more help nobody, and the list travels back to the centre."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. path: where, as in `$.extensions[3].number`; key: stable; values: for translation."""

    path: str
    key: str
    message: str
    hint: str = ""
    values: Mapping[str, object] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class DocumentError(KyusaiError):
    """A document with faults, all of them. problems: in the order of the document."""

    def __init__(self, key: str, what: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        first = f"; first {self.problems[0]}" if self.problems else ""
        super().__init__(
            key, f"{what} has {count} problem{'s' * (count != 1)}{first}", count=count, what=what
        )


def one_line(path: str, message: str, hint: str = "") -> str:
    """A fault in one line: `$.version: must be a number (Write 12.)`."""
    return (f"{path}: " if path else "") + message + (f" ({hint})" if hint else "")


def shown(value: object) -> str:
    """A value for a message: its repr, cut to `SHOWN_CHARS`. Printable by construction."""
    if isinstance(value, int) and value.bit_length() > SHOWN_BITS:
        return "the number"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."


def type_name(value: object) -> str:
    """A JSON value's type, in the words of RFC 8259."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "fraction"
    if isinstance(value, int):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", tuple: "array", dict: "object"}
    return names.get(type(value), type(value).__name__)


class Problems:
    """Collects faults while a document is read. Each rule is a key of `templates`: (message, hint)."""

    def __init__(self, templates: Mapping[str, tuple[str, str]]) -> None:
        self._templates = templates
        self.count = 0
        self.found: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, path: str, key: str, **values: object) -> None:
        """Note a fault that makes the document unusable; beyond `PROBLEMS_MAX` they are only counted."""
        self.count += 1
        if self.count <= PROBLEMS_MAX:
            self.found.append(self._problem(path, key, values))

    def warn(self, path: str, key: str, **values: object) -> None:
        """Note something the operator should know about a document that is usable."""
        self.warnings.append(self._problem(path, key, values))

    def listed(self) -> tuple[Problem, ...]:
        """The faults found, and as the last one how many more there are."""
        more = self.count - len(self.found)
        return (*self.found, *([self._problem("", "field.more", {"count": more})] if more else []))

    def _problem(self, path: str, key: str, values: Mapping[str, object]) -> Problem:
        message, hint = self._templates[key]
        return Problem(path, key, message.format(**values), hint.format(**values), dict(values))
