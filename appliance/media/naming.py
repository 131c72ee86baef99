"""CORE: names of recordings. The same capture gives the same name on every try, so that a crash never doubles one."""

import hashlib
from urllib.parse import unquote

STEM_HEX = 32
"""128 bits of SHA-256: no two calls of a fleet share a name by chance."""


def recording_stem(call_id: str) -> str:
    """What the names of all recordings of the call with SIP `call_id` begin with; the call's record carries it.

    A call has more than one recording when rtpengine was restarted in the middle of it, or its recording was paused.
    """
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogateescape")).hexdigest()
    return f"rec-{digest[:STEM_HEX]}"


def parse_capture_name(file_name: str) -> tuple[str, str]:
    """SIP Call-ID and name of the recording for a capture `<percent-encoded Call-ID>-<16 hex digits>.pcap` (rtpengine 10.5).

    Raises ValueError for any other name.
    """
    stem, dot, ending = file_name.rpartition(".")
    encoded, dash, suffix = stem.rpartition("-")
    if not (dot and dash and encoded) or ending != "pcap" or len(suffix) != 16:
        raise ValueError(
            f"{file_name!r} is not the name of a capture: expected <Call-ID>-<16 hex digits>.pcap"
        )
    call_id = unquote(encoded, errors="surrogateescape")
    return call_id, f"{recording_stem(call_id)}-{suffix}"
