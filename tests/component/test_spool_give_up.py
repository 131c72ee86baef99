"""A parked record that no try brings to the centre is given up by a person: nothing is missing there any more, the chain holds,
and the record stays in a file. A failure is a site that says 86 of 87 for ever, or a call record destroyed in silence."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agent import spool_give_up
from agent.acknowledged import Acknowledged
from agent.receipts import chain_problem
from agent.records import NewRecord, Settlement, settle
from agent.spool import DAMAGED_REASON, Spool
from agent.spool_desk import parked, retry
from agent.spool_files import open_spool
from agent.spool_give_up import Word, give_up
from appliance.errors import KyusaiError
from cloudsync import cli_output
from cloudsync.service import ledger
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.records import take_body
from cloudsync.service.sites import list_sites
from cloudsync.store import overview
from cloudsync.store import records as store
from cloudsync.wire import Record, RecordText, encode_batch
from tests.helpers.centre_box import opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared
from tests.helpers.synced_box import BOX, NOW, SITE

ROOT = Path(__file__).resolve().parents[2]
GENESIS = "0" * 64
WORD = Word("Sato", "spoilt by a bad disk", SITE, BOX, NOW)
BOX_TOML = """[box]
id = "tokyo-1-a"
state_dir = "{folder}"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "127.0.0.1"
"""


@dataclass
class Site:
    """A box's spool, open as the agent has it, and the folder that it lies in."""

    folder: Path
    spool: Spool

    @property
    def path(self) -> Path:
        return self.folder / "spool.sqlite"

    @property
    def kept(self) -> Path:
        return self.folder / "given-up"

    def add(self, *names: str) -> None:
        self.spool.append([NewRecord(one, "cdr", 1, NOW.wall_ms, "boot-a", {"id": one}) for one in names])

    def spoil(self, query: str, *values: object) -> None:
        """What a dying disk does to a row."""
        with closing(sqlite3.connect(self.path)) as db, db:
            assert db.execute(query, values).rowcount == 1

    def give_up(self, *ids: str) -> list[spool_give_up.GivenUp]:
        return give_up(self.path, self.folder / "acknowledged.sqlite", self.kept, ids, WORD)

    def refused(self, *ids: str) -> str:
        """The key of the error."""
        with pytest.raises(KyusaiError) as caught:
            self.give_up(*ids)
        assert caught.value.hint
        return caught.value.key

    def send(self, centre: Centre) -> None:
        """All that waits, as the agent does it."""
        with closing(Acknowledged(self.folder / "acknowledged.sqlite", lambda: 1 << 20)) as copies:
            while batch := self.spool.waiting(100):
                body = encode_batch(SITE, BOX, batch)
                answer = settle(take_body(centre, BoxIdentity(SITE, BOX), body, coding="gzip").results)
                copies.keep([record for record in batch if record.id in answer.delete])
                self.spool.settle(answer)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(open_spool(tmp_path / "box" / "spool.sqlite", NOW)) as made:
        made.spool.rechain(1, GENESIS)
        yield Site(tmp_path / "box", made.spool)


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        prepare_site(found, SITE)
        yield found


def counts(centre: Centre) -> tuple[int, int, int, int]:
    """Received, missing, given up, and refused ones that still wait."""
    (site,) = list_sites(centre)
    return site.records, site.records_missing, site.records_given_up, site.records_refused


def records_at(centre: Centre) -> list[Record]:
    names = ("seq", "id", "kind", "priority", "created_utc", "boot_id", "prev_hash", "hash")
    with centre.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=1_000)
    made: list[Any] = [
        Record(body=json.loads(str(row["body"])), **{name: row[name] for name in names})  # type: ignore[arg-type]
        for row in rows
    ]
    return sorted(made, key=lambda one: int(one.seq))


def test_the_centre_says_n_of_n_and_the_chain_holds_though_hashes_were_spoilt_too(
    site: Site, centre: Centre
) -> None:
    site.add(*"abcdefg")
    site.spoil("UPDATE record SET body = '{\"id\":\"C\"}' WHERE id = 'c'")
    site.spoil("UPDATE record SET hash = ? WHERE id = 'd'", "e" * 64)  # the one behind it has the true one
    site.spoil(
        "UPDATE record SET hash = 'gone', body = x'ff00' WHERE id = 'g'"
    )  # the end of the sequence has it
    site.send(centre)
    assert [row[3] for row in site.spool.parked()] == [DAMAGED_REASON] * 3
    assert counts(centre) == (4, 2, 0, 0)
    assert (site.spool.depth().waiting, site.spool.depth().parked) == (0, 3)
    done = site.give_up("g", "c", "d")
    assert [(one.seq, one.id, one.file.name) for one in done] == [
        (3, "c", "c.json"),
        (4, "d", "d.json"),
        (7, "g", "g.json"),
    ]
    assert (site.spool.depth().waiting, site.spool.depth().parked) == (1, 0), "the agent counts anew"
    site.send(centre)
    assert counts(centre) == (5, 0, 3, 0)
    receipt = ledger.receipt(centre, SITE)
    assert receipt.complete
    held = records_at(centre)
    assert chain_problem(receipt, held) == ""
    assert chain_problem(receipt, held[:-1]) != "", "nothing else explains the numbers that are not there"
    told = {name: value for name, value in held[-1].body.items() if name not in ("runs", "records")}
    assert told == {
        "event": "records_given_up",
        "reason": "by_hand",
        "sort": "parked",
        "count": 3,
        "first_seq": 3,
        "last_seq": 7,
        "from_utc": held[0].created_utc,
        "to_utc": held[0].created_utc,
        "by": "Sato",
        "why": "spoilt by a bad disk",
    }
    assert site.refused("c") == "spool.not_here", "it was told once"
    assert site.spool.waiting(9) == []


def test_the_record_stays_as_it_stood_for_the_boxs_user_alone(site: Site) -> None:
    site.add("a", "b", "c", "d")
    site.spoil("UPDATE record SET body = CAST(x'7b22ff' AS TEXT), state = 'parked' WHERE id = 'a'")
    site.spoil("UPDATE record SET id = '../../b/?', body = x'00ff', state = 'parked' WHERE id = 'b'")
    site.spoil("UPDATE record SET id = CAST(x'64ff' AS TEXT), state = 'parked' WHERE id = 'd'")
    assert [one.id for one in parked(site.path, 9)] == ["../../b/?", "a", "d\ufffd"], "by which it is named"
    assert site.give_up("d\ufffd")[0].seq == 4
    first, second = (one.file for one in site.give_up("a", "../../b/?"))
    for file in (first, second):
        assert file.parent == site.kept
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.kept.stat().st_mode) == 0o700
    row = json.loads(first.read_text("ascii"))
    assert row["text"].encode("utf-8", "surrogateescape") == b'{"\xff'
    assert (row["seq"], row["id"], row["prev_hash"]) == (1, "a", GENESIS)
    assert bytes.fromhex(json.loads(second.read_text("ascii"))["text"]) == b"\x00\xff"
    site.spool.settle(Settlement(park={"c": "too_large"}))
    (site.kept / "c.json").write_text("another record of that id")
    (third,) = site.give_up("c")
    assert third.file.name.startswith("c-")
    assert (site.kept / "c.json").read_text() == "another record of that id"


def test_refused_record_that_its_box_gave_up_waits_for_nobody(site: Site, centre: Centre) -> None:
    site.add("a", "bad id", "c")
    site.send(centre)
    assert counts(centre) == (2, 1, 0, 1)
    assert since_then(centre) == {"bad id": cli_output.said("centre.refused.parked")}
    (done,) = site.give_up("bad id")
    site.send(centre)
    assert counts(centre) == (3, 0, 1, 0)
    assert since_then(centre) == {"bad id": cli_output.said("centre.refused.given_up")}
    assert chain_problem(ledger.receipt(centre, SITE), records_at(centre)) == ""
    row = json.loads(done.file.read_text())
    again = RecordText(*(row[name] for name in (*RecordText._fields[:6], "text", "prev_hash", "hash")))
    take_body(centre, BoxIdentity(SITE, BOX), encode_batch(SITE, BOX, [again]), coding="gzip")
    with centre.database.read() as connection:
        assert overview.refused_counts(connection) == {SITE: 1}, "it came again, so it waits somewhere"


def since_then(centre: Centre) -> dict[str, str]:
    """What `kyusai records --refused` says of each."""
    with centre.database.read() as connection:
        rows = store.refused(connection, limit=9)
    return {str(row["id"]): cli_output._since_then(row) for row in rows}


def test_more_than_one_event_holds_are_given_up_together(site: Site, centre: Centre) -> None:
    names = [f"bad {n}" for n in range(45)]
    site.add(*(part for name in names for part in (name, name.replace(" ", "-"))))
    site.send(centre)
    assert counts(centre) == (45, 45, 0, 45)
    site.give_up(*names)
    assert len(site.spool.waiting(99)) == 3
    site.send(centre)
    assert counts(centre) == (48, 0, 45, 0)


def test_what_cannot_be_given_up_is_said_and_nothing_goes(site: Site) -> None:
    site.add(*"abcd")
    site.spool.settle(Settlement(park={"a": "malformed", "b": "seq_conflict"}))
    recording = "id, call, path, sha256, cipher_sha256, bytes, started_utc, duration_s, format, state"
    site.spoil(f"INSERT INTO recording ({recording}) VALUES ('rec', '', '', '', '', 1, '', 1, '', 'parked')")  # noqa: S608
    assert site.refused("a", "nobody") == "spool.not_here"
    assert site.refused("a", "c") == "spool.not_parked"
    assert site.refused("a", "rec") == "spool.is_recording"
    assert site.refused("a", "b") == "spool.can_be_renumbered"
    assert [row[1] for row in site.spool.parked()] == ["a", "b"]
    assert not site.kept.exists()
    retry(site.path, ["none"], renumber=True)
    assert site.refused("a") == "spool.numbers_unsure"
    assert not site.kept.exists()
    site.spool.rechain(11, "a" * 64)
    assert [one.seq for one in site.give_up("a")] == [11], "by the number that it has now"


def test_log_that_a_power_cut_left_is_for_the_agent_to_look_at_first(site: Site, tmp_path: Path) -> None:
    site.add("a", "b")
    site.spool.settle(Settlement(park={"a": "malformed"}))
    site.add("c")
    copy = replace(site, folder=tmp_path / "cut")
    copy.folder.mkdir()
    copy.path.write_bytes(site.path.read_bytes())
    log = (site.folder / "spool.sqlite-wal").read_bytes()
    cut = log[:-100] + bytes(100)
    (copy.folder / "spool.sqlite-wal").write_bytes(cut)
    assert copy.refused("a") == "spool.numbers_unsure"
    assert (copy.folder / "spool.sqlite-wal").read_bytes() == cut, "and finds it as it was"


def test_killed_before_the_end_nothing_has_gone_and_the_next_try_tells_it_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("a", "b")
    site.spool.settle(Settlement(park={"a": "malformed"}))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(spool_give_up, "number", killed)
        with pytest.raises(Killed):
            site.give_up("a")
    assert [row[1] for row in site.spool.parked()] == ["a"]
    (kept,) = site.kept.iterdir()
    before = kept.read_bytes()
    assert [one.file for one in site.give_up("a")] == [kept]
    assert kept.read_bytes() == before
    assert [record.kind for record in site.spool.waiting(9)] == ["cdr", "event"]
    assert site.spool.parked() == []


def test_record_that_the_agent_touches_meanwhile_is_not_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("a")
    site.spool.settle(Settlement(park={"a": "malformed"}))
    keep = spool_give_up._kept

    def kept(*arguments: Any) -> Path:
        site.spool.retry_parked()
        return keep(*arguments)

    monkeypatch.setattr(spool_give_up, "_kept", kept)
    assert site.refused("a") == "spool.changed"
    assert [record.id for record in site.spool.waiting(9)] == ["a"]


def test_file_that_cannot_be_written_leaves_the_record_where_it_is(site: Site) -> None:
    site.add("a")
    site.spool.settle(Settlement(park={"a": "malformed"}))
    site.kept.write_text("no folder")
    assert site.refused("a") == "spool.not_kept"
    assert [row[1] for row in site.spool.parked()] == ["a"]


def test_command_says_what_it_needs_and_what_it_did(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("d")
    box = folder / "box.toml"
    box.write_text(BOX_TOML.format(folder=folder))
    command = [sys.executable, str(ROOT / "kyusai_cli.py"), "spool"]

    def kyusai(*arguments: str, lang: str = "en") -> tuple[int, str, str]:
        environment = {**os.environ, "KYUSAI_BOX": str(box), "KYUSAI_LANG": lang}
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout, done.stderr

    with closing(open_spool(folder / "spool.sqlite", NOW)) as made:
        made.spool.rechain(1, GENESIS)
        site = Site(folder, made.spool)
        site.add("a", "b")
        site.spool.settle(Settlement(park={"a": "malformed", "b": DAMAGED_REASON}))
        code, _, problem = kyusai("give-up", "a")
        assert (code, problem.splitlines()[0]) == (
            1,
            "giving up needs a name (1 to 64 characters) and a reason (1 to 200)",
        )
        assert "--why" in problem.splitlines()[1]
        code, _, problem = kyusai("give-up", "--why", "x", lang="ja")
        assert (code, problem.splitlines()[0]) == (1, "破棄する記録の ID を指定してください")
        assert f"{DAMAGED_REASON}: The disk altered it" in kyusai("list")[1]
        code, said, _ = kyusai("give-up", "a", "--why", " bad \n disk", "--by", "Sato")
        assert (code, said.splitlines()[1].strip()) == (0, str(folder / "given-up/a.json"))
        (event,) = site.spool.waiting(9)
        assert (event.body["by"], event.body["why"]) == ("Sato", "bad disk")
    code, said, _ = kyusai("give-up", "b", "--why", "bad disk", "--json")  # without the agent
    assert (code, json.loads(said)) == (0, [{"seq": 2, "id": "b", "file": str(folder / "given-up/b.json")}])
    with closing(open_spool(folder / "spool.sqlite", NOW)) as made:
        assert [record.seq for record in made.spool.waiting(9)] == [3, 4]
        assert made.spool.parked() == []
