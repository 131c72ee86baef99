"""REGISTER where a foreign cloud PBX challenges the phones itself (`upstream_auth: passthrough`).

Adapter. The phone's REGISTER goes to the first upstream with the box's Path (RFC 3327), so that the cloud's calls come back
through the box; the 200 teaches the box the binding. When the upstream shows no sign of life within its limit (or is known to be
down) the box answers by itself a phone that it knows: by password where the site document has its hash, or by the contact and
address of a binding that the cloud granted earlier.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from appliance.kamailio import bindings
from appliance.kamailio.call_key import host_port
from appliance.kamailio.digest import Verdict
from appliance.kamailio.here import Here, transport_of
from appliance.kamailio.ksr import NATED, PINGED, Binding, Ksr
from appliance.kamailio.registrar import SAVE_CHANGED, SAVE_NEW, SAVE_REMOVED, Doorkeeper, Registrar, Site
from appliance.kamailio.upstream_sender import own_address
from appliance.kamailio.view import Peer
from appliance.model import LinkState

REPLY, FAILURE = "REGISTER_REPLY", "REGISTER_FAILURE"
"""Names under which the handler registers the stages."""

NOTE = "$avp(ky_register)"
"""What the request stage tells the others, kept with the transaction."""

RETRANSMIT_MS = 150
"""First repetition over UDP: one lost datagram must not look like a dead upstream."""

RETRY_AFTER_S = 30
"""Told to a phone that nobody can vouch for while the upstream is silent."""

OUTAGE_EXPIRES_S = 120
"""The most that the box grants by itself: the cloud has to hear from the telephone soon after it is back."""

METHODS_ALL = 16_383
"""usrloc's mask of all methods that RFC 3261 and its early extensions know."""

DEFAULT_EXPIRES_S = 600
"""Granted when a 200 says nothing (RFC 3261 section 10.2.1.1 leaves it to the server)."""

_CONTACT = re.compile(r"(?:<([^>]*)>|([^<>;,\s]+))((?:\s*;[^,<]*)?)")
_EXPIRES = re.compile(r";\s*expires\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


def granted(contacts: Iterable[str], expires: str, uri: str) -> int | None:
    """Seconds that a 200 grants to the contact `uri`; None when it does not list it (any more)."""
    default = int(expires) if expires.isdigit() else DEFAULT_EXPIRES_S
    for value in contacts:
        for match in _CONTACT.finditer(value):
            if (match.group(1) or match.group(2)) == uri:
                found = _EXPIRES.search(match.group(3))
                return int(found.group(1)) if found else default
    return None


def contact_uri(contact: str) -> str:
    """URI of the first contact in a Contact header, "*" for the star, "" for none."""
    if contact.strip() == "*":
        return "*"
    found = _CONTACT.search(
        contact.partition('"')[2].partition('"')[2] if contact.startswith('"') else contact
    )
    return (found.group(1) or found.group(2)) if found else ""


def is_at(one: Binding, source: str, port: int) -> bool:
    """Whether a binding's phone is reached at the address and port that a request came from."""
    return host_port(one.received or one.contact) == f"{source}:{port}"


class RelayedRegister:
    """REGISTER requests, and the callers they vouch for."""

    def __init__(
        self, ksr: Ksr, site: Site, here: Here, registrar: Registrar, doorkeeper: Doorkeeper
    ) -> None:
        self._ksr = ksr
        self._site = site
        self._here = here
        self._registrar = registrar
        self._doorkeeper = doorkeeper

    # request stage

    def register(self) -> None:
        """Relay the current REGISTER, or answer it."""
        ksr = self._ksr
        if ksr.retransmission():
            return
        number = ksr.pv("$tU")
        if self._site.extension(number) is None:
            ksr.reply(404, "Not Found")
            return
        peer = self._site.policy.upstreams[0]
        if self._site.link(peer.id) is LinkState.DOWN:
            self._locally(number)
            return
        if not ksr.begin():
            return
        self._note(number)
        if not self._relay(peer):
            self._locally(number)

    def _note(self, number: str) -> None:
        ksr = self._ksr
        nated = ksr.mark_nated()
        transport = ksr.pv("$proto")
        note = {
            "number": number,
            "contact": contact_uri(ksr.header("Contact")),
            "source": ksr.source,
            "port": ksr.source_port,
            "received": f"sip:{ksr.source}:{ksr.source_port};transport={transport}" if nated else "0",
            "socket": f"{transport}:{ksr.pv('$Ri')}:{ksr.pv('$Rp')}",
            "flags": (1 << NATED | (1 << PINGED if transport == "udp" else 0)) if nated else 0,
        }
        ksr.set_pv(NOTE, json.dumps(note))

    def _relay(self, peer: Peer) -> bool:
        ksr = self._ksr
        transport = transport_of(peer.uri)
        by = "" if transport == "udp" else f";transport={transport}"
        ksr.remove("Route")
        ksr.remove("Path")
        ksr.append(f"Path: <sip:{own_address(peer, self._here)}{by};lr>\r\nSupported: path\r\n")
        ksr.send_to(peer.uri, self._here.sock(peer.network, transport))
        ksr.arm(FAILURE, REPLY)
        life_ms = self._site.life_ms(peer.id)
        ksr.limits(life_ms, life_ms)
        ksr.patience(RETRANSMIT_MS, 2 * RETRANSMIT_MS)
        return ksr.relay()

    # reply stage

    def reply_stage(self) -> None:
        """Learn from a 200 what the cloud has granted. The reply goes on to the phone as it is."""
        ksr = self._ksr
        code = int(ksr.pv("$rs") or 0)
        text = ksr.pv(NOTE)
        if not 200 <= code < 300 or not text:
            return
        note = json.loads(text)
        self._learn(note, ksr.headers("Contact"), ksr.header("Expires"))

    def _learn(self, note: dict[str, Any], contacts: list[str], expires: str) -> None:
        """Bring memory to what the cloud has granted. usrloc's RPC names an address of record without its scheme."""
        ksr, number, contact, source = self._ksr, note["number"], note["contact"], note["source"]
        binding = f"{source}:{note['port']} {contact}"
        seconds = granted(contacts, expires, contact)
        if not contact:
            return
        if contact == "*":
            ksr.rpc("ul.rm", "location", number)
        elif not seconds:
            ksr.rpc("ul.rm_contact", "location", number, contact)
        if contact == "*" or not seconds:
            self._registrar.noted(number, SAVE_REMOVED, source, binding)
            return
        known = any(one.contact == contact for one in ksr.bindings(bindings.aor_of(number)))
        more = (note["flags"], METHODS_ALL, note["received"], note["socket"])
        if ksr.rpc("ul.add", "location", number, contact, seconds, 1.0, "0", 0, *more) is None:
            ksr.error(f"register: the binding that the upstream granted to {number} could not be kept")
            return
        self._registrar.noted(number, SAVE_CHANGED if known else SAVE_NEW, source, binding)

    # failure stage

    def failure_stage(self) -> None:
        """The cloud refused, or said nothing in time. Its challenge and its refusal are its own; silence and 5xx are ours."""
        ksr = self._ksr
        code = ksr.failure_code()
        if ksr.canceled() or (ksr.replied() and code < 500):
            return
        text = ksr.pv(NOTE)
        if text:
            self._locally(json.loads(text)["number"])

    # without the upstream

    def _locally(self, number: str) -> None:
        ksr = self._ksr
        ksr.count("counts", "register_without_upstream")
        proof = self._doorkeeper.prove("Authorization", count_wrong=False)
        vouched = proof.secrets is not None and proof.secrets.number == number
        if vouched or self._is_known(number):
            if self._asked_s() > OUTAGE_EXPIRES_S:
                ksr.grant_at_most(OUTAGE_EXPIRES_S)
            self._registrar.keep(number)
        elif self._has_password(number):
            self._doorkeeper.challenge(401, stale=proof.verdict is Verdict.STALE)
        else:
            ksr.reply_header(f"Retry-After: {RETRY_AFTER_S}\r\n")
            ksr.reply(503, "Service Unavailable")

    def _asked_s(self) -> int:
        """Expiry that the current REGISTER asks for, 0 when it takes its binding away or only asks."""
        contacts, expires = self._ksr.headers("Contact"), self._ksr.header("Expires")
        return granted(contacts, expires, contact_uri(contacts[0] if contacts else "")) or 0

    def _is_known(self, number: str) -> bool:
        """Whether the same phone was granted this contact: same address, same port, same contact."""
        ksr = self._ksr
        contact, source, port = contact_uri(ksr.header("Contact")), ksr.source, ksr.source_port
        found = ksr.bindings(bindings.aor_of(number))
        return any(is_at(one, source, port) and contact in (one.contact, "", "*") for one in found)

    def _has_password(self, number: str) -> bool:
        found = self._site.credential(number)
        return found is not None and bool(found[1] or found[2])

    # INVITE

    def caller(self) -> str | None:
        """Extension that sends the current INVITE; None: the sender has been asked for credentials, or refused.

        The cloud challenges it anyway while it is there; what the box has to know is whose limits and number hold.
        """
        ksr = self._ksr
        number = ksr.pv("$fU")
        found = ksr.bindings(bindings.aor_of(number)) if number else []
        if any(is_at(one, ksr.source, ksr.source_port) for one in found):
            return number
        proof = self._doorkeeper.prove("Proxy-Authorization", count_wrong=False)
        if proof.secrets is not None:
            return proof.secrets.number
        if self._has_password(number):
            self._doorkeeper.challenge(407, stale=proof.verdict is Verdict.STALE)
        else:
            ksr.reply(403, "Forbidden")
        return None
