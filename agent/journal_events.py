"""What the call journal says, as plain values. Reading the journal is `journal_reader`'s work, folding it `cdr`'s.

The journal (`journal.sqlite`) is written inside Kamailio by one process. Times come in pairs: `mono_ms` of
CLOCK_BOOTTIME, which only moves forward while the box runs, and `wall_ms`, which may jump.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The events that a journal row may carry."""

    PROCESS_START = "process_start"
    START = "start"
    STEP = "step"
    STEP_END = "step_end"
    ANSWER = "answer"
    END = "end"
    TRANSFER = "transfer"
    EMERGENCY = "emergency"
    MEDIA = "media"
    REGISTRATION = "registration"
    SETTING = "setting"
    STAY = "stay"  # from here on the controller's, in a journal of its own
    STAY_END = "stay_end"
    CUT = "cut"  # the same: a full disk cut a recording of FreeSWITCH's short


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on one box. boot_id: which boot `mono_ms` counts in; milliseconds of two boots do not compare.
    wall_ms: milliseconds since 1970 UTC as the box believed them."""

    boot_id: str
    mono_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One row. seq: the journal's own number; call: SIP Call-ID, "#", 8 hex of the caller's tag ("" for none);
    data: the row's JSON object."""

    seq: int
    call: str
    kind: Kind
    at: Moment
    data: Mapping[str, Any] = field(default_factory=dict)


def same_boot(one: Moment, other: Moment) -> bool:
    """Whether the two monotonic times may be compared."""
    return one.boot_id == other.boot_id


def later(one: Moment, other: Moment) -> Moment:
    """The later of two moments of one boot; `one` when the boots differ (nothing can be said)."""
    return other if same_boot(one, other) and other.mono_ms > one.mono_ms else one


TEXT_MAX_BYTES = 128
"""UTF-8 bytes kept of any text that came from a SIP message (256 for a Call-ID): more than a number, a name of a
route or a reason has any business to be, and few enough that a CDR stays below the wire's limit for a record."""
CALL_ID_MAX_BYTES = 256


def clean(text: str, limit_bytes: int = TEXT_MAX_BYTES) -> str:
    """`text` as valid UTF-8 of at most `limit_bytes`. What a hostile message smuggled in (lone surrogates) becomes "?":
    it could not be hashed or sent, and one such call must not stop the calls behind it."""
    return text.encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")


def text_of(data: Mapping[str, Any], key: str, limit_bytes: int = TEXT_MAX_BYTES) -> str:
    """`data[key]` when it is text, cleaned; else ""."""
    value = data.get(key)
    return clean(value, limit_bytes) if isinstance(value, str) else ""


def number_of(data: Mapping[str, Any], key: str, default: int = 0) -> int:
    """`data[key]` when it is a whole number of at most 9 digits, else `default`."""
    value = data.get(key)
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1_000_000_000
    return int(value) if fits and value is not None else default
