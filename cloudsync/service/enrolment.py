"""Enrolment: one-time codes, and what a box gets for one. Codes are kept as SHA-256 only.

A code has 80 random bits, so a plain hash is as good as a slow one. Whoever shows a code that exists may hear
why it does not work; everybody else hears only that it is unknown.
"""

import hashlib
from datetime import timedelta

from appliance.errors import KyusaiError
from cloudsync.refusals import Refused
from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.signing import is_public_key
from cloudsync.store import access, audit, boxes, records, sites
from cloudsync.wire import (
    ENROLMENT_CODE_CHARACTERS,
    Enrolment,
    ErrorKey,
    Json,
    ca_fingerprint,
    canonical_json,
    code_from_bytes,
    format_enrolment,
    format_utc,
    is_id,
)

CODE_LIFE_HOURS = 24.0
"""A code is made for a visit to the site; a day covers it."""
CODE_LIFE_HOURS_MAX = 24.0 * 31
"""Longer than a month is a key, not a code."""


def make_code(centre: Centre, site_id: str, life_hours: float, actor: str) -> tuple[str, str]:
    """A fresh enrolment text for one box of the site, and when it expires.

    Raises NotFound `site.unknown`, KyusaiError `enrol.bad_life`.
    """
    if not 0 < life_hours <= CODE_LIFE_HOURS_MAX:
        raise KyusaiError(
            "enrol.bad_life",
            f"{life_hours:g} hours: a code lives more than 0 and at most {CODE_LIFE_HOURS_MAX:g} hours",
            hours=life_hours,
            most=CODE_LIFE_HOURS_MAX,
        )
    code = code_from_bytes(centre.random(ENROLMENT_CODE_CHARACTERS))
    now = centre.clock()
    expires_utc = format_utc(now + timedelta(hours=life_hours))
    text = format_enrolment(code, ca_fingerprint(centre.tls.ca_certificate()))
    with centre.database.write() as connection:
        require_site(sites.find(connection, site_id), site_id)
        access.add_code(connection, _hash(code), site_id, format_utc(now), expires_utc)
        audit.add(connection, format_utc(now), actor, "enrol.code", site_id, expires_utc=expires_utc)
    return text, expires_utc


def enrol(
    centre: Centre, code: str, box_id: str, public_key: str, versions: dict[str, Json], source: str
) -> Enrolment:
    """Take the code and give the box its place. A known box of the same site gets the new key instead of its old.

    Raises Refused: `enrol.code_unknown`, `enrol.code_used`, `enrol.code_expired`, `enrol.box_elsewhere`,
    `enrol.bad_box_id`, `enrol.bad_public_key`. Only success uses the code up.
    """
    if not is_id(box_id):
        raise Refused(400, "enrol.bad_box_id", f"{box_id[:80]!r} cannot be a box id", "Letters, digits, '-'.")
    if not is_public_key(public_key):
        raise Refused(400, "enrol.bad_public_key", "public_key is not an Ed25519 key of 32 bytes in base64")
    now_utc = centre.now_utc()
    code_sha256 = _hash(code)
    with centre.database.write() as connection:
        found = access.find_code(connection, code_sha256)
        if found is None:
            raise Refused(403, ErrorKey.CODE_UNKNOWN, "this enrolment code is not known", _ASK_FOR_CODE)
        if found.used_utc is not None:
            raise _used(found.used_utc)
        if found.expires_utc <= now_utc:
            raise Refused(
                403,
                ErrorKey.CODE_EXPIRED,
                f"this enrolment code expired at {found.expires_utc}",
                _ASK_FOR_CODE,
            )
        known = boxes.find(connection, box_id)
        if known is not None and known.site_id != found.site_id:
            raise _elsewhere(box_id)
        if not access.use_code(connection, code_sha256, box_id, now_utc):
            raise _used(now_utc)
        if not boxes.enrol(connection, box_id, found.site_id, public_key, canonical_json(versions), now_utc):
            raise _elsewhere(box_id)
        access.drop_tokens(connection, box_id)
        access.drop_challenges(connection, box_id)
        audit.add(
            connection, now_utc, source, "box.enrol", box_id, site=found.site_id, replaced=known is not None
        )
    return enrolment_of(centre, found.site_id, box_id)


def _used(used_utc: str) -> Refused:
    return Refused(403, ErrorKey.CODE_USED, f"this enrolment code was used at {used_utc}", _ASK_FOR_CODE)


def _elsewhere(box_id: str) -> Refused:
    return Refused(
        409, "enrol.box_elsewhere", f"box id {box_id!r} is taken", "Give the box another id in box.toml."
    )


def enrolment_of(centre: Centre, site_id: str, box_id: str) -> Enrolment:
    """What an enrolled box has to know; asked again when keys or recipients change."""
    with centre.database.read() as connection:
        site = require_site(sites.find(connection, site_id), site_id)
        ledger = records.ledger(connection, site_id)
        return Enrolment(
            site_id=site_id,
            box_id=box_id,
            config_keys=centre.keys.public(),
            recording_recipients=sites.recipients(connection, site.tenant_id),
            server_time_utc=centre.now_utc(),
            next_seq=ledger.last_seq + 1,
            last_hash=ledger.last_hash,
            key_links=centre.keys.links(),
        )


_ASK_FOR_CODE = "Ask for a new code: `kyusai centre site code SITE`."


def _hash(code: str) -> str:
    return hashlib.sha256(b"kyusai-code-v1\0" + code.encode()).hexdigest()
