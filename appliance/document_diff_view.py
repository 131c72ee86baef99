"""Differences between site documents as lines for a terminal, in the user's language. Decides nothing."""

from collections.abc import Iterator, Sequence

from appliance.document_diff import Change, Difference
from appliance.text import Lang, text

SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}


def lines(found: Sequence[Difference], before: int, after: int, lang: Lang) -> Iterator[str]:
    """A heading and a line for each difference. before, after: the versions."""
    key = "diff.heading" if found else "diff.none"
    yield text(key, lang, before=before, after=after, count=len(found))
    yield from changes(found)


def changes(found: Sequence[Difference]) -> Iterator[str]:
    """A line for each difference."""
    for one in found:
        values = f"{one.before} → {one.after}" if one.change is Change.CHANGED else one.before or one.after
        yield f"{SIGNS[one.change]} {one.path}: {values}"


def as_json(found: Sequence[Difference], before: int, after: int) -> dict[str, object]:
    """The same for programs."""
    return {
        "from": before,
        "to": after,
        "differences": [
            {"path": one.path, "change": one.change.value, "before": one.before, "after": one.after}
            for one in found
        ],
    }
