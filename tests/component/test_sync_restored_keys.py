"""A box whose key changed after the backup from which its centre was restored. A failure here is a site that waits for a person
to enrol its box again, or a key that was given up long ago and still opens the centre."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent import centre as agent_centre
from agent import heartbeat, key_rotation
from agent.cloud_client import EARLIER_PAUSE_S, CloudClient
from agent.cloud_errors import CloudRefused
from agent.cloud_transport import Answer, Transport, pinned
from agent.earlier_keys import KEPT, earlier_file, keep_earlier, load_earlier
from agent.enrol import enrol
from agent.identity import load, load_enrolled, load_or_make
from agent.key_rotation import next_key, rotate
from appliance.box import Box, parse
from appliance.layout import Layout
from cloudsync import wire
from cloudsync.service.backup import backup, restore
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import revoke_box
from cloudsync.store import audit, boxes
from tests.helpers.centre_box import CentreProcess, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

SITE = "tokyo-1"
LIMIT_S = 90.0


class KilledError(Exception):
    """The process dies here."""


class Log:
    """The names of the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, **_: object) -> None:
        self.lines.append(event)

    warning = error = info


class EnrolledBox:
    """A box that keeps its heartbeat going, by the agent's own code, and does nothing else."""

    def __init__(self, folder: Path, box_id: str = "tokyo-1-a") -> None:
        self.id = box_id
        self.box: Box = parse(
            f'[box]\nid = "{box_id}"\nstate_dir = "{folder}/state"\nrun_dir = "/run/kyusai"\n'
            '[sip]\nlan = "127.0.0.1"\n'
        )
        self.layout = Layout.of(self.box)
        self.log = Log()

    async def enrol(self, centre: CentreProcess) -> None:
        with centre.store() as opened:
            text = make_code(opened, SITE, 1, "admin:test")[0]
        await enrol(
            text, centre.url, self.id, {}, key=self.layout.key, enrolment=self.layout.enrolment, new_key=False
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[CloudClient]:
        """One that knows the key in place alone."""
        enrolled = load_enrolled(self.layout.enrolment)
        assert enrolled is not None
        transport = Transport(enrolled.url, pinned(enrolled.ca_pem))
        made = CloudClient(transport, self.id, lambda message: load(self.layout.key).sign(message))
        try:
            yield made
        finally:
            await made.close()

    async def rotate(self) -> None:
        """To a new key, and let it open the centre."""
        async with self.client() as client:
            await rotate(client, self.id, self.layout.key)
            await client.heartbeat({})

    @asynccontextmanager
    async def beating(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
        """The agent's heartbeat; gives what knows when it was last answered."""
        monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL_S", 0.2)
        config: Any = SimpleNamespace(centre_seen_s=None, heard_of=lambda _: None, site=None)
        status: Any = SimpleNamespace(as_json=dict)
        log: Any = self.log
        made = agent_centre.Centre(self.box, self.layout, config, lambda: status, log, time.monotonic)
        task = asyncio.create_task(made._keep_heartbeat())
        try:
            yield config
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await made.close()

    async def gets_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beat until the key in place has opened the centre."""
        async with self.beating(monkeypatch) as config, self.client() as by_present:
            await until(lambda: config.centre_seen_s is not None, self.log)
            async with asyncio.timeout(LIMIT_S):
                while True:
                    try:
                        await by_present.heartbeat({})
                    except CloudRefused:
                        await asyncio.sleep(0.1)
                    else:
                        return


async def until(reached: Callable[[], bool], log: Log) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not reached():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not reached; the log has {log.lines}") from None


@contextmanager
def one_site(folder: Path, database: str) -> Iterator[CentreProcess]:
    process = CentreProcess(folder / "centre", database)
    try:
        with process.store() as opened:
            prepare_site(opened, SITE)
        yield process.start()
    finally:
        process.stop()


def set_back(centre: CentreProcess, folder: Path, *, revoked: str = "") -> None:
    """Lose the centre and restore the backup. revoked: a box that a person shuts out before it serves again."""
    centre.stop()
    centre.data_dir.rename(folder / "lost")
    restore(folder / "backup", prepared(centre.data_dir, centre.database), "admin:test")
    if revoked:
        with centre.store() as opened:
            revoke_box(opened, revoked, "admin:test")
    centre.start()


def back_up(centre: CentreProcess, folder: Path) -> None:
    with centre.store() as opened:
        backup(opened, folder / "backup")


def known_key(centre: CentreProcess, box: EnrolledBox) -> str:
    with centre.store() as opened, opened.database.read() as connection:
        found = boxes.find(connection, box.id)
    assert found is not None
    return found.public_key


def actions(centre: CentreProcess) -> list[str]:
    with centre.store() as opened, opened.database.read() as connection:
        return [str(row["action"]) for row in audit.newest(connection, 100)]


@pytest.mark.parametrize("database", DATABASES)
async def test_box_whose_key_changed_since_the_backup_gets_in_by_itself_and_old_keys_end_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    with one_site(tmp_path, database) as centre:
        box, twin = EnrolledBox(tmp_path / "box"), EnrolledBox(tmp_path / "twin")
        await box.enrol(centre)
        back_up(centre, tmp_path)
        in_backup = known_key(centre, box)
        await box.rotate()
        box.layout.identity_dir.rename(tmp_path / "moved")  # an image of the disk of that moment
        for layout in (box.layout, twin.layout):
            layout.state_dir.mkdir(exist_ok=True, parents=True)
            copy_of(tmp_path / "moved", layout.identity_dir)
        await box.rotate()
        await box.rotate()
        assert len(load_earlier(box.layout.key)) == 3
        set_back(centre, tmp_path)
        assert known_key(centre, box) == in_backup
        await box.gets_in(monkeypatch)
        assert box.log.lines.count("box_key_offered_again") == 1
        assert known_key(centre, box) == load(box.layout.key).public_key != in_backup
        assert {"box.key_offered", "box.key_changed"} <= set(actions(centre))
        async with twin.beating(monkeypatch) as config:
            await until(lambda: "heartbeat_failed" in twin.log.lines, twin.log)
        assert config.centre_seen_s is None, "the copy's keys are all of before"
        assert known_key(centre, box) == load(box.layout.key).public_key
        modes = {path.name: path.stat().st_mode & 0o777 for path in box.layout.identity_dir.iterdir()}
        assert {modes["key.pem"], modes["key.earlier.pem"]} == {0o600}


def copy_of(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
        (target / path.name).chmod(0o600)


async def test_box_that_was_shut_out_stays_out_of_a_restored_centre_and_gives_its_old_keys_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_site(tmp_path, "sqlite") as centre:
        box = EnrolledBox(tmp_path / "box")
        await box.enrol(centre)
        back_up(centre, tmp_path)
        in_backup = known_key(centre, box)
        await box.rotate()
        set_back(centre, tmp_path, revoked=box.id)
        async with box.beating(monkeypatch) as config:
            await until(lambda: "box_revoked" in box.log.lines, box.log)
            await until(lambda: not earlier_file(box.layout.key).exists(), box.log)
        assert config.centre_seen_s is None
        assert known_key(centre, box) == in_backup
        assert "box.key_offered" not in actions(centre)


async def test_box_killed_at_any_step_of_a_change_gets_into_its_centre_and_into_a_restored_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    def killed_after(function: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: object) -> None:
            function(*arguments)
            raise KilledError

        return run

    def half_put(new: Path, path: Path) -> None:
        pem = new.read_bytes()
        key_rotation_put(new, path)
        new.write_bytes(pem)
        raise KilledError

    key_rotation_put = key_rotation.put_in_place
    steps = {
        "taken": ("keep_earlier", killed),
        "kept": ("keep_earlier", killed_after(keep_earlier)),
        "half": ("put_in_place", half_put),
        "put": ("put_in_place", killed_after(key_rotation_put)),
    }
    with one_site(tmp_path, "sqlite") as centre:
        made = {step: EnrolledBox(tmp_path / step, f"box-{step}") for step in steps}
        for box in made.values():
            await box.enrol(centre)
        back_up(centre, tmp_path)
        for step, (name, instead) in steps.items():
            box = made[step]
            with monkeypatch.context() as patched, pytest.raises(KilledError):
                patched.setattr(key_rotation, name, instead)
                await box.rotate()
            async with box.client() as client:
                await client.heartbeat({})
            await box.rotate()
            await box.rotate()
            assert not next_key(box.layout.key).exists()
        set_back(centre, tmp_path)
        for box in made.values():
            await box.gets_in(monkeypatch)
            assert known_key(centre, box) == load(box.layout.key).public_key


async def test_earlier_keys_are_kept_for_their_own_centre_alone(tmp_path: Path) -> None:
    with one_site(tmp_path / "a", "sqlite") as centre:
        box = EnrolledBox(tmp_path / "box")
        await box.enrol(centre)
        await box.rotate()
        old = load(box.layout.key).public_key
        with centre.store() as opened:
            text = make_code(opened, SITE, 1, "admin:test")[0]
        files = {"key": box.layout.key, "enrolment": box.layout.enrolment}
        await enrol(text, centre.url, box.id, {}, **files, new_key=True)
        assert load_earlier(box.layout.key)[0].public_key == old
        assert not box.layout.key.with_suffix(".old.pem").exists()
        await box.enrol(centre)
        assert len(load_earlier(box.layout.key)) == 2, "the same centre may be restored"
    with one_site(tmp_path / "b", "sqlite") as other:
        await box.enrol(other)
        assert not earlier_file(box.layout.key).exists()


def test_so_many_keys_are_kept_the_newest_first_and_spoilt_ones_are_passed_over(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    made: list[str] = []
    for _ in range(KEPT + 2):
        key.unlink(missing_ok=True)
        made.insert(0, load_or_make(key).public_key)
        keep_earlier(key)
        keep_earlier(key)  # killed in between, it does the same again
    assert [one.public_key for one in load_earlier(key)] == made[1:KEPT], "the one in place is no earlier one"
    key.unlink()
    load_or_make(key)
    assert [one.public_key for one in load_earlier(key)] == made[:KEPT]
    whole = earlier_file(key).read_bytes()
    earlier_file(key).write_bytes(whole[:40] + b"\xff\xff" + whole[42:])
    assert [one.public_key for one in load_earlier(key)] == made[1:KEPT]
    earlier_file(key).write_bytes(b"")
    assert load_earlier(key) == []


class Refusing:
    """A centre that knows none of this box's keys."""

    url = "https://192.0.2.1"

    def __init__(self) -> None:
        self.proofs = 0

    async def request(self, _method: str, path: str, **_: object) -> Answer:
        if path == wire.PATH_TOKEN_CHALLENGE:
            return Answer(200, {"content-type": "application/json"}, b'{"nonce": "n"}')
        self.proofs += 1
        raise CloudRefused(401, wire.ErrorKey.TOKEN_REFUSED, "the signature does not fit")


async def test_box_that_no_key_lets_in_tries_the_earlier_ones_once_a_minute() -> None:
    line, now = Refusing(), [0.0]
    sign: Callable[[bytes], bytes] = lambda _: b"s" * 64  # noqa: E731
    client = CloudClient(
        line,  # type: ignore[arg-type]
        "tokyo-1-a",
        sign,
        earlier=lambda: [sign] * 3,
        monotonic_s=lambda: now[0],
    )
    for _ in range(10):
        with pytest.raises(CloudRefused, match="does not fit"):
            await client.heartbeat({})
    assert line.proofs == 10 + 3
    now[0] = EARLIER_PAUSE_S + 1
    with pytest.raises(CloudRefused):
        await client.heartbeat({})
    assert line.proofs == 10 + 3 + 1 + 3
    assert not client.by_earlier_key
