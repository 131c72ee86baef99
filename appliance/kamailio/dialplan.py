"""What a dialled string means at this site, and how a number is written for each peer.

Pure reading and writing of numbers: whether a call may go there is `routing`'s question. Order of meaning: emergency
number, number inside the company, outside number. The public network's own rules are in `numbering`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from appliance.kamailio.login import masked
from appliance.kamailio.numbering import INCOMPLETE, JAPAN, UNKNOWN, Number, read
from appliance.kamailio.view import Policy, View
from appliance.model import NumberKind

__all__ = ["Number", "clean", "is_emergency", "read_dialled", "read_inbound", "render", "rewrite"]

DIALLED_MAX = 32
"""Characters of a dialled number that are looked at: 15 of E.164, prefixes, a carrier code, with room. Longer is no number."""

INTERNAL_DIGITS_MAX = 10
"""Digits of the longest extension or group (the site document's rule); longer numbers are not looked up as such."""

UNPREFIXED_DIGITS_MIN = 9
"""Where outside calls need a prefix, a number without it is read as an outside number from this length on, so that a
caller's number can be called back from the phone's list. Shorter strings stay inside the company."""

INTERNAL = frozenset(
    {
        NumberKind.EXTENSION,
        NumberKind.GROUP,
        NumberKind.REMOTE_EXTENSION,
        NumberKind.APPLICATION,
        NumberKind.FEATURE,
    }
)

_SEPARATORS = str.maketrans("", "", "-.() ")
"""RFC 3966 section 5.1.1: visual separators mean nothing."""
_NUMBER = re.compile(r"\+?[0-9*#]+", re.ASCII)
_WITHHELD = {"184": True, "186": False}
"""Japan: 184 withholds the caller's number for this call, 186 shows it."""
_FORMS = {
    "e164": ("e164", "national", "extension", "dialled"),
    "national": ("national", "e164", "extension", "dialled"),
    "extension": ("extension", "dialled", "national", "e164"),
}
"""Fields of a `Number` in the order in which a peer of that number format would like them."""


def clean(user: str) -> str:
    """The dialled characters of a SIP user part: parameters and separators away. "" when it is no telephone number."""
    digits = user.partition(";")[0].replace("%23", "#").replace("%2B", "+").translate(_SEPARATORS)
    return digits if len(digits) <= DIALLED_MAX and _NUMBER.fullmatch(digits) else ""


def read_dialled(user: str, view: View) -> Number:
    """Understand what a phone of the site dialled. Never raises; UNKNOWN is an answer."""
    digits = clean(user)
    if not digits:
        return INCOMPLETE if not user else replace(UNKNOWN, dialled=user)
    policy = view.policy
    readings = tuple(_readings(digits, policy))
    return (
        _emergency(digits, readings, policy)
        or _internal(digits, view)
        or _feature(digits, policy)
        or replace(_of_this_site(_outside(readings, policy), view), dialled=digits)
    )


def read_inbound(user: str, view: View) -> Number:
    """Understand what an upstream or a gateway asks for: an own number in E.164, national digits, or an extension."""
    digits = clean(user)
    if not digits:
        return INCOMPLETE if not user else replace(UNKNOWN, dialled=user)
    policy = view.policy
    return (
        _emergency(digits, ((digits, None),), policy)
        or _internal(digits, view)
        or replace(_of_this_site(_public(digits, policy), view), dialled=digits)
    )


def is_emergency(user: str, policy: Policy) -> bool:
    """Whether what a phone dialled is an emergency number, with or without prefixes. Looks nothing up."""
    digits = clean(user)
    return bool(digits) and _emergency(digits, tuple(_readings(digits, policy)), policy) is not None


def render(number: Number, number_format: str) -> str:
    """`number` as a peer with `number_format` ("e164", "national", "extension") wants it. Never empty for a known kind.

    An emergency number is written bare in every format: a prefix could be all that keeps it from being recognised.
    """
    if number.kind is NumberKind.EMERGENCY:
        return number.national
    return next(filter(None, (getattr(number, form) for form in _FORMS[number_format])), "")


def rewrite(text: str, number_format: str, policy: Policy) -> str:
    """A caller's number in E.164, national or foreign form, written anew in `number_format`; unchanged when it is none of
    these (an extension of the cloud, a name).

    Format "extension" (a telephone, or a peer that thinks in extensions) gets the national form, and a number abroad
    with its "+".
    """
    digits = clean(text)
    complete = digits.startswith(("+", policy.national_prefix, policy.country))
    number = _public(digits, policy) if digits and complete else UNKNOWN
    if number.kind is NumberKind.UNKNOWN:
        return text
    if number_format == "extension":
        number_format = "e164" if number.kind is NumberKind.INTERNATIONAL else "national"
    return render(number, number_format)


def _readings(digits: str, policy: Policy) -> Iterator[tuple[str, bool | None]]:
    """Ways to read a phone's digits as a number on a public line, the documented way first."""
    outside = policy.outside_prefix
    if digits.startswith("+"):
        yield digits, None
        return
    bare, withheld = _privacy(digits, policy)
    if outside and digits.startswith(outside):
        rest, rest_withheld = _privacy(digits[len(outside) :], policy)
        if rest_withheld is not None:
            yield rest, rest_withheld
        yield digits[len(outside) :], None
    if withheld is not None:
        if outside and bare.startswith(outside):
            yield bare[len(outside) :], withheld
        if bare:
            yield bare, withheld
    yield digits, None


def _privacy(digits: str, policy: Policy) -> tuple[str, bool | None]:
    if policy.country != JAPAN or digits[:3] not in _WITHHELD:
        return digits, None
    return digits[3:], _WITHHELD[digits[:3]]


def _emergency(digits: str, readings: tuple[tuple[str, bool | None], ...], policy: Policy) -> Number | None:
    for reading, _ in readings:
        bare = reading.removeprefix(f"+{policy.country}")
        if bare in policy.emergency_numbers:
            return Number(NumberKind.EMERGENCY, dialled=digits, national=bare)
    return None


def _internal(digits: str, view: View) -> Number | None:
    if len(digits) > INTERNAL_DIGITS_MAX:
        return None
    extension = view.extension(digits)
    if extension is not None:
        return Number(NumberKind.EXTENSION, dialled=digits, extension=digits, e164=extension.public_number)
    if view.group(digits) is not None:
        return Number(NumberKind.GROUP, dialled=digits, extension=digits)
    if view.policy.application(digits) is not None:
        return Number(NumberKind.APPLICATION, dialled=digits, extension=digits)
    e164 = view.remote_extension(digits)
    if e164 is not None:
        return Number(NumberKind.REMOTE_EXTENSION, dialled=digits, extension=digits, e164=e164)
    return None


def _feature(digits: str, policy: Policy) -> Number | None:
    """A feature code. Only what telephones of the site dial, or the site document names, is read as one."""
    if digits.startswith("*") and policy.feature(digits) is not None:
        return Number(NumberKind.FEATURE, dialled=digits, extension=masked(digits, policy))
    return None


def _outside(readings: tuple[tuple[str, bool | None], ...], policy: Policy) -> Number:
    """The first reading that makes a number; where none does, whether the documented one is the start of a number."""
    *documented, (whole, _) = readings
    if whole.startswith("+") or not policy.outside_prefix:
        documented = list(readings)
    for reading, withheld in documented:
        number = read(reading, policy)
        if number.kind is not NumberKind.UNKNOWN:
            return replace(number, withheld=withheld)
    return _called_back(whole, policy) or (read(documented[0][0], policy) if documented else UNKNOWN)


def _called_back(whole: str, policy: Policy) -> Number | None:
    """A number taken from the list of calls, where no outside prefix stands before it: only in full, as lists show it."""
    if len(whole) < UNPREFIXED_DIGITS_MIN:
        return None
    number = read(whole, policy)
    return number if number.e164 and number.national == whole else None


def _public(digits: str, policy: Policy) -> Number:
    """A number from the public network: as it stands, or E.164 whose "+" was left out."""
    number = read(digits, policy)
    if number.kind is NumberKind.UNKNOWN and policy.country and digits.startswith(policy.country):
        number = read(f"+{digits}", policy)
    return number


def _of_this_site(number: Number, view: View) -> Number:
    """An outside number that is one of the site's own becomes the extension or group that answers for it."""
    own = view.extension_of(number.e164) if number.e164 else None
    if not own:
        return number
    if view.extension(own) is not None:
        return replace(number, kind=NumberKind.EXTENSION, extension=own)
    if view.group(own) is not None:
        return replace(number, kind=NumberKind.GROUP, extension=own)
    if view.policy.application(own) is not None:
        return replace(number, kind=NumberKind.APPLICATION, extension=own)
    return number
