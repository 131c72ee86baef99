"""Voicemail messages on their way to the centre: each is encrypted to the tenant's key like a recording, and handed over once.

The message stays in its box for its owner. A file beside it (`.sent`) says that it was handed over; a crash in between does
it again under the same id.
"""

import logging
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import soundfile

from appliance.freeswitch.kept_audio import is_whole
from appliance.freeswitch.voicemail_store import Message, messages
from appliance.layout import Layout
from appliance.media.convert import FORMAT, HandOver, Recording, recipients_of, sealed

SENT = ".sent"
EVERY_PASSES = 3
"""The converter looks every second."""

RETRY_PASSES = 300
BLOCK_FRAMES = 1 << 16

log = logging.getLogger("kyusai.media")


class Voicemails:
    """recipients: asked before each message, since the configuration may change."""

    def __init__(self, layout: Layout, recipients: Callable[[], list[str]], hand_over: HandOver) -> None:
        self._layout = layout
        self._recipients = recipients
        self._hand_over = hand_over
        self._wait = 0

    def pass_once(self) -> int:
        """Hand over what is new, every few calls; gives how many. Never raises for what one message holds."""
        self._wait -= 1
        if self._wait > 0:
            return 0
        self._wait = EVERY_PASSES
        try:
            waiting = [
                one
                for one in messages(self._layout.freeswitch_db_dir)
                if not _mark(one.path).exists() and is_whole(one)
            ]
        except (sqlite3.Error, OSError) as error:
            log.warning("voicemail's database cannot be read: %s", error)
            return 0
        done = 0
        for one in waiting:
            try:
                self._hand_over(self._sealed(one))
                _mark(one.path).touch()
            except FileNotFoundError:
                continue  # deleted by its owner meanwhile
            except (OSError, ValueError, RuntimeError) as error:
                log.error("message not handed over: %s", error, extra={"recording": one.id})
                self._wait = RETRY_PASSES
                break
            done += 1
        return done

    def _sealed(self, one: Message) -> Recording:
        keys = recipients_of(self._recipients())
        work = self._layout.capture_dir / "work-voicemail"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700, parents=True)
        try:
            plain = work / "plain.ogg"
            seconds = encode(one.path, plain)
            started = datetime.fromtimestamp(one.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            out = self._layout.recordings_dir
            return sealed(plain, one.id, one.id, started, round(seconds, 3), keys, out, FORMAT)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def encode(path: Path, plain: Path) -> float:
    """Make a mono Opus file of a recording; gives its seconds. Raises RuntimeError for what is no audio, OSError."""
    with soundfile.SoundFile(path) as heard:
        rate_hz, frames = heard.samplerate, 0
        with soundfile.SoundFile(plain, "w", rate_hz, 1, "OPUS", format="OGG") as out:
            for block in heard.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                frames += len(block)
                out.write(block[:, :1])
    return float(frames / rate_hz)


def _mark(path: Path) -> Path:
    return path.with_suffix(SENT)
