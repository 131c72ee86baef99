"""Recordings in a folder and in a real S3 server, by the same calls. A failure means audio lost at the centre."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.errors import KyusaiError
from cloudsync.blobs import BlobFolder
from cloudsync.buckets import SMALL_BYTES, Bucket, open_bucket
from cloudsync.storage import Storage
from tests.helpers.centre_box import random_bytes
from tests.helpers.centre_stores import new_bucket_url


@pytest.fixture(params=("folder", "s3"))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "s3":
        return open_bucket(new_bucket_url())
    for name in ("uploads", "recordings"):
        (tmp_path / name).mkdir()
    return BlobFolder(tmp_path / "uploads", tmp_path / "recordings")


@pytest.fixture
def folder(tmp_path: Path) -> BlobFolder:
    for name in ("uploads", "recordings"):
        (tmp_path / name).mkdir()
    return BlobFolder(tmp_path / "uploads", tmp_path / "recordings")


@pytest.fixture
def bucket() -> Bucket:
    return open_bucket(new_bucket_url())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def uploaded(storage: Storage, data: bytes, *cuts: int, sha256: str = "") -> None:
    """Upload in pieces that end at `cuts`, each by a connection of its own."""
    sha256 = sha256 or sha(data)
    begin = 0
    for end in (*cuts, len(data)):
        with storage.open_part("s", "r", sha256) as part:
            assert part.resume(begin) == begin
            part.write(data[begin:end])
            assert part.sync() == end
        begin = end


def read(storage: Storage, sha256: str) -> bytes:
    with storage.open_whole("s", "r", sha256) as file:
        return file.read()


@pytest.mark.parametrize("size", [1, 1000, SMALL_BYTES + 3_000_000], ids=["a byte", "small", "in parts"])
def test_pieces_become_the_whole(storage: Storage, size: int) -> None:
    data = random_bytes(size, 1)
    uploaded(storage, data, size // 3, size // 2) if size > 2 else uploaded(storage, data)
    assert storage.part_bytes("s", "r", sha(data)) == size
    assert storage.finish("s", "r", sha(data), size)
    assert storage.finish("s", "r", sha(data), size)  # again, after a crash
    assert read(storage, sha(data)) == data
    assert storage.whole_bytes("s", "r", sha(data)) == size
    assert storage.part_bytes("s", "r", sha(data)) == size


def put(storage: Storage, data: bytes, *spans: tuple[int, int], sha256: str = "") -> None:
    """Put pieces, each as a connection of its own would."""
    for begin, end in spans:
        storage.put_piece("s", "r", sha256 or sha(data), begin, data[begin:end])


def test_pieces_in_any_order_become_the_whole_once_no_byte_is_missing(storage: Storage) -> None:
    data = random_bytes(10_000, 21)
    put(storage, data, (8000, 10_000), (0, 4000))
    assert storage.held("s", "r", sha(data), 10_000) == [(0, 4000), (8000, 10_000)]
    assert not storage.finish("s", "r", sha(b"another"), 10_000)
    put(storage, data, (8000, 10_000), (0, 4000), (3000, 8000), (3000, 8000))  # one twice, two overlap
    assert storage.held("s", "r", sha(data), 10_000) == [(0, 10_000)]
    assert storage.finish("s", "r", sha(data), 10_000)
    assert storage.finish("s", "r", sha(data), 10_000)
    assert read(storage, sha(data)) == data
    assert storage.held("s", "r", sha(data), 10_000) == [(0, 10_000)]
    assert storage.read_range("s", "r", sha(data), 9_000, 500) == data[9_000:9_500]


def test_a_gap_between_pieces_is_never_taken_for_audio(storage: Storage) -> None:
    data = bytes(10_000)  # zeros: a file with a hole would look just like it
    put(storage, data, (0, 4000), (8000, 10_000))
    assert not storage.finish("s", "r", sha(data), 10_000)
    assert storage.whole_bytes("s", "r", sha(data)) is None


def test_pieces_with_wrong_bytes_are_forgotten(storage: Storage) -> None:
    data = random_bytes(9000, 22)
    put(storage, data, (0, 5000), (5000, 9000), sha256=sha(b"other"))
    assert not storage.finish("s", "r", sha(b"other"), 9000)
    assert storage.held("s", "r", sha(b"other"), 9000) == []
    assert storage.whole_bytes("s", "r", sha(b"other")) is None


def test_pieces_of_two_encryptions_are_told_apart(storage: Storage) -> None:
    first, second = random_bytes(9000, 23), random_bytes(9000, 24)
    put(storage, first, (0, 5000))
    put(storage, second, (5000, 9000))
    assert storage.held("s", "r", sha(first), 9000) == [(0, 5000)]
    assert storage.held("s", "r", sha(second), 9000) == [(5000, 9000)]
    storage.drop_part("s", "r")
    assert storage.held("s", "r", sha(first), 9000) == storage.held("s", "r", sha(second), 9000) == []


@pytest.mark.parametrize("size", [1000, SMALL_BYTES + 3_000_000], ids=["small", "in parts"])
def test_wrong_bytes_never_take_the_final_name(storage: Storage, size: int) -> None:
    data = random_bytes(size, 2)
    expected = sha(b"other")
    uploaded(storage, data, size // 2, sha256=expected)
    assert not storage.finish("s", "r", expected, size)
    assert storage.whole_bytes("s", "r", expected) is None
    assert storage.part_bytes("s", "r", expected) == 0
    with pytest.raises(FileNotFoundError):
        storage.open_whole("s", "r", expected)


def test_what_was_not_synced_is_not_counted(storage: Storage) -> None:
    data = random_bytes(1000, 3)
    with storage.open_part("s", "r", sha(data)) as part:
        part.resume(0)
        part.write(data[:400])
        part.sync()
        part.write(data[400:700])
    with storage.open_part("s", "r", sha(data)) as part:
        assert part.resume(400) == 400
        part.write(data[400:])
        assert part.sync() == 1000
    assert storage.finish("s", "r", sha(data), 1000)


def test_bytes_that_were_lost_are_asked_for_again(storage: Storage) -> None:
    data = random_bytes(1000, 4)
    uploaded(storage, data[:400], sha256=sha(data))
    with storage.open_part("s", "r", sha(data)) as part:
        assert part.resume(900) == 400


def test_whole_recording_is_put_in_place_of_another(storage: Storage) -> None:
    for data in (random_bytes(1000, 5), random_bytes(SMALL_BYTES + 1_000_000, 6)):
        pieces: Iterator[bytes] = iter((data[:600], data[600:]))
        storage.put_whole("s", "r", sha(data), pieces)
        assert read(storage, sha(data)) == data


def test_two_connections_with_pieces_that_overlap_harm_nothing(bucket: Bucket) -> None:
    data = random_bytes(3000, 7)
    first, second = (bucket.open_part("s", "r", sha(data)) for _ in range(2))
    for part, end in ((first, 2000), (second, 1200)):
        part.resume(0)
        part.write(data[:end])
        part.sync()
    second.write(data[1200:])
    assert second.sync() == 3000
    assert bucket.finish("s", "r", sha(data), 3000)
    assert read(bucket, sha(data)) == data


def test_pieces_that_another_process_removed_meanwhile_do_not_harm_the_whole(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_bytes(3000, 8)
    uploaded(bucket, data, 1000, 2000)
    chain = bucket._chain(f"uploads/s/r/{sha(data)[:32]}/")
    assert bucket.finish("s", "r", sha(data), 3000)
    monkeypatch.setattr(bucket, "_chain", lambda _prefix: chain)
    with pytest.raises(OSError):
        bucket.finish("s", "r", sha(data), 3000)
    monkeypatch.setattr(bucket, "_chain", lambda _prefix: chain[:2])
    assert bucket.finish("s", "r", sha(data), 3000)
    assert read(bucket, sha(data)) == data


def test_upload_encrypted_anew_is_another_upload(bucket: Bucket) -> None:
    first, second = random_bytes(1000, 9), random_bytes(1000, 10)
    uploaded(bucket, first)
    assert bucket.part_bytes("s", "r", sha(second)) == 0
    uploaded(bucket, second)
    assert bucket.finish("s", "r", sha(second), 1000)
    assert bucket.part_bytes("s", "r", sha(first)) == 0


def test_late_end_of_an_older_upload_does_not_replace_the_stored_one(bucket: Bucket) -> None:
    first, second = random_bytes(1000, 11), random_bytes(1000, 12)
    uploaded(bucket, second)
    assert bucket.finish("s", "r", sha(second), 1000)
    uploaded(bucket, first)
    assert bucket.finish("s", "r", sha(first), 1000)
    assert read(bucket, sha(second)) == second


@pytest.mark.parametrize(
    "url", ["s3://", "http://x/y", "recordings", "s3://key:secret@bucket/x", "s3://bucket/x?speed=9"]
)
def test_place_that_is_none_is_said(url: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        open_bucket(url)
    assert caught.value.key == "store.bad_bucket"


def test_server_that_is_away_is_a_failure_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudsync.buckets.RETRY_S", 0.1)
    bucket = open_bucket("s3://bucket/x?endpoint=http%3A%2F%2F127.0.99.61%3A9&region=us-east-1")
    with pytest.raises(OSError, match=r"^[^\n]*$") as away:
        bucket.whole_bytes("s", "r", sha(b""))
    assert "Debug" not in str(away.value)


def test_many_that_finish_at_once_make_one_whole(folder: BlobFolder) -> None:
    data = random_bytes(400_000, 25)
    put(folder, data, *((begin, begin + 50_000) for begin in range(0, 400_000, 50_000)))
    with ThreadPoolExecutor(8) as pool:
        fits = list(pool.map(lambda _: folder.finish("s", "r", sha(data), 400_000), range(8)))
    assert fits == [True] * 8
    assert read(folder, sha(data)) == data


def test_what_a_crash_left_unfinished_is_no_piece_and_goes_with_the_upload(
    folder: BlobFolder, tmp_path: Path
) -> None:
    data = random_bytes(9000, 26)
    put(folder, data, (0, 5000))
    (pieces,) = (tmp_path / "uploads" / "s").iterdir()
    (pieces / ".000000000005000-000000000009000.ab.tmp").write_bytes(data[5000:])
    (pieces / "joined").write_bytes(data[:7000])
    assert folder.held("s", "r", sha(data), 9000) == [(0, 5000)]
    put(folder, data, (5000, 9000))
    assert folder.finish("s", "r", sha(data), 9000)
    assert read(folder, sha(data)) == data
    assert list((tmp_path / "uploads" / "s").iterdir()) == []
