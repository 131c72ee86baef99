"""A real line between a real box and a real cloud, spoilt in every way: how soon the box knows, told by Kamailio's own table."""

import time
from collections.abc import Awaitable, Callable

from tests.lab.lab import Lab, Parts

HARD_LOSS_S = 3.0
BROWNOUT_S = 10.0

BARE = Parts(phones=0, cloud_phones=0, gateway=False, carrier=False, agent=True, register=False)

Spoil = Callable[[Lab], Awaitable[object]]

KINDS: list[tuple[str, Spoil, float]] = [
    ("dropped", lambda lab: lab.link.cut("drop"), HARD_LOSS_S),
    ("rejected", lambda lab: lab.link.cut("reject"), HARD_LOSS_S),
    ("half open", lambda lab: lab.link.half_open(), HARD_LOSS_S),
    ("one way up", lambda lab: lab.link.cut("drop", "up"), HARD_LOSS_S),
    ("one way down", lambda lab: lab.link.cut("drop", "down"), HARD_LOSS_S),
    ("two seconds of delay", lambda lab: lab.link.delay(2000.0), HARD_LOSS_S),
    ("30 percent loss up", lambda lab: lab.link.loss(0.3, "up"), BROWNOUT_S),
    ("30 percent loss down", lambda lab: lab.link.loss(0.3, "down"), BROWNOUT_S),
]


async def forget_the_flaps(lab: Lab) -> None:
    """A fresh agent without a memory: the next outage's hold-down is the first again."""
    await lab.box.kill("agent")
    (lab.box.layout.run_dir / "links.json").unlink()
    await lab.box.start("agent")


async def test_every_kind_of_outage_is_known_in_time_and_the_last_is_taken_back_by_itself() -> None:
    late: dict[str, float] = {}
    async with Lab(BARE) as lab:
        for name, spoil, limit_s in KINDS:
            await lab.box.wait_link_state("UP")
            began_s = time.monotonic()
            await spoil(lab)
            took_s = await lab.box.wait_link_state("DOWN", timeout_s=limit_s + 20) - began_s
            if took_s > limit_s:
                late[name] = took_s
            await lab.link.restore()
            if name != KINDS[-1][0]:
                await forget_the_flaps(lab)
        await lab.box.wait_link_state("UP")
        status = await lab.box.status()
    assert late == {}
    assert status["links"][0]["transitions"]["RECOVERING>UP"] == 1


async def test_a_line_that_is_merely_slow_or_reorders_is_no_outage() -> None:
    async with Lab(BARE) as lab:
        await lab.box.wait_link_state("UP")
        await lab.link.delay(120.0, 60.0)
        await lab.link.reorder(0.2)
        end_s = time.monotonic() + 8
        while time.monotonic() < end_s:
            assert await lab.box.link_state() in ("UP", "SUSPECT")
            status = await lab.box.status()
        link = status["links"][0]
        assert 240 <= link["round_trip_ms"] <= 590
        # The status rounds the round trip to a microsecond, up or down.
        assert link["life_ms"] >= 3 * link["round_trip_ms"] - 0.01


async def test_a_killed_agent_means_unknown_after_five_seconds_and_the_next_one_goes_on() -> None:
    async with Lab(BARE) as lab:
        await lab.box.wait_link_state("UP")
        killed_s = time.monotonic()
        await lab.box.kill("agent")
        gone_s = await lab.box.wait_link_state("")
        assert gone_s - killed_s < 10
        await lab.link.cut("drop")
        await lab.box.start("agent")
        await lab.box.wait_link_state("DOWN")
