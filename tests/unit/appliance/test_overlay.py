"""Changes made at a box over the signed document. A failure loses what a person set in an outage, or runs what is not valid."""

import itertools
from typing import Any

import pytest

from appliance import site
from appliance.errors import KyusaiError
from appliance.local_change import (
    FIELDS,
    KEYS,
    OPEN_MAX,
    ORDER,
    Change,
    State,
    allowed,
    change_from,
    target,
    value_of,
)
from appliance.overlay import (
    Author,
    Overlay,
    Sides,
    applied,
    made,
    overlay_from,
    read,
    rebased,
    sides,
    withdrawn,
)
from appliance.site import SiteInvalid
from tests.helpers.site_documents import document, extension, gateway, group

AUTHOR = Author("sato", "line cut", "2026-11-21T09:00:00.000Z")
DND = "extensions[201].do_not_disturb"
ALWAYS = "extensions[201].forward_always"
EMPTY = Overlay()


def base(**changes: Any) -> dict[str, Any]:
    two = [gateway(), gateway(id="gw2", uri="sip:192.0.2.41")]
    return document(**{"groups": [group()], "gateways": two} | changes)


def set_(
    of: dict[str, Any], overlay: Overlay = EMPTY, *, fields: dict[str, Any]
) -> tuple[Overlay, site.Site]:
    number = itertools.count(len(overlay.changes) + 1)
    return made(of, overlay, list(fields.items()), AUTHOR, lambda: f"{next(number):08x}")


def test_what_may_be_changed_is_in_the_document_with_the_defaults_assumed() -> None:
    known = site.fields()
    for path in allowed():
        if path.endswith(f".{ORDER}"):
            continue
        table, _, field = path.partition(".")
        default = FIELDS[table.removesuffix("[]")][field][1]
        assert known[f"$.{path}"].default == (list(default) if isinstance(default, tuple) else default), path
    assert {name: site.fields()[f"$.{name}[].{key}"].kind for name, key in KEYS.items()} == dict.fromkeys(
        KEYS, "string"
    )


@pytest.mark.parametrize(
    "path",
    [
        "extensions[201].ha1_md5",
        "extensions[201].allow",
        "extensions[].do_not_disturb",
        "extensions.do_not_disturb",
        "limits[1].offline_international",
        "gateways[gw1].uri",
        "gateways[gw1].order",
        "version",
        "",
        "extensions[201].do_not_disturb.x",
    ],
)
def test_nothing_else_can_be_changed(path: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        target(path)
    assert caught.value.key == "change.not_allowed"


@pytest.mark.parametrize(
    ("path", "typed", "value"),
    [
        (DND, "on", True),
        (DND, "False", False),
        (ALWAYS, "0312345678", "0312345678"),
        (ALWAYS, "", ""),
        ("groups[600].members", "201, 202", ["201", "202"]),
        ("gateways[gw1].max_calls", "4", 4),
        ("gateways.order", "gw2,gw1", ["gw2", "gw1"]),
    ],
)
def test_values_are_read_as_people_type_them(path: str, typed: str, value: Any) -> None:
    assert value_of(target(path), typed) == value


@pytest.mark.parametrize(
    ("path", "typed"), [(DND, "perhaps"), ("gateways[gw1].max_calls", "-1"), (ALWAYS, "1" * 200)]
)
def test_a_value_of_another_sort_is_told_with_an_example(path: str, typed: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        value_of(target(path), typed)
    assert caught.value.key == "change.bad_value"


def test_a_change_is_in_the_site_and_the_given_document_stays_as_it_is() -> None:
    of = base()
    before = repr(of)
    overlay, found = set_(of, fields={DND: True, "groups[600].members": ["202"], "gateways.order": ["gw2"]})
    assert found.extensions[0].do_not_disturb and found.groups[0].members == ("202",)
    assert [one.id for one in found.policy.gateways] == ["gw2", "gw1"]
    assert [(one.path, one.base, one.value, one.version, one.made) for one in overlay.changes] == [
        (DND, False, True, 12, 1),
        ("groups[600].members", ["201"], ["202"], 12, 1),
        ("gateways.order", ["gw1", "gw2"], ["gw2", "gw1"], 12, 1),
    ]
    assert repr(of) == before
    assert overlay_from(overlay.as_json()) == overlay


def test_a_change_that_is_not_valid_is_refused_with_every_fault() -> None:
    with pytest.raises(SiteInvalid) as caught:
        set_(base(), fields={ALWAYS: "119", "groups[600].members": ["999"]})
    assert [one.key for one in caught.value.problems] == ["site.member_unknown", "site.forward_emergency"]


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"extensions[999].do_not_disturb": True}, "change.no_entry"),
        ({"gateways.order": ["gw9"]}, "change.no_entry"),
        ({DND: False}, "change.nothing"),
        ({DND: "yes"}, "change.bad_value"),
    ],
)
def test_what_cannot_be_set_is_told(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        set_(base(), fields=fields)
    assert caught.value.key == key


def test_a_field_set_again_replaces_the_change_and_set_as_in_the_document_ends_it() -> None:
    first, _ = set_(base(), fields={ALWAYS: "202"})
    second, found = set_(base(), first, fields={ALWAYS: "0312345678"})
    assert [(one.value, one.state) for one in second.changes] == [
        ("202", State.REPLACED),
        ("0312345678", State.ACTIVE),
    ]
    assert second.changes[1].base == "" and found.extensions[0].forward_always == "0312345678"
    third, found = set_(base(), second, fields={ALWAYS: ""})
    assert third.open == () and third.changes[1].state is State.WITHDRAWN
    assert found.extensions[0].forward_always == ""


def test_changes_are_withdrawn_by_id_or_all_at_once() -> None:
    overlay, _ = set_(base(), fields={DND: True, ALWAYS: "202"})
    fewer, found = withdrawn(base(), overlay, [overlay.changes[0].id], "sato: line is back")
    assert [one.path for one in fewer.open] == [ALWAYS] and not found.extensions[0].do_not_disturb
    none, found = withdrawn(base(), fewer, [], "")
    assert none.open == () and found.extensions[0].forward_always == ""
    with pytest.raises(KyusaiError, match="no open change"):
        withdrawn(base(), none, ["00000001"], "")


def test_there_is_a_limit_to_open_changes() -> None:
    many = [extension(str(number)) for number in range(201, 202 + OPEN_MAX)]
    with pytest.raises(KyusaiError) as caught:
        set_(
            base(extensions=many),
            fields={f"extensions[{one['number']}].do_not_disturb": True for one in many},
        )
    assert caught.value.key == "change.too_many"


def test_a_new_version_is_laid_under_the_changes() -> None:
    overlay, _ = set_(base(), fields={DND: True})
    after, found = rebased(
        base(version=13, extensions=[extension("202"), extension("201"), extension("203")]),
        overlay,
        merged=(),
        refused=(),
    )
    assert after == overlay
    assert [(one.number, one.do_not_disturb) for one in found.extensions] == [
        ("202", False),
        ("201", True),
        ("203", False),
    ]


@pytest.mark.parametrize(
    ("new", "decided", "state"),
    [
        pytest.param({}, {"merged": ["00000001"]}, State.MERGED, id="the centre took it over"),
        pytest.param({}, {"refused": ["00000001"]}, State.REFUSED, id="the centre refused it"),
        pytest.param(
            {"extensions": [extension("201", forward_always="202"), extension("202")]},
            {},
            State.MERGED,
            id="the document says it now",
        ),
        pytest.param(
            {"extensions": [extension("202")], "groups": []}, {}, State.SET_ASIDE, id="the extension is gone"
        ),
        pytest.param(
            {"extensions": [extension("201"), extension("202", forward_always="201")]},
            {},
            State.SET_ASIDE,
            id="it would go round in a circle",
        ),
        pytest.param(
            {"extensions": [extension("201", forward_always="0312345678"), extension("202")]},
            {},
            State.ACTIVE,
            id="the centre changed it too: the box's holds until a person decides",
        ),
    ],
)
def test_what_becomes_of_a_change_in_the_next_version(
    new: dict[str, Any], decided: dict[str, Any], state: State
) -> None:
    overlay, _ = set_(base(), fields={ALWAYS: "202"})
    following = base(version=13, **new)
    after, found = rebased(following, overlay, **{"merged": (), "refused": ()} | decided)
    assert [one.state for one in after.changes] == [state]
    assert after.revision == overlay.revision + (state is not State.ACTIVE)
    assert found == site.parse(applied(following, after.active))
    assert bool(after.changes[0].reason) is (state is not State.ACTIVE)


def test_of_several_changes_only_those_that_cannot_be_used_are_set_aside() -> None:
    first, _ = set_(base(), fields={"gateways[gw1].max_calls": 4})
    second, _ = set_(base(), first, fields={"groups[600].members": ["202", "201"]})
    third, _ = set_(base(), second, fields={DND: True})
    following = base(version=13, extensions=[extension("201")])
    after, found = rebased(following, third, merged=(), refused=())
    assert [(one.path, one.state) for one in after.changes] == [
        ("gateways[gw1].max_calls", State.ACTIVE),
        ("groups[600].members", State.SET_ASIDE),
        (DND, State.ACTIVE),
    ]
    assert "'202' is not an extension" in after.changes[1].reason
    assert found.policy.gateways[0].max_calls == 4 and found.extensions[0].do_not_disturb
    again, _ = rebased(base(version=14), after, merged=(), refused=())
    assert again.changes[1].state is State.SET_ASIDE, "it does not come back by itself"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"extensions": [extension("201"), extension("202")]}, (Sides.CLEAN, "")),
        ({"extensions": [extension("201", forward_always="202"), extension("202")]}, (Sides.SAME, "202")),
        ({"extensions": [extension("201", forward_always="0312345678")]}, (Sides.CONFLICT, "0312345678")),
        ({"extensions": [extension("202")]}, (Sides.GONE, None)),
    ],
)
def test_both_sides_of_a_change_are_told(now: dict[str, Any], expected: tuple[Sides, Any]) -> None:
    overlay, _ = set_(base(), fields={ALWAYS: "202"})
    assert sides(base(version=13, **now), overlay.changes[0]) == expected


def test_a_change_that_was_spoilt_on_its_way_is_no_change() -> None:
    whole = set_(base(), fields={ALWAYS: "202"})[0].changes[0].as_json()
    assert isinstance(change_from(whole), Change)
    for spoilt in (
        {"path": "site.id"},
        {"value": 7},
        {"state": "lost"},
        {"made": "1"},
        {"by": None},
        {"more": 1},
    ):
        with pytest.raises(ValueError):
            change_from({**whole, **spoilt})


def test_defaults_count_as_values() -> None:
    assert read(base(), target("extensions[201].no_answer_s")) == 20
    assert read(base(emergency={**base()["emergency"]}), target("emergency.gateways")) == ["gw1"]
