"""Ends calls whose audio is lost at rtpengine, and those of which one side was in a FreeSWITCH that is gone. Runs in a process
of its own; `media_loss` and `application_loss` decide.

Adapter. Answered, anchored calls stand in the table `media` (`Answering.answered` to `Dialogs.event`). The BYEs go to
both sides; a side that is gone does not hear it, and the call still ends here.
"""

import json
from collections.abc import Callable

from appliance.kamailio import application_loss
from appliance.kamailio.answer import Journal
from appliance.kamailio.causes import Cause
from appliance.kamailio.hangup import hang_up
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.media_loss import Look, Memory, judge

TABLE = "media"
LEGS = 3
"""Call-ID and both tags; one more value marks a call that has a side in FreeSWITCH."""


class MediaWatch:
    """ask: one look at rtpengine, None when it did not answer; may block for as long as its own limit. running: a word for the
    FreeSWITCH that runs, as `application_loss.judge` wants it; None when that cannot be known."""

    def __init__(
        self,
        ksr: KsrCall,
        journal: Journal,
        ask: Callable[[], Look | None],
        running: Callable[[], str | None],
    ) -> None:
        self._ksr = ksr
        self._journal = journal
        self._ask = ask
        self._running = running
        self._memory = Memory()
        self._in_applications: dict[str, str] = {}

    def tick(self) -> int:
        """Look once; gives how many calls were ended."""
        calls = {key: json.loads(value) for key, value in self._ksr.table(TABLE).items()}
        ended = self._end_those_in_applications(calls)
        now = self._ask()
        if now is None:
            return ended
        gone, self._memory = judge([call_id for call_id, *_ in calls.values()], self._memory, now)
        for key, legs in calls.items():
            if legs[0] in gone:
                self._end(key, legs, gone[legs[0]])
                ended += 1
        return ended

    def _end_those_in_applications(self, calls: dict[str, list[str]]) -> int:
        """Takes out of `calls` those that it ended, and gives how many."""
        runs = self._running()
        if runs is None:
            return 0
        inside = [key for key, legs in calls.items() if len(legs) > LEGS]
        lost, self._in_applications = application_loss.judge(inside, self._in_applications, runs)
        for key in lost:
            self._end(key, calls.pop(key), Cause.MEDIA_LOST)
        return len(lost)

    def _end(self, key: str, legs: list[str], cause: Cause) -> None:
        """legs: Call-ID and both tags."""
        self._ksr.forget(TABLE, key)
        row = self._ksr.rpc("dlg.dlg_list", legs[0], legs[1])
        if isinstance(row, dict):
            hang_up(self._ksr, self._journal, row, cause)
