"""What a person or a program can do with a call that FreeSWITCH holds, each as one command. Pure.

`uuid` is FreeSWITCH's id of a leg. Every part goes through `quoting`; nothing else may build a command.
"""

from enum import StrEnum

from appliance.freeswitch import names
from appliance.freeswitch.quoting import command, word


class Ear(StrEnum):
    """How a supervisor takes part. LISTEN: hears both. WHISPER: the agent hears him too. JOIN: both do."""

    LISTEN = "listen"
    WHISPER = "whisper"
    JOIN = "join"


def hang_up(uuid: str, cause: str = "NORMAL_CLEARING") -> str:
    """End a leg, and the call with it."""
    return command("uuid_kill", uuid, cause)


def transfer(uuid: str, number: str) -> str:
    """Send a leg to a number: Kamailio decides who that is. Its other leg is let go."""
    return command("uuid_transfer", uuid, f"{names.CALL_NUMBER}{word(number)}", "XML", names.CONTROL)


def hold(uuid: str, on: bool) -> str:
    """Hold a leg, or take it back."""
    return command("uuid_hold", *(() if on else ("off",)), uuid)


def record(uuid: str, path: str, on: bool) -> str:
    """Begin or end a recording of both sides into a file."""
    return command("uuid_record", uuid, "start" if on else "stop", path)


def mask(uuid: str, path: str, on: bool) -> str:
    """Silence a recording while a card number is said, or let it go on."""
    return command("uuid_record", uuid, "mask" if on else "unmask", path)


def supervise(uuid: str, supervisor: str, ear: Ear, kamailio: str) -> str:
    """Call a supervisor and let him take part in a call. uuid: the agent's leg. kamailio: "address:port" beside FreeSWITCH."""
    return command(
        "originate",
        _leg(supervisor, kamailio),
        f"{ear}-{word(uuid)}",
        "XML",
        names.CONTROL,
    )


def originate(number: str, then: str, kamailio: str) -> str:
    """Call a number, and when it answers connect it with another."""
    return command(
        "originate",
        _leg(number, kamailio),
        f"{names.CALL_NUMBER}{word(then)}",
        "XML",
        names.CONTROL,
    )


def _leg(number: str, kamailio: str) -> str:
    return f"sofia/{names.PROFILE}/{word(number)}@{word(kamailio)}"
