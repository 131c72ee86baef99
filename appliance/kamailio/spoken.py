"""Which kind of RTP a telephone is offered first, and which when it refuses that one. Pure.

A registration does not say it. What a telephone offered or accepted last is kept; before that its transport is a fair guess:
browsers come by WebSocket, and a telephone that encrypts its signalling may encrypt its audio. A telephone that refuses an
offer does so before it rings (RFC 3261 section 13.3.1.3), so that a second try costs a few milliseconds.
"""

from appliance.kamailio.media_anchor import Rtp

_KINDS = {str(kind): kind for kind in Rtp}

NOT_SPOKEN = frozenset({488, 606})
"""What a telephone says to an offer that it cannot take: Not Acceptable Here, Not Acceptable."""


def first_guess(transport: str, caller: Rtp, known: str) -> Rtp:
    """caller: what the calling side speaks. known: what the telephone spoke last, "" when nothing is known."""
    kind = _KINDS.get(known)
    if kind is not None:
        return kind
    if transport in ("ws", "wss"):
        return Rtp.WEBRTC
    return Rtp.SDES if transport == "tls" and caller is Rtp.SDES else Rtp.PLAIN


def second_guess(refused: Rtp) -> Rtp:
    """What to offer to a telephone that has refused `refused`."""
    return Rtp.SDES if refused is Rtp.PLAIN else Rtp.PLAIN
