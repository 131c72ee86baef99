"""Who is answered at all: scanners and floods are met with silence, the site's own phones never. Pure.

An answer tells a scanner that there is something to try; silence costs it its time-out and the box nothing. Counting is the
adapter's work (an htable with a window of `WINDOW_S`).
"""

import re
from enum import StrEnum

WINDOW_S = 10
"""Length of the window that a stranger's requests are counted in: `strangers` in kamailio.cfg."""

LAN_MAX = 300
"""Requests of one unknown address of the site's networks in a window. A phone that comes up sends less than ten; a router with
a hundred phones behind it, or a test rig, gets its first registration through long before and is unknown no more."""

OUTSIDE_MAX = 20
"""The same for any other address: enough for one home phone with several accounts, useless for guessing passwords."""

WRONG_PASSWORD_COST = 5
"""Requests that one wrong password counts as."""


class Source(StrEnum):
    """What is known of an address. PEER: an upstream or gateway of the site document. PHONE: a phone registered from it."""

    PEER = "peer"
    PHONE = "phone"
    LAN = "lan"
    OUTSIDE = "outside"


TRUSTED = frozenset({Source.PEER, Source.PHONE})
"""Never limited."""

_LIMITS = {Source.LAN: LAN_MAX, Source.OUTSIDE: OUTSIDE_MAX}

_SCANNERS = re.compile(
    r"friendly-scanner|sipvicious|sip-?scan|sipcli\b|sundayddr|vaxsipuseragent|vaxasip|pplsip|siparmyknife|"
    r"\bsmap\b|\biwar\b|\bsivus\b|eyebeam-?hack|nmap|zmap|masscan|\bcsipsimple scanner|siptest\b|voipscan",
    re.IGNORECASE,
)
"""User agents that scanners send: the defaults of SIPVicious and those seen with it in honeypot reports."""


def is_scanner(user_agent: str) -> bool:
    """Whether a User-Agent is one that only scanners send."""
    return bool(user_agent) and _SCANNERS.search(user_agent) is not None


def is_dropped(source: Source, requests_in_window: int, user_agent: str) -> bool:
    """Whether a request is passed over in silence. requests_in_window: this one included; ignored for trusted sources."""
    if source in TRUSTED:
        return False
    return requests_in_window > _LIMITS[source] or is_scanner(user_agent)
