"""From the embedded store to PostgreSQL and S3. A failure means that growing costs records."""

from pathlib import Path

import pytest

from appliance.errors import KyusaiError
from cloudsync.service.moving import move
from cloudsync.settings import StoreSettings, load
from cloudsync.store import copying
from tests.helpers.centre_box import Box, CentreProcess, chain, opened, prepare_site
from tests.helpers.centre_contents import contents, fill, send, store_recording
from tests.helpers.centre_stores import new_bucket_url, new_database_url


@pytest.fixture
def there() -> StoreSettings:
    return StoreSettings(new_database_url(), new_bucket_url())


def test_moved_centre_holds_everything_and_goes_on(tmp_path: Path, there: StoreSettings) -> None:
    with opened(tmp_path / "data") as centre:
        records = fill(centre)
        held = contents(centre)
        done = move(centre, there, "admin:test")
    assert (done.records, done.recordings.copied, done.recordings.kept) == (1200, 0, 2)
    assert load(tmp_path / "data" / "centre.toml", {}) == there
    with opened(tmp_path / "data") as centre:
        assert centre.database.dialect == "postgresql"
        assert contents(centre) == held
        send(centre, [records[-1], *chain(2, begin=1201, prev_hash=records[-1].hash)])
        store_recording(centre, "rec-later")
        after = contents(centre)
    assert (len(after["record"]), after["bytes"]) == (1202, {"rec-0": True, "rec-1": True, "rec-later": True})


@pytest.mark.parametrize("cut", [1, 3, 6, 12])
def test_move_that_was_cut_off_is_taken_up(
    tmp_path: Path, there: StoreSettings, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(copying, "BATCH_ROWS", 100)
    left = cut
    real = copying.put

    def puts(*arguments: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        real(*arguments)  # type: ignore[arg-type]

    with opened(tmp_path / "data") as centre:
        records = fill(centre, 500, 1)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(copying, "put", puts)
            move(centre, there, "admin:test")
    assert load(tmp_path / "data" / "centre.toml", {}) == StoreSettings()
    with opened(tmp_path / "data") as centre:  # meanwhile the centre goes on where it was
        send(centre, chain(50, begin=501, prev_hash=records[-1].hash))
        store_recording(centre, "rec-meanwhile")
        held = contents(centre)
        move(centre, there, "admin:test")
    with opened(tmp_path / "data") as centre:
        assert contents(centre) == held


def test_running_server_keeps_serving_until_the_last_part(tmp_path: Path, there: StoreSettings) -> None:
    server = CentreProcess(tmp_path / "data")
    with server.store() as centre:
        text = prepare_site(centre)
    box = Box.enrolled(server.start().url, text)
    records = chain(40)
    box.send(records[:20])
    with server.store() as centre, pytest.raises(KyusaiError) as caught:
        move(centre, there, "admin:test")
    assert caught.value.key == "centre.in_use"
    box.send(records[20:30])
    server.stop()
    with server.store() as centre:
        assert move(centre, there, "admin:test").records == 30
    box = Box(server.start().url, box.box_id, box.ca_pem).as_(box)
    box.get_token()
    assert [str(result.status) for result in box.send(records)] == ["duplicate"] * 30 + ["stored"] * 10
    server.stop()


def test_move_into_another_centres_database_is_refused(tmp_path: Path, there: StoreSettings) -> None:
    with opened(tmp_path / "a") as centre:
        fill(centre, 20, 0)
        move(centre, there, "admin:test")
    with opened(tmp_path / "b") as centre:
        fill(centre, 10, 0)
        with pytest.raises(KyusaiError) as caught:
            move(centre, there, "admin:test")
    assert caught.value.key == "move.not_empty"


def test_lost_recording_stops_the_move(tmp_path: Path, there: StoreSettings) -> None:
    with opened(tmp_path / "data") as centre:
        fill(centre, 10)
        (tmp_path / "data/recordings/tokyo-1/rec-1.age").unlink()
        with pytest.raises(KyusaiError) as caught:
            move(centre, there, "admin:test")
    assert caught.value.key == "move.recordings_wrong"
    assert load(tmp_path / "data" / "centre.toml", {}) == StoreSettings()


def test_recordings_alone_may_move(tmp_path: Path, there: StoreSettings) -> None:
    with opened(tmp_path / "data") as centre:
        fill(centre, 10)
        held = contents(centre)
        assert move(centre, StoreSettings(recordings=there.recordings), "admin:test").recordings.kept == 2
    with opened(tmp_path / "data") as centre:
        assert (centre.database.dialect, contents(centre)) == ("sqlite", held)
