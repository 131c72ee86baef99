"""Two processes of the centre on one PostgreSQL. A failure means that boxes cannot be spread over machines."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cloudsync import wire
from cloudsync.service.configuration import publish
from cloudsync.store import records as store
from tests.helpers.centre_box import ROOT, Box, CentreProcess, chain, fetch_ca, prepare_site


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CentreProcess, CentreProcess]]:
    """The second has its own folder, with keys and settings as the manual says to copy them."""
    folder = tmp_path_factory.mktemp("centre")
    first = CentreProcess(folder / "first", "postgresql").start()
    for name in ("keys", "tls"):
        shutil.copytree(first.data_dir / name, folder / "second" / name)
    (folder / "second" / "tls" / "server.pem").unlink(missing_ok=True)
    shutil.copy(first.data_dir / "centre.toml", folder / "second")
    second = CentreProcess(folder / "second").start()
    yield first, second
    first.stop()
    second.stop()


def beside(box: Box, other: CentreProcess) -> Box:
    """The same box, with the same token, at the other process."""
    twin = Box(other.url, box.box_id, fetch_ca(other.url))
    twin.site_id, twin.key = box.site_id, box.key
    twin.http.headers["Authorization"] = box.http.headers["Authorization"]
    return twin


def test_token_of_one_process_opens_the_other(pair: tuple[CentreProcess, CentreProcess]) -> None:
    with pair[0].store() as opened:
        text = prepare_site(opened, "a-1")
    box = Box.enrolled(pair[0].url, text, "a-1-a")
    twin = beside(box, pair[1])
    assert twin.http.get(wire.PATH_ENROLMENT).json()["box_id"] == box.box_id
    nonce = box.http.post(wire.PATH_TOKEN_CHALLENGE, json={"box_id": box.box_id}).json()["nonce"]
    assert twin.ask_token(nonce=nonce).status_code == 200


def test_guesses_at_both_processes_count_together(pair: tuple[CentreProcess, CentreProcess]) -> None:
    boxes = [Box(centre.url, "guess-1", fetch_ca(centre.url)) for centre in pair]
    statuses = [boxes[number % 2].enrol(f"{number:016d}").status_code for number in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    with pair[0].store() as opened, opened.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempt")


def test_same_records_at_both_processes_are_stored_once(pair: tuple[CentreProcess, CentreProcess]) -> None:
    with pair[0].store() as opened:
        text = prepare_site(opened, "b-1")
    box = Box.enrolled(pair[0].url, text, "b-1-a")
    twin = beside(box, pair[1])
    records = chain(600)
    batches = [records[begin : begin + 60] for begin in range(0, 600, 30)]
    with ThreadPoolExecutor(4) as pool:
        here = pool.map(box.send, batches)
        there = pool.map(twin.send, reversed(batches))
        words = [str(result.status) for results in (*here, *there) for result in results]
    assert (words.count("stored"), words.count("refused")) == (600, 0)
    with pair[1].store() as opened, opened.database.read() as connection:
        assert store.ledger(connection, "b-1") == store.Ledger(600, 600, records[-1].hash)


def test_publish_wakes_a_poll_held_by_another_process(pair: tuple[CentreProcess, CentreProcess]) -> None:
    document = (ROOT / "tests/data/site.json").read_text("utf-8").replace('"tokyo-1"', '"c-1"')
    with pair[0].store() as opened:
        text = prepare_site(opened, "c-1")
        twin = beside(Box.enrolled(pair[0].url, text, "c-1-a"), pair[1])
        answers: list[httpx.Response] = []
        poll = threading.Thread(
            target=lambda: answers.append(twin.http.get(wire.PATH_CONFIG, params={"wait_s": 20}, timeout=30))
        )
        poll.start()
        publish(opened, document, "admin:test")
    poll.join(10)
    assert [answer.status_code for answer in answers] == [200]


def test_database_that_is_away_is_said_and_found_again(tmp_path: Path) -> None:
    from tests.lab.postgres import PostgresServer

    server = PostgresServer().start()
    try:
        folder = tmp_path / "data"
        folder.mkdir(mode=0o700)
        (folder / "centre.toml").write_text(f'[store]\ndatabase = "{server.create_database("own")}"\n')
        centre = CentreProcess(folder)
        with centre.store() as opened:
            text = prepare_site(opened)
        box = Box.enrolled(centre.start().url, text)
        records = chain(20)
        box.send(records[:10])
        server.kill()
        answer = box.post_batch(wire.encode_batch(box.site_id, box.box_id, records[10:]))
        assert (answer.status_code, answer.json()["key"]) == (503, wire.ErrorKey.UNAVAILABLE)
        server.start()
        statuses = []
        for _ in range(20):
            statuses.append(
                box.post_batch(wire.encode_batch(box.site_id, box.box_id, records[10:])).status_code
            )
            if statuses[-1] == 200:
                break
        assert statuses[-1] == 200
        with centre.store() as opened, opened.database.read() as connection:
            assert store.ledger(connection, box.site_id) == store.Ledger(20, 20, records[-1].hash)
        centre.stop()
    finally:
        server.stop()
