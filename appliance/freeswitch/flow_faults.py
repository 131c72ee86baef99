"""A fault of a flow, and what flows may refer to. Values only; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NAMES_SHOWN_MAX = 20
"""Of a list of what is known: enough to find a misspelt one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. where: field of the node as a path, such as `nodes[2].keys`; key: of `flow_check.FLOW_TEMPLATES`."""

    where: str
    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What flows may refer to. prompts: id -> languages that it can be heard in. schedules: id -> names of the public
    holidays that it knows. directories: numbers of applications of that kind."""

    prompts: Mapping[str, frozenset[str]]
    schedules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mailboxes: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(sorted(filter(None, names))[:NAMES_SHOWN_MAX]) or "none"
