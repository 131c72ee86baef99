"""What wrong PINs and access codes have locked, read from FreeSWITCH's global variables. Pure.

Voicemail boxes (`voicemail_login_xml`) and the numbers and feature codes with an access code (`code_xml`). Both open by
themselves after twenty minutes, when FreeSWITCH is restarted, and by whoever is told so at the box.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.freeswitch import names

SET = "true"


class What(StrEnum):
    """VOICEMAIL: a box. CODE: an application's number, or "schedules" for the feature codes that set them."""

    VOICEMAIL = "voicemail"
    CODE = "code"


_VARIABLES = {
    What.VOICEMAIL: (names.VOICEMAIL_LOCK, names.VOICEMAIL_TRIES),
    What.CODE: (names.CODE_LOCK, names.CODE_TRIES),
}


@dataclass(frozen=True, slots=True, order=True)
class Lock:
    """name: the box's extension, the application's number, or "schedules"."""

    what: What
    name: str


def locks_in(variables: str) -> frozenset[Lock]:
    """All locks. variables: FreeSWITCH's answer to `global_getvar`, a line for each."""
    rows = [line.partition("=") for line in variables.splitlines()]
    return frozenset(
        Lock(what, name.removeprefix(lock))
        for what, (lock, _) in _VARIABLES.items()
        for name, _, value in rows
        if name.startswith(lock) and value.strip() == SET
    )


def opening(lock: Lock) -> tuple[str, ...]:
    """Arguments of `global_setvar` that open it and let its owner begin with no wrong try behind him."""
    return tuple(f"{variable}{lock.name}=" for variable in _VARIABLES[lock.what])
