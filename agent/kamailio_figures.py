"""ADAPTER. Asks Kamailio for its figures, one small request each. A module that is not loaded leaves its figure None."""

from typing import Any

from agent.kamailio_rpc import KamailioRpc, RpcRefused, RpcSilent
from agent.status import KamailioStatus


async def read_figures(rpc: KamailioRpc) -> KamailioStatus:
    """Kamailio's figures now; `alive` False when it does not answer. Never raises `RpcError`."""
    try:
        version = await rpc.call("core.version")
        memory = await _ask(rpc, "core.shmmem") or {}
        transactions = await _ask(rpc, "tm.stats") or {}
        dialogs = await _ask(rpc, "dlg.stats_active") or {}
        uptime = await _ask(rpc, "core.uptime") or {}
        contacts = await _ask(rpc, "stats.get_statistics", "location_contacts")
        errors = await _ask(rpc, "stats.get_statistics", "500_replies")
    except RpcSilent:
        return KamailioStatus()
    return KamailioStatus(
        alive=True,
        version=str(version),
        uptime_s=_whole(uptime.get("uptime")),
        registered_contacts=_statistic(contacts),
        active_calls=_whole(dialogs.get("ongoing")),
        shared_memory_bytes=_whole(memory.get("total")),
        shared_memory_used_bytes=_whole(memory.get("real_used")),
        transactions=_whole(transactions.get("current")),
        answers_5xx=_whole(transactions.get("5xx")),
        own_errors=_statistic(errors),
    )


async def requests_received(rpc: KamailioRpc) -> int | None:
    """Requests that Kamailio has read since it started; None when it does not answer. Never raises `RpcError`."""
    try:
        return _statistic(await _ask(rpc, "stats.get_statistics", "rcv_requests"))
    except RpcSilent:
        return None


async def _ask(rpc: KamailioRpc, method: str, *params: str) -> Any:
    try:
        return await rpc.call(method, *params)
    except RpcRefused:
        return None


def _statistic(lines: Any) -> int | None:
    """The number in `["usrloc:location_contacts = 3"]`."""
    for line in lines if isinstance(lines, list) else ():
        _, separator, number = str(line).rpartition("=")
        if separator:
            return _whole(number.strip())
    return None


def _whole(value: Any) -> int | None:
    """A number, also one written as text or "12bytes" as `core.shmmem` may; None for anything else."""
    digits = str(value).strip()
    while digits and not digits[-1].isdigit():
        digits = digits[:-1]
    return int(digits) if digits.isdigit() else None
