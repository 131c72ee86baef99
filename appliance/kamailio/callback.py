"""Call-back on busy: whom an extension wants to reach, and when both are free. Pure.

Whoever met with a busy telephone dials the code; FreeSWITCH then asks every twenty seconds for the extension's own
telephone by `user_of` (`appliance.freeswitch.callback_xml`). It rings once both are in no call; when it is answered, the other
one is called. What is wanted is kept in Kamailio's memory for half an hour: a restart of Kamailio or of FreeSWITCH forgets it.
"""

import re

OFF = "-"
"""Before whom a cancelled wish was about: FreeSWITCH goes on asking, and a new wish for the same one needs no second asking."""

AGAIN = "again"
"""In place of caller and called: FreeSWITCH asks already."""

WANTED, PENDING = "wanted", "callback"
"""Tables: extension -> whom it last found busy; extension -> whom it is to be connected with."""

UNTIL = "callback_until"
"""Beside the generation of what is kept: until when some extension may wait, in seconds since 1970. Only so long does the
journal's process follow for them who is in a call (`members`)."""

LIFE_S = 1_800
"""As the tables' expiry in kamailio.cfg."""

USER = "callback-"

SET, CANCEL = "callback_set", "callback_cancel"

_USER = re.compile(rf"{USER}([0-9]{{2,10}})-([0-9]{{2,10}})", re.ASCII)


def user_of(caller: str, called: str) -> str:
    """What FreeSWITCH asks for."""
    return f"{USER}{caller}-{called}"


def argument(caller: str, wanted: str, pending: str) -> str:
    """What FreeSWITCH is told with `SET`."""
    if not wanted:
        return ""
    return AGAIN if pending.removeprefix(OFF) == wanted else f"{caller}-{wanted}"


def noted(feature: str, wanted: str, pending: str) -> str:
    """What stands in `PENDING` after a code was dialled; "" for nothing."""
    if feature == SET:
        return wanted
    return OFF + pending.removeprefix(OFF) if pending else ""


def asked(dialled: str) -> tuple[str, str] | None:
    """Caller and called of `user_of`."""
    found = _USER.fullmatch(dialled)
    return (found[1], found[2]) if found else None
