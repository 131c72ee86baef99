"""Statements on enrolment codes, challenges and access tokens. Secrets are there as SHA-256 only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update

from cloudsync.store.tables import access_token, box, challenge, enrolment_code


@dataclass(frozen=True, slots=True)
class Code:
    """An enrolment code; `used_utc` is None until a box took it."""

    code_sha256: str
    site_id: str
    created_utc: str
    expires_utc: str
    used_utc: str | None
    used_by_box: str | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is."""

    box_id: str
    site_id: str
    revoked: bool
    expires_utc: str


def add_code(
    connection: Connection, code_sha256: str, site_id: str, created_utc: str, expires_utc: str
) -> None:
    """Insert a fresh code."""
    connection.execute(
        insert(enrolment_code).values(
            code_sha256=code_sha256, site_id=site_id, created_utc=created_utc, expires_utc=expires_utc
        )
    )


def find_code(connection: Connection, code_sha256: str) -> Code | None:
    """The code with this hash, used or not."""
    row = connection.execute(
        select(enrolment_code).where(enrolment_code.c.code_sha256 == code_sha256)
    ).one_or_none()
    return None if row is None else Code(**row._mapping)


def use_code(connection: Connection, code_sha256: str, box_id: str, now_utc: str) -> bool:
    """Take the code; False when somebody else was first."""
    result = connection.execute(
        update(enrolment_code)
        .where(enrolment_code.c.code_sha256 == code_sha256, enrolment_code.c.used_utc.is_(None))
        .values(used_utc=now_utc, used_by_box=box_id)
    )
    return result.rowcount == 1


def add_challenges(connection: Connection, nonces: Mapping[str, str], expires_utc: str) -> None:
    """Remember challenges: box ids by the nonce's hash."""
    connection.execute(
        insert(challenge),
        [
            {"nonce_sha256": nonce_sha256, "box_id": box_id, "expires_utc": expires_utc}
            for nonce_sha256, box_id in nonces.items()
        ],
    )


def open_challenges(connection: Connection, box_ids: Collection[str]) -> dict[str, int]:
    """How many challenges of these boxes wait for an answer; a box without any is left out."""
    query = (
        select(challenge.c.box_id, func.count())
        .where(challenge.c.box_id.in_(box_ids))
        .group_by(challenge.c.box_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def drop_challenges(connection: Connection, box_id: str) -> None:
    """Forget all challenges of one box."""
    connection.execute(delete(challenge).where(challenge.c.box_id == box_id))


def take_challenges(
    connection: Connection, asked: Collection[tuple[str, str]], now_utc: str
) -> set[tuple[str, str]]:
    """Use up challenges: hash of the nonce, and box id. Gives those that were there and not too old."""
    result = connection.execute(
        delete(challenge)
        .where(
            challenge.c.nonce_sha256.in_(
                [nonce_sha256 for nonce_sha256, _ in asked]
            ),  # SQLite has no index for the pair
            tuple_(challenge.c.nonce_sha256, challenge.c.box_id).in_(asked),
            challenge.c.expires_utc > now_utc,
        )
        .returning(challenge.c.nonce_sha256, challenge.c.box_id)
    )
    return {(row[0], row[1]) for row in result}


def add_tokens(connection: Connection, tokens: Mapping[str, str], expires_utc: str) -> None:
    """Remember fresh tokens: box ids by the token's hash."""
    connection.execute(
        insert(access_token),
        [
            {"token_sha256": token_sha256, "box_id": box_id, "expires_utc": expires_utc}
            for token_sha256, box_id in tokens.items()
        ],
    )


def drop_tokens(connection: Connection, box_id: str) -> None:
    """Forget all tokens of one box."""
    connection.execute(delete(access_token).where(access_token.c.box_id == box_id))


def drop_expired(connection: Connection, now_utc: str) -> None:
    """Forget challenges and tokens whose time is over."""
    connection.execute(delete(challenge).where(challenge.c.expires_utc <= now_utc))
    connection.execute(delete(access_token).where(access_token.c.expires_utc <= now_utc))


_HOLDERS = (
    select(
        access_token.c.token_sha256,
        box.c.id,
        box.c.site_id,
        box.c.revoked_utc.is_not(None),
        access_token.c.expires_utc,
    )
    .join(box, box.c.id == access_token.c.box_id)
    .where(access_token.c.token_sha256.in_(bindparam("hashes", expanding=True)))
)
"""Made once: every request asks it."""


def holders(connection: Connection, token_hashes: Collection[str]) -> dict[str, Holder]:
    """Whose tokens these are, expired ones included, by the token's hash; unknown ones are left out."""
    found = connection.execute(_HOLDERS, {"hashes": list(token_hashes)})
    return {token_sha256: Holder(*rest) for token_sha256, *rest in found}
