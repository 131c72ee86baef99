"""Transfers: what a REFER asks for, and which telephone an INVITE with Replaces is meant for. Pure.

Sources: RFC 3515 (Refer-To), RFC 3891 section 3 (Replaces names the dialog from its receiver's side: to-tag is the
receiver's own tag), RFC 5359 for the flows.
"""

import json
import re
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog that an INVITE takes over. tag: the tag of the telephone that the INVITE is for."""

    call_id: str
    tag: str


def read_replaces(header: str) -> Replaces | None:
    """A Replaces header; None when it is none."""
    call_id, *params = (part.strip() for part in header.split(";"))
    tags = dict(param.partition("=")[::2] for param in params)
    tag = tags.get("to-tag", "")
    return Replaces(call_id, tag) if call_id and tag else None


def owner(replaces: Replaces, legs: str) -> str:
    """Extension whose telephone holds the dialog, "" when that is not known. legs: what the box noted of the call."""
    try:
        known = json.loads(legs or "{}")
    except ValueError:
        return ""
    return str(known.get(replaces.tag, ""))


def read_refer(refer_to: str) -> dict[str, str]:
    """What a Refer-To header says, for the journal: user sent to, and kind "attended" or "blind"."""
    found = _USER.search(refer_to)
    attended = "replaces=" in unquote(refer_to).lower()
    return {"to": unquote(found.group(1)) if found else "", "kind": "attended" if attended else "blind"}


def unwrapped(refer_to: str) -> str:
    """What was meant by a Refer-To that FreeSWITCH passed on, "" when it is whole: it makes an address out of one in angle
    brackets, "<sip:<sip:204@site?Replaces=...>@127.0.0.1>" (mod_sofia.c, SWITCH_MESSAGE_INDICATE_DEFLECT; 1.10.12, 1.11.2)."""
    found = _WRAPPED.match(refer_to)
    return found.group(1) if found else ""


_WRAPPED = re.compile(r"<sip:(<sips?:[^<>\s]+>)@[^<>\s]+>", re.IGNORECASE)
_USER = re.compile(r"sips?:([^@;?>]+)@", re.IGNORECASE)
