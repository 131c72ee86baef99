"""What happens when somebody answers: the call is noted as answered, and answers that come too late are turned away.

Adapter over `KsrCall`; `stray` writes the messages.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from appliance.kamailio.actions import Step, StepKind
from appliance.kamailio.call_key import branch_of, passes_in, route_set
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.here import Here
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.stray import Answer, cseq_number, farewell, uri_in

NOTHING: Mapping[str, object] = {}

BRANCHES_MAX = 31
"""Branches of one transaction: Kamailio's own bound (`MAX_BRANCHES_LIMIT`, core/config.h)."""


class Journal(Protocol):
    """Where events of calls go. Never blocks."""

    def put(self, event: str, call: str, data: dict[str, Any]) -> None: ...


class Answering:
    """The reply stage's half for 2xx."""

    def __init__(self, ksr: KsrCall, journal: Journal, here: Here) -> None:
        self._ksr = ksr
        self._journal = journal
        self._here = here

    def answered(self, index: int, step: Step, code: int, told: Mapping[str, object] = NOTHING) -> None:
        """Somebody took the call: write it down, and which tag is whose, for a later transfer. told: more to write down."""
        ksr = self._ksr
        user = self._who(step)
        call = ksr.get("call")
        origin, _, caller = ksr.get("origin").partition(" ")
        again = bool(ksr.get("again"))
        legs = {ksr.pv("$tt"): user} if step.kind is StepKind.CONTACTS and user else {}
        if origin == "phone" and caller and not again:
            legs[ksr.pv("$ft")] = caller
        self._remember(legs)
        if again:
            ksr.keep("pass", call, user or "?")
            return
        if step.kind is StepKind.CONTACTS:
            ksr.keepalive("dst")
        elif step.kind is StepKind.CLOUD:
            seen = ksr.look("pass", call)
            user = seen if len(seen) > 1 else user
        data: dict[str, Any] = {"index": index, "code": code, "user": user, **told}
        if ksr.noted("media"):
            in_application = [1] if step.kind is StepKind.MEDIA or origin == "media" else []
            ksr.keep("media", call, write([ksr.pv("$ci"), ksr.pv("$ft"), ksr.pv("$tt"), *in_application]))
            data["anchored"] = True
        codec = ksr.get("codec")
        if codec:
            ksr.note("codec", codec)
            data["codec"] = codec
        self._journal.put("answer", call, data)

    def _who(self, step: Step) -> str:
        """Which of the numbers rung together it was: the branch stage noted it."""
        return self._ksr.get(f"who{self._ksr.branch()}") or (step.users[0] if step.users else "")

    def _remember(self, legs: dict[str, str]) -> None:
        """legs: tag -> number of its telephone."""
        if not legs:
            return
        ksr, call_id = self._ksr, self._ksr.pv("$ci")
        known = ksr.look("legs", call_id)
        ksr.keep("legs", call_id, write(read(known) | legs if known else legs))

    def pass_over(self, index: int) -> None:
        """Remember which branches of this call may not answer any more, for after the transaction is forgotten."""
        ksr = self._ksr
        nth = 2 if ksr.get("again") else 1
        invite = self._invite_key()
        for branch in range(BRANCHES_MAX):
            seen = ksr.get(f"on{branch}")
            if not seen:
                return
            if seen == str(index):
                ksr.keep("passed", invite, "1")
                ksr.keep("passed", f"{invite}:{nth}:{branch}", "1")

    def _invite_key(self) -> str:
        """Of one INVITE. One pass of it through the box is told from the other by its number, and a late answer from that to a
        later re-INVITE, whose branches have the same numbers, by the CSeq."""
        ksr = self._ksr
        return f"{ksr.pv('$ci')}:{ksr.pv('$ft')}:{ksr.pv('$cs')}"

    def is_late(self) -> bool:
        """Whether the current 2xx to an INVITE comes from a target that was passed over. tm would hand it on: a 2xx passes even
        after another final reply (RFC 3261 16.7 step 5)."""
        ksr, invite = self._ksr, self._invite_key()
        if not ksr.look("passed", invite):
            return False
        vias = ksr.headers("Via")
        branch = branch_of(vias[0]) if vias else ""
        return bool(branch and ksr.look("passed", f"{invite}:{passes_in(vias, self._here.own)}:{branch}"))

    def turn_away(self) -> None:
        """Acknowledge and end the dialog of the current 2xx."""
        ksr = self._ksr
        hops = route_set(ksr.headers("Record-Route"), self._here.own)
        first_own = next((place for place, hop in enumerate(hops) if hop.own), len(hops))
        words = farewell(
            Answer(
                ksr.pv("$ci"),
                ksr.header("From"),
                ksr.header("To"),
                cseq_number(ksr.header("CSeq")),
                uri_in(ksr.header("Contact")),
                tuple(hop.uri for hop in hops[:first_own]),
                f"{ksr.pv('$Ri')}:{ksr.pv('$Rp')}",
                ksr.pv("$proto"),
            )
        )
        if words is not None:
            sock = f"{ksr.pv('$proto')}:{ksr.pv('$Ri')}:{ksr.pv('$Rp')}"
            ksr.send(words.next_hop, sock, words.ack)
            ksr.send(words.next_hop, sock, words.bye)
