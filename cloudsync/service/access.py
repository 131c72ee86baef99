"""Access: a box proves its key, gets a token for an hour, and is looked up with every request it makes.

So revocation works at once, and a box that was away for half a year gets in by its key alone.
"""

import hashlib
from datetime import timedelta

from cloudsync.refusals import Refused
from cloudsync.service import box_keys
from cloudsync.service.box_keys import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import access, audit, boxes
from cloudsync.wire import (
    NONCE_LIFE_S,
    TOKEN_LIFE_S,
    ErrorKey,
    format_utc,
    to_base64,
    token_signing_bytes,
)

__all__ = ["BoxIdentity", "identify", "issue_token", "make_challenge", "require_not_revoked"]

SECRET_BYTES = 32
"""Of a nonce and of a token: 256 bits, not to be guessed."""
OPEN_CHALLENGES_MAX = 16
"""Open challenges of one box: a well one has one. More means that somebody asks in its name."""


def make_challenge(centre: Centre, box_id: str) -> str:
    """A nonce to sign. Box ids that are not known get one as well, so that nobody can list boxes."""
    nonce = to_base64(centre.random(SECRET_BYTES))
    now = centre.clock()
    with centre.database.write() as connection:
        if boxes.find(connection, box_id) is not None:
            access.drop_expired(connection, format_utc(now))
            if access.open_challenges(connection, box_id) >= OPEN_CHALLENGES_MAX:
                access.drop_challenges(connection, box_id)
            expires_utc = format_utc(now + timedelta(seconds=NONCE_LIFE_S))
            access.add_challenge(connection, _hash(nonce), box_id, expires_utc)
    return nonce


def issue_token(centre: Centre, box_id: str, nonce: str, signature: str, source: str) -> tuple[str, int]:
    """A token and its life in seconds. Raises Refused `token.refused` (401) or `box.revoked` (403)."""
    now = centre.clock()
    refusal: Refused | None = None
    token = to_base64(centre.random(SECRET_BYTES))
    with centre.database.write() as connection:
        box = boxes.find(connection, box_id)
        fresh = access.take_challenge(connection, _hash(nonce), box_id, format_utc(now))
        if box is None or not fresh:
            refusal = _not_proved()
        elif not box_keys.opens(
            connection, box, signature, token_signing_bytes(box_id, nonce), format_utc(now)
        ):
            refusal = _not_proved()
            audit.add(connection, format_utc(now), source, "token.bad_signature", box_id)
        elif box.revoked_utc is not None:
            refusal = _revoked(box_id)
        else:
            expires_utc = format_utc(now + timedelta(seconds=TOKEN_LIFE_S))
            access.add_token(connection, _hash(token), box_id, expires_utc)
    if refusal is not None:
        raise refusal
    return token, TOKEN_LIFE_S


def identify(centre: Centre, token: str) -> BoxIdentity:
    """Whose token it is. Raises Refused `token.invalid` (401) or `box.revoked` (403)."""
    with centre.database.read() as connection:
        holder = access.holder(connection, _hash(token)) if token else None
    if holder is None or holder.expires_utc <= centre.now_utc():
        raise Refused(
            401,
            ErrorKey.TOKEN_INVALID,
            "the access token is missing, unknown or expired",
            "Get a new one by POST /v1/token/challenge and POST /v1/token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if holder.revoked:
        raise _revoked(holder.box_id)
    return BoxIdentity(holder.site_id, holder.box_id)


def require_not_revoked(centre: Centre, who: BoxIdentity) -> None:
    """For a request that was held: raise Refused `box.revoked` when the box was shut out meanwhile."""
    with centre.database.read() as connection:
        box = boxes.find(connection, who.box_id)
    if box is None or box.revoked_utc is not None:
        raise _revoked(who.box_id)


def _not_proved() -> Refused:
    return Refused(
        401,
        ErrorKey.TOKEN_REFUSED,
        "the challenge is unknown or too old, or the signature does not fit",
        "Ask for a new challenge; if that fails too, enrol the box again.",
    )


def _revoked(box_id: str) -> Refused:
    return Refused(
        403,
        ErrorKey.BOX_REVOKED,
        f"box {box_id!r} was revoked",
        "Enrol it again with a new code if it is still yours.",
        box=box_id,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
