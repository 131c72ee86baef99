"""Who the simulated boxes are, and what they say. Pure: whoever makes the store and every process of the simulator derive
the same from a box's number.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.status import (
    CentreStatus,
    ConfigStatus,
    KamailioStatus,
    LinkStatus,
    SpoolStatus,
    Status,
    TaskStatus,
)
from cloudsync import wire

BOXES_PER_NETWORK = 250
FIRST_NETWORK = 200
"""Boxes stand in 127.200.0.0/16 and above, where no lab does, each at an address of its own."""
TASKS = (
    "config",
    "heartbeat",
    "journal",
    "records",
    "pick_up",
    "recordings",
    "link",
    "metrics",
    "http",
    "disk",
)
BOOT_ID = "6f1c2b1e-8a64-4c0f-9d55-0b6f5c1e7a{:04x}"


@dataclass(frozen=True, slots=True)
class Habits:
    """What a box does. Shares (0 to 1) are of all boxes; 0 s means never."""

    heartbeat_s: float = 10.0
    poll_s: float = 50.0
    records_share: float = 0.0
    records_every_s: float = 60.0
    records_each: int = 3
    recordings_share: float = 0.0
    recordings_every_s: float = 60.0
    recording_bytes: int = 8_000


class Identity:
    """Box `number`: the only one of its site."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.site_id = f"fleet-{number:05d}"
        self.box_id = f"{self.site_id}-a"
        network, host = divmod(number, BOXES_PER_NETWORK)
        second, third = divmod(network, 250)
        self.address = f"127.{FIRST_NETWORK + second}.{third}.{host + 1}"

    @property
    def boot_id(self) -> str:
        """Of the boot it is in."""
        return BOOT_ID.format(self.number % 65_536)

    @property
    def code(self) -> str:
        """Its enrolment code, for those that have to enrol."""
        return wire.code_from_bytes(hashlib.sha256(f"kyusai code {self.number}".encode()).digest())

    @property
    def key(self) -> Ed25519PrivateKey:
        """Its real key, derived from its number: nothing secret is in it."""
        seed = hashlib.sha256(f"kyusai fleet {self.number}".encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)


def heartbeat(who: Identity, version: int, lease: str) -> tuple[str, str]:
    """A heartbeat's body, JSON, before and after the time at which it is sent."""
    first = Identity(0)
    text = _of_first(version).replace(first.site_id, who.site_id).replace(BOOT_ID.format(0), who.boot_id)
    before, _, after = text.replace('"lease": "@"', f'"lease": {json.dumps(lease)}').partition("@")
    return before, after


@cache
def _of_first(version: int) -> str:
    return json.dumps(telemetry(Identity(0), version) | {"sent_utc": "@", "lease": "@"})


def telemetry(who: Identity, version: int) -> dict[str, Any]:
    """What a box of today tells, with two upstreams: about 3 KB."""
    link = LinkStatus(
        *("cloud", "UP", "UP", 86_400.123, "answers again", 5.0, 0.0, 0.0012, 0.0008, 21.345, 48.9, 600),
        *(172_800, 172_611, 1, {"UP>SUSPECT": 12, "SUSPECT>UP": 11, "SUSPECT>DOWN": 1, "DOWN>RECOVERING": 1}),
    )
    status = Status(
        box=who.box_id,
        site=who.site_id,
        site_name=f"Branch {who.number}",
        software="0.1.0",
        time_utc="2026-11-21T09:30:00.123Z",
        uptime_s=86_401.5,
        survival_mode=False,
        links=(link, link),
        kamailio=KamailioStatus(True, "5.6.3", 86_399, 48, 3, 268_435_456, 41_943_040, 7, 12, 0),
        config=ConfigStatus(version, 3_600.5, "idle", 2.5, 0, (), 3, 0, 0),
        spool=SpoolStatus(
            2, 0, 1.5, 44_110, 2.5, 1, 81_920, 3, 44_112, 0, 44_110, 44_110, "2026-11-21T09:29:58.001Z"
        ),
        centre=CentreStatus((), {"heartbeat": {"unreachable": 4}, "config": {"unreachable": 3}}),
        tasks={name: TaskStatus(True, 0, "") for name in TASKS},
        disk_free_bytes=48_318_382_080,
        disk_bytes=62_277_025_792,
    )
    return status.as_json() | {"boot_id": who.boot_id}
