"""A box's next key: taken beside the one in use, which ends with the first token that the new one opens.

So nobody is locked out, however long a box is away between the two steps. Asked for by a person, or yearly.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloudsync.refusals import NotFound, Refused
from cloudsync.service.centre import Centre
from cloudsync.signing import is_public_key, signature_fits
from cloudsync.store import audit, boxes
from cloudsync.wire import box_key_signing_bytes, parse_utc

KEY_LIFE = timedelta(days=365)
"""A box is asked for a new key after this time."""


@dataclass(frozen=True, slots=True)
class BoxIdentity:
    """Whose request it is; everything it may see and change is this site's."""

    site_id: str
    box_id: str


def offer(centre: Centre, who: BoxIdentity, public_key: str, signature: str) -> None:
    """Take a key that the box will use. signature: by the new key, over `box_key_signing_bytes`. Raises Refused."""
    data = box_key_signing_bytes(who.box_id, public_key)
    if not is_public_key(public_key) or not signature_fits(public_key, signature, data):
        raise Refused(400, "key.bad", "the new key is no Ed25519 key, or does not sign for itself")
    with centre.database.write() as connection:
        boxes.change(connection, who.box_id, {"next_public_key": public_key})
        audit.add(connection, centre.now_utc(), f"box:{who.box_id}", "box.key_offered", who.box_id)


def ask_for_new(centre: Centre, box_id: str, actor: str) -> None:
    """Ask the box for a new key with its next heartbeat. Raises NotFound `box.unknown`."""
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        if boxes.find(connection, box_id) is None:
            raise NotFound(
                "box.unknown", f"no box {box_id!r} here", "`kyusai sites` lists the boxes.", box=box_id
            )
        boxes.change(connection, box_id, {"key_wanted_utc": now_utc})
        audit.add(connection, now_utc, actor, "box.key_wanted", box_id)


def is_wanted(box: boxes.Standing, now: datetime) -> bool:
    """Whether the box is to make a new key."""
    since = box.key_utc or box.enrolled_utc
    return box.key_wanted_utc is not None or now - parse_utc(since) > KEY_LIFE


def opens(connection: Connection, box: boxes.Box, signature: str, data: bytes, now_utc: str) -> bool:
    """Whether the signature is by the box's key. By its next one: that is the key from now on."""
    if signature_fits(box.public_key, signature, data):
        return True
    new = box.next_public_key
    if new is None or not signature_fits(new, signature, data):
        return False
    values = {"public_key": new, "next_public_key": None, "key_utc": now_utc, "key_wanted_utc": None}
    boxes.change(connection, box.id, values)
    audit.add(connection, now_utc, f"box:{box.id}", "box.key_changed", box.id)
    return True
