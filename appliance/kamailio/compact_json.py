"""JSON as short as it gets, for what the box's own processes tell each other many times a call. Pure.

The same text as `json.dumps(value, separators=(",", ":"))`, by the same C code, without what the library does around it for
options that nobody here uses: several times as fast for the few words that are written at a time.
"""

from json import JSONDecoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any


def _unknown(value: object) -> None:
    raise TypeError(f"{type(value).__name__} is no JSON")


_chunks = c_make_encoder(None, _unknown, encode_basestring_ascii, None, ":", ",", False, False, False)
_scan = JSONDecoder().scan_once  # type: ignore[attr-defined]


def write(value: Any) -> str:
    """`value` as one line of ASCII. Raises TypeError, ValueError for what JSON cannot hold."""
    return "".join(_chunks(value, 0))


def read(text: str) -> Any:
    """What `write` wrote. Raises ValueError on anything else."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError(f"no JSON: {text[:40]!r}")
    return value
