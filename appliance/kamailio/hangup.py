"""The box ends a call that is up: both sides hear of it at once, the journal has its end, the dialog goes a moment later.

Adapter over `KsrCall`. Why not the dialog module's own `dlg.end_dlg`: see `bye`.
"""

from collections.abc import Mapping
from typing import Any

from appliance.kamailio.answer import Journal
from appliance.kamailio.bye import byes
from appliance.kamailio.call_key import call_key
from appliance.kamailio.causes import Cause
from appliance.kamailio.ksr_call import KsrCall

TOLD = "told"
"""In the table `ending`, instead of a cause: the journal has this call's end, and both sides have their BYE."""

GONE_AFTER_S = 1
"""The dialog's own timer then takes it away, with its counts and its table entries (`Dialogs.event`)."""


def hang_up(ksr: KsrCall, journal: Journal, row: Mapping[str, Any], cause: Cause, reason: str = "") -> None:
    """End the answered call that `row` describes (a dialog as Kamailio's RPC prints it). A call that is being ended
    already is left alone. reason: value of the Reason header that both sides see."""
    key = call_key(str(row.get("call-id", "")), str(row.get("caller", {}).get("tag", "")))
    if ksr.look("ending", key):
        return
    ksr.keep("ending", key, TOLD)
    say_bye(ksr, row, reason)
    journal.put("end", key, {"cause": cause, "code": 0, "by": "box"})
    ksr.expire_dialog(int(row.get("h_entry", 0)), int(row.get("h_id", 0)), GONE_AFTER_S)


def say_bye(ksr: KsrCall, row: Mapping[str, Any], reason: str = "") -> None:
    """Only the two BYEs; nobody waits for their answers."""
    for bye in byes(row, reason):
        words = (bye.uri, bye.next_hop or ".", bye.socket or ".", bye.headers)
        ksr.rpc("tm.t_uac_start", "BYE", *words)
