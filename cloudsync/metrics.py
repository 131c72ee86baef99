"""The centre's Prometheus metrics on a registry of their own. Labels are bounded: routes, keys, sites, boxes.

Sites and boxes are made by administrators only, and error keys come from the code, so no request can add a series.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cloudsync.service.centre import Centre
from cloudsync.service.sites import list_sites
from cloudsync.store.jobs import waiting
from cloudsync.wire import parse_utc

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""From one fsync (about 5 ms on an SSD) to a held poll (up to 50 s)."""


class CentreMetrics:
    """Counters that the HTTP side moves. `registry` also reports what the store holds, at each scrape."""

    def __init__(self, centre: Centre) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kyusai_centre_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kyusai_centre_http_request_seconds",
            "Time to answer, held polls included.",
            ("route",),
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.refusals = Counter(
            "kyusai_centre_refusals", "Requests refused, by error key.", ("key",), registry=self.registry
        )
        self.records = Counter(
            "kyusai_centre_records", "Records answered, by result.", ("status",), registry=self.registry
        )
        self.enrolments = Counter("kyusai_centre_enrolments", "Boxes enrolled.", registry=self.registry)
        self.recording_bytes = Counter(
            "kyusai_centre_recording_bytes", "Bytes of recordings acknowledged.", registry=self.registry
        )
        self.recordings_stored = Counter(
            "kyusai_centre_recordings_stored", "Recordings verified and stored.", registry=self.registry
        )
        self.polls = Gauge(
            "kyusai_centre_config_polls_held", "Configuration polls waiting.", registry=self.registry
        )
        for status in ("stored", "duplicate", "refused"):
            self.records.labels(status)
        self.registry.register(_StoreCollector(centre))


class _StoreCollector(Collector):
    """What the store says at the moment of the scrape."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: registering must not read the store."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One sample per site or box."""

        def gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"kyusai_centre_{name}", text, labels=labels)

        received = gauge("site_records", "Records that the centre holds.", ("site",))
        missing = gauge("site_records_missing", "Records known to exist that have not come.", ("site",))
        given_up = gauge("site_records_given_up", "Records that a box gave up before they came.", ("site",))
        refused = gauge(
            "site_records_refused", "Different records that were refused and have not come since.", ("site",)
        )
        recordings = gauge("site_recordings", "Recordings stored.", ("site",))
        version = gauge("site_config_version", "Newest configuration published.", ("site",))
        changes = gauge("site_local_changes", "Changes made at boxes that wait for a decision.", ("site",))
        applied = gauge("box_config_version", "Configuration that the box last reported on.", ("site", "box"))
        seen = gauge("box_last_seen_timestamp_seconds", "Time of the last heartbeat.", ("site", "box"))
        encryption = gauge(
            "box_disk_encryption", "1 for what protects the files on the box's disk.", ("site", "box", "kind")
        )
        audio = gauge(
            "box_audio_encryption",
            "1 for what protects audio in the clear on the box.",
            ("site", "box", "kind"),
        )
        online = gauge("box_online", "1 while heartbeats come.", ("site", "box"))
        for site in list_sites(self._centre):
            received.add_metric((site.id,), site.records)
            missing.add_metric((site.id,), site.records_missing)
            given_up.add_metric((site.id,), site.records_given_up)
            refused.add_metric((site.id,), site.records_refused)
            recordings.add_metric((site.id,), site.recordings)
            version.add_metric((site.id,), site.version)
            changes.add_metric((site.id,), site.local_changes)
            for box in site.boxes:
                online.add_metric((site.id, box.id), box.state == "online")
                if box.disk_encryption and box.state != "revoked":
                    encryption.add_metric((site.id, box.id, box.disk_encryption), 1)
                if box.audio_encryption and box.state != "revoked":
                    audio.add_metric((site.id, box.id, box.audio_encryption), 1)
                if box.config_version is not None:
                    applied.add_metric((site.id, box.id), box.config_version)
                if box.last_seen_utc is not None:
                    seen.add_metric((site.id, box.id), parse_utc(box.last_seen_utc).timestamp())
        jobs = gauge("jobs_waiting", "Work that waits or is being done, by kind.", ("kind",))
        with self._centre.database.read() as connection:
            for kind, count in waiting(connection).items():
                jobs.add_metric((kind,), count)
        return (
            received,
            missing,
            given_up,
            refused,
            recordings,
            version,
            changes,
            applied,
            seen,
            online,
            encryption,
            audio,
            jobs,
        )
