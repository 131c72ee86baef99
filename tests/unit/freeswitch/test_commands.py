"""Commands to FreeSWITCH: each is one line, and no part of it can become another."""

from collections.abc import Callable

import pytest

from appliance.errors import KyusaiError
from appliance.freeswitch import commands
from appliance.freeswitch.commands import Ear

UUID = "0e2f8f4c-5a6b-4c7d-8e9f-001122334455"
KAMAILIO = "127.0.0.1:5092"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (commands.hang_up(UUID), f"uuid_kill {UUID} NORMAL_CLEARING"),
        (commands.transfer(UUID, "202"), f"uuid_transfer {UUID} call-202 XML control"),
        (commands.hold(UUID, True), f"uuid_hold {UUID}"),
        (commands.hold(UUID, False), f"uuid_hold off {UUID}"),
        (commands.record(UUID, "/r/a.wav", True), f"uuid_record {UUID} start /r/a.wav"),
        (commands.record(UUID, "/r/a.wav", False), f"uuid_record {UUID} stop /r/a.wav"),
        (commands.mask(UUID, "/r/a.wav", True), f"uuid_record {UUID} mask /r/a.wav"),
        (commands.mask(UUID, "/r/a.wav", False), f"uuid_record {UUID} unmask /r/a.wav"),
        (
            commands.supervise(UUID, "203", Ear.WHISPER, KAMAILIO),
            f"originate sofia/box/203@127.0.0.1:5092 whisper-{UUID} XML control",
        ),
        (
            commands.originate("201", "09011112222", KAMAILIO),
            "originate sofia/box/201@127.0.0.1:5092 call-09011112222 XML control",
        ),
    ],
)
def test_command_is_what_freeswitch_expects(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize(
    "hostile", ["", "a b", "a\nb", "&park()", "{x=y}a", "[a]", "a,b", "a|b", "${x}", "'"]
)
@pytest.mark.parametrize(
    "make",
    [
        commands.hang_up,
        lambda value: commands.hang_up(UUID, value),
        lambda value: commands.transfer(UUID, value),
        lambda value: commands.record(UUID, value, True),
        lambda value: commands.supervise(value, "203", Ear.JOIN, KAMAILIO),
        lambda value: commands.supervise(UUID, value, Ear.JOIN, KAMAILIO),
        lambda value: commands.originate(value, "1", KAMAILIO),
        lambda value: commands.originate("1", value, KAMAILIO),
    ],
)
def test_a_part_that_could_say_more_is_refused(make: Callable[[str], str], hostile: str) -> None:
    with pytest.raises(KyusaiError):
        make(hostile)
