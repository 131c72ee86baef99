"""Changes made at boxes, at a real store: both sides are shown, and what is decided reaches the box, once, with a version."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from appliance import overlay as overlays
from appliance.errors import KyusaiError
from appliance.local_change import Change, State
from appliance.overlay import Author, Overlay
from appliance.problems import DocumentError
from cloudsync import wire
from cloudsync.refusals import NotFound
from cloudsync.service import changes, configuration, records, sites
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import audit
from tests.helpers.centre_box import ROOT, opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE, TENANT = DOCUMENT["site"]["id"], DOCUMENT["site"]["tenant"]
WHO = BoxIdentity(SITE, f"{SITE}-a")
ADMIN = "admin:test"
NUMBER = DOCUMENT["extensions"][0]["number"]
OTHER = DOCUMENT["extensions"][1]["number"]
DND, BUSY = f"extensions[{NUMBER}].do_not_disturb", f"extensions[{NUMBER}].forward_busy"


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as store:
        prepare_site(store, SITE, TENANT)
        configuration.publish(store, json.dumps(DOCUMENT), ADMIN)
        yield store


class AtTheBox:
    """A box's overlay, and its records to the centre."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.overlay = Overlay()
        self._told: dict[str, str] = {}
        self._last = wire.GENESIS_HASH
        self._seq = 0
        self._ids = 0
        self.site: Any = None

    def document(self) -> Any:
        envelope = configuration.newest(self.centre, SITE, 0)
        assert envelope is not None
        return json.loads(envelope.document)

    def set(self, **fields: Any) -> None:
        self.overlay, self.site = overlays.made(
            self.document(),
            self.overlay,
            list(fields.items()),
            Author("sato", "line cut", "2026-11-21T09:00:00.000Z"),
            self._id,
        )

    def take_newest(self) -> None:
        document = self.document()
        decided = document.get("local_changes", {})
        self.overlay, self.site = overlays.rebased(
            document, self.overlay, merged=decided.get("merged", ()), refused=decided.get("refused", ())
        )

    def tell(self) -> None:
        self.send([self.record(one) for one in self.overlay.changes if self._told.get(one.id) != one.state])
        self._told = {one.id: one.state.value for one in self.overlay.changes}

    def record(self, change: Change, **more: Any) -> wire.Record:
        self._seq += 1
        body = {"event": "local_change", **change.as_json()} | more
        made = wire.chain_record(
            self._last, seq=self._seq, record_id=f"e-{self._seq}", kind="event", priority=1,
            created_utc="2026-11-21T09:00:00.000Z", boot_id="boot-1", body=json.loads(json.dumps(body)),
        )  # fmt: skip
        self._last = made.hash
        return made

    def send(self, items: list[wire.Record]) -> list[str]:
        batch = wire.Batch(SITE, WHO.box_id, [asdict(item) for item in items])
        return [str(one.status) for one in records.take(self.centre, WHO, batch)]

    def _id(self) -> str:
        self._ids += 1
        return f"{self._ids:08x}"


@pytest.fixture
def box(centre: Centre) -> AtTheBox:
    return AtTheBox(centre)


def shown(centre: Centre, *, over: bool = False) -> list[tuple[str, str, Any, Any, str]]:
    return [
        (
            one.kept.change.path,
            one.sides.value,
            one.document,
            one.kept.change.value,
            one.kept.change.state.value,
        )
        for one in changes.view(centre, SITE, over=over)
    ]


def trail(centre: Centre) -> list[tuple[str, str]]:
    with centre.database.read() as connection:
        lines = audit.newest(connection, 50)
    return [
        (str(line["actor"]), str(line["action"]))
        for line in reversed(lines)
        if "change." in str(line["action"])
    ]


def test_merged_the_new_version_says_it_and_the_box_drops_its_change_without_a_gap(
    centre: Centre, box: AtTheBox
) -> None:
    box.set(**{DND: True})
    box.tell()
    assert shown(centre) == [(DND, "clean", False, True, "active")]
    assert [view.local_changes for view in sites.list_sites(centre)] == [1]
    decided = changes.merge(centre, SITE, [], ADMIN, "right so")
    document = json.loads(decided.envelope.document)
    assert document["extensions"][0]["do_not_disturb"] is True
    assert document["local_changes"] == {"merged": [box.overlay.changes[0].id]}
    box.take_newest()
    assert [one.state for one in box.overlay.changes] == [State.MERGED]
    assert box.site.extensions[0].do_not_disturb is True
    box.tell()
    assert shown(centre) == [] and [view.local_changes for view in sites.list_sites(centre)] == [0]
    configuration.publish(centre, json.dumps(box.document()), ADMIN)
    assert "local_changes" not in box.document(), "the box has heard"
    assert trail(centre) == [
        (f"box:{WHO.box_id}", "change.active"),
        (ADMIN, "change.merge"),
        (f"box:{WHO.box_id}", "change.merged"),
    ]


def test_refused_the_document_holds_again_and_every_version_says_so_until_the_box_has_heard(
    centre: Centre, box: AtTheBox
) -> None:
    box.set(**{DND: True})
    box.tell()
    changes.refuse(centre, SITE, [], ADMIN, "not on a Monday")
    configuration.publish(centre, json.dumps(DOCUMENT), ADMIN)
    assert box.document()["local_changes"] == {"refused": [box.overlay.changes[0].id]}
    assert [view.kept.decision for view in changes.view(centre, SITE)] == ["refused"]
    with pytest.raises(NotFound, match="waits for a decision"):
        changes.merge(centre, SITE, [], ADMIN)
    box.take_newest()
    assert box.overlay.open == () and box.site.extensions[0].do_not_disturb is False
    box.tell()
    (over,) = changes.view(centre, SITE, over=True)
    told = over.as_json()
    assert (told["state"], told["decided_by"], told["decided_why"]) == ("refused", ADMIN, "not on a Monday")


def test_what_the_centre_changed_in_the_same_place_is_a_conflict_that_a_person_decides(
    centre: Centre, box: AtTheBox
) -> None:
    box.set(**{BUSY: OTHER})
    box.tell()
    document = box.document()
    document["extensions"][0]["forward_busy"] = "0312345678"
    configuration.publish(centre, json.dumps(document), ADMIN)
    box.take_newest()
    assert box.site.extensions[0].forward_busy == OTHER, "the box's holds meanwhile"
    assert shown(centre) == [(BUSY, "conflict", "0312345678", OTHER, "active")]
    before = box.document()
    with pytest.raises(KyusaiError, match="changed in the same place"):
        changes.merge(centre, SITE, [], ADMIN)
    assert box.document() == before
    changes.merge(centre, SITE, [box.overlay.changes[0].id], ADMIN, overwrite=True)
    assert box.document()["extensions"][0]["forward_busy"] == OTHER


def test_what_cannot_be_merged_publishes_nothing_and_decides_nothing(centre: Centre, box: AtTheBox) -> None:
    box.set(**{BUSY: OTHER})
    box.tell()
    document = box.document()
    kept = [one for one in document["extensions"] if one["number"] != OTHER]
    document["extensions"] = [{**one, "forward_no_answer": ""} for one in kept]
    document["groups"] = []
    configuration.publish(centre, json.dumps(document), ADMIN)
    box.take_newest()
    box.tell()
    assert shown(centre) == [(BUSY, "clean", "", OTHER, "set_aside")]
    before = box.document()
    with pytest.raises(DocumentError):
        changes.merge(centre, SITE, [], ADMIN)
    assert box.document() == before
    assert [one.kept.decision for one in changes.view(centre, SITE)] == [None]
    changes.refuse(centre, SITE, [], ADMIN)
    box.take_newest()
    assert [one.state for one in box.overlay.changes] == [State.REFUSED]


def test_some_of_several_are_merged_and_the_others_wait(centre: Centre, box: AtTheBox) -> None:
    box.set(**{DND: True})
    box.set(**{BUSY: OTHER})
    box.tell()
    changes.merge(centre, SITE, [box.overlay.changes[1].id], ADMIN)
    box.take_newest()
    box.tell()
    assert shown(centre) == [(DND, "clean", False, True, "active")]
    assert box.site.extensions[0].do_not_disturb and box.site.extensions[0].forward_busy == OTHER


def test_events_that_come_in_another_order_leave_the_last_state(centre: Centre, box: AtTheBox) -> None:
    box.set(**{DND: True})
    change = box.overlay.changes[0]
    made, over = box.record(change), box.record(change.now(State.WITHDRAWN, "sato: line is back"))
    box.send([over])
    box.send([made])
    assert shown(centre, over=True) == [(DND, "clean", False, True, "withdrawn")]
    with pytest.raises(NotFound):
        changes.merge(centre, SITE, [change.id], ADMIN)


def test_a_change_that_is_told_again_is_no_other_act(centre: Centre, box: AtTheBox) -> None:
    box.set(**{DND: True})
    box.send([box.record(box.overlay.changes[0]), box.record(box.overlay.changes[0])])
    assert len(shown(centre)) == len(trail(centre)) == 1


def test_an_event_that_is_no_change_is_stored_and_changes_nothing(centre: Centre, box: AtTheBox) -> None:
    box.set(**{DND: True})
    change = box.overlay.changes[0]
    odd = [
        box.record(change, path="site.id"),
        box.record(change, value=["x"] * 100),
        box.record(change, more=1),
    ]
    assert box.send(odd) == ["stored"] * 3
    assert shown(centre, over=True) == []


def test_a_change_of_another_site_cannot_be_decided_on(centre: Centre, box: AtTheBox) -> None:
    sites.add_site(centre, "osaka-1", "", TENANT, (), ADMIN)
    box.set(**{DND: True})
    box.tell()
    with pytest.raises(NotFound):
        changes.refuse(centre, "osaka-1", [box.overlay.changes[0].id], ADMIN)
    with pytest.raises(NotFound):
        changes.view(centre, "nara-1")
