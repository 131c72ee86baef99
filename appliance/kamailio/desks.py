"""Free addressing: who sits at which telephone. One worker's sight of it, and who tried wrong PINs how often.

Two entries of `kept` for each log-in: "desk:<person>" and "at:<telephone>", each with the other number and when the log-in ends
by itself (seconds since 1970, 0: never). While nobody at the site has logged in anywhere, asking costs nothing.
"""

from collections.abc import Callable

from appliance.kamailio.kept import Kept
from appliance.kamailio.ksr_call import KsrCall

TRIES = "tries"
"""Name of the htable: extension, or "phone:" and a telephone -> wrong PINs and when the last one was tried."""


def phone_tries(phone: str) -> str:
    """Key of the wrong PINs dialled at one telephone."""
    return f"phone:{phone}"


class Desks:
    """now_s: seconds since 1970."""

    def __init__(self, ksr: KsrCall, kept: Kept, now_s: Callable[[], int]) -> None:
        self._ksr = ksr
        self._kept = kept
        self._now_s = now_s

    def person_at(self, phone: str) -> str:
        """The extension of who is logged in at a telephone; "" for nobody."""
        return self._other(f"at:{phone}")

    def phone_of(self, person: str) -> str:
        """The telephone that a person is logged in at; "" for none."""
        return "" if self._kept.empty else self._other(f"desk:{person}")

    def log_in(self, person: str, phone: str, until_s: int) -> None:
        """The telephone is the person's from now on; whoever had it, or wherever the person was, is logged out."""
        self.log_out(phone)
        before = self.phone_of(person)
        if before:
            self.log_out(before)
        self._kept.put(f"desk:{person}", f"{phone} {until_s}")
        self._kept.put(f"at:{phone}", f"{person} {until_s}")
        for key in (person, phone_tries(phone)):
            self._ksr.forget(TRIES, key)

    def log_out(self, phone: str) -> None:
        """The telephone is its own again."""
        person = self._kept.get(f"at:{phone}").partition(" ")[0]
        if person:
            self._kept.put(f"desk:{person}", "")
            self._kept.put(f"at:{phone}", "")

    def tries(self, key: str, lock_s: int) -> int:
        """Wrong PINs so far; a while after the last one they are forgotten."""
        count, _, last = self._ksr.look(TRIES, key).partition(" ")
        return int(count) if last.isdigit() and self._now_s() - int(last) < lock_s else 0

    def tried(self, key: str, lock_s: int) -> int:
        """One more; gives how many."""
        count = self.tries(key, lock_s) + 1
        self._ksr.keep(TRIES, key, f"{count} {self._now_s()}")
        return count

    def _other(self, key: str) -> str:
        if self._kept.empty:
            return ""
        number, _, until = self._kept.get(key).partition(" ")
        if not number or (until not in ("", "0") and int(until) <= self._now_s()):
            return ""
        return number
