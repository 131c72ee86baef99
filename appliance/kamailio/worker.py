"""What one Kamailio process has of its own: the view on the site, the parts that serve requests, the writers.

Made after the fork, on first use. Each part is made when it is first asked for: a SIP worker never opens the journal, the
journal's process never reads the site.
"""

import contextlib
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from appliance.kamailio import bindings, callback, journal, kept, recording_order
from appliance.kamailio.calls import Calls, Parts
from appliance.kamailio.channels import Channels, idle_key
from appliance.kamailio.desks import Desks
from appliance.kamailio.dialogs import Dialogs
from appliance.kamailio.digest import Verdict
from appliance.kamailio.here import Here, host_of
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.lamp_calls import Ringing
from appliance.kamailio.lamp_store import LampStore
from appliance.kamailio.lamps import Lamps
from appliance.kamailio.media import MediaPath
from appliance.kamailio.media_loss import Look
from appliance.kamailio.media_watch import MediaWatch
from appliance.kamailio.members import IDLE, Asked, Members
from appliance.kamailio.memory import Memory
from appliance.kamailio.pickup import Order, mark_of
from appliance.kamailio.registrar import Doorkeeper, Registrar, Shown
from appliance.kamailio.relayed_register import RelayedRegister
from appliance.kamailio.snapshot_view import SnapshotError, SnapshotView
from appliance.kamailio.sources import Sources
from appliance.kamailio.subscribe import Subscribing
from appliance.kamailio.telling import Telling
from appliance.kamailio.upstream_sender import QUEUE as UPSTREAM_QUEUE
from appliance.kamailio.upstream_sender import Reply, UpstreamSender, granted_s, own_address
from appliance.kamailio.view import Policy
from appliance.kamailio.voicemail_counts import VoicemailCounts
from appliance.kamailio.which_runs import which_runs
from appliance.media.ng import NgClient, RtpengineSilent
from appliance.model import UpstreamAuth

NG_TIMEOUT_S = 0.5
"""rtpengine answers within a millisecond; nobody waits for the process that asks."""

NG_LIST_MAX = 1_000
"""Calls asked for at once: some 50 bytes each, in one datagram of at most 64 kB. A site has far fewer."""

MEDIA_WATCH_TURNS = 10
"""Lost audio is looked for every 2 s; whoever answers is not to wait that long for the sentence."""

SAVED_PHONES_MAX = 20_000
"""Addresses of saved bindings that are known from the start."""


def now_s() -> int:
    """Seconds since 1970."""
    return int(time.time())


class Live(Channels):
    """`Channels` and who is registered: the changing half of a view."""

    def __init__(self, ksr: Ksr, call: KsrCall, desks: Desks) -> None:
        super().__init__(call)
        self._own = ksr
        self._desks = desks

    def registered(self, number: str) -> bool:
        """Whether an extension has a contact."""
        return self._own.registered(bindings.aor_of(self._desks.phone_of(number) or number))

    def person_at(self, phone: str) -> str:
        """Who is logged in at a telephone."""
        return self._desks.person_at(phone)

    def tries(self, key: str, lock_s: int) -> int:
        """Wrong PINs."""
        return self._desks.tries(key, lock_s)


class Worker:
    """The parts of one process."""

    def __init__(self, raw: Any, settings: dict[str, Any], key: str) -> None:
        self._settings = settings
        self._clock = journal.SystemClock()
        self.ksr = Ksr(raw)
        self.here = Here(**settings["here"])
        self.journal = journal.Journal(self.ksr, self._clock)
        call = KsrCall(raw)
        self.kept = kept.Kept(call)
        self.desks = Desks(call, self.kept, now_s)
        live = Live(self.ksr, call, self.desks)
        self.view = SnapshotView(settings["snapshot"], live, settings=self.kept)
        self.memory = Memory()
        self.parts = Parts(
            call, self.view, self.here, self.journal, live, MediaPath(call, self.view), self.kept, self.desks
        )
        self._key = key
        self._peers: frozenset[str] = frozenset()
        self.doorkeeper = Doorkeeper(self.ksr, self.view, key, now_s)
        self.registrar = Registrar(self.ksr, self.doorkeeper, self.journal, now_s)
        self._sources: Sources | None = None
        self._told: Policy | None = None
        self._media_turns = 0

    # parts that not every process needs

    @cached_property
    def calls(self) -> Calls:
        """New calls."""
        return Calls(self.parts)

    @cached_property
    def dialogs(self) -> Dialogs:
        """Requests within calls."""
        return Dialogs(self.parts)

    @cached_property
    def subscribing(self) -> Subscribing:
        """SUBSCRIBE requests of telephones."""
        return Subscribing(self.ksr, self.view, self.caller, now_s, self._key)

    @cached_property
    def relayed(self) -> RelayedRegister:
        """REGISTER requests that the upstream answers."""
        return RelayedRegister(self.ksr, self.view, self.here, self.registrar, self.doorkeeper)

    # requests

    def sources(self) -> Sources:
        """Who addresses are, by the version of the site document that is in use."""
        policy = self.view.policy
        if self._sources is None or self._sources.policy is not policy:
            self._sources = Sources(policy, self.here.media_host)
        return self._sources

    @property
    def _passthrough(self) -> bool:
        policy = self.view.policy
        return policy.upstream_auth is UpstreamAuth.PASSTHROUGH and bool(policy.upstreams)

    def register(self) -> None:
        """Answer or relay the current REGISTER."""
        if self._passthrough:
            self.relayed.register()
        else:
            self.registrar.register()

    def caller(self, shown: Shown | None = None) -> str | None:
        """Extension that sends the current INVITE or SUBSCRIBE, proved; None: it was asked for credentials, or refused.
        shown: as `Doorkeeper.prove` has it."""
        if self._passthrough:
            return self.relayed.caller()
        proof = self.doorkeeper.prove("Proxy-Authorization", shown=shown)
        if proof.secrets is not None:
            return proof.secrets.number
        self.doorkeeper.challenge(407, stale=proof.verdict is Verdict.STALE)
        return None

    def own_reply(self) -> None:
        """Hand the reply to a registration of the box's own to the process that sent it."""
        ksr = self.ksr
        tag, code = ksr.own_reply()
        upstream, _, number = tag.partition(" ")
        granted = 0
        if 200 <= code < 300:
            peer = next((peer for peer in self.view.policy.upstreams if peer.id == upstream), None)
            own = own_address(peer, self.here) if peer else ""
            granted = granted_s(ksr.headers("Contact"), ksr.header("Expires"), own)
        ksr.put(UPSTREAM_QUEUE, "reply", str(Reply(upstream, number, code, granted)))

    # processes of the box's own

    @cached_property
    def _journal_writer(self) -> journal.Writer:
        path = Path(self._settings["journal"])
        hear = self._lamps.calls.take
        return journal.Writer(path, self.ksr, self.ksr.warn, self._clock, journal.boot_id(), hear)

    def _hear(self, call: str, event: str, data: str) -> None:
        """A row of the journal, while calls are followed."""
        self._lamps.calls.take(call, event, data)
        self._members.take(call, event, data)

    def _follow(self) -> None:
        """Follow who is in a call for as long as a group of the site asks, or somebody waits for a busy telephone."""
        until = self.ksr.look(kept.GENERATION, callback.UNTIL)
        wanted = Asked.CALLS if until.isdigit() and int(until) > now_s() else Asked.NOTHING
        self.view.refresh()
        with contextlib.suppress(SnapshotError):
            policy = self.view.policy
            wanted = Asked.IDLE if policy.follows_idle else Asked.CALLS if policy.follows_members else wanted
        calls = self._lamps.calls
        self._members.ask(wanted, calls.rows)
        self._journal_writer.tap = self._hear if self._members.following else calls.take

    @cached_property
    def _lamps(self) -> Lamps:
        store = LampStore(Path(self._settings["lamps"]), self.ksr.warn)
        boxes = VoicemailCounts(self._settings["voicemail"])
        return Lamps(self.ksr, self.view, self._clock, store, boxes, self._give_up_for, self.kept.refresh)

    def _give_up_for(self, ringing: Ringing, order: Order) -> None:
        """Take a call that rings from its telephones; `Calls.failure_stage` leads it on to who picks it up."""
        rows = self.ksr.rpc("dlg.dlg_list", ringing.call_id, ringing.tag)
        row = rows[0] if isinstance(rows, list) and rows else rows
        cseq = str(row.get("caller", {}).get("cseq", "")) if isinstance(row, dict) else ""
        if cseq:
            self.ksr.keep("ending", ringing.call, mark_of(order))
            self.parts.ksr.cancel_call(ringing.call_id, cseq)

    @cached_property
    def _members(self) -> Members:
        call = self.parts.ksr

        def publish(what: str, number: str, value: str) -> None:
            if what == IDLE:
                call.keep(kept.TABLE, idle_key(number), value)
                call.queue(kept.TABLE, idle_key(number), "1")
            elif value:
                call.keep(what, number, value)
            else:
                call.forget(what, number)

        return Members(publish, self._clock.wall_ms)

    @cached_property
    def _kept_writer(self) -> kept.Writer:
        path = Path(self._settings["kept"])
        writer = kept.Writer(path, self.parts.ksr, self.ksr, self.ksr.warn, self._clock)
        writer.load()
        return writer

    @cached_property
    def _bindings_writer(self) -> bindings.Writer:
        path = Path(self._settings["bindings"])
        return bindings.Writer(path, self.ksr, self.ksr, self.ksr.warn, self._clock)

    @cached_property
    def _sender(self) -> UpstreamSender:
        saved = bindings.saved(Path(self._settings["bindings_load"]))[:SAVED_PHONES_MAX]
        for _, uri in saved:
            self.ksr.keep("phones", host_of(uri), str(now_s()))
        numbers = sorted({number for number, _ in saved})
        return UpstreamSender(self.ksr, self.view, self.here, self._clock.mono_ms, numbers)

    def write(self) -> None:
        """One turn of the process "journal". Blocks on disk. Calls come first, and who follows them before that: the first call
        after a start may be over in this very turn."""
        self._follow()
        writer = self._journal_writer
        was_full = writer.full
        writer.tick()
        if writer.full:
            self.ksr.keep(recording_order.TABLE, recording_order.BY_JOURNAL, recording_order.OFF)
        elif was_full:
            self.parts.ksr.forget(recording_order.TABLE, recording_order.BY_JOURNAL)
        self._bindings_writer.tick()
        self._kept_writer.tick()

    def light(self) -> None:
        """Another turn of the process "journal": lamps. Without a usable configuration there is nobody to tell."""
        with contextlib.suppress(SnapshotError):
            self._lamps.tick()

    def register_upstream(self) -> None:
        """One turn of the process "upstream". Without a usable configuration there is nobody to register at; requests say so."""
        sender = self._sender
        self.view.refresh()
        with contextlib.suppress(SnapshotError):
            self._tell_routes(self.view.policy)
            sender.tick()

    def _tell_routes(self, policy: Policy) -> None:
        """What routes.cfg has to know of the site to ask telephones for their credentials: the realm, "" where the upstream
        asks them, and who is no telephone. Told once of each version."""
        if policy is self._told:
            return
        named = {host_of(peer.uri) for peer in (*policy.upstreams, *policy.gateways)}
        peers = frozenset({*named, self.here.media_host} - {""})
        for address in peers:
            self.ksr.keep("peers", address, "1")
        for address in self._peers - peers:
            self.parts.ksr.forget("peers", address)
        self._peers = peers
        self.ksr.set_pv("$shv(nonce_key)", self._key)
        self.ksr.set_pv("$shv(realm)", "" if self._passthrough else policy.realm)
        self._told = policy

    @cached_property
    def _media_watch(self) -> MediaWatch:
        client = NgClient(self._settings["ng"], NG_TIMEOUT_S)

        def ask() -> Look | None:
            try:
                uptime = client.command("statistics")["statistics"]["totalstatistics"]["uptime"]
                calls = client.command("list", limit=str(NG_LIST_MAX))["calls"]
                return Look(int(uptime), frozenset(calls))
            except (RtpengineSilent, KeyError, ValueError, TypeError):
                return None

        pid_file = Path(self._settings["freeswitch_pid"])
        return MediaWatch(self.parts.ksr, self.parts.journal, ask, lambda: which_runs(pid_file))

    def watch_media(self) -> None:
        """One turn of the process "media". Blocks on rtpengine."""
        self._telling.tick()
        self._media_turns += 1
        if self._media_turns % MEDIA_WATCH_TURNS == 0:
            self._media_watch.tick()

    @cached_property
    def _telling(self) -> Telling:
        folder = Path(self._settings["prompts"])

        def sentence() -> str:
            self.view.refresh()
            with contextlib.suppress(SnapshotError):
                found = self.view.policy.sentence
                return str(folder / found) if found and (folder / found).is_file() else ""
            return ""

        client = NgClient(self._settings["ng"], NG_TIMEOUT_S)
        ksr, clock = self.parts.ksr, self._clock.mono_ms
        return Telling(ksr, self.parts.journal, client, sentence, clock, NG_LIST_MAX)
