"""Takes a call's SDP through rtpengine where `media_anchor` says so, and round the cloud where a call comes back.

Adapter. A call that a proxying cloud sends back to the box (the second pass) has its first caller's SDP restored, and the
answer goes back the same way: both telephones are at the site, so their audio never leaves it, and a cut of the link does not
touch it. The first pass's relay serves the second one as well, or is let go where the audio is direct. It is never let go
for a browser: its ICE has begun to look for those ports, and would wait for seconds if they fell silent. rtpengine gone: the
call goes on without it unless its sides cannot talk directly.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from appliance.kamailio import here as places
from appliance.kamailio.actions import Step, StepKind
from appliance.kamailio.call_key import sdp_key
from appliance.kamailio.codec import agreed_codec
from appliance.kamailio.ksr_call import KsrCall, Target
from appliance.kamailio.media_anchor import (
    Anchor,
    Rtp,
    Side,
    anchor,
    answer_flags,
    is_direct,
    mark,
    media_address,
    offer_flags,
    read_mark,
    rtp_of,
)
from appliance.kamailio.recording_order import PAUSED
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.spoken import NOT_SPOKEN, first_guess, second_guess
from appliance.kamailio.view import View

SDP_MAX_BYTES = 8_000
"""An SDP kept between two passes: a web phone's offer has some 3 kB; what is longer is anchored on both passes."""

SPOKEN = "rtp"
"""Table: a telephone, as "extension@address" -> what it spoke last. See `spoken`."""

ANSWER_S = 0.15
"""rtpengine answers within milliseconds, also with a refusal; what took longer was no answer (`rtpengine_tout_ms`)."""

SILENT_S = 5.0
"""After rtpengine did not answer, a worker tries it again only after this time: each try holds the worker up."""


class Talk(NamedTuple):
    """What both sides of a call speak to each other directly. side: the caller's, as it lies beside the transaction. sdp: his
    offer, "" for none."""

    side: str
    rtp: Rtp
    sdp: str


class MediaPath:
    """Media of the current message's call."""

    def __init__(self, ksr: KsrCall, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds."""
        self._ksr = ksr
        self._view = view
        self._clock = clock
        self._silent_until_s = 0.0

    # request stage

    def direct(self, facts: CallFacts, targets: list[Target]) -> Talk | None:
        """What is spoken, if every one of a telephone's contacts can be offered the caller's SDP as it is. Changes nothing."""
        sdp = self._body()
        caller = self._caller_side(facts, sdp)
        for target in targets:
            callee = self._phone_side(target.uri, target.dst, target.user, caller.rtp)
            if not is_direct(caller, callee):
                return None
        return Talk(_write(caller), caller.rtp, sdp)

    def caller(self, facts: CallFacts) -> None:
        """Note what the calling side speaks, from where, and its offer. On the second pass: what the first one noted."""
        ksr = self._ksr
        kept = self._kept(answer=False) if ksr.get("again") else {}
        ksr.put("before", "1" if kept else "")
        sdp = self._body()
        side = _write(self._caller_side(facts, sdp))
        if facts.origin is Origin.PHONE and sdp:
            ksr.keep(SPOKEN, _phone(facts.origin_id, ksr.pv("$si")), _read(side).rtp)
        ksr.put("side", kept.get("side") or side)
        ksr.put("offer", kept.get("sdp") or sdp)

    def first_pass(self, call: str, record: bool) -> None:
        """Before the cloud is tried: keep the offer, and whether the call is recorded, in case the cloud sends it back."""
        ksr = self._ksr
        ksr.keep("pass", call, "?")
        if record:
            ksr.keep("sdp", _record_key(call), "1")
        sdp = ksr.get("offer")
        if sdp:
            self._keep(answer=False, sdp=sdp, side=ksr.get("side"))

    def is_recorded(self, call: str) -> bool:
        """Whether a call that came back was to be recorded on its first pass: whose call it is, the cloud does not tell."""
        return bool(self._ksr.look("sdp", _record_key(call)))

    # branch stage

    def offer_to(self, step: Step, record: bool) -> bool:
        """Write the offer for one target. False: the call cannot do without rtpengine, and it is gone."""
        ksr = self._ksr
        sdp = ksr.get("offer")
        caller, callee = _read(ksr.get("side")), self._callee_side(step)
        through = anchor(caller, callee, record)
        if through is None and ksr.get("before") and caller.rtp is Rtp.WEBRTC:
            through = Anchor(caller, callee)
        ksr.put(f"spoken{ksr.branch()}", callee.rtp if step.kind is StepKind.CONTACTS else "")
        written = self._offer(through, sdp) if through and sdp else sdp
        if through and sdp and not written:
            if through.needed:
                return False
            through, written = None, sdp
        if through is not None:
            ksr.put("anchored", "1")
        elif ksr.get("before") and not ksr.get("anchored"):
            ksr.put("before", "")
            ksr.release_media("delete-delay=0")
        if written != self._body():
            ksr.set_body(written)
        if through is not None:
            ksr.note("media", ksr.pv("$ft"))
        ksr.put("mark", mark(through))
        ksr.put(f"mark{ksr.branch()}", mark(through))
        return True

    def _offer(self, through: Anchor, sdp: str) -> str:
        """As `KsrCall.offer`, but a rtpengine that was just found silent is not waited for again. One that said no (an
        interface without its address, no port left) may say yes to the next target."""
        began_s = self._clock()
        if began_s < self._silent_until_s:
            return ""
        written = self._ksr.offer(offer_flags(self._as_ordered(through)), sdp)
        now_s = self._clock()
        if not written and now_s - began_s > ANSWER_S:
            self._silent_until_s = now_s + SILENT_S
        return written

    def _as_ordered(self, through: Anchor) -> Anchor:
        """Through rtpengine as policy has it; without recording as long as somebody has to be told of it first."""
        if through.record and self._ksr.look(PAUSED, self._ksr.pv("$ci")):
            return replace(through, record=False)
        return through

    def again_otherwise(self, step: Step, code: int) -> bool:
        """Whether a step's telephones, that refused what they were offered to speak, are to be offered the other kind.
        True once in a call: what is offered from now on is the other kind."""
        ksr = self._ksr
        if step.kind is not StepKind.CONTACTS or code not in NOT_SPOKEN or ksr.get("otherwise"):
            return False
        ksr.put("otherwise", "1" if ksr.get("offer") else "")
        return bool(ksr.get("offer"))

    def mark(self) -> str:
        """The decision for the current branch, as a Record-Route parameter."""
        return self._ksr.get("mark")

    # reply stage

    def answer_from(self, step: Step) -> None:
        """Write an answer (18x or 2xx with SDP) for the caller."""
        ksr = self._ksr
        sdp = self._body()
        if not sdp:
            return
        if ksr.get("offer"):
            ksr.put("codec", agreed_codec(sdp))
        kept = self._kept(answer=True) if step.kind is StepKind.CLOUD and not ksr.get("again") else {}
        if kept:
            ksr.set_body(kept["sdp"])
            return
        through = read_mark(ksr.get(f"mark{ksr.branch()}"))
        written = self._through(through, sdp) if through is not None else sdp
        if written and written != sdp:
            ksr.set_body(written)
        if ksr.get("again"):
            self._keep(answer=True, sdp=written or sdp)

    def learn(self) -> None:
        """A telephone answered: next time it is offered at once what it speaks."""
        ksr = self._ksr
        spoken, user = ksr.get(f"spoken{ksr.branch()}"), ksr.get(f"who{ksr.branch()}")
        if spoken and user and ksr.get("offer"):
            ksr.keep(SPOKEN, _phone(user, ksr.pv("$si")), spoken)

    def settle(self) -> None:
        """Somebody answered. Where his audio is direct, the relay that was made for a target before him is let go: it would
        hold ports, and its time-out would be taken for the call's silence."""
        ksr = self._ksr
        if ksr.get("anchored") and read_mark(ksr.get(f"mark{ksr.branch()}")) is None:
            ksr.note("media", "")
            ksr.release_media("delete-delay=0")

    def _through(self, through: Anchor, sdp: str) -> str:
        through = self._as_ordered(through)
        if self._ksr.get("offer"):
            return self._ksr.answer(answer_flags(through), sdp)
        return self._ksr.offer(offer_flags(through, upstream=True, first=False), sdp)

    # what one pass tells the next

    def _kept(self, answer: bool) -> dict[str, str]:
        text = self._ksr.look("sdp", self._key(answer))
        return dict(json.loads(text)) if text else {}

    def _keep(self, answer: bool, **what: str) -> None:
        if len(what["sdp"]) <= SDP_MAX_BYTES:
            self._ksr.keep("sdp", self._key(answer), json.dumps(what))

    def _key(self, answer: bool) -> str:
        return sdp_key(self._ksr.pv("$ci"), self._ksr.pv("$cs"), answer)

    # ends

    def release(self) -> None:
        """The call is over."""
        if read_mark(self._ksr.get("mark")) is not None:
            self._ksr.release_media()

    # sides

    def _body(self) -> str:
        body = self._ksr.pv("$rb")
        return body if body.startswith("v=0") else ""

    def _caller_side(self, facts: CallFacts, sdp: str) -> Side:
        policy = self._view.policy
        if facts.origin in (Origin.UPSTREAM, Origin.GATEWAY):
            peer = places.peer_of(facts.origin_id, policy)
            return Side(peer.network if peer else "wan", rtp_of(sdp, websocket=False))
        if facts.origin is Origin.MEDIA:
            return Side("media")
        source = self._ksr.pv("$si")
        rtp = rtp_of(sdp, websocket=self._ksr.pv("$proto") in ("ws", "wss"))
        address = media_address(sdp)
        behind = bool(address) and address != source and rtp is not Rtp.WEBRTC
        return Side(places.network_of(source, policy), rtp, behind)

    def _callee_side(self, step: Step) -> Side:
        policy = self._view.policy
        if step.kind is StepKind.MEDIA:
            return Side("media")
        if step.kind is not StepKind.CONTACTS:
            peer = places.peer_of(step.target, policy)
            return Side(peer.network if peer else "lan")
        ksr = self._ksr
        caller, otherwise = _read(ksr.get("side")).rtp, bool(ksr.get("otherwise"))
        return self._phone_side(ksr.pv("$ru"), ksr.pv("$du"), ksr.aimed_at(), caller, otherwise)

    def _phone_side(self, uri: str, received: str, user: str, caller: Rtp, otherwise: bool = False) -> Side:
        policy = self._view.policy
        where = received or uri
        network = places.network_of(places.host_of(where), policy)
        known = self._ksr.look(SPOKEN, _phone(user, places.host_of(where)))
        rtp = first_guess(places.transport_of(where), caller, known)
        if otherwise:
            rtp = second_guess(rtp)
        behind = bool(received) and places.host_of(received) != places.host_of(uri)
        return Side(network, rtp, behind and rtp is not Rtp.WEBRTC)


def _phone(number: str, address: str) -> str:
    return f"{number}@{address}"


def _record_key(call: str) -> str:
    return f"{call}#record"


def _write(side: Side) -> str:
    return f"{side.network} {side.rtp} {int(side.nat)}"


def _read(text: str) -> Side:
    network, rtp, nat = text.split(" ")
    return Side(network, Rtp(rtp), nat == "1")
