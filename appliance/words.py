"""Forms of the words in configuration: ids, numbers, names. Pure; each rule says itself to people."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from appliance.local_change import ID_EXPRESSION

ID_MAX_CHARS = 63
"""An id may become a host name's label (RFC 1035 section 2.3.4), a folder and a metric's label."""


@dataclass(frozen=True, slots=True)
class Form:
    """A rule for a text. holds: whether it is kept; expected, example: the rule in words."""

    holds: Callable[[str], object]
    expected: str
    example: str


def _form(expression: str, expected: str, example: str) -> Form:
    return Form(re.compile(expression, re.ASCII).fullmatch, expected, example)


ID = _form(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "lower-case letters, digits and inner hyphens, 1 to 63 of them",
    "'tokyo-1'",
)

ABSOLUTE_PATH = Form(lambda value: value.startswith("/"), "an absolute path", "'/var/lib/kyusai'")

DOMAIN = _form(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    "a host name or a literal address",
    "'tokyo-1.example'",
)

REALM = _form(
    r"[ !#-\[\]-~]+", "printable ASCII without quotation marks and backslashes", "'tokyo-1.example'"
)
"""A realm stands quoted in headers and is hashed into every HA1 (RFC 7616 section 3.4.2)."""

TIME_ZONE = _form(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Z][A-Za-z0-9_+-]*){0,2}", "an IANA time zone", "'Asia/Tokyo'")

NAME = Form(
    lambda value: value.strip() == value and not set(value) & set('"\\<>'),
    'a name without ", \\, <, > and outer spaces (it stands quoted in SIP headers)',
    "'佐藤'",
)

INTERNAL_NUMBER = _form(r"[0-9]{2,10}", "2 to 10 digits", "'201'")
"""Extensions, groups and other sites' extensions."""

E164 = _form(r"\+[1-9][0-9]{5,14}", "an E.164 number with its plus sign", "'+81312340201'")
"""ITU-T E.164: 15 digits at most, country code included."""

DIALLED = _form(r"\+?[0-9*#]{1,32}", "a number as a phone dials it", "'0312340201'")

BLOCK = _form(
    r"\+?[0-9?]{1,20}\*?", "a number, with ? for any digit and * at the end for anything behind it", "'050*'"
)
"""Callers that are not wanted."""

EMERGENCY_NUMBER = _form(r"[0-9]{2,6}", "2 to 6 digits", "'119'")

COUNTRY = _form(r"[1-9][0-9]{0,2}", "a country code of 1 to 3 digits without plus sign", "'81'")

PREFIX = _form(r"[0-9*#]{1,6}", "1 to 6 digits", "'0'")

TIME_OF_DAY = _form(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day from 00:00 to 24:00", "'08:00'")

CHANGE_ID = _form(ID_EXPRESSION, "the id of a change made at a box: 8 hexadecimal digits", "'5f0c3a19'")

USERNAME = _form(
    r"[A-Za-z0-9][A-Za-z0-9._~+-]{0,63}", "letters, digits and . _ ~ + -, 1 to 64 of them", "'201'"
)


def _is_network(value: str) -> bool:
    try:
        return "/" in value and bool(ipaddress.ip_network(value))
    except ValueError:
        return False


NETWORK = Form(_is_network, "a network in CIDR form without host bits", "'192.0.2.0/24'")

KANA = _form(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u3000 ]+", "hiragana or katakana", "'さとう はるか'")
"""How a name is read; parts stand apart by a space."""

EMAIL = _form(
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?",
    "an e-mail address",
    "'sato@example.com'",
)
"""The addresses that people have; quoted and international ones are not among them (RFC 5321 section 4.1.2)."""
