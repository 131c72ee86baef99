"""The audio of requests within a call: hold, resume, codec change, late offers, taken as the call's first offer was.

Adapter. Which calls are anchored stands in the box's own Route header (`media_anchor.mark`). On a call that goes round
by the cloud, the first pass hands the telephone's SDP on to the second, and the answer back, so that the audio stays at
the site. Its mark is the one written between the cloud and the callee: the second entry for the caller's requests, the
first for the callee's, since a route set is walked from the sender's end.
"""

import json
from dataclasses import replace
from enum import StrEnum

from appliance.kamailio.call_key import Hop, sdp_key
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.media_anchor import Anchor, answer_flags, offer_flags, read_mark
from appliance.kamailio.recording_order import PAUSED


class Passes(StrEnum):
    """Whether a request passes the box once, or which of its two passes this is."""

    ONCE = "once"
    FIRST = "first"
    SECOND = "second"


class DialogMedia:
    """SDP of one request within a call and of its replies."""

    def __init__(self, ksr: KsrCall) -> None:
        self._ksr = ksr

    def request(self, hops: tuple[Hop, ...], passes: Passes, upstream: bool) -> None:
        """Treat the request's SDP. hops: its route set as it came. upstream: it goes towards the first caller."""
        ksr = self._ksr
        ksr.put("passes", passes)
        own = next((hop.uri for hop in hops if hop.own), "")
        if passes is Passes.SECOND and upstream:
            own = self._kept(answer=False).get("mark", own)
        ksr.put("ky", own)
        ksr.put("upstream", "1" if upstream else "")
        sdp = self._body()
        ksr.put("offer", "1" if sdp else "")
        if sdp and passes is Passes.FIRST:
            self._keep(sdp, answer=False, mark=own)
        elif sdp:
            self._offer(self._through(own), self._kept(answer=False).get("sdp", sdp), upstream)

    def straight(self, local: str, upstream: bool) -> None:
        """The request leaves the cloud out: from here on it passes the box once. local: the box's Route entry that
        carries the mark of the audio between the two telephones."""
        ksr = self._ksr
        ksr.put("passes", Passes.ONCE)
        ksr.put("ky", local)
        sdp = self._body()
        if sdp:
            self._offer(self._through(local), sdp, upstream)

    def reply(self) -> None:
        """Treat the SDP of a reply."""
        ksr = self._ksr
        sdp = self._body()
        if not sdp:
            return
        if ksr.get("passes") == Passes.FIRST:
            kept = self._kept(answer=True)
            if kept:
                ksr.set_body(kept["sdp"])
            return
        through, upstream = self._through(ksr.get("ky")), ksr.get("upstream") == "1"
        written = self._reply_through(through, sdp, upstream) if through else sdp
        if written and written != sdp:
            ksr.set_body(written)
        if ksr.get("passes") == Passes.SECOND:
            self._keep(written or sdp, answer=True)

    def _reply_through(self, through: Anchor, sdp: str, upstream: bool) -> str:
        if self._ksr.get("offer"):
            return self._ksr.answer(answer_flags(through, upstream, first=False), sdp)
        return self._ksr.offer(offer_flags(through, not upstream, first=False), sdp)

    def _through(self, marked: str) -> Anchor | None:
        """As the Route header says; while somebody has paused the recording, without it: rtpengine would begin anew."""
        through = read_mark(marked)
        if through is not None and through.record and self._ksr.look(PAUSED, self._ksr.pv("$ci")):
            return replace(through, record=False)
        return through

    def _offer(self, through: Anchor | None, sdp: str, upstream: bool) -> None:
        ksr = self._ksr
        written = sdp
        if through is not None and ksr.pv("$rm") == "ACK":
            written = ksr.answer(answer_flags(through, not upstream, first=False), sdp) or sdp
        elif through is not None:
            written = ksr.offer(offer_flags(through, upstream, first=False), sdp) or sdp
        if written != self._body():
            ksr.set_body(written)

    def _body(self) -> str:
        body = self._ksr.pv("$rb")
        return body if body.startswith("v=0") else ""

    def _keep(self, sdp: str, answer: bool, mark: str = "") -> None:
        self._ksr.keep("sdp", self._key(answer), json.dumps({"sdp": sdp, "mark": mark}))

    def _kept(self, answer: bool) -> dict[str, str]:
        if self._ksr.get("passes") not in (Passes.FIRST, Passes.SECOND):
            return {}
        text = self._ksr.look("sdp", self._key(answer))
        return dict(json.loads(text)) if text else {}

    def _key(self, answer: bool) -> str:
        return sdp_key(self._ksr.pv("$ci"), self._ksr.pv("$cs"), answer)
