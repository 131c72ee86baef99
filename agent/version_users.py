"""CORE. Which versions calls that are up may still use: their prompts and music are named by the version they began with.

A call goes on with what it hears when a version is replaced, and may begin the same audio again (music, a list of prompts)
long after. So a version stays on the disk for as long as one of the calls is up that were up when it was replaced. Calls are
known by FreeSWITCH's ids, so no clock is asked; they are kept in memory, and an agent that starts takes all calls for users of
all versions.
"""

from collections.abc import Iterable

from agent.config_store import Build

Calls = frozenset[str] | None
"""Ids of the calls that are up; None while that cannot be known."""

KEPT_FOR_CALLS_MAX = 20
"""Folders that stay for calls, some megabytes each, the newest of them: a call that is up for days may find a prompt gone."""


class VersionUsers:
    """Of one box. Each look and each switch is told in order."""

    def __init__(self) -> None:
        self._calls: dict[Build, Calls] = {}

    def replaced(self, build: Build, up: Calls) -> None:
        """Another version took the place of `build` while these calls were up."""
        self._calls[build] = up

    def used(self, builds: Iterable[Build], up: Calls) -> set[Build]:
        """Those of the builds on the disk that must stay. up: the calls that are up now."""
        self._calls = {one: self._still(one, up) for one in builds}
        kept = [one for one, calls in self._calls.items() if calls is None or calls]
        return set(sorted(kept)[-KEPT_FOR_CALLS_MAX:])

    def _still(self, build: Build, up: Calls) -> Calls:
        """Its users that are still up; where they are not known, whoever is up now."""
        users = self._calls.get(build)
        if users is None or up is None:
            return up if users is None else users
        return users & up
