"""What rtpengine has written of a call is on disk half a second later, and is not written again for nothing."""

from pathlib import Path

from agent.capture_sync import CaptureSync
from appliance.layout import Layout


def test_captures_that_have_grown_are_synced_and_no_others(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "run")
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    synced: list[str] = []
    captures = CaptureSync(layout, lambda path: synced.append(path.name))
    (layout.pcaps_dir / "a.pcap").write_bytes(b"1")
    (layout.pcaps_dir / "b.pcap").write_bytes(b"1")
    (layout.capture_tmp_dir / "a.tmp").write_bytes(b"1")
    assert captures.tick() == 3
    (layout.pcaps_dir / "b.pcap").write_bytes(b"12")
    (layout.pcaps_dir / "a.pcap").unlink()
    assert captures.tick() == 1
    assert sorted(synced) == ["a.pcap", "a.tmp", "b.pcap", "b.pcap"]
    assert captures.tick() == 0


def test_file_that_vanishes_or_cannot_be_synced_keeps_no_other_from_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "run")
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    for name in "abc":
        (layout.pcaps_dir / f"{name}.pcap").write_bytes(b"1")
    synced: list[str] = []

    def sync(path: Path) -> None:
        if path.name == "b.pcap" and "b.pcap" not in synced:
            synced.append("b.pcap")
            raise OSError(5, "Input/output error")
        synced.append(path.name)

    captures = CaptureSync(layout, sync)
    assert captures.tick() == 2
    assert captures.tick() == 1, "it is tried again"
