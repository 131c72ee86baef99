"""Access: a box proves its key, gets a token for an hour, and is looked up with every request it makes.

So revocation works at once, and a box that was away for half a year gets in by its key alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

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
    is_id,
    to_base64,
    token_signing_bytes,
)

__all__ = [
    "BoxIdentity",
    "Proof",
    "identify",
    "identify_all",
    "identify_within",
    "issue_token",
    "issue_tokens",
    "make_challenge",
    "make_challenges",
]

SECRET_BYTES = 32
"""Of a nonce and of a token: 256 bits, not to be guessed."""
OPEN_CHALLENGES_MAX = 16
"""Open challenges of one box: a well one has one. More means that somebody asks in its name."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A signed nonce. source: the address it came from."""

    box_id: str
    nonce: str
    signature: str
    source: str


def make_challenge(centre: Centre, box_id: str) -> str:
    """A nonce to sign. Box ids that are not known get one as well, so that nobody can list boxes."""
    return make_challenges(centre, [box_id])[0]


def make_challenges(centre: Centre, box_ids: Sequence[str]) -> list[str]:
    """A nonce for each, in one transaction."""
    nonces = [to_base64(centre.random(SECRET_BYTES)) for _ in box_ids]
    now = centre.clock()
    with centre.database.write() as connection:
        known = boxes.find_all(connection, {box_id for box_id in box_ids if is_id(box_id)})
        if known:
            access.drop_expired(connection, format_utc(now))
            for box_id, count in access.open_challenges(connection, known).items():
                if count >= OPEN_CHALLENGES_MAX:
                    access.drop_challenges(connection, box_id)
            kept = {
                _hash(nonce): box_id for nonce, box_id in zip(nonces, box_ids, strict=True) if box_id in known
            }
            access.add_challenges(connection, kept, format_utc(now + timedelta(seconds=NONCE_LIFE_S)))
    return nonces


def issue_token(centre: Centre, proof: Proof) -> str:
    """A token, which lives TOKEN_LIFE_S. Raises Refused `token.refused` (401) or `box.revoked` (403)."""
    issued = issue_tokens(centre, [proof])[0]
    if isinstance(issued, Refused):
        raise issued
    return issued


def issue_tokens(centre: Centre, proofs: Sequence[Proof]) -> list[str | Refused]:
    """A token for each, or what `issue_token` raises, in one transaction."""
    now = centre.clock()
    now_utc = format_utc(now)
    issued: dict[str, str] = {}
    given: list[str | Refused] = []
    with centre.database.write() as connection:
        known = boxes.find_all(connection, {proof.box_id for proof in proofs if is_id(proof.box_id)})
        asked = [(_hash(proof.nonce), proof.box_id if proof.box_id in known else "") for proof in proofs]
        fresh = access.take_challenges(connection, asked, now_utc)
        for proof, one in zip(proofs, asked, strict=True):
            refusal = _judge(connection, known.get(proof.box_id), one in fresh, proof, now_utc)
            fresh.discard(one)  # of two answers to one challenge the first counts
            if refusal is None:
                token = to_base64(centre.random(SECRET_BYTES))
                issued[_hash(token)] = proof.box_id
                given.append(token)
            else:
                given.append(refusal)
        if issued:
            access.add_tokens(connection, issued, format_utc(now + timedelta(seconds=TOKEN_LIFE_S)))
    return given


def _judge(
    connection: Connection, box: boxes.Box | None, fresh: bool, proof: Proof, now_utc: str
) -> Refused | None:
    if box is None or not fresh:
        return _not_proved()
    data = token_signing_bytes(proof.box_id, proof.nonce)
    if not box_keys.opens(connection, box, proof.signature, data, now_utc):
        audit.add(connection, now_utc, proof.source, "token.bad_signature", proof.box_id)
        return _not_proved()
    return None if box.revoked_utc is None else _revoked(proof.box_id)


def identify(centre: Centre, token: str) -> BoxIdentity:
    """Whose token it is. Raises Refused `token.invalid` (401) or `box.revoked` (403)."""
    found = identify_all(centre, [token])[0]
    if isinstance(found, Refused):
        raise found
    return found


def identify_all(centre: Centre, tokens: Sequence[str]) -> list[BoxIdentity | Refused]:
    """Whose tokens these are, in their order, by one look; or what `identify` raises."""
    with centre.database.look() as connection:
        return identify_within(connection, tokens, centre.now_utc())


def identify_within(
    connection: Connection, tokens: Sequence[str], now_utc: str
) -> list[BoxIdentity | Refused]:
    """`identify_all` in the caller's transaction."""
    hashes = [_hash(token) for token in tokens]
    holders = access.holders(connection, hashes)
    return [_identity(holders.get(digest), now_utc) for digest in hashes]


def _identity(holder: access.Holder | None, now_utc: str) -> BoxIdentity | Refused:
    if holder is None or holder.expires_utc <= now_utc:
        return Refused(
            401,
            ErrorKey.TOKEN_INVALID,
            "the access token is missing, unknown or expired",
            "Get a new one by POST /v1/token/challenge and POST /v1/token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if holder.revoked:
        return _revoked(holder.box_id)
    return BoxIdentity(holder.site_id, holder.box_id)


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
