"""Why a box did not take a version of its site document, or went back: an English line, and beside it the key and values by which
somebody who reads another language gets it in his own.

The two travel in lists of the same order, `problems` and `details`: a release that knows no details reads the lines as ever,
and lines that came without details are told as they came. All of it comes from elsewhere and is shown to people, so
it is kept short and printable.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice, zip_longest

from cloudsync.wire.limits import PROBLEMS_MAX
from cloudsync.wire.values import Json

TEXT_CHARACTERS_MAX = 500
"""Of one line."""

PATH_CHARACTERS_MAX = 200
VALUE_CHARACTERS_MAX = 200
"""A value of a document is shown in 48 characters; lists of names are longer."""

VALUES_MAX = 12
"""No text has more than six placeholders."""

DETAILS_BYTES_MAX = 64 * 1024
"""Of all details of one report, as JSON in ASCII: with the lines it must stay within `JSON_BYTES_MAX`. What is behind has its
line alone."""

_KEY = re.compile(r"[a-z0-9_]{1,32}(\.[a-z0-9_-]{1,32}){1,4}")
_NAME = re.compile(r"[a-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True)
class Reason:
    """text: English and complete. key: of a catalogue's text, "" for none; values: of its placeholders. path: the place
    in the document, "" for none. Make it by `reason_of` or `reasons_from`, which keep the limits."""

    text: str
    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    path: str = ""

    def __str__(self) -> str:
        return self.text


def reason_of(text: str, key: str, values: Mapping[str, object], path: str = "") -> Reason:
    """A reason within the limits."""
    told = {name: _plain(str(value), VALUE_CHARACTERS_MAX) for name, value in values.items()}
    return Reason(
        _plain(text, TEXT_CHARACTERS_MAX),
        key,
        dict(islice(told.items(), VALUES_MAX)),
        _plain(path, PATH_CHARACTERS_MAX),
    )


def reasons_json(reasons: Iterable[Reason]) -> tuple[list[str], list[dict[str, Json]]]:
    """`problems` and `details` as they travel, {} in the place of what has no details; at most `PROBLEMS_MAX`."""
    problems: list[str] = []
    details: list[dict[str, Json]] = []
    left_bytes = DETAILS_BYTES_MAX
    for one in islice(reasons, PROBLEMS_MAX):
        detail = {"key": one.key, "values": dict(one.values), "path": one.path} if one.key else {}
        left_bytes -= len(json.dumps(detail))
        problems.append(one.text)
        details.append(detail if left_bytes >= 0 else {})
    return problems, details


def reasons_from(problems: Json, details: Json = ()) -> tuple[Reason, ...]:
    """Reasons as they came, or as `reasons_kept` keeps them. Never raises: of what cannot be read, what can be is told."""
    lines = _listed(problems)[:PROBLEMS_MAX]
    return tuple(_reason(*one) for one in zip_longest(lines, _listed(details)[: len(lines)]))


def reasons_kept(reasons: Iterable[Reason]) -> list[Json]:
    """One list of all, for storing: a line alone as its text, as it was before there were details."""
    return [asdict(one) if one.key else one.text for one in reasons]


def _listed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else ()


def _reason(line: Json, detail: Json) -> Reason:
    if isinstance(line, dict) and isinstance(line.get("text"), str):
        line, detail = line["text"], line
    text = _plain(line if isinstance(line, str) else _shown(line), TEXT_CHARACTERS_MAX)
    told = detail if isinstance(detail, dict) else {}
    key, values, path = told.get("key"), told.get("values"), told.get("path")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return Reason(text)
    known = {
        name: value
        for name, value in (values.items() if isinstance(values, dict) else ())
        if isinstance(value, str) and isinstance(name, str) and _NAME.fullmatch(name)
    }
    return reason_of(text, key, known, path if isinstance(path, str) else "")


def _shown(line: Json) -> str:
    """What is no text, which no box of ours sends."""
    try:
        return str(line)
    except (RecursionError, ValueError):
        return "?"


def _plain(text: str, most: int) -> str:
    """In one line, without what steers a terminal or turns the direction of writing; at most `most` characters."""
    told = "".join(map(_printed, text[: most + 1]))
    return told if len(told) <= most else f"{told[: most - 1]}…"


def _printed(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else ascii(letter)[1:-1]
