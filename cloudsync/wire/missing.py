"""Which numbers of a site's sequence the centre does not know."""

from dataclasses import dataclass

from cloudsync.wire.values import Json, WireError

MISSING_RUNS_MAX = 1000
"""Runs in one answer; the rest is asked for behind the last of them."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Runs (first, last) of numbers that have not come, in order; at most `MISSING_RUNS_MAX`, the lowest. seq: the last number
    that the centre knows of: what is higher is not named."""

    seq: int
    runs: tuple[tuple[int, int], ...]


def missing_from(value: Json) -> Missing:
    """A `Missing` from its JSON; raises WireError `malformed`."""
    try:
        seq, runs = value["seq"], tuple((first, last) for first, last in value["runs"])
        before = -1  # runs do not touch
        for first, last in runs:
            if type(first) is not int or type(last) is not int or not before + 1 < first <= last:
                raise ValueError(f"{first}, {last} behind {before}")
            before = last
        if type(seq) is not int or before > seq or len(runs) > MISSING_RUNS_MAX:
            raise ValueError(f"up to {seq}")
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(
            "malformed", f"missing numbers are seq and at most {MISSING_RUNS_MAX} runs in order ({error})"
        ) from error
    return Missing(seq, runs)
