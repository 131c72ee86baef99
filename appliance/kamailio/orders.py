"""Carries out what a feature code orders: a setting of an extension, for all workers, on disk, and told to the centre.

Adapter over Kamailio's tables. A step of kind SET names the order; whoever may give it was decided before.
"""

from typing import Any

from appliance.kamailio import own
from appliance.kamailio.actions import Step
from appliance.kamailio.answer import Journal
from appliance.kamailio.kept import TABLE, Kept
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.view import View

EVENT = "setting"
"""Of the journal; the agent makes a record of it."""


class Orders:
    """One worker's."""

    def __init__(self, ksr: KsrCall, view: View, kept: Kept, journal: Journal) -> None:
        self._ksr = ksr
        self._view = view
        self._kept = kept
        self._journal = journal

    def carry_out(self, call: str, step: Step, by: str) -> None:
        """Do what a SET step says. call: key of the call that orders it; by: the telephone."""
        extension, value = step.users
        if step.target in own.FIELDS:
            self._set(call, extension, step.target, value, by)

    def _set(self, call: str, number: str, field: str, value: str, by: str) -> None:
        document = self._view.document_extension(number)
        if document is None:
            return
        wanted: own.Value = value == "1" if isinstance(getattr(document, field), bool) else value
        key = own.key_of(number)
        self._ksr.lock(key)
        try:
            before = self._ksr.look(TABLE, key)
            was = getattr(own.laid_over(document, before), field)
            self._kept.put(key, own.changed(document, before, field, wanted))
        finally:
            self._ksr.unlock(key)
        data: dict[str, Any] = {"extension": number, "what": field, "value": wanted, "was": was, "by": by}
        self._journal.put(EVENT, call, data)
