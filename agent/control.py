"""Wires the controller of FreeSWITCH (`appliance.freeswitch`) to this box: whose FreeSWITCH, journal, socket and recordings.

A process of its own on gevent; it runs beside calls, and its end costs none.
"""

import signal
import sqlite3
from pathlib import Path

import gevent
from gevent.event import Event as Flag
from gevent.threadpool import ThreadPool

from agent import notify
from agent.audio_place import make_folders
from agent.logs import Logger
from agent.recording_switch import RecordingSwitch, What
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import render
from appliance.freeswitch.control_http import ControlHttp
from appliance.freeswitch.controller import Controller
from appliance.freeswitch.desk import Desk
from appliance.freeswitch.esl import EventSocket
from appliance.freeswitch.keeper import Keeper
from appliance.freeswitch.media_journal import MediaJournal
from appliance.freeswitch.orders import Recording
from appliance.freeswitch.whole_recordings import WholeRecordings
from appliance.kamailio.journal import SystemClock
from appliance.layout import Layout
from appliance.media.ng import NgClient

BEAT_S = 3.0
"""The watchdog is fed this often."""

STOP_S = 5.0
"""For what waits for the disk at the end."""


class Extensions:
    """The site's extensions, as the route snapshot in use has them."""

    def __init__(self, snapshot: Path) -> None:
        self._snapshot = snapshot

    def __call__(self, number: str) -> bool:
        """Whether `number` is one. Blocks shortly; False while there is no snapshot."""
        try:
            address = f"{self._snapshot.resolve().as_uri()}?mode=ro&immutable=1"
            with sqlite3.connect(address, uri=True) as database:
                return (
                    database.execute("SELECT 1 FROM extension WHERE number = ?", (number,)).fetchone()
                    is not None
                )
        except (sqlite3.Error, OSError):
            return False


class Recordings:
    """`desk.Recorder`: in a thread, since rtpengine and Kamailio may take a second to be found silent."""

    def __init__(self, switch: RecordingSwitch) -> None:
        self._switch = switch
        self._threads = ThreadPool(2)

    def order(self, call_id: str, what: Recording, by: str) -> bool:
        """As in `desk.Recorder`."""
        return bool(self._threads.apply(self._switch.order, (call_id, What(what.value))))


def serve(box: Box, log: Logger) -> None:
    """Run until SIGTERM or SIGINT. Raises `KyusaiError` "control.no_freeswitch", sqlite3.Error, OSError."""
    if not box.freeswitch.address:
        raise KyusaiError(
            "control.no_freeswitch",
            "box.toml names no address for FreeSWITCH: there is nothing to control",
            'Write [freeswitch] address = "127.0.0.1", or leave kyusai-control.service off.',
        )
    layout, settings = Layout.of(box), box.freeswitch
    make_folders(box)
    clock = SystemClock()
    journal = MediaJournal(layout.media_journal, clock)
    controller = Controller(journal, clock)

    def connection() -> EventSocket:
        return EventSocket(settings.address.strip("[]"), settings.esl_port, render.password(layout))

    keeper = Keeper(connection, controller)
    controller.also = WholeRecordings(
        controller, lambda: keeper.socket, layout.voicemail_dir, layout.rooms_dir
    ).hear
    recordings = Recordings(RecordingSwitch(NgClient(box.rtp.ng), layout.kamailio_rpc))
    kamailio = f"{settings.address}:{settings.kamailio_port}"
    desk = Desk(controller, keeper, kamailio, Extensions(layout.current_route_snapshot), recordings)
    server = ControlHttp(desk).serve(layout.control_socket)
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    greenlets = [gevent.spawn(keeper.run), gevent.spawn(controller.write)]
    notify.notify("READY=1\nSTATUS=running")
    log.info("control_started")
    while not stop.wait(BEAT_S) and not any(one.dead for one in greenlets):
        notify.notify("WATCHDOG=1")
    notify.notify("STOPPING=1")
    server.stop(timeout=0)
    gevent.killall(greenlets, timeout=STOP_S)
    controller.flush()
    layout.control_socket.unlink(missing_ok=True)
    log.info("control_stopped")
