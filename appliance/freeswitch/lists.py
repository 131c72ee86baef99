"""What FreeSWITCH answers when it is asked for its channels, rooms and parking places, as values. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from appliance.freeswitch.legs import Leg, Stay, room_number

_LOT = re.compile(r'<extension uuid="([0-9a-f-]{36})">([^<]*)</extension>')


Variable = Callable[[str, str], str | None]
"""(uuid, name) -> a channel's variable, "" for one that it has not; None: there is no such channel any more."""


def channels(text: str) -> list[Mapping[str, Any]]:
    """Rows of `show channels as json`; it leaves `rows` out when there are none. Raises ValueError."""
    answer = json.loads(text)
    rows = answer.get("rows", []) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no list of channels")
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("uuid"), str)]


def legs(rows: list[Mapping[str, Any]], known: Mapping[str, Leg], variable: Variable) -> list[Leg]:
    """The channels as legs, without those that have hung up: FreeSWITCH lists a channel for a while after it has told of its end,
    which nobody would tell again. variable: asked of legs that are not known only; those that are will be told of."""
    found = [_leg(row, known.get(row["uuid"]), variable) for row in rows]
    return [leg for leg in found if leg is not None]


def rooms(text: str) -> list[Stay]:
    """Members of `conference json_list`; it says "-ERR ..." when there are no rooms. Raises ValueError."""
    if text.startswith("-ERR") or not text.strip():
        return []
    return [
        Stay(member["uuid"], "room", room_number(str(room.get("conference_name", ""))))
        for room in json.loads(text)
        for member in room.get("members", [])
        if isinstance(member, dict) and isinstance(member.get("uuid"), str)
    ]


def parked(text: str) -> list[Stay]:
    """Places of `valet_info`."""
    return [Stay(uuid, "parking", place) for uuid, place in _LOT.findall(text)]


def _leg(row: Mapping[str, Any], known: Leg | None, variable: Variable) -> Leg | None:
    uuid, inbound = row["uuid"], row.get("direction") == "inbound"
    call = known.call if known and known.call else variable(uuid, "sip_call_id")
    number = (
        known.number if known else variable(uuid, "sip_req_user") if inbound else str(row.get("dest", ""))
    )
    if call is None or number is None:
        return None
    call_uuid = str(row.get("call_uuid", ""))
    other = call_uuid if call_uuid != uuid else ""
    answered = row.get("callstate") in ("ACTIVE", "HELD", "UNHELD")
    return Leg(
        uuid,
        call,
        inbound,
        number,
        str(row.get("cid_num", "")),
        answered,
        row.get("callstate") == "HELD",
        known.peer if known else other if answered else "",
        known.placed_for if known else "" if answered else other,
    )
