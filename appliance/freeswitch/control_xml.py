"""What the controller's commands lead into: calls to a number, and supervisors who take part in one. Pure.

A context of its own, which no call from outside can reach: `commands` names these extensions.
"""

from appliance.freeswitch import flow_xml, names
from appliance.freeswitch.commands import Ear
from appliance.freeswitch.xml import Element, action, element

CALL_RING_S = 60

_UUID = "([0-9a-f-]{36})"

_EARS: dict[Ear, tuple[Element, ...]] = {
    # Keys would let a listener speak: they are off.
    Ear.LISTEN: (action("set", "eavesdrop_enable_dtmf=false"), action("eavesdrop", "$1")),
    Ear.WHISPER: (
        action("set", "eavesdrop_enable_dtmf=false"),
        action("set", "eavesdrop_whisper_bleg=true"),
        action("eavesdrop", "$1"),
    ),
    Ear.JOIN: (action("three_way", "$1"),),
}


def context() -> Element:
    """The context `names.CONTROL`."""
    called = element(
        "extension",
        element(
            "condition",
            *flow_xml.call("$1", CALL_RING_S),
            action("hangup", "NO_ANSWER"),
            field="destination_number",
            expression=f"^{names.CALL_NUMBER}([+]?[0-9*#]{{1,32}})$",
        ),
        name="call",
    )
    ears = [
        element(
            "extension",
            element(
                "condition",
                action("answer"),
                *actions,
                field="destination_number",
                expression=f"^{ear}-{_UUID}$",
            ),
            name=str(ear),
        )
        for ear, actions in _EARS.items()
    ]
    return element("context", called, *ears, name=names.CONTROL)
