"""Access codes of conference rooms and of what sets a schedule by hand: asked for, counted across calls, locked. Pure.

A wrong code is counted when it is pressed, in a global variable of FreeSWITCH: hanging up early saves nobody's guess, and many
calls at once have no more guesses together than one, because what each pressed is judged by the lock as it is then. Several
people may be asked at once, other than for a voicemail box (`voicemail_login_xml`): a meeting begins with all of them.
Whoever knows the code sets the count back. A restart of FreeSWITCH opens locks, which no caller can bring about.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.freeswitch import names
from appliance.freeswitch.flow_parts_xml import (
    QUIET,
    Prompts,
    asked,
    forgiven,
    literal,
    nothing_but_end,
)
from appliance.freeswitch.flow_xml import NEXT_KEY_MS, goodbye
from appliance.freeswitch.moved_xml import entered, moved
from appliance.freeswitch.quoting import word
from appliance.freeswitch.voicemail_login_xml import number_extension
from appliance.freeswitch.xml import Element, action, element

CONTEXT = "codes"
"""No call from outside gets there by itself."""

TRIES = 3
"""In one call, which ends then."""

WAIT_MS = 8_000
"""For a code that a caller has to look up."""

WRONG_MAX = 12
"""Wrong codes, in all calls together, before a number locks."""

COUNTED_S = 600
"""They are counted until ten minutes after the call with the first one."""

LOCKED_S = 1_200
"""A locked number opens after twenty minutes: fewer than 900 guesses a day against four digits or more."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """What asks for a code. name: by which `entry` finds it. ways: (code, what whoever knows it comes to). language: of what is
    said. counted: the name under which wrong codes are counted and lock; that of several is one."""

    name: str
    ways: tuple[tuple[str, tuple[Element, ...]], ...]
    language: str
    counted: str


def entry(name: str, user: str) -> tuple[Element, ...]:
    """Actions that ask for the code of `Guarded.name`. user: by which the entry dialplan knows it."""
    return (action("answer"), entered(user), _to(f"ask-{word(name)}"))


def context(guarded: Iterable[Guarded], prompts: Prompts) -> Element:
    """The context."""
    extensions = (extension for one in guarded for extension in _extensions(one, prompts))
    return element("context", *extensions, moved(), name=CONTEXT)


def _extensions(one: Guarded, prompts: Prompts) -> Iterator[Element]:
    name, at = word(one.name), literal(one.name)
    locked, wrong = (
        action("playback", word(prompts[prompt, one.language])) for prompt in ("code_locked", "wrong_code")
    )
    codes = [word(code) for code, _ in one.ways]
    longest, pattern = max(map(len, codes)), f"^({'|'.join(codes)})$"
    enter = word(prompts["enter_code", one.language])
    lock, tries = (f"{variable}{word(one.counted)}" for variable in (names.CODE_LOCK, names.CODE_TRIES))
    is_locked = (f"${{{lock}}}", "^true$")
    yield number_extension(f"ask-{at}", locked, *goodbye(), when=is_locked)
    for turn in range(1, TRIES + 1):
        # The word on a wrong code and the question are one audio, which the first key cuts short: people type ahead.
        spoken = enter if turn == 1 else f"file_string://{word(prompts['wrong_code', one.language])}!{enter}"
        question = f"1 {longest} 1 {WAIT_MS} # {spoken} {QUIET} {names.DIGITS} {pattern} {NEXT_KEY_MS}"
        after = _to(f"ask-{name}/{turn + 1}") if turn < TRIES else _to(f"end-{name}")
        nth, said = f"/{turn}" if turn > 1 else "", f"said-{at}/{turn}"
        yield number_extension(
            f"ask-{at}{nth}",
            *asked(f"ask-{name}{nth}", names.DIGITS, question),
            _to(f"said-{name}/{turn}"),
        )
        yield number_extension(said, locked, *goodbye(), when=is_locked)
        for index, code in enumerate(codes, 1):
            yield number_extension(
                said,
                action("set_global", f"{tries}="),
                action("unset", "api_hangup_hook"),
                _to(f"open-{name}/{index}"),
                when=(f"${{{names.DIGITS}}}", f"^{code}$"),
            )
        yield number_extension(said, *forgiven(CONTEXT), when=nothing_but_end(names.DIGITS))
        yield number_extension(said, after, when=(f"${{{names.DIGITS}_invalid}}", "^$"))
        yield number_extension(
            said,
            action("log", f"WARNING the code of {word(one.counted)} was wrong {WRONG_MAX} times: it locks"),
            action("set_global", f"{lock}=true"),
            action("set_global", f"{tries}="),
            _later(LOCKED_S, lock),
            _to(f"end-{name}"),
            when=(f"${{{tries}}}", f"^x{{{WRONG_MAX - 1},}}$"),
        )
        more = action("set_global", f"{tries}=${{{tries}}}x")
        yield number_extension(said, more, after, when=(f"${{{tries}}}", "^x+$"))
        yield number_extension(said, action("set_global", f"{tries}=x"), _later(COUNTED_S, tries), after)
    yield number_extension(f"end-{at}", wrong, *goodbye())
    for index, (_, opened) in enumerate(one.ways, 1):
        yield number_extension(f"open-{at}/{index}", *opened)


def _to(extension: str) -> Element:
    return action("transfer", f"{extension} XML {CONTEXT}")


def _later(after_s: int, variable: str) -> Element:
    """When the call ends, have a global variable removed after a time."""
    return action("set", f"api_hangup_hook=sched_api +{after_s} none global_setvar {variable}=")
