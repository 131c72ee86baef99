"""Stops and starts the recording of a call that is up: what is said in between is in no file. Adapter: rtpengine and Kamailio.

rtpengine 10.5 knows no pause: a capture is ended and another one begun, so a paused call has one recording for each stretch.
Kamailio is told first (htable `paused`), because it says with each offer within the call whether it is recorded: a telephone that
is put on hold meanwhile must not begin the recording anew. Blocks; no thread or loop of its own.
"""

import itertools
import json
import secrets
import socket
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from appliance.errors import KyusaiError
from appliance.kamailio import recording_order
from appliance.media.ng import NgClient, RtpengineSilent

ANSWER_S = 1.0
ANSWER_MAX_BYTES = 65536


class What(StrEnum):
    """What is done with a recording. STOP is a pause that nobody means to end; START also records a call that policy has not
    recorded, from now on."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


class RecordingSwitch:
    """One box's recordings."""

    def __init__(
        self, ng: NgClient, kamailio: Path, paused: Callable[[str], object] = lambda _call_id: None
    ) -> None:
        """kamailio: its RPC socket. paused: told of each call whose recording was paused."""
        self._paused = paused
        self._ng = ng
        self._kamailio = str(kamailio)
        self._ids = itertools.count(secrets.randbelow(2**30))

    def is_paused(self, call_id: str) -> bool:
        """Whether a pause is noted for the call. Raises KyusaiError "recording.silent"."""
        return bool(self._mark(call_id))

    def _mark(self, call_id: str) -> str:
        """Why the call's recording is paused, "" where it is not."""
        found = self._rpc("htable.get", recording_order.PAUSED, call_id).get("result")
        item = found.get("item", found) if isinstance(found, dict) else {}
        return str(item.get("value", "")) if isinstance(item, dict) else ""

    def order(self, call_id: str, what: What, *, told: bool = True) -> bool:
        """Do it; True when something changed. told: whether a pause is a person's, not that of one of his other legs. Raises
        KyusaiError "recording.no_call" (its audio does not go through rtpengine), "recording.untold", "recording.silent"."""
        try:
            if not self._ng.knows(call_id):
                raise KyusaiError(
                    "recording.no_call",
                    f"{call_id!r:.80}: the audio of this call does not go through the box",
                    "Only calls whose audio the box relays can be recorded: those that policy has recorded, those with the "
                    "outside, and those in applications.",
                    value=call_id[:80],
                )
            mark = self._mark(call_id)
            if mark == recording_order.UNTOLD:
                raise KyusaiError(
                    "recording.untold",
                    f"{call_id!r:.80}: this call is not recorded, because not everybody in it was told",
                    "Where the sentence is being said, the recording begins behind it by itself.",
                    value=call_id[:80],
                )
            paused = bool(mark)
            if what in (What.PAUSE, What.STOP):
                self._rpc("htable.sets", recording_order.PAUSED, call_id, what.value)
                self._ng.stop_recording(call_id)
                if told and not paused:
                    self._paused(call_id)
                return not paused
            if what is What.RESUME and not paused:
                return False
            if paused:
                self._rpc("htable.delete", recording_order.PAUSED, call_id)
            self._ng.command("start recording", call_id=call_id)
            return True
        except RtpengineSilent as error:
            raise _silent("rtpengine", str(error)) from error

    def _rpc(self, method: str, *params: str) -> dict[str, Any]:
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(ANSWER_S)
            try:
                line.bind("")
                line.sendto(json.dumps(request).encode(), self._kamailio)
                while True:
                    reply = json.loads(line.recv(ANSWER_MAX_BYTES))
                    if isinstance(reply, dict) and reply.get("id") == number:
                        return reply
            except (OSError, ValueError) as error:
                raise _silent("Kamailio", str(error)) from error


def _silent(who: str, detail: str) -> KyusaiError:
    return KyusaiError(
        "recording.silent",
        f"{who} does not answer: {detail}",
        "Whether the call is recorded now is not known. Look at its unit, and give the order again.",
        who=who,
        detail=detail,
    )
