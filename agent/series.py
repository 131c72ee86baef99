"""CORE. The box's figures once a minute, as records: an outage leaves no hole in the graphs, only a delay.

One record is one minute. They queue behind everything else, and when very many wait they come less often, so that statistics
never take the room or the line of call records: every minute, every quarter of an hour, not at all.
"""

from typing import Any

from agent.status import Status

EVERY_S = 60.0
"""A record has about 600 bytes: a month offline is 43,000 of them, 26 MB."""
THINNED_EVERY_S = 900.0
THINNED_FROM = 200_000
"""Waiting records from which on a quarter of an hour is fine enough."""
NONE_FROM = 2_000_000
"""Waiting records from which on no statistics are added: about 2 GB of spool belong to call records."""


def pause_s(waiting: int) -> float | None:
    """Seconds from one record of figures to the next while so many records wait; None: none are made."""
    if waiting >= NONE_FROM:
        return None
    return THINNED_EVERY_S if waiting >= THINNED_FROM else EVERY_S


def body(status: Status, every_s: float) -> dict[str, Any]:
    """The record's body. Figures that are not known are left out; names are those of the metrics, without the prefix.

    every_s: after how many seconds the next is due; whoever reads the series knows a hole by it."""
    kamailio, spool = status.kamailio, status.spool
    figures: dict[str, float | int | None] = {
        "survival_mode": int(status.survival_mode),
        "kamailio_up": int(kamailio.alive),
        "registered_endpoints": kamailio.registered_contacts,
        "active_calls": kamailio.active_calls,
        "server_errors_total": kamailio.answers_5xx,
        "script_errors_total": kamailio.own_errors,
        "config_version": status.config.version,
        "spool_records": spool.waiting,
        "spool_parked_records": spool.parked,
        "recordings_waiting": spool.recordings_waiting,
        "recordings_waiting_bytes": spool.recordings_waiting_bytes,
        "open_calls": spool.open_calls,
        "disk_free_bytes": status.disk_free_bytes,
        "recording_allowed": int(status.recording_allowed),
        "agent_uptime_seconds": round(status.uptime_s),
    }
    links = {
        link.id: {
            "state": link.known_state,
            "loss_ratio": link.loss_ratio,
            "round_trip_ms": link.round_trip_ms,
            "probes": link.probes,
            "answers": link.answers,
        }
        for link in status.links
    }
    return {
        "series": "box",
        "every_s": every_s,
        "figures": {name: value for name, value in figures.items() if value is not None},
        "links": links,
    }
