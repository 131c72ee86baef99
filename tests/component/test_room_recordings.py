"""A recorded conference room on its way into the recordings' folder: encrypted, once, and gone in the clear."""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyrage
import soundfile

from agent import media
from appliance.layout import Layout
from appliance.media import rooms


def test_a_finished_room_is_encrypted_and_one_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "run")
    for folder in (layout.rooms_dir, layout.recordings_dir, layout.capture_dir):
        folder.mkdir(parents=True)
    owner = pyrage.x25519.Identity.generate()
    done, growing = layout.rooms_dir / "a.wav", layout.rooms_dir / "b.wav"
    for path in (done, growing):
        soundfile.write(path, np.sin(np.arange(32_000) / 5) * 0.3, 16_000, subtype="PCM_16")
    old_s = time.time() - 60
    os.utime(done, (old_s, old_s))
    work = rooms.Rooms(layout, lambda: [str(owner.to_public())], media.hand_over)
    assert work.pass_once(*rooms.now()) == 1
    assert [path.name for path in layout.rooms_dir.iterdir()] == ["b.wav"]
    sidecar = json.loads((layout.recordings_dir / "room-a.json").read_text())
    assert (sidecar["id"], sidecar["duration_s"]) == ("room-a", 2.0)
    plain = tmp_path / "plain.ogg"
    pyrage.decrypt_file(str(layout.recordings_dir / "room-a.age"), str(plain), [owner])
    samples, rate_hz = soundfile.read(plain)
    assert (rate_hz, round(len(samples) / rate_hz)) == (16_000, 2)


def test_without_a_key_nothing_is_stored_and_nothing_is_lost(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "run")
    for folder in (layout.rooms_dir, layout.recordings_dir, layout.capture_dir):
        folder.mkdir(parents=True)
    path = layout.rooms_dir / "a.wav"
    soundfile.write(path, np.zeros(16_000), 16_000)
    os.utime(path, (0, 0))
    work = rooms.Rooms(layout, list, media.hand_over)
    assert work.pass_once(*rooms.now()) == 0
    assert (path.exists(), list(layout.recordings_dir.iterdir())) == (True, [])


def test_what_lies_in_memory_is_handed_over_on_the_disk(tmp_path: Path) -> None:
    """Another file system: what is encrypted cannot be renamed from one to the other."""
    layout = Layout(tmp_path / "state", tmp_path / "run")
    with TemporaryDirectory(prefix="kyusai-rooms-", dir="/dev/shm") as memory:
        layout.state_dir.mkdir()
        layout.audio_dir.symlink_to(memory)
        for folder in (layout.rooms_dir, layout.recordings_dir, layout.capture_dir):
            folder.mkdir(parents=True)
        path = layout.rooms_dir / "a.wav"
        soundfile.write(path, np.zeros(16_000), 16_000)
        os.utime(path, (0, 0))
        owner = pyrage.x25519.Identity.generate()
        work = rooms.Rooms(layout, lambda: [str(owner.to_public())], media.hand_over)
        assert work.pass_once(*rooms.now()) == 1
        assert not path.exists()
    assert {one.name for one in layout.recordings_dir.iterdir()} == {"room-a.age", "room-a.json"}
