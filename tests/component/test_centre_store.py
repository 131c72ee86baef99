"""The store and its files by themselves. A failure means data that a power cut or an upgrade takes away."""

import io
import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, UniqueConstraint, inspect, text

from appliance.errors import KyusaiError
from cloudsync import durable, merge
from cloudsync.blobs import Part
from cloudsync.refusals import Refused
from cloudsync.sealing import into_folder, kept_identities, make_identity, open_recording
from cloudsync.service.centre import open_centre
from cloudsync.service.enrolment import enrol
from cloudsync.service.listening import fetch
from cloudsync.service.sites import add_site
from cloudsync.store import attempts, configs, migrations, records, sites, tables
from cloudsync.tls import SERVER_LIFE, ServerTls
from cloudsync.wire import GENESIS_HASH, Envelope, canonical_json, parse_enrolment, to_base64
from tests.helpers.centre_box import chain, opened, prepare_site
from tests.helpers.centre_stores import DATABASES, Store, prepared


@pytest.fixture(params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(request.param, tmp_path)


def test_store_survives_power_cuts_by_its_settings(store: Store) -> None:
    database = store.open()
    expected = {"sqlite": {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2}}
    wanted = expected.get(database.dialect, {"SHOW synchronous_commit": "on"})
    with database.read() as connection:
        assert {line: connection.execute(text(line)).scalar() for line in wanted} == wanted
    database.close()


def test_failed_schema_step_leaves_neither_tables_nor_record(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (x INTEGER)"))
        raise RuntimeError("power cut")

    store.open().close()
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*migrations.STEPS, ("next", breaks)))
        with pytest.raises(RuntimeError):
            store.open()
    database = store.open()
    with database.read() as connection:
        assert migrations.current_step(connection) == len(migrations.STEPS)
        assert not inspect(connection).has_table("half")
    database.close()


def test_older_release_refuses_a_newer_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.open().close()
    monkeypatch.setattr(migrations, "STEPS", ())
    with pytest.raises(KyusaiError) as caught:
        store.open()
    assert caught.value.key == "store.too_new"


def test_schema_steps_lead_to_the_tables_that_the_statements_use(store: Store) -> None:
    database = store.open()
    with database.read() as connection:
        seen = inspect(connection)
        for table in tables.metadata.sorted_tables:
            columns = {str(c["name"]): c["nullable"] for c in seen.get_columns(table.name)}
            assert columns == {c.name: c.nullable for c in table.columns}, table.name
            key = seen.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [c.name for c in table.primary_key], table.name
            unique = {tuple(u["column_names"]) for u in seen.get_unique_constraints(table.name)}
            assert unique == {
                tuple(c.name for c in constraint.columns)
                for constraint in table.constraints
                if isinstance(constraint, UniqueConstraint)
            }, table.name
            indexes = {tuple(i["column_names"]) for i in seen.get_indexes(table.name) if not i.get("unique")}
            assert indexes == {tuple(c.name for c in index.columns) for index in table.indexes}, table.name
        assert {*seen.get_table_names()} >= {*tables.metadata.tables, "schema_step"}
    database.close()


def test_records_of_an_older_release_are_all_there_after_the_upgrade(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", migrations.STEPS[:1])
        database = store.open()
    sent = chain(5)
    with database.write() as connection:
        connection.execute(text("INSERT INTO tenant VALUES ('acme', 'now')"))
        connection.execute(
            text("INSERT INTO site VALUES ('a', 'acme', 'A', 'now'), ('b', 'acme', 'B', 'now')")
        )
        for one in (*sent[:2], sent[4]):
            values = {
                "site_id": "a",
                "box_id": "a-1",
                "received_utc": f"2026-1{one.seq % 2}-01T00:00:00.000Z",
                **asdict(one),
                "body": canonical_json(one.body),
            }
            columns = ", ".join(values)
            places = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO record ({columns}) VALUES ({places})"), values)  # noqa: S608
    database.close()
    database = store.open()
    with database.write() as connection:
        before = records.locked_ledger(connection, "a")
        assert before == records.Ledger(3, 5, sent[4].hash)
        rows = records.newest(connection, limit=10)
        missing = merge.parse_records([asdict(one) for one in sent[2:4]])
        assert records.add(connection, "a", "a-1", missing, "2026-11-30T00:00:00.000Z")  # type: ignore[arg-type]
        assert not records.add(connection, "a", "a-1", missing, "2026-11-30T00:00:00.000Z")  # type: ignore[arg-type]
        connection.rollback()
    assert {row["id"]: (row["hash"], json.loads(str(row["body"]))) for row in rows} == {
        one.id: (one.hash, one.body) for one in (*sent[:2], sent[4])
    }
    with database.read() as connection:
        assert records.ledger(connection, "b") == records.Ledger(0, 0, GENESIS_HASH)
    database.close()


def test_two_processes_that_start_at_once_make_the_schema_once(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened_ones = list(pool.map(lambda _: store.open(), range(4)))
    with opened_ones[0].read() as connection:
        assert migrations.current_step(connection) == len(migrations.STEPS)
    for database in opened_ones:
        database.close()


def test_failed_write_leaves_nothing(store: Store) -> None:
    database = store.open()
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(text("INSERT INTO tenant VALUES ('t', 'now')"))
        raise RuntimeError("crash")
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM tenant")).scalar() == 0
    database.close()


def test_publishes_become_visible_in_the_order_of_their_numbers(store: Store) -> None:
    """A watcher that has seen number 2 never looks for number 1 again, and its box would wait in vain."""
    database = store.open()
    envelope = Envelope("{}", 1, "key", "signature")
    with database.write() as connection:
        sites.add_tenant(connection, "acme", "now")
        for name in ("a", "b"):
            sites.add(connection, sites.Site(name, "acme", name, "now"))
    begun, finish = threading.Event(), threading.Event()

    def publish(site: str, slow: bool) -> None:
        with database.write() as connection:
            configs.lock(connection)
            configs.add(connection, site, envelope, "now")
            if slow:
                begun.set()
                finish.wait(10)

    def seen() -> set[str]:
        with database.read() as connection:
            return set(configs.versions_since(connection, 0))

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(publish, "a", True)
        assert begun.wait(10)
        quick = pool.submit(publish, "b", False)
        with pytest.raises(TimeoutError):
            quick.result(0.3)
        assert seen() == set()
        finish.set()
        slow.result(10)
        quick.result(10)
    assert seen() == {"a", "b"}
    database.close()


def test_one_code_enrols_one_box_however_many_ask_at_once(tmp_path: Path) -> None:
    with opened(prepared(tmp_path / "data", "postgresql")) as centre:
        code = parse_enrolment(prepare_site(centre)).code
        barrier = threading.Barrier(6)

        def enrol_box(number: int) -> str:
            key = to_base64(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
            barrier.wait()
            try:
                return enrol(centre, code, f"box-{number}", key, {}, "192.0.2.1").box_id
            except Refused as refused:
                return refused.key

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(enrol_box, range(6)))
        assert sorted(answers)[1:] == ["enrol.code_used"] * 5


def test_failures_of_all_processes_count_together(store: Store) -> None:
    first, second = store.open(), store.open()

    def fail(number: int) -> None:
        with (first, second)[number % 2].write() as connection:
            known = attempts.locked_failures(connection, "192.0.2.1", float(number))
            attempts.put(connection, "192.0.2.1", (*known, float(number)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(8)))
    with first.read() as connection:
        assert sorted(attempts.failures(connection, "192.0.2.1")) == [float(number) for number in range(8)]
    for database in (first, second):
        database.close()


def test_many_sources_do_not_fill_the_store(store: Store) -> None:
    database = store.open()
    for number in range(5):
        with database.write() as connection:
            attempts.locked_failures(connection, f"192.0.2.{number}", float(number))
            attempts.put(connection, f"192.0.2.{number}", (float(number),))
            attempts.forget(connection, 1.0, 3)
    with database.read() as connection:
        left = [n for n in range(5) if attempts.failures(connection, f"192.0.2.{n}")]
    assert left == [2, 3, 4]
    database.close()


def test_part_is_cut_back_to_what_was_acknowledged(tmp_path: Path) -> None:
    with Part(tmp_path / "x.part") as part:
        part.resume(0)
        part.write(b"acknowledged")
        assert part.sync() == 12
        part.write(b" and lost")
    with Part(tmp_path / "x.part") as part:
        assert part.resume(12) == 12
        part.write(b"!")
        part.sync()
    assert (tmp_path / "x.part").read_bytes() == b"acknowledged!"
    with Part(tmp_path / "x.part") as part:
        assert part.resume(100) == 13  # the disk lost bytes: say so, do not make a hole


def test_two_writers_cannot_hold_one_part(tmp_path: Path) -> None:
    with Part(tmp_path / "x.part"), pytest.raises(Refused) as caught:
        Part(tmp_path / "x.part")
    assert caught.value.status == 423


def test_finish_may_be_repeated_after_a_crash(tmp_path: Path) -> None:
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    with opened(tmp_path / "data") as centre:
        with centre.blobs.open_part("s", "r", sha256) as part:
            part.resume(0)
            part.write(b"test")
            part.sync()
        assert centre.blobs.finish("s", "r", sha256, 4)
        assert centre.blobs.finish("s", "r", sha256, 4)
        with centre.blobs.open_whole("s", "r", sha256) as file:
            assert file.read() == b"test"
        assert centre.blobs.part_bytes("s", "r", sha256) == 4


def test_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    assert durable.write_new_file(tmp_path / "k", b"first")
    assert not durable.write_new_file(tmp_path / "k", b"second")
    assert (tmp_path / "k").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_centre_opened_twice_has_the_same_keys_and_ca(tmp_path: Path) -> None:
    seen = set()
    for _ in range(2):
        centre = open_centre(tmp_path / "data")
        seen.add((centre.keys.public(), centre.tls.ca_certificate()))
        centre.close()
    assert len(seen) == 1


def server_certificate(tls: ServerTls) -> x509.Certificate:
    return x509.load_pem_x509_certificates(tls.server_pem.read_bytes())[0]


def names(tls: ServerTls) -> list[str]:
    found = server_certificate(tls).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return sorted(str(name.value) for name in found.value)


def test_server_certificate_is_renewed_for_a_new_address_or_its_age(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    tls = ServerTls(tmp_path)
    ca = tls.ca_certificate()
    assert tls.ensure(["127.0.0.1"], now)
    assert not tls.ensure(["127.0.0.1"], now + SERVER_LIFE / 2)
    assert tls.ensure(["192.0.2.1", "centre.example"], now)
    assert names(tls) == ["127.0.0.1", "192.0.2.1", "centre.example"]
    assert not tls.ensure(["127.0.0.1"], now)
    assert tls.ensure(["127.0.0.1"], now + SERVER_LIFE - timedelta(days=200))
    assert names(tls) == ["127.0.0.1", "192.0.2.1", "centre.example"]
    assert tls.ca_certificate() == ca
    assert server_certificate(tls).not_valid_before_utc.year == 1970


def test_tenants_own_recipient_leaves_the_centre_without_a_key(tmp_path: Path) -> None:
    own = make_identity(into_folder(tmp_path / "elsewhere"))
    with opened(tmp_path / "data") as centre:
        assert add_site(centre, "a-1", "", "acme", [own], "admin:test") == (own,)
        assert kept_identities(centre.layout.tenant_keys_dir("acme")) == []
        with pytest.raises(KyusaiError) as caught:
            add_site(centre, "a-2", "", "acme", ["age1nonsense"], "admin:test")
        assert caught.value.key == "site.bad_recipient"
        with pytest.raises(KyusaiError) as caught:
            fetch(centre, "none", "", tmp_path / "x", "admin:test")
    assert caught.value.key == "recording.unknown"


def test_recording_opens_only_with_the_right_key_and_unaltered(tmp_path: Path) -> None:
    import pyrage

    recipient = make_identity(into_folder(tmp_path / "keys"))
    cipher = tmp_path / "r.age"
    cipher.write_bytes(pyrage.encrypt(b"audio" * 50_000, [pyrage.x25519.Recipient.from_str(recipient)]))
    keys = kept_identities(tmp_path / "keys")
    with cipher.open("rb") as file:
        digest = open_recording(file, "r", tmp_path / "r.opus", keys)
    assert (tmp_path / "r.opus").read_bytes() == b"audio" * 50_000
    assert len(digest) == 64
    damaged = bytearray(cipher.read_bytes())
    damaged[-1] ^= 1
    for attempt in (keys, [], [str(pyrage.x25519.Identity.generate())]):
        with pytest.raises(KyusaiError) as caught:
            open_recording(io.BytesIO(damaged), "r", tmp_path / "second.opus", attempt)
        assert caught.value.key == "recording.sealed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "r.age", "r.opus"]
