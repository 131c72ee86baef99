"""The centre hears of each lock once, and of its end."""

from agent.pin_locks import PinLocks
from appliance.freeswitch.pin_locks import Lock, What

BOX, ROOM = Lock(What.VOICEMAIL, "202"), Lock(What.CODE, "702")


async def nobody(*_: str) -> str:
    return ""


def test_each_lock_is_told_once_and_its_end_once() -> None:
    heard: list[tuple[Lock, bool]] = []
    locks = PinLocks(nobody, lambda lock, locked: heard.append((lock, locked)))
    for now in ([BOX], [BOX], [BOX, ROOM], [ROOM], []):
        locks.seen(frozenset(now))
    assert heard == [(BOX, True), (ROOM, True), (BOX, False), (ROOM, False)]
