"""Locks are read from FreeSWITCH's variables, and opened with the tries that led to them."""

from appliance.freeswitch import names
from appliance.freeswitch.pin_locks import Lock, What, locks_in, opening

VARIABLES = """hostname=box
ky_vm_lock_202=true
ky_vm_lock_203=
ky_vm_tries_204=xxx
ky_code_lock_702=true
ky_code_lock_schedules=true
ky_code_tries_703=x
other_ky_code_lock_704=true
"""


def test_what_is_locked_is_found_and_nothing_else() -> None:
    assert locks_in(VARIABLES) == {
        Lock(What.VOICEMAIL, "202"),
        Lock(What.CODE, "702"),
        Lock(What.CODE, "schedules"),
    }
    assert locks_in("-ERR no reply") == frozenset()


def test_opening_forgets_the_tries_as_well() -> None:
    assert opening(Lock(What.CODE, "702")) == (f"{names.CODE_LOCK}702=", f"{names.CODE_TRIES}702=")
    assert opening(Lock(What.VOICEMAIL, "2")) == (f"{names.VOICEMAIL_LOCK}2=", f"{names.VOICEMAIL_TRIES}2=")
