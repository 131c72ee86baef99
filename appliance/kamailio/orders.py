"""Carries out what a feature code orders: a setting of an extension, for all workers, on disk, and told to the centre.

Adapter over Kamailio's tables. A step of kind SET names the order; whoever may give it was decided before.
"""

import time
from typing import Any

from appliance.kamailio import login, own
from appliance.kamailio.actions import Step
from appliance.kamailio.answer import Journal
from appliance.kamailio.desks import Desks, phone_tries
from appliance.kamailio.features import HOT_DESK_IN, HOT_DESK_LOCKED, HOT_DESK_OUT, HOT_DESK_WRONG
from appliance.kamailio.kept import TABLE, Kept
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.view import View

EVENT = "setting"
"""Of the journal; the agent makes a record of it."""


DESKS_LOCK = "desks"


class Orders:
    """One worker's."""

    def __init__(self, ksr: KsrCall, view: View, kept: Kept, desks: Desks, journal: Journal) -> None:
        self._ksr = ksr
        self._view = view
        self._kept = kept
        self._desks = desks
        self._journal = journal

    def carry_out(self, call: str, step: Step, by: str) -> None:
        """Do what a SET step says. call: key of the call that orders it; by: the telephone."""
        self._kept.refresh()
        extension, value = step.users
        if step.target in own.FIELDS:
            self._set(call, extension, step.target, value, by)
        else:
            self._desk(call, step.target, extension, value)

    def _desk(self, call: str, what: str, person: str, phone: str) -> None:
        """Somebody logs in or out, or tried a wrong PIN. The PIN itself is not known here."""
        policy = self._view.policy
        data: dict[str, Any] = {"extension": person, "what": what, "value": phone, "was": "", "by": phone}
        if what == HOT_DESK_IN:
            data["was"] = self._desks.phone_of(person)
            self._ksr.lock(DESKS_LOCK)
            try:
                self._desks.log_in(person, phone, login.ends_at(policy, int(time.time())))
            finally:
                self._ksr.unlock(DESKS_LOCK)
        elif what == HOT_DESK_OUT:
            self._ksr.lock(DESKS_LOCK)
            try:
                self._desks.log_out(phone)
            finally:
                self._ksr.unlock(DESKS_LOCK)
        else:
            count = self._desks.tried(person, policy.hot_desk_lock_s)
            self._desks.tried(phone_tries(phone), policy.hot_desk_lock_s)
            locked = count >= policy.hot_desk_tries
            data["what"] = HOT_DESK_LOCKED if locked else HOT_DESK_WRONG
        self._journal.put(EVENT, call, data)

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
