"""Secrets of look-ups on a real disk, as an administrator types them."""

import stat
from pathlib import Path

import pytest

from agent import flow_world, lookup_secrets
from appliance.errors import KyusaiError
from appliance.freeswitch.queue import Figures


def test_a_secret_is_kept_for_the_agent_alone_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    for value in ("Bearer one\n", "Bearer two"):
        path = lookup_secrets.keep(folder, "crm", value)
    assert lookup_secrets.read(folder, "crm") == "Bearer two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in folder.iterdir()] == ["crm"]
    assert lookup_secrets.read(folder, "other") == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("../key", "x"), ("crm", ""), ("crm", "a\r\nHost: evil"), ("crm", "ä"), ("crm", "x" * 4_097)],
)
def test_what_cannot_be_a_header_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(KyusaiError) as told:
        lookup_secrets.keep(tmp_path / "secrets", name, value)
    assert told.value.key == "agent.flow.secret"
    assert not (tmp_path / "key").exists()


def test_the_simulator_is_told_of_queues_and_answers() -> None:
    assert flow_world.queues(["sales=3,2,40"]) == {"sales": Figures(3, 2, 40)}
    assert flow_world.answers(["look.level=gold", "look.tel=201"]) == {
        "look": {"level": "gold", "tel": "201"}
    }


@pytest.mark.parametrize("given", ["sales", "sales=3", "sales=a,b,c", "=1,2,3"])
def test_a_queue_that_says_nothing_is_told(given: str) -> None:
    with pytest.raises(KyusaiError, match="says nothing of a queue"):
        flow_world.queues([given])


@pytest.mark.parametrize("given", ["look", "look=gold", "look.level", "look.level=a b"])
def test_an_answer_that_says_nothing_is_told(given: str) -> None:
    with pytest.raises(KyusaiError, match="says nothing of an answer"):
        flow_world.answers([given])
