"""Nodes that say values, branch on holidays, or hand the call to a directory. Pure."""

from collections.abc import Iterator

from appliance.freeswitch import names
from appliance.freeswitch.flow import DONE, OTHERWISE, Flow, FlowNode, Saying
from appliance.freeswitch.flow_parts_xml import Rendering, extension, go, language, literal, to
from appliance.freeswitch.quoting import word
from appliance.freeswitch.schedule import named
from appliance.freeswitch.schedule_xml import YEARS_AHEAD
from appliance.freeswitch.xml import Element, action, element

SAID = {
    Saying.NUMBER: ("^0*([0-9]{1,12})$", "$1"),
    Saying.DIGITS: ("^([0-9*#+]{1,32})$", "$1"),
    Saying.TELEPHONE: ("^([0-9*#+]{1,32})$", "$1"),
    Saying.AMOUNT: ("^0*([0-9]{1,12})$", "$1"),
    Saying.DATE: ("^([0-9]{4})-?([0-9]{2})-?([0-9]{2})$", "$1-$2-$3"),
    Saying.TIME: ("^([0-9]{2}):?([0-9]{2})$", "$1:$2"),
}
"""What can be said of each kind, and how FreeSWITCH's phrase wants it. Another value is passed over in silence."""


def say(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A value that was noted, by the phrases of `spoken_xml`."""
    pattern, data = SAID[node.saying]
    on = action("transfer", to(flow, node.target(DONE)))
    when = {"field": f"${{{names.VARIABLE}{word(node.variable)}}}", "expression": f"{pattern}(?!\\n)"}
    spoken = action("phrase", f"say_{node.saying},{data}")
    yield extension(node.id, *language(flow), spoken, on, when=when)
    yield extension(node.id, on)


def holiday(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A branch on which holiday today is: the days of each case, as FreeSWITCH's calendar counts them."""
    schedule = next(one for one in site.plan.schedules if one.id == node.schedule)
    zone = action("set", f"timezone={site.plan.time_zone}", inline="true")
    here = element("condition", zone, field="destination_number", expression=f"^{literal(node.id)}$")
    for index, case in enumerate(node.cases, 1):
        years = [
            element("regex", year=year, yday=",".join(str(day.timetuple().tm_yday) for day in days))
            for year in range(site.this_year, site.this_year + YEARS_AHEAD)
            if (days := named(schedule, year, case.days, case.holidays))
        ]
        if years:
            today = element("condition", *years, go(flow, f"{node.id}=case{index}"), regex="any")
            yield element("extension", here, today, name=node.id)
    yield extension(node.id, go(flow, f"{node.id}={OTHERWISE}"))


def directory(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """The application with that number takes over."""
    yield extension(node.id, action("transfer", f"{word(node.number)} XML {names.ENTRY}"))
