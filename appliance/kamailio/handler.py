"""What Kamailio asks of Python: one entry for each `python_exec` of `etc/routes.cfg`, which says when.

    ksr_admit               request of somebody that no telephone has registered from
    ksr_register            REGISTER
    ksr_cancel              CANCEL
    ksr_within*             request within a call
    ksr_invite, ksr_other   request outside a call
    ksr_answer              2xx of a call of which some target was passed over, before tm sees it
    ksr_call_*              branch, reply and failure stage of an INVITE (`calls`)
    ksr_dialog_*            reply and failure stage of a request within a call (`dialogs`)
    ksr_register_*          reply and failure stage of a REGISTER relayed to the upstream (`relayed_register`)
    ksr_dialog_event        a dialog has failed or ended
    ksr_expired             a binding's time is over
    ksr_own_reply           reply to a request of the box's own
    ksr_http                HTTP request: a WebSocket handshake, or refused
    ksr_journal             process "journal": queues to disk
    ksr_upstream            process "upstream": registrations of the box's own
    ksr_media               process "media": calls whose audio timed out

What the parts give: `calls.begin(facts, plan)`, `.branch_stage()`, `.reply_stage()`, `.failure_stage()`, `.is_in_time()`;
`dialogs.within()`, `.reply_stage()`, `.failure_stage()`, `.ended()`; `registrar.register()`. Each reads the current message
through its own adapter. What they share is in `worker.Worker`, made once per process.

A method that raises is Kamailio's silence: app_python3 logs the exception and answers nobody, so the phone repeats itself for
32 s. Therefore every entry catches everything, logs it and, where there is a request, answers 500.
"""

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.kamailio import bindings, facts, journal, login, self_test
from appliance.kamailio.dialplan import is_emergency
from appliance.kamailio.digest import SECRET_BYTES
from appliance.kamailio.flood import Source, is_dropped
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.registrar import ALLOW, Shown
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.kamailio.snapshot_view import SnapshotError
from appliance.kamailio.sources import Known
from appliance.kamailio.subscriptions import ALLOW_EVENTS
from appliance.kamailio.worker import Worker

CONTINUE, NO = 1, -1
"""What an entry returns: true and false in routes.cfg. (0 would end the script there, None is an error.)"""

PLAIN = 2
"""What `ksr_invite` returns for a call that is decided and left to routes.cfg."""

ANSWERED_END = "dialog:end"
"""Event of the dialog module for the end of a call that was answered; the other one is "dialog:failed"."""

KNOWN_METHODS = frozenset(
    {"NOTIFY", "PUBLISH", "MESSAGE", "REFER", "INFO", "UPDATE", "PRACK", "BYE", "ACK", "CANCEL"}
)
"""Methods of the RFCs that start nothing here outside a call: 405; any other one gets 501 (RFC 3261 section 8.2.1)."""

SUPPORTED = frozenset({"path", "replaces", "timer"})
"""Option tags that a request answered by the box may require."""

RETRY_AFTER_S = 30
"""Told to a phone while the box has no configuration."""


def begin(raw: Any, settings: str) -> "Handler":
    """Before the fork: check the databases that Kamailio is about to load. settings: JSON made by `render.settings`."""
    return Handler(raw, json.loads(settings), os.urandom(SECRET_BYTES).hex())


class Handler:
    """Its methods are Kamailio's routes. One object, copied by the fork; `worker` is made anew in each process."""

    def __init__(self, raw: Any, settings: dict[str, Any], key: str) -> None:
        """key: what nonces are made with; the same in all workers."""
        self._raw = raw
        self._settings = settings
        self._key = key
        self._ksr = Ksr(raw)
        self._worker: Worker | None = None
        path, load = Path(settings["bindings"]), Path(settings["bindings_load"])
        for what, fault in (
            ("journal", journal.prepare(Path(settings["journal"]))),
            ("bindings", bindings.prepare(path, load)),
        ):
            if fault:
                self._ksr.error(
                    f"{what}: the old file cannot be used ({fault}); it is set aside and a new one begun"
                )

    @property
    def worker(self) -> Worker:
        """This process's parts; opened on first use, so that no handle crosses the fork."""
        if self._worker is None:
            self._worker = Worker(self._raw, self._settings, self._key)
        return self._worker

    def child_init(self, _rank: int) -> int:
        """Called once in each process after the fork."""
        self._worker = None
        return 0

    # requests

    def ksr_admit(self, _message: object) -> int:
        """A request from an address that no telephone has registered from. `NO`: it is answered or passed over."""
        return self._request("request", self._admit)

    def ksr_register(self, _message: object) -> int:
        """A REGISTER."""
        return self._request("register", self._register)

    def ksr_cancel(self, _message: object) -> int:
        """A CANCEL."""
        return self._request("cancel", self._cancel)

    def ksr_within(self, _message: object) -> int:
        """A request within a call whose own Route headers are taken off."""
        return self._request("within", lambda: self._within(routed=True))

    def ksr_within_unrouted(self, _message: object) -> int:
        """A request with a To tag that has no Route header of this box."""
        return self._request("within", lambda: self._within(routed=False))

    def _within(self, routed: bool) -> None:
        worker = self.worker
        if self._ksr.method == "SUBSCRIBE" and worker.subscribing.is_ours():
            worker.subscribing.subscribe(within=True)
        else:
            worker.dialogs.within(routed)

    def ksr_invite(self, _message: object) -> int:
        """A call that begins. `PLAIN`: routes.cfg carries it."""
        return self._request("invite", self._invite, no=PLAIN)

    def ksr_other(self, _message: object) -> int:
        """Any other request outside a call."""
        return self._request("request", self._other)

    def _request(self, what: str, do: Callable[[], bool | None], no: int = NO) -> int:
        """One SIP request. no: what is returned where `do` gives False."""
        try:
            worker = self.worker
            worker.parts.ksr.enter()
            worker.view.refresh()
            return no if do() is False else CONTINUE
        except UnicodeDecodeError:
            self._refuse(400, "Bad Request")
        except SnapshotError as error:
            self._ksr.error(f"request refused: {error.message}")
            self._ksr.reply_header(f"Retry-After: {RETRY_AFTER_S}\r\n")
            self._refuse(503, "Service Unavailable")
        except Exception:
            self._log_bug(what)
            self._refuse(500, "Server Internal Error")
        return NO

    def _admit(self) -> bool:
        """Peers and the box itself come in; strangers are counted, and what is too much is passed over in silence."""
        ksr, worker = self._ksr, self.worker
        source = ksr.source
        known = worker.sources().known(source)
        if known.source is Source.PEER:
            return True
        if not worker.here.is_own(source):
            count = ksr.count("strangers", source)
            if is_dropped(known.source, count, ksr.user_agent):
                ksr.count("counts", "dropped")
                return False
        ksr.force_rport()
        return True

    def _known(self) -> Known:
        return self.worker.sources().known(self._ksr.source)

    def _cancel(self) -> None:
        if self._ksr.has_transaction():
            self.worker.dialogs.cancel()
        else:
            self._ksr.reply(481, "Call/Transaction Does Not Exist")

    def _understood(self) -> bool:
        """Whether the box can do what the sender requires of it (RFC 3261 section 8.2.2.3). False: it was told no."""
        required = self._ksr.header("Require")
        if not required:
            return True
        missing = [
            tag for word in required.split(",") if (tag := word.strip()) and tag.lower() not in SUPPORTED
        ]
        if missing:
            self._ksr.reply_header(f"Unsupported: {', '.join(missing)}\r\n")
            self._ksr.reply(420, "Bad Extension")
        return not missing

    def _register(self) -> None:
        if self._known().source is Source.PEER:
            self._not_allowed(405, "Method Not Allowed")
        elif self._understood():
            self.worker.register()

    def _invite(self) -> bool:
        worker = self.worker
        call = worker.parts.ksr
        call.hear()
        source, dialled = call.pv("$si"), call.pv("$rU")
        # Only a sender on this machine has an address of the box.
        if dialled == self_test.USER and worker.here.is_own(source):
            self._ksr.reply(*self._self_tested())
            return True
        known = worker.sources().known(source)
        origin, origin_id = known.origin, known.peer_id
        if known.source is not Source.PEER:
            number = worker.caller(Shown(call.header("Proxy-Authorization"), "INVITE", dialled, source))
            if number is None:
                return True
            origin, origin_id = Origin.PHONE, number
        worker.kept.refresh()
        given = facts.call_facts(origin, origin_id, call.pv, call.headers)
        if origin is Origin.PHONE and not worker.kept.empty:
            given = self._seated(given)
        shown = login.masked(given.dialled, worker.view.policy)
        if shown != given.dialled:
            return worker.calls.begin(replace(given, dialled=shown), decide(given, worker.view))
        return worker.calls.begin(given, worker.memory.decide(given, worker.view))

    def _seated(self, given: CallFacts) -> CallFacts:
        """The call of a telephone at which somebody is logged in is that person's; one for help stays the telephone's, whose
        place it is."""
        worker = self.worker
        person = worker.desks.person_at(given.origin_id)
        if (
            not person
            or worker.view.extension(person) is None
            or is_emergency(given.dialled, worker.view.policy)
        ):
            return given
        return replace(given, origin_id=person, caller=person, device=given.origin_id)

    def _self_tested(self) -> tuple[int, str]:
        given = self_test.call_of(self._ksr.header(self_test.HEADER))
        return self_test.UNREADABLE if given is None else self_test.answer(decide(given, self.worker.view))

    def _other(self) -> None:
        """Outside a call. Nothing is relayed: whoever asks is answered by the box."""
        ksr = self._ksr
        method = ksr.method
        if method == "ACK":
            if ksr.has_transaction():
                ksr.relay()
        elif method == "OPTIONS" and self._understood():
            ksr.reply_header(
                f"Allow: {ALLOW}\r\nAccept: application/sdp\r\nSupported: path, replaces, timer\r\n"
                f"Allow-Events: {ALLOW_EVENTS}\r\n"
            )
            ksr.reply(200, "OK")
        elif method == "OPTIONS":
            return
        elif method == "BYE":
            ksr.reply(481, "Call/Transaction Does Not Exist")
        elif method == "SUBSCRIBE":
            if self._known().source is Source.PEER:
                ksr.reply(403, "Forbidden")
            else:
                self.worker.subscribing.subscribe(within=False)
        elif method in KNOWN_METHODS:
            self._not_allowed(405, "Method Not Allowed")
        else:
            self._not_allowed(501, "Not Implemented")

    def _not_allowed(self, code: int, reason: str) -> None:
        self._ksr.reply_header(f"Allow: {ALLOW}\r\n")
        self._ksr.reply(code, reason)

    def _refuse(self, code: int, reason: str) -> None:
        """Last resort: whatever happens here, the worker lives on."""
        try:
            if self._ksr.method != "ACK":
                self._ksr.reply(code, reason)
        except Exception:
            self._log_bug("last reply")

    # replies and failures

    def ksr_answer(self, _message: object) -> int:
        """A 2xx to an INVITE of which some target was passed over. `NO`: it comes too late and goes no further."""
        return self._stage("answer", lambda worker: worker.calls.is_in_time())

    def ksr_call_unsent(self, _message: object) -> int:
        """A plain call could not be sent."""
        return self._stage("call unsent", lambda worker: worker.calls.unsent_stage(), answer=True)

    def ksr_call_branch(self, _message: object) -> int:
        """One branch of an INVITE is about to be sent. `NO`: it is not."""
        return self._stage("branch", lambda worker: worker.calls.branch_stage())

    def ksr_call_reply(self, _message: object) -> int:
        """A reply to an INVITE."""
        return self._later("call reply", lambda worker: worker.calls.reply_stage())

    def ksr_call_failure(self, _message: object) -> int:
        """An INVITE's branches have all failed."""
        return self._later("call failure", lambda worker: worker.calls.failure_stage(), answer=True)

    def ksr_dialog_reply(self, _message: object) -> int:
        """A reply within a call."""
        return self._later("dialog reply", lambda worker: worker.dialogs.reply_stage())

    def ksr_dialog_failure(self, _message: object) -> int:
        """A request within a call has failed."""
        return self._later("dialog failure", lambda worker: worker.dialogs.failure_stage(), answer=True)

    def ksr_register_reply(self, _message: object) -> int:
        """The upstream's reply to a phone's REGISTER."""
        return self._guarded("register reply", lambda: self.worker.relayed.reply_stage())

    def ksr_register_failure(self, _message: object) -> int:
        """A phone's REGISTER failed at the upstream."""
        return self._guarded("register failure", lambda: self.worker.relayed.failure_stage(), answer=True)

    # events

    def ksr_dialog_event(self, _message: object, event: str) -> int:
        """A call has ended."""
        return self._stage(event, lambda worker: worker.dialogs.ended(event == ANSWERED_END))

    def ksr_own_reply(self, _message: object) -> int:
        """A reply, or none, to a request of the box's own."""
        return self._guarded("own reply", lambda: self.worker.own_reply())

    def ksr_expired(self, _message: object) -> int:
        """A binding's time is over."""
        return self._guarded("expired", lambda: self.worker.registrar.expired(self._ksr.expired_number()))

    def ksr_http(self, _message: object) -> int:
        """An HTTP request on a SIP socket."""
        return self._guarded("http", self._http)

    def _http(self) -> None:
        ksr = self._ksr
        if ksr.header("Upgrade").lower() == "websocket" and "upgrade" in ksr.header("Connection").lower():
            ksr.websocket_upgrade()
        else:
            ksr.http_reply(404, "Not Found")

    # processes of the box's own

    def ksr_journal(self, _message: object) -> int:
        """Every 50 ms in the process "journal": calls first."""
        self._guarded("journal", lambda: self.worker.write())
        return self._guarded("lamps", lambda: self.worker.light())

    def ksr_upstream(self, _message: object) -> int:
        """Every 200 ms in the process "upstream"."""
        return self._guarded("upstream", lambda: self.worker.register_upstream())

    def ksr_media(self, _message: object) -> int:
        """Every 200 ms in the process "media"."""
        return self._guarded("media", lambda: self.worker.watch_media())

    # bugs

    def _stage(self, what: str, do: Callable[[Worker], bool | None], answer: bool = False) -> int:
        """A stage of a call, with a memory of its own (`KsrCall.enter`). `do` gives False for a message that goes no further."""
        try:
            worker = self.worker
            call = worker.parts.ksr
            outer = call.enter()
            try:
                return NO if do(worker) is False else CONTINUE
            finally:
                call.leave(outer)
        except Exception:
            self._log_bug(what)
            if answer:
                self._refuse(500, "Server Internal Error")
        return CONTINUE

    def _later(self, what: str, do: Callable[[Worker], bool | None], answer: bool = False) -> int:
        """A stage that a later message begins, or a timer, often in another process than the one that took the request, and one
        that may not have heard of the configuration by which the plan was made."""

        def anew(worker: Worker) -> bool | None:
            worker.view.refresh()
            return do(worker)

        return self._stage(what, anew, answer)

    def _guarded(self, what: str, do: Callable[[], object], answer: bool = False) -> int:
        try:
            do()
        except Exception:
            self._log_bug(what)
            if answer:
                self._refuse(500, "Server Internal Error")
        return CONTINUE

    def _log_bug(self, what: str) -> None:
        self._ksr.error(f"{what}: {traceback.format_exc()}")
