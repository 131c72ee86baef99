"""The box's commands as a stranger types them: as root, as somebody without rights, with a certificate that is not there.

An operator who enrols or renders as root must not leave files behind that the daemons' user cannot read.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user are made")

SETTINGS = """
[box]
id = "tokyo-1-a"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "127.0.0.1"
wan = "127.0.0.2"
"""


def kyusai(*words: str, lang: str = "en", columns: str = "200") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kyusai_cli", *words],
        cwd=ROOT,
        env=os.environ | {"KYUSAI_LANG": lang, "COLUMNS": columns},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Folders of a user other than root, below one that he may enter; the name is short, as a socket's has to be."""
    with tempfile.TemporaryDirectory(prefix="kyu-") as made:
        above = Path(made)
        above.chmod(0o755)
        (above / "box.toml").write_text(SETTINGS.format(folder=above))
        for name in ("state", "run"):
            (above / name).mkdir()
            if os.geteuid() == 0:
                os.chown(above / name, NOBODY, NOBODY)
        yield above


@as_root
def test_rendering_as_root_leaves_files_that_the_daemons_user_can_read(folder: Path) -> None:
    done = kyusai("render", "--box", str(folder / "box.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    made = [path for path in (folder / "state").rglob("*") if path.is_file()]
    assert len(made) >= 6
    assert {path.stat().st_uid for path in made} == {NOBODY}


def test_a_certificate_that_cannot_be_read_stops_rendering_before_anything_is_written(folder: Path) -> None:
    settings = folder / "box.toml"
    settings.write_text(
        settings.read_text() + 'tls_certificate = "/nowhere/cert.pem"\ntls_key = "/nowhere/key.pem"\n'
    )
    done = kyusai("render", "--box", str(settings))
    assert done.returncode == 1
    assert "/nowhere/cert.pem, which box.toml names, cannot be read by" in done.stderr
    assert not list((folder / "state").iterdir())


def test_an_agent_that_cannot_listen_says_so_in_two_lines(folder: Path) -> None:
    settings = folder / "box.toml"
    settings.write_text(settings.read_text() + '[agent]\nlisten = "192.0.2.1:9469"\n')
    done = kyusai("agent", "--box", str(settings))
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert [line[:22] for line in told] == ["the agent cannot start", "Look at [agent] listen"]


@as_root
def test_a_user_without_rights_is_told_whom_to_be(folder: Path) -> None:
    (folder / "run").chmod(0o700)
    code = (
        "import os, sys; os.setgroups([]); os.setgid(65533); os.setuid(65533); "
        "from pathlib import Path; from agent.watch import ask; from appliance.errors import KyusaiError\n"
        "try: ask(Path(sys.argv[1]))\n"
        "except KyusaiError as error: print(error.key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "run" / "agent.sock")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "agent.forbidden", done.stderr


def test_faults_of_box_toml_stand_with_their_place_and_what_to_do(folder: Path) -> None:
    (folder / "box.toml").write_text('[box]\nid = "Tokyo 1"\n[sip]\nlan = "box.example"\n')
    done = kyusai("render", "--box", str(folder / "box.toml"))
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].endswith("box.toml has 2 problem(s)")
    assert [line.split(":")[0] for line in lines[1::2]] == ["  box.id", "  sip.lan"]
    assert all(line.startswith("      ") for line in lines[2::2])


def test_help_is_in_the_users_language() -> None:
    assert "クラウドへの回線が切れている間も" in kyusai("--help", lang="ja").stdout
    assert "keeps a site's telephones working" in kyusai("--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("agent",),
        ("enrol",),
        ("centre",),
        ("centre", "site"),
        ("centre", "site", "add"),
        ("records",),
        ("recordings",),
        ("recordings", "fetch"),
    ],
    ids=" ".join,
)
def test_japanese_help_is_not_cut_off_on_a_narrow_terminal(words: tuple[str, ...]) -> None:
    done = kyusai(*words, "--help", lang="ja", columns="80")
    assert (done.returncode, [line for line in done.stdout.splitlines() if "…" in line]) == (0, [])
