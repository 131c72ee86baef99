"""The centre's signed word on how much of a site's sequence it holds."""

from dataclasses import dataclass

from cloudsync.wire.values import Json, WireError


@dataclass(frozen=True, slots=True)
class LedgerReceipt:
    """The centre's signed word on a site's sequence: of the records 1..`seq` it holds `count`, on disk; of `given_up` more the
    box has said that it gave them up, and with which hashes.

    `hash` is that of record `seq` (GENESIS_HASH when there is none) and so, by the chain, speaks for every record before
    it: nobody can later hold other records under the same receipt. `utc` is the centre's clock.
    """

    site_id: str
    seq: int
    count: int
    hash: str
    utc: str
    key_id: str
    signature: str = ""
    given_up: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.count + self.given_up == self.seq


def ledger_receipt_from(value: Json) -> LedgerReceipt:
    """A `LedgerReceipt` from its JSON; raises WireError `malformed`. The signature is not checked here."""
    texts, numbers = ("site_id", "hash", "utc", "key_id", "signature"), ("seq", "count", "given_up")
    if isinstance(value, dict):
        value = {"given_up": 0, **value}
    if (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in texts)
        and all(type(value.get(name)) is int and value[name] >= 0 for name in numbers)
        and value["count"] + value["given_up"] <= value["seq"]
    ):
        return LedgerReceipt(**{name: value[name] for name in (*texts, *numbers)})
    raise WireError("malformed", f"a ledger receipt has {', '.join((*texts, *numbers))}, count at most seq")
