"""Ends calls whose audio has timed out at rtpengine. Runs in a process of its own; `media_loss` decides.

Adapter. Answered, anchored calls stand in the table `media` (`Answering.answered` to `Dialogs.event`). The BYEs go to
both sides; a side that is gone does not hear it, and the call still ends here.
"""

import json
from collections.abc import Callable

from appliance.kamailio.causes import Cause
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.media_loss import Look, lost

TABLE = "media"


class MediaWatch:
    """ask: one look at rtpengine, None when it did not answer; may block for as long as its own limit."""

    def __init__(self, ksr: KsrCall, ask: Callable[[], Look | None]) -> None:
        self._ksr = ksr
        self._ask = ask
        self._before: Look | None = None

    def tick(self) -> int:
        """Look once; gives how many calls were ended."""
        now = self._ask()
        before, self._before = self._before, now
        if now is None:
            return 0
        ksr = self._ksr
        calls = {key: json.loads(value) for key, value in ksr.table(TABLE).items()}
        gone = lost([call_id for call_id, _, _ in calls.values()], before, now)
        ended = {key: legs for key, legs in calls.items() if legs[0] in gone}
        for key, legs in ended.items():
            ksr.keep("ending", key, Cause.MEDIA_TIMEOUT)
            ksr.forget(TABLE, key)
            ksr.rpc("dlg.terminate_dlg", *legs)
        return len(ended)
