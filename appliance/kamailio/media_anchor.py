"""Which calls' audio goes through the box's rtpengine, and with which words each side's SDP is written.

Pure. A call is anchored when it is recorded, crosses between the site's network and the outside, has a side behind NAT, or
joins sides that do not speak the same kind of RTP; all other calls talk directly. Flags are those of Kamailio's
rtpengine module (docs of `rtpengine_offer`). The decision travels in the dialog's Record-Route as a short mark, so that
a re-INVITE is treated alike after a restart of Kamailio.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

TOS_AUDIO = 184
"""DSCP EF (46) in the upper six bits of the octet, RFC 3246; signalling is marked CS3 in kamailio.cfg."""


class Rtp(StrEnum):
    """What one side speaks: the letter stands in the mark."""

    PLAIN = "p"  # RTP/AVP
    SDES = "s"  # RTP/SAVP, keys in the SDP (RFC 4568)
    WEBRTC = "w"  # UDP/TLS/RTP/SAVPF with ICE (RFC 8827)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a call. network: "lan", "wan", or "media" (FreeSWITCH, on loopback). nat: its SDP names an address that it
    cannot be reached at."""

    network: str
    rtp: Rtp = Rtp.PLAIN
    nat: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The audio goes through rtpengine between `caller` and `callee`. needed: the call cannot do without."""

    caller: Side
    callee: Side
    record: bool = False

    @property
    def needed(self) -> bool:
        """Whether the sides could not talk to each other without rtpengine. A call to be recorded could."""
        here = "media" in (self.caller.network, self.callee.network)
        return here or self.caller.rtp != self.callee.rtp or self.caller.nat or self.callee.nat


def is_direct(caller: Side, callee: Side) -> bool:
    """Whether two sides talk directly in a call that is not recorded: `anchor` would give None."""
    same = caller.network == callee.network and caller.rtp == callee.rtp
    return same and not caller.nat and not callee.nat


def anchor(caller: Side, callee: Side, record: bool) -> Anchor | None:
    """How rtpengine takes part in a call between these sides; None: not at all."""
    through = Anchor(caller, callee, record)
    return through if record or through.needed or caller.network != callee.network else None


def offer_flags(through: Anchor, upstream: bool = False, first: bool = True) -> str:
    """Flags for an offer towards the callee, or (upstream) towards the caller.

    first: the call's first offer, made per branch: a call to several telephones has one answer for each.
    """
    near, far = (through.callee, through.caller) if upstream else (through.caller, through.callee)
    words = ["replace-origin", f"direction={near.network}", f"direction={far.network}", *_WRITE[far.rtp]]
    return " ".join([*words, *_common(through, near, first)])


def answer_flags(through: Anchor, upstream: bool = False, first: bool = True) -> str:
    """Flags for the answer to an offer made with the same arguments. What is spoken is not said again: rtpengine answers
    in the very words of the offer (a browser takes "RTP/SAVPF" for no answer to "UDP/TLS/RTP/SAVPF")."""
    near = through.caller if upstream else through.callee
    return " ".join(["replace-origin", *_common(through, near, first)])


def mark(through: Anchor | None) -> str:
    """The Record-Route parameter for a call: ";ky=" and what `read_mark` needs."""
    if through is None:
        return ";ky=d"
    return f";ky=a{_side(through.caller)}{_side(through.callee)}{'r' if through.record else 'n'}"


def read_mark(route: str) -> Anchor | None:
    """The decision in the box's own Route header; None when the call is not anchored, or no mark is there."""
    found = _MARK.search(route)
    if found is None:
        return None
    caller, callee, record = found.groups()
    return Anchor(_read_side(caller), _read_side(callee), record == "r")


def rtp_of(sdp: str, websocket: bool) -> Rtp:
    """What the sender of an SDP speaks. websocket: it came that way, which tells a browser where there is no SDP."""
    if "a=fingerprint:" in sdp or (websocket and not sdp):
        return Rtp.WEBRTC
    return Rtp.SDES if "RTP/SAVP" in sdp else Rtp.PLAIN


def media_address(sdp: str) -> str:
    """The address that an SDP's audio is sent to, "" when it names none (or is on hold by 0.0.0.0)."""
    found = _CONNECTION.search(sdp)
    return found.group(1) if found and found.group(1) != "0.0.0.0" else ""  # noqa: S104


_CONNECTION = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_MARK = re.compile(r";ky=a([lwm][psw][dn])([lwm][psw][dn])([rn])")
_WRITE = {
    Rtp.PLAIN: ("RTP/AVP", "ICE=remove", "rtcp-mux-demux"),
    Rtp.SDES: ("RTP/SAVP", "ICE=remove", "rtcp-mux-demux"),
    Rtp.WEBRTC: ("UDP/TLS/RTP/SAVPF", "ICE=force", "rtcp-mux-offer", "SDES-off", "generate-mid"),
}
"""How an SDP is written for a side. A web phone insists on multiplexed RTCP and keys by DTLS (RFC 8834, 8827)."""


def _common(through: Anchor, near: Side, first: bool) -> list[str]:
    # rtpengine waits for the handshake on first offers and on later ones alike: a role that changes within a call (it
    # would be active as answerer, and offers "actpass") makes baresip and others deaf (RFC 8842 5.3 keeps the role).
    words = [f"TOS={TOS_AUDIO}", "trust-address" if not near.nat else "SIP-source-address"]
    if Rtp.WEBRTC in (through.caller.rtp, through.callee.rtp):
        words.append("DTLS=passive")
    if through.record:
        words.append("record-call=on")
    if first:
        words.append("via-branch=auto-next")
    return words


def _side(side: Side) -> str:
    return f"{side.network[0]}{side.rtp}{'n' if side.nat else 'd'}"


def _read_side(text: str) -> Side:
    return Side({"l": "lan", "w": "wan", "m": "media"}[text[0]], Rtp(text[1]), text[2] == "n")
