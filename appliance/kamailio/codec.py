"""Which audio codec two sides have agreed on, read from the SDP of an answer. Pure.

RFC 3264 section 6.1: the answer lists what both can do, the best first, and section 7 has each side send the first of them.
"""

import re

STATIC = {0: "PCMU", 3: "GSM", 4: "G723", 8: "PCMA", 9: "G722", 15: "G728", 18: "G729"}
"""Audio payload types that need no rtpmap (RFC 3551 table 4)."""

BESIDE_AUDIO = frozenset({"telephone-event", "CN", "red", "ulpfec"})
"""Formats that accompany a codec and are none (RFC 4733, 3389, 2198, 5109)."""

NAMES = {name.lower(): name for name in (*STATIC.values(), *BESIDE_AUDIO, "opus", "AMR", "AMR-WB", "iLBC")}
"""Encoding names are written in any case (RFC 4855); these are the ones of the IANA registry."""


def agreed_codec(answer: str) -> str:
    """Encoding name of the first codec in the answer's first accepted audio stream; "" when there is none."""
    for media in answer.replace("\r", "").split("\nm=")[1:]:
        found = _AUDIO.match(media)
        if found is None or found.group(1) == "0":
            continue
        mapped: dict[int, str] = {int(number): name for number, name in _RTPMAP.findall(media)}
        for number in (int(word) for word in found.group(2).split() if word.isdigit()):
            name = mapped.get(number, STATIC.get(number, ""))
            name = NAMES.get(name.lower(), name)
            if name and name not in BESIDE_AUDIO:
                return name
    return ""


_AUDIO = re.compile(r"audio (\d{1,5})(?:/\d+)? \S+((?: \d{1,3})+)")
_RTPMAP = re.compile(r"^a=rtpmap:(\d{1,3}) ([^/\s]{1,64})", re.MULTILINE)
