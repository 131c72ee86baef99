"""CORE. How many log lines of one sort are written: the first few of an interval, then a count of the rest."""

LINES_MAX = 10
"""Lines of one sort per interval: enough to see what happens, too few to fill a disk."""
INTERVAL_S = 60.0


class Throttle:
    """Decides line by line. Time comes as an argument (seconds, monotonic). Keys must be few."""

    def __init__(self, lines_max: int = LINES_MAX, interval_s: float = INTERVAL_S) -> None:
        self._lines_max = lines_max
        self._interval_s = interval_s
        self._seen: dict[str, tuple[float, int]] = {}

    def admit(self, key: str, now_s: float) -> int | None:
        """None: do not write the line. A number: write it, so many of its sort were left out before."""
        began_s, count = self._seen.get(key, (now_s, 0))
        if now_s - began_s >= self._interval_s:
            self._seen[key] = (now_s, 1)
            return max(0, count - self._lines_max)
        self._seen[key] = (began_s, count + 1)
        return 0 if count < self._lines_max else None
