"""CORE. Self-test calls: which ones a box places to itself, their SIP, and what their answers say of a new configuration.

Kamailio answers them itself (`appliance.kamailio.self_test`); `self_test_call` sends them. A call that found a way before
the switch and finds none after it condemns the version; so does an error that was not there before.
"""

import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

from appliance.addresses import bracketed
from appliance.kamailio.self_test import HEADER, USER
from appliance.site import Site

PAIRS_MAX = 4
"""Calls between extensions: enough to tell one that was changed on purpose from a site that cannot call."""

SILENT = 0
"""Stands for no answer."""

WELL = 200
ERROR = 500
"""The box's own failure; 503 while no snapshot can be read."""

EMERGENCY = "emergency"

_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2}) ")
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\s]+)", re.IGNORECASE | re.MULTILINE)

Answers = Mapping[str, int]
"""Code of the answer by case: `201>202`, or `emergency:119`."""


class Broken(NamedTuple):
    """A case that condemns the switch, and what it was answered now and before it, in words."""

    case: str
    now: str
    before: str


def cases(site: Site) -> dict[str, str]:
    """The calls to place: name -> value of the header. The first extensions call the next one, the first an emergency
    number. Extensions that are not to be disturbed prove nothing and are left out, unless all are: a site at which nobody
    can be called is no site."""
    everybody = sorted(one.number for one in site.extensions)
    callable_ = sorted(one.number for one in site.extensions if not one.do_not_disturb)
    numbers = (callable_ or everybody)[: PAIRS_MAX + 1]
    found = {f"{caller}>{called}": f"{caller};{called}" for caller, called in itertools.pairwise(numbers)}
    if numbers and site.policy.emergency_numbers:
        dialled = sorted(site.policy.emergency_numbers)[0]
        found[f"{EMERGENCY}:{dialled}"] = f"{numbers[0]};{dialled}"
    return found


def request(host: str, port: int, own_port: int, call_id: str, value: str) -> bytes:
    """The INVITE of one case, to the box's own socket. host, port: Kamailio's."""
    at, own = f"{bracketed(host)}:{port}", f"{bracketed(host)}:{own_port}"
    lines = (
        f"INVITE sip:{USER}@{at} SIP/2.0",
        f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{call_id};rport",
        "Max-Forwards: 70",
        f"From: <sip:{USER}@{own}>;tag={call_id}",
        f"To: <sip:{USER}@{at}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:{USER}@{own}>",
        f"{HEADER}: {value}",
        "User-Agent: kyusai",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def read_answer(message: bytes) -> tuple[str, int] | None:
    """Call-ID and code of a final answer; None for anything else."""
    status, call_id = _STATUS.match(message), _CALL_ID.search(message)
    if status is None or call_id is None or int(status[1]) < 200:
        return None
    return call_id[1].decode("ascii", "replace"), int(status[1])


def broken(before: Answers, now: Answers) -> list[Broken]:
    """Cases that condemn the switch; [] when calls go as before.

    An extension's way may be closed on purpose, so a refused call between extensions counts only when all of them are
    refused that were not before. An emergency call, an error, and silence where there was a way, count by themselves.
    """
    worse = {name: code for name, code in now.items() if before.get(name) == WELL and code != WELL}
    inside = {name for name in now if not name.startswith(EMERGENCY) and before.get(name) == WELL}
    all_refused = bool(inside) and inside <= worse.keys()
    errors_before = any(_is_error(code) for code in before.values())
    return [
        Broken(name, str(code or "no answer"), str(before.get(name) or "an answer"))
        for name, code in sorted(now.items())
        if (name in worse and (all_refused or code == SILENT or name.startswith(EMERGENCY)))
        or (_is_error(code) and not errors_before)
    ]


def _is_error(code: int) -> bool:
    return ERROR <= code < 600
