"""What a string of digits means in the public telephone network of the site's country.

Decides kind, E.164 and national form of an outside number. Knows nothing of extensions or outside prefixes (`dialplan`
does). Sources: ITU-T E.164 (15 digits, country codes); for Japan the numbering plan of the Ministry of Internal Affairs
and Communications (電気通信番号計画): 0AB-J has 10 digits, 050 and 0A0 mobile have 11, 0120 has 10 and 0800 has 11.
Other countries follow general rules: a mobile number cannot be told from a fixed one and counts as national.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from appliance.kamailio.view import Policy
from appliance.model import NumberKind

JAPAN = "81"

E164_DIGITS_MAX = 15
"""ITU-T E.164 section 6.1: country code and national number together."""

E164_DIGITS_MIN = 7
"""The shortest real number abroad (country code, area and four digits); shorter ones are not complete."""

NATIONAL_DIGITS_MIN = 6
NATIONAL_DIGITS_MAX = 14
"""National significant number outside Japan: E.164's 15 digits less a country code of at least one."""

LOCAL_DIGITS_MIN = 4
LOCAL_DIGITS_MAX = 8
"""Subscriber number without its area code, outside Japan."""


@dataclass(frozen=True, slots=True)
class Number:
    """A dialled number, understood.

    dialled: what the phone sent, without visual separators. extension: number inside the company, or "".
    e164: "+81312345678", or "" where a number has no such form (110, 117). national: what one dials inside the country,
    the international prefix included for a number abroad. withheld: the caller dialled 184 (True) or 186 (False).
    incomplete: the start of a number; more digits would make sense of it (reply 484).
    """

    kind: NumberKind
    dialled: str = ""
    extension: str = ""
    e164: str = ""
    national: str = ""
    withheld: bool | None = None
    incomplete: bool = False


UNKNOWN = Number(NumberKind.UNKNOWN)
INCOMPLETE = Number(NumberKind.UNKNOWN, incomplete=True)

_JAPAN_KINDS: tuple[tuple[re.Pattern[str], NumberKind], ...] = tuple(
    (re.compile(pattern, re.ASCII), kind)
    for pattern, kind in (
        (r"0120\d{6}", NumberKind.TOLL_FREE),
        (r"0800\d{7}", NumberKind.TOLL_FREE),
        (r"0(?:570|990|180)\d{6}", NumberKind.PREMIUM),  # navi dial, information services, mass calling
        (r"0(?:170|910)\d{6}", NumberKind.SPECIAL),
        (r"020\d{8}(?:\d{3})?", NumberKind.SPECIAL),  # machines and pagers
        (r"050\d{8}", NumberKind.IP_PHONE),
        (r"0[6-9]0[1-9]\d{7}", NumberKind.MOBILE),
        (r"0[1-9][1-9]\d{7}", NumberKind.NATIONAL),  # geographic, 0AB-J
        (r"1\d\d", NumberKind.SPECIAL),  # 104, 115, 117, 171, 177, 188 ...
        (r"#\d{4}", NumberKind.SPECIAL),  # #7119, #9110, #8000
    )
)
_JAPAN_BEGUN = re.compile(
    r"0(?:[1-9]\d{0,8}|[5-9]0[1-9]\d{0,6}|50\d{0,7}|800\d{0,6}|20\d{0,7})?|1\d?|18[46]", re.ASCII
)
_JAPAN_PRIVACY = frozenset({"184", "186"})
_JAPAN_SUBSCRIBER = re.compile(r"[2-9]\d+", re.ASCII)
_JAPAN_NATIONAL_DIGITS = 10
_JAPAN_CARRIER = re.compile(r"(?:0091\d\d|002\d\d|001|00[3-9]\d)(\d*)", re.ASCII)
"""Carrier selection (00XY). A call that names a carrier and then 010 goes abroad; where the rest says nothing, it counts as
abroad too, because that is the dearest class and a guess must never be cheaper than the call."""


def read(digits: str, policy: Policy) -> Number:
    """Understand `digits` as dialled on a public line of the site's country. "+" leads an E.164 number. Never raises.

    The number that results has `dialled` empty: only the dial plan knows what came before.
    """
    if not digits:
        return INCOMPLETE
    if digits.startswith("+"):
        return _international(digits[1:], policy)
    rules = _COUNTRIES.get(policy.country, _elsewhere)
    return rules(digits, policy)


def _international(digits: str, policy: Policy) -> Number:
    """`digits`: country code first. A number of the site's own country is a national one."""
    country = policy.country
    if country and digits.startswith(country):
        return _own_country(digits[len(country) :], policy)
    if not digits.isdecimal() or digits.startswith("0") or len(digits) > E164_DIGITS_MAX:
        return UNKNOWN if digits else INCOMPLETE
    if len(digits) < E164_DIGITS_MIN:
        return INCOMPLETE
    return Number(
        NumberKind.INTERNATIONAL, e164=f"+{digits}", national=f"{policy.international_prefix}{digits}"
    )


def _own_country(digits: str, policy: Policy) -> Number:
    """`digits` after the own country code. A national prefix left in by mistake (+81 03...) is forgiven."""
    prefix = policy.national_prefix
    national = digits if prefix and digits.startswith(prefix) else f"{prefix}{digits}"
    number = read(national, policy)
    return number if number.kind is not NumberKind.INTERNATIONAL else UNKNOWN


def _japan(digits: str, policy: Policy) -> Number:
    if digits.startswith(policy.international_prefix or "010"):
        return _international(digits[len(policy.international_prefix or "010") :], policy)
    if digits in _JAPAN_PRIVACY:
        return INCOMPLETE
    for pattern, kind in _JAPAN_KINDS:
        if pattern.fullmatch(digits):
            return _japanese(digits, kind, policy)
    if digits.startswith("00"):
        return _japan_carrier(digits, policy)
    if _JAPAN_BEGUN.fullmatch(digits):
        return INCOMPLETE
    return _japan_subscriber(digits, policy)


def _japanese(national: str, kind: NumberKind, policy: Policy) -> Number:
    if kind is NumberKind.NATIONAL and policy.area and national.startswith(f"0{policy.area}"):
        kind = NumberKind.LOCAL
    e164 = f"+{JAPAN}{national[1:]}" if national.startswith("0") else ""
    return Number(kind, e164=e164, national=national)


def _japan_subscriber(digits: str, policy: Policy) -> Number:
    """A number of the site's own area, dialled without the area code."""
    if not policy.area or not _JAPAN_SUBSCRIBER.fullmatch(digits):
        return UNKNOWN
    national = f"0{policy.area}{digits}"
    if len(national) != _JAPAN_NATIONAL_DIGITS:
        return UNKNOWN
    return _japanese(national, NumberKind.LOCAL, policy)


def _japan_carrier(digits: str, policy: Policy) -> Number:
    """The carrier named is dropped where the rest is a number: the line's own carrier takes the call."""
    match = _JAPAN_CARRIER.fullmatch(digits)
    if match is None:
        return INCOMPLETE if digits.isdecimal() and len(digits) < len("0091XY") else UNKNOWN
    rest = match.group(1)
    if rest.startswith("0") and not rest.startswith("00"):
        return _japan(rest, policy)
    if len(rest) < E164_DIGITS_MIN:
        return INCOMPLETE
    return Number(NumberKind.INTERNATIONAL, national=digits)


def _elsewhere(digits: str, policy: Policy) -> Number:
    """Any country but Japan: prefixes tell abroad from national, the area tells local, three digits are special."""
    if not digits.isdecimal():
        return UNKNOWN
    abroad, trunk, area = policy.international_prefix, policy.national_prefix, policy.area
    if abroad and digits.startswith(abroad):
        return _international(digits[len(abroad) :], policy)
    if len(digits) == len("112"):
        return Number(NumberKind.SPECIAL, national=digits)
    if trunk and digits.startswith(trunk):
        return _generic(digits[len(trunk) :], policy)
    if area and LOCAL_DIGITS_MIN <= len(digits) <= LOCAL_DIGITS_MAX:
        return _generic(f"{area}{digits}", policy)
    if len(digits) > LOCAL_DIGITS_MAX or not trunk:
        return _generic(digits, policy)
    return UNKNOWN


def _generic(significant: str, policy: Policy) -> Number:
    """`significant`: national significant number, without the national prefix."""
    if len(significant) < NATIONAL_DIGITS_MIN:
        return INCOMPLETE
    if len(significant) > NATIONAL_DIGITS_MAX or len(policy.country) + len(significant) > E164_DIGITS_MAX:
        return UNKNOWN
    is_local = bool(policy.area) and significant.startswith(policy.area)
    return Number(
        NumberKind.LOCAL if is_local else NumberKind.NATIONAL,
        e164=f"+{policy.country}{significant}" if policy.country else "",
        national=f"{policy.national_prefix}{significant}",
    )


_COUNTRIES: dict[str, Callable[[str, Policy], Number]] = {JAPAN: _japan}
"""Countries with rules of their own, by country code."""
