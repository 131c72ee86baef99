"""The route snapshot on a real disk: workers must see one whole version, and keep the last good one."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance import site, snapshot
from appliance.errors import KyusaiError
from appliance.kamailio.snapshot_file import ROWS_KEPT
from appliance.kamailio.snapshot_view import STAT_INTERVAL_S, SnapshotError, SnapshotView
from appliance.kamailio.view import View
from appliance.model import LinkState
from appliance.site import Site, digest_ha1
from tests.helpers.site_documents import REALM, document, extension, group

SAMPLE = Path(__file__).parent.parent / "data" / "site.json"


class Quiet:
    """Nothing is up and nobody has called."""

    def link(self, upstream_id: str) -> LinkState:
        return LinkState.UP if upstream_id == "cloud" else LinkState.UNKNOWN

    def life_ms(self, upstream_id: str) -> int:
        return 0

    def registered(self, number: str) -> bool:
        return number == "201"

    def calls_on(self, gateway_id: str) -> int:
        return len(gateway_id)

    def outside_calls_of(self, extension: str) -> int:
        return len(extension)

    def outside_calls(self) -> int:
        return 7


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def next_look(self) -> None:
        self.now_s += 1.5 * STAT_INTERVAL_S


@pytest.fixture
def sample() -> Site:
    return site.loads(SAMPLE.read_bytes())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "route.sqlite"


def version(number: int) -> Site:
    return site.parse(document(version=number, extensions=[extension("201"), extension(str(300 + number))]))


def test_everything_written_is_read_back(sample: Site, path: Path) -> None:
    snapshot.write(sample, path)
    view: View = SnapshotView(path, Quiet())
    assert view.policy == sample.policy
    assert [view.extension(one.number) for one in sample.extensions] == list(sample.extensions)
    assert [view.group(one.number) for one in sample.groups] == list(sample.groups)
    assert {e164: view.extension_of(e164) for e164, _ in sample.public_numbers} == dict(sample.public_numbers)
    assert view.remote_extension("7201") == "+81664001201"


def test_credentials_are_those_of_the_sample_passwords(sample: Site, path: Path) -> None:
    snapshot.write(sample, path)
    view = SnapshotView(path, Quiet())
    for one in sample.extensions:
        expected = (one.number, *digest_ha1(one.number, REALM, f"only-for-tests-{one.number}"))
        assert view.credential(one.number) == expected


@pytest.mark.parametrize("name", ["", "nobody", "201\0", "' OR 1=1 --", "\udcff", "%", "9" * 9000])
def test_hostile_or_unknown_name_finds_nothing(name: str, sample: Site, path: Path) -> None:
    snapshot.write(sample, path)
    view = SnapshotView(path, Quiet())
    assert (view.extension(name), view.group(name), view.credential(name)) == (None, None, None)
    assert (view.remote_extension(name), view.extension_of(name)) == (None, None)


def test_live_half_is_asked(sample: Site, path: Path) -> None:
    view = SnapshotView(path, Quiet())
    assert (view.link("cloud"), view.registered("201"), view.registered("202")) == (LinkState.UP, True, False)
    assert (view.calls_on("gw1"), view.outside_calls_of("20"), view.outside_calls()) == (3, 2, 7)


def test_same_site_gives_same_bytes(sample: Site, tmp_path: Path) -> None:
    shuffled = json.loads(SAMPLE.read_text("utf-8"))
    shuffled["extensions"].reverse()
    snapshot.write(sample, tmp_path / "a")
    snapshot.write(site.parse(shuffled), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_snapshot_is_not_for_everybody_and_leaves_nothing_beside_it(sample: Site, path: Path) -> None:
    snapshot.write(sample, path)
    assert path.stat().st_mode & 0o007 == 0
    assert list(path.parent.iterdir()) == [path]


def test_file_and_folder_are_synced_around_the_rename(
    sample: Site, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").resolve().is_dir(), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    snapshot.write(sample, path)
    assert synced == [(False, False), (True, True)]


def test_partial_file_of_a_power_cut_is_overwritten(sample: Site, path: Path) -> None:
    path.with_name("route.sqlite.partial").write_bytes(b"half a database")
    snapshot.write(sample, path)
    assert SnapshotView(path, Quiet()).policy.version == 12


def test_failed_write_keeps_the_old_snapshot(
    sample: Site, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot.write(sample, path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KyusaiError) as caught:
        snapshot.write(version(13), path)
    assert caught.value.key == "snapshot.unwritable"
    assert SnapshotView(path, Quiet()).policy.version == 12
    assert list(path.parent.iterdir()) == [path]


def test_switch_of_the_link_is_noticed_at_the_next_look(tmp_path: Path, clock: Clock) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        snapshot.write(version(number), tmp_path / str(number) / "route.sqlite")
    current = tmp_path / "current"
    current.symlink_to("1")
    view = SnapshotView(current / "route.sqlite", Quiet(), clock)
    assert view.refresh()
    assert view.extension("301") is not None
    fresh = tmp_path / "fresh"
    fresh.symlink_to("2")
    fresh.replace(current)
    assert not view.refresh()
    assert view.policy.version == 1
    clock.next_look()
    assert view.policy.version == 1  # one version for the whole of a request
    assert view.refresh()
    assert (view.policy.version, view.extension("301")) == (2, None)
    assert view.extension("302") is not None


def test_unchanged_snapshot_is_not_reopened(path: Path, clock: Clock) -> None:
    snapshot.write(version(1), path)
    view = SnapshotView(path, Quiet(), clock)
    assert view.refresh()
    clock.next_look()
    assert not view.refresh()


def test_missing_snapshot_raises_until_it_appears(path: Path, clock: Clock) -> None:
    view = SnapshotView(path, Quiet(), clock)
    with pytest.raises(SnapshotError) as caught:
        view.extension("201")
    assert (caught.value.key, str(path) in caught.value.message) == ("snapshot.none", True)
    snapshot.write(version(1), path)
    clock.next_look()
    assert view.refresh()
    assert (view.policy.version, view.fault) == (1, "")


def truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def scrambled(good: bytes) -> bytes:
    """Everything but the header is gone, as after a write that the disk lost."""
    return good[:100] + bytes(len(good) - 100)


@pytest.mark.parametrize("damage", [truncated, scrambled, lambda good: b"", lambda good: b"x" * len(good)])
def test_damaged_snapshot_leaves_the_last_good_one_in_use(
    damage: "object", path: Path, clock: Clock, tmp_path: Path
) -> None:
    assert callable(damage)
    snapshot.write(version(1), path)
    view = SnapshotView(path, Quiet(), clock)
    view.refresh()
    snapshot.write(version(2), tmp_path / "next")
    (tmp_path / "bad").write_bytes(damage((tmp_path / "next").read_bytes()))
    (tmp_path / "bad").replace(path)
    clock.next_look()
    assert not view.refresh()
    assert "cannot be used" in view.fault
    assert view.extension("301") is not None
    with pytest.raises(SnapshotError):
        _ = SnapshotView(path, Quiet(), clock).policy
    (tmp_path / "next").replace(path)
    clock.next_look()
    assert view.refresh()
    assert (view.policy.version, view.fault) == (2, "")


def test_removed_snapshot_leaves_the_last_good_one_in_use(path: Path, clock: Clock) -> None:
    snapshot.write(version(1), path)
    view = SnapshotView(path, Quiet(), clock)
    view.refresh()
    path.unlink()
    clock.next_look()
    assert not view.refresh()
    assert "cannot be opened" in view.fault
    assert view.extension("301") is not None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("PRAGMA application_id = 1", "another program's"),
        ("UPDATE meta SET value = '2' WHERE key = 'format'", "its format is 2"),
        ("DELETE FROM meta", "lacks the row"),
        ("DELETE FROM policy", "lacks the row"),
        ("DROP TABLE policy", "no such table"),
        ("UPDATE policy SET doc = '[]'", "another form"),
        ("UPDATE policy SET doc = '{'", "another form"),
        ("""UPDATE policy SET doc = json_set(doc, '$.call_control', 'moon')""", "another form"),
    ],
)
def test_snapshot_in_another_form_is_refused(change: str, expected: str, path: Path) -> None:
    snapshot.write(version(1), path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(change)
        database.commit()
    with pytest.raises(SnapshotError, match=expected):
        _ = SnapshotView(path, Quiet()).policy


def test_field_of_newer_software_is_passed_over(path: Path) -> None:
    snapshot.write(version(1), path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE policy SET doc = json_set(doc, '$.moon_phase', 'full')")
        database.execute("UPDATE extension SET doc = json_set(doc, '$.moon_phase', 'full')")
        database.commit()
    view = SnapshotView(path, Quiet())
    assert (view.policy.version, view.extension("301")) == (1, version(1).extensions[1])


def test_more_numbers_than_are_kept_are_all_found(path: Path) -> None:
    numbers = [str(2000 + index) for index in range(ROWS_KEPT + 50)]
    big = site.parse(document(extensions=[extension(number) for number in ["201", *numbers]]))
    snapshot.write(big, path)
    view = SnapshotView(path, Quiet())
    for _ in range(2):
        assert [view.extension(number) for number in numbers] == list(big.extensions[1:])


def test_number_of_group_and_of_extension_are_kept_apart(path: Path) -> None:
    snapshot.write(site.parse(document(groups=[group()])), path)
    view = SnapshotView(path, Quiet())
    assert (view.extension("600"), view.group("201")) == (None, None)
    assert (view.group("600") is None, view.extension("201") is None) == (False, False)


def test_path_with_odd_characters_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "site ?#% 東京"
    folder.mkdir()
    snapshot.write(version(1), folder / "route.sqlite")
    assert SnapshotView(folder / "route.sqlite", Quiet()).policy.version == 1
