"""Calls that are up when a version comes in which their place is no more: they go on, nobody is cut off. Pure.

What a call hears it goes on hearing; its next step is looked for in the version that is in use then. FreeSWITCH ends a call that
finds no extension, so each such context ends with one that leads to what the call's number stands for now, from the
beginning. A context that is not there at all is looked for under the name "global" (`dialplan_hunt`, mod_dialplan_xml.c).
"""

from appliance.freeswitch import names
from appliance.freeswitch.flow_parts_xml import LAST_WORD_MS, Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, action, element

GLOBAL = "global"
MOVED = "ky_moved"
"""Of a call: an x for each time."""

LEADING_ELSEWHERE = "^(?:flow|directory)-"
"""Contexts that come and go with versions."""

MOVES_MAX = 20
"""Of one call: one that finds its place again and again in no version would go round for ever."""

ALWAYS = {"field": "destination_number", "expression": "^"}


def entered(number: str) -> Element:
    """Has the call remember the application's number by which it came."""
    return action("set", f"{names.ENTERED}={word(number)}")


def moved() -> Element:
    """The last extension of a context: everything that no other takes."""
    return _moved(Element("condition", ALWAYS))


def gone() -> Element:
    """What takes the place of a context that is no more."""
    return element(
        "context",
        _moved(element("condition", field="context", expression=LEADING_ELSEWHERE)),
        name=GLOBAL,
    )


def removed(language: str, prompts: Prompts) -> Element:
    """In the entry: whoever was led here and whose number is gone as well hears so."""
    told = (
        action("playback", word(prompts["no_such_number", language])),
        action("sleep", str(LAST_WORD_MS)),
        action("hangup", "UNALLOCATED_NUMBER"),
    )
    known = element("condition", *told, field=f"${{{names.ENTERED}}}", expression="^.")
    return element("extension", Element("condition", ALWAYS), known, name="removed")


def _moved(here: Element) -> Element:
    again = (
        action("set", f"{MOVED}=${{{MOVED}}}x"),
        action("sched_cancel"),  # a way out of a question, which would lead to a place that is gone as well
        action("transfer", f"${{{names.ENTERED}}} XML {names.ENTRY}"),
    )
    seldom = element("condition", field=f"${{{MOVED}}}", expression=f"^x{{0,{MOVES_MAX - 1}}}$")
    known = element("condition", *again, field=f"${{{names.ENTERED}}}", expression="^[0-9*#]+$(?!\\n)")
    return element("extension", here, seldom, known, name="moved")
