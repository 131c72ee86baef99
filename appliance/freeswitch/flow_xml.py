"""Flows as dialplan XML: one context a flow, one extension a node, one for each way out of a node. Pure.

XML and not Lua: everything that a node does is one of FreeSWITCH's own applications, so a script would only add an
interpreter for every call and a language in which a flow could do anything. A way out of node `n` is the extension
"n=outcome", which goes to its target; so the dialplan has the same edges as the flow, and no others.

Values of callers are only ever compared (`field` of a condition) or are digits that an expression has let through: they are
never part of an application's arguments.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from appliance.freeswitch import flow_cases, flow_clerk_xml, flow_steps_xml, names, voicemail_xml
from appliance.freeswitch.flow import (
    DONE,
    FAILED,
    INVALID,
    OTHERWISE,
    QUEUED,
    TIMEOUT,
    UNANSWERED,
    Flow,
    FlowNode,
    Kind,
    Subject,
)
from appliance.freeswitch.flow_parts_xml import (
    LAST_WORD_MS,
    QUIET,
    Prompts,
    Rendering,
    audio,
    end_at_last,
    extension,
    forgiven,
    go,
    literal,
    nothing_but_end,
    to,
)
from appliance.freeswitch.flow_parts_xml import asked as questioned
from appliance.freeswitch.moved_xml import entered, moved
from appliance.freeswitch.quoting import word
from appliance.freeswitch.signals import RINGING
from appliance.freeswitch.xml import Element, action, element

__all__ = ["NEXT_KEY_MS", "Prompts", "Rendering", "call", "context", "entry", "goodbye"]

FIRST_KEY_MIN_MS = 1_000
"""FreeSWITCH waits at least so long (`play_and_get_digits`)."""

NEXT_KEY_MS = 3_000
"""Between two keys of one number: people read it from paper."""

TRANSFERS_MAX = 100_000
"""Four hours in a queue are some 30,000; what ends a call is the time."""


def context(flow: Flow, site: Rendering) -> Element:
    """The dialplan context of a checked flow. Raises KeyError for a prompt without audio, `KyusaiError` for odd values."""
    extensions = [_begin(flow)]
    for node in flow.nodes:
        extensions += _KINDS[node.kind](flow, node, site)
        extensions += [
            extension(f"{node.id}={outcome}", action("transfer", to(flow, target)))
            for outcome, target in node.edges()
        ]
    return element("context", *extensions, moved(), name=names.flow_context(flow.id))


def entry(flow: Flow, number: str) -> tuple[Element, ...]:
    """Actions that bring a call into the flow. number: of the application."""
    return (entered(number), action("transfer", f"begin XML {names.flow_context(flow.id)}"))


def _begin(flow: Flow) -> Element:
    return extension(
        "begin",
        action("answer"),
        end_at_last(),
        # Each way from node to node is a transfer, of which FreeSWITCH allows as many as the call's Max-Forwards says.
        action("set", f"max_session_transfers={TRANSFERS_MAX}"),
        action("transfer", to(flow, flow.start)),
    )


def _play(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    yield extension(
        node.id,
        action("playback", audio(flow, node.prompts, site.prompts)),
        action("transfer", to(flow, node.target(DONE))),
    )


def _announce(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """As `play`; whomever the flow calls from here on, the caller is not told a second time."""
    yield extension(
        node.id,
        action("playback", audio(flow, node.prompts, site.prompts)),
        action("export", f"nolocal:sip_h_{names.ANNOUNCED_HEADER}=${{current_application_response}}"),
        action("transfer", to(flow, node.target(DONE))),
    )


def _menu(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    keys = [key for key, _ in node.keys]
    lengths = [len(key) for key in keys]
    ends = "none" if "#" in "".join(keys) else "#"
    asked = _Asked(
        f"{min(lengths)} {max(lengths)} 1 {_ms(node.wait_s)} {ends}",
        f"^({'|'.join(literal(key) for key in keys)})$",
        (action("transfer", f"{node.id}=${{{names.DIGITS}}} XML {names.flow_context(flow.id)}"),),
        wrong=INVALID,
        nothing=TIMEOUT,
    )
    return _ask(flow, node, site, asked)


def _collect(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    digits = f"(?=[0-9*]{{{node.least},{node.most}}}$)"
    noted = f"{names.VARIABLE}{word(node.variable)}=${{{names.DIGITS}}}"
    asked = _Asked(
        f"{node.least} {node.most} 1 {_ms(node.wait_s)} #",
        f"^{digits}(?:{node.pattern or '.*'})$",
        (action("set", noted), action("transfer", f"{node.id}={DONE} XML {names.flow_context(flow.id)}")),
        wrong=FAILED,
        nothing=FAILED,
    )
    return _ask(flow, node, site, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question. how: FreeSWITCH's arguments (digits at least and at most, tries, time, what ends a number). right: which
    digits are an answer, and what is done then. wrong, nothing: outcomes when no try is left."""

    how: str
    right: str
    then: tuple[Element, ...]
    wrong: str
    nothing: str


def _ask(flow: Flow, node: FlowNode, site: Rendering, asked: _Asked) -> Iterator[Element]:
    """Each try is an extension of its own, because FreeSWITCH's own tries would tell a caller who pressed nothing that the
    key is wrong. A word on a wrong key and the question after it are one audio, so that a key cuts both short. What was
    pressed is judged again afterwards: half a number that the time cut off is left in the variable."""
    for number in range(1, node.tries + 1):
        here = _try(node, number)
        yield _question(flow, here, here, node.prompts, site, asked)
        if node.again and number > 1:
            yield _question(flow, f"{here}/again", here, (*node.again, *node.prompts), site, asked)
        yield from _judged(flow, node, number, asked)


def _question(
    flow: Flow, name: str, here: str, spoken: tuple[str, ...], site: Rendering, asked: _Asked
) -> Element:
    question = (
        f"{asked.how} {audio(flow, spoken, site.prompts)} {QUIET} {names.DIGITS} {asked.right} {NEXT_KEY_MS}"
    )
    return extension(
        name,
        *questioned(word(name), names.DIGITS, question),
        action("transfer", to(flow, f"{here}/said")),
    )


def _judged(flow: Flow, node: FlowNode, number: int, asked: _Asked) -> Iterator[Element]:
    here, last = f"{_try(node, number)}/said", number == node.tries
    again = _try(node, number + 1)
    wrong = node.target(asked.wrong) if last else again + ("/again" if node.again else "")
    nothing = node.target(asked.nothing) if last else again
    right = {"field": f"${{{names.DIGITS}}}", "expression": asked.right}
    pressed = {"field": f"${{{names.DIGITS}_invalid}}", "expression": "^.+$"}
    yield extension(here, *asked.then, when=right)
    field, expression = nothing_but_end(names.DIGITS)
    only_end = {"field": field, "expression": expression}
    yield extension(here, action("transfer", to(flow, wrong)), when=pressed)
    yield extension(here, *forgiven(names.flow_context(flow.id)), when=only_end)
    yield extension(here, action("transfer", to(flow, nothing)))


def _try(node: FlowNode, number: int) -> str:
    return node.id if number == 1 else f"{node.id}/{number}"


def _schedule(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    yield extension(
        node.id,
        action("execute_extension", f"{word(node.schedule)} XML {names.BY_HAND}"),
        action("execute_extension", f"{word(node.schedule)} XML {names.SCHEDULES}"),
        action("transfer", f"{node.id}=${{{names.SCHEDULE_STATE}}} XML {names.flow_context(flow.id)}"),
    )


def _branch(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    if node.subject in QUEUED:
        yield from flow_clerk_xml.branch(flow, node, site)
        return
    if node.subject is Subject.HOLIDAY:
        yield from flow_steps_xml.holiday(flow, node, site)
        return
    looked_at = {
        Subject.VARIABLE: f"${{{names.VARIABLE}{node.variable}}}",
        Subject.CALLER: "caller_id_number",
        Subject.DIALLED: f"${{{names.ENTERED}}}",
        Subject.LINK: f"${{{names.LINK_HEADER}}}",
    }[node.subject]
    for index, case in enumerate(node.cases, 1):
        when = {"field": looked_at, "expression": flow_cases.expression(case)}
        yield extension(node.id, go(flow, f"{node.id}=case{index}"), when=when)
    yield extension(node.id, go(flow, f"{node.id}={OTHERWISE}"))


def _set(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    yield extension(
        node.id,
        action("set", f"{names.VARIABLE}{word(node.variable)}={word(node.value)}"),
        action("transfer", to(flow, node.target(DONE))),
    )


def _transfer(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    yield extension(
        node.id,
        *call(node.number or f"${{{names.VARIABLE}{node.variable}}}", node.ring_s),
        action("transfer", f"{node.id}={UNANSWERED} XML {names.flow_context(flow.id)}"),
    )


def call(number: str, ring_s: int) -> tuple[Element, ...]:
    """Actions that call a number through Kamailio, which decides who that is. They end the call when it was answered, and
    go on where it was not. number: digits, or a variable that a `collect` node has filled."""
    return (
        action("set", "hangup_after_bridge=true"),
        action("set", "continue_on_fail=true"),
        action("set", f"call_timeout={ring_s}"),
        action("set", f"ringback={RINGING}"),
        action("set", f"transfer_ringback={RINGING}"),
        action("export", f"nolocal:sip_h_{names.CALL_HEADER}=${{sip_call_id}}"),
        action("export", f"nolocal:sip_h_{names.NAME_HEADER}=${{sip_h_{names.NAME_HEADER}}}"),
        action("bridge", f"sofia/{names.PROFILE}/{number}@${{{names.KAMAILIO}}}"),
    )


def _voicemail(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """Kamailio's way to the box: the number behind the code, which it knows as every other."""
    box = node.number or f"${{{names.VARIABLE}{node.variable}}}"
    yield extension(node.id, action("transfer", f"{voicemail_xml.CODE}{box} XML {names.ENTRY}"))


def _hangup(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    spoken = [action("playback", audio(flow, node.prompts, site.prompts))] if node.prompts else []
    yield extension(node.id, *spoken, *goodbye())


def goodbye() -> tuple[Element, ...]:
    """Actions that end a call after something was said."""
    return (action("sleep", str(LAST_WORD_MS)), action("hangup", "NORMAL_CLEARING"))


def _ms(seconds: int) -> int:
    return max(FIRST_KEY_MIN_MS, seconds * 1000)


_KINDS: dict[Kind, Callable[[Flow, FlowNode, Rendering], Iterator[Element]]] = {
    Kind.PLAY: _play,
    Kind.MENU: _menu,
    Kind.COLLECT: _collect,
    Kind.SCHEDULE: _schedule,
    Kind.BRANCH: _branch,
    Kind.SET: _set,
    Kind.TRANSFER: _transfer,
    Kind.VOICEMAIL: _voicemail,
    Kind.QUEUE: flow_clerk_xml.queue,
    Kind.HTTP: flow_clerk_xml.http,
    Kind.SAY: flow_steps_xml.say,
    Kind.DIRECTORY: flow_steps_xml.directory,
    Kind.RECORD_ANNOUNCE: _announce,
    Kind.RECORD_PAUSE: flow_clerk_xml.recording,
    Kind.RECORD_RESUME: flow_clerk_xml.recording,
    Kind.RETENTION: flow_clerk_xml.recording,
    Kind.HANGUP: _hangup,
}
