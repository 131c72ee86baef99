"""Layout: the daemons find each other's files only while both sides derive the same paths."""

from pathlib import Path

from appliance.layout import Layout

LAYOUT = Layout(Path("/var/lib/kyusai"), Path("/run/kyusai"))


def test_version_files_lie_in_the_version_folder() -> None:
    folder = Path("/var/lib/kyusai/config/versions/12")
    assert [LAYOUT.version_dir(12), LAYOUT.document(12), LAYOUT.envelope(12), LAYOUT.route_snapshot(12)] == [
        folder,
        folder / "document.json",
        folder / "envelope.json",
        folder / "route.sqlite",
    ]


def test_current_snapshot_is_read_through_the_link() -> None:
    assert LAYOUT.current_route_snapshot == Path("/var/lib/kyusai/config/current/route.sqlite")


def test_sockets_lie_in_run_dir() -> None:
    assert {LAYOUT.kamailio_rpc, LAYOUT.kamailio_pid, LAYOUT.agent_socket} == {
        Path("/run/kyusai/kamailio_rpc.sock"),
        Path("/run/kyusai/kamailio.pid"),
        Path("/run/kyusai/agent.sock"),
    }


def test_folders_come_parents_first_and_hold_every_file() -> None:
    folders = LAYOUT.folders()
    for index, folder in enumerate(folders):
        assert folder in {LAYOUT.state_dir, LAYOUT.run_dir} or folder.parent in folders[:index], folder
    files = {
        value.parent
        for name in dir(Layout)
        if isinstance(getattr(Layout, name), property)
        and isinstance(value := getattr(LAYOUT, name), Path)
        and not name.endswith("_dir")
    }
    assert files - set(folders) == {LAYOUT.current}
