"""A staged rollout on a real store. A failure is a bad change at every site."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.errors import KyusaiError
from cloudsync.rollout import Policy
from cloudsync.service import configuration, rollouts
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.sites import list_sites
from cloudsync.store import boxes
from cloudsync.wire import ConfigState
from tests.helpers.centre_box import ROOT, opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
TENANT = DOCUMENT["site"]["tenant"]
WHO = "admin:test"
SITES = ("tokyo-1", "osaka-1", "nagoya-1", "sapporo-1")
CHANGE = {"link": {"life_ms": 900}}
POLICY = Policy(errors_max=0, soak_s=600, patience_s=3600)
RINGS = [["tokyo-1"], ["osaka-1", "nagoya-1"], ["rest"]]


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as store:
        for site_id in SITES:
            prepare_site(store, site_id, TENANT)
            document = DOCUMENT | {"site": DOCUMENT["site"] | {"id": site_id}}
            configuration.publish(store, json.dumps(document), WHO)
            with store.database.write() as connection:
                boxes.enrol(connection, f"{site_id}-a", site_id, "key", "{}", store.now_utc())
        yield store


def says(centre: Centre, site_id: str, state: ConfigState, version: int = 2) -> None:
    configuration.report(centre, BoxIdentity(site_id, f"{site_id}-a"), version, state, [])


def later(centre: Centre, seconds: float) -> Centre:
    moment = centre.clock() + timedelta(seconds=seconds)
    return replace(centre, clock=lambda: moment)


def versions(centre: Centre) -> dict[str, int]:
    return {site.id: site.version for site in list_sites(centre)}


def test_change_goes_from_ring_to_ring_while_all_is_well(centre: Centre) -> None:
    rollouts.start(centre, CHANGE, RINGS, POLICY, WHO)
    assert versions(centre) == {"tokyo-1": 2, "osaka-1": 1, "nagoya-1": 1, "sapporo-1": 1}
    says(centre, "tokyo-1", ConfigState.APPLIED)
    assert not rollouts.step(later(centre, 599)), "it is watched first"
    assert rollouts.step(later(centre, 601))
    assert versions(centre) == {"tokyo-1": 2, "osaka-1": 2, "nagoya-1": 2, "sapporo-1": 1}
    says(centre, "osaka-1", ConfigState.APPLIED)
    assert not rollouts.step(later(centre, 1300)), "nagoya is silent"
    assert rollouts.step(later(centre, 601 + 3601)), "and then left behind"
    says(centre, "sapporo-1", ConfigState.APPLIED)
    assert rollouts.step(later(centre, 601 + 3601 + 601))
    view = rollouts.status(centre)
    assert (view.state, view.ring, view.errors) == ("finished", 3, 0)
    assert {one.site: one.state for one in view.sites}["nagoya-1"] == "waiting"
    envelope = configuration.newest(centre, "sapporo-1", 0)
    assert envelope is not None and json.loads(envelope.document)["link"]["life_ms"] == 900


def test_first_site_that_takes_the_change_back_stops_it_before_the_next_ring(centre: Centre) -> None:
    rollouts.start(centre, CHANGE, RINGS, POLICY, WHO)
    says(centre, "tokyo-1", ConfigState.ROLLED_BACK)
    assert rollouts.step(centre)
    assert rollouts.status(centre).state == "halted"
    assert not rollouts.step(later(centre, 10**6))
    assert versions(centre) == {"tokyo-1": 2, "osaka-1": 1, "nagoya-1": 1, "sapporo-1": 1}
    (box,) = next(site for site in list_sites(centre) if site.id == "tokyo-1").boxes
    assert (box.standing, box.wanted_version) == ("rolled_back", 2)


def test_person_stops_resumes_and_ends_it(centre: Centre) -> None:
    rollouts.start(centre, CHANGE, [["tokyo-1", "osaka-1"], ["rest"]], POLICY, WHO)
    says(centre, "tokyo-1", ConfigState.APPLIED)
    says(centre, "osaka-1", ConfigState.REFUSED)
    rollouts.step(centre)
    assert rollouts.resume(centre, WHO).accepted == 1, "the failure is known now"
    rollouts.stop(centre, WHO)
    assert not rollouts.step(later(centre, 10**6))
    rollouts.resume(centre, WHO)
    assert rollouts.step(later(centre, 601))
    assert versions(centre)["sapporo-1"] == 2
    with pytest.raises(KyusaiError, match="is running"):
        rollouts.start(centre, CHANGE, [["tokyo-1"]], POLICY, WHO)
    assert rollouts.stop(centre, WHO, for_good=True).state == "stopped"
    with pytest.raises(KyusaiError, match="not possible"):
        rollouts.resume(centre, WHO)
    assert rollouts.start(centre, CHANGE, [["tokyo-1"]], POLICY, WHO).id == 2


def test_the_rest_is_one_tenants_where_that_is_asked_for(centre: Centre) -> None:
    prepare_site(centre, "kobe-1", "other")
    other = DOCUMENT | {"site": DOCUMENT["site"] | {"id": "kobe-1", "tenant": "other"}}
    configuration.publish(centre, json.dumps(other), WHO)
    view = rollouts.start(centre, CHANGE, [["tokyo-1"], ["rest"]], POLICY, WHO, TENANT)
    assert {one.site for one in view.sites} == set(SITES)
    rollouts.stop(centre, WHO, for_good=True)
    view = rollouts.start(centre, CHANGE, [["rest"]], POLICY, WHO, "other")
    assert [one.site for one in view.sites] == ["kobe-1"]
    rollouts.stop(centre, WHO, for_good=True)
    with pytest.raises(KyusaiError, match="no tenant"):
        rollouts.start(centre, CHANGE, [["rest"]], POLICY, WHO, "nobody")


@pytest.mark.parametrize(
    ("change", "rings", "key"),
    [
        pytest.param({"link": {"life_ms": -1}}, RINGS, "rollout.invalid", id="breaks the document"),
        pytest.param({"site": {"id": "osaka-1"}}, [["tokyo-1"]], "rollout.invalid", id="another site"),
        pytest.param({"version": 9}, RINGS, "rollout.bad_change", id="sets the version"),
        pytest.param([], RINGS, "rollout.bad_change", id="no object"),
        pytest.param(CHANGE, [["tokyo-1"], ["tokyo-1"]], "rollout.bad_rings", id="twice"),
        pytest.param(CHANGE, [["rest"], ["rest"]], "rollout.bad_rings", id="nobody is left"),
        pytest.param(CHANGE, [["tokyo-1"], ["moon-1"]], "rollout.no_document", id="unknown site"),
    ],
)
def test_what_cannot_go_to_all_sites_goes_to_none(
    centre: Centre, change: object, rings: list[list[str]], key: str
) -> None:
    with pytest.raises(KyusaiError) as caught:
        rollouts.start(centre, change, rings, POLICY, WHO)
    assert caught.value.key == key
    assert set(versions(centre).values()) == {1}
