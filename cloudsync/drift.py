"""CORE. How a box's running configuration stands to the one that the centre wants it to run."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """NONE: nothing was published. UNKNOWN: the box has not spoken yet. APPLIED: it runs what is wanted. REFUSED,
    ROLLED_BACK: it told why it does not. BEHIND: it has not told yet. AHEAD: it runs a version that this centre
    does not know, as after restoring a backup."""

    NONE = "none"
    UNKNOWN = "unknown"
    APPLIED = "applied"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest version of a site (0: none) and when it was published."""

    version: int
    published_utc: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a box told last: the version in use (heartbeat), and what became of a version (report). None: nothing yet."""

    running: int | None = None
    version: int | None = None
    state: str | None = None
    reported_utc: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """running: the version in use, None when not known. since_utc: since when it stands so, "" when not known."""

    standing: Standing
    running: int | None
    wanted: int
    since_utc: str


def drift(wanted: Wanted, told: Told) -> Drift:
    """How the box stands."""
    running = _running(told)
    standing, since_utc = _standing(wanted, told, running)
    return Drift(standing, running, wanted.version, since_utc)


def _running(told: Told) -> int | None:
    """A report of success is younger than the heartbeat before it, and older than the one after: both only grow,
    except when a version is taken back, which is not a success."""
    if told.state == Standing.APPLIED and told.version is not None:
        return max(told.version, told.running or 0)
    return told.running or None


def _standing(wanted: Wanted, told: Told, running: int | None) -> tuple[Standing, str]:
    reported = told.reported_utc or ""
    if running is not None and running > wanted.version:
        return Standing.AHEAD, reported
    if not wanted.version:
        return Standing.NONE, ""
    if told.version == wanted.version and told.state in (Standing.REFUSED, Standing.ROLLED_BACK):
        return Standing(told.state), reported
    if running == wanted.version:
        return Standing.APPLIED, reported if told.version == wanted.version else wanted.published_utc
    if running is None and told.version is None:
        return Standing.UNKNOWN, wanted.published_utc
    return Standing.BEHIND, wanted.published_utc
