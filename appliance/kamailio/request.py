"""The facts of a new call that a decision may read. A plain value: built by the handler, read by `routing.decide`."""

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Who sent the request, as proved by digest or by the address that the snapshot lists. MEDIA is the box's FreeSWITCH."""

    PHONE = "phone"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"
    MEDIA = "media"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One initial INVITE.

    origin_id: extension number of the authenticated phone, or id of the upstream or gateway; "" for a stranger.
    dialled: user part of the Request-URI as sent. caller: user part of From (or P-Asserted-Identity of a trusted peer).
    device: PHONE: the telephone, where somebody else is logged in there (`origin_id` is that person); "" for its own.
    anonymous: the caller asked for privacy (Privacy: id, or From anonymous@).
    forwards: numbers that this call was already forwarded by, oldest first (guards against loops).
    behalf: MEDIA: extension whose rights hold, because its owner has proved to FreeSWITCH who he is; "" for nobody's.
    bare: MEDIA: the telephone itself is wanted, not where its owner forwards calls.
    display: the caller's name as a trusted peer gives it, for people's eyes alone; "" for a phone, which the document names.
    """

    origin: Origin
    origin_id: str
    dialled: str
    caller: str
    anonymous: bool = False
    forwards: tuple[str, ...] = ()
    behalf: str = ""
    bare: bool = False
    device: str = ""
    display: str = ""
