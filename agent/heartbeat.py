"""Tells the centre of the box, again and again, and does what the answer asks for: a lease, a key, a newer version."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from agent import clock, lease
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudError
from agent.config import ConfigKeeper
from agent.earlier_keys import forget_earlier
from agent.key_rotation import offer_again, rotate
from agent.logs import Logger
from agent.status import Status
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.wire import HEARTBEAT_INTERVAL_S

JITTER = 0.9, 1.1
"""Shares of the interval between which it varies: boxes that began together, as when the power returns, drift apart."""


class Heartbeat:
    """`run` for ever. learn_newer: told the id of the centre's newest signing key, "" for none."""

    def __init__(
        self,
        client: CloudClient,
        box_id: str,
        layout: Layout,
        status: Callable[[], Status],
        config: ConfigKeeper,
        learn_newer: Callable[[str], Awaitable[None]],
        log: Logger,
        now_s: Callable[[], float],
    ) -> None:
        self._client = client
        self._box_id = box_id
        self._layout = layout
        self._status = status
        self._config = config
        self._learn_newer = learn_newer
        self._log = log
        self._now_s = now_s
        self._told_revoked = False

    async def run(self) -> None:
        """One after the other. A centre that is away costs a line in the log."""
        while True:
            await self._beat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S * random.uniform(*JITTER))  # noqa: S311

    async def _beat(self) -> None:
        shown = await asyncio.to_thread(lease.load, self._layout.lease)
        told = {"sent_utc": utc_now(), "lease": shown, "boot_id": clock.boot_id()}
        try:
            answer = await self._client.heartbeat(self._status().as_json() | told)
        except CloudError as error:
            if self._client.revoked and not self._told_revoked:
                await self._shut_out(error)
            self._told_revoked = self._client.revoked
            self._log.warning("heartbeat_failed", about=error.key, reason=error.message)
            return
        self._told_revoked = False
        self._config.centre_seen_s = self._now_s()
        await self._keep_lease(shown, answer)
        if self._client.by_earlier_key:
            await self._offer_key_again()
        elif answer.get("rotate_key"):
            await self._rotate_key()
        version = answer.get("config_version")
        if isinstance(version, int):
            self._config.heard_of(version)
        await self._learn_newer(str(answer.get("key_id") or ""))

    async def _shut_out(self, error: CloudError) -> None:
        """Revoked: whoever has this disk shall not get in by an old key after the centre was restored from a backup of before."""
        self._log.error("box_revoked", reason=error.message)
        try:
            await asyncio.to_thread(forget_earlier, self._layout.key)
        except KyusaiError as unusable:
            self._log.warning("box_keys_not_forgotten", about=unusable.key, reason=unusable.message)

    async def _keep_lease(self, shown: str, answer: dict[str, Any]) -> None:
        if answer.get("cloned"):
            self._log.error("box_cloned", about="lease")
        new = answer.get("lease")
        if isinstance(new, str) and new != shown:
            try:
                await asyncio.to_thread(lease.save, self._layout.lease, new)
            except OSError as error:
                self._log.warning("lease_not_kept", about="lease", reason=str(error))

    async def _offer_key_again(self) -> None:
        """The centre was restored from a backup of before the key in use."""
        try:
            await offer_again(self._client, self._box_id, self._layout.key)
        except KyusaiError as error:
            self._log.warning("box_key_not_offered_again", about=error.key, reason=error.message)
        else:
            self._log.warning("box_key_offered_again")

    async def _rotate_key(self) -> None:
        try:
            await rotate(self._client, self._box_id, self._layout.key)
        except KyusaiError as error:
            self._log.warning("box_key_not_changed", about=error.key, reason=error.message)
        else:
            self._log.info("box_key_changed")


def utc_now() -> str:
    """Wall time as the wire has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
