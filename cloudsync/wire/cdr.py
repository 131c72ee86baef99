"""Call detail records as they travel: a field that holds nothing is left out where the record is made, and read as if it were
there. Of a plain call that is a fifth of the text that every step on its way would carry, hash and keep.

Absent and empty are the same to every reader; records that name all fields are read as before. A record is never written
anew: what was hashed is what its box wrote.
"""

from collections.abc import Mapping

from cloudsync.wire.values import Json

CDR_FIELDS = (
    "id",
    "site",
    "box",
    "call_id",
    "call",
    "direction",
    "origin",
    "origin_id",
    "caller",
    "dialled",
    "number",
    "kind",
    "start_utc",
    "answer_utc",
    "end_utc",
    "clock_ok",
    "ring_ms",
    "billsec_ms",
    "duration_ms",
    "disposition",
    "cause",
    "sip_code",
    "ended_by",
    "route",
    "legs",
    "legs_left_out",
    "part_of",
    "applications",
    "answered_by",
    "transfers",
    "link_state",
    "offline",
    "codec",
    "quality",
    "recordings",
    "recording_refused",
    "announced",
    "recording_pauses",
    "retention",
    "emergency",
    "incomplete",
    "boot_id",
)
"""Every field of a CDR, in the order of `docs/cdr.md`. Fields are added at need, never renamed or given new meanings."""

CDR_EMPTY: Mapping[str, Json] = {
    "answer_utc": None,
    "legs": [],
    "legs_left_out": 0,
    "part_of": "",
    "applications": [],
    "answered_by": "",
    "transfers": [],
    "codec": "",
    "quality": None,
    "recordings": [],
    "recording_refused": "",
    "announced": False,
    "recording_pauses": 0,
    "retention": "",
    "emergency": False,
    "incomplete": False,
}
"""Fields that most calls have no use for, and what each holds then."""

_SORTED = tuple(sorted(CDR_FIELDS))
"""As canonical JSON has them: what is in this order already is sorted in no time."""


def cdr_without_empty(cdr: Mapping[str, Json]) -> dict[str, Json]:
    """The CDR as it is kept and sent. It has no fields but `CDR_FIELDS`."""
    return {name: cdr[name] for name in _SORTED if cdr[name] or name not in CDR_EMPTY}


def cdr_with_empty(body: Mapping[str, Json]) -> dict[str, Json]:
    """The CDR with all fields, whatever box made it, in the order of `CDR_FIELDS`; those of a newer box stay behind them."""
    known = {
        name: body[name] if name in body else _fresh(CDR_EMPTY[name])
        for name in CDR_FIELDS
        if name in body or name in CDR_EMPTY
    }
    return {**known, **body}


def _fresh(value: Json) -> Json:
    return list(value) if isinstance(value, list) else value
