"""The upstreams of a site under watch: a `Link` and a `Probe` for each, kept as the configuration says.

Owns the wiring between them, and the links' memory over a restart of the agent. Decides nothing: that is `link`'s.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from agent.evidence import Sighting
from agent.link import Effect, HoldDown, Link, LinkMemory
from agent.probe import Probe
from agent.supervisor import Supervisor
from appliance.addresses import sip_address
from appliance.kamailio.view import Peer
from appliance.model import LinkState

TASK = "probe:"
"""Beginning of the names of the probing tasks."""

React = Callable[[Link, Effect, LinkState], None]
"""Told of each effect that is the owner's, with the state before."""


class Links:
    """Links by upstream id. clock: seconds, monotonic. local: the box's address by `Peer.network`."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        local: dict[str, str],
        supervisor: Supervisor,
        react: React,
        memory: Path,
        hold_down: HoldDown | None = None,
    ) -> None:
        self._clock = clock
        self._local = local
        self._supervisor = supervisor
        self._react = react
        self._memory = memory
        self._hold_down = hold_down or HoldDown()
        self._peers: dict[str, Peer] = {}
        self.links: dict[str, Link] = {}
        self.probes: dict[str, Probe] = {}

    async def watch(self, peers: Iterable[Peer]) -> None:
        """Watch exactly these upstreams; one whose address is unchanged keeps its link and its probe."""
        wanted = {peer.id: peer for peer in peers}
        remembered = read_memory(self._memory)
        begun_anew = set(self._peers)  # what was known of another address says nothing of the new one
        for upstream_id, peer in list(self._peers.items()):
            new = wanted.get(upstream_id)
            if new is None or (new.uri, new.network) != (peer.uri, peer.network):
                await self._supervisor.stop(TASK + upstream_id)
                del self._peers[upstream_id], self.links[upstream_id], self.probes[upstream_id]
        for upstream_id, peer in wanted.items():
            if upstream_id not in self._peers:
                self._begin(peer, None if upstream_id in begun_anew else remembered.get(upstream_id))
            self._peers[upstream_id] = peer

    def _begin(self, peer: Peer, memory: LinkMemory | None) -> None:
        link = Link(peer.id, self._clock(), memory, self._hold_down)
        probe = Probe(
            sip_address(peer.uri),
            self._local[peer.network],
            lambda sighting, rtt_ms: self.observe(peer.id, sighting, rtt_ms),
            link.evidence.note_late,
        )
        self.links[peer.id], self.probes[peer.id] = link, probe
        self._supervisor.start(
            TASK + peer.id, lambda: probe.run(lambda: link.probe_interval_s(self._clock()))
        )

    def observe(self, upstream_id: str, sighting: Sighting, rtt_ms: float | None = None) -> None:
        """Hand a sighting to its link; one of an upstream that is no longer watched is dropped."""
        link = self.links.get(upstream_id)
        if link is not None:
            before = link.state
            self._effects(link, link.observe(sighting, self._clock(), rtt_ms), before)

    def line(self) -> tuple[float | None, float]:
        """The worst of what the upstreams that carry calls show now: newest round trip (ms, None for none) and loss (0..1).
        One that is down carries none."""
        carrying = [link for link in self.links.values() if link.state is not LinkState.DOWN]
        newest = (link.evidence.newest_round_trip_ms(self._clock()) for link in carrying)
        return (
            max((one for one in newest if one is not None), default=None),
            max((link.evidence.loss_ratio for link in carrying), default=0.0),
        )

    def tick(self) -> None:
        """Let time pass for every link."""
        for link in self.links.values():
            before = link.state
            self._effects(link, link.tick(self._clock()), before)

    def _effects(self, link: Link, effects: Iterable[Effect], before: LinkState) -> None:
        for effect in effects:
            if effect in (Effect.ANNOUNCE, Effect.GO_ON):
                self._react(link, effect, before)
            if effect in (Effect.ANNOUNCE, Effect.HALVE_HOLD):
                write_memory(self._memory, self.links.values())


def read_memory(path: Path) -> dict[str, LinkMemory]:
    """What the agent before this one knew; empty when there is nothing usable. Blocks on disk."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        return {
            str(upstream_id): LinkMemory(str(entry["state"]), max(0, int(entry["failbacks"])))
            for upstream_id, entry in stored.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_memory(path: Path, links: Iterable[Link]) -> None:
    """Keep what must outlive this agent. Not synced: after a power cut each link is judged afresh."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps({link.upstream_id: asdict(link.memory) for link in links}), "utf-8")
        partial.replace(path)
    except OSError:  # a full disk must not stop the watch; the memory is a comfort
        partial.unlink(missing_ok=True)
