"""Capture by a real rtpengine, turned into a recording: what the agent sends to the centre is what was said, side by side."""

import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pyrage
import pytest
import soundfile

from appliance.layout import Layout
from appliance.media.convert import Recording
from appliance.media.converter import Converter, captures
from appliance.media.ng import NgClient, RtpengineSilent

pytestmark = pytest.mark.skipif(shutil.which("rtpengine") is None, reason="rtpengine is not installed")

BOX, CALLER, CALLEE = "127.8.1.10", "127.8.1.101", "127.8.1.102"
NG = "127.8.1.10:2223"
LEFT_HZ, RIGHT_HZ = 440, 600


class Engine:
    """A real rtpengine with its recording folder."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.talkers: list[Talker] = []
        for folder in (layout.pcaps_dir, layout.metadata_dir, layout.capture_tmp_dir, layout.recordings_dir):
            folder.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        arguments = [
            *("rtpengine", "--table=-1", f"--interface=lan/{BOX}", f"--listen-ng={NG}"),
            *("--port-min=41000", "--port-max=41099", "--recording-method=pcap", "--recording-format=eth"),
            *(f"--recording-dir={self.layout.capture_dir}", "--foreground", "--delete-delay=0"),
            "--log-stderr",
        ]
        self.process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                NgClient(NG).command("ping")
                return
            except RtpengineSilent:
                time.sleep(0.05)
        raise AssertionError("rtpengine did not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        os.kill(self.process.pid, how)
        self.process.wait()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(Layout(tmp_path / "state", tmp_path / "run"))
    yield engine
    for talker in engine.talkers:
        talker.line.close()
    if engine.process.poll() is None:
        engine.stop()


@pytest.fixture(scope="module")
def tenant() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def description(address: str, port: int, codec: str) -> str:
    payload_type = {"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9, "opus/48000/2": 96}[codec]
    lines = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {payload_type}", f"a=rtpmap:{payload_type} {codec}", "a=sendrecv", ""]
    return "\r\n".join(lines)


class Talker:
    """One side of a call: sends a tone to the port that rtpengine gave it."""

    def __init__(self, address: str, hertz: int) -> None:
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.bind((address, 0))
        self.address, self.hertz = address, hertz
        self.sequence, self.elapsed, self.ssrc = 100, 0, hertz
        self.target = 0
        self.use("PCMU/8000")

    @property
    def port(self) -> int:
        return int(self.line.getsockname()[1])

    def use(self, codec: str) -> None:
        name, clock = codec.split("/")[:2]
        encoder, rate, self.payload_type = {
            "PCMU": ("pcm_mulaw", 8000, 0),
            "PCMA": ("pcm_alaw", 8000, 8),
            "G722": ("g722", 16000, 9),
            "opus": ("libopus", 48000, 96),
        }[name]
        self.step = int(clock) // 50
        self.rate = rate
        context = av.CodecContext.create(encoder, "w")
        context.sample_rate, context.layout, context.format = rate, "mono", "s16"
        if name == "opus":
            context.options = {"frame_duration": "20"}
        self.encoder = context

    def speak(self) -> None:
        count = self.rate // 50
        at = np.arange(count) + self.elapsed * count
        samples = (8000 * np.sin(2 * math.pi * self.hertz * at / self.rate)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self.rate
        for packet in self.encoder.encode(frame):
            header = struct.pack(
                "!BBHII", 0x80, self.payload_type, self.sequence & 0xFFFF, self.elapsed * self.step, self.ssrc
            )
            self.line.sendto(header + bytes(packet), (BOX, self.target))
            self.sequence += 1
        self.elapsed += 1


def audio_port(answer: dict[str, str]) -> int:
    return int(answer["sdp"].split("m=audio ")[1].split()[0])


def set_up(
    engine: Engine, call_id: str, codec: str = "PCMU/8000", again: tuple[Talker, Talker] | None = None
) -> tuple[Talker, Talker]:
    ng = NgClient(NG)
    caller, callee = again or (Talker(CALLER, LEFT_HZ), Talker(CALLEE, RIGHT_HZ))
    engine.talkers += [caller, callee]
    common = {"call_id": call_id, "from_tag": "a", "record_call": "on", "ICE": "remove"}
    offer = ng.command("offer", sdp=description(CALLER, caller.port, codec), **common)
    callee.target = audio_port(offer)
    answer = ng.command("answer", sdp=description(CALLEE, callee.port, codec), to_tag="b", **common)
    caller.target = audio_port(answer)
    for talker in (caller, callee):
        talker.use(codec)
    return caller, callee


def talk(caller: Talker, callee: Talker, packets: int) -> None:
    for _ in range(packets):
        caller.speak()
        callee.speak()
        time.sleep(0.02)


def heard(samples: np.ndarray, rate: int) -> int:
    """The loudest frequency, in Hz to the nearest 5."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return round(float(np.argmax(spectrum)) * rate / len(samples) / 5) * 5


class Spool:
    """Keeps what it is handed, by id."""

    def __init__(self) -> None:
        self.kept: dict[str, Recording] = {}

    def __call__(self, recording: Recording) -> None:
        self.kept[recording.id] = recording


def converted(engine: Engine, tenant: pyrage.x25519.Identity, wall_s: float | None = None) -> Spool:
    spool = Spool()
    Converter(engine.layout, NgClient(NG, 0.2), lambda: [str(tenant.to_public())], spool).pass_once(
        0.0, wall_s or time.time()
    )
    return spool


def play(recording: Recording, tenant: pyrage.x25519.Identity, to: Path) -> tuple[np.ndarray, int]:
    pyrage.decrypt_file(str(recording.path), str(to), [tenant])
    samples, rate = soundfile.read(to, dtype="int16")
    return samples, rate


@pytest.mark.parametrize("codec", ["PCMU/8000", "PCMA/8000", "G722/8000", "opus/48000/2"])
def test_recorded_call_gives_each_side_its_channel(
    engine: Engine, tenant: pyrage.x25519.Identity, tmp_path: Path, codec: str
) -> None:
    call_id = "call 1/æ@example"
    talkers = set_up(engine, call_id, codec)
    talk(*talkers, 60)
    NgClient(NG).command("delete", call_id=call_id, from_tag="a")
    for _ in range(100):
        if any(one.finished for one in captures(engine.layout)) and not NgClient(NG).knows(call_id):
            break
        time.sleep(0.05)
    (recording,) = converted(engine, tenant).kept.values()
    samples, rate = play(recording, tenant, tmp_path / "plain.ogg")
    assert (heard(samples[:, 0], rate), heard(samples[:, 1], rate)) == (LEFT_HZ, RIGHT_HZ)
    assert recording.call == call_id
    assert 1.0 < recording.duration_s < 2.0
    assert b"OggS" not in recording.path.read_bytes()
    left_over = [path for path in engine.layout.capture_dir.rglob("*") if path.is_file()]
    assert left_over == []


def test_hold_in_mid_call_keeps_its_silence(
    engine: Engine, tenant: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    talkers = set_up(engine, "hold")
    talk(*talkers, 30)
    time.sleep(0.8)
    talk(*talkers, 30)
    NgClient(NG).command("delete", call_id="hold", from_tag="a")
    time.sleep(0.3)
    (recording,) = converted(engine, tenant).kept.values()
    samples, rate = play(recording, tenant, tmp_path / "plain.ogg")
    loud = np.abs(samples[: 2 * rate, 0].reshape(-1, rate // 20)).max(axis=1) > 1000
    quiet_s = (len(loud) - loud.sum()) / 20
    assert 0.5 < quiet_s < 1.2


def test_codec_change_in_mid_call_is_heard_through(
    engine: Engine, tenant: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    talkers = set_up(engine, "change")
    talk(*talkers, 40)
    talk(*set_up(engine, "change", "G722/8000", again=talkers), 40)
    NgClient(NG).command("delete", call_id="change", from_tag="a")
    time.sleep(0.3)
    (recording,) = converted(engine, tenant).kept.values()
    samples, rate = play(recording, tenant, tmp_path / "plain.ogg")
    half = len(samples) // 2
    parts = [heard(part[:, side], rate) for part in (samples[:half], samples[half:]) for side in (0, 1)]
    assert (rate, parts) == (16000, [LEFT_HZ, RIGHT_HZ, LEFT_HZ, RIGHT_HZ])


def test_what_is_said_while_a_recording_is_paused_is_in_no_file_and_the_rest_on_its_side(
    engine: Engine, tenant: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    secret_hz = (1_000, 1_400)
    ng, talkers = NgClient(NG), set_up(engine, "paused")
    talk(*talkers, 40)
    ng.stop_recording("paused")
    for talker, hertz in zip(talkers, secret_hz, strict=True):
        talker.hertz = hertz
    talk(*talkers, 40)
    time.sleep(0.1)  # what is under way at the end of the pause belongs to it
    on_disk = b"".join(path.read_bytes() for path in engine.layout.capture_dir.rglob("*") if path.is_file())
    ng.command("start recording", call_id="paused")
    for talker, hertz in zip(talkers, (LEFT_HZ, RIGHT_HZ), strict=True):
        talker.hertz = hertz
    talk(*talkers, 40)
    assert converted(engine, tenant).kept == {}, "a call that goes on is not converted in part"
    ng.command("delete", call_id="paused", from_tag="a")
    while ng.knows("paused"):
        time.sleep(0.05)
    kept = converted(engine, tenant).kept
    assert len(kept) == 2
    for name, recording in kept.items():
        samples, rate = play(recording, tenant, tmp_path / f"{name}.ogg")
        assert 0.5 < recording.duration_s < 1.1
        assert (heard(samples[:, 0], rate), heard(samples[:, 1], rate)) == (LEFT_HZ, RIGHT_HZ)
        for side, hertz in enumerate(secret_hz):
            assert strength(samples[:, side], rate, hertz) < 0.02 * strength(
                samples[:, side], rate, (LEFT_HZ, RIGHT_HZ)[side]
            )
    assert len(on_disk) < 50 * 1024, "the pause added nothing to the disk"
    assert [path for path in engine.layout.capture_dir.rglob("*") if path.is_file()] == []


def strength(samples: np.ndarray, rate: int, hertz: int) -> float:
    """How strong a tone is at its strongest, over a tenth of a second."""
    at = np.arange(len(samples)) / rate
    turned = samples * np.exp(-2j * math.pi * hertz * at)
    size = rate // 10
    return float(np.abs(np.convolve(turned, np.ones(size) / size, "valid")).max())


@pytest.mark.parametrize("when_s", [60, -3600], ids=["a minute later", "after the clock was set back"])
def test_rtpengine_killed_in_mid_call_loses_less_than_a_second(
    engine: Engine, tenant: pyrage.x25519.Identity, tmp_path: Path, when_s: float
) -> None:
    talkers = set_up(engine, "killed")
    talk(*talkers, 100)
    engine.stop(signal.SIGKILL)
    assert converted(engine, tenant).kept == {}, "nobody says that the call is over"
    engine.start()
    later_s = time.time() + when_s
    (recording,) = converted(engine, tenant, wall_s=later_s).kept.values()
    samples, rate = play(recording, tenant, tmp_path / "plain.ogg")
    assert recording.duration_s > 2.0 * 0.95 - 1.0
    assert (heard(samples[:, 0], rate), heard(samples[:, 1], rate)) == (LEFT_HZ, RIGHT_HZ)


def test_hand_over_that_fails_keeps_the_capture_and_repeats_the_same_recording(
    engine: Engine, tenant: pyrage.x25519.Identity
) -> None:
    talkers = set_up(engine, "again")
    talk(*talkers, 30)
    NgClient(NG).command("delete", call_id="again", from_tag="a")
    time.sleep(0.3)
    seen = []

    def refuse(recording: Recording) -> None:
        seen.append(recording.id)
        raise OSError("disk full")

    recipients = [str(tenant.to_public())]
    Converter(engine.layout, NgClient(NG), lambda: recipients, refuse).pass_once(0.0, time.time())
    assert len(captures(engine.layout)) == 1
    assert list(converted(engine, tenant).kept) == seen


def test_no_recipient_stores_nothing_in_the_clear(engine: Engine) -> None:
    talkers = set_up(engine, "clear")
    talk(*talkers, 10)
    NgClient(NG).command("delete", call_id="clear", from_tag="a")
    time.sleep(0.3)
    spool = Spool()
    converter = Converter(engine.layout, NgClient(NG), list, spool)
    converter.pass_once(0.0, time.time())
    assert (spool.kept, converter.failed, len(captures(engine.layout))) == ({}, 1, 1)
    assert list(engine.layout.recordings_dir.iterdir()) == []
