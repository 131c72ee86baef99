"""What a watcher of presence is told: a PIDF document (RFC 3863) with what the person does (RFC 4480). Pure.

Desk telephones' lamps ask for `dialog`; this is for softphones and consoles that show colleagues in a list. It says no more than
a lamp: whether somebody can be reached and is talking, never with whom.
"""

from dataclasses import dataclass
from html import escape

from appliance.kamailio.lamp_calls import State

CONTENT_TYPE = "application/pidf+xml"

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
    'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"'
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a number is there. here: some telephone of it is registered; always for what is no extension. quiet: it does
    not want to be disturbed."""

    here: bool = True
    quiet: bool = False


def document(number: str, domain: str, standing: Standing, states: frozenset[State]) -> str:
    """The document on a number. states: of its parts in calls."""
    basic = "open" if standing.here else "closed"
    activity, note = _activity(standing, states)
    doing = f"<rpid:activities><rpid:{activity}/></rpid:activities>" if activity else ""
    return (
        f'{_HEAD} entity="{escape(f"sip:{number}@{domain}")}">'
        f'<tuple id="t1"><status><basic>{basic}</basic></status></tuple>'
        f'<dm:person id="p1">{doing}<dm:note>{note}</dm:note></dm:person>'
        "</presence>\n"
    )


def _activity(standing: Standing, states: frozenset[State]) -> tuple[str, str]:
    """What softphones show, the first that holds."""
    if not standing.here:
        return "", "Offline"
    if State.CONFIRMED in states:
        return "on-the-phone", "On the phone"
    if standing.quiet:
        return "busy", "Do not disturb"
    return ("on-the-phone", "Ringing") if states else ("", "Ready")
