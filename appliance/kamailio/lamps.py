"""Tells telephones what they watch: calls of a number, messages in a box. In the process "journal", beside the journal's writer.

Adapter over `Ksr`, `LampCalls`, `LampStore` and `VoicemailCounts`. Nothing here is in the way of a call: what happens to calls it
reads from the journal's rows before they are written, so a lamp is late by a disk that is slow, and a call never is.

After a restart of Kamailio the subscriptions are read from disk and every telephone is told anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from appliance.kamailio import dialog_info, message_summary, presence_info, subscriptions
from appliance.kamailio.bindings import aor_of
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.lamp_calls import LampCalls, Part, Ringing
from appliance.kamailio.lamp_store import LampStore
from appliance.kamailio.message_summary import Messages
from appliance.kamailio.pickup import Order, taken
from appliance.kamailio.presence_info import Standing
from appliance.kamailio.snapshot_view import SnapshotView
from appliance.kamailio.subscribe import ALL, QUEUE, TABLE
from appliance.kamailio.subscriptions import GRACE_S, MESSAGES, OF_CALLS, PRESENCE, Subscription
from appliance.kamailio.voicemail_counts import VoicemailCounts

ITEMS_MAX = 500
"""Items of the queue that are dealt with in one turn."""

SENDS_MAX = 200
"""NOTIFYs of one turn, some 30 ms of work: the journal's next turn is never far."""

SECOND_PASS = 100
"""Steps of a call's second pass are numbered from here on, those of the first one below (`routing.STEPS_MAX`)."""

WRITTEN_EVERY = subscriptions.CSEQ_STEP // 2
"""NOTIFYs of a subscription after which it is written anew: not each, or every call would wear the flash for every lamp."""

STANDING_S = 5
"""How often it is looked which of the extensions whose presence somebody watches are registered, some 50 µs for each."""

Cancel = Callable[[Ringing, Order], None]


REPEAT_MS = (500, 1_000, 2_000, 4_000)
"""Pauses before a NOTIFY over UDP is sent again (RFC 3261 section 17.1.2.2, T1 doubled up to T2)."""


@dataclass(slots=True)
class Unheard:
    """A NOTIFY over UDP that nobody has answered. No transaction of Kamailio's: each holds 20 kB for half a minute."""

    hop: str
    sock: str
    text: str
    due_ms: int
    sent: int = 1


class Clock(Protocol):
    """Milliseconds since 1970."""

    def wall_ms(self) -> int: ...


class Lamps:
    """All subscriptions of one Kamailio."""

    def __init__(
        self,
        ksr: Ksr,
        view: SnapshotView,
        clock: Clock,
        store: LampStore,
        boxes: VoicemailCounts,
        cancel: Cancel,
        look_anew: Callable[[], None],
    ) -> None:
        """cancel: takes a ringing call from its telephones, for whoever picks it up. look_anew: has `view` see what telephones
        have set since."""
        self._ksr = ksr
        self._view = view
        self._clock = clock
        self._store = store
        self._boxes = boxes
        self._cancel = cancel
        self._look_anew = look_anew
        self.calls = LampCalls()
        self._all: dict[str, Subscription] = {}
        self._by_number: dict[tuple[str, str], dict[str, None]] = {}
        self._of: dict[str, int] = {}
        self._shown: dict[str, dict[str, Part]] = {}
        self._ended: dict[str, list[Part]] = {}
        self._standing: dict[str, Standing] = {}
        self._due: dict[str, None] = {}
        self._over: dict[str, str] = {}
        self._unsolicited: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._messages: dict[str, Messages] = {}
        self._found: dict[str, Messages] = {}
        self._mailboxes: tuple[str, ...] = ()
        self._looked_s = self._stood_s = 0
        self._moved: set[str] = set()
        self._ahead: list[tuple[str, str, str]] = []
        """Rows of calls whose beginning is still in the journal's queue, which was emptied before they came."""
        self._unheard: dict[str, Unheard] = {}
        self._rewatch = False
        self._begun = False

    def tick(self) -> int:
        """One turn; gives how many NOTIFYs were sent. Blocks on local files. Raises `SnapshotError` where there is no site."""
        now_s = self._clock.wall_ms() // 1000
        self._view.refresh()
        if not self._begun:
            self._begin(now_s)
        ahead, self._ahead = self._ahead, []
        for call, event, row in ahead:
            self.calls.take(call, event, row)
        self._fill()
        if self._rewatch:
            self._rewatch = False
            self.calls.watch(frozenset(number for event, number in self._by_number if event in OF_CALLS))
        self._settle()
        if now_s != self._looked_s:
            self._looked_s = now_s
            self._look(now_s)
        sent = self._send(now_s)
        self._repeat()
        if self._changed and self._store.write(self._all, self._changed, now_s):
            self._changed.clear()
        return sent

    # what comes in

    def _begin(self, now_s: int) -> None:
        self._begun = True
        for one in self._store.load(now_s):
            self._keep(one.restored())
            self._moved.add(one.key)
            row = [one.local_tag, one.user, one.number, one.event, one.hop[4:].rpartition(":")[0]]
            self._ksr.keep(TABLE, one.key, write(row))

    def _fill(self) -> None:
        for kind, text in self._ksr.take_all(QUEUE, ITEMS_MAX):
            try:
                self._ITEMS[kind](self, text)
            except (ValueError, KeyError, TypeError) as error:
                self._ksr.warn(f"lamps: an item is none and is passed over: {error}")

    def _subscribe(self, text: str) -> None:
        asked = Subscription.of(text)
        known = self._all.get(asked.key)
        one = known.renewed(asked) if known else asked
        self._moved.discard(one.key)
        full = len(self._all) >= subscriptions.ALL_MAX
        full = full or self._of.get(one.user, 0) >= subscriptions.PER_TELEPHONE_MAX
        if known is None and full:
            self._over[one.key] = "giveup"
        self._keep(one)
        if one.expires_s <= self._clock.wall_ms() // 1000:
            self._over[one.key] = "timeout"

    def _answered(self, text: str) -> None:
        """A telephone has heard, or does not know the subscription any more."""
        code, cseq, key = text.split(" ", 2)
        if key not in self._all:
            return
        if int(code) >= 300:
            self._drop(key)
        elif int(cseq) == self._all[key].cseq:
            self._unheard.pop(key, None)

    def _registered(self, number: str) -> None:
        if number in self._view.policy.mailboxes:
            self._unsolicited[number] = None

    def _pickup(self, text: str) -> None:
        order = Order.of_text(text)
        ringing = taken(order, self.calls.ringing(), self._view)
        if ringing is not None:
            self._cancel(ringing, order)

    def _step(self, text: str) -> None:
        self._second_pass("step", text)

    def _step_end(self, text: str) -> None:
        self._second_pass("step_end", text)

    def _second_pass(self, event: str, text: str) -> None:
        call, data = read(text)
        row = write(data | {"index": int(data["index"]) + SECOND_PASS})
        if self.calls.knows(call):
            self.calls.take(call, event, row)
        else:
            self._ahead.append((call, event, row))

    _ITEMS: ClassVar[dict[str, Callable[["Lamps", str], None]]] = {
        "subscribe": _subscribe,
        "answered": _answered,
        "registered": _registered,
        "pickup": _pickup,
        "step": _step,
        "step_end": _step_end,
    }

    def _keep(self, one: Subscription) -> None:
        if one.key not in self._all:
            self._of[one.user] = self._of.get(one.user, 0) + 1
            self._count(one.user)
        self._all[one.key] = one
        self._by_number.setdefault((one.event, one.number), {})[one.key] = None
        self._due[one.key] = self._changed[one.key] = None
        self._rewatch = True

    def _drop(self, key: str) -> None:
        one = self._all.pop(key)
        watchers = self._by_number[one.event, one.number]
        del watchers[key]
        if not watchers:
            del self._by_number[one.event, one.number]
            if one.event == PRESENCE:
                self._standing.pop(one.number, None)
            if not any((event, one.number) in self._by_number for event in OF_CALLS):
                self._shown.pop(one.number, None)
        self._of[one.user] -= 1
        self._due.pop(key, None)
        self._unheard.pop(key, None)
        self._moved.discard(key)
        self._changed[key] = None
        self._ksr.forget_entry(TABLE, key)
        self._count(one.user)
        self._rewatch = True

    def _count(self, user: str) -> None:
        self._ksr.keep(TABLE, f"of:{user}", str(self._of[user]))
        self._ksr.keep(TABLE, ALL, str(len(self._all)))

    # what has changed

    def _settle(self) -> None:
        for number in self.calls.settle():
            now = {part.id: part for part in self.calls.parts(number)}
            before = self._shown.get(number, {})
            if now == before:
                continue
            self._ended.setdefault(number, []).extend(before[gone] for gone in before.keys() - now.keys())
            self._shown[number] = now
            for event in OF_CALLS:
                self._due.update(self._by_number.get((event, number), {}))

    def _look(self, now_s: int) -> None:
        """Once a second: time that is over, messages that came or went."""
        for key, one in list(self._all.items()):
            if one.expires_s + GRACE_S < now_s:
                self._over[key] = "timeout"
                self._due[key] = None
        if now_s >= self._stood_s + STANDING_S:
            self._stood_s = now_s
            self._look_anew()
            for number, before in list(self._standing.items()):
                if (standing := self._stands(number)) != before:
                    self._standing[number] = standing
                    self._due.update(self._by_number.get((PRESENCE, number), {}))
        mailboxes = self._view.policy.mailboxes
        if not mailboxes:
            return
        found = self._boxes.look()
        if found is self._found and mailboxes is self._mailboxes:
            return
        self._found, self._mailboxes = found, mailboxes
        for number in mailboxes:
            count = found.get(number, message_summary.NONE)
            if self._messages.get(number, message_summary.NONE) != count:
                self._messages[number] = count
                self._due.update(self._by_number.get((MESSAGES, number), {}))
                self._unsolicited[number] = None

    # what goes out

    def _send(self, now_s: int) -> int:
        sent = 0
        while self._due and sent < SENDS_MAX:
            key = next(iter(self._due))
            del self._due[key]
            one = self._all[key] = self._all[key].next()
            over = self._over.pop(key, "")
            self._notify(one, now_s, over)
            if one.cseq % WRITTEN_EVERY == 0:
                self._changed[key] = None
            sent += 1
            if over:
                self._drop(key)
        if not self._due:
            self._ended.clear()
        while self._unsolicited and sent < SENDS_MAX:
            number = next(iter(self._unsolicited))
            del self._unsolicited[number]
            sent += self._tell_contacts(number)
        return sent

    def _notify(self, one: Subscription, now_s: int, over: str) -> None:
        domain = self._view.policy.domain
        if one.event == MESSAGES:
            body = message_summary.summary(
                one.number, domain, self._messages.get(one.number, message_summary.NONE)
            )
        else:
            if one.number not in self._shown:
                self._shown[one.number] = {part.id: part for part in self.calls.parts(one.number)}
            parts, ended = self._shown[one.number].values(), self._ended.get(one.number, ())
            if one.event == PRESENCE:
                standing = self._standing.setdefault(one.number, self._stands(one.number))
                states = frozenset(part.state for part in parts)
                body = presence_info.document(one.number, domain, standing, states)
            else:
                body = dialog_info.document(one.number, domain, one.version, parts, ended)
        hop, sock = self._way(one)
        headers = subscriptions.notify_headers(one, now_s, over)
        if not sock or "=ws" in hop:
            self._ksr.rpc("tm.t_uac_start", "NOTIFY", one.target, hop, sock or ".", headers, body)
            return
        text = subscriptions.notify(replace(one, sock=sock), headers, body)
        self._ksr.send_text(hop, sock, text)
        if sock.startswith("udp:") and not over:
            first_ms = self._clock.wall_ms() + REPEAT_MS[0]
            self._unheard[one.key] = Unheard(hop, sock, text, first_ms)

    def _stands(self, number: str) -> Standing:
        """Whether a number can be reached. Groups and applications always can."""
        found = self._view.extension(number)
        if found is None:
            return Standing()
        return Standing(bool(self._ksr.bindings(aor_of(number), "lamps")), found.do_not_disturb)

    def _repeat(self) -> None:
        """What a telephone has not answered is sent again, ever less often, and given up: its subscription ends by itself."""
        now_ms = self._clock.wall_ms()
        for key, one in list(self._unheard.items()):
            if one.due_ms > now_ms:
                continue
            self._ksr.send_text(one.hop, one.sock, one.text)
            one.sent += 1
            if one.sent > len(REPEAT_MS):
                del self._unheard[key]
            else:
                one.due_ms = now_ms + REPEAT_MS[one.sent - 1]

    def _way(self, one: Subscription) -> tuple[str, str]:
        """Where a telephone is reached. One whose connection ended with the Kamailio before is found at its registration."""
        if one.key in self._moved and not one.hop.endswith("=udp"):
            host = one.hop[4:].rpartition(":")[0]
            for binding in self._ksr.bindings(aor_of(one.user), "lamps"):
                at = binding.received or binding.contact
                if f"@{host}:" in at or at.startswith(f"sip:{host}:"):
                    return at, binding.socket
        return one.hop, one.sock

    def _tell_contacts(self, number: str) -> int:
        """Tell the telephones of an extension that have not asked, as they expect. Gives how many were told."""
        domain = self._view.policy.domain
        asked = {self._all[key].hop.partition(";")[0] for key in self._by_number.get((MESSAGES, number), {})}
        body = message_summary.summary(number, domain, self._messages.get(number, message_summary.NONE))
        sent = 0
        for binding in self._ksr.bindings(aor_of(number), "lamps"):
            at = binding.received or binding.contact
            if any(hop[4:] in at for hop in asked):
                continue
            headers = (
                f"From: <sip:{number}@{domain}>\r\nTo: <sip:{number}@{domain}>\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:{number}@{domain}>\r\nEvent: {MESSAGES}\r\n"
                "Subscription-State: terminated;reason=noresource\r\n"
                f"Content-Type: {message_summary.CONTENT_TYPE}\r\n"
            )
            self._ksr.rpc(
                "tm.t_uac_start", "NOTIFY", binding.contact, at, binding.socket or ".", headers, body
            )
            sent += 1
        return sent
