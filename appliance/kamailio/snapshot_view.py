"""Read access to the route snapshot, joined with the live facts that Kamailio knows: a `View` for `decide`.

Standard library only. Wraps SQLite and decides nothing. Make one per process, after the fork (in `child_init`):
a database handle must not cross it. Never blocks but on indexed reads of a local file.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from appliance.kamailio import own
from appliance.kamailio.snapshot_file import Credential, Identity, Snapshot, SnapshotError, identity_of
from appliance.kamailio.view import Extension, Group, Policy
from appliance.model import LinkState

__all__ = ["Credential", "Live", "SnapshotError", "SnapshotView"]

STAT_INTERVAL_S = 0.1
"""A switch of the configuration is noticed this late at most; in between a request costs no system call."""


class Live(Protocol):
    """The half of `View` that changes from call to call. Kamailio's adapter supplies it."""

    def link(self, upstream_id: str) -> LinkState: ...
    def life_ms(self, upstream_id: str) -> int: ...
    def registered(self, number: str) -> bool: ...
    def calls_on(self, gateway_id: str) -> int: ...
    def outside_calls_of(self, extension: str) -> int: ...
    def outside_calls(self) -> int: ...
    def in_call(self, extension: str) -> bool: ...
    def wish(self, what: str, extension: str) -> str: ...
    def idle_since_ms(self, extension: str) -> int: ...
    def last_caller(self, extension: str) -> str: ...
    def person_at(self, phone: str) -> str: ...
    def tries(self, key: str, lock_s: int) -> int: ...
    def emergency_within(self, seconds: int) -> bool: ...


class Settings(Protocol):
    """What was set at telephones (`kept.Kept`)."""

    @property
    def generation(self) -> str: ...
    def get(self, key: str) -> str: ...


class SnapshotView:
    """A `View` on the snapshot at `path` (usually `Layout.current_route_snapshot`) and on `live`.

    Call `refresh` at the start of each request: all reads until the next one see one version of the site.
    clock: monotonic seconds. fault: why the newest snapshot is not in use, or "".
    """

    def __init__(
        self,
        path: Path | str,
        live: Live,
        clock: Callable[[], float] = time.monotonic,
        settings: Settings | None = None,
    ) -> None:
        self._path = Path(path)
        self._live = live
        self._clock = clock
        self._settings = settings
        self._looked_s = float("-inf")
        self._seen: Identity | None = None
        self._open: Snapshot | None = None
        self.fault = ""

    # one version for one request

    def refresh(self) -> bool:
        """Switch to the snapshot that lies at the path now; True when it was another one. Never raises.

        Looks at the file at most once per `STAT_INTERVAL_S`. Where it is missing or damaged the last good one
        stays in use and `fault` says why.
        """
        now_s = self._clock()
        if now_s - self._looked_s < STAT_INTERVAL_S:
            return False
        self._looked_s = now_s
        try:
            identity = identity_of(self._path)
            if identity == self._seen:
                return False
            self._seen = identity
            fresh = Snapshot(self._path)
        except SnapshotError as error:
            self.fault = error.message
            if error.key == "snapshot.missing":
                self._seen = None
            return False
        old, self._open, self.fault = self._open, fresh, ""
        if old:
            old.close()
        return True

    def close(self) -> None:
        """Give the file back; the next read opens it again."""
        if self._open:
            self._open.close()
        self._open = self._seen = None
        self._looked_s = float("-inf")

    @property
    def _snapshot(self) -> Snapshot:
        if self._open is None:
            self._looked_s, self._seen = float("-inf"), None
            self.refresh()
        if self._open is None:
            raise SnapshotError(
                "snapshot.none",
                f"no usable route snapshot: {self.fault}",
                "Enrol the box, or publish the site document again.",
                detail=self.fault,
            )
        return self._open

    # the site's half

    @property
    def policy(self) -> Policy:
        """What holds for the whole site. Raises `SnapshotError`, as every read here does."""
        return self._open.policy if self._open is not None else self._snapshot.policy

    @property
    def generation(self) -> str:
        """Of what telephones set; "" or "0" while nothing is."""
        return self._settings.generation if self._settings is not None else ""

    def extension(self, number: str) -> Extension | None:
        """The extension with a number, as it was set at its telephone, or None."""
        found = self._snapshot.extension(number)
        settings = self._settings
        if found is None or settings is None or settings.generation in ("", "0"):
            return found
        text = settings.get(own.key_of(number))
        return own.laid_over(found, text) if text else found

    def document_extension(self, number: str) -> Extension | None:
        """The extension as the site document says, or None."""
        return self._snapshot.extension(number)

    def group(self, number: str) -> Group | None:
        """The hunt group with a number, or None."""
        return self._snapshot.group(number)

    def remote_extension(self, number: str) -> str | None:
        """E.164 of another site's extension, or None."""
        return self._snapshot.remote_extension(number)

    def extension_of(self, public_number: str) -> str | None:
        """Extension or group number that this site answers for an E.164 number, or None."""
        return self._snapshot.extension_of(public_number)

    def credential(self, username: str) -> Credential | None:
        """Extension and HA1 values of a digest user name, or None."""
        return self._snapshot.credential(username)

    # the live half

    def link(self, upstream_id: str) -> LinkState:
        """What the agent last said of an upstream."""
        return self._live.link(upstream_id)

    def life_ms(self, upstream_id: str) -> int:
        """Time for a first sign of life, in ms: the site document's, or longer where the agent has measured a slow line."""
        return max(self.policy.upstream_life_ms, self._live.life_ms(upstream_id))

    def registered(self, number: str) -> bool:
        """Whether an extension has a contact."""
        return self._live.registered(number)

    def calls_on(self, gateway_id: str) -> int:
        """Calls up on a gateway."""
        return self._live.calls_on(gateway_id)

    def outside_calls_of(self, extension: str) -> int:
        """Calls that an extension has with the outside."""
        return self._live.outside_calls_of(extension)

    def outside_calls(self) -> int:
        """Calls of the whole site with the outside."""
        return self._live.outside_calls()

    def in_call(self, extension: str) -> bool:
        """Whether an extension is in a call."""
        return self._live.in_call(extension)

    def wish(self, what: str, extension: str) -> str:
        """What an extension wants."""
        return self._live.wish(what, extension)

    def idle_since_ms(self, extension: str) -> int:
        """When an extension's last answered call ended."""
        return self._live.idle_since_ms(extension)

    def last_caller(self, extension: str) -> str:
        """Who called an extension last."""
        return self._live.last_caller(extension)

    def emergency_within(self, seconds: int) -> bool:
        """Whether somebody made an emergency call within so many seconds."""
        return self._live.emergency_within(seconds)

    def person_at(self, phone: str) -> str:
        """Who is logged in at a telephone."""
        return self._live.person_at(phone)

    def tries(self, key: str) -> int:
        """Wrong PINs."""
        return self._live.tries(key, self.policy.hot_desk_lock_s)
