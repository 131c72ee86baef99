"""Flows as dialplan XML: one context a flow, one extension a node, one for each way out of a node. Pure.

XML and not Lua: everything that a node does is one of FreeSWITCH's own applications, so a script would only add an
interpreter for every call and a language in which a flow could do anything. A way out of node `n` is the extension
"n=outcome", which goes to its target; so the dialplan has the same edges as the flow, and no others.

Values of callers are only ever compared (`field` of a condition) or are digits that an expression has let through: they are
never part of an application's arguments.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from appliance.freeswitch import names, voicemail_xml
from appliance.freeswitch.flow import (
    DONE,
    FAILED,
    INVALID,
    TIMEOUT,
    UNANSWERED,
    Flow,
    FlowNode,
    Kind,
    Subject,
)
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, action, element

FIRST_KEY_MIN_MS = 1_000
"""FreeSWITCH waits at least so long (`play_and_get_digits`)."""

NEXT_KEY_MS = 3_000
"""Between two keys of one number: people read it from paper."""

FLOW_TIME_MAX_S = 4 * 3600
"""A call that has been in applications so long is a line that somebody forgot."""

LAST_WORD_MS = 500
"""A telephone throws away what still waits in its jitter buffer when the call ends: the last word would be cut off."""

QUIET = "silence_stream://20"
"""Stands where an argument must not be empty."""

RINGING = "%(1000,2000,400,385)"
"""What a caller hears while a call is transferred: Japan's ringing, 1 s on and 2 s off."""

Prompts = Mapping[tuple[str, str], str]
"""(prompt, language) -> path of its audio."""


def context(flow: Flow, prompts: Prompts) -> Element:
    """The dialplan context of a checked flow. Raises KeyError for a prompt without audio, `KyusaiError` for odd values."""
    extensions = [_begin(flow)]
    for node in flow.nodes:
        extensions += _KINDS[node.kind](flow, node, prompts)
        extensions += [
            _extension(f"{node.id}={outcome}", action("transfer", _to(flow, target)))
            for outcome, target in node.edges()
        ]
    return element("context", *extensions, name=names.flow_context(flow.id))


def entry(flow: Flow) -> tuple[Element, ...]:
    """Actions that bring a call into the flow."""
    return (action("transfer", f"begin XML {names.flow_context(flow.id)}"),)


def _begin(flow: Flow) -> Element:
    return _extension(
        "begin",
        action("answer"),
        action("sched_hangup", f"+{FLOW_TIME_MAX_S} alloted_timeout"),
        action("transfer", _to(flow, flow.start)),
    )


def _to(flow: Flow, node_id: str) -> str:
    return f"{word(node_id)} XML {names.flow_context(flow.id)}"


def _extension(number: str, *actions: Element, when: Mapping[str, str] | None = None) -> Element:
    """Taken for one destination, and where `when` is given only if that holds as well."""
    pattern = f"^{_literal(number)}$"
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


def _literal(text: str) -> str:
    """As part of a regular expression: ids, keys and "=" alone occur, of which "*" has a meaning."""
    return word(text).replace("*", "[*]").replace(".", "[.]").replace("+", "[+]")


def _audio(flow: Flow, ids: tuple[str, ...], prompts: Prompts) -> str:
    """Prompts in a row as one argument."""
    paths = [word(prompts[one, flow.language]) for one in ids]
    if not paths:
        return QUIET
    return paths[0] if len(paths) == 1 else "file_string://" + "!".join(paths)


def _play(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    yield _extension(
        node.id,
        action("playback", _audio(flow, node.prompts, prompts)),
        action("transfer", _to(flow, node.target(DONE))),
    )


def _menu(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    keys = [key for key, _ in node.keys]
    lengths = [len(key) for key in keys]
    ends = "none" if "#" in "".join(keys) else "#"
    asked = _Asked(
        f"{min(lengths)} {max(lengths)} 1 {_ms(node.wait_s)} {ends}",
        f"^({'|'.join(_literal(key) for key in keys)})$",
        (action("transfer", f"{node.id}=${{{names.DIGITS}}} XML {names.flow_context(flow.id)}"),),
        wrong=INVALID,
        nothing=TIMEOUT,
    )
    return _ask(flow, node, prompts, asked)


def _collect(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    digits = f"(?=[0-9*]{{{node.least},{node.most}}}$)"
    noted = f"{names.VARIABLE}{word(node.variable)}=${{{names.DIGITS}}}"
    asked = _Asked(
        f"{node.least} {node.most} 1 {_ms(node.wait_s)} #",
        f"^{digits}(?:{node.pattern or '.*'})$",
        (action("set", noted), action("transfer", f"{node.id}={DONE} XML {names.flow_context(flow.id)}")),
        wrong=FAILED,
        nothing=FAILED,
    )
    return _ask(flow, node, prompts, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question. how: FreeSWITCH's arguments (digits at least and at most, tries, time, what ends a number). right: which
    digits are an answer, and what is done then. wrong, nothing: outcomes when no try is left."""

    how: str
    right: str
    then: tuple[Element, ...]
    wrong: str
    nothing: str


def _ask(flow: Flow, node: FlowNode, prompts: Prompts, asked: _Asked) -> Iterator[Element]:
    """Each try is an extension of its own, because FreeSWITCH's own tries would tell a caller who pressed nothing that the
    key is wrong. A word on a wrong key and the question after it are one audio, so that a key cuts both short. What was
    pressed is judged again afterwards: half a number that the time cut off is left in the variable."""
    for number in range(1, node.tries + 1):
        here = _try(node, number)
        yield _question(flow, here, here, node.prompts, prompts, asked)
        if node.again and number > 1:
            yield _question(flow, f"{here}/again", here, (*node.again, *node.prompts), prompts, asked)
        yield from _judged(flow, node, number, asked)


def _question(
    flow: Flow, name: str, here: str, spoken: tuple[str, ...], prompts: Prompts, asked: _Asked
) -> Element:
    question = (
        f"{asked.how} {_audio(flow, spoken, prompts)} {QUIET} {names.DIGITS} {asked.right} {NEXT_KEY_MS}"
    )
    return _extension(
        name,
        action("unset", names.DIGITS),
        action("play_and_get_digits", question),
        action("transfer", _to(flow, f"{here}/said")),
    )


def _judged(flow: Flow, node: FlowNode, number: int, asked: _Asked) -> Iterator[Element]:
    here, last = f"{_try(node, number)}/said", number == node.tries
    again = _try(node, number + 1)
    wrong = node.target(asked.wrong) if last else again + ("/again" if node.again else "")
    nothing = node.target(asked.nothing) if last else again
    right = {"field": f"${{{names.DIGITS}}}", "expression": asked.right}
    pressed = {"field": f"${{{names.DIGITS}_invalid}}", "expression": "^.+$"}
    yield _extension(here, *asked.then, when=right)
    yield _extension(here, action("transfer", _to(flow, wrong)), when=pressed)
    yield _extension(here, action("transfer", _to(flow, nothing)))


def _try(node: FlowNode, number: int) -> str:
    return node.id if number == 1 else f"{node.id}/{number}"


def _schedule(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    yield _extension(
        node.id,
        action("execute_extension", f"{word(node.schedule)} XML {names.SCHEDULES}"),
        action("transfer", f"{node.id}=${{{names.SCHEDULE_STATE}}} XML {names.flow_context(flow.id)}"),
    )


def _branch(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    looked_at = {
        Subject.VARIABLE: f"${{{names.VARIABLE}{node.variable}}}",
        Subject.CALLER: "caller_id_number",
        Subject.DIALLED: "${sip_to_user}",
        Subject.LINK: f"${{{names.LINK_HEADER}}}",
    }[node.subject]
    for index, case in enumerate(node.cases, 1):
        yield _extension(
            node.id,
            action("transfer", f"{node.id}=case{index} XML {names.flow_context(flow.id)}"),
            when={"field": looked_at, "expression": f"^(?:{case.matches})$"},
        )
    yield _extension(node.id, action("transfer", f"{node.id}=otherwise XML {names.flow_context(flow.id)}"))


def _set(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    yield _extension(
        node.id,
        action("set", f"{names.VARIABLE}{word(node.variable)}={word(node.value)}"),
        action("transfer", _to(flow, node.target(DONE))),
    )


def _transfer(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    yield _extension(
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
        action("bridge", f"sofia/{names.PROFILE}/{number}@${{{names.KAMAILIO}}}"),
    )


def _voicemail(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    """Kamailio's way to the box: the number behind the code, which it knows as every other."""
    box = node.number or f"${{{names.VARIABLE}{node.variable}}}"
    yield _extension(node.id, action("transfer", f"{voicemail_xml.CODE}{box} XML {names.ENTRY}"))


def _hangup(flow: Flow, node: FlowNode, prompts: Prompts) -> Iterator[Element]:
    spoken = [action("playback", _audio(flow, node.prompts, prompts))] if node.prompts else []
    yield _extension(node.id, *spoken, *goodbye())


def goodbye() -> tuple[Element, ...]:
    """Actions that end a call after something was said."""
    return (action("sleep", str(LAST_WORD_MS)), action("hangup", "NORMAL_CLEARING"))


def _ms(seconds: int) -> int:
    return max(FIRST_KEY_MIN_MS, seconds * 1000)


_KINDS: dict[Kind, Callable[[Flow, FlowNode, Prompts], Iterator[Element]]] = {
    Kind.PLAY: _play,
    Kind.MENU: _menu,
    Kind.COLLECT: _collect,
    Kind.SCHEDULE: _schedule,
    Kind.BRANCH: _branch,
    Kind.SET: _set,
    Kind.TRANSFER: _transfer,
    Kind.VOICEMAIL: _voicemail,
    Kind.HANGUP: _hangup,
}
