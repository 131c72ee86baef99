"""A worker's share of a campaign. A failure means that runs are left out, made twice, or not counted."""

from pathlib import Path
from typing import Any

from tests.crash.share import SPOILT_RUNS, Outcome, Share
from tests.crash.verdict import Verdict

NAMES = ("product", "one that forgets", "one that is slow")


def share(folder: Path, **changes: Any) -> Share:
    wanted: dict[str, Any] = {"number": 0, "workers": 1, "runs": 9, "seed": 4, "variants": NAMES} | changes
    return Share(folder, **wanted)


def test_share_comes_through_a_command_line_as_it_was() -> None:
    wanted = share(Path("/a b"), number=2, workers=3)
    assert Share.of(wanted.words()) == wanted


def test_all_workers_together_make_each_run_of_the_product_once(tmp_path: Path) -> None:
    made: list[int] = []

    def once(number: int) -> Outcome:
        made.append(number)
        return Outcome(
            Verdict(lost=["one"] * 5) if number == 3 else Verdict(), ["box write"], f"plan {number}"
        )

    found = [share(tmp_path, number=number, workers=2).go(NAMES[0], once) for number in range(2)]
    assert sorted(made) == list(range(9))
    assert found[1] == {
        "runs": 4,
        "kills": 4,
        "power_cuts": 0,
        "lost": 5,
        "caught": 1,
        "at_fault": 1,
        "killed": {"box write": 4},
        "faults": [{"number": 3, "plan": "plan 3", "lost": ["one"] * 3}],
    }
    assert (found[0]["runs"], found[0]["at_fault"], found[0]["faults"]) == (5, 0, [])
    assert {path.read_bytes() for path in tmp_path.glob("tally-*")} == {b".....", b".!.."}


def test_spoilt_variant_ends_for_all_workers_when_it_is_found_out(tmp_path: Path) -> None:
    found = share(tmp_path).go(NAMES[1], lambda number: Outcome(Verdict(lost=["x"] * (number == 2)), (), ""))
    assert (found["runs"], found["caught"]) == (3, 1)
    assert share(tmp_path, workers=2, number=1).go(NAMES[1], _sound) == {"killed": {}, "faults": []}


def test_spoilt_variant_that_is_merely_stuck_is_not_found_out(tmp_path: Path) -> None:
    found = share(tmp_path).go(NAMES[2], lambda _number: Outcome(Verdict(stuck=["x"]), (), ""))
    assert (found["runs"], found["caught"], found["stuck"]) == (SPOILT_RUNS, 0, SPOILT_RUNS)


def _sound(_number: int) -> Outcome:
    return Outcome(Verdict(), (), "")
