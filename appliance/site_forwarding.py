"""Where forwarding and overflow lead: not to nobody, not in a circle. Pure.

Only what always happens can make a call go round for ever: `forward_always`, and a group's overflow. That two
colleagues forward to each other when they do not answer is common, and ends when the call meets a number twice.
"""

from collections.abc import Iterator

from appliance.freeswitch.flow import FlowNode
from appliance.freeswitch.flow import Kind as NodeKind
from appliance.kamailio.dialplan import UNPREFIXED_DIGITS_MIN
from appliance.kamailio.view import VOICEMAIL_CODE, Policy
from appliance.problems import Problems, shown
from appliance.site_model import Site


def check_forwarding(site: Site, problems: Problems) -> None:
    """Note every forwarding that cannot work."""
    inside = _Inside(site)
    edges: dict[str, tuple[str, str]] = {}
    for path, number, target, always in _forwardings(site):
        if not (target and number):
            continue
        reached = inside.number(target)
        if target in site.policy.emergency_numbers:
            problems.add(path, "site.forward_emergency", value=shown(target))
        elif reached == number:
            problems.add(path, "site.forward_self", value=shown(number))
        elif reached is None and not _dialled_outside(target, site.policy, inside.longest):
            prefixes = ", ".join(_prefixes(site.policy))
            problems.add(path, "site.forward_nobody", value=shown(target), prefixes=prefixes)
        elif reached is not None and always:
            edges.setdefault(number, (reached, path))
    _circles(edges, problems)


def _forwardings(site: Site) -> Iterator[tuple[str, str, str, bool]]:
    """(path, number, target, whether it can follow without a person's doing) in document order."""
    for index, extension in enumerate(site.extensions):
        path = f"$.extensions[{index}]"
        yield f"{path}.forward_always", extension.number, extension.forward_always, True
        yield f"{path}.forward_busy", extension.number, extension.forward_busy, False
        yield f"{path}.forward_no_answer", extension.number, extension.forward_no_answer, False
    for index, group in enumerate(site.groups):
        yield f"$.groups[{index}].overflow", group.number, group.overflow, True
    for index, application in enumerate(site.media.applications):
        yield f"$.applications[{index}].fallback", application.number, application.fallback, True
    for index, flow in enumerate(site.media.flows):
        for position, node in enumerate(flow.nodes):
            yield f"$.flows[{index}].nodes[{position}].number", flow.id, _called(node), False


def _called(node: FlowNode) -> str:
    return node.number if node.kind is NodeKind.TRANSFER else ""


class _Inside:
    """Which of the site's numbers a dialled number reaches."""

    def __init__(self, site: Site) -> None:
        self._policy = site.policy
        self._own = {one.number for one in site.extensions} | {one.number for one in site.groups}
        self._own |= {one.number for one in site.media.applications}
        self._own |= {f"{VOICEMAIL_CODE}{one.number}" for one in site.media.mailboxes}
        self._remote = {one.number for one in site.remote_extensions}
        self._public = dict(site.public_numbers)
        self.longest = max((len(number) for number in self._own | self._remote), default=0)

    def number(self, target: str) -> str | None:
        """The extension, group or remote extension that `target` reaches; None: it leaves the site."""
        dialled = self._policy.feature(target)
        if dialled is not None and dialled[0] == "voicemail_leave":
            target = f"{VOICEMAIL_CODE}{dialled[1]}"
        if target in self._own or target in self._remote:
            return target
        return next(
            (self._public[one] for one in _readings(target, self._policy) if one in self._public), None
        )


def _readings(target: str, policy: Policy) -> Iterator[str]:
    """A dialled number in E.164, with and without the outside prefix, as far as it is a full number."""
    dialled = [target]
    if policy.outside_prefix and target.startswith(policy.outside_prefix):
        dialled.insert(0, target.removeprefix(policy.outside_prefix))
    for digits in dialled:
        if digits.startswith("+"):
            yield digits
        if policy.international_prefix and digits.startswith(policy.international_prefix):
            yield "+" + digits.removeprefix(policy.international_prefix)
        if digits.startswith(policy.national_prefix):
            yield f"+{policy.country}{digits.removeprefix(policy.national_prefix)}"


def _prefixes(policy: Policy) -> tuple[str, ...]:
    if policy.outside_prefix:
        return ("+", policy.outside_prefix)
    return tuple(filter(None, ("+", policy.national_prefix, policy.international_prefix)))


def _dialled_outside(target: str, policy: Policy, longest: int) -> bool:
    if target.startswith(_prefixes(policy)) or len(target) >= UNPREFIXED_DIGITS_MIN:
        return True
    return not policy.outside_prefix and len(target) > longest


def _circles(edges: dict[str, tuple[str, str]], problems: Problems) -> None:
    """Every circle once, at its first number in document order. Each number has at most one edge."""
    seen: set[str] = set()
    for start in edges:
        trail: list[str] = []
        number = start
        while number in edges and number not in seen:
            seen.add(number)
            trail.append(number)
            number = edges[number][0]
        if number in trail:
            circle = trail[trail.index(number) :]
            first = min(circle, key=list(edges).index)
            turned = circle[circle.index(first) :] + circle[: circle.index(first)]
            problems.add(edges[first][1], "site.forward_loop", chain=" → ".join((*turned, first)))
