"""Work that waits in the store. A failure means work that is forgotten, or done by all at once."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudsync.service import checking, work
from cloudsync.service.centre import Centre
from cloudsync.store import audit, jobs
from tests.helpers.centre_box import CentreProcess, opened
from tests.helpers.centre_contents import altered_file, fill
from tests.helpers.centre_stores import DATABASES, prepared


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        yield found


def waits(centre: Centre) -> dict[str, int]:
    with centre.database.read() as connection:
        return jobs.waiting(connection)


def wrong(centre: Centre) -> list[str]:
    with centre.database.read() as connection:
        return sorted(checking.wrong_ones(audit.newest(connection, 100)))


def later(centre: Centre, seconds: float) -> Centre:
    return replace(
        centre, clock=lambda: Centre.__dataclass_fields__["clock"].default() + timedelta(seconds=seconds)
    )


def test_many_workers_do_each_piece_of_work_once(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def handle(_centre: Centre, job: jobs.Job) -> None:
        with lock:
            seen[job.subject] += 1

    monkeypatch.setitem(work.HANDLERS, "count", handle)
    with centre.database.write() as connection:
        assert jobs.add(connection, "count", "s", map(str, range(60)), 0.0) == 60
        assert jobs.add(connection, "count", "s", map(str, range(60)), 0.0) == 0

    def worker(name: int) -> None:
        idle = 0
        while idle < 3:  # another may hold the only one that is left to see
            idle = 0 if work.step(centre, f"w{name}") else idle + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    assert seen == dict.fromkeys(map(str, range(60)), 1)
    assert waits(centre) == {}


def test_work_of_a_dead_worker_is_taken_up_and_its_late_word_ignored(centre: Centre) -> None:
    with centre.database.write() as connection:
        jobs.add(connection, "count", "s", ["a"], 0.0)
        dead = jobs.claim(connection, "dead", 100.0, 200.0)
    assert dead is not None
    with centre.database.write() as connection:
        assert jobs.claim(connection, "next", 199.0, 300.0) is None
        taken = jobs.claim(connection, "next", 200.0, 300.0)
    assert taken is not None
    assert (taken.subject, taken.attempts) == ("a", 2)
    with centre.database.write() as connection:
        jobs.done(connection, dead)
    assert waits(centre) == {"count": 1}
    with centre.database.write() as connection:
        jobs.done(connection, taken)
    assert waits(centre) == {}


def test_work_that_is_asked_for_again_and_again_is_done_now_and_then_and_never_put_off(
    centre: Centre,
) -> None:
    def renewed_at(now_s: float) -> None:
        with centre.database.write() as connection:
            jobs.renew(connection, "count", "s", "a", now_s, pause_s=10.0)

    def claimed_at(now_s: float) -> bool:
        with centre.database.write() as connection:
            return jobs.claim(connection, "w", now_s, now_s + 900.0) is not None

    renewed_at(0.0)
    renewed_at(2.0)
    assert claimed_at(2.0), "nobody was at it"
    renewed_at(3.0)
    renewed_at(9.0)
    assert not claimed_at(12.9)
    renewed_at(13.5)
    assert claimed_at(13.5), "due since 13"


def test_work_that_fails_is_tried_again_later(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def handle(_centre: Centre, job: jobs.Job) -> None:
        tries.append(job.attempts)
        if len(tries) < 3:
            raise OSError("away")

    monkeypatch.setitem(work.HANDLERS, "count", handle)
    with centre.database.write() as connection:
        jobs.add(connection, "count", "s", ["a"], 0.0)
    for seconds, busy in ((0, True), (0, False), (61, True), (100, False), (61 + 121, True), (9000, False)):
        assert work.step(later(centre, seconds), "w") is busy, seconds
    assert tries == [1, 2, 3]
    assert waits(centre) == {}


def test_recordings_that_went_wrong_are_found_by_a_running_server(tmp_path: Path) -> None:
    server = CentreProcess(tmp_path / "data")
    with server.store() as centre:
        fill(centre, 10, 3)
        altered_file(tmp_path / "data/recordings/tokyo-1/rec-1.age")
        (tmp_path / "data/recordings/tokyo-1/rec-2.age").unlink()
        assert (checking.ask(centre), checking.ask(centre)) == (3, 0)
        server.start()
        deadline_s = time.monotonic() + 20
        while waits(centre) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert (waits(centre), wrong(centre)) == ({}, ["rec-1", "rec-2"])
    server.stop()


@pytest.mark.parametrize("left", ["put off", "held by a dead one"])
def test_work_that_a_clock_ten_years_ahead_put_off_is_done_when_the_clock_is_right_again(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    seen: list[str] = []
    ahead = later(centre, 3650 * 86_400)

    def fail(_centre: Centre, _job: jobs.Job) -> None:
        raise OSError("not now")

    monkeypatch.setitem(work.HANDLERS, "once", fail)
    now_s = ahead.clock().timestamp()
    with centre.database.write() as connection:
        jobs.add(connection, "once", "s", ["x"], now_s - 1)
    if left == "put off":
        assert work.step(ahead, "w")
    else:
        with centre.database.write() as connection:
            assert jobs.claim(connection, "dead", now_s, now_s + work.CLAIM_S) is not None
    assert not work.step(ahead, "w")
    monkeypatch.setitem(work.HANDLERS, "once", lambda _centre, job: seen.append(job.subject))
    assert work.step(centre, "w")
    assert seen == ["x"]
    assert not work.step(centre, "w")
