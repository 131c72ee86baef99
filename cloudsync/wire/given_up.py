"""Which records a box gave up before the centre had them: their places in the chain, in an event of that same chain."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cloudsync.wire.values import SHA256_PATTERN, Json, WireError
from cloudsync.wire.words import Refusal

EVENT_GIVEN_UP = "records_given_up"
"""`event` of the record by which a box tells which records it gave up before the centre had them."""

GIVEN_UP_MAX = 400
"""Records that one such event names: 400 that stand alone take 57 KB of its body."""


class GivenUpRun(NamedTuple):
    """Neighbouring records that a box gave up: the first one's number, the hash before it, and each one's hash.

    What they said is gone; that they were, and where in the chain, is what the hashes keep."""

    first_seq: int
    prev_hash: str
    hashes: tuple[str, ...]

    def links(self) -> list[tuple[int, str, str]]:
        """(number, hash before, hash) of each."""
        before = (self.prev_hash, *self.hashes)
        return [(self.first_seq + n, before[n], digest) for n, digest in enumerate(self.hashes)]


def given_up_json(links: Iterable[tuple[int, str, str]]) -> list[list[Json]]:
    """`runs` of an event EVENT_GIVEN_UP: (number, hash before, hash) of each record, by number, as
    `[[first number, hash before it, hash, hash, ...], ...]`."""
    runs: list[list[Json]] = []
    next_seq = 0
    for seq, prev_hash, digest in links:
        if seq == next_seq and runs[-1][-1] == prev_hash:
            runs[-1].append(digest)
        else:
            runs.append([seq, prev_hash, digest])
        next_seq = seq + 1
    return runs


def given_up_runs(body: Mapping[str, Json]) -> list[GivenUpRun]:
    """Inverse of `given_up_json`, of the event's body; raises WireError `malformed`."""
    runs = body.get("runs")
    if not isinstance(runs, list) or not all(_is_run(run) for run in runs):
        raise WireError(Refusal.MALFORMED, "'runs' are lists of a number and two or more hashes")
    if sum(len(run) - 2 for run in runs) > GIVEN_UP_MAX:
        raise WireError(Refusal.MALFORMED, f"more than {GIVEN_UP_MAX} records are given up at once")
    return [GivenUpRun(run[0], run[1], tuple(run[2:])) for run in runs]


def given_up_ids(body: Mapping[str, Json]) -> list[str]:
    """The ids that the event's body names: a person gave these up. None where a box gave records up by itself."""
    named = body.get("records")
    some = named[:GIVEN_UP_MAX] if isinstance(named, list) else []
    return [one["id"] for one in some if isinstance(one, dict) and isinstance(one.get("id"), str)]


def _is_run(run: Json) -> bool:
    return (
        isinstance(run, list)
        and len(run) > 2
        and type(run[0]) is int
        and 1 <= run[0] < 2**62
        and all(isinstance(digest, str) and re.fullmatch(SHA256_PATTERN, digest) for digest in run[1:])
    )
