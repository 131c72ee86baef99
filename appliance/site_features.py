"""The site document's feature codes: which are in force, and that none stands in another number's way. Pure.

A number of the site's own wins over a default code; a code that the document names itself must be free.
"""

import re
from collections.abc import Iterable

from appliance.feature_codes import LANGUAGES, OFF, READY, Code, clashes
from appliance.problems import Problems, shown
from appliance.reader import Table
from appliance.words import Form

CODE = Form(
    re.compile(r"\*[0-9*]{1,6}|off", re.ASCII).fullmatch,
    "a star and 1 to 6 digits or stars, or off",
    "'*97'",
)

TABLE = "feature_codes"


def read(root: Table) -> tuple[tuple[Code, ...], str, frozenset[str]]:
    """Codes as the document says, the language that features speak, and the ids of those that it names itself."""
    table = root.table(TABLE, required=False)
    language = table.choice("language", LANGUAGES[0], LANGUAGES)
    found = [
        Code(one.id, table.text(one.id, one.code, most=7, form=CODE), one.takes, one.pressed) for one in READY
    ]
    named = frozenset(one.id for one in READY if table.has(one.id))
    table.finish()
    return tuple(one for one in found if one.code != OFF), language, named


def in_force(
    codes: Iterable[Code], named: frozenset[str], numbers: Iterable[str], outside_prefix: str
) -> tuple[Code, ...]:
    """Without the default codes whose place one of the site's own numbers, the outside prefix, or a code that the document
    names, has taken."""
    taken, codes = frozenset(numbers), tuple(codes)
    chosen = [one for one in codes if one.id in named]
    return tuple(
        one
        for one in codes
        if one.id in named
        or not (
            one.code in taken or _meets(one, outside_prefix) or any(clashes(one, other) for other in chosen)
        )
    )


def _meets(code: Code, outside_prefix: str) -> bool:
    return bool(outside_prefix) and (
        code.code.startswith(outside_prefix) or outside_prefix.startswith(code.code)
    )


def check(
    codes: Iterable[Code],
    named: frozenset[str],
    numbers: Iterable[tuple[str, str]],
    outside_prefix: str,
    problems: Problems,
) -> None:
    """Note every code of the document's own that is not free. numbers: (path, number) of what telephones dial."""
    chosen = [one for one in codes if one.id in named]
    starred = [(path, number) for path, number in numbers if number.startswith("*")]
    for index, one in enumerate(chosen):
        path = f"$.{TABLE}.{one.id}"
        for where, number in starred:
            if one.argument(number) is not None:
                problems.add(path, "site.code_taken", value=shown(one.code), other=where)
        for other in chosen[:index]:
            if clashes(one, other):
                problems.add(path, "site.code_taken", value=shown(one.code), other=f"$.{TABLE}.{other.id}")
        if _meets(one, outside_prefix):
            problems.add(path, "site.code_taken", value=shown(one.code), other="$.numbering.outside_prefix")
