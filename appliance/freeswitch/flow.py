"""A call flow as data: nodes, and where each outcome of a node leads. Pure.

What a node is called and may say is fixed here once; the checker, the dialplan compiler, the simulator and the drawing all
go by `edges`, so that none of them can know a way that the others do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.freeswitch.schedule import Day


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
    QUEUE = "queue"
    HTTP = "http"
    SAY = "say"
    DIRECTORY = "directory"
    RECORD_ANNOUNCE = "record_announce"
    RECORD_PAUSE = "record_pause"
    RECORD_RESUME = "record_resume"
    RETENTION = "retention"
    HANGUP = "hangup"


class Subject(StrEnum):
    """What a branch looks at. VARIABLE: what `set`, `collect` or `http` noted under the node's `variable`. LINK: the line to
    the cloud as it was when the call came ("UP", "DOWN", ...). DIALLED: the application's number, by which the call came in here,
    however the caller, a carrier or a forwarding wrote it. HOLIDAY: which holiday of the node's `schedule` today is.
    QUEUE_...: callers who wait in the node's `queue`, agents that can be reached, seconds that the first has waited; empty
    when nobody knows."""

    VARIABLE = "variable"
    CALLER = "caller"
    DIALLED = "dialled"
    LINK = "link"
    HOLIDAY = "holiday"
    QUEUE_WAITING = "queue_waiting"
    QUEUE_AGENTS = "queue_agents"
    QUEUE_LONGEST_S = "queue_longest_s"


QUEUED = frozenset({Subject.QUEUE_WAITING, Subject.QUEUE_AGENTS, Subject.QUEUE_LONGEST_S})
"""Subjects that are numbers, and asked of the queues."""


class Saying(StrEnum):
    """How a value is said. NUMBER: as a quantity. DIGITS: one by one. TELEPHONE: in its parts. AMOUNT: yen. DATE: YYYYMMDD
    or YYYY-MM-DD. TIME: HHMM or HH:MM."""

    NUMBER = "number"
    DIGITS = "digits"
    TELEPHONE = "telephone"
    AMOUNT = "amount"
    DATE = "date"
    TIME = "time"


DONE, TIMEOUT, INVALID, FAILED, OTHERWISE, UNANSWERED, FULL, NOBODY = (
    "next",
    "timeout",
    "invalid",
    "failed",
    "otherwise",
    "unanswered",
    "full",
    "nobody",
)
"""Names of outcomes beside a menu's keys, a branch's cases ("case1", ...) and a schedule's states."""


CALLS_OWN = frozenset({Subject.CALLER.value, Subject.DIALLED.value})
"""What a look-up may send without anybody having noted it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way out of a branch, taken when anything of it holds. matches: a regular expression that the whole value must
    match. values: the value itself. prefixes: what it begins with. at_least: a number that it reaches (None: not asked).
    days, holidays: today's date, today's public holiday by its name."""

    matches: str
    then: str
    values: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    at_least: int | None = None
    days: tuple[Day, ...] = ()
    holidays: tuple[str, ...] = ()

    @property
    def asks(self) -> str:
        """The whole case in a few words, as a picture shows it."""
        least = () if self.at_least is None else (f"≥ {self.at_least}",)
        starts = (f"{prefix}…" for prefix in self.prefixes)
        days = (f"{day.year or '*'}-{day.month:02d}-{day.day:02d}" for day in self.days)
        return ", ".join(filter(None, (self.matches, *self.values, *starts, *least, *days, *self.holidays)))


@dataclass(frozen=True, slots=True)
class Lookup:
    """What an HTTP node asks. url: https, as the document says it. send: (name, variable) of what goes with it; names that
    are no variable are "caller" and "dialled". fields: (variable, path) of the answer that are noted, a path being names and
    indices between dots. secret: name of the box's secret that becomes the header Authorization, or "". private: whether
    addresses of private networks may be asked. time_ms: for the whole of it."""

    url: str
    method: str = "GET"
    send: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    secret: str = ""
    private: bool = False
    time_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class FlowNode:
    """One node; which fields count depends on `kind`.

    prompts: ids played one after the other (PLAY, MENU, COLLECT, HANGUP). again: prompts after a wrong key. keys: key ->
    node (MENU). tries: how often a caller is asked. wait_s: for the first key. variable: where the value goes or comes
    from. least, most: digits (COLLECT). pattern: which digits are right, "" for any. schedule: id. subject: see `Subject`.
    value: what SET notes. number: who is called (TRANSFER), whose box (VOICEMAIL), "" for what `variable` holds.
    ring_s: how long. queue: id (QUEUE, and branches on queues). lookup: of HTTP. saying: how SAY says `variable`.
    retention: class of the recording. go: outcome -> node, for all outcomes that are no key and no case.
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
    queue: str = ""
    lookup: Lookup | None = None
    saying: Saying = Saying.NUMBER
    retention: str = ""
    go: tuple[tuple[str, str], ...] = field(default=())

    def edges(self) -> Iterator[tuple[str, str]]:
        """(outcome, node) of every way out, "" where the document names no node."""
        yield from self.keys
        yield from ((f"case{index}", case.then) for index, case in enumerate(self.cases, 1))
        yield from self.go

    def sets(self, outcome: str) -> frozenset[str]:
        """Variables that are noted when the node is left by that way."""
        if self.kind is Kind.SET or (self.kind is Kind.COLLECT and outcome == DONE):
            return frozenset({self.variable})
        if self.lookup and outcome == DONE:
            return frozenset(variable for variable, _ in self.lookup.fields)
        return frozenset()

    def reads(self) -> frozenset[str]:
        """Variables that must have been noted before."""
        if self.lookup:
            return frozenset(source for _, source in self.lookup.send) - CALLS_OWN
        named = self.kind is Kind.SAY or (self.kind is Kind.BRANCH and self.subject is Subject.VARIABLE)
        if named or (self.kind in (Kind.TRANSFER, Kind.VOICEMAIL) and not self.number):
            return frozenset({self.variable})
        return frozenset()

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
    Kind.QUEUE: (TIMEOUT, FULL, NOBODY),
    Kind.HTTP: (DONE, FAILED),
    Kind.SAY: (DONE,),
    Kind.DIRECTORY: (),
    Kind.RECORD_ANNOUNCE: (DONE,),
    Kind.RECORD_PAUSE: (DONE, FAILED),
    Kind.RECORD_RESUME: (DONE,),
    Kind.RETENTION: (DONE,),
    Kind.HANGUP: (),
}
"""Outcomes of `go` for each kind."""

ENDS = frozenset({Kind.HANGUP, Kind.VOICEMAIL, Kind.DIRECTORY})
"""Kinds after which the flow's part is over."""

CALLS = frozenset({Kind.TRANSFER, Kind.QUEUE})
"""Kinds that end the call when somebody answers."""


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
