"""A person's hand in the spool while the agent has it open: what is parked is shown, and waits again by command."""

import io
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from agent.journal_events import Moment
from agent.records import NewRecord, Settlement
from agent.spool import DAMAGED_REASON, Spool
from agent.spool_desk import Parked, parked, reasons, retry
from agent.spool_files import open_spool
from agent.status import ApplicationsStatus, SpoolStatus, Status
from agent.status_view import view
from appliance.errors import KyusaiError

BOX = """[box]
id = "tokyo-1-a"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "127.0.0.1"
"""
NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
ROOT = Path(__file__).resolve().parents[2]


def fill(spool: Spool) -> None:
    """Three records, two of them refused and one of these spoilt on disk."""
    spool.rechain(1, "0" * 64)
    spool.append([NewRecord(name, "cdr", 1, NOW.wall_ms, "boot-a", {"id": name}) for name in "abc"])
    spool.settle(Settlement((), {"a": "seq_conflict", "b": DAMAGED_REASON}))


def test_parked_records_are_listed_and_wait_again_while_the_agent_runs(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        fill(opened.spool)
        listed = parked(tmp_path / "spool.sqlite", 10)
        assert [(one.id, one.reason) for one in listed] == [("a", "seq_conflict"), ("b", DAMAGED_REASON)]
        assert listed[0] == Parked("record", "a", "cdr", "seq_conflict", listed[0].created_utc)
        assert retry(tmp_path / "spool.sqlite") == 1, "what the disk spoilt no try makes whole"
        assert [record.id for record in opened.spool.waiting(9)] == ["a", "c"]


def test_status_says_why_things_are_parked(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        fill(opened.spool)
        opened.spool.append([NewRecord("d", "cdr", 1, NOW.wall_ms, "boot-a", {})])
        opened.spool.settle(Settlement((), {"d": "seq_conflict"}))
        assert reasons(opened.spool) == {"seq_conflict": 2, DAMAGED_REASON: 1}
        spool = SpoolStatus(parked=3, parked_reasons=reasons(opened.spool))
    shown = Console(width=200, record=True, file=io.StringIO())
    status = Status("tokyo-1-a", "tokyo-1", "Tokyo", "0", "now", 1.0, False, spool=spool)
    shown.print(view(json.loads(json.dumps(status.as_json())), "en"))
    assert "2 × seq_conflict" in shown.export_text()


def test_status_shows_prompts_that_are_still_to_be_made_and_those_that_cannot_be() -> None:
    for waiting, failed, told in (
        (212, 0, ["合成待ち 212 件"]),
        (3, 3, ["合成待ち 3 件", "合成できない"]),
        (0, 0, []),
    ):
        applications = ApplicationsStatus(True, 0, True, True, prompts_waiting=waiting, prompts_failed=failed)
        status = Status("tokyo-1-a", "tokyo-1", "Tokyo", "0", "now", 1.0, False, applications=applications)
        shown = Console(width=200, record=True, file=io.StringIO())
        shown.print(view(json.loads(json.dumps(status.as_json())), "ja"))
        text = shown.export_text()
        assert [one for one in ("合成待ち 212 件", "合成待ち 3 件", "合成できない") if one in text] == told


def test_only_named_ones_wait_again(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        fill(opened.spool)
        assert retry(tmp_path / "spool.sqlite", ["c"]) == 0
        assert retry(tmp_path / "spool.sqlite", ["a"]) == 1


def test_restored_disk_gets_new_numbers_behind_the_centres_last(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        opened.spool.rechain(1, "0" * 64)
        opened.spool.append([NewRecord(name, "cdr", 1, NOW.wall_ms, "boot-a", {}) for name in "ac"])
        opened.spool.settle(Settlement((), {"a": "seq_conflict"}))
        assert retry(tmp_path / "spool.sqlite", renumber=True) == 1
        assert opened.spool.waiting(9) == [], "nothing is sent until the centre has said where it stands"
        opened.spool.rechain(101, "f" * 64)
        assert [(r.seq, r.id) for r in opened.spool.waiting(9)] == [(101, "a"), (102, "c")]


def test_box_without_a_spool_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(KyusaiError) as caught:
        parked(tmp_path / "spool.sqlite", 1)
    assert caught.value.key == "spool.none"


def test_command_lists_and_retries(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("d")
    (folder / "state").mkdir()
    box = folder / "box.toml"
    box.write_text(BOX.format(folder=folder))
    command = [sys.executable, str(ROOT / "kyusai_cli.py"), "spool"]
    environment = {**os.environ, "KYUSAI_BOX": str(box), "KYUSAI_LANG": "en"}

    def kyusai(*arguments: str) -> str:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
        return done.stdout + done.stderr

    assert "there is no spool" in kyusai("list")
    with closing(open_spool(folder / "state/spool.sqlite", NOW)) as opened:
        fill(opened.spool)
        assert [one["id"] for one in json.loads(kyusai("list", "--json"))] == ["a", "b"]
        assert kyusai("list").splitlines()[-1].startswith("seq_conflict: The centre holds another record")
        assert kyusai("retry") == "1 wait again; the agent sends them.\n"
