"""CORE. The status of a box as one value: what `kyusai status` shows, `/status` serves and `/metrics` counts.

One source for all three, so that they tell the same story. Durations are ages in seconds at the moment of asking;
wall time is there for people only. Plain values: `as_json` is what travels.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.contact import Contact
from agent.disk import DiskState
from agent.link import Link
from appliance.freeswitch.by_hand import ByHand
from appliance.model import LinkState

FORMAT = 1
"""Grows when a field changes its meaning or goes; new fields do not count."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One upstream. known_state: UNKNOWN when its prober fell silent, else state. loss_there_ratio: share of our
    probes that never arrived there, None when the far side does not count. transitions: "UP>SUSPECT" -> count."""

    id: str
    state: str
    known_state: str
    state_age_s: float
    reason: str
    hold_s: float
    hold_left_s: float
    loss_ratio: float
    loss_there_ratio: float | None
    round_trip_ms: float | None
    round_trip_p99_ms: float | None
    life_ms: int
    probes: int
    answers: int
    failbacks_doubled: int
    transitions: dict[str, int]


@dataclass(frozen=True, slots=True)
class KamailioStatus:
    """What Kamailio's RPC told. alive: it answered lately. None: not told (module absent or Kamailio silent).
    answers_5xx: relayed and own. own_errors: 500 answers that the box gave because its script failed."""

    alive: bool = False
    version: str = ""
    uptime_s: int | None = None
    registered_contacts: int | None = None
    active_calls: int | None = None
    shared_memory_bytes: int | None = None
    shared_memory_used_bytes: int | None = None
    transactions: int | None = None
    answers_5xx: int | None = None
    own_errors: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """The configuration in use. version 0: none. phase: of `config.Phase`. centre_age_s: since the centre last gave
    an answer. refused_version, problems: the last document that was not taken, and why; details: the same for other
    languages, as on the wire. changes, changes_set_aside: made at
    this box and open, in use or not."""

    version: int = 0
    age_s: float | None = None
    phase: str = "idle"
    centre_age_s: float | None = None
    refused_version: int = 0
    problems: tuple[str, ...] = ()
    details: tuple[Mapping[str, Any], ...] = ()
    applied: int = 0
    refused: int = 0
    rolled_back: int = 0
    changes: int = 0
    changes_set_aside: int = 0


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What waits for the centre. oldest_age_s: of the oldest waiting record, 0 when none waits. numbered: records that this
    site ever had. receipt_*: the centre's latest signed word, "of receipt_seq I hold receipt_count"; receipt_problem: "" or
    missing, other_chain, unsigned, other_site. parked_reasons: why records and recordings are parked, and how many of each.
    recordings_given_up: reason -> recordings deleted without a receipt since the agent started. records_given_up: sort ->
    statistics and plain events that this box ever gave up; receipt_given_up: of how many the centre knows. upload_kbit_s: how
    fast they may go now, None for as fast as the line; upload_limit_kbit_s: the limit of the hour; upload_queue_ms: what
    packets wait on the line. copies_bytes: what copies of acknowledged records take; sent_again: records that the centre had lost
    and gets again, since the agent started."""

    waiting: int = 0
    parked: int = 0
    oldest_age_s: float = 0.0
    acknowledged: int = 0
    sync_age_s: float | None = None
    recordings_waiting: int = 0
    recordings_waiting_bytes: int = 0
    open_calls: int = 0
    calls_unannounced: int = 0
    numbered: int = 0
    recordings_parked: int = 0
    recordings_given_up: Mapping[str, int] = field(default_factory=dict)
    upload_kbit_s: float | None = None
    upload_limit_kbit_s: float | None = None
    upload_queue_ms: float = 0.0
    receipt_seq: int = 0
    receipt_count: int = 0
    receipt_given_up: int = 0
    records_given_up: Mapping[str, int] = field(default_factory=dict)
    receipt_utc: str = ""
    receipt_problem: str = ""
    copies_bytes: int = 0
    sent_again: int = 0
    parked_reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailingStatus:
    """Requests to the centre that fail just now. task: what they are for; kind: of `contact.Failure`; message: the newest
    failure; age_s: since the first of the `count` failures in a row; key, values: to say the message in another language."""

    task: str
    kind: str
    message: str
    age_s: float
    count: int
    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CentreStatus:
    """How requests to the centre fare. failures: task -> kind -> failed requests since the agent started. revoked: the
    centre has shut this box out; nothing is sent to it but the question whether that still holds."""

    failing: tuple[FailingStatus, ...] = ()
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationsStatus:
    """FreeSWITCH and its controller. alive: FreeSWITCH answered lately. channels: its legs, None when it does not answer.
    controller_alive: the controller answered; connected: it hears FreeSWITCH. stays: where in applications legs are, by kind of
    place. prompts_waiting: prompts that are still to be made, for which two tones stand in; prompts_failed: how many of them
    could not be made. The rest since the controller started: queue: events that wait to be looked at; events, events_lost;
    connections to FreeSWITCH; faults: errors of its own; facts_waiting for the disk, facts_lost; orders carried out, and
    refused."""

    alive: bool = False
    channels: int | None = None
    controller_alive: bool = False
    connected: bool = False
    stays: Mapping[str, int] = field(default_factory=dict)
    prompts_waiting: int = 0
    prompts_failed: int = 0
    queue: int = 0
    events: int = 0
    events_lost: int = 0
    connections: int = 0
    faults: int = 0
    facts_waiting: int = 0
    facts_lost: int = 0
    orders: int = 0
    orders_refused: int = 0


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One of the agent's own tasks."""

    running: bool
    restarts: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Status:
    """All of a box. survival_mode: no upstream is UP or SUSPECT, so the box stands on its own. recording_allowed: the
    disk has room for new recordings (whether there are any is the site's policy). disk_encryption: of `AtRest`, "" until it was
    looked at; audio_encryption: the same of the place where audio lies in the clear. audio_state: of `DiskState`, of the memory
    that audio lies in, if it does. schedules: what somebody set by hand."""

    box: str
    site: str
    site_name: str
    software: str
    time_utc: str
    uptime_s: float
    survival_mode: bool
    links: tuple[LinkStatus, ...] = ()
    kamailio: KamailioStatus = KamailioStatus()
    applications: ApplicationsStatus | None = None
    config: ConfigStatus = ConfigStatus()
    spool: SpoolStatus = SpoolStatus()
    centre: CentreStatus = CentreStatus()
    tasks: Mapping[str, TaskStatus] = field(default_factory=dict)
    schedules: tuple[ByHand, ...] = ()
    disk_free_bytes: int = 0
    disk_bytes: int = 0
    disk_state: str = DiskState.AMPLE.value
    disk_encryption: str = ""
    audio_encryption: str = ""
    audio_state: str = DiskState.AMPLE.value
    recording_allowed: bool = True
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values, keys as named here."""
        return asdict(self)


def status_page(status: Status) -> tuple[str, bytes]:
    """A page for the local HTTP server: content type and body."""
    return "application/json", json.dumps(status.as_json(), ensure_ascii=False).encode()


def survives(states: Iterable[LinkState]) -> bool:
    """Whether the box stands on its own: there are upstreams and none of them is tried first."""
    known = tuple(states)
    return bool(known) and not {LinkState.UP, LinkState.SUSPECT} & set(known)


def link_status(
    link: Link, known: LinkState, now_s: float, stated_life_ms: int, lost_there: float | None
) -> LinkStatus:
    """One link's figures. known: what may be told of it; lost_there: see `LinkStatus.loss_there_ratio`."""
    seen = link.evidence
    return LinkStatus(
        id=link.upstream_id,
        state=link.state.value,
        known_state=known.value,
        state_age_s=round(now_s - link.since_s, 3),
        reason=link.reason,
        hold_s=link.hold_s,
        hold_left_s=round(link.hold_left_s(now_s), 3),
        loss_ratio=round(seen.loss_ratio, 4),
        loss_there_ratio=None if lost_there is None else round(lost_there, 4),
        round_trip_ms=_rounded(seen.round_trip_ms),
        round_trip_p99_ms=_rounded(seen.round_trip_p99_ms),
        life_ms=link.life_ms(stated_life_ms),
        probes=seen.probes,
        answers=seen.answers,
        failbacks_doubled=link.failbacks,
        transitions={f"{a.value}>{b.value}": count for (a, b), count in link.transitions.items()},
    )


def centre_status(contact: Contact, now_s: float, *, revoked: bool = False) -> CentreStatus:
    """What `contact` has noted, at that moment. revoked: whether the centre has shut the box out."""
    failures: dict[str, dict[str, int]] = {}
    for (task, kind), count in contact.counts.items():
        failures.setdefault(task, {})[kind.value] = count
    failing = tuple(
        FailingStatus(
            one.task,
            one.kind.value,
            one.message,
            round(now_s - one.since_s, 3),
            one.count,
            one.key,
            one.values,
        )
        for one in contact.failing
    )
    return CentreStatus(failing, failures, revoked)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
