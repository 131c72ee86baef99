"""What the centre signs for and shows of a box's records: receipts that anybody can check, figures without a hole."""

import json
import subprocess

import pytest

from agent import series
from agent.receipts import load
from agent.records import NewRecord
from agent.status import Status
from agent.upload import RecordSender
from cloudsync.wire import (
    Priority,
    RecordKind,
)
from tests.helpers.broken_line import (
    SITE,
    Box,
    Centre,
    drain,
    new,
    receipts_of,
)


async def test_receipt_for_all_records_is_kept_and_anybody_can_check_it(centre: Centre, box: Box) -> None:
    kept = receipts_of(box)
    box.spool.append([new(f"{box.id}-{n}") for n in range(7)])
    sender = RecordSender(box.spool, box.cloud, SITE, drained=kept.drained)
    await drain(sender)
    standing = kept.standing
    assert standing.receipt is not None
    assert (standing.problem, standing.receipt.complete) == ("", True)
    assert (
        standing.receipt.seq == box.spool.chain().next_seq - 1 == len(centre.rows("SELECT seq FROM record"))
    )
    assert load(box.folder / "receipt.json") == standing.receipt
    records, file = box.folder / "records.json", box.folder / "receipt.json"
    records.write_text(
        centre.kyusai("records", "--site", SITE, "--limit", "100000", "--json", "--data", str(centre.data))
    )
    key = json.loads(centre.run("keys", "--json"))[0]["public_key"]
    said = centre.kyusai("receipt", "verify", str(file), "--key", key, "--records", str(records))
    assert f"holds {standing.receipt.count} of {standing.receipt.seq} records" in said
    found = json.loads(records.read_text())
    found[3]["body"]["id"] += " altered"
    records.write_text(json.dumps(found))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        centre.kyusai("receipt", "verify", str(file), "--key", key, "--records", str(records))
    assert "altered" in caught.value.stderr
    file.write_text(file.read_text().replace(f'"count": {standing.receipt.count}', '"count": 1'))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        centre.kyusai("receipt", "verify", str(file), "--key", key)
    assert "not signed" in caught.value.stderr
    at_centre_now = json.loads(centre.run("site", "receipt", SITE))
    assert (at_centre_now["seq"], at_centre_now["hash"]) == (standing.receipt.seq, standing.receipt.hash)


async def test_receipt_tells_a_box_that_the_centre_has_lost_records(centre: Centre, box: Box) -> None:
    kept = receipts_of(box)
    await drain(box.records())
    box.spool.rechain(box.spool.chain().next_seq + 5, "a" * 64)
    box.spool.append([new(f"{box.id}-behind")])
    await drain(RecordSender(box.spool, box.cloud, SITE, drained=kept.drained))
    assert kept.standing.problem == "missing"


async def test_figures_of_an_outage_are_shown_afterwards_without_a_hole(centre: Centre, box: Box) -> None:
    await drain(box.records())
    status = Status(box.id, SITE, "Tokyo", "0", "", 1.0, survival_mode=True)
    minutes = 180

    def at(minute: int) -> NewRecord:
        told = {**series.body(status, series.EVERY_S), "mono_ms": 60_000 * minute}
        wall_ms = 1_790_000_000_000 + 60_000 * minute
        return NewRecord(f"{box.id}-stat-{minute}", RecordKind.STAT, Priority.REST, wall_ms, box.id, told)

    box.spool.append([at(minute) for minute in range(minutes)])
    box.spool.append([new(f"{box.id}-call"), new(f"{box.id}-help", Priority.EMERGENCY)])
    first = [record.id for record in box.spool.waiting(2)]
    assert first == [f"{box.id}-help", f"{box.id}-call"], "figures wait behind whatever is more urgent"
    await drain(box.records())
    shown = json.loads(
        centre.kyusai("series", SITE, "--limit", "100000", "--json", "--data", str(centre.data))
    )
    mine = [point for point in shown["points"] if point["boot_id"] == box.id]
    assert [point["mono_s"] for point in mine] == [60.0 * minute for minute in range(minutes)]
    assert shown["holes"] == []
