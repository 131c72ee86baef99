"""A call flow as data: nodes, and where each outcome of a node leads. Pure.

What a node is called and may say is fixed here once; the checker, the dialplan compiler, the simulator and the drawing all
go by `edges`, so that none of them can know a way that the others do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a node does; the value of its field `do`."""

    PLAY = "play"
    MENU = "menu"
    COLLECT = "collect"
    SCHEDULE = "schedule"
    BRANCH = "branch"
    SET = "set"
    TRANSFER = "transfer"
    VOICEMAIL = "voicemail"
    HANGUP = "hangup"


class Subject(StrEnum):
    """What a branch looks at. VARIABLE: what `set` or `collect` noted under the node's `variable`. LINK: the line to the
    cloud as it was when the call came ("UP", "DOWN", ...)."""

    VARIABLE = "variable"
    CALLER = "caller"
    DIALLED = "dialled"
    LINK = "link"


DONE, TIMEOUT, INVALID, FAILED, OTHERWISE, UNANSWERED = (
    "next",
    "timeout",
    "invalid",
    "failed",
    "otherwise",
    "unanswered",
)
"""Names of outcomes beside a menu's keys, a branch's cases ("case1", ...) and a schedule's states."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way out of a branch. matches: a regular expression that the whole value must match."""

    matches: str
    then: str


@dataclass(frozen=True, slots=True)
class FlowNode:
    """One node; which fields count depends on `kind`.

    prompts: ids played one after the other (PLAY, MENU, COLLECT, HANGUP). again: prompts after a wrong key. keys: key ->
    node (MENU). tries: how often a caller is asked. wait_s: for the first key. variable: where the value goes or comes
    from. least, most: digits (COLLECT). pattern: which digits are right, "" for any. schedule: id. subject: see `Subject`.
    value: what SET notes. number: who is called (TRANSFER), whose box (VOICEMAIL), "" for what `variable` holds.
    ring_s: how long. go: outcome -> node, for all outcomes that are no key and no case.
    """

    id: str
    kind: Kind
    prompts: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    tries: int = 3
    wait_s: int = 5
    variable: str = ""
    least: int = 1
    most: int = 1
    pattern: str = ""
    schedule: str = ""
    subject: Subject = Subject.VARIABLE
    cases: tuple[Case, ...] = ()
    value: str = ""
    number: str = ""
    ring_s: int = 30
    go: tuple[tuple[str, str], ...] = field(default=())

    def edges(self) -> Iterator[tuple[str, str]]:
        """(outcome, node) of every way out, "" where the document names no node."""
        yield from self.keys
        yield from ((f"case{index}", case.then) for index, case in enumerate(self.cases, 1))
        yield from self.go

    def target(self, outcome: str) -> str:
        """The node that an outcome leads to; "" ends the call. Raises KeyError for an outcome that the node cannot have."""
        return dict(self.edges())[outcome]


OUTCOMES: dict[Kind, tuple[str, ...]] = {
    Kind.PLAY: (DONE,),
    Kind.MENU: (TIMEOUT, INVALID),
    Kind.COLLECT: (DONE, FAILED),
    Kind.SCHEDULE: ("open", "closed", "holiday"),
    Kind.BRANCH: (OTHERWISE,),
    Kind.SET: (DONE,),
    Kind.TRANSFER: (UNANSWERED,),
    Kind.VOICEMAIL: (),
    Kind.HANGUP: (),
}
"""Outcomes of `go` for each kind."""

ENDS = frozenset({Kind.HANGUP, Kind.VOICEMAIL})
"""Kinds after which the call is over."""

SILENT = frozenset({DONE, TIMEOUT, INVALID, FAILED, OTHERWISE, "open", "closed", "holiday"})
"""Outcomes that a caller who presses nothing can be led along. INVALID is among them for a line that whistles."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow. start: id of its first node. language: of its prompts."""

    id: str
    name: str
    start: str
    nodes: tuple[FlowNode, ...]
    language: str = "ja"

    def node(self, node_id: str) -> FlowNode | None:
        """The node of that id."""
        return next((node for node in self.nodes if node.id == node_id), None)
