"""The controller as a process beside a real FreeSWITCH: what it reports, what it carries out, and what its death costs."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent import application_figures, watch
from agent.cdr import CallBook
from agent.journal_events import JournalEvent, Kind, Moment
from agent.journal_reader import Cursor, read_page
from appliance.errors import KyusaiError
from tests.lab.box import kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import StateNotReached, wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

DIRECT = {
    "id": "direct",
    "language": "en",
    "nodes": [
        {"id": "desk", "do": "transfer", "number": "202", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(
        phones=4, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True, control=True
    )
    document = {
        "call_control": "local",
        "applications": [
            {"number": "700", "kind": "flow", "flow": "direct"},
            {"number": "800", "kind": "conference"},
            {"number": "790", "kind": "parking"},
        ],
        "flows": [DIRECT],
    }
    async with Lab(parts, document) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def quiet(lab: Lab) -> AsyncIterator[None]:
    await connected(lab)
    yield
    await lab.tidy()

    async def empty() -> bool:  # a fact that is written later would be the next test's
        return not (await calls(lab)) and not (await status(lab))["facts_waiting"]

    await wait_until(empty, "no call is left, and all is told of them", 30, 0.2)


async def status(lab: Lab) -> dict[str, Any]:
    return await asyncio.to_thread(watch.control_status, lab.box.layout.control_socket)


async def calls(lab: Lab) -> list[dict[str, Any]]:
    return await asyncio.to_thread(watch.control_calls, lab.box.layout.control_socket)


async def order(lab: Lab, **fields: str) -> dict[str, Any]:
    told = {"by": "test", **fields}
    return await asyncio.to_thread(watch.control_order, lab.box.layout.control_socket, told)


async def connected(lab: Lab) -> None:
    async def reached() -> bool:
        try:
            return bool((await status(lab))["connected"])
        except KyusaiError:
            return False

    await wait_until(reached, "the controller hears FreeSWITCH", 30, 0.1)


def facts(lab: Lab) -> list[tuple[str, str, str]]:
    """(event, what, name) of every row."""
    with closing(sqlite3.connect(f"{lab.box.layout.media_journal.as_uri()}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT event, data FROM event ORDER BY seq").fetchall()
    return [(event, json.loads(data)["what"], json.loads(data)["name"]) for event, data in rows]


async def wait_facts(lab: Lab, *wanted: tuple[str, str, str], after: int) -> None:
    try:
        await wait_until(lambda: sorted(facts(lab)[after:]) == sorted(wanted), f"{wanted}", 15, 0.1)
    except StateNotReached as error:
        raise StateNotReached(f"{error}; there is {facts(lab)[after:]}") from None


async def talk(lab: Lab) -> tuple[PhoneCall, PhoneCall]:
    """201 talks with 202 through application 700."""
    caller = await lab.phones["201"].call("700")
    callee = lab.phones["202"]
    await wait_until(lambda: [one for one in callee.calls if one.state == "established"], "202 talks", 15)
    await caller.wait_hears(callee.tone_hz, timeout_s=10)

    async def joined() -> bool:  # audio may be there before the controller has heard that they are one call
        return [one for one in await calls(lab) if one["with"]] != []

    await wait_until(joined, "the controller knows that they talk", 15, 0.1)
    return caller, callee.current()


def came_in(lab: Lab, number: str) -> int:
    return sum(call.incoming for call in lab.phones[number].calls)


async def test_stays_in_applications_are_reported_as_they_begin_and_end(lab: Lab) -> None:
    before = len(facts(lab))
    first = await lab.phones["201"].call("800")
    second = await lab.phones["202"].call("790")
    await wait_facts(
        lab,
        ("stay", "application", "800"),
        ("stay", "room", "800"),
        ("stay", "application", "790"),
        ("stay", "parking", "790"),
        after=before,
    )
    await first.hangup()
    await second.hangup()
    await wait_facts(
        lab,
        *((event, what, name) for event in ("stay", "stay_end") for what, name in (
            ("application", "800"), ("room", "800"), ("application", "790"), ("parking", "790"))),
        after=before,
    )  # fmt: skip


async def test_a_controller_that_dies_for_a_while_costs_no_call_and_reports_what_has_changed(
    lab: Lab,
) -> None:
    before = len(facts(lab))
    room = [await lab.phones[number].call("800") for number in ("201", "202")]
    parked = await lab.phones["203"].call("790")
    begun = [
        ("stay", what, name) for what, name in (("application", "800"), ("room", "800")) for _ in range(2)
    ]
    begun += [("stay", "application", "790"), ("stay", "parking", "790")]
    await wait_facts(lab, *begun, after=before)
    await lab.box.kill("control")
    for call, other in zip(room, ("202", "201"), strict=True):
        await call.wait_hears(lab.phones[other].tone_hz, timeout_s=8)
    await room[1].hangup()
    late = await lab.phones["204"].call("800")
    await late.wait_hears(lab.phones["201"].tone_hz, timeout_s=8)
    assert (room[0].state, parked.state) == ("established", "established")
    await lab.box.start("control")
    await connected(lab)
    changed = [("stay_end", "application", "800"), ("stay_end", "room", "800")]
    changed += [("stay", "application", "800"), ("stay", "room", "800")]
    await wait_facts(lab, *begun, *changed, after=before)
    assert room[0].state == "established"


async def test_freeswitch_starts_anew_and_the_controller_finds_it(lab: Lab) -> None:
    before, connections = len(facts(lab)), (await status(lab))["connections"]
    await lab.phones["201"].call("800")
    await wait_facts(lab, ("stay", "application", "800"), ("stay", "room", "800"), after=before)
    await lab.box.kill("freeswitch")

    async def told() -> bool:
        return not (await status(lab))["connected"]

    await wait_until(told, "the controller knows", 10, 0.1)
    with pytest.raises(KyusaiError) as silent:
        await order(lab, do="originate", number="201", then="202")
    assert silent.value.key == "freeswitch.silent"
    await lab.box.start("freeswitch")
    await connected(lab)
    assert (await status(lab))["connections"] == connections + 1
    ended = (("stay_end", "application", "800"), ("stay_end", "room", "800"))
    await wait_facts(lab, ("stay", "application", "800"), ("stay", "room", "800"), *ended, after=before)


@pytest.mark.parametrize("anew", [False, True], ids=["by events", "by lists"])
async def test_while_an_application_rings_a_number_means_its_one_call(lab: Lab, anew: bool) -> None:
    """The caller's number is shown on the leg that rings, too. anew: the controller begins while it rings."""
    await lab.phones["202"].behave(answer_after_s=None)
    try:
        before = came_in(lab, "202")
        caller = await lab.phones["201"].call("700")
        await wait_until(lambda: came_in(lab, "202") > before, "202 rings", 15)
        if anew:
            await lab.box.kill("control")
            await lab.box.start("control")
            await connected(lab)

        async def both() -> bool:
            return len(await calls(lab)) == 2

        await wait_until(both, "both legs are known", 15, 0.1)
        with pytest.raises(KyusaiError) as rings:
            await order(lab, do="hold", call="202")
        assert rings.value.key == "control.rings"
        assert (await order(lab, do="transfer", call="201", number="203"))["done"]
        await caller.wait_hears(lab.phones["203"].tone_hz, timeout_s=15)
        await lab.phones["202"].calls[-1].wait("closed", 15)
    finally:
        await lab.phones["202"].behave(answer_after_s=0.0)


async def test_a_call_is_held_once_transferred_and_ended_by_order(lab: Lab) -> None:
    caller, callee = await talk(lab)
    assert (await order(lab, do="hold", call="201"))["done"]

    async def held() -> bool:
        return any(one["held"] for one in await calls(lab))

    await wait_until(held, "it is held", 10, 0.1)
    assert (await order(lab, do="hold", call="201"))["already"]
    assert (await order(lab, do="resume", call="201"))["done"]
    await caller.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await callee.wait_hears(lab.phones["201"].tone_hz, timeout_s=10)
    await order(lab, do="transfer", call="201", number="203")
    await callee.wait("closed", 10)
    await caller.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    leg = (await calls(lab))[0]["id"]
    assert (await order(lab, do="hangup", call=leg))["done"]
    await caller.wait("closed", 10)
    assert (await order(lab, do="hangup", call=leg))["already"]


async def test_a_telephone_that_listens_is_one_of_the_site_s_and_hears_both(lab: Lab) -> None:
    caller, callee = await talk(lab)
    before = came_in(lab, "203")
    with pytest.raises(KyusaiError) as outside:
        await order(lab, do="listen", call="201", number="09012345678")
    assert outside.value.key == "control.no_extension"
    asked = asyncio.create_task(order(lab, do="whisper", call="201", number="203"))
    ear = await lab.phones["203"].wait_incoming(before + 1, 15)
    assert (await asked)["done"]
    await ear.wait_hears(lab.phones["201"].tone_hz, lab.phones["202"].tone_hz, timeout_s=10)
    await callee.wait_hears(lab.phones["201"].tone_hz, lab.phones["203"].tone_hz, timeout_s=10)
    await caller.wait_hears(lab.phones["202"].tone_hz)


async def test_a_call_placed_by_order_rings_once_for_one_key(lab: Lab) -> None:
    before = came_in(lab, "203")
    asked = {"do": "originate", "number": "203", "then": "204", "key": "list-7"}
    first = asyncio.create_task(order(lab, **asked))
    met = await lab.phones["203"].wait_incoming(before + 1, 15)
    assert (await first)["done"]
    assert (await order(lab, **asked))["already"]
    await met.wait_hears(lab.phones["204"].tone_hz, timeout_s=10)
    assert came_in(lab, "203") == before + 1


async def test_the_terminal_lists_calls_and_gives_orders(lab: Lab) -> None:
    caller, _ = await talk(lab)
    box = ("--box", lab.box.toml)
    listed = json.loads(await kyusai("calls", "--json", *box))
    assert {(one["caller"], one["number"], bool(one["with"])) for one in listed} >= {("201", "700", True)}
    assert "700" in await kyusai("calls", *box, env={"KYUSAI_LANG": "ja", "PATH": "/usr/bin:/bin"})
    await kyusai("call", "transfer", "201", "203", *box)
    await caller.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    await kyusai("call", "hangup", "201", *box)
    await caller.wait("closed", 10)


async def test_the_box_s_status_tells_of_freeswitch_and_its_controller(lab: Lab) -> None:
    box = lab.box
    await lab.phones["201"].call("800")

    async def both() -> bool:
        told = await application_figures.read(box.settings, box.layout)
        return told is not None and (told.alive, told.channels, told.connected, told.stays.get("room")) == (
            True,
            1,
            True,
            1,
        )

    await wait_until(both, "one leg in one room", 15, 0.2)
    await box.kill("control")
    told = await application_figures.read(box.settings, box.layout)
    assert told is not None
    assert (told.alive, told.channels, told.controller_alive, told.connected) == (True, 1, False, False)
    await box.start("control")


async def test_a_call_that_an_application_passes_on_is_one_record(lab: Lab) -> None:
    """As the agent folds it: Kamailio's journal, then the controller's."""
    caller, callee = await talk(lab)
    call_id = next(one["call_id"] for one in await calls(lab) if one["inbound"])
    await caller.hangup()
    await callee.wait("closed", 10)

    def ended() -> list[JournalEvent]:
        rows = read_all(lab.box.layout.journal)
        ours = [row for row in rows if row.kind is Kind.END]
        return rows if len(ours) == len([row for row in rows if row.kind is Kind.START]) else []

    rows = await wait_until(ended, "both legs' ends are in the journal", 15, 0.2)
    book = CallBook("s", "b")
    records = [record for row in rows for record in book.apply(row)]
    await wait_until(lambda: ("stay_end", "application", "700") in facts(lab), "its stay has ended", 15, 0.2)
    for row in read_all(lab.box.layout.media_journal):
        book.place(row)
    last = rows[-1].at
    records += book.tick(Moment(last.boot_id, last.mono_ms + 60_000, last.wall_ms + 60_000))
    (cdr,) = [
        record.body for record in records if call_id in (record.body["call_id"], record.body.get("part_of"))
    ]
    assert (cdr["dialled"], cdr["answered_by"], [leg["number"] for leg in cdr["legs"]]) == (
        "700",
        "202",
        ["202"],
    )
    assert [(stay["what"], stay["name"]) for stay in cdr["applications"]] == [("application", "700")]


def read_all(path: Path) -> list[JournalEvent]:
    rows: list[JournalEvent] = []
    cursor = Cursor()
    while True:
        page = read_page(path, cursor)
        rows += page.events
        cursor = page.cursor
        if not page.more:
            return rows
