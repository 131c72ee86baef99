"""What a busy lamp is told: a dialog-info document (RFC 4235). Pure.

Always the full state of one number. A part that ended since the last document stands in this one as terminated and in no later
one. The far side is named only where it is a number of the site, so a caller who withholds his number is shown to nobody.

`local-tag` of a call that rings is a word of ours: the telephones that ring have their own, of which the box hears only what
their replies say. A telephone that picks the call up by it (Replaces, RFC 3891) is understood by the Call-ID (`pickup`).
"""

from collections.abc import Iterable
from html import escape

from appliance.kamailio.lamp_calls import Part

CONTENT_TYPE = "application/dialog-info+xml"

PARTS_MAX = 20
"""Calls of one number that a lamp is told of: a lamp is lit by one, and a document has to fit into a datagram."""

LOCAL_TAG = "kyusai"
"""In place of the tag of a telephone that rings."""

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"


def document(
    number: str, domain: str, version: int, parts: Iterable[Part], ended: Iterable[Part] = ()
) -> str:
    """The document on a number. version: grows with each document of one subscription. ended: parts that are over."""
    shown = [_dialog(number, domain, part, part.state) for part in tuple(parts)[-PARTS_MAX:]]
    shown += [_dialog(number, domain, part, "terminated") for part in tuple(ended)[-PARTS_MAX:]]
    entity = escape(f"sip:{number}@{domain}")
    head = f'<dialog-info xmlns="{NAMESPACE}" version="{version}" state="full" entity="{entity}">'
    return "\n".join(('<?xml version="1.0"?>', head, *shown, "</dialog-info>", ""))


def _dialog(number: str, domain: str, part: Part, state: str) -> str:
    local, remote = (LOCAL_TAG, part.tag) if part.called else (part.tag, LOCAL_TAG)
    direction = "recipient" if part.called else "initiator"
    sides = _side("local", number, domain)
    if part.other:
        sides += _side("remote", part.other, domain)
    return (
        f'<dialog id="{escape(part.id)}" call-id="{escape(part.call_id)}" local-tag="{escape(local)}"'
        f' remote-tag="{escape(remote)}" direction="{direction}"><state>{state}</state>{sides}</dialog>'
    )


def _side(side: str, number: str, domain: str) -> str:
    uri = escape(f"sip:{number}@{domain}")
    return f'<{side}><identity>{uri}</identity><target uri="{uri}"/></{side}>'
