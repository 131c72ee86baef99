"""Who was registered before a crash can be called after it, and no state of the disk refuses a registration."""

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from tests.helpers.registrar_box import RegistrarBox, registrar_box
from tests.lab.processes import wait_until

ALONE: dict[str, Any] = {"call_control": "local", "upstreams": []}
SAFE_AFTER_S = 0.3
"""A registration answered this long before a crash is on disk: 50 ms of queue, the rest for a slow machine."""


async def register(rig: RegistrarBox, numbers: list[str]) -> dict[str, str]:
    """Register each number from an address of its own; number to contact."""
    contacts = {}
    for index, number in enumerate(numbers):
        async with rig.phone(number, index + 1) as ua:
            answer = await ua.register(600)
            assert answer.code == 200
            contacts[number] = ua.contact
    return contacts


async def in_memory(rig: RegistrarBox) -> dict[str, str]:
    return {number: contacts[0]["Address"] for number, contacts in (await rig.saved()).items()}


async def test_killed_kamailio_knows_every_phone_again_after_its_restart() -> None:
    async with registrar_box(20, **ALONE) as rig:
        contacts = await register(rig, rig.numbers)
        await asyncio.sleep(SAFE_AFTER_S)
        await rig.box.kill("kamailio")
        await rig.box.start("kamailio")
        assert await in_memory(rig) == contacts
        before = (await rig.saved())["201"][0]["Expires"]
        async with rig.phone("201", 1) as ua:
            assert (await ua.register(600)).code == 200
        again = await rig.saved()
        assert [contact["Address"] for contact in again["201"]] == [contacts["201"]]
        assert again["201"][0]["Expires"] != before


async def test_phone_behind_nat_and_tcp_phone_keep_their_true_addresses_over_a_crash() -> None:
    async with registrar_box(2, **ALONE) as rig:
        async with (
            rig.phone("201", 1, advertise="10.11.12.13") as nated,
            rig.phone("202", 2, transport="tcp") as tcp,
        ):
            await nated.register(600)
            await tcp.register(600)
            await asyncio.sleep(SAFE_AFTER_S)
            before = await rig.saved()
            await rig.box.kill("kamailio")
        await rig.box.start("kamailio")
        after = await rig.saved()
    kept = ("Address", "Received", "CFlags", "Socket", "Call-ID", "Path", "Instance", "Methods")
    for number in ("201", "202"):
        assert {name: after[number][0].get(name) for name in kept} == {
            name: before[number][0].get(name) for name in kept
        }


async def test_expired_binding_does_not_come_back() -> None:
    async with registrar_box(2, start=False, **ALONE) as rig:
        await rig.box.start("kamailio")
        await register(rig, ["201"])
        await asyncio.sleep(SAFE_AFTER_S)
        await rig.box.kill("kamailio")
        with closing(sqlite3.connect(rig.box.layout.bindings)) as database, database:
            database.execute("UPDATE location SET expires = ?", (int(time.time()) - 7200,))
        await rig.box.start("kamailio")
        assert await rig.saved() == {}


@pytest.mark.parametrize("name", ["bindings", "journal"])
async def test_damaged_file_is_set_aside_and_phones_register(name: str) -> None:
    async with registrar_box(2, start=False, **ALONE) as rig:
        path = getattr(rig.box.layout, name)
        path.write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
        await rig.box.start("kamailio")
        await register(rig, ["201"])
        await wait_until(
            lambda: list(path.parent.glob(f"{path.name}.broken-*")), "the damaged file set aside"
        )
        assert "set aside" in await rig.log()


async def test_locked_file_refuses_nobody_and_is_written_when_it_is_free() -> None:
    async with registrar_box(10, **ALONE) as rig:
        with closing(sqlite3.connect(rig.box.layout.bindings, isolation_level=None)) as thief:
            thief.execute("BEGIN IMMEDIATE")
            contacts = await register(rig, rig.numbers)
            await asyncio.sleep(SAFE_AFTER_S)
            thief.execute("ROLLBACK")
        await wait_until(lambda: rows(rig) == contacts, "the bindings on disk")


async def test_folder_in_the_place_of_a_file_refuses_nobody() -> None:
    async with registrar_box(3, start=False, **ALONE) as rig:
        rig.box.layout.bindings.mkdir()
        (rig.box.layout.bindings / "in-the-way").touch()
        rig.box.layout.journal.mkdir()
        (rig.box.layout.journal / "in-the-way").touch()
        await rig.box.start("kamailio")
        await register(rig, rig.numbers)


def rows(rig: RegistrarBox) -> dict[str, str]:
    with closing(sqlite3.connect(f"file:{rig.box.layout.bindings}?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT username, contact FROM location").fetchall())


async def test_binding_whose_time_is_over_leaves_the_disk_too() -> None:
    async with registrar_box(2, **ALONE) as rig:
        await register(rig, ["201"])
        await wait_until(lambda: rows(rig), "the binding on disk")
        (contact,) = (await rig.saved())["201"]
        await rig.box.rpc.call(
            "ul.add", "location", "201", contact["Address"], 1, 1.0, "0", 0, 0, 16383, "0", contact["Socket"]
        )
        await wait_until(lambda: not rows(rig), "the row gone", 60)


async def test_refreshed_phone_is_known_after_a_crash_though_its_row_was_not_written_again() -> None:
    async with registrar_box(2, **ALONE) as rig:
        async with rig.phone("201", 1) as ua:
            await ua.register(600)
            await wait_until(lambda: rows(rig), "the binding on disk")
            written = rig.box.layout.bindings.with_name("bindings.sqlite-wal").stat().st_mtime_ns
            await asyncio.sleep(1.1)
            await ua.register(600)
            await asyncio.sleep(SAFE_AFTER_S)
            assert rig.box.layout.bindings.with_name("bindings.sqlite-wal").stat().st_mtime_ns == written
            await rig.box.kill("kamailio")
        await rig.box.start("kamailio")
        (contact,) = (await rig.saved())["201"]
        assert 400 < contact["Expires"] <= 600
