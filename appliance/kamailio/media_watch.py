"""Ends calls whose audio is lost at rtpengine. Runs in a process of its own; `media_loss` decides.

Adapter. Answered, anchored calls stand in the table `media` (`Answering.answered` to `Dialogs.event`). The BYEs go to
both sides; a side that is gone does not hear it, and the call still ends here.
"""

import json
from collections.abc import Callable

from appliance.kamailio.answer import Journal
from appliance.kamailio.hangup import hang_up
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.media_loss import Look, Memory, judge

TABLE = "media"


class MediaWatch:
    """ask: one look at rtpengine, None when it did not answer; may block for as long as its own limit."""

    def __init__(self, ksr: KsrCall, journal: Journal, ask: Callable[[], Look | None]) -> None:
        self._ksr = ksr
        self._journal = journal
        self._ask = ask
        self._memory = Memory()

    def tick(self) -> int:
        """Look once; gives how many calls were ended."""
        ksr = self._ksr
        calls = {key: json.loads(value) for key, value in ksr.table(TABLE).items()}
        now = self._ask()
        if now is None:
            return 0
        gone, self._memory = judge([call_id for call_id, _, _ in calls.values()], self._memory, now)
        ended = {key: legs for key, legs in calls.items() if legs[0] in gone}
        for key, legs in ended.items():
            ksr.forget(TABLE, key)
            row = ksr.rpc("dlg.dlg_list", legs[0], legs[1])
            if isinstance(row, dict):
                hang_up(ksr, self._journal, row, gone[legs[0]])
        return len(ended)
