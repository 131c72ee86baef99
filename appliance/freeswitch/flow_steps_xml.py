"""Nodes that say values, branch on holidays, or hand the call to a directory. Pure."""

from collections.abc import Iterator

from appliance.freeswitch import flow_cases, names
from appliance.freeswitch.applications import Kind as Application
from appliance.freeswitch.flow import DONE, OTHERWISE, Flow, FlowNode
from appliance.freeswitch.flow_parts_xml import Rendering, extension, go, language, literal, to
from appliance.freeswitch.quoting import word
from appliance.freeswitch.schedule import named
from appliance.freeswitch.schedule_xml import years
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.view import FEATURE_USER


def say(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """A value that was noted, by the phrases of `spoken_xml`."""
    pattern, data = flow_cases.SAID[node.saying]
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
        kept = [
            element("regex", year=year, yday=",".join(str(day.timetuple().tm_yday) for day in days))
            for year in years(site.this_year)
            if (days := named(schedule, year, case.days, case.holidays))
        ]
        if kept:
            today = element("condition", *kept, go(flow, f"{node.id}=case{index}"), regex="any")
            yield element("extension", here, today, name=node.id)
    yield extension(node.id, go(flow, f"{node.id}={OTHERWISE}"))


def directory(flow: Flow, node: FlowNode, site: Rendering) -> Iterator[Element]:
    """The application with that number takes over, or the one behind the feature code."""
    codes = {code.code for code in site.plan.features if code.id == Application.DIRECTORY}
    where = FEATURE_USER + Application.DIRECTORY if node.number in codes else node.number
    yield extension(node.id, action("transfer", f"{word(where)} XML {names.ENTRY}"))
