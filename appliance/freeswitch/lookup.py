"""An HTTP node's request and what its answer means. Pure.

The document alone says where a request goes: a caller's values are percent-encoded into the query or stand in a JSON body, and
never become part of a host, a path or a header. Of an answer only what a variable can hold comes through.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from appliance.freeswitch.flow import Lookup

ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer: a customer's row is a kilobyte."""

VALUE_CHARS_MAX = 64
"""Of a variable."""

SENT_CHARS_MAX = 128
"""Of a caller's value."""

_OTHER = re.compile(r"[^A-Za-z0-9_.+*#-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. url: with the query. body: JSON text, "" for GET."""

    method: str
    url: str
    body: str


class Failed(Exception):
    """The look-up came to nothing. why: for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def request(lookup: Lookup, known: Mapping[str, str]) -> Request:
    """The request of a node. known: "caller", "dialled" and what the flow noted, by name; what is missing is sent empty."""
    sent = {name: _sent(known.get(source, "")) for name, source in lookup.send}
    if lookup.method == "POST":
        return Request("POST", lookup.url, json.dumps(sent, ensure_ascii=True))
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sent.items())
    joint = "" if not pairs else "&" if "?" in lookup.url else "?"
    return Request("GET", f"{lookup.url}{joint}{pairs}", "")


def where(url: str) -> tuple[str, int]:
    """Host and port of a URL of the document."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def allowed(addresses: Iterable[str], private: bool) -> list[str]:
    """Those of a host's addresses that may be asked: public ones, and with `private` those of private networks and this
    machine too. Never multicast and unspecified ones."""
    found = [(text, ipaddress.ip_address(text.partition("%")[0])) for text in addresses]
    usual = [
        (text, one)
        for text, one in found
        if not (one.is_multicast or one.is_unspecified or one.is_link_local)
    ]
    return [text for text, one in usual if private or one.is_global]


def noted(lookup: Lookup, status: int, body: bytes) -> dict[str, str]:
    """Variables of an answer. Raises `Failed` for a status other than 200 and for what is no JSON. A field that is not there,
    and one that is an object or a list, is noted empty."""
    if status != 200:
        raise Failed(f"status {status}")
    if len(body) > ANSWER_BYTES_MAX:
        raise Failed(f"more than {ANSWER_BYTES_MAX} bytes")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Failed("the answer is no JSON") from None
    return {variable: _text(_at(answer, path)) for variable, path in lookup.fields}


def _sent(value: str) -> str:
    return "".join(one for one in value if one.isprintable())[:SENT_CHARS_MAX]


def _at(answer: object, path: str) -> object:
    for step in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(step)
        elif isinstance(answer, list) and step.isdecimal() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def _text(value: object) -> str:
    """As a variable can hold it: other characters than its own become "_"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return _OTHER.sub("_", str(value))[:VALUE_CHARS_MAX]
    return ""
