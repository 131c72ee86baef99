"""The centre hears of each lock once, and of its end."""

import structlog

from agent.pin_locks import LOCKED, OPENED, PinLocks
from appliance.freeswitch.pin_locks import Lock, What

BOX, ROOM = Lock(What.VOICEMAIL, "202"), Lock(What.CODE, "702")


async def nobody(*_: str) -> str:
    return ""


def test_each_lock_is_told_once_and_its_end_once() -> None:
    heard: list[tuple[str, Lock]] = []
    locks = PinLocks(nobody, lambda event, lock: heard.append((event, lock)), structlog.get_logger())
    for now in ([BOX], [BOX], [BOX, ROOM], [ROOM], []):
        locks.seen(frozenset(now))
    assert heard == [(LOCKED, BOX), (LOCKED, ROOM), (OPENED, BOX), (OPENED, ROOM)]
