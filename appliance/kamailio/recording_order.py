"""Whether a call that the site's policy has recorded may be recorded now. Pure.

Two processes may say no in Kamailio's htable `policy`, each under a key of its own: the agent, which watches the disk
and stops recordings long before call records are touched, and Kamailio's journal process, when its own write finds no room.
Entries live `TTL_S`. Without a word recording goes on: a box whose agent is dead keeps its policy, and the journal process
still stops recordings when the disk is full in earnest.
"""

from collections.abc import Callable

TABLE = "policy"
"""Name of the htable in kamailio.cfg (autoexpire `TTL_S`)."""

BY_AGENT, BY_JOURNAL = "recording", "journal"
"""Who says no: the keys."""

OFF = "off"
"""What either writes."""

TTL_S = 15
"""A no outlives a restart of the agent, which takes some seconds, and little more."""

PAUSED = "paused"
"""Name of the htable of calls whose recording somebody has paused: Call-ID -> why. Read when a recorded call renegotiates its
audio, and never for others."""

UNTOLD = "untold"
"""In that table: the recording has not begun, because somebody has to be told first (`telling`). Nobody may resume it."""

DISK = "disk"
"""The reason, as the journal and the call record give it."""


def refused(look: Callable[[str, str], str]) -> str:
    """Why no recording may begin now, "" when it may. look: table, key -> value, "" for none."""
    return DISK if OFF in (look(TABLE, BY_AGENT), look(TABLE, BY_JOURNAL)) else ""
