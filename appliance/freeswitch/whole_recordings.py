"""Sees to it that nothing half stays of what FreeSWITCH records: a message, a greeting, a conference room. Adapter: gevent, disk.

When a disk fills while FreeSWITCH writes, the recording ends and FreeSWITCH takes the file for a whole one. What it says it
recorded is compared with what the file holds (`kept_audio`); one that lacks some is removed, which is before FreeSWITCH stores
the message while its caller is asked what to do with it (`deliver_vm` stores none without a file); who spoke is told, and a
fact says so. Where the caller has hung up the message is stored already: the agent takes it out (`agent.voicemail_watch`).
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.threadpool import ThreadPool

from appliance.errors import KyusaiError
from appliance.freeswitch import cut_short
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.controller import Controller
from appliance.freeswitch.cut_short import Command, Cut, Recorded
from appliance.freeswitch.esl import EventSocket
from appliance.freeswitch.events import Event
from appliance.freeswitch.kept_audio import held_ms
from appliance.freeswitch.legs import ROOM, room_number
from appliance.site_retention import MESSAGE_PREFIX, ROOM_PREFIX

STOP_TRIES, STOP_PAUSE_S = 20, 0.05
"""FreeSWITCH begins a room's recording anew within a frame or two of its end; it can be stopped when it has."""

REMEMBERED_MAX = 1_000
"""Files that were removed: what FreeSWITCH had begun anew in one of them goes as well, without another word."""

_LOG = logging.getLogger(__name__)


class WholeRecordings:
    """One per process. voicemail, rooms: the box's folders. live: the connection to FreeSWITCH, None while there is none."""

    def __init__(
        self, controller: Controller, live: Callable[[], EventSocket | None], voicemail: Path, rooms: Path
    ) -> None:
        """Opens nothing."""
        self._controller = controller
        self._live = live
        self._voicemail = voicemail
        self._rooms = rooms
        self._disk = ThreadPool(1)  # a slow disk must not keep events waiting
        self._removed: OrderedDict[Path, None] = OrderedDict()

    def hear(self, event: Event) -> None:
        """Look after the recording whose end an event tells, if it tells one. Does not block."""
        found = cut_short.recorded(event)
        if found is None:
            return
        what = cut_short.kind_of(found.path, self._voicemail, self._rooms)
        if what:
            leg = self._controller.book.legs.get(found.leg)
            gevent.spawn(self._look, found, what, leg.call if leg else "", self._place(found, what))

    def _place(self, found: Recorded, what: str) -> str:
        """Number of the voicemail box, or of the room."""
        if what != cut_short.ROOM:
            return found.path.parent.name
        if found.room:
            return room_number(found.room)
        stays = self._controller.book.stays
        return next((stay.name for stay in stays if stay.leg == found.leg and stay.what == "room"), "")

    def _look(self, found: Recorded, what: str, call: str, name: str) -> None:
        try:
            held = self._disk.apply(held_ms, (found.path,))
            again = bool(found.room) and found.path in self._removed
            if held is None or not (again or found.is_cut(held)):
                return
            self._disk.apply(found.path.unlink, (), {"missing_ok": True})
        except OSError as error:
            _LOG.warning("%s cannot be looked at: %s", found.path, error)
            return
        if again:
            return
        self._removed[found.path] = None
        if len(self._removed) > REMEMBERED_MAX:
            self._removed.popitem(last=False)
        _LOG.warning("%s held %d ms of %d: it was removed", found.path, held, found.told_ms)
        prefix = ROOM_PREFIX if what == cut_short.ROOM else MESSAGE_PREFIX
        recording = "" if what == cut_short.GREETING else prefix + found.path.stem.removeprefix("msg_")
        self._controller.note([Cut(call, what, name, recording, found.told_ms, held)])
        if what == cut_short.ROOM:
            self._tell_room(found.room, name)
        else:
            self._say(cut_short.tell_leg(found.leg))

    def _tell_room(self, recording: str, number: str) -> None:
        """recording: the room's name where the room itself recorded, "" where somebody in it did by a key."""
        for _ in range(STOP_TRIES if recording else 0):
            if "Stopped AUTO" in self._say(cut_short.stop_room(recording)):
                break
            gevent.sleep(STOP_PAUSE_S)
        if number:
            file = self._say(cut_short.prompt_of_room(number)).strip()
            if file.startswith("/"):
                self._say(cut_short.tell_room(recording or ROOM + number, file))

    def _say(self, command: Command) -> str:
        live = self._live()
        if live is None:
            return ""
        try:
            return live.api(*command)
        except (FreeSwitchSilent, KyusaiError) as error:
            _LOG.warning("%s was not carried out: %s", command[0], error)
            return ""
