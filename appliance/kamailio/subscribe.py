"""SUBSCRIBE from telephones, in a SIP worker: who may watch what is answered at once; the rest is `lamps`'s, elsewhere.

Adapter over `Ksr` and the core `subscriptions`. Only telephones of the site that have proved themselves may subscribe: to the
calls of an extension, a group or an application of the site, and to the messages in their own voicemail box.
"""

import hashlib
from collections.abc import Callable

from appliance.kamailio import subscriptions
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.dialplan import clean
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.subscriptions import MESSAGES, Refused, Subscription
from appliance.kamailio.view import View

QUEUE = "lamps"
"""Name of the queue in kamailio.cfg. Items: "subscribe" SUBSCRIPTION, "registered" NUMBER, "pickup" ORDER, "answered" "CODE CSEQ
KEY" (a NOTIFY was; routes.cfg says it), "step" or "step_end" [CALL, DATA] (of a call's second pass, which the journal does not
have)."""

TABLE = "lamps"
"""htable: key of a subscription -> [local tag, user, number, event, address]; "of:" EXTENSION and "all" -> how many."""

ALL = "all"
TAG_DIGITS = 18
RETRY_AFTER_S = 300

Proved = Callable[[], str | None]
"""Extension that sends the current request, proved; None: it has been answered."""


class Subscribing:
    """SUBSCRIBE requests of telephones."""

    def __init__(self, ksr: Ksr, view: View, prove: Proved, now_s: Callable[[], int], key: str) -> None:
        """key: what tags are made with."""
        self._key = key
        self._ksr = ksr
        self._view = view
        self._prove = prove
        self._now_s = now_s

    def is_ours(self) -> bool:
        """Whether a SUBSCRIBE with a To tag is for a lamp, not for what goes on within a call (a transfer's progress)."""
        return self._ksr.header("Event").partition(";")[0].strip().lower() in subscriptions.CONTENT_TYPES

    def subscribe(self, within: bool) -> None:
        """Answer the current SUBSCRIBE. within: it has a To tag."""
        try:
            if within:
                self._renew()
            else:
                self._begin()
        except Refused as refused:
            if refused.headers:
                self._ksr.reply_header(refused.headers)
            self._ksr.reply(refused.code, refused.reason)

    def _begin(self) -> None:
        ksr = self._ksr
        event, event_id = subscriptions.event_of(ksr.header("Event"))
        user = self._prove()
        if user is None:
            return
        number = self._watchable(user, event, ksr.pv("$rU"))
        subscriptions.check_accept(ksr.headers("Accept"), event)
        expires_s = subscriptions.granted_s(ksr.header("Expires"))
        self._check_room(user)
        tag = self._tag()
        asked = self._asked(tag, user, event, number, expires_s, event_id)
        ksr.tag_to(tag)
        self._grant(asked, expires_s)

    def _renew(self) -> None:
        """More time, or an end. Whoever knows the box's tag and comes from the same address needs no credentials."""
        ksr = self._ksr
        text = ksr.look(TABLE, subscriptions.key_of(ksr.pv("$ci"), ksr.pv("$ft")))
        tag, user, number, event, source = read(text) if text else ("", "", "", "", "")
        if not tag or tag != ksr.pv("$tt"):
            raise Refused(481, "Subscription Does Not Exist")
        if subscriptions.event_of(ksr.header("Event"))[0] != event:
            raise Refused(481, "Subscription Does Not Exist")
        if source != ksr.source:
            proved = self._prove()
            if proved is None:
                return
            if proved != user:
                raise Refused(403, "Forbidden")
        expires_s = subscriptions.granted_s(ksr.header("Expires"))
        self._grant(self._asked(tag, user, event, number, expires_s), expires_s)

    def _watchable(self, user: str, event: str, called: str) -> str:
        """Number that a telephone may watch under that name. Raises `Refused`."""
        view, policy = self._view, self._view.policy
        number = clean(called)
        if event == MESSAGES:
            application = policy.application(number)
            own = number == user or (application is not None and application.kind == "voicemail")
            if user not in policy.mailboxes:
                raise Refused(404, "No Mailbox")
            if not own:
                raise Refused(403, "Forbidden")
            return user
        known = view.extension(number) or view.group(number) or policy.application(number)
        if not number or known is None:
            raise Refused(404, "Not Found")
        return number

    def _check_room(self, user: str) -> None:
        ksr = self._ksr
        if int(ksr.look(TABLE, f"of:{user}") or 0) >= subscriptions.PER_TELEPHONE_MAX:
            raise Refused(403, "Too Many Subscriptions")
        if int(ksr.look(TABLE, ALL) or 0) >= subscriptions.ALL_MAX:
            raise Refused(503, "Too Many Subscriptions", f"Retry-After: {RETRY_AFTER_S}\r\n")

    def _asked(
        self, tag: str, user: str, event: str, number: str, expires_s: int, event_id: str = ""
    ) -> Subscription:
        """The subscription that the current message asks for. Raises `Refused`."""
        ksr, domain = self._ksr, self._view.policy.domain
        transport, place = ksr.pv("$proto"), f"{ksr.pv('$Ri')}:{ksr.pv('$Rp')}"
        sock = "" if transport in ("ws", "wss") else f"{transport}:{place}"
        by = "" if transport == "udp" else f";transport={transport}"
        route = " ".join(", ".join(ksr.headers("Record-Route")).split())
        asked = Subscription(
            call_id=ksr.pv("$ci"),
            remote_tag=ksr.pv("$ft"),
            local_tag=tag,
            user=user,
            event=event,
            event_id=event_id,
            number=number,
            target=subscriptions.contact_of(ksr.header("Contact")),
            hop=f"sip:{ksr.pv('$si')}:{ksr.source_port};transport={transport}",
            sock=sock,
            contact=f"sip:{number}@{place}{by}",
            remote=ksr.pv("$fu") or f"sip:{user}@{domain}",
            local=ksr.pv("$tu") or f"sip:{number}@{domain}",
            expires_s=self._now_s() + expires_s,
            route=route,
        )
        subscriptions.check_size(asked)
        return asked

    def _tag(self) -> str:
        """The box's tag: nobody can guess it, and a SUBSCRIBE that comes twice gets the same one. So no transaction is needed, of
        which each holds 20 kB for half a minute when a site's telephones come back together."""
        text = f"{self._key}:{self._ksr.pv('$ci')}:{self._ksr.pv('$ft')}"
        return hashlib.sha256(text.encode()).hexdigest()[:TAG_DIGITS]

    def _grant(self, asked: Subscription, expires_s: int) -> None:
        """200. What another worker has to know of it stands there before the telephone hears."""
        ksr = self._ksr
        row = [asked.local_tag, asked.user, asked.number, asked.event, ksr.source]
        ksr.keep(TABLE, asked.key, write(row))
        ksr.reply_header(f"Contact: <{asked.contact}>\r\nExpires: {expires_s}\r\n")
        ksr.reply(200, "OK")
        ksr.put(QUEUE, "subscribe", asked.text())
