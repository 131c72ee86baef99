"""Numbers of a site that an application answers, and the prompts that applications speak. Values only; pure."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.feature_codes import Code
from appliance.freeswitch.directory_keys import Person
from appliance.freeswitch.flow import Flow
from appliance.freeswitch.queue import Queue
from appliance.freeswitch.schedule import Schedule


class Kind(StrEnum):
    """What answers a number. PARKING: one place, where a call waits until somebody dials the number again. SCHEDULE_...: sets
    a schedule by hand, or lets it follow its hours again."""

    FLOW = "flow"
    ANNOUNCEMENT = "announcement"
    CONFERENCE = "conference"
    VOICEMAIL = "voicemail"
    PARKING = "parking"
    DIRECTORY = "directory"
    SCHEDULE_OPEN = "schedule_open"
    SCHEDULE_CLOSED = "schedule_closed"
    SCHEDULE_AUTOMATIC = "schedule_automatic"


RECORDS = ("none", "all", "key")
"""Whether a room is recorded: never, always, or when somebody in it presses the key. Whoever enters is told."""


@dataclass(frozen=True, slots=True)
class Application:
    """One number. flow: id (FLOW). prompts, language: what is spoken (ANNOUNCEMENT). access_code: digits that open a
    conference or a schedule's switch, or "". schedule: id (SCHEDULE_...). record: of a CONFERENCE, see `RECORDS`.
    return_s: how long a call may be parked
    before `fallback` is called. fallback: number that takes the call while applications are out of order, or ""."""

    number: str
    name: str
    kind: Kind
    flow: str = ""
    prompts: tuple[str, ...] = ()
    language: str = "ja"
    access_code: str = ""
    public_number: str = ""
    fallback: str = ""
    schedule: str = ""
    return_s: int = 90
    record: str = "none"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of the site's own: what is said, by language. audio: SHA-256 of recordings, by language; one is played in
    place of the text."""

    id: str
    texts: tuple[tuple[str, str], ...]
    audio: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A voicemail box. number: its extension. code_md5: of "number:domain:PIN". email: who is told of messages by the centre."""

    number: str
    code_md5: str
    language: str = "ja"
    email: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """All that a site document says of applications. time_zone: IANA name. features: feature codes in force;
    feature_language: what they speak. announcement: prompt that says that a call is recorded, "" where nobody is told."""

    time_zone: str = "Asia/Tokyo"
    domain: str = ""
    applications: tuple[Application, ...] = ()
    flows: tuple[Flow, ...] = ()
    queues: tuple[Queue, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    mailboxes: tuple[Mailbox, ...] = ()
    features: tuple[Code, ...] = ()
    feature_language: str = "ja"
    people: tuple[Person, ...] = ()
    music: str = ""
    announcement: str = ""

    @property
    def directory_languages(self) -> tuple[str, ...]:
        """Languages in which somebody may dial by name."""
        found = {one.language for one in self.applications if one.kind is Kind.DIRECTORY}
        if any(one.id == "directory" for one in self.features):
            found.add(self.feature_language)
        return tuple(sorted(found))

    def flow(self, flow_id: str) -> Flow | None:
        """The flow of that id."""
        return next((flow for flow in self.flows if flow.id == flow_id), None)
