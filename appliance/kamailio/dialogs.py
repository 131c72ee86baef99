"""Requests within a call, and what becomes of calls: hold, refresh, transfer, end.

Adapter over `KsrCall`. A call that went round by a proxying cloud passes the box twice; when the cloud shows no life,
its requests go straight to the other telephone (`_straight`). The box ends no call because of the state of a link: a BYE
ends it, or the silence that the dialog's own timers find.
"""

import time
from collections.abc import Callable

from appliance.kamailio import here as places
from appliance.kamailio import ksr_call, recording_order
from appliance.kamailio.allowance import Allowance
from appliance.kamailio.call_key import call_key, route_set, second_pass
from appliance.kamailio.calls import Parts
from appliance.kamailio.causes import Cause
from appliance.kamailio.codec import agreed_codec
from appliance.kamailio.dialog_media import DialogMedia, Passes
from appliance.kamailio.ending import Last, end_of
from appliance.kamailio.hangup import TOLD, say_bye
from appliance.kamailio.media_anchor import read_mark
from appliance.kamailio.outcome import RETRANSMIT_MS
from appliance.kamailio.transfer import read_refer, unwrapped
from appliance.model import LinkState

ANSWER_LIMIT_MS = 120_000
"""A re-INVITE may ring for consent (RFC 3261 14.1 leaves it open); 120 s is what an INVITE gets."""
SILENCE_LIMIT_MS = 30_000
"""A dead far side within a call: tm's own default, short of the 32 s after which the sender gives up by itself."""

WITH_SDP = frozenset({"INVITE", "UPDATE", "PRACK", "ACK"})
"""Requests within a call that may hold SDP, in themselves or in their replies (RFC 3264, 3311, 3262)."""
WITH_CONTACT = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"})
"""Requests whose Contact the other side sends to from then on (RFC 3261 section 12.2). A telephone's true address is written
beside it, as in the first INVITE."""

STRANGE_BURST, STRANGE_PER_MINUTE = 100, 20
"""What one worker writes down of calls that Kamailio does not remember: enough for the calls that were up at a restart
to end together, and with eight workers a third of the rows that the journal's writer removes in a minute (`journal_mark`).
Peers and the site's networks have one such allowance, everybody else another."""


class Dialogs:
    """The stages of a request within a dialog, and the dialog module's events."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds."""
        self._parts = parts
        self._ksr = parts.ksr
        self._media = DialogMedia(parts.ksr)
        self._clock = clock
        self._near = Allowance(STRANGE_BURST, STRANGE_PER_MINUTE)
        self._far = Allowance(STRANGE_BURST, STRANGE_PER_MINUTE)

    def within(self, routed: bool) -> None:
        """A request with a To tag. Always answers or passes on, except an ACK that belongs to nobody. routed: it had a Route
        header of this box, which `loose_route` has taken off (the message still shows it)."""
        ksr = self._ksr
        method = ksr.pv("$rm")
        hops = route_set(ksr.headers("Route"), self._parts.here.own)
        if not routed and not self._known_without_route(method):
            return
        self._leave_as_it_came()
        back = second_pass(hops)
        known, upstream, near = ksr.known_dialog(), ksr.upstream(), self._from_phone()
        call = call_key(ksr.pv("$ci"), ksr.pv("$tt") if upstream else ksr.pv("$ft"))
        again = not near and bool(hops) and bool(ksr.look("pass", call))
        if method == "BYE" and not known and not again:
            self._end_unknown(call, any(read_mark(hop.uri) for hop in hops if hop.own))
        elif method == "REFER":
            self._refer(call, not again and (known or self._may_write()))
        if near and method in WITH_CONTACT:
            ksr.alias_contact()
        life_ms = self._life_ms() if method == "BYE" or back is not None else SILENCE_LIMIT_MS
        if back is not None:
            local = hops[0].uri if upstream else back.uri
            ksr.put("straight", local)
            ksr.put("upstream", "1" if upstream else "")
            if self._dead() or ksr.look("passed", self._straight_key()):
                self._straight(local, upstream, method)
                return
        if method in WITH_SDP:
            passes = Passes.FIRST if back is not None else Passes.SECOND if again else Passes.ONCE
            self._media.request(hops, passes, upstream)
            ksr.put("followed", call if known else "")
            if known and method == "ACK":
                self._agreed(call)
        if not ksr.pv("$du"):
            ksr.follow_alias()
        self._send(method, life_ms)

    def _leave_as_it_came(self) -> None:
        """Send from the socket that the request came in on, unless its Route headers name another one."""
        ksr = self._ksr
        if not ksr.pv("$fs"):
            ksr.send_from(f"{ksr.pv('$proto')}:{ksr.pv('$Ri')}:{ksr.pv('$Rp')}")

    def cancel(self) -> None:
        """A CANCEL that belongs to a transaction. It is noted first: the call may end before its INVITE has a branch."""
        ksr = self._ksr
        ksr.keep("ending", call_key(ksr.pv("$ci"), ksr.pv("$ft")), Cause.ORIGINATOR_CANCEL)
        ksr.relay()

    def _known_without_route(self, method: str) -> bool:
        """A request that lacks the Route headers it was given: passed on if it belongs to a call and names the other side
        (some telephones take the route set of a re-INVITE's answer, which has none); else answered or absorbed here."""
        ksr = self._ksr
        if method == "ACK" and ksr.belongs():
            ksr.relay_ack()
            return False
        if not ksr.to_self() and ksr.track() and ksr.known_dialog():
            return True
        if method != "ACK":
            ksr.reply(481, "Call/Transaction Does Not Exist")
        return False

    def _send(self, method: str, life_ms: int, begun: bool = False) -> None:
        """Pass the request on. begun: it has its transaction, this is another try."""
        ksr = self._ksr
        if method == "ACK":
            ksr.relay_ack()
            return
        ksr.arm(ksr_call.IN_DIALOG_FAILURE, ksr_call.IN_DIALOG_REPLY if method in WITH_SDP else "", "")
        ksr.limits(ANSWER_LIMIT_MS, life_ms)
        ksr.patience(RETRANSMIT_MS, 4000)
        if not begun and not ksr.begin():
            return
        if not ksr.relay():
            self._unanswered(method)

    def _from_phone(self) -> bool:
        source = f"sip:{self._ksr.pv('$si')}:{self._ksr.pv('$sp')}"
        return places.peer_at(source, self._parts.view.policy) is None

    # silence

    def failure_stage(self) -> None:
        """A request within a call got a final answer other than 2xx, or none."""
        ksr = self._ksr
        _, replied, timer = ksr.ending()
        if ksr.canceled() or replied or not timer:
            return
        self._unanswered(ksr.pv("$rm"))

    def _unanswered(self, method: str) -> None:
        ksr = self._ksr
        local = ksr.get("straight")
        if local:
            ksr.put("straight", "")
            self._straight(local, ksr.get("upstream") == "1", method)
        elif method == "BYE":
            ksr.reply(200, "OK")
        else:
            ksr.reply(504, "Server Time-out")

    def _straight(self, local: str, upstream: bool, method: str) -> None:
        """Leave out the cloud and the way back from it: the other telephone is at this site."""
        ksr = self._ksr
        ksr.keep("passed", self._straight_key(), "1")
        ksr.remove("Route")
        ksr.reset_next_hop()
        self._media.straight(local, upstream)
        ksr.follow_alias()
        begun = ksr.in_failure()
        if begun:
            ksr.drop_replies()
        self._send(method, SILENCE_LIMIT_MS, begun)

    def _straight_key(self) -> str:
        """Notes for the ACK, which no transaction follows, that its INVITE left the cloud out."""
        return f"{self._ksr.pv('$ci')}:{self._ksr.pv('$cs')}:straight"

    def _dead(self) -> bool:
        peer = places.peer_at(self._ksr.pv("$du"), self._parts.view.policy)
        return peer is not None and self._parts.view.link(peer.id) is LinkState.DOWN

    def _life_ms(self) -> int:
        view = self._parts.view
        peer = places.peer_at(self._ksr.pv("$du"), view.policy)
        return view.life_ms(peer.id) if peer else view.policy.upstream_life_ms

    # replies

    def reply_stage(self) -> None:
        """A reply to a request within a call whose replies may hold SDP."""
        ksr = self._ksr
        code = ksr.status()
        if code < 300:
            self._media.reply()
            if ksr.get("followed") and ksr.get("offer"):
                self._agreed(ksr.get("followed"))
            if ksr.pv("$rm") in ("INVITE", "UPDATE") and self._from_phone():
                ksr.alias_contact()

    def _agreed(self, call: str) -> None:
        """The current message carries the answer to an offer within a call: write down a codec that is new."""
        ksr = self._ksr
        body = ksr.pv("$rb")
        codec = agreed_codec(body) if body else ""
        if codec and codec != ksr.noted("codec"):
            ksr.note("codec", codec)
            self._parts.journal.put("media", call, {"codec": codec})

    # transfer

    def _refer(self, call: str, told: bool) -> None:
        """told: the journal hears of it."""
        ksr = self._ksr
        target = ksr.header("Refer-To")
        meant = unwrapped(target)
        if meant:
            ksr.remove("Refer-To")
            ksr.append(f"Refer-To: {meant}")
        if told:
            data = {**read_refer(meant or target), "by": ksr.pv("$fU")}
            self._parts.journal.put("transfer", call, data)

    # ends

    def _end_unknown(self, call: str, anchored: bool) -> None:
        """A BYE of a call that Kamailio does not remember: it was restarted under it, or there never was such a call.
        Which of the two it is the reader of the journal knows: it says `forgotten`."""
        if self._may_write():
            by = "callee" if self._ksr.upstream() else "caller"
            data = {"cause": Cause.NORMAL_CLEARING, "code": 200, "by": by, "forgotten": True}
            self._parts.journal.put("end", call, data)
        if anchored:
            self._ksr.release_media()

    def _may_write(self) -> bool:
        """Whether the journal may hear of a call that Kamailio does not remember: anybody can invent one."""
        ksr, policy = self._ksr, self._parts.view.policy
        near = not self._from_phone() or places.network_of(ksr.pv("$si"), policy) == "lan"
        return (self._near if near else self._far).take(int(self._clock() * 1000))

    def ended(self, answered: bool) -> None:
        """The dialog module says that a call has ended. answered: it was talking."""
        ksr = self._ksr
        call = ksr.noted("call")
        if not call:
            return
        forced = ksr.look("ending", call)
        if forced != TOLD:
            self._tell_end(call, answered, forced)
        if forced:
            ksr.forget("ending", call)
        call_id = call.rsplit("#", 1)[0]
        anchored_by = ksr.noted("media")
        if anchored_by:
            ksr.forget("media", call)
            ksr.release_media(f"call-id={call_id} from-tag={anchored_by}")
            ksr.forget(recording_order.PAUSED, call_id)
        ksr.forget("legs", call_id)

    def _tell_end(self, call: str, answered: bool, forced: str) -> None:
        """Write a call's end down. When neither side has said BYE its time is over, and both are told."""
        ksr = self._ksr
        bye = ksr.pv("$rm") == "BYE"
        refused = bool(forced) or not answered
        last = Last(
            answered,
            forced,
            int(ksr.noted("code") or 0) if refused else 0,
            refused and ksr.noted("by") == "box",
            bye,
            bye and call_key(ksr.pv("$ci"), ksr.pv("$ft")) == call,
        )
        self._parts.journal.put("end", call, end_of(last))
        if answered and not bye and not forced:
            say_bye(ksr, ksr.current_dialog())
