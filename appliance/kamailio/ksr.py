"""What receiving a request, registering a phone and the box's own processes ask of Kamailio: the KSR object, typed.

Adapter; decides nothing. With `ksr_call`, which does the same for calls, it is the only place that sees what KSR returns
(`ksr_result` says how to read it).

No method blocks on anything but Kamailio's own locks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from appliance.kamailio.ksr_result import KsrMisuse, number, yes

NATED, PINGED = 6, 7
"""Branch flags FLB_NATB and FLB_NATSIPPING of kamailio.cfg."""

NO_REPLY = 2
"""Flag of `save`: the script answers."""

NAT_SIGNS = 2 + 16 + 64
"""`nat_uac_test`: the source differs from Via in address (2) or port (16), or the phone speaks WebSocket (64)."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address of record, as usrloc holds it. expires_s: seconds since 1970. q: thousandths, -1 for none.
    socket: as Kamailio names it. methods: its bit mask."""

    contact: str
    expires_s: int
    received: str = ""
    path: str = ""
    socket: str = ""
    call_id: str = ""
    cseq: int = 1
    q: int = -1
    flags: int = 0
    cflags: int = 0
    methods: int = -1
    user_agent: str = ""
    ruid: str = ""
    instance: str = ""
    reg_id: int = 0
    modified_s: int = 0


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request that the box sends by itself. to, ruri: URIs. hop: URI of the next hop. sock: the box's socket.
    tag: given back with the reply. headers: whole lines, each with its line end."""

    method: str
    ruri: str
    to: str
    hop: str
    sock: str
    tag: str
    headers: str


class Ksr:
    """The current SIP message, Kamailio's tables and queues, through `raw` (the KSR module, or a strict double)."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._pv_get, self._hdr_get = raw.pv.get, raw.hdr.get

    # log

    def info(self, text: str) -> None:
        """One line of Kamailio's log, level INFO."""
        self.raw.info(text.replace("\n", " | ") + "\n")

    def warn(self, text: str) -> None:
        """One line of level WARNING."""
        self.raw.warn(text.replace("\n", " | ") + "\n")

    def error(self, text: str) -> None:
        """One line of level ERROR."""
        self.raw.err(text.replace("\n", " | ") + "\n")

    # the message

    def pv(self, name: str) -> str:
        """A pseudo-variable's text, "" when it is not set."""
        value = self._pv_get(name)
        return "" if value is None else str(value)

    def set_pv(self, name: str, value: str) -> None:
        """Set a pseudo-variable. Raises `KsrMisuse` for one that cannot be set."""
        if self.raw.pv.sets(name, value) is not True:
            raise KsrMisuse(f"{name} cannot be set")

    def header(self, name: str) -> str:
        """The first header of that name, "" when there is none."""
        value = self._hdr_get(name)
        return "" if value is None else str(value)

    def headers(self, name: str) -> list[str]:
        """Every header of that name, from the top."""
        count = self.raw.pv.get(f"$hdrc({name})") or 0
        return [str(self.raw.hdr.gete_idx(name, index)) for index in range(int(count))]

    @property
    def method(self) -> str:
        """Method of the request, or of the CSeq of a reply."""
        return str(self.raw.kx.get_method())

    @property
    def source(self) -> str:
        """Address that the message came from."""
        return str(self.raw.kx.get_srcip())

    @property
    def source_port(self) -> int:
        """Port that the message came from."""
        return number(self.raw.kx.get_srcport(), "kx.get_srcport")

    @property
    def user_agent(self) -> str:
        """User-Agent, "" when there is none."""
        return str(self.raw.kx.gete_ua() or "")

    # REQINIT

    def force_rport(self) -> None:
        """Answer to the port that the request came from (RFC 3581), asked or not."""
        self.raw.force_rport()

    # replies and transactions

    def reply(self, code: int, reason: str) -> bool:
        """Answer the request: through its transaction where there is one, else without state."""
        return yes(self.raw.sl.send_reply(code, reason), "sl.send_reply")

    def tag_to(self, tag: str) -> None:
        """Give the request, and so its reply, a To tag: before the transaction is made."""
        value = self.header("To")
        self.raw.hdr.remove("To")
        number(self.raw.hdr.append(f"To: {value};tag={tag}\r\n"), "hdr.append")
        number(self.raw.textopsx.msg_apply_changes(), "textopsx.msg_apply_changes")

    def reply_header(self, lines: str) -> None:
        """Add header lines, each with its line end, to the reply that follows."""
        number(self.raw.hdr.append_to_reply(lines), "hdr.append_to_reply")

    def retransmission(self) -> bool:
        """Whether the request belongs to a transaction that exists: tm has repeated the answer if there is one."""
        if yes(self.raw.tmx.t_precheck_trans(), "tmx.t_precheck_trans"):
            self.raw.tm.t_check_trans()
            return True
        return number(self.raw.tm.t_check_trans(), "tm.t_check_trans") == 0

    def has_transaction(self) -> bool:
        """Whether an ACK or CANCEL belongs to a transaction."""
        return yes(self.raw.tm.t_check_trans(), "tm.t_check_trans")

    def begin(self) -> bool:
        """Make the transaction. False: a retransmission, or no memory."""
        return yes(self.raw.tm.t_newtran(), "tm.t_newtran")

    def arm(self, failure: str, reply: str) -> None:
        """Name the stages that follow."""
        self.raw.tm.t_on_failure(failure)
        self.raw.tm.t_on_reply(reply)

    def limits(self, answer_ms: int, life_ms: int) -> None:
        """Time limits of the branches that follow."""
        self.raw.tm.t_set_fr(answer_ms, life_ms)

    def patience(self, first_ms: int, max_ms: int) -> None:
        """Repeat requests over UDP after first_ms, then ever less often up to max_ms."""
        self.raw.tm.t_set_retr(first_ms, max_ms)

    def relay(self) -> bool:
        """Send on. False: nothing could be sent."""
        return yes(self.raw.tm.t_relay(), "tm.t_relay")

    def canceled(self) -> bool:
        """Whether the sender has given up."""
        return yes(self.raw.tm.t_is_canceled(), "tm.t_is_canceled")

    def failure_code(self) -> int:
        """In the failure stage: the best final code."""
        return number(self.raw.tm.t_get_status_code(), "tm.t_get_status_code")

    def replied(self) -> bool:
        """In the failure stage: whether the far side said anything. tm marks a branch as replied only after its first reply is
        dealt with, so the reply itself is looked for too."""
        return yes(self.raw.tm.t_branch_replied(), "tm.t_branch_replied") or bool(self.pv("$T_rpl($rs)"))

    def send_to(self, uri: str, sock: str) -> None:
        """Next hop and socket of what is relayed."""
        self.raw.setdsturi(uri)
        if sock:
            number(self.raw.corex.set_send_socket(sock), "corex.set_send_socket")

    def append(self, lines: str) -> None:
        """Add header lines, each with its line end, to what is relayed."""
        number(self.raw.hdr.append(lines), "hdr.append")

    def remove(self, name: str) -> None:
        """Take every header of that name out of what is relayed."""
        self.raw.hdr.remove(name)

    # registrations

    def mark_nated(self) -> bool:
        """Remember the source beside the contact when the phone is not where it says. True: it is not."""
        if not yes(self.raw.nathelper.nat_uac_test(NAT_SIGNS), "nathelper.nat_uac_test"):
            return False
        self.raw.nathelper.fix_nated_register()
        self.raw.setbflag(NATED)
        if self.raw.is_UDP():
            self.raw.setbflag(PINGED)
        return True

    def grant_at_most(self, seconds: int) -> None:
        """What the next `save` grants, whatever is asked for. Not for a REGISTER that takes a binding away."""
        self.raw.pv.seti("$xavp(reg=>expires)", seconds)

    def save(self, aor: str) -> int:
        """Store the contacts of a REGISTER without answering. 1 new, 2 changed, 3 removed, 4 asked only; -2 too many,
        -1 refused (`send_save_reply` says why)."""
        return number(self.raw.registrar.save_uri("location", NO_REPLY, aor), "registrar.save_uri")

    def send_save_reply(self) -> bool:
        """Answer a REGISTER with what `save` came to."""
        return yes(self.raw.registrar.reg_send_reply(), "registrar.reg_send_reply")

    def bindings(self, aor: str, profile: str = "own") -> list[Binding]:
        """Contacts of an address of record, live or just expired."""
        if not yes(self.raw.registrar.reg_fetch_contacts("location", aor, profile), "reg_fetch_contacts"):
            return []
        get = self.raw.pv.get
        found = []
        for index in range(int(get(f"$(ulc({profile}=>count))") or 0)):
            row = [get(f"$(ulc({profile}=>{name})[{index}])") for name in _FIELDS]
            found.append(_binding(row))
        self.raw.registrar.reg_free_contacts(profile)
        return found

    def forget(self, aor: str, ruid: str) -> bool:
        """Remove one contact."""
        return yes(self.raw.registrar.unregister_ruid("location", aor, ruid), "unregister_ruid")

    def registered(self, aor: str) -> bool:
        """Whether an address of record has a live contact."""
        return yes(self.raw.registrar.registered_uri("location", aor), "registered_uri")

    def expired_number(self) -> str:
        """In `ksr_registrar_event`: number whose binding was dropped."""
        return self.pv("$ulc(exp=>aor)")

    def rpc(self, method: str, *params: str | int | float) -> Any:
        """Result of one of Kamailio's own commands; None when it was refused."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        if number(self.raw.jsonrpcs.exec(json.dumps(request)), "jsonrpcs.exec") < 0:
            return None
        try:
            answer = json.loads(self.pv("$jsonrpl(body)"))
        except ValueError:
            return None
        return answer.get("result", True) if isinstance(answer, dict) and "error" not in answer else None

    # tables and queues

    def look(self, table: str, key: str) -> str:
        """A value of an htable, "" when there is none."""
        value = self.raw.htable.sht_get(table, key)
        return "" if value is None else str(value)

    def keep(self, table: str, key: str, value: str) -> None:
        """Put a value into an htable, for as long as that table keeps things."""
        number(self.raw.htable.sht_sets(table, key, value), "htable.sht_sets")

    def forget_entry(self, table: str, key: str) -> None:
        """Take a value out of an htable."""
        self.raw.htable.sht_rm(table, key)

    def count(self, table: str, key: str) -> int:
        """Add one to a counter; gives its new value."""
        return number(self.raw.htable.sht_inc(table, key), "htable.sht_inc")

    def put(self, queue: str, key: str, value: str) -> bool:
        """Put an item into a queue. False: it is lost (no memory)."""
        return yes(self.raw.mqueue.mq_add(queue, key, value), "mqueue.mq_add")

    def take(self, queue: str) -> tuple[str, str] | None:
        """Take the oldest item, None when the queue is empty."""
        return next(self.take_all(queue, 1), None)

    def take_all(self, queue: str, most: int) -> Iterator[tuple[str, str]]:
        """Take items, the oldest first, until the queue is empty or `most` are taken. The item itself is freed by the fetch
        that follows it."""
        module = self.raw.mqueue
        fetch, key, value = module.mq_fetch, module.mqk_gete, module.mqv_gete
        for _ in range(most):
            if not yes(fetch(queue), "mqueue.mq_fetch"):
                return
            yield key(queue), value(queue)

    # requests of the box's own

    def send_text(self, uri: str, sock: str, text: str) -> bool:
        """Send text as it is, outside any transaction; not by WebSocket. False: nothing could be sent."""
        return yes(self.raw.corex.sendx(uri, sock, text), "corex.sendx")

    def send(self, request: OwnRequest) -> bool:
        """Send a request; its reply reaches `ksr_uac_event`. False: nothing could be sent."""
        values = {
            "method": request.method,
            "ruri": request.ruri,
            "furi": request.to,
            "turi": request.to,
            "ouri": request.hop,
            "sock": request.sock,
            "hdrs": request.headers,
            "evparam": request.tag,
        }
        sets = self.raw.pv.sets
        sets("$uac_req(all)", "")
        for name, value in values.items():
            if sets(f"$uac_req({name})", value) is not True:
                raise KsrMisuse(f"$uac_req({name}) cannot be set")
        self.raw.pv.seti("$uac_req(evroute)", 1)
        return yes(self.raw.uac.uac_req_send(), "uac.uac_req_send")

    def own_reply(self) -> tuple[str, int]:
        """In `ksr_uac_event`: tag of the request and code of its reply, 408 when none came."""
        return self.pv("$uac_req(evparam)"), int(self.pv("$uac_req(evcode)") or 0)

    # WebSocket

    def websocket_upgrade(self) -> bool:
        """Turn an HTTP request into a WebSocket. False: it was refused and answered."""
        return yes(self.raw.websocket.handle_handshake(), "websocket.handle_handshake")

    def http_reply(self, code: int, reason: str) -> None:
        """Answer an HTTP request."""
        self.raw.xhttp.xhttp_reply(code, reason, "", "")


_FIELDS = (
    *("addr", "expires", "received", "path", "socket", "callid", "cseq", "q"),
    *("flags", "cflags", "methods", "user_agent", "ruid", "instance", "regid", "modified"),
)


def _binding(row: list[Any]) -> Binding:
    text = ["" if value is None else str(value) for value in row]
    digits = [int(word) if word.lstrip("-").isdigit() else 0 for word in text]
    return Binding(
        contact=text[0],
        expires_s=digits[1],
        received=text[2],
        path=text[3],
        socket=text[4],
        call_id=text[5],
        cseq=digits[6],
        q=digits[7],
        flags=digits[8],
        cflags=digits[9],
        methods=digits[10],
        user_agent=text[11],
        ruid=text[12],
        instance=text[13],
        reg_id=digits[14],
        modified_s=digits[15],
    )
