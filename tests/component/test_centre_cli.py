"""The commands as an administrator types them, without a server. A failure is a command that does not do its job."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pyrage
import pytest

from cloudsync import wire
from cloudsync.service import recordings as recording_rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.records import take
from tests.helpers.centre_box import ROOT, chain, environment, opened

SAMPLE = ROOT / "tests/data/site.json"
SITE = json.loads(SAMPLE.read_text("utf-8"))["site"]


def kyusai(*arguments: str, data: Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command; text in and out."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "kyusai_cli.py"), *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=environment(KYUSAI_CENTRE_DATA=str(data), **env),
        timeout=180,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("centre") / "data"
    done = kyusai(
        *("centre", "site", "add", SITE["id"], "--name", "東京", "--tenant", SITE["tenant"]),
        "--key-at-centre",
        data=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_site_is_listed_for_people_and_programs(data: Path) -> None:
    table = kyusai("sites", data=data, KYUSAI_LANG="ja")
    assert "拠点" in table.stdout
    assert "東京" in table.stdout
    listed = json.loads(kyusai("sites", "--json", data=data).stdout)
    assert [(site["id"], site["name"], site["records"], site["boxes"]) for site in listed] == [
        (SITE["id"], "東京", 0, [])
    ]


def test_code_is_the_only_line_on_standard_output(data: Path) -> None:
    done = kyusai("centre", "site", "code", SITE["id"], "--hours", "2", data=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert len(wire.parse_enrolment(done.stdout).code) == wire.ENROLMENT_CODE_CHARACTERS


def test_document_is_published_from_a_file_and_from_standard_input(data: Path) -> None:
    first = json.loads(kyusai("centre", "site", "publish", str(SAMPLE), "--json", data=data).stdout)
    second = kyusai("centre", "site", "publish", "-", data=data, stdin=SAMPLE.read_bytes())
    assert first["version"] + 1 == json.loads(kyusai("sites", "--json", data=data).stdout)[0]["version"]
    assert f"version {first['version'] + 1} published" in second.stdout


def test_recordings_that_the_tenant_could_not_hear_are_warned_of_in_both_languages(data: Path) -> None:
    stranger = json.loads(SAMPLE.read_text("utf-8"))["recording"]["recipients"][0]
    for lang, words in (
        ("en", "none of these is a key of the tenant acme"),
        ("ja", "テナント acme の鍵ではありません"),
    ):
        for form in ((), ("--json",)):
            said = kyusai("centre", "site", "publish", str(SAMPLE), *form, data=data, KYUSAI_LANG=lang)
            assert said.returncode == 0
            assert all(word in said.stderr for word in ("$.recording.recipients", stranger, words)), (
                said.stderr
            )
    own = json.loads(SAMPLE.read_text("utf-8")) | {"recording": {}}
    quiet = kyusai("centre", "site", "publish", "-", data=data, stdin=json.dumps(own).encode())
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_faults_of_a_document_are_all_shown_with_their_paths(data: Path) -> None:
    document = json.loads(SAMPLE.read_text("utf-8"))
    document["call_control"] = "moon"
    document["extensions"][0]["no_answer_s"] = -5
    done = kyusai("centre", "site", "publish", "-", data=data, stdin=json.dumps(document).encode())
    assert done.returncode == 1
    assert "$.call_control" in done.stderr
    assert "$.extensions[0].no_answer_s" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("centre", "site", "code", "nowhere"), "nowhere"),
        (("centre", "site", "code", SITE["id"], "--hours", "100000"), "744"),
        (("centre", "revoke", "nobody"), "nobody"),
        (("centre", "site", "add", "../x", "--tenant", "a"), "../x"),
        (("centre", "site", "add", SITE["id"], "--tenant", "a"), SITE["id"]),
        (("centre", "site", "publish", "/nonexistent"), "/nonexistent"),
        (("recordings", "fetch", "rec-0", "-o", "/nonexistent/file"), "rec-0"),
        (("centre", "--listen", "localhost:1"), "localhost:1"),
        (("centre", "--metrics-from", "everybody"), "everybody"),
        (("records", "--since", "yesterday"), "yesterday"),
        (("records", "--zone", "Mars/Base"), "Mars/Base"),
        (("records", "--kind", "calls"), "calls"),
        (("records", "--site", "tokyo-9"), "tokyo-9"),
        (("records", "--site", "tokyo-9", "--refused"), "tokyo-9"),
        (("recordings", "--site", "tokyo-9"), "tokyo-9"),
        (("series", "tokyo-9"), "tokyo-9"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistake_is_one_clear_line_and_exit_code_1(data: Path, arguments: tuple[str, ...], said: str) -> None:
    for lang in ("en", "ja"):
        done = kyusai(*arguments, data=data, KYUSAI_LANG=lang)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_reading_a_folder_without_a_centre_does_not_make_one(tmp_path: Path) -> None:
    done = kyusai("sites", data=tmp_path / "nothing")
    assert done.returncode == 1
    assert not (tmp_path / "nothing").exists()


def test_data_folder_named_before_the_command_holds(data: Path, tmp_path: Path) -> None:
    done = kyusai("centre", "--data", str(data), "site", "list", "--json", data=tmp_path / "nothing")
    assert [site["id"] for site in json.loads(done.stdout)] == [SITE["id"]]


def test_records_and_recordings_are_listed_and_opened(data: Path, tmp_path: Path) -> None:
    who = BoxIdentity(SITE["id"], "box-1")
    audio = b"OggS" * 1000
    with opened(data) as centre:
        raw = [asdict(record) for record in chain(3)]
        take(centre, who, wire.Batch(who.site_id, who.box_id, [*raw, {"id": "odd"}]))
        with centre.database.read() as connection:
            from cloudsync.store import sites

            recipients = sites.recipients(connection, SITE["tenant"])
        cipher = pyrage.encrypt(audio, [pyrage.x25519.Recipient.from_str(r) for r in recipients])
        for number, sha256 in ((1, hashlib.sha256(audio).hexdigest()), (2, "0" * 64)):
            offer = wire.RecordingOffer(
                id=f"rec-{number}",
                call="call-1",
                sha256=sha256,
                cipher_sha256=hashlib.sha256(cipher).hexdigest(),
                bytes=len(cipher),
                started_utc="2026-11-21T00:00:00.000Z",
                duration_s=4.0,
                format="opus",
            )
            recording_rules.offer(centre, who, offer)
            part, known = recording_rules.open_part(centre, who, offer.id, 0)
            with part:
                recording_rules.append(part, known, cipher)
                recording_rules.acknowledge(centre, part, known)
                recording_rules.complete(centre, known)

    listed = json.loads(kyusai("records", "--json", "--site", SITE["id"], "--limit", "2", data=data).stdout)
    assert [row["seq"] for row in listed] == [3, 2]
    assert listed[0]["body"]["氏名"] == "佐藤"
    table = kyusai("records", data=data).stdout.splitlines()
    assert sum(line.count(" 201 ") and line.count(" 202 ") for line in table) == 3
    found = json.loads(kyusai("records", "--json", "--call", "r-2", "--number", "202", data=data).stdout)
    assert [row["id"] for row in found] == ["r-2"]
    assert json.loads(kyusai("records", "--json", "--number", "299", data=data).stdout) == []
    assert json.loads(kyusai("records", "--json", "--since", "2026-11-22", data=data).stdout) == []
    refused = json.loads(kyusai("records", "--refused", "--json", data=data).stdout)
    assert [(row["id"], row["reason"], row["here"]) for row in refused] == [("odd", "malformed", False)]
    assert "未受領" in kyusai("records", "--refused", data=data, KYUSAI_LANG="ja").stdout
    recordings = json.loads(kyusai("recordings", "--json", data=data).stdout)
    assert [(row["id"], row["state"], row["receipt"]["id"]) for row in recordings] == [
        ("rec-1", "stored", "rec-1"),
        ("rec-2", "stored", "rec-2"),
    ]

    target = tmp_path / "call.opus"
    assert kyusai("recordings", "fetch", "rec-1", "-o", str(target), data=data).returncode == 0
    assert target.read_bytes() == audio
    altered = kyusai("recordings", "fetch", "rec-2", "-o", str(tmp_path / "second.opus"), data=data)
    assert altered.returncode == 1
    assert "hash" in altered.stderr
    trail = json.loads(kyusai("centre", "audit", "--json", data=data).stdout)
    assert [(row["action"], row["subject"]) for row in trail[:2]] == [
        ("recording.fetch", "rec-2"),
        ("recording.fetch", "rec-1"),
    ]


def test_help_needs_none_of_the_centres_packages(data: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('fastapi', 'uvicorn', 'sqlalchemy', 'pyrage', 'structlog'): sys.modules[name] = None\n"
        "import kyusai_cli; kyusai_cli.main()\n"
    )
    for arguments, code, said in ((["--help"], 0, "centre"), (["sites"], 1, "kyusai[centre]")):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            cwd=ROOT,
            env=environment(KYUSAI_CENTRE_DATA=str(data)),
            timeout=180,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr


def test_store_is_backed_up_restored_and_asked_for_its_months(data: Path, tmp_path: Path) -> None:
    done = kyusai("centre", "backup", str(tmp_path / "backup"), data=data)
    assert (done.returncode, str(tmp_path / "backup") in done.stdout) == (0, True), done.stderr
    done = kyusai("centre", "restore", str(tmp_path / "backup"), data=tmp_path / "again")
    assert done.returncode == 0, done.stderr
    sites = [json.loads(kyusai("sites", "--json", data=one).stdout) for one in (data, tmp_path / "again")]
    assert sites[0] == sites[1]
    assert "0" in kyusai("centre", "check", "--site", "none", data=data).stdout
    months = json.loads(kyusai("centre", "months", "--json", data=data).stdout)
    assert all(set(one) >= {"month", "records", "exported_utc", "dropped_utc"} for one in months)
    for words in (["move"], ["months", "drop", "2020-01"], ["restore", str(tmp_path / "nothing")]):
        done = kyusai("centre", *words, data=data)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 2), done.stderr


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('[store]\ndatabase = "postgresql://k:geheim@127.0.99.77:1/x"', "127.0.99.77"),
        ('[store]\ndatabase = "mysql://x"', "postgresql://"),
        ('[store]\nrecordings = "here"', "absolute path"),
        ("[shop]", "[store]"),
        ("=", "centre.toml"),
    ],
    ids=["database away", "another database", "no place", "another table", "no toml"],
)
def test_store_that_is_not_to_be_had_is_said_in_a_line(tmp_path: Path, said: str, expected: str) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/centre.toml").write_text(said)
    done = kyusai("centre", "serve", data=tmp_path / "data")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 2), done.stderr
    assert expected in done.stderr
    assert "geheim" not in done.stderr
