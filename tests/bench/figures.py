"""How the benchmarks sum up what they measured, and how they write it. Pure."""

import statistics
from collections.abc import Sequence
from typing import Any


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, least and most of the rounds, and how many there were. Raises ``StatisticsError`` without any."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "rounds": len(values),
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed: always one that was measured."""
    if not values:
        raise ValueError("a quantile of nothing")
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


def delays(values: Sequence[float]) -> dict[str, int | None]:
    """{p50, p95, max} in whole units; ``None`` each when nothing was measured."""
    if not values:
        return {"p50": None, "p95": None, "max": None}
    return {
        "p50": round(quantile(values, 0.5)),
        "p95": round(quantile(values, 0.95)),
        "max": round(max(values)),
    }


def cell(found: dict[str, Any], digits: int = 2) -> str:
    """A spread for people: median (least-most)."""
    return f"{found['median']:.{digits}f} ({found['min']:.{digits}f}-{found['max']:.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under a head, columns as wide as they have to be; the first to the left, the others to the right."""
    texts = [[str(value) for value in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in texts
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
