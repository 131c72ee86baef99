"""CORE. Which voicemail boxes take no more messages, and what FreeSWITCH is told about it. Opens nothing.

FreeSWITCH itself knows the limit in seconds alone (`voicemail_xml.BOX_MAX_S`), which holds without this program as well.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from appliance.freeswitch import names

MESSAGES_MAX = 100
"""In one box. Nobody hears more; what was heard and kept counts as well."""

BOX_BYTES_MAX = 120 * 1024 * 1024
"""In one box: an hour of wideband speech."""

TRUE = "true"


def wanted(sizes: Iterable[tuple[str, int]], room: bool) -> dict[str, str]:
    """Global variables of FreeSWITCH that should be set. sizes: (box, bytes) of every message. room: the disk has some."""
    counts: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for box, size in sizes:
        counts[box] += 1
        taken[box] += size
    full = [box for box in counts if counts[box] >= MESSAGES_MAX or taken[box] >= BOX_BYTES_MAX]
    told = {names.VOICEMAIL_FULL + box: TRUE for box in full}
    return told if room else told | {names.VOICEMAIL_NO_ROOM: TRUE}


def orders(now: Mapping[str, str], before: Mapping[str, str], again: bool) -> list[str]:
    """Arguments of `global_setvar`. again: FreeSWITCH may have been started anew and have forgotten what it was told."""
    gone = [f"{name}=" for name in before if name not in now]
    return gone + [f"{name}={value}" for name, value in now.items() if again or name not in before]
