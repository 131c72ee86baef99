"""Wires the converter of recordings (`appliance.media`) to this box: whose keys, and who takes what it makes.

A process of its own, so that a capture that breaks the converter breaks nothing else.
"""

import json
import signal
from threading import Event

from agent import notify, recording_spool
from agent.audio_place import make_folders
from agent.logs import Logger
from appliance.box import Box
from appliance.layout import Layout
from appliance.media import rooms
from appliance.media.convert import Recording
from appliance.media.converter import Converter
from appliance.media.ng import NgClient
from appliance.media.voicemail import Voicemails


def recipients(layout: Layout) -> list[str]:
    """The tenant's age keys as the site document in use names them; none while there is no document."""
    try:
        document = json.loads((layout.current / "document.json").read_bytes())
        return [str(key) for key in document["recording"]["recipients"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def hand_over(recording: Recording) -> None:
    """Give a recording to the agent, durably; see `recording_spool.add`."""
    recording_spool.add(
        recording.id,
        recording.call,
        recording.path,
        recording.sha256,
        recording.cipher_sha256,
        recording.bytes,
        recording.started_utc,
        recording.duration_s,
        recording.format,
    )


def serve(box: Box, log: Logger) -> None:
    """Convert until SIGTERM or SIGINT. Raises OSError when the folders cannot be made."""
    layout = Layout.of(box)
    make_folders(box)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    notify.notify("READY=1\nSTATUS=running")
    log.info("media_started")
    advertised = {box.rtp.wan_advertise: box.rtp.wan} if box.rtp.wan_advertise else {}
    converter = Converter(layout, NgClient(box.rtp.ng), lambda: recipients(layout), hand_over, advertised)
    voicemails = Voicemails(layout, lambda: recipients(layout), hand_over)

    conferences = rooms.Rooms(layout, lambda: recipients(layout), hand_over)

    def alive() -> None:
        notify.notify("WATCHDOG=1")
        voicemails.pass_once()
        conferences.pass_once(*rooms.now())

    converter.run(stop, alive)
    log.info("media_stopped")
