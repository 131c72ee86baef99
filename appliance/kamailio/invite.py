"""What every new INVITE is asked, as one question to Kamailio instead of one for each value. Pure.

An answer that does not have one line for each name (a value with a line end in it; or none at all, because it is longer than
Kamailio's language handles) tells nothing: then each value is asked for by itself.
"""

from collections.abc import Iterable

NAMES = (
    *("$si", "$sp", "$proto", "$rU", "$fd", "$ci", "$ft"),
    *("$hdr(Privacy)", "$hdrc(Diversion)", "$hdr(Replaces)", "$hdr(Proxy-Authorization)"),
)
"""The values. None of them changes while the request stage lasts."""

NOTHING = "<null>"
"""How Kamailio writes a value that is not set. What is called so by its sender is not set either."""


def question(names: Iterable[str]) -> str:
    """The pseudo-variable that holds several, a line for each."""
    lines = "\n".join(names)
    return f"$_s({lines})"


def lines(answer: str, count: int) -> list[str]:
    """The values, "" for one that is not set; none where the answer does not tell them."""
    values = ["" if value == NOTHING else value for value in answer.split("\n")]
    return values if len(values) == count else []


QUESTION = question(NAMES)
"""What `read` reads the answer to."""


def read(answer: str) -> dict[str, str]:
    """The values of `NAMES` by name; {} where the answer does not tell them."""
    return dict(zip(NAMES, lines(answer, len(NAMES)), strict=False))
