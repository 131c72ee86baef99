"""What setting up and following a call asks of Kamailio: transactions, branches, dialogs, media, tables.

Adapter: wraps the KSR calls of tm, tmx, dialog, rr, uac, registrar, nathelper, rtpengine, htable and corex in methods
with Python's own truth, and decides nothing. KSR answers 1 for yes, -1 for no (true in Python) and False for a wrong
argument; only this module and `ksr` compare such results. Nothing here blocks, except `offer` and `answer`, for at most
`rtpengine_tout_ms` times the retries of kamailio.cfg.
"""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from appliance.kamailio import invite
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.ksr_result import number, yes

FAILURE, BRANCH, REPLY = "CALL_FAILURE", "CALL_BRANCH", "CALL_REPLY"
IN_DIALOG_FAILURE, IN_DIALOG_REPLY = "DIALOG_FAILURE", "DIALOG_REPLY"
"""Names of the stages of a call in routes.cfg."""

CONTACTS_MAX = 12
"""Bindings rung at once: Kamailio's `max_branches` is 12 by default, and each of them costs a transaction branch."""


SDP_IN, SDP_OUT = "$avp(ky_sdp_in)", "$avp(ky_sdp_out)"
"""Where rtpengine's module takes an SDP from and puts it (kamailio.cfg)."""

STORE = "$avp(ky)"
"""Beside a transaction: what its stages tell each other, as one text. One value is written and read once in a stage; each of
them by itself would cost as much again as what is done with it."""

APART = {
    "plan": "$avp(ky_plan)",
    "offer": "$avp(ky_offer)",
    "rang": "$avp(ky_rang)",
    "codec": "$avp(ky_codec)",
}
"""Values each by itself: too long to be written again whenever another one changes, or written by routes.cfg too."""

PLAIN = "plain"
"""Beside a dialog: that routes.cfg carries it, see `KsrCall.hand_over`."""

FIXED = frozenset(
    {
        "$ci",
        "$ft",
        "$tt",
        "$cs",
        "$rm",
        "$rs",
        "$si",
        "$sp",
        "$proto",
        "$Ri",
        "$Rp",
        "$T_branch_idx",
        *APART.values(),
    }
)
"""What stays the same for the whole of a stage: asked of Kamailio once."""


class Plain(NamedTuple):
    """What routes.cfg needs to carry a call by itself. user, caller: extensions. spoken: the kind of RTP. display, uri: caller
    that the telephone is shown. bye_life_ms: time for a sign of life of whom a BYE goes to. call: its key. start, step: for the
    journal, as JSON."""

    user: str
    caller: str
    spoken: str
    display: str
    uri: str
    bye_life_ms: int
    call: str
    start: str
    step: str


class Target(NamedTuple):
    """One place to send a branch. uri: Request-URI. dst: next hop when it differs from the URI. sock: the box's socket as
    Kamailio names it ("udp:192.0.2.10:5060"). user: the extension or number it belongs to."""

    uri: str
    user: str
    dst: str = ""
    sock: str = ""


class Stage:
    """What one stage has read of its message, and of the transaction's store. kept: None as long as nobody asked."""

    __slots__ = ("changed", "kept", "seen")

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.kept: dict[str, str] | None = None
        self.changed = False


class KsrCall:
    """The current SIP message and its transaction, through `ksr` (the KSR module, or a strict double)."""

    def __init__(self, ksr: Any) -> None:
        self.ksr = ksr
        self._pv_get = ksr.pv.get
        self._stage = Stage()

    # stages

    def enter(self) -> Stage:
        """A stage begins, perhaps within another (a branch within `relay`, a dialog's end within `loose_route`): nothing read
        so far holds for it. Gives the outer one, for `leave`."""
        outer, self._stage = self._stage, Stage()
        return outer

    def hear(self) -> None:
        """Ask at once for what every new INVITE is asked, and not again in this stage."""
        self._stage.seen = invite.read(self._pv_get(invite.QUESTION) or "")

    def leave(self, outer: Stage) -> None:
        """The stage is over: what it has `put` is written beside the transaction."""
        self._save()
        self._stage = outer

    def _save(self) -> None:
        stage = self._stage
        if stage.changed:
            stage.changed = False
            self._set_avp(STORE, write(stage.kept))

    def _set_avp(self, name: str, value: str) -> None:
        self.ksr.pv.unset(name)  # an older value would stay, behind the new one
        if value:
            self.ksr.pv.sets(name, value)

    # pseudo-variables and the transaction's own store

    def pv(self, name: str) -> str:
        """A pseudo-variable's text, "" when it is not set."""
        seen = self._stage.seen
        found = seen.get(name)
        if found is None:
            value = self._pv_get(name)
            found = "" if value is None else str(value)
            if name in FIXED:
                seen[name] = found
        return found

    def get(self, name: str) -> str:
        """A value kept with the transaction, "" when it is not set."""
        if name in APART:
            return self.pv(APART[name])
        kept = self._stage.kept
        return (self._load() if kept is None else kept).get(name, "")

    def put(self, name: str, value: str) -> None:
        """Keep a value with the transaction; "" forgets it. Other stages see it when this one is over, or relays."""
        stage = self._stage
        if name in APART:
            stage.seen[APART[name]] = value
            self._set_avp(APART[name], value)
            return
        kept = self._load() if stage.kept is None else stage.kept
        if kept.get(name, "") != value:
            kept[name] = value
            stage.changed = True

    def put_all(self, kept: dict[str, str], *, plan: str, offer: str) -> None:
        """Keep all of this with a transaction that has nothing yet."""
        stage, sets = self._stage, self.ksr.pv.sets
        stage.kept, stage.changed = kept, True
        sets(APART["plan"], plan)
        if offer:
            sets(APART["offer"], offer)

    def _load(self) -> dict[str, str]:
        text = self._pv_get(STORE)
        self._stage.kept = kept = read(text) if text else {}
        return kept

    def status(self) -> int:
        """Code of the current reply."""
        return int(self.pv("$rs") or 0)

    def header(self, name: str) -> str:
        """The first header of that name, "" when there is none."""
        return self.pv(f"$hdr({name})")

    def headers(self, name: str) -> list[str]:
        """Every header of that name, from the top."""
        count = int(self.pv(f"$hdrc({name})") or 0)
        return [str(self.ksr.hdr.gete_idx(name, index)) for index in range(count)]

    def remove(self, name: str) -> None:
        """Take every header of that name out of what is sent on."""
        self.ksr.hdr.remove(name)

    def remove_all(self, names: Iterable[str]) -> None:
        """The same for several names."""
        remove = self.ksr.hdr.remove
        for name in names:
            remove(name)

    def append(self, line: str) -> None:
        """Add a header line (without the line's end)."""
        self.ksr.hdr.append(f"{line}\r\n")

    # transactions

    def begin(self) -> bool:
        """Make the transaction. False: a retransmission, which tm has answered already."""
        return yes(self.ksr.tm.t_newtran(), "tm.t_newtran")

    def belongs(self) -> bool:
        """Whether an ACK or CANCEL belongs to a transaction."""
        return yes(self.ksr.tm.t_check_trans(), "tm.t_check_trans")

    def arm(self, failure: str, reply: str, branch: str) -> None:
        """Name the stages that follow. "": none."""
        self.ksr.tm.t_on_failure(failure)
        self.ksr.tm.t_on_reply(reply)
        if branch:
            self.ksr.tm.t_on_branch(branch)

    def limits(self, answer_ms: int, life_ms: int) -> None:
        """Timers of the branches that follow: life_ms for any reply, then answer_ms for a final one."""
        self.ksr.tm.t_set_fr(answer_ms, life_ms)

    def patience(self, first_ms: int, max_ms: int) -> None:
        """Repeat requests over UDP after first_ms, then ever less often up to max_ms."""
        self.ksr.tm.t_set_retr(first_ms, max_ms)

    def relay(self) -> bool:
        """Send to the current target. False: nothing could be sent."""
        self._save()
        sent = self.ksr.tm.t_relay()
        self._stage.kept = None  # the branch stage has written to it
        return yes(sent, "tm.t_relay")

    def relay_ack(self) -> bool:
        """Send an ACK on: it has no transaction, no stage follows it."""
        return yes(self.ksr.tm.t_relay(), "tm.t_relay")

    def reply(self, code: int, reason: str) -> bool:
        """Answer the request, through its transaction where there is one."""
        return yes(self.ksr.tm.t_send_reply(code, reason), "tm.t_send_reply")

    def canceled(self) -> bool:
        """Whether the caller has given up."""
        return yes(self.ksr.tm.t_is_canceled(), "tm.t_is_canceled")

    def drop_replies(self) -> None:
        """Forget what earlier branches answered: the next step's answers stand alone."""
        self.ksr.tm.t_drop_replies_all()

    def in_failure(self) -> bool:
        """Whether this is the failure stage."""
        return yes(self.ksr.tmx.t_is_failure_route(), "tmx.t_is_failure_route")

    def ending(self) -> tuple[int, bool, bool]:
        """In the failure stage: (code, any reply came, the box's timer ended it)."""
        tm = self.ksr.tm
        # tm marks a branch as replied only after its first reply is dealt with, so look at the reply itself too.
        replied = yes(tm.t_branch_replied(), "tm.t_branch_replied") or bool(self.pv("$T_rpl($rs)"))
        return (
            number(tm.t_get_status_code(), "tm.t_get_status_code"),
            replied,
            yes(tm.t_branch_timeout(), "tm.t_branch_timeout"),
        )

    def branch(self) -> int:
        """Index of the current branch, -1 when there is none."""
        return int(self.pv("$T_branch_idx") or -1)

    def cancel_call(self, call_id: str, cseq: str) -> None:
        """Give up a call that is still being set up."""
        self.ksr.tmx.t_cancel_callid(call_id, cseq, 0)

    # calls that routes.cfg carries

    def hand_over(self, plain: Plain) -> None:
        """Leave this call to routes.cfg, as long as nothing fails: `route[PLAIN_CALL]` is to follow. After `put_all`."""
        sets = self.ksr.pv.sets
        self._stage.changed = False
        sets(STORE, write(self._stage.kept))  # of `put_all`: no older value stands behind it
        sets("$avp(ky_caller)", plain.caller)
        sets("$avp(ky_spoken)", plain.spoken)
        sets("$avp(ky_display)", plain.display)
        sets("$avp(ky_uri)", plain.uri)
        sets("$avp(ky_call)", plain.call)
        sets("$avp(ky_start)", plain.start)
        sets("$avp(ky_step)", plain.step)
        sets("$avp(ky_bye_ms)", str(plain.bye_life_ms))  # a dialog keeps text
        sets("$avp(ky_plain)", plain.user)

    def take_back(self) -> None:
        """From here on the stages of this call are Python's."""
        if self._pv_get("$avp(ky_plain)"):
            self.ksr.pv.unset("$avp(ky_plain)")
            self.note(PLAIN, "")

    # where a branch goes

    def aim(self, targets: list[Target]) -> None:
        """Make `targets` the destinations of the next `relay`, all at once."""
        first, *others = targets
        users = {f"{target.uri} {target.dst}": target.user for target in targets} if others else {}
        self.put("aim", write(users) if others else first.user)
        self._set(first)
        for index, target in enumerate(others):
            self.ksr.corex.append_branch_uri(target.uri)
            if target.dst:
                self.ksr.pv.sets(f"$(branch(dst_uri)[{index}])", target.dst)
            if target.sock:
                self.ksr.pv.sets(f"$(branch(send_socket)[{index}])", target.sock)

    def aimed_at(self) -> str:
        """In the branch stage: to which of the targets' users this branch goes."""
        aim = self.get("aim")
        if not aim.startswith("{"):
            return aim
        return str(read(aim).get(f"{self.pv('$ru')} {self.pv('$du')}", ""))

    def _set(self, target: Target) -> None:
        self.ksr.seturi(target.uri)
        if target.dst:
            self.ksr.setdsturi(target.dst)
        else:
            self.ksr.resetdsturi()
        if target.sock:
            self.ksr.corex.set_send_socket(target.sock)

    def send_from(self, sock: str) -> None:
        """The socket to send from, as Kamailio names it."""
        self.ksr.corex.set_send_socket(sock)

    def contacts(self, user: str, domain: str) -> list[Target]:
        """Live bindings of one extension."""
        if not yes(
            self.ksr.registrar.reg_fetch_contacts("location", f"sip:{user}@{domain}", "callee"),
            "reg_fetch_contacts",
        ):
            return []
        get, found = self._pv_get, []
        for index in range(get("$(ulc(callee=>count))") or 0):
            uri, received, socket = invite.lines(get(_contact(index)) or "", 3) or ("", "", "")
            if uri:
                found.append(Target(uri, user, received, socket))
        return found  # Kamailio's copies are freed by the next fetch

    # dialogs

    def track(self) -> bool:
        """Begin to follow this call as a dialog."""
        return yes(self.ksr.dialog.dlg_manage(), "dialog.dlg_manage")

    def known_dialog(self) -> bool:
        """Whether the dialog module knows the call of the current request."""
        return yes(self.ksr.dialog.is_known_dlg(), "dialog.is_known_dlg")

    def note(self, name: str, value: str) -> None:
        """Keep a value with the dialog."""
        self.ksr.dialog.var_sets(name, value)

    def noted(self, name: str) -> str:
        """A value kept with the dialog, "" when there is none."""
        return str(self.ksr.dialog.var_gete(name) or "")

    def expire_dialog(self, entry: int, number: int, after_s: int) -> None:
        """Let a dialog, named by the dialog module's handle, run out after that time."""
        self.ksr.dialog.dlg_set_timeout_id(after_s, entry, number)

    def current_dialog(self) -> dict[str, Any]:
        """The dialog at hand, in the shape and words in which Kamailio's RPC prints one."""

        def leg(side: str) -> dict[str, str]:
            names = {
                "tag": "tag",
                "contact": "contact",
                "cseq": "cseq",
                "route_set": "rs",
                "socket": "bindaddr",
            }
            return {key: self.pv(f"$dlg({side}_{name})") for key, name in names.items()}

        return {
            "call-id": self.pv("$dlg(callid)"),
            "from_uri": self.pv("$dlg(from_uri)"),
            "to_uri": self.pv("$dlg(to_uri)"),
            "caller": leg("from"),
            "callee": leg("to"),
        }

    def keepalive(self, side: str) -> None:
        """Ask one side ("src" or "dst") from time to time whether the call is still up."""
        self.ksr.dialog.dlg_set_property(f"ka-{side}")

    def count_in(self, profile: str, value: str = "") -> None:
        """Count this call in a dialog profile, under `value` if the profile has values."""
        dialog = self.ksr.dialog
        dialog.set_dlg_profile(profile, value) if value else dialog.set_dlg_profile_static(profile)

    def count_out(self, profile: str, value: str = "") -> None:
        """Count this call there no longer."""
        dialog = self.ksr.dialog
        dialog.unset_dlg_profile(profile, value) if value else dialog.unset_dlg_profile_static(profile)

    def counted(self, profile: str, value: str = "") -> int:
        """Calls counted in a profile."""
        dialog, count = self.ksr.dialog, "$avp(ky_count)"
        if value:
            dialog.get_profile_size(profile, value, count)
        else:
            dialog.get_profile_size_static(profile, count)
        return int(self.pv(count) or 0)

    def rpc(self, method: str, *params: str | int) -> Any:
        """Result of one of Kamailio's own commands, None when it was refused."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        self.ksr.jsonrpcs.exec(json.dumps(request))
        try:
            answer = json.loads(self.pv("$jsonrpl(body)"))
        except ValueError:
            return None
        return answer.get("result") if isinstance(answer, dict) else None

    # routing headers, contacts, caller

    def record_route(self, params: str) -> None:
        """Stay in the path of the dialog."""
        self.ksr.rr.record_route_params(params)

    def to_self(self) -> bool:
        """Whether the Request-URI names this box."""
        return self.ksr.is_myself_ruri() is True

    def upstream(self) -> bool:
        """Whether a request goes towards the first caller. Only where the box's own Route headers were taken off."""
        return yes(self.ksr.rr.is_direction("upstream"), "rr.is_direction")

    def reset_next_hop(self) -> None:
        """Send to the Request-URI."""
        self.ksr.resetdsturi()

    def alias_contact(self) -> None:
        """Write the sender's true address beside its Contact, where the two differ."""
        self.ksr.nathelper.set_contact_alias()

    def follow_alias(self) -> bool:
        """Send to the address that `alias_contact` wrote. False: there is none."""
        return yes(self.ksr.nathelper.handle_ruri_alias(), "nathelper.handle_ruri_alias")

    def replace_from(self, display: str, uri: str) -> None:
        """Show another caller on this branch; replies and later requests are turned back by themselves."""
        self.ksr.uac.uac_replace_from(display, uri)

    # bodies and media

    def set_body(self, sdp: str) -> None:
        """Send another SDP."""
        self.ksr.textops.set_body(sdp, "application/sdp")

    def offer(self, flags: str, sdp: str) -> str:
        """An SDP offer as rtpengine writes it anew, "" when it is gone or refuses. Blocks. Changes no message."""
        self._set_avp(SDP_IN, sdp)
        done = yes(self.ksr.rtpengine.rtpengine_offer(flags), "rtpengine_offer")
        return self.pv(SDP_OUT) if done else ""

    def answer(self, flags: str, sdp: str) -> str:
        """The same for an answer."""
        self._set_avp(SDP_IN, sdp)
        done = yes(self.ksr.rtpengine.rtpengine_answer(flags), "rtpengine_answer")
        return self.pv(SDP_OUT) if done else ""

    def stop_recording(self) -> None:
        """End the capture of the current message's call; its audio goes on."""
        self.ksr.rtpengine.stop_recording()

    def release_media(self, flags: str = "") -> None:
        """Tell rtpengine that the call is over."""
        self.ksr.rtpengine.rtpengine_delete(flags)

    # tables

    def look(self, table: str, key: str) -> str:
        """A value of an htable, "" when there is none."""
        value = self.ksr.htable.sht_gete(table, key)
        return "" if value is None else str(value)

    def table(self, table: str) -> dict[str, str]:
        """All of an htable. Holds its locks one after the other: not for a SIP worker."""
        htable, rows = self.ksr.htable, {}
        htable.sht_iterator_start("ky", table)
        while yes(htable.sht_iterator_next("ky"), "htable.sht_iterator_next"):
            rows[self.pv("$shtitkey(ky)")] = self.pv("$shtitval(ky)")
        htable.sht_iterator_end("ky")
        return rows

    def keep(self, table: str, key: str, value: str) -> None:
        """Put a value into an htable, for as long as that table keeps things."""
        self.ksr.htable.sht_sets(table, key, value)

    def count(self, table: str, key: str) -> int:
        """Add one to a counter; gives its new value."""
        return number(self.ksr.htable.sht_inc(table, key), "htable.sht_inc")

    def lock(self, name: str) -> None:
        """Wait for a lock that all processes share. Whoever has it does nothing slow, and gives it back (`unlock`)."""
        number(self.ksr.cfgutils.lock(name), "cfgutils.lock")

    def unlock(self, name: str) -> None:
        """Give a lock back."""
        number(self.ksr.cfgutils.unlock(name), "cfgutils.unlock")

    def forget(self, table: str, key: str) -> None:
        """Take a value out of an htable."""
        self.ksr.htable.sht_rm(table, key)

    def queue(self, name: str, key: str, value: str) -> None:
        """Put an item into a queue."""
        self.ksr.mqueue.mq_add(name, key, value)

    def send(self, uri: str, sock: str, data: str) -> None:
        """Send text as it is, outside any transaction."""
        self.ksr.corex.sendx(uri, sock, data)


@cache
def _contact(index: int) -> str:
    """Pseudo-variable of a fetched contact: a line each for its address, where it is reached, and the socket."""
    return invite.question([f"$(ulc(callee=>{field})[{index}])" for field in ("addr", "received", "socket")])
