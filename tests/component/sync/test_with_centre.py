"""The box's side of the sync against the real centre: records arrive once, whatever the line between them swallows."""

import asyncio
import contextlib
import json
import random
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from agent.call_records import CallRecords
from agent.cloud_errors import CloudError, CloudRefused
from agent.config_check import ConfigRefused, examine
from agent.journal_events import Moment
from agent.recording_table import RecordingTable
from agent.senders import Switches, run_journal, run_pick_up, run_recordings, run_records
from agent.spool_files import open_spool
from agent.upload import RecordSender
from appliance.text import retold
from cloudsync.wire import PATH_CONFIG_STATUS, ConfigState, Reason, reason_of
from tests.helpers.broken_line import (
    NOW,
    SCHEMA,
    SITE,
    Box,
    Centre,
    Line,
    at_centre,
    drain,
    new,
    record_audio,
    stored_bytes,
)
from tests.helpers.config_box import TRUST, sealed
from tests.helpers.site_documents import document


async def test_records_arrive_once_each_and_leave_the_spool(centre: Centre, box: Box) -> None:
    box.spool.append([new(f"{box.id}-{n}", n % 3) for n in range(1_200)])
    await drain(box.records())
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-{n}" for n in range(1_200)]
    assert box.spool.depth().waiting == 0


async def test_lost_acknowledgements_double_nothing(centre: Centre, line: Line, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    for round_ in range(5):
        names = [f"{box.id}-{round_}-{n}" for n in range(20)]
        box.spool.append([new(name) for name in names])
        line.swallow_answers = True
        with pytest.raises(CloudError):
            await sender.send()
        assert box.spool.depth().waiting == 20, "nothing leaves without the centre's word"
        line.swallow_answers = False
        await drain(sender)
    assert line.breaks >= 5
    assert len(at_centre(centre, box)) == 100
    assert sender.counters.duplicates > 0, (
        "no batch had arrived before its answer was lost: nothing was tested"
    )
    assert box.spool.depth().waiting == box.spool.depth().parked == 0


async def test_centre_killed_in_the_middle_loses_and_doubles_nothing(centre: Centre, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    box.spool.append([new(f"{box.id}-{n}", text="x" * 200) for n in range(3_000)])

    async def keep_sending() -> None:
        while box.spool.depth().waiting:
            try:
                await sender.send()
            except CloudError:
                await asyncio.sleep(0.05)

    task = asyncio.create_task(keep_sending())
    for _ in range(2):
        await asyncio.sleep(0.15)
        await asyncio.to_thread(centre.kill)
        await asyncio.to_thread(centre.start)
    await asyncio.wait_for(task, 30)
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-{n}" for n in range(3_000)]


async def test_refused_record_is_parked_and_the_rest_arrives(centre: Centre, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    box.spool.append(
        [new(f"{box.id}-good"), new(f"{box.id} bad id"), new(f"{box.id}-big", text="x" * 70_000)]
    )
    await drain(sender)
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-good"]
    parked = {id_: reason for _, id_, _, reason in box.spool.parked()}
    assert parked == {f"{box.id} bad id": "malformed", f"{box.id}-big": "too_large"}


async def test_batch_too_large_for_the_centre_is_sent_in_smaller_ones(centre: Centre, box: Box) -> None:
    noise = random.Random(7)
    sender = box.records()
    await drain(sender)
    texts = [noise.randbytes(25_000).hex() for _ in range(120)]
    box.spool.append([new(f"{box.id}-{n}", text=text) for n, text in enumerate(texts)])
    await drain(sender)
    assert len(at_centre(centre, box)) == 120
    assert box.spool.depth().parked == 0


async def test_new_disk_in_an_old_box_goes_on_where_the_centre_stands(centre: Centre, box: Box) -> None:
    box.spool.append([new(f"{box.id}-old-{n}") for n in range(3)])
    await drain(box.records())
    (last, _) = at_centre(centre, box)[-1]
    with contextlib.closing(open_spool(box.folder / "fresh.sqlite", NOW)) as opened:
        opened.spool.append([new(f"{box.id}-new")])
        await drain(RecordSender(opened.spool, box.cloud, SITE))
        assert (opened.spool.depth().waiting, opened.spool.depth().parked) == (0, 0)
    assert at_centre(centre, box)[-1] == (last + 1, f"{box.id}-new")


async def test_revoked_box_hears_so_and_keeps_its_records(centre: Centre, box: Box) -> None:
    await drain(box.records())
    box.spool.append([new(f"{box.id}-kept")])
    await asyncio.to_thread(centre.run, "revoke", box.id)
    with pytest.raises(CloudRefused) as caught:
        await box.records().send()
    assert caught.value.key == "box.revoked"
    assert box.spool.depth().waiting == 1


async def test_heartbeat_and_configuration_poll_are_answered(box: Box) -> None:
    assert "server_time_utc" in await box.cloud.heartbeat({"sent_utc": "2026-11-21T09:30:00.000Z"})
    assert await box.cloud.config(have=0, wait_s=0) is None
    await box.cloud.config_status(1, ConfigState.REFUSED, [reason_of("$: test", "", {})])


async def sites(centre: Centre, box: Box, lang: str) -> str:
    """The cell of the box in `kyusai sites`, its lines joined without blanks."""
    table = await asyncio.to_thread(centre.kyusai, "sites", "--data", str(centre.data), lang=lang)
    cells = [line.split("│")[-2].strip() for line in table.splitlines() if "│" in line]
    of_box = "".join(cells).partition(box.id)[2].partition("box-")[0]
    return of_box.replace(" ", "")


def faulty() -> tuple[Reason, ...]:
    """What a box finds in a document that no centre of today would sign."""
    envelope = sealed(
        9, site={**document()["site"], "name": 7}, gateways=[{"id": "gw1", "uri": "sip:b[red]"}]
    )
    with pytest.raises(ConfigRefused) as caught:
        examine(envelope, TRUST, 0)
    return caught.value.problems


async def test_why_a_version_was_refused_is_told_to_each_reader_in_his_language(
    centre: Centre, box: Box
) -> None:
    reasons = faulty()
    await box.cloud.config_status(9, ConfigState.REFUSED, reasons)
    shown = {lang: await sites(centre, box, lang) for lang in ("en", "ja")}
    for one in reasons[:5]:
        for lang in ("en", "ja"):
            assert retold(one, lang).replace(" ", "") in shown[lang]
        assert one.text.replace(" ", "") not in shown["ja"]
    listed = json.loads(await asyncio.to_thread(centre.kyusai, "sites", "--json", "--data", str(centre.data)))
    (told,) = [one for one in listed[0]["boxes"] if one["id"] == box.id]
    assert told["config_problems"] == [one.text for one in reasons], "for programs, as ever"
    assert told["config_reasons"][0]["key"] == reasons[0].key


async def test_an_older_boxs_lines_are_told_as_they_came_and_a_hostile_ones_do_nothing(
    centre: Centre, box: Box
) -> None:
    body: dict[str, Any] = {"version": 9, "state": "refused", "problems": ["$.a: is [red]wrong[/red]"]}
    await box.cloud._post(PATH_CONFIG_STATUS, body)
    assert "$.a:is[red]wrong[/red]" in await sites(centre, box, "ja")
    values = {"value": "{0.__class__} \x1b[2J[/]", "found": "string", "expected": "number", "lang": "x"}
    details = [{"key": "field.type", "values": values, "path": "[/]"}, {"key": 7}, *[[{}]] * 5]
    await box.cloud._post(PATH_CONFIG_STATUS, {**body, "problems": ["a", "b", {"c": []}], "details": details})
    shown = await sites(centre, box, "ja")
    assert "[/]:{0.__class__}\\x1b[2J[/]の型は文字列ですが、数でなければなりません" in shown
    assert "\x1b" not in shown and "{'c':[]}" in shown


async def test_calls_in_the_journal_reach_the_centre_through_a_line_that_breaks(
    centre: Centre, line: Line, box: Box
) -> None:
    with closing(sqlite3.connect(box.journal)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(SCHEMA)
        calls = [f"{box.id}-{n}@192.0.2.20#{n:08x}" for n in range(40)]
        rows = [("", "process_start", 10, {})]
        rows += [
            (call, "start", 100 + n, {"call_id": call, "origin": "phone"}) for n, call in enumerate(calls)
        ]
        rows += [(call, "answer", 500 + n, {"index": 0}) for n, call in enumerate(calls)]
        rows += [(call, "end", 900 + n, {"cause": "normal_clearing"}) for n, call in enumerate(calls)]
        db.executemany(
            "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, 'boot-a', ?)",
            [(call, event, ms, 1_790_000_000_000 + ms, json.dumps(data)) for call, event, ms, data in rows],
        )
        db.commit()
    data = record_audio(box, f"rec-{box.id}", 300_000)
    switches = [Switches() for _ in range(4)]
    folder, table = box.folder / "recordings", RecordingTable(box.spool)
    errors: list[Exception] = []

    def report(error: Exception, _pause_s: float) -> None:
        errors.append(error)
        line.swallow_answers = False
        for switch in switches:
            switch.nudge.set()

    line.swallow_answers = True
    moment = Moment("boot-a", 60_000, 1_790_000_060_000)
    book = CallRecords(box.spool, box.journal, SITE, box.id)
    tasks = [
        asyncio.create_task(
            run_journal(book, lambda: moment, switches[0], report, made=switches[1].nudge.set)
        ),
        asyncio.create_task(run_records(box.records(), switches[1], report)),
        asyncio.create_task(run_recordings(box.recordings(), switches[2], report)),
        asyncio.create_task(run_pick_up(table, folder, switches[3], report, made=switches[2].nudge.set)),
    ]
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (len(at_centre(centre, box)) < 40 or any(folder.iterdir())):
        await asyncio.sleep(0.1)
    for switch in switches:
        switch.stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    told = centre.rows("SELECT body FROM record WHERE box_id = ? AND kind = 'cdr'", box.id)
    assert sorted(json.loads(body)["call"] for (body,) in told) == sorted(calls)
    assert stored_bytes(centre, f"rec-{box.id}") == [data]
    assert errors, "the line never broke: nothing was tested"
    assert box.spool.depth().waiting == 0
