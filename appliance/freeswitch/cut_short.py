"""What FreeSWITCH says it has recorded, what kind of recording that is, and the fact that one was cut short. Pure."""

from dataclasses import dataclass
from pathlib import Path

from appliance.freeswitch import names
from appliance.freeswitch.events import Event

SLACK_MS = 100
"""A file that lacks no more is whole: both figures are rounded, and FreeSWITCH counts by frames of 20 ms."""

VOICEMAIL, GREETING, ROOM = "voicemail", "greeting", "room"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording that FreeSWITCH has ended. told_ms: how long it takes it to be. leg: who recorded it, "" for a room's own.
    room: the conference's name in FreeSWITCH, "" where a leg recorded."""

    path: Path
    told_ms: int
    leg: str = ""
    room: str = ""

    def is_cut(self, held_ms: int) -> bool:
        """Whether a file that holds so much lacks some of it."""
        return held_ms + SLACK_MS < self.told_ms


@dataclass(frozen=True, slots=True)
class Cut:
    """A fact: a recording was cut short by a full disk, and nothing of it was kept.

    call: Call-ID of the leg that recorded, "" for a room's own. what: of the three words above. name: number of the voicemail
    box or of the room. recording: the id that its audio would have had. told_ms, held_ms: how much was said, how much was there.
    """

    call: str
    what: str
    name: str
    recording: str
    told_ms: int
    held_ms: int


def recorded(event: Event) -> Recorded | None:
    """The recording whose end an event tells; None for an event of another kind."""
    if event.name == "RECORD_STOP":
        path, told = event.get("Record-File-Path"), event.get("variable_record_ms")
        found = Recorded(Path(path), _number(told), leg=event.get("Unique-ID"))
    elif event.name == "conference::maintenance" and event.get("Action") == "stop-recording":
        path, told = event.get("Path"), event.get("Milliseconds-Elapsed")
        found = Recorded(Path(path), _number(told), room=event.get("Conference-Name"))
    else:
        return None
    return found if path else None


def kind_of(path: Path, voicemail: Path, rooms: Path) -> str:
    """What a recording is by where its file lies, "" for none of ours. voicemail, rooms: the box's folders."""
    if path.parent == rooms:
        return ROOM
    if not path.is_relative_to(voicemail):
        return ""
    return VOICEMAIL if path.name.startswith("msg_") else GREETING


Command = tuple[str, ...]
"""A command of FreeSWITCH's and its arguments, for `EventSocket.api`."""


def tell_leg(uuid: str) -> Command:
    """The leg hears that what it said was not stored, and its call ends."""
    return "uuid_transfer", uuid, names.NOT_STORED, "XML", names.VOICEMAIL_CONTEXT


def stop_room(room: str) -> Command:
    """A room records no more. FreeSWITCH would begin anew at once, into the same file."""
    return "conference", room_name(room), "recording", "stop", "all"


def prompt_of_room(number: str) -> Command:
    """Which file tells a room that its recording has ended."""
    return "global_getvar", names.ROOM_NOT_STORED + number


def tell_room(room: str, file: str) -> Command:
    """Everybody in a room hears a file."""
    return "conference", room_name(room), "play", file


def room_name(room: str) -> str:
    """As commands call a conference."""
    return room.partition("@")[0]


def _number(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 12 else 0
