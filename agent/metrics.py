"""ADAPTER. The status as Prometheus metrics: own registry, prefix `kyusai_`, base units, bounded labels.

Each scrape reads one `Status`, so the metrics and `kyusai status` cannot disagree. Labels are upstream ids, task names
and fixed words; never a number, a call id or an address. `docs/metrics.md` lists all of them (a test keeps step).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from agent.disk import DiskState
from agent.status import ApplicationsStatus, Status
from appliance.model import LinkState
from cloudsync.wire import AtRest

PREFIX = "kyusai_"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. kind: "gauge", "counter" or "info". labels: names of its labels."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()


Sample = tuple[tuple[str, ...], float | None]
"""Label values and value; None: nothing is known, no sample."""

Read = Callable[[Status], list[Sample]]


def _one(value: float | None) -> list[Sample]:
    return [((), None if value is None else float(value))]


def _states(status: Status) -> list[Sample]:
    return [
        ((link.id, state.value), float(link.known_state == state.value))
        for link in status.links
        for state in LinkState
    ]


def _transitions(status: Status) -> list[Sample]:
    return [
        ((link.id, *change.split(">")), float(count))
        for link in status.links
        for change, count in link.transitions.items()
    ]


def _per_link(read: Callable[[object], float | None]) -> Read:
    return lambda status: [((link.id,), read(link)) for link in status.links]


def _field(name: str, scale: float = 1.0) -> Read:
    def value(link: object) -> float | None:
        found = getattr(link, name)
        return None if found is None else float(found) * scale

    return _per_link(value)


def _applications(read: Callable[[ApplicationsStatus], float | None]) -> Read:
    """A figure of FreeSWITCH or its controller; no sample on a box without."""
    return lambda status: _one(None if status.applications is None else read(status.applications))


def _stays(status: Status) -> list[Sample]:
    stays = {} if status.applications is None else status.applications.stays
    return [((what,), float(count)) for what, count in stays.items()]


MS = 0.001
"""Milliseconds to Prometheus's base unit."""

METRICS: tuple[tuple[Spec, Read], ...] = (
    (
        Spec(
            "link_state", "gauge", "1 for the state that the upstream is in, else 0.", ("upstream", "state")
        ),
        _states,
    ),
    (
        Spec("link_state_age_seconds", "gauge", "Time since the last change of state.", ("upstream",)),
        _field("state_age_s"),
    ),
    (
        Spec(
            "link_transitions_total",
            "counter",
            "Changes of state since the agent started.",
            ("upstream", "from", "to"),
        ),
        _transitions,
    ),
    (Spec("link_probes_total", "counter", "Probes whose outcome is known.", ("upstream",)), _field("probes")),
    (
        Spec("link_answers_total", "counter", "Probes that were answered in time.", ("upstream",)),
        _field("answers"),
    ),
    (
        Spec(
            "link_loss_ratio", "gauge", "Share of lost probes in the window, both directions.", ("upstream",)
        ),
        _field("loss_ratio"),
    ),
    (
        Spec(
            "link_loss_there_ratio",
            "gauge",
            "Share of probes that never arrived, where the far side counts.",
            ("upstream",),
        ),
        _field("loss_there_ratio"),
    ),
    (
        Spec("link_round_trip_seconds", "gauge", "Median round trip.", ("upstream",)),
        _field("round_trip_ms", MS),
    ),
    (
        Spec("link_round_trip_p99_seconds", "gauge", "99th percentile of the round trip.", ("upstream",)),
        _field("round_trip_p99_ms", MS),
    ),
    (
        Spec("link_life_seconds", "gauge", "How long a call waits for a sign of life.", ("upstream",)),
        _field("life_ms", MS),
    ),
    (
        Spec("link_hold_seconds", "gauge", "Hold-down in force before a failback.", ("upstream",)),
        _field("hold_s"),
    ),
    (
        Spec("link_hold_left_seconds", "gauge", "What is left of a running hold-down.", ("upstream",)),
        _field("hold_left_s"),
    ),
    (
        Spec("survival_mode", "gauge", "1 while no upstream is tried first and the box stands on its own."),
        lambda status: _one(status.survival_mode),
    ),
    (
        Spec("kamailio_up", "gauge", "1 when Kamailio answers its RPC."),
        lambda status: _one(status.kamailio.alive),
    ),
    (
        Spec("registered_endpoints", "gauge", "Contacts that are registered at the box."),
        lambda status: _one(status.kamailio.registered_contacts),
    ),
    (
        Spec("active_calls", "gauge", "Answered calls through the box."),
        lambda status: _one(status.kamailio.active_calls),
    ),
    (
        Spec("transactions", "gauge", "SIP transactions in Kamailio."),
        lambda status: _one(status.kamailio.transactions),
    ),
    (
        Spec("server_errors_total", "counter", "5xx answers counted by Kamailio since it started."),
        lambda status: _one(status.kamailio.answers_5xx),
    ),
    (
        Spec("script_errors_total", "counter", "500 answers that the box gave because its script failed."),
        lambda status: _one(status.kamailio.own_errors),
    ),
    (
        Spec("shared_memory_bytes", "gauge", "Kamailio's shared memory."),
        lambda status: _one(status.kamailio.shared_memory_bytes),
    ),
    (
        Spec("shared_memory_used_bytes", "gauge", "Kamailio's shared memory in use."),
        lambda status: _one(status.kamailio.shared_memory_used_bytes),
    ),
    (
        Spec("freeswitch_up", "gauge", "1 when FreeSWITCH answers; absent on a box without."),
        _applications(lambda told: told.alive),
    ),
    (
        Spec("freeswitch_channels", "gauge", "Legs that FreeSWITCH holds."),
        _applications(lambda told: told.channels),
    ),
    (
        Spec("control_up", "gauge", "1 when the controller answers."),
        _applications(lambda told: told.controller_alive),
    ),
    (
        Spec("control_connected", "gauge", "1 while the controller hears FreeSWITCH."),
        _applications(lambda told: told.connected),
    ),
    (Spec("application_stays", "gauge", "Legs in applications, by kind of place.", ("kind",)), _stays),
    (
        Spec("prompts_waiting", "gauge", "Prompts that are still to be made; two tones stand in for each."),
        _applications(lambda told: told.prompts_waiting),
    ),
    (
        Spec("control_queue_events", "gauge", "Events that wait to be looked at by the controller."),
        _applications(lambda told: told.queue),
    ),
    (
        Spec("control_events_total", "counter", "Events heard from FreeSWITCH since the controller started."),
        _applications(lambda told: told.events),
    ),
    (
        Spec(
            "control_events_lost_total",
            "counter",
            "Events that found no room; the state was compared afterwards.",
        ),
        _applications(lambda told: told.events_lost),
    ),
    (
        Spec(
            "control_connections_total", "counter", "Connections to FreeSWITCH since the controller started."
        ),
        _applications(lambda told: told.connections),
    ),
    (
        Spec("control_faults_total", "counter", "Errors of the controller's own."),
        _applications(lambda told: told.faults),
    ),
    (
        Spec(
            "control_facts_waiting",
            "gauge",
            "Facts of calls in applications that the disk has not taken yet.",
        ),
        _applications(lambda told: told.facts_waiting),
    ),
    (
        Spec("control_facts_lost_total", "counter", "Facts of calls in applications that found no room."),
        _applications(lambda told: told.facts_lost),
    ),
    (
        Spec("control_orders_total", "counter", "Orders carried out by the controller."),
        _applications(lambda told: told.orders),
    ),
    (
        Spec("control_orders_refused_total", "counter", "Orders that it refused or that failed."),
        _applications(lambda told: told.orders_refused),
    ),
    (
        Spec("config_version", "gauge", "Version of the site document in use; 0 is none."),
        lambda status: _one(status.config.version),
    ),
    (
        Spec("config_age_seconds", "gauge", "Time since the version in use was applied."),
        lambda status: _one(status.config.age_s),
    ),
    (
        Spec("config_applied_total", "counter", "Documents applied since the agent started."),
        lambda status: _one(status.config.applied),
    ),
    (
        Spec("config_refused_total", "counter", "Documents refused since the agent started."),
        lambda status: _one(status.config.refused),
    ),
    (
        Spec("config_rolled_back_total", "counter", "Documents taken back since the agent started."),
        lambda status: _one(status.config.rolled_back),
    ),
    (
        Spec(
            "config_changes_open",
            "gauge",
            "Changes made at this box that wait for the centre, in use or set aside.",
        ),
        lambda status: _one(status.config.changes + status.config.changes_set_aside),
    ),
    (
        Spec("centre_contact_age_seconds", "gauge", "Time since the centre last answered."),
        lambda status: _one(status.config.centre_age_s),
    ),
    (
        Spec(
            "centre_failures_total",
            "counter",
            "Requests to the centre that failed since the agent started.",
            ("task", "kind"),
        ),
        lambda status: [
            ((task, kind), float(count))
            for task, kinds in status.centre.failures.items()
            for kind, count in kinds.items()
        ],
    ),
    (
        Spec("spool_records", "gauge", "Records that wait for the centre."),
        lambda status: _one(status.spool.waiting),
    ),
    (
        Spec("spool_parked_records", "gauge", "Records that the centre refused; somebody has to look."),
        lambda status: _one(status.spool.parked),
    ),
    (
        Spec("recordings_parked", "gauge", "Recordings that cannot be uploaded; somebody has to look."),
        lambda status: _one(status.spool.recordings_parked),
    ),
    (
        Spec("records_numbered", "gauge", "Records that this site ever had."),
        lambda status: _one(status.spool.numbered),
    ),
    (
        Spec("receipt_records", "gauge", "Records that the centre's latest signed receipt counts."),
        lambda status: _one(status.spool.receipt_count),
    ),
    (
        Spec(
            "receipt_sound", "gauge", "0 when the centre's word does not speak for all that it acknowledged."
        ),
        lambda status: _one(not status.spool.receipt_problem),
    ),
    (
        Spec("spool_oldest_age_seconds", "gauge", "Age of the oldest waiting record."),
        lambda status: _one(status.spool.oldest_age_s),
    ),
    (
        Spec(
            "records_acknowledged_total",
            "counter",
            "Records acknowledged by the centre since the agent started.",
        ),
        lambda status: _one(status.spool.acknowledged),
    ),
    (
        Spec("sync_age_seconds", "gauge", "Time since the last acknowledged record."),
        lambda status: _one(status.spool.sync_age_s),
    ),
    (
        Spec("recordings_waiting", "gauge", "Recordings that wait for the centre's receipt."),
        lambda status: _one(status.spool.recordings_waiting),
    ),
    (
        Spec("recordings_waiting_bytes", "gauge", "Their size."),
        lambda status: _one(status.spool.recordings_waiting_bytes),
    ),
    (
        Spec(
            "recordings_given_up_total",
            "counter",
            "Recordings deleted before the centre had them, by reason: age, size.",
            ("kind",),
        ),
        lambda status: [
            ((reason,), float(count)) for reason, count in status.spool.recordings_given_up.items()
        ],
    ),
    (
        Spec(
            "records_given_up_total",
            "counter",
            "Statistics and plain events given up before the centre had them, by sort: figures, outage_figures, event.",
            ("kind",),
        ),
        lambda status: [((sort,), float(count)) for sort, count in status.spool.records_given_up.items()],
    ),
    (
        Spec(
            "records_sent_again_total",
            "counter",
            "Records that the centre had acknowledged and lost, and gets again.",
        ),
        lambda status: _one(float(status.spool.sent_again)),
    ),
    (
        Spec("record_copies_bytes", "gauge", "What copies of acknowledged records take."),
        lambda status: _one(float(status.spool.copies_bytes)),
    ),
    (
        Spec("upload_limit_bytes", "gauge", "Bytes per second that recordings may take now; none: no limit."),
        lambda status: _one(None if status.spool.upload_kbit_s is None else status.spool.upload_kbit_s * 125),
    ),
    (
        Spec(
            "upload_queue_seconds", "gauge", "What packets wait on the line beyond its shortest round trip."
        ),
        lambda status: _one(status.spool.upload_queue_ms / 1000),
    ),
    (
        Spec("open_calls", "gauge", "Calls whose record is not closed yet."),
        lambda status: _one(status.spool.open_calls),
    ),
    (
        Spec(
            "calls_unannounced_total", "counter", "Calls that were not recorded because nobody could be told."
        ),
        lambda status: _one(status.spool.calls_unannounced),
    ),
    (
        Spec("agent_task_up", "gauge", "1 while the agent's task runs.", ("task",)),
        lambda status: [((name,), float(task.running)) for name, task in status.tasks.items()],
    ),
    (
        Spec("agent_task_restarts_total", "counter", "Restarts of the agent's tasks.", ("task",)),
        lambda status: [((name,), float(task.restarts)) for name, task in status.tasks.items()],
    ),
    (
        Spec("agent_uptime_seconds", "gauge", "Time since the agent started."),
        lambda status: _one(status.uptime_s),
    ),
    (
        Spec("disk_free_bytes", "gauge", "Free space where the box keeps its data."),
        lambda status: _one(status.disk_free_bytes),
    ),
    (Spec("disk_bytes", "gauge", "Size of that file system."), lambda status: _one(status.disk_bytes)),
    (
        Spec("disk_state", "gauge", "1 for the state that the disk is in, else 0.", ("state",)),
        lambda status: [((state.value,), float(status.disk_state == state)) for state in DiskState],
    ),
    (
        Spec(
            "disk_encryption",
            "gauge",
            "1 for what protects the box's files when its disk is taken, else 0.",
            ("kind",),
        ),
        lambda status: [
            ((kind.value,), float(status.disk_encryption == kind) if status.disk_encryption else None)
            for kind in AtRest
        ],
    ),
    (
        Spec(
            "audio_encryption",
            "gauge",
            "1 for what protects audio in the clear when the disk is taken, else 0.",
            ("kind",),
        ),
        lambda status: [
            ((kind.value,), float(status.audio_encryption == kind) if status.audio_encryption else None)
            for kind in AtRest
        ],
    ),
    (
        Spec("audio_memory_state", "gauge", "1 for the state of the memory that audio lies in.", ("state",)),
        lambda status: [((state.value,), float(status.audio_state == state)) for state in DiskState],
    ),
    (
        Spec("recording_allowed", "gauge", "1 while there is room for new recordings."),
        lambda status: _one(status.recording_allowed),
    ),
)

BUILD = Spec("build", "info", "Software of this box.", ("version",))


class StatusCollector(Collector):
    """Turns one status per scrape into metric families."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Nothing: saves the registry from asking for a status when it is built."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The families of one scrape."""
        status = self._status()
        identity = {"site": status.site, "box": status.box}
        yield InfoMetricFamily(
            PREFIX + BUILD.name, BUILD.text, value={"version": status.software, **identity}
        )
        for spec, read in METRICS:
            yield _family(spec, read(status))


def _family(spec: Spec, samples: list[Sample]) -> Metric:
    family: GaugeMetricFamily | CounterMetricFamily
    if spec.kind == "counter":
        family = CounterMetricFamily(PREFIX + spec.name.removesuffix("_total"), spec.text, labels=spec.labels)
    else:
        family = GaugeMetricFamily(PREFIX + spec.name, spec.text, labels=spec.labels)
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family


def exposition(status: Callable[[], Status]) -> Callable[[], tuple[str, bytes]]:
    """A page for `LocalHttp`: content type and the text of all metrics."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    return lambda: (CONTENT_TYPE_LATEST, generate_latest(registry))
