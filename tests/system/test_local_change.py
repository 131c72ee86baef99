"""A telephone is forwarded at the site while the centre is out of reach; afterwards the centre takes it over. No call notices."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.fault_lab import LOCAL, heard_both_ways, wait_event
from tests.lab.box import ROOT, kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import SITE

FORWARD = ("change", "extension", "203", "forward_always=204", "--why", "desk empty", "--by", "Sato")


async def forwarded(lab: Lab) -> None:
    """205 dials 203 and hears 204."""
    call = await lab.phones["205"].call("203")
    await heard_both_ways(lab, call, "204")
    await call.hangup()


def refused(*words: str) -> str:
    """What a command says that fails."""
    done = subprocess.run(
        [sys.executable, "-m", "kyusai_cli", *words],
        cwd=ROOT,
        env={**os.environ, "KYUSAI_LANG": "en"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.asyncio
async def test_change_made_in_an_outage_works_at_once_and_is_merged_afterwards_without_a_gap() -> None:
    async with Lab(Parts(phones=5, centre=True, agent=True, **LOCAL)) as lab:
        standing = await lab.phones["201"].call("202")
        await heard_both_ways(lab, standing, "202")
        box = ("--box", str(lab.box.toml))
        assert "make the change there" in refused(*FORWARD, *box)
        await lab.centre.stop()
        silent = await lab.phones["205"].dial("*78")
        await silent.wait("closed")
        assert (silent.code, silent.cause) == (480, "480 Do not disturb on done")
        assert "999" in refused("change", "group", "600", "members=999", "--why", "x", "--anyway", *box)
        done = json.loads(await kyusai(*FORWARD, "--anyway", "--json", *box))
        assert (done["outcome"], done["changes"][0]["by"]) == ("applied", "Sato")
        await forwarded(lab)
        shown = json.loads(await kyusai("config", "show", "--json", *box))
        (entry,) = (one for one in shown["extensions"] if one["number"] == "203")
        assert entry["forward_always"] == "204"
        assert (await lab.box.status())["config"]["changes"] == 1

        await lab.centre.start()
        event = await wait_event(lab, "local_change", timeout_s=40)
        told = await wait_event(lab, "telephone_setting", timeout_s=40)
        assert (
            told | {"extension": "205", "what": "do_not_disturb", "value": True, "was": False, "by": "205"}
            == told
        )
        assert (event["path"], event["value"], event["why"]) == (
            "extensions[203].forward_always",
            "204",
            "desk empty",
        )
        (both,) = json.loads(await kyusai("centre", "change", "list", "--json", "--data", lab.centre.data))
        assert (both["sides"], both["document"], both["value"], both["by"]) == ("clean", "", "204", "Sato")
        await kyusai("centre", "change", "merge", SITE, "--data", lab.centre.data)

        async def merged() -> bool:
            config = (await lab.box.status())["config"]
            return config["changes"] == 0 and config["version"] > lab.version

        await wait_until(merged, "the box runs the version that says it", 60)
        await forwarded(lab)
        ended = await wait_event(lab, "local_change", 2, timeout_s=40)
        assert ended["state"] == "merged"
        trail = json.loads(await kyusai("centre", "audit", "--json", "--data", lab.centre.data))
        acts = [line["action"] for line in reversed(trail) if line["action"].startswith("change.")]
        assert acts == ["change.active", "change.merge", "change.merged"]
        await heard_both_ways(lab, standing, "202")
        await standing.hangup()
