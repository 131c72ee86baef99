"""The store and its files by themselves. A failure means data that a power cut or an upgrade takes away."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import text

from appliance.errors import KyusaiError
from cloudsync import durable
from cloudsync.refusals import Refused
from cloudsync.sealing import identities, make_identity, open_recording
from cloudsync.service.centre import open_centre
from cloudsync.service.listening import fetch
from cloudsync.service.recordings import Part
from cloudsync.service.sites import add_site
from cloudsync.store import migrations
from cloudsync.store.database import open_sqlite
from cloudsync.tls import SERVER_LIFE, ServerTls
from tests.helpers.centre_box import opened


def test_store_survives_power_cuts_by_its_settings(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "s.sqlite")
    with database.read() as connection:
        found = {p: connection.execute(text(f"PRAGMA {p}")).scalar() for p in ("journal_mode", "synchronous")}
    database.close()
    assert found == {"journal_mode": "wal", "synchronous": 2}


def test_failed_schema_step_leaves_neither_tables_nor_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(connection: object) -> None:
        connection.execute(text("CREATE TABLE half (x)"))  # type: ignore[attr-defined]
        raise RuntimeError("power cut")

    open_sqlite(tmp_path / "s.sqlite").close()
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*migrations.STEPS, ("second", breaks)))
        with pytest.raises(RuntimeError):
            open_sqlite(tmp_path / "s.sqlite")
    database = open_sqlite(tmp_path / "s.sqlite")
    with database.read() as connection:
        assert migrations.current_step(connection) == 1
        assert connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name='half'")).scalar() == 0
    database.close()


def test_older_release_refuses_a_newer_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_sqlite(tmp_path / "s.sqlite").close()
    monkeypatch.setattr(migrations, "STEPS", ())
    with pytest.raises(KyusaiError) as caught:
        open_sqlite(tmp_path / "s.sqlite")
    assert caught.value.key == "store.too_new"


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "s.sqlite")
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(text("INSERT INTO tenant VALUES ('t', 'now')"))
        raise RuntimeError("crash")
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM tenant")).scalar() == 0
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
        with centre.blobs.open_part("s", "r") as part:
            part.resume(0)
            part.write(b"test")
            part.sync()
        assert centre.blobs.finish("s", "r", sha256, 4)
        assert centre.blobs.finish("s", "r", sha256, 4)
        assert centre.blobs.whole_path("s", "r").read_bytes() == b"test"
        assert centre.blobs.part_bytes("s", "r") == 4


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
        centre.database.close()
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
    own = make_identity(tmp_path / "elsewhere")
    with opened(tmp_path / "data") as centre:
        assert add_site(centre, "a-1", "", "acme", [own], "admin:test") == (own,)
        assert identities(centre.layout.tenant_keys_dir("acme")) == []
        with pytest.raises(KyusaiError) as caught:
            add_site(centre, "a-2", "", "acme", ["age1nonsense"], "admin:test")
        assert caught.value.key == "site.bad_recipient"
        with pytest.raises(KyusaiError) as caught:
            fetch(centre, "none", "", tmp_path / "x", "admin:test")
    assert caught.value.key == "recording.unknown"


def test_recording_opens_only_with_the_right_key_and_unaltered(tmp_path: Path) -> None:
    import pyrage

    recipient = make_identity(tmp_path / "keys")
    cipher = tmp_path / "r.age"
    cipher.write_bytes(pyrage.encrypt(b"audio" * 50_000, [pyrage.x25519.Recipient.from_str(recipient)]))
    keys = identities(tmp_path / "keys")
    digest = open_recording(cipher, tmp_path / "r.opus", keys)
    assert (tmp_path / "r.opus").read_bytes() == b"audio" * 50_000
    assert len(digest) == 64
    damaged = bytearray(cipher.read_bytes())
    damaged[-1] ^= 1
    cipher.write_bytes(damaged)
    for attempt in (keys, [], [pyrage.x25519.Identity.generate()]):
        with pytest.raises(KyusaiError) as caught:
            open_recording(cipher, tmp_path / "second.opus", attempt)
        assert caught.value.key == "recording.sealed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "r.age", "r.opus"]
