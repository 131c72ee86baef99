"""REGISTER: who may, which contacts are kept, and what the upstream hears of it.

Adapter over `Ksr` and the core `digest`. In `upstream_auth: trusted` (and where there is no upstream) the box
challenges the phone itself and answers it from memory at once. In `passthrough` the cloud challenges: see `relayed_register`.
Nothing here waits for a disk or a peer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from appliance.kamailio import bindings, digest, subscribe, upstream_sender
from appliance.kamailio.digest import Question, Secrets, Verdict
from appliance.kamailio.flood import WRONG_PASSWORD_COST
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.view import View

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE"
"""What the box takes part in (RFC 3261 section 20.5)."""

SAVE_NEW, SAVE_CHANGED, SAVE_REMOVED, SAVE_ASKED = 1, 2, 3, 4
SAVE_TOO_MANY = -2


class Site(View, Protocol):
    """A view that knows passwords' hashes too."""

    def credential(self, username: str) -> tuple[str, str, str] | None: ...


class Journal(Protocol):
    """Where events go. Never blocks."""

    def put(self, event: str, call: str, data: dict[str, Any]) -> None: ...


class Shown(NamedTuple):
    """What of a request its sender is known by. credentials: the first header with some, "" for none. user: of the Request-URI.
    source: address that it came from."""

    credentials: str
    method: str
    user: str
    source: str


class Proof(NamedTuple):
    """What came of a request's credentials. secrets: whose they are; None unless the verdict is GOOD."""

    verdict: Verdict
    secrets: Secrets | None = None


class Doorkeeper:
    """Proves who sends a request."""

    def __init__(self, ksr: Ksr, site: Site, key: str, now_s: Callable[[], int]) -> None:
        self._ksr = ksr
        self._site = site
        self._key = key
        self._now_s = now_s

    def prove(self, header: str, count_wrong: bool = True, shown: Shown | None = None) -> Proof:
        """Judge the credentials in `header` ("Authorization" or "Proxy-Authorization"). count_wrong: a wrong password is
        held against the sender. shown: of the current request, where the caller has read it already."""
        if shown is None:
            shown = self._shown(header)
        if not shown.credentials:
            return Proof(Verdict.ABSENT)
        realm = self._site.policy.realm
        question = Question(realm, shown.method, shown.user, shown.source, self._now_s(), self._key)
        given = digest.read(shown.credentials)
        if given.get("realm") != realm:
            given = digest.for_realm(self._ksr.headers(header), realm)
        found = self._site.credential(given["username"]) if given else None
        secrets = None if found is None else Secrets(*found)
        verdict = digest.judge(given, secrets, question)
        if verdict is Verdict.WRONG and count_wrong:
            self._count_wrong()
        return Proof(verdict, secrets if verdict is Verdict.GOOD else None)

    def challenge(self, code: int, stale: bool) -> None:
        """Ask for credentials: 401 for a REGISTER, 407 otherwise."""
        name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
        realm = self._site.policy.realm
        given = digest.nonce(self._now_s(), self._ksr.source, realm, self._key)
        values = digest.challenges(realm, given, stale)
        self._ksr.reply_header("".join(f"{name}: {value}\r\n" for value in values))
        self._ksr.reply(code, "Unauthorized" if code == 401 else "Proxy Authentication Required")

    def _shown(self, header: str) -> Shown:
        ksr = self._ksr
        return Shown(ksr.header(header), ksr.method, ksr.pv("$rU"), ksr.source)

    def _count_wrong(self) -> None:
        """A wrong password counts as several requests of a stranger, and into the box's figures."""
        self._ksr.count("counts", "wrong_password")
        for _ in range(WRONG_PASSWORD_COST):
            self._ksr.count("strangers", self._ksr.source)


class Registrar:
    """REGISTER requests that the box answers itself."""

    def __init__(self, ksr: Ksr, doorkeeper: Doorkeeper, journal: Journal, now_s: Callable[[], int]) -> None:
        self._ksr = ksr
        self._doorkeeper = doorkeeper
        self._journal = journal
        self._now_s = now_s

    def register(self) -> None:
        """Answer the current REGISTER, whatever it is."""
        proof = self._doorkeeper.prove("Authorization")
        if proof.secrets is None:
            self._doorkeeper.challenge(401, stale=proof.verdict is Verdict.STALE)
            return
        number = proof.secrets.number
        if not self._owns(number):
            self._ksr.count("counts", "wrong_aor")
            self._ksr.reply(403, "Forbidden")
            return
        self.keep(number)

    def _owns(self, number: str) -> bool:
        """The address of record is the extension of whoever proved himself, written by number or by user name."""
        user = self._ksr.pv("$tU")
        if user == number:
            return True
        return self._ksr.pv("$au") == user

    def keep(self, number: str) -> bool:
        """Store the contacts and answer. The phone has proved itself. False: the REGISTER itself was refused."""
        ksr = self._ksr
        aor = bindings.aor_of(number)
        ksr.mark_nated()
        result = ksr.save(aor)
        if result == SAVE_TOO_MANY and self._make_room(aor):
            result = ksr.save(aor)
        ksr.send_save_reply()
        if result < 0:
            ksr.count("counts", "register_refused")
            return False
        if result != SAVE_ASKED:
            self.noted(number, result, ksr.source, f"{ksr.pv('$sas')} {ksr.pv('$ct')}")
        return True

    def noted(self, number: str, result: int, source: str, binding: str) -> None:
        """Bindings of `number` have changed in memory, by a phone at the address `source`: tell the disk, the upstream and the
        journal. binding: the contact and where it is reached; the same text means the same row on disk."""
        ksr, row = self._ksr, f"{number} {binding}"
        if result == SAVE_CHANGED and self._on_disk(row):
            ksr.keep("phones", source, "1")
            return
        ksr.put(bindings.QUEUE, number, "-")
        if result != SAVE_REMOVED:
            ksr.keep("phones", source, "1")
            ksr.keep("written", row, str(self._now_s()))
        if result == SAVE_CHANGED:
            return
        ksr.put(upstream_sender.QUEUE, "want" if result == SAVE_NEW else "drop", number)
        action = "registered" if result == SAVE_NEW else "unregistered"
        data = {"aor": number, "contact": ksr.pv("$ct"), "action": action}
        self._journal.put("registration", "", data)
        if result == SAVE_NEW:
            ksr.put(subscribe.QUEUE, "registered", number)

    def _on_disk(self, row: str) -> bool:
        """Whether this very binding was written a short while ago, so that its row outlives this refresh."""
        written_s = self._ksr.look("written", row)
        return bool(written_s) and self._now_s() - int(written_s) <= bindings.FRESH_S

    def expired(self, number: str) -> None:
        """usrloc has dropped a binding of `number` whose time was over. Its lock is held: nothing is read from it here."""
        self._ksr.put(bindings.QUEUE, number, "-")

    def _make_room(self, aor: str) -> bool:
        """A phone that comes back under a new contact each time is not refused: its oldest contact goes."""
        found = self._ksr.bindings(aor)
        if not found:
            return False
        oldest = min(found, key=lambda one: one.modified_s)
        return self._ksr.forget(aor, oldest.ruid)
