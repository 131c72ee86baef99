"""What all nodes' dialplan is made of: extensions, ways to nodes, audio. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.freeswitch import names
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow import Flow
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, action, element

QUIET = "silence_stream://20"
"""Stands where an argument must not be empty."""

LAST_WORD_MS = 500
"""A telephone throws away what still waits in its jitter buffer when the call ends: the last word would be cut off."""

FLOW_TIME_MAX_S = 4 * 3600
"""A call that has been in applications so long is a line that somebody forgot."""

FORGIVEN_MAX = 20
"""How often in one call an end key without a number before it is passed over."""

_ENDED, _RESULT = "read_terminator_used", "read_result"
"""What `play_and_get_digits` says of itself: the key that ended a number; whether there was one. During a question for one key
the first is not set, and an end key counts as a number that is then taken away (`switch_ivr_read`)."""

_ASKED, _FORGIVEN = "ky_asked", "ky_forgiven"

Prompts = Mapping[tuple[str, str], str]
"""(prompt, language) -> path of its audio."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a site's flows are rendered with. this_year: see `schedule_xml.years`."""

    plan: MediaPlan
    prompts: Prompts
    this_year: int = 2026


def to(flow: Flow, node_id: str) -> str:
    """Arguments of a transfer to a node, or to a part of one."""
    return f"{word(node_id)} XML {names.flow_context(flow.id)}"


def go(flow: Flow, place: str) -> Element:
    """On to a node, or to a part of one, whose name may hold a variable."""
    return action("transfer", f"{place} XML {names.flow_context(flow.id)}")


def extension(number: str, *actions: Element, when: Mapping[str, str] | None = None) -> Element:
    """Taken for one destination, and where `when` is given only if that holds as well."""
    pattern = f"^{literal(number)}$"
    if when is None:
        return element(
            "extension",
            element("condition", *actions, field="destination_number", expression=pattern),
            name=number,
        )
    return element(
        "extension",
        element("condition", field="destination_number", expression=pattern),
        Element("condition", when, actions),
        name=number,
    )


def literal(text: str) -> str:
    """As part of a regular expression: ids, keys and "=" alone occur, of which "*" has a meaning."""
    return word(text).replace("*", "[*]").replace(".", "[.]").replace("+", "[+]")


def audio(flow: Flow, ids: tuple[str, ...], prompts: Prompts) -> str:
    """Prompts in a row as one argument."""
    paths = [word(prompts[one, flow.language]) for one in ids]
    if not paths:
        return QUIET
    return paths[0] if len(paths) == 1 else "file_string://" + "!".join(paths)


def asked(here: str, variable: str, question: str) -> tuple[Element, ...]:
    """Actions that ask for keys. here: the extension that does, to which `forgiven` leads. question: arguments of
    `play_and_get_digits`. A key cuts what is said short and counts, so a caller who knows the way need not listen."""
    return (
        action("unset", variable),
        action("unset", _ENDED),
        action("set", f"{_ASKED}={here}"),
        action("play_and_get_digits", question),
    )


def nothing_but_end(variable: str) -> tuple[str, str]:
    """Field and expression that hold where the caller pressed only the key that ends a number: mostly that of the number before,
    which was complete without it. Nobody is to lose a try by that."""
    told = "".join(f"${{{name}}}" for name in (variable, f"{variable}_invalid", _ENDED, _RESULT, _FORGIVEN))
    return told, f"^(#failure|success)x{{0,{FORGIVEN_MAX - 1}}}$"


def forgiven(context: str) -> tuple[Element, ...]:
    """Actions that ask the same once more, in the same words: they were cut short."""
    return (
        action("set", f"{_FORGIVEN}=${{{_FORGIVEN}}}x"),
        action("transfer", f"${{{_ASKED}}} XML {context}"),
    )


def end_at_last() -> Element:
    """The longest time that a call may stay in a flow, counted from here on."""
    return action("sched_hangup", f"+{FLOW_TIME_MAX_S} alloted_timeout")


def stay(what: str, name: str, change: str) -> str:
    """Arguments of the application `event` that tell the controller that a leg came to a place, or left it. change: "begin" or
    "end". Said twice it is one fact."""
    told = f"Kyusai-What={word(what)},Kyusai-Name={word(name)},Kyusai-Change={word(change)}"
    return f"Event-Name=CUSTOM,Event-Subclass={names.STAY_EVENT},{told}"


def language(flow: Flow) -> tuple[Element, ...]:
    """In which language FreeSWITCH's phrases speak from here on."""
    return (action("set", f"default_language={flow.language}"),)
