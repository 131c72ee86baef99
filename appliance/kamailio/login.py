"""What is dialled to log in at a telephone, and what of it may be written down. Pure."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from appliance.digest import pin_sha256
from appliance.kamailio.view import Extension, Policy

FEATURE = "hot_desk_in"

_LOGIN = re.compile(r"\*?([0-9]{2,10})\*([0-9]{4,10})#?", re.ASCII)
MASK = "****"


def read(argument: str) -> tuple[str, str] | None:
    """Extension and PIN behind the code, or None."""
    match = _LOGIN.fullmatch(argument)
    return (match.group(1), match.group(2)) if match else None


def is_right(person: Extension | None, pin: str, policy: Policy) -> bool:
    """Whether it is the person's PIN. Nobody's is right who has none."""
    if person is None or not person.pin_sha256:
        return False
    return pin_sha256(person.number, policy.domain, pin) == person.pin_sha256


def masked(dialled: str, policy: Policy) -> str:
    """What was dialled, for journals: of a log-in the code alone. Anything that begins like one is one."""
    if not dialled.startswith("*"):
        return dialled
    code = next((one.code for one in policy.codes if one.id == FEATURE), "")
    return code + MASK if code and len(dialled) > len(code) and dialled.startswith(code) else dialled


def ends_at(policy: Policy, now_s: int) -> int:
    """When a log-in made now ends by itself, in seconds since 1970; 0: never."""
    minute = policy.hot_desk_ends
    if minute < 0:
        return 0
    try:
        zone = ZoneInfo(policy.time_zone)
    except (OSError, ValueError):
        zone = ZoneInfo("UTC")
    now = datetime.fromtimestamp(now_s, UTC).astimezone(zone)
    end = now.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return int(end.timestamp())
