"""The audit trail as evidence: sealed line by line, checked as a whole, its end signed for somebody who keeps it elsewhere."""

from dataclasses import asdict, dataclass, replace

from appliance.errors import KyusaiError
from cloudsync.audit_chain import Checker, Fault, Found, Head, head_signing_bytes
from cloudsync.service.centre import Centre
from cloudsync.signing import signature_fits
from cloudsync.store import seals
from cloudsync.wire import Json


@dataclass(frozen=True, slots=True)
class Checked:
    """head: of the chain that was walked. faults: none when all is as it was. unsealed: lines of the last moments."""

    head: Head
    faults: tuple[Found, ...]
    unsealed: int


def seal(centre: Centre) -> int:
    """Seal what is new; gives how much. Cheap when nothing is. Blocks on the store."""
    with centre.database.read() as connection:
        if not seals.is_behind(connection):
            return 0
    total = 0
    while True:
        with centre.database.write() as connection:
            seals.lock(connection)
            count = seals.seal_next(connection)
        total += count
        if count < seals.BATCH_ROWS:
            return total


def head(centre: Centre) -> Head:
    """The end of the trail as of now, signed."""
    seal(centre)
    with centre.database.read() as connection:
        found = seals.head(connection)
    unsigned = replace(found, utc=centre.now_utc(), key_id=centre.keys.newest_id)
    return replace(unsigned, signature=centre.keys.sign(head_signing_bytes(asdict(unsigned))))


def check(centre: Centre, noted: Head | None = None) -> Checked:
    """Walk the whole trail. noted: a head of before, that has to be in it. Blocks on the store."""
    seal(centre)
    checker = Checker(noted)
    with centre.database.read() as connection:
        for piece in seals.chain(connection):
            checker.walk(piece)
        unsealed = seals.unsealed(connection)
    faults = checker.end()
    if noted is not None and not _signed(centre, noted):
        faults.append(Found(Fault.UNSIGNED, noted.count, 0))
    return Checked(checker.head, tuple(faults), unsealed)


def head_from(value: Json) -> Head:
    """A head from its JSON. Raises KyusaiError `audit.bad_head`."""
    try:
        found = Head(**value)
    except TypeError:  # no object, or other names
        found = None
    texts = () if found is None else (found.hash, found.utc, found.key_id, found.signature)
    if found is None or type(found.count) is not int or not all(isinstance(one, str) for one in texts):
        raise KyusaiError(
            "audit.bad_head",
            "that is no head of an audit trail",
            "Give a file that `kyusai centre audit --head` printed.",
        )
    return found


def _signed(centre: Centre, noted: Head) -> bool:
    data = head_signing_bytes(asdict(noted))
    return any(
        key.key_id == noted.key_id and signature_fits(key.public_key, noted.signature, data)
        for key in centre.keys.public()
    )
