"""Statements on enrolment codes, challenges and access tokens. Secrets are there as SHA-256 only."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

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


def add_challenge(connection: Connection, nonce_sha256: str, box_id: str, expires_utc: str) -> None:
    """Remember a challenge."""
    connection.execute(
        insert(challenge).values(nonce_sha256=nonce_sha256, box_id=box_id, expires_utc=expires_utc)
    )


def open_challenges(connection: Connection, box_id: str) -> int:
    """How many challenges of the box wait for an answer."""
    query = select(func.count()).select_from(challenge).where(challenge.c.box_id == box_id)
    return connection.execute(query).scalar_one()


def drop_challenges(connection: Connection, box_id: str) -> None:
    """Forget all challenges of one box."""
    connection.execute(delete(challenge).where(challenge.c.box_id == box_id))


def take_challenge(connection: Connection, nonce_sha256: str, box_id: str, now_utc: str) -> bool:
    """Use up a challenge; False when it is unknown, another box's, used or too old."""
    result = connection.execute(
        delete(challenge).where(
            challenge.c.nonce_sha256 == nonce_sha256,
            challenge.c.box_id == box_id,
            challenge.c.expires_utc > now_utc,
        )
    )
    return result.rowcount == 1


def add_token(connection: Connection, token_sha256: str, box_id: str, expires_utc: str) -> None:
    """Remember a fresh token."""
    connection.execute(
        insert(access_token).values(token_sha256=token_sha256, box_id=box_id, expires_utc=expires_utc)
    )


def drop_tokens(connection: Connection, box_id: str) -> None:
    """Forget all tokens of one box."""
    connection.execute(delete(access_token).where(access_token.c.box_id == box_id))


def drop_expired(connection: Connection, now_utc: str) -> None:
    """Forget challenges and tokens whose time is over."""
    connection.execute(delete(challenge).where(challenge.c.expires_utc <= now_utc))
    connection.execute(delete(access_token).where(access_token.c.expires_utc <= now_utc))


def holder(connection: Connection, token_sha256: str) -> Holder | None:
    """Whose token it is, expired ones included; None when it is unknown."""
    row = connection.execute(
        select(box.c.id, box.c.site_id, box.c.revoked_utc, access_token.c.expires_utc)
        .join(box, box.c.id == access_token.c.box_id)
        .where(access_token.c.token_sha256 == token_sha256)
    ).one_or_none()
    return None if row is None else Holder(row.id, row.site_id, row.revoked_utc is not None, row.expires_utc)
