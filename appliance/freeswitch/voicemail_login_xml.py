"""Who gets into a voicemail box: PIN, lock across calls, change of PIN. A dialplan context of its own. Pure.

FreeSWITCH's module counts wrong PINs within one call and forgets them with it. Counted across calls they are here, in global
variables of FreeSWITCH: a call that asks for a PIN counts before it asks, and takes the count back once the PIN was right, so
that hanging up early saves nobody's guess. One caller at a time is asked for a box's PIN. Timers are FreeSWITCH's own
(`sched_api`), ordered when the call ends. A restart of FreeSWITCH forgets locks, not PINs: a changed one is in the module's
database.
"""

from collections.abc import Iterable

from appliance.freeswitch import names
from appliance.freeswitch.applications import Mailbox
from appliance.freeswitch.quoting import word
from appliance.freeswitch.signals import RINGING
from appliance.freeswitch.xml import Element, action, element

FAILED_CALLS_MAX = 4
"""Calls without the right PIN, of three tries each, before a box locks: twelve guesses."""

COUNTED_S = 600
"""They are counted for ten minutes from the first one on."""

LOCKED_S = 1_200
"""A locked box opens after twenty minutes: fewer than 900 guesses a day against four digits or more."""

PIN_MIN, PIN_MAX = 4, 10
"""Digits of a PIN that an owner chooses."""

WEAK = "|".join((*(f"{digit}+" for digit in range(10)), "1234", "12345", "123456", "4321", "2580"))
"""What thieves try first: one digit repeated, a row of the keypad."""

PIN_PATTERN = f"^(?!(?:{WEAK})$)[0-9]{{{PIN_MIN},{PIN_MAX}}}$"

CONTEXT = names.VOICEMAIL_CONTEXT
"""No call from outside gets there by itself."""

REMOTE = "remote"
"""In it: for the owner who called his own number and pressed the star during the greeting."""

BOX = "ky_box"
"""Channel variable: whose box it is about."""

CALL_BACK_RING_S = 60

LEFT_AT_ONCE_MAX = 20
"""Messages that are recorded at once. Together they are at most 192 MB, and none begins when less room is left than 256 MiB
(`agent.disk.FULL_BYTES`): what a full disk cuts short all the same is not kept (`whole_recordings`)."""

KEY_MS = 3_000
FIRST_KEY_MS = 8_000
TRIES = 3

SENTENCES = {
    "ky_vm_locked": "vm_locked",
    "ky_vm_in_use": "vm_in_use",
    "ky_vm_unknown": "no_such_number",
    "ky_vm_which": "vm_enter_id",
    "ky_vm_more": "vm_change_pin",
    "ky_vm_new_pin": "vm_new_pin",
    "ky_vm_again": "vm_new_pin_again",
    "ky_vm_changed": "vm_pin_changed",
    "ky_vm_unchanged": "vm_pin_not_changed",
    "ky_vm_bye": "goodbye",
    "ky_vm_full": "vm_full",
    "ky_vm_no_room": "vm_no_room",
    "ky_vm_not_stored": "vm_not_stored",
    "ky_vm_nobody": "vm_nobody",
}
"""Phrase -> prompt. A phrase is said in the box's language."""

_QUIET = "silence_stream://20"
_LOCK = f"${{{names.VOICEMAIL_LOCK}${{{BOX}}}}}"
_TRIES = f"${{{names.VOICEMAIL_TRIES}${{{BOX}}}}}"


def to(extension: str) -> Element:
    """Go to an extension of this context."""
    return action("transfer", f"{extension} XML {CONTEXT}")


def opened(number: str) -> tuple[Element, ...]:
    """Actions that open a box for whoever knows its PIN."""
    return (to(f"box-{word(number)}"),)


def asked(language: str) -> tuple[Element, ...]:
    """Actions that ask whose box is wanted."""
    return (
        action("answer"),
        action("set", f"default_language={language}"),
        action("sleep", "300"),
        to("which"),
    )


def context(boxes: Iterable[Mailbox]) -> Element:
    """The context."""
    known = [
        number_extension(
            f"box-{word(box.number)}",
            action("answer"),
            action("set", f"{BOX}={word(box.number)}"),
            action("set", f"default_language={box.language}"),
            action("sleep", "300"),
            to("open"),
        )
        for box in boxes
    ]
    return element(
        "context",
        *known,
        number_extension(REMOTE, to(f"box-${{{BOX}}}")),
        *_which(),
        *_guarded(),
        *_inside(),
        *_new_pin(),
        *_room(),
        number_extension("end", *_end("ky_vm_bye")),
        number_extension("no-room", *_end("ky_vm_no_room")),
        number_extension(names.NOT_STORED, *_end("ky_vm_not_stored")),
        number_extension("in-use", *_end("ky_vm_in_use")),
        number_extension(".*", *_end("ky_vm_unknown")),
        name=CONTEXT,
    )


def room() -> tuple[Element, ...]:
    """Actions that end the call with a word where no message can be taken."""
    return (
        action("execute_extension", f"room XML {CONTEXT}"),
        action("limit", f"hash voicemail-left all {LEFT_AT_ONCE_MAX} no-room XML {CONTEXT}"),
    )


def call_back() -> Element:
    """The context `names.CALL_BACK`: calls whoever left a message, with the rights of the box's owner, and goes back to the
    messages afterwards."""
    called = (
        action("set", "hangup_after_bridge=false"),
        action("set", "continue_on_fail=true"),
        action("set", f"call_timeout={CALL_BACK_RING_S}"),
        action("set", f"ringback={RINGING}"),
        action("export", f"nolocal:sip_h_{names.BEHALF_HEADER}=${{{BOX}}}"),
        action("bridge", f"sofia/{names.PROFILE}/$1@${{{names.KAMAILIO}}}"),
        action("execute_extension", f"after XML {names.CALL_BACK}"),
    )
    return element(
        "context",
        number_extension(
            "after", action("set", "ky_vm_called=true"), when=("${originate_disposition}", "^SUCCESS$")
        ),
        number_extension("([+]?[0-9*#]{1,32})", *called),
        number_extension(".*", action("phrase", "ky_vm_nobody")),
        name=names.CALL_BACK,
    )


def _room() -> tuple[Element, ...]:
    return (
        number_extension(
            "room", *_end("ky_vm_full"), when=(f"${{{names.VOICEMAIL_FULL}${{{BOX}}}}}", "^true$")
        ),
        number_extension("room", *_end("ky_vm_no_room"), when=(f"${{{names.VOICEMAIL_NO_ROOM}}}", "^true$")),
        number_extension("room", action("set", "ky_vm_room=true")),
    )


def _which() -> tuple[Element, ...]:
    digits = f"2 10 {TRIES} {FIRST_KEY_MS} # phrase:ky_vm_which {_QUIET} ky_vm_which ^[0-9]{{2,10}}$ {KEY_MS}"
    return (
        number_extension("which", action("play_and_get_digits", digits), to("chosen")),
        number_extension("chosen", to("box-${ky_vm_which}"), when=("${ky_vm_which}", "^[0-9]{2,10}$")),
        number_extension("chosen", to("end")),
    )


def _guarded() -> tuple[Element, ...]:
    """Locked; the last call that is counted, which locks the box until its PIN was right; one more; the first of a row."""
    last = f"^x{{{FAILED_CALLS_MAX - 1},}}$"
    return (
        number_extension("open", *_end("ky_vm_locked"), when=(_LOCK, "^true$")),
        number_extension(
            "open",
            _one_at_a_time(),
            action(
                "log",
                f"WARNING voicemail box ${{{BOX}}} locks after {FAILED_CALLS_MAX} calls without its PIN",
            ),
            action("set_global", f"{names.VOICEMAIL_LOCK}${{{BOX}}}=true"),
            action("set_global", f"{names.VOICEMAIL_TRIES}${{{BOX}}}="),
            _at_the_end(LOCKED_S, names.VOICEMAIL_LOCK),
            to("ask"),
            when=(_TRIES, last),
        ),
        number_extension(
            "open",
            _one_at_a_time(),
            action("set_global", f"{names.VOICEMAIL_TRIES}${{{BOX}}}={_TRIES}x"),
            to("ask"),
            when=(_TRIES, "^x+$"),
        ),
        number_extension(
            "open",
            _one_at_a_time(),
            action("set_global", f"{names.VOICEMAIL_TRIES}${{{BOX}}}=x"),
            _at_the_end(COUNTED_S, names.VOICEMAIL_TRIES),
            to("ask"),
        ),
    )


def _one_at_a_time() -> Element:
    return action("limit", f"hash voicemail ${{{BOX}}} 1 in-use XML {CONTEXT}")


def _at_the_end(after_s: int, variable: str) -> Element:
    """When the call ends, have a global variable of the box removed after a time."""
    return action("set", f"api_hangup_hook=sched_api +{after_s} none global_setvar {variable}${{{BOX}}}=")


def _inside() -> tuple[Element, ...]:
    """The module asks, and ends the call of whoever does not know."""
    domain = f"${{{names.DOMAIN}}}"
    return (
        number_extension(
            "ask", action("voicemail", f"check auth_only default {domain} ${{{BOX}}}"), to("in")
        ),
        number_extension(
            "in",
            action("unset", "api_hangup_hook"),
            action("set_global", f"{names.VOICEMAIL_LOCK}${{{BOX}}}="),
            action("set_global", f"{names.VOICEMAIL_TRIES}${{{BOX}}}="),
            action("set", "vm_announce_cid=true"),
            action("voicemail", f"check auth default {domain} ${{{BOX}}}"),
            to("more"),
            when=("${user_pin_authenticated}", "^true$"),
        ),
        number_extension("in", to("end")),
    )


def _new_pin() -> tuple[Element, ...]:
    """Asked for twice; stored by the module when the call ends."""
    more = f"1 1 1 5000 none phrase:ky_vm_more {_QUIET} ky_vm_key ^4$ {KEY_MS}"
    first = f"{PIN_MIN} {PIN_MAX} 1 {FIRST_KEY_MS} # phrase:ky_vm_new_pin {_QUIET} ky_vm_pin {PIN_PATTERN} {KEY_MS}"
    second = (
        f"{PIN_MIN} {PIN_MAX} 1 {FIRST_KEY_MS} # phrase:ky_vm_again {_QUIET} ky_vm_pin2 ^[0-9]+$ {KEY_MS}"
    )
    store = f"vm_fsdb_pref_password_set default ${{{names.DOMAIN}}} ${{{BOX}}} ${{ky_vm_pin}}"
    return (
        number_extension("more", action("play_and_get_digits", more), to("chose")),
        number_extension(
            "chose",
            action("play_and_get_digits", first),
            to("again"),
            when=("${ky_vm_key}", "^4$"),
        ),
        number_extension("chose", to("end")),
        number_extension(
            "again", action("play_and_get_digits", second), to("same"), when=("${ky_vm_pin}", PIN_PATTERN)
        ),
        number_extension("again", *_end("ky_vm_unchanged")),
        number_extension(
            "same",
            action("set", f"api_hangup_hook={store}"),
            *_end("ky_vm_changed"),
            when=("${ky_vm_pin2}", "^${ky_vm_pin}$"),
        ),
        number_extension("same", *_end("ky_vm_unchanged")),
    )


def _end(phrase: str) -> tuple[Element, ...]:
    return (action("phrase", phrase), action("sleep", "500"), action("hangup", "NORMAL_CLEARING"))


def number_extension(number: str, *actions: Element, when: tuple[str, str] | None = None) -> Element:
    """A dialplan extension. number: expression; when: a field and an expression that hold as well."""
    here = {"field": "destination_number", "expression": f"^{number}$"}
    if when is None:
        return element("extension", Element("condition", here, actions), name=number)
    return element(
        "extension",
        Element("condition", here),
        Element("condition", {"field": when[0], "expression": when[1]}, actions),
        name=number,
    )
