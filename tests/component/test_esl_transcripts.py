"""What a real FreeSWITCH said, said again to the box's programs: no FreeSWITCH is needed, and none is imagined."""

import asyncio
import json
from typing import Any

import pytest

from appliance.freeswitch import events as wire
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from appliance.freeswitch.events import Event
from appliance.freeswitch.legs import Fact, LegBook
from tests.helpers.esl_transcript import NOT_RECORDED, SCENES, said_again, sessions

gevent = pytest.importorskip("gevent")
pytest.importorskip("greenswitch")

from appliance.freeswitch.esl import EventSocket  # noqa: E402
from appliance.freeswitch.keeper import Keeper  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def names(scene: str) -> list[str]:
    return [event.name for one in sessions(scene) for event in one.events]


def replayed(scene: str) -> tuple[LegBook, list[tuple[bool, str, str]]]:
    book, facts = LegBook(), list[Fact]()
    for session in sessions(scene):
        for event in session.events:
            facts += book.hear(event)
    return book, [(fact.begins, fact.stay.what, fact.stay.name) for fact in facts]


def test_there_is_a_transcript_of_everything_that_is_replayed() -> None:
    assert SCENES == ("application", "conference", "parking", "refused", "restart", "voicemail")


@pytest.mark.parametrize("scene", SCENES)
def test_every_block_is_one_that_the_box_knows(scene: str) -> None:
    kinds = {
        wire.AUTH_REQUEST,
        wire.REPLY,
        wire.API_RESPONSE,
        wire.EVENT_PLAIN,
        wire.DISCONNECT,
        wire.REJECTION,
    }
    blocks = [block for one in sessions(scene) for block in one.blocks]
    assert {block.kind for block in blocks} <= kinds
    assert blocks[0].kind == wire.AUTH_REQUEST


def test_a_call_to_a_menu_and_on_is_two_legs_that_met_and_parted() -> None:
    heard = names("application")
    assert heard.count("CHANNEL_CREATE") == heard.count("CHANNEL_HANGUP_COMPLETE") == 2
    assert heard.index("CHANNEL_BRIDGE") < heard.index("CHANNEL_UNBRIDGE")
    book, facts = replayed("application")
    assert facts == [(True, "application", "700"), (False, "application", "700")]
    assert (book.legs, book.stays) == ({}, {})


def test_legs_know_their_call_and_whom_they_talk_with_while_it_is_up() -> None:
    book = LegBook()
    for event in sessions("application")[0].events:
        book.hear(event)
        if event.name == "CHANNEL_BRIDGE":
            break
    inbound, outbound = sorted(book.legs.values(), key=lambda leg: not leg.inbound)
    assert (inbound.number, inbound.caller, inbound.answered) == ("700", "201", True)
    assert (inbound.peer, outbound.peer) == (outbound.uuid, inbound.uuid)
    assert inbound.call


def test_a_room_s_comings_and_goings_are_facts() -> None:
    _, facts = replayed("conference")
    stays = [(begins, name) for begins, what, name in facts if what == "room"]
    assert stays == [(True, "703"), (True, "703"), (False, "703"), (False, "703")]


def test_a_parked_call_is_a_fact() -> None:
    _, facts = replayed("parking")
    assert [fact for fact in facts if fact[1] == "parking"] == [
        (True, "parking", "771"),
        (False, "parking", "771"),
    ]


def test_a_message_that_is_left_is_told_with_its_box() -> None:
    (left,) = (
        event
        for event in sessions("voicemail")[0].events
        if event.name == "vm::maintenance" and event.get("VM-Action") == "leave-message"
    )
    assert left.get("VM-User") == "202"
    assert left.get("VM-Caller-ID-Number") == "201"


def test_a_wrong_password_is_an_error_at_once() -> None:
    async def main() -> None:
        with said_again("refused") as port, pytest.raises(FreeSwitchSilent, match="refuses"):
            await ask(Address("127.0.0.1", port, "ClueCon"), "status")

    asyncio.run(main())


def test_a_command_s_answer_is_its_text_and_an_unknown_one_is_refused() -> None:
    password = sessions("application")[0].password

    async def main() -> tuple[str, str]:
        address = Address("127.0.0.1", 0, password)
        with said_again("application") as port:
            address = Address("127.0.0.1", port, password)
            listed = await ask(address, "show", "channels", "as", "json")
        with said_again("application") as port:
            address = Address("127.0.0.1", port, password)
            return listed, await ask(address, "uuid_hold", "1")

    listed, refused = asyncio.run(main())
    assert json.loads(listed)["row_count"] == 0
    assert refused == NOT_RECORDED


def test_a_lasting_connection_hears_every_event_in_order_and_gets_its_answers() -> None:
    with said_again("application") as port:
        live = EventSocket("127.0.0.1", port, sessions("application")[0].password)
        live.connect()
        assert json.loads(live.api("show", "channels", "as", "json"))["row_count"] == 0
        assert len(json.loads(live.api("show", "channels", "as", "json"))["rows"]) == 2
        assert live.send("event plain CHANNEL_CREATE").startswith("+OK")
        expected = names("application")
        heard = [event.name for _ in expected if (event := live.next_event(3)) is not None]
        assert (heard, live.lost, live.connected) == (expected, 0, True)
        assert len(live.background("status")) == 36
        assert live.api("uuid_kill", "00000000-0000-0000-0000-000000000000").startswith("-ERR")
        live.stop()


class Notes:
    """A listener that writes down."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.snapshots: list[int] = []

    def snapshot(self, live: Any) -> None:
        self.snapshots.append(json.loads(live.api("show", "channels", "as", "json"))["row_count"])

    def event(self, event: Event) -> None:
        self.heard.append(event.name)

    def gone(self, why: str) -> None:
        self.heard.append("gone")


def test_a_freeswitch_that_ends_in_order_is_heard_to_the_end_and_asked_anew() -> None:
    first, _ = sessions("restart")
    notes = Notes()
    with said_again("restart") as port:
        keeper = Keeper(lambda: EventSocket("127.0.0.1", port, first.password, connect_s=3), notes)
        why = keeper.once()
        assert "ended the connection" in why or "closed the connection" in why
        assert notes.heard == [event.name for event in first.events]
        fresh = EventSocket("127.0.0.1", port, first.password)
        fresh.connect()
        notes.snapshot(fresh)
        fresh.stop()
    assert notes.snapshots[-1] == 0
