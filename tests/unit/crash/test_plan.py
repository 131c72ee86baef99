"""Plans of crash runs: the same for the same seed, and spread over every point."""

from tests.crash.plan import Plan, Side, plan

POINTS = {Side.BOX: 450, Side.CENTRE: 260}


def plans(seed: int, runs: int) -> list[Plan]:
    return [plan(seed, number, POINTS) for number in range(runs)]


def test_same_seed_gives_the_same_plans() -> None:
    assert plans(3, 50) == plans(3, 50)
    assert plans(3, 50) != plans(4, 50)


def test_thousand_runs_go_through_every_point_but_few() -> None:
    for side, points in POINTS.items():
        hit = {found.faults[0].point for found in plans(20261121, 1000) if found.side is side}
        assert hit <= set(range(1, points + 1))
        assert len(hit) >= min(points, 500) * 0.8
