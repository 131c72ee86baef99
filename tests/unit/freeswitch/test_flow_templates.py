"""Each template makes a document without a fault, in both languages, and leads its callers where it says."""

from datetime import datetime

import pytest

from appliance import site
from appliance.errors import KyusaiError
from appliance.freeswitch import flow_walk, prompt_texts
from appliance.freeswitch.flow_templates import TEMPLATES, part
from appliance.freeswitch.flow_walk import Walk, World
from appliance.freeswitch.queue import Figures
from tests.helpers.site_documents import document, group

MONDAY = datetime(2026, 5, 11, 10, 0)
SUNDAY = datetime(2026, 5, 10, 10, 0)
NEW_YEAR = datetime(2026, 1, 1, 10, 0)


def begun(name: str, moment: datetime = MONDAY, **world: object) -> Walk:
    plan = site.parse(document(groups=[group("600")], **part(name, {}))).media
    told = {"schedules": {one.id: one for one in plan.schedules}, **world}
    return flow_walk.begin(plan.flows[0], World("0312345678", "700", moment, **told))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_document_without_a_fault(name: str, language: str) -> None:
    found = site.parse(document(groups=[group("600")], **part(name, {"language": language})))
    assert not found.warnings
    said = {(one.prompt, one.language) for one in prompt_texts.catalogue(())}
    used = {prompt for flow in found.media.flows for node in flow.nodes for prompt in node.prompts}
    assert {(prompt, language) for prompt in used} <= said


def test_all_templates_live_in_one_document() -> None:
    parts = [part(name, {}) for name in TEMPLATES]
    merged: dict[str, list[dict[str, object]]] = {}
    for one in parts:
        for field, rows in one.items():
            merged.setdefault(field, []).extend(rows)
    assert not site.validate(document(groups=[group("600")], **merged))


def test_the_reception_s_menu_leads_to_people() -> None:
    menu = begun("reception")
    assert menu.heard == ("welcome", "main_menu")
    assert flow_walk.press(menu, "1").did == (("transfer", "600"),)
    assert flow_walk.press(flow_walk.press(menu, "*"), "202#").did == (("transfer", "202"),)
    silent = flow_walk.wait(flow_walk.wait(flow_walk.wait(menu)))
    assert flow_walk.wait(silent).heard[-1] == "nobody"
    assert silent.did == (("transfer", "201"),)


@pytest.mark.parametrize(("moment", "heard"), [(SUNDAY, "closed"), (NEW_YEAR, "holiday")])
@pytest.mark.parametrize("name", ["out-of-hours", "contact-centre"])
def test_out_of_hours_callers_hear_why(name: str, moment: datetime, heard: str) -> None:
    walk = begun(name, moment)
    assert (walk.heard, walk.over) == ((heard,), True)


def test_a_contact_centre_takes_nobody_who_would_wait_too_long() -> None:
    short = begun("contact-centre", queues={"contact-centre": Figures(3, 2, 100)})
    assert (short.heard, short.did) == (("welcome", "recorded"), (("queue", "contact-centre"),))
    long = begun("contact-centre", queues={"contact-centre": Figures(9, 2, 240)})
    assert (long.heard, long.over) == (("welcome", "nobody"), True)
    empty = begun("contact-centre", queues={"contact-centre": Figures(0, 0, 0)})
    assert empty.did[-1] == ("transfer", "201")


def test_an_emergency_closure_is_switched_by_hand() -> None:
    assert begun("emergency-closure", SUNDAY).did == (("transfer", "201"),)
    closed = begun("emergency-closure", overrides={"emergency-closure-closure": "closed"})
    assert closed.heard == ("emergency_closure",)
    assert flow_walk.press(closed, "9").did == (("transfer", "201"),)


@pytest.mark.parametrize(
    ("name", "given", "key"),
    [
        ("recepton", {}, "flow.template"),
        ("reception", {"dsk": "201"}, "flow.template_setting"),
        ("reception", {"desk": "201 202"}, "flow.template_setting"),
        ("contact-centre", {"opens": "25:00"}, "flow.template_setting"),
        ("emergency-closure", {"code": "12"}, "flow.template_setting"),
    ],
)
def test_a_wrong_setting_is_told(name: str, given: dict[str, str], key: str) -> None:
    with pytest.raises(KyusaiError) as told:
        part(name, given)
    assert (told.value.key, bool(told.value.hint)) == (key, True)
