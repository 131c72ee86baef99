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
