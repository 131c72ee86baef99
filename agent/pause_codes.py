"""CORE. Keys that telephones press during a call, and when they mean that its recording is paused or goes on.

rtpengine tells of each key as JSON (`dtmf-log-dest`): the call, who pressed it, from which address. All but the last few of
each caller are forgotten at once, and none is written anywhere: they may be a card's number.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass

from appliance.site_recording import PauseCodes

KEYS = "0123456789*#"
"""By their event number (RFC 4733 section 3.2)."""

BETWEEN_S = 4.0
"""Longest time between two keys of one code."""

KEPT = 8
"""Keys remembered of each caller: the longest code."""

CALLERS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Key:
    """One key. tag: who pressed it. address: where his audio comes from."""

    call_id: str
    tag: str
    address: str
    key: str


def key_of(data: bytes) -> Key | None:
    """What one datagram of rtpengine tells; None for anything else."""
    try:
        told = json.loads(data)
        event = told["event"]
        if told["type"] != "DTMF" or not 0 <= event < len(KEYS):
            return None
        return Key(str(told["callid"]), str(told["source_tag"]), str(told["source_ip"]), KEYS[event])
    except (ValueError, KeyError, TypeError):
        return None


class CodeReader:
    """The last keys of all callers."""

    def __init__(self) -> None:
        self._pressed: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    def press(self, key: Key, codes: PauseCodes, now_s: float) -> str:
        """ "pause", "resume" or "". now_s: monotonic."""
        who = (key.call_id, key.tag)
        before_s, before = self._pressed.pop(who, (now_s, ""))
        pressed = ((before if now_s - before_s <= BETWEEN_S else "") + key.key)[-KEPT:]
        for order, code in (("pause", codes.pause), ("resume", codes.resume)):
            if code and pressed.endswith(code):
                return order
        self._pressed[who] = now_s, pressed
        if len(self._pressed) > CALLERS_MAX:
            self._pressed.popitem(last=False)
        return ""
