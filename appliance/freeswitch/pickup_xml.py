"""Where whoever picks a call up and the call meet: parts of the entry dialplan. Pure.

Kamailio names the meeting place by a token (`appliance.kamailio.pickup`). Whoever comes first waits there in silence; the
second is joined with him. Nobody waits for long: the telephone hears a busy tone when no call comes, and a call for which
nobody is there any more goes back to the number that was called.
"""

from appliance.freeswitch import flow_xml, names
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.pickup import TAKEN, TOKEN_DIGITS, WAITS

LOT = "pickup"
"""Of mod_valet_parking; parking places have another one."""

WAIT_S = 5
"""A call comes within a tenth of a second; longer where a telephone of a group has gone without a word."""

NOTHING = "nothing-rings"

BUSY_TONE = "tone_stream://%(500,500,400);loops=4"
"""Japan's, two seconds and more of it."""


def extensions() -> tuple[Element, ...]:
    """For the context of Kamailio's calls."""
    token = f"([0-9a-f]{{{TOKEN_DIGITS}}})"
    back = f"{names.CALL_NUMBER}$2"
    return (
        _extension("pickup-waits", f"^{WAITS}{token}$", *_meet(NOTHING, names.ENTRY)),
        _extension("pickup-taken", f"^{TAKEN}{token}-([0-9]{{1,10}})$", *_meet(back, names.CONTROL)),
        _extension(NOTHING, f"^{NOTHING}$", action("playback", BUSY_TONE), *flow_xml.goodbye()),
    )


def _extension(name: str, expression: str, *actions: Element) -> Element:
    condition = element("condition", *actions, field="destination_number", expression=expression)
    return element("extension", condition, name=name)


def _meet(otherwise: str, context: str) -> tuple[Element, ...]:
    return (
        action("answer"),
        action("set", f"valet_parking_timeout={WAIT_S}"),
        action("set", f"valet_parking_orbit_exten={otherwise}"),
        action("set", f"valet_parking_orbit_context={context}"),
        action("set", "valet_parking_orbit_dialplan=XML"),
        action("set", "valet_hold_music=silence"),
        action("valet_park", f"{LOT} $1"),
    )
