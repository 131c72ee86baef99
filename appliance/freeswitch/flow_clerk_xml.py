"""Nodes that ask the box's clerk (`agent.clerk`): queues, branches on queues, HTTP look-ups. Pure.

FreeSWITCH connects to the clerk for the one question (application `socket`), goes on with what the clerk wrote into the call's
variables, and with a default where there is no clerk or no answer in time: nobody waits for a process that is gone. Calls
whose flow has none of these nodes never ask.
"""

from collections.abc import Iterator

from appliance.freeswitch import flow_cases, names
from appliance.freeswitch.flow import DONE, FAILED, FULL, NOBODY, OTHERWISE, TIMEOUT, Flow, FlowNode, Kind
from appliance.freeswitch.flow_parts_xml import (
    Rendering,
    audio,
    end_at_last,
    extension,
    go,
    language,
    stay,
    to,
)
from appliance.freeswitch.queue import Do, Queue
from appliance.freeswitch.quoting import word
from appliance.freeswitch.settings_xml import HOLD_MUSIC
from appliance.freeswitch.xml import Element, action

CLERK_S = 3
"""For the clerk's word on a queue, which takes it a millisecond. Whole seconds: FreeSWITCH's scheduler knows no others."""

LOOKUP_SLACK_S = 2
"""Beyond a look-up's own time, which the clerk keeps."""

MUSIC_S = 2
"""Between two questions of a caller who waits."""

PLAIN_RING_S = 60
"""Without a clerk all agents are rung at once, for so long at most."""

SILENT = "silent"
"""The answer where there is none."""


def queue(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A caller's turn: ask, do as told, ask again."""
    here, found = node.id, next(one for one in site.plan.queues if one.id == node.queue)
    comes, left = (action("event", stay("queue", node.queue, change)) for change in ("begin", "end"))
    yield extension(
        here, action("unset", names.QUEUE_SINCE), comes, action("transfer", to(flow, f"{here}/ask"))
    )
    yield extension(f"{here}/ask", *_ask(flow, node, f"queue:{node.queue}", CLERK_S))
    told = "|".join((*Do, SILENT))
    known = {"field": f"${{{names.ANSWER}}}", "expression": f"^({told})$(?!\\n)"}
    yield extension(f"{here}/said", *_heard(), go(flow, f"{here}/${{{names.ANSWER}}}"), when=known)
    yield extension(f"{here}/said", *_heard(), action("transfer", to(flow, f"{here}/{SILENT}")))
    again = action("transfer", to(flow, f"{here}/ask"))
    music = (
        action("set", f"playback_timeout_sec={MUSIC_S}"),
        action("playback", HOLD_MUSIC),
        action("unset", "playback_timeout_sec"),
    )
    yield extension(f"{here}/{Do.WAIT}", *music, again)
    said = (*language(flow), action("phrase", f"say_number,${{{names.PLACE}}}"))
    place = {"field": f"${{{names.PLACE}}}", "expression": "^[1-9][0-9]{0,2}$(?!\\n)"}
    before = action("playback", audio(flow, node.prompts, site.prompts))
    yield extension(f"{here}/{Do.SAY}", before, *said, again, when=place)
    yield extension(f"{here}/{Do.SAY}", *music, again)
    agent = {"field": f"${{{names.AGENT}}}", "expression": "^([0-9]{2,10})$(?!\\n)"}
    yield extension(
        f"{here}/{Do.RING}", *_ring(found, (f"${{{names.AGENT}}}",), found.ring_s), again, when=agent
    )
    yield extension(f"{here}/{Do.RING}", *music, again)
    for outcome in (TIMEOUT, FULL, NOBODY):
        yield extension(f"{here}/{outcome}", left, action("transfer", to(flow, f"{here}={outcome}")))
    gives_up = action("transfer", to(flow, f"{here}={TIMEOUT}"))
    yield extension(f"{here}/{SILENT}", *_plainly(found), left, gives_up)


def branch(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A branch on what the clerk knows of a queue; without a word from it none of the cases holds."""
    here, looked_at = node.id, names.QUEUE_FIGURES[node.subject]
    yield extension(here, action("unset", looked_at), *_ask(flow, node, f"figures:{node.queue}", CLERK_S))
    for index, case in enumerate(node.cases, 1):
        when = {"field": f"${{{looked_at}}}", "expression": flow_cases.expression(case)}
        yield extension(f"{here}/said", *_heard(), go(flow, f"{here}=case{index}"), when=when)
    yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={OTHERWISE}"))


def http(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A look-up: the clerk asks, and writes what the document wants noted."""
    here, lookup = node.id, node.lookup
    if lookup is None:
        return
    within_s = -(-lookup.time_ms // 1000) + LOOKUP_SLACK_S
    yield extension(here, *_ask(flow, node, f"http:{flow.id}:{here}", within_s))
    good = {"field": f"${{{names.ANSWER}}}", "expression": f"^{DONE}$(?!\\n)"}
    yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={DONE}"), when=good)
    yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={FAILED}"))


ORDERS = {Kind.RECORD_PAUSE: "pause", Kind.RECORD_RESUME: "resume", Kind.RETENTION: "retention="}
"""What the clerk is told to do with the call's recording."""


def recording(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """An order to the clerk, which has rtpengine stop and begin: the flow goes on when it is done. A pause that could not be
    made leads out by its own way: nobody may speak a card number into a recording by mistake."""
    here = node.id
    yield extension(here, *_ask(flow, node, f"recording:{ORDERS[node.kind]}{node.retention}", CLERK_S))
    if node.kind is Kind.RECORD_PAUSE:
        good = {"field": f"${{{names.ANSWER}}}", "expression": f"^{DONE}$(?!\\n)"}
        yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={DONE}"), when=good)
        yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={FAILED}"))
    else:
        yield extension(f"{here}/said", *_heard(), go(flow, f"{here}={DONE}"))


def _ask(flow: Flow, node: FlowNode, question: str, within_s: int) -> tuple[Element, ...]:
    """The clerk disconnects when it has answered. A clerk that took the question and says nothing is left by the clock."""
    said = to(flow, f"{node.id}/said")
    return (
        action("set", f"{names.QUESTION}={word(question)}"),
        action("set", f"{names.ANSWER}={SILENT}"),
        action("unset", "transfer_history"),  # grows with each transfer
        action("sched_transfer", f"+{within_s} {said}"),
        action("socket", f"${{{names.CLERK}}} async full"),
        action("transfer", said),
    )


def _heard() -> tuple[Element, ...]:
    return (action("sched_cancel"), end_at_last())


def _ring(found: Queue, agents: tuple[str, ...], ring_s: int) -> tuple[Element, ...]:
    """The caller leaves the queue, and the agent begins to work for it, when they are connected."""
    legs = ",".join(f"sofia/{names.PROFILE}/{agent}@${{{names.KAMAILIO}}}" for agent in agents)
    return (
        action("set", "hangup_after_bridge=true"),
        action("set", "continue_on_fail=true"),
        action("set", f"call_timeout={ring_s}"),
        action("set", f"ringback={HOLD_MUSIC}"),
        action("set", f"transfer_ringback={HOLD_MUSIC}"),
        action("export", f"nolocal:sip_h_{names.CALL_HEADER}=${{sip_call_id}}"),
        action("set", "bridge_pre_execute_aleg_app=event"),
        action("set", f"bridge_pre_execute_aleg_data={stay('queue', found.id, 'end')}"),
        action("set", "bridge_pre_execute_bleg_app=event"),
        action("set", f"bridge_pre_execute_bleg_data={stay('agent', found.id, 'begin')}"),
        action("export", f"nolocal:sip_h_{names.NAME_HEADER}=${{sip_h_{names.NAME_HEADER}}}"),
        action("bridge", legs),
    )


def _plainly(found: Queue) -> tuple[Element, ...]:
    return _ring(found, tuple(word(agent) for agent in found.agents), min(PLAIN_RING_S, found.timeout_s))
