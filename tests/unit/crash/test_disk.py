"""The disk after a power cut: what may be there, and what must. A failure here means that the crash harness is blind."""

import random

import pytest

from tests.crash.disk import Disk
from tests.crash.oplog import Entry, Op

ROOT = "/r"
CUTS = 500
"""Power cuts per case: any outcome that has a chance of a few per cent is seen."""


def name(op: Op, first: str, second: str = "", ino: int = 0) -> Entry:
    return Entry(op, ino, 0, first.encode(), second.encode())


def write(ino: int, data: bytes, offset: int = 0) -> Entry:
    return Entry(Op.WRITE, ino, offset, data)


def outcomes(disk: Disk) -> set[tuple[tuple[str, bytes], ...]]:
    """Every set of files that was found after some cut."""
    found = [disk.after_power_cut(random.Random(n))[0] for n in range(CUTS)]
    return {tuple(sorted(files.items())) for files in found}


def a_disk(*entries: Entry, files: dict[str, tuple[int, bytes]] | None = None) -> Disk:
    disk = Disk(ROOT, {"/r/a": (1, b"old")} if files is None else files, ["/r/sub"])
    for entry in entries:
        disk.apply(entry)
    return disk


SYNC = Entry(Op.SYNC, 1)
FOLDER = name(Op.SYNC_FOLDER, ROOT)
NEW = name(Op.NEW, "/r/b", ino=2)


@pytest.mark.parametrize(
    ("entries", "possible"),
    [
        pytest.param([], {(("/r/a", b"old"),)}, id="nothing happened"),
        pytest.param([write(1, b"new")], {(("/r/a", b"old"),), (("/r/a", b"new"),)}, id="unsynced write"),
        pytest.param([write(1, b"new"), SYNC], {(("/r/a", b"new"),)}, id="synced write"),
        pytest.param(
            [write(1, b"new"), SYNC, write(1, b"er", 3)],
            {(("/r/a", b"new"),), (("/r/a", b"newer"),)},
            id="write behind a synced one",
        ),
        pytest.param(
            [NEW, write(2, b"x"), Entry(Op.SYNC, 2)],
            {(("/r/a", b"old"),), (("/r/a", b"old"), ("/r/b", b"x"))},
            id="synced bytes under a name that is not sure",
        ),
        pytest.param(
            [NEW, write(2, b"x"), FOLDER],
            {(("/r/a", b"old"), ("/r/b", b"")), (("/r/a", b"old"), ("/r/b", b"x"))},
            id="sure name over bytes that are not",
        ),
        pytest.param(
            [NEW, write(2, b"x"), Entry(Op.SYNC, 2), name(Op.RENAME, "/r/b", "/r/a"), FOLDER],
            {(("/r/a", b"x"),)},
            id="replaced durably",
        ),
        pytest.param([name(Op.UNLINK, "/r/a")], {(), (("/r/a", b"old"),)}, id="unsynced removal"),
        pytest.param([name(Op.UNLINK, "/r/a"), FOLDER], {()}, id="synced removal"),
        pytest.param(
            [Entry(Op.TRUNCATE, 1, 1)], {(("/r/a", b"old"),), (("/r/a", b"o"),)}, id="unsynced truncation"
        ),
        pytest.param(
            [
                name(Op.MKDIR, "/r/sub/deep"),
                name(Op.NEW, "/r/sub/deep/c", ino=3),
                name(Op.SYNC_FOLDER, "/r/sub/deep"),
            ],
            {(("/r/a", b"old"),), (("/r/a", b"old"), ("/r/sub/deep/c", b""))},
            id="sure name in a folder that is not",
        ),
        pytest.param(
            [name(Op.LINK, "/r/a", "/r/b"), name(Op.UNLINK, "/r/a"), FOLDER], {(("/r/b", b"old"),)}, id="link"
        ),
        pytest.param(
            [name(Op.UNLINK, "/r/a"), FOLDER, name(Op.NEW, "/r/b", ino=1), write(1, b"y"), SYNC, FOLDER],
            {(("/r/b", b"y"),)},
            id="a removed file's number given again",
        ),
    ],
)
def test_after_a_power_cut_exactly_these_disks_are_possible(
    entries: list[Entry], possible: set[tuple[tuple[str, bytes], ...]]
) -> None:
    assert outcomes(a_disk(*entries)) == possible


def test_large_unsynced_write_may_be_torn_at_any_sector_and_nowhere_else() -> None:
    disk = a_disk(write(1, b"n" * 2048), files={"/r/a": (1, b"o" * 2048)})
    sectors = {tuple(files[0][1][at : at + 512] for at in range(0, 2048, 512)) for files in outcomes(disk)}
    assert {sector for found in sectors for sector in found} == {b"n" * 512, b"o" * 512}
    assert len(sectors) == 16


def test_names_as_written_are_those_that_the_processes_saw() -> None:
    disk = a_disk(NEW, write(2, b"x"), name(Op.RENAME, "/r/b", "/r/sub/c"), write(1, b"n"))
    assert disk.as_written() == {"/r/a": b"nld", "/r/sub/c": b"x"}


def test_log_that_leaves_something_out_is_noticed() -> None:
    with pytest.raises(KeyError):
        a_disk(name(Op.UNLINK, "/r/never"))
