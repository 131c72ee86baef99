"""A version stays on the disk while a call that may play from it is up, and no longer."""

from agent.config_store import Build
from agent.version_users import KEPT_FOR_CALLS_MAX, VersionUsers

ONE, TWO, THREE = Build(1), Build(2), Build(3)


def up(*calls: str) -> frozenset[str]:
    return frozenset(calls)


def test_a_version_stays_until_the_last_call_that_began_with_it_has_ended() -> None:
    users = VersionUsers()
    users.replaced(ONE, up("a", "b"))
    users.replaced(TWO, up("b", "c"))
    assert users.used([ONE, TWO, THREE], up("b", "c", "d")) == {ONE, TWO, THREE}
    users.replaced(THREE, up("c", "d"))
    assert users.used([ONE, TWO, THREE], up("c")) == {TWO, THREE}
    assert users.used([TWO, THREE], up("e")) == set()


def test_a_call_that_came_after_a_version_was_replaced_does_not_keep_it() -> None:
    users = VersionUsers()
    users.replaced(ONE, up())
    assert users.used([ONE], up("later")) == set()


def test_while_nobody_knows_which_calls_are_up_everything_stays() -> None:
    users = VersionUsers()
    users.replaced(ONE, up("a"))
    users.replaced(TWO, None)
    assert users.used([ONE, TWO, THREE], None) == {ONE, TWO, THREE}
    assert users.used([ONE, TWO, THREE], up("b")) == {TWO, THREE}
    assert users.used([TWO, THREE], up("c")) == set()


def test_an_agent_that_has_just_started_takes_all_calls_for_users_of_all_versions() -> None:
    users = VersionUsers()
    assert users.used([ONE, TWO], up("a")) == {ONE, TWO}
    assert users.used([ONE, TWO], up("b")) == set()


def test_a_call_that_is_up_for_ever_does_not_fill_the_disk() -> None:
    users = VersionUsers()
    builds = [Build(number) for number in range(1, 100)]
    for build in builds:
        users.replaced(build, up("a"))
    assert users.used(builds, up("a")) == set(builds[-KEPT_FOR_CALLS_MAX:])
