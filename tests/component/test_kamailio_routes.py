"""What routes.cfg and Python call by name in each other is there."""

import re

from appliance.kamailio import ksr_call, relayed_register
from appliance.kamailio.handler import Handler
from appliance.kamailio.render import ROUTES_CFG, STATIC_CFG

ROUTES = "\n".join(line.partition("#")[0] for line in ROUTES_CFG.read_text().splitlines())
STAGES = {
    "branch_route": {ksr_call.BRANCH},
    "onreply_route": {ksr_call.REPLY, ksr_call.IN_DIALOG_REPLY, relayed_register.REPLY},
    "failure_route": {ksr_call.FAILURE, ksr_call.IN_DIALOG_FAILURE, relayed_register.FAILURE},
}


def test_every_entry_that_routes_cfg_asks_exists_and_no_other_one() -> None:
    asked = set(re.findall(r'python_exec\("(\w+)"', ROUTES))
    assert asked == {name for name in vars(Handler) if name.startswith("ksr_")}


def test_every_stage_that_python_names_is_a_route() -> None:
    for kind, names in STAGES.items():
        assert names <= set(re.findall(rf"^{kind}\[(\w+)\]", ROUTES, re.MULTILINE)), kind


def test_every_timer_and_every_route_that_is_called_exists() -> None:
    called = set(re.findall(r"\broute\((\w+)\)", ROUTES))
    called |= set(re.findall(r'"timer=\w+;route=(\w+)"', STATIC_CFG.read_text()))
    assert called <= set(re.findall(r"^route\[(\w+)\]", ROUTES, re.MULTILINE))
