"""CORE. Lets a repeated line through once per interval, with the number of lines that were held back. Counts always."""

from collections.abc import Hashable
from dataclasses import dataclass

INTERVAL_S = 60.0
"""In a long outage one line a minute says as much as a thousand."""

KINDS_MAX = 500
"""Different lines that are remembered; beyond that all is forgotten, and each is let through once more."""


@dataclass(slots=True)
class _Line:
    since_s: float
    held_back: int = 0


class Repeats:
    """Decides about lines by a key that says which are the same."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._lines: dict[Hashable, _Line] = {}

    def let_through(self, key: Hashable, now_s: float) -> int | None:
        """None: hold the line back. A number: write it; so many like it were held back since the last."""
        line = self._lines.get(key)
        if line is not None and now_s - line.since_s < self._interval_s:
            line.held_back += 1
            return None
        if len(self._lines) >= KINDS_MAX:
            self._lines.clear()
        self._lines[key] = _Line(now_s)
        return line.held_back if line is not None else 0
