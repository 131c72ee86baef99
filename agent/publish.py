"""ADAPTER. Writes link states into Kamailio's `link` htable, every second and at once on a change.

The entries expire after `LINK_STATE_TTL_S`, so a dead agent means UNKNOWN, not UP. For the same reason a link whose
prober has fallen silent is not written at all. Beside the state stands how long a call waits for a sign of life.
"""

from collections.abc import Iterable

from agent.kamailio_rpc import KamailioRpc
from agent.link import Link
from appliance.model import LINK_STATE_TTL_S, LinkState

TABLE = "link"
"""Name of the htable (autoexpire `LINK_STATE_TTL_S`)."""

BEAT_S = 1.0
"""Written this often: four writes may fail before an entry expires."""

LIFE_KEY = "life_ms"
"""`<upstream id>:life_ms` holds the milliseconds that a call waits for a sign of life."""


def known_state(link: Link, now_s: float) -> LinkState:
    """The state that may be told: UNKNOWN when nothing has been seen for `LINK_STATE_TTL_S`."""
    last_s = link.evidence.last_s
    return LinkState.UNKNOWN if last_s is None or now_s - last_s > LINK_STATE_TTL_S else link.state


async def publish(rpc: KamailioRpc, links: Iterable[Link], now_s: float, stated_life_ms: int) -> int:
    """Write all links; returns how many were written. Raises `RpcError` at the first that cannot be."""
    written = 0
    for link in links:
        state = known_state(link, now_s)
        if state is LinkState.UNKNOWN:
            continue
        await rpc.call("htable.sets", TABLE, link.upstream_id, state.value)
        await rpc.call("htable.seti", TABLE, f"{link.upstream_id}:{LIFE_KEY}", link.life_ms(stated_life_ms))
        written += 1
    return written
