"""What FreeSWITCH holds now, as far as its events and its own lists tell: legs, and where in applications each is. Pure.

A leg is one side of a call between FreeSWITCH and Kamailio. A stay is a leg's time at one place: an application that was
dialled, a conference room, a parking place, a queue. Each change of a stay is a fact, told once: an event that comes twice
changes nothing, and after a gap `compare` tells what has changed meanwhile.

A dialplan reports a stay that FreeSWITCH knows no event for by the event `names.STAY_EVENT` (see `stay_of`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from appliance.freeswitch import names
from appliance.freeswitch.events import Event

LEGS_MAX = 2_000
"""Five times what FreeSWITCH takes (`settings_xml.SESSIONS_MAX`): beyond, something is wrong and new legs are not followed."""

ROOM = "room-"
"""How rooms of applications are called in FreeSWITCH: this and the number."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg. call: its Call-ID, "" while it has none. inbound: the box's caller came by it. number: what was dialled.
    caller: who is shown as calling. peer: the leg it talks with, "" for none. placed_for: the leg that it was placed for, until
    the two talk; "" for none."""

    uuid: str
    call: str = ""
    inbound: bool = True
    number: str = ""
    caller: str = ""
    answered: bool = False
    held: bool = False
    peer: str = ""
    placed_for: str = ""


@dataclass(frozen=True, slots=True)
class Stay:
    """One place of one leg. what: "application", "room", "parking", "queue" or what a dialplan calls it."""

    leg: str
    what: str
    name: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A stay began or ended. call: the leg's Call-ID."""

    begins: bool
    stay: Stay
    call: str


class LegBook:
    """All legs and stays. `hear` and `compare` never block."""

    def __init__(self, stays: Mapping[Stay, str] | None = None) -> None:
        """stays: those that were open when the last controller ended, with their Call-IDs."""
        self.legs: dict[str, Leg] = {}
        self.stays: dict[Stay, str] = dict(stays or {})

    def hear(self, event: Event) -> list[Fact]:
        """Take in one event; gives what changed."""
        uuid = event.get("Unique-ID")
        if event.name == "CHANNEL_CREATE":
            return self._created(uuid, event)
        leg = self.legs.get(uuid)
        if leg is None:
            return []
        if event.name == "CHANNEL_HANGUP_COMPLETE":
            return self._gone(uuid)
        call = event.get("variable_sip_call_id")
        if call and not leg.call:
            leg = self.legs[uuid] = replace(leg, call=call)
        if event.name == "CHANNEL_ANSWER":
            self.legs[uuid] = replace(leg, answered=True)
        elif event.name in ("CHANNEL_HOLD", "CHANNEL_UNHOLD"):
            self.legs[uuid] = replace(leg, held=event.name == "CHANNEL_HOLD")
        elif event.name in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
            self._bridged(uuid, event)
        else:
            found = stay_of(event)
            return self._stay(*found) if found else []
        return []

    def held(self, uuid: str, on: bool) -> None:
        """A leg was held by order, or taken back; nothing for one that is gone."""
        if uuid in self.legs:
            self.legs[uuid] = replace(self.legs[uuid], held=on)

    def compare(self, legs: Iterable[Leg], places: Iterable[Stay]) -> list[Fact]:
        """Take in the state as FreeSWITCH lists it; gives what is new by it. places: rooms and parking places; applications
        follow from the legs, and stays of other kinds end with their legs."""
        listed = {leg.uuid: leg for leg in legs}
        before = self.legs
        self.legs = {uuid: _known(before.get(uuid), leg) for uuid, leg in listed.items()}
        here = set(places) | {
            Stay(leg.uuid, "application", leg.number)
            for leg in self.legs.values()
            if leg.inbound and leg.number
        }
        facts = []
        for stay in list(self.stays):
            listable = stay.what in ("room", "parking")
            if stay.leg not in self.legs or (listable and stay not in here):
                facts += self._stay(stay, begins=False)
        for stay in sorted(here - set(self.stays), key=lambda stay: (stay.leg, stay.what)):
            facts += self._stay(stay, begins=True)
        return facts

    def _created(self, uuid: str, event: Event) -> list[Fact]:
        if uuid in self.legs or len(self.legs) >= LEGS_MAX:
            return []
        inbound = event.get("Call-Direction") == "inbound"
        number = event.get("variable_sip_req_user") or event.get("Caller-Destination-Number")
        caller = event.get("Caller-Caller-ID-Number")
        placed_for = event.get("Other-Leg-Unique-ID") if event.get("Other-Type") == "originator" else ""
        call = event.get("variable_sip_call_id")
        self.legs[uuid] = Leg(uuid, call, inbound, number, caller, placed_for=placed_for)
        return self._stay(Stay(uuid, "application", number), begins=True) if inbound and number else []

    def _gone(self, uuid: str) -> list[Fact]:
        facts = [
            fact for stay in list(self.stays) if stay.leg == uuid for fact in self._stay(stay, begins=False)
        ]
        leg = self.legs.pop(uuid)
        other = self.legs.get(leg.peer)
        if other is not None and other.peer == uuid:
            self.legs[other.uuid] = replace(other, peer="")
        return facts

    def _bridged(self, uuid: str, event: Event) -> None:
        other = event.get("Other-Leg-Unique-ID") or event.get("Bridge-B-Unique-ID")
        together = event.name == "CHANNEL_BRIDGE"
        for one, peer in ((uuid, other), (other, uuid)):
            if one in self.legs:
                self.legs[one] = replace(self.legs[one], peer=peer if together else "", placed_for="")

    def _stay(self, stay: Stay, begins: bool) -> list[Fact]:
        if begins == (stay in self.stays):
            return []
        if not begins:
            return [Fact(False, stay, self.stays.pop(stay))]
        leg = self.legs.get(stay.leg)
        self.stays[stay] = leg.call if leg else ""
        return [Fact(True, stay, self.stays[stay])]


def stay_of(event: Event) -> tuple[Stay, bool] | None:
    """The change of a stay that an event tells of: (stay, whether it begins); None for an event of another kind."""
    leg, action = event.get("Unique-ID"), event.get("Action")
    if event.name == "conference::maintenance" and action in ("add-member", "del-member"):
        return Stay(leg, "room", room_number(event.get("Conference-Name"))), action == "add-member"
    if event.name == "valet_parking::info" and action in ("hold", "bridge", "exit"):
        return Stay(leg, "parking", event.get("Valet-Extension")), action == "hold"
    what, change = event.get("Kyusai-What"), event.get("Kyusai-Change")
    if event.name == names.STAY_EVENT and what and change in ("begin", "end"):
        return Stay(leg, what, event.get("Kyusai-Name")), change == "begin"
    return None


def room_number(room: str) -> str:
    """The number of the application that a room belongs to."""
    return room.removeprefix(ROOM).partition("@")[0]


def _known(before: Leg | None, listed: Leg) -> Leg:
    """A leg as listed, with what only events tell."""
    if before is None:
        return listed
    return replace(
        listed,
        call=listed.call or before.call,
        number=before.number or listed.number,
        held=before.held,
        placed_for=before.placed_for,
    )
