"""Enrolment: an administrator's one-time text makes this box the site's. Talks to the centre, writes the identity folder.

The text carries the start of the CA's SHA-256 fingerprint (128 bits). The CA is fetched over a connection that proves
nothing, checked against the text, and only then is the code sent, over a connection that the CA proves. The key is made
here and never leaves. A code works once; when its answer was lost on the way, the key is already known at the centre
and the box asks again by it, so running the same command again always finishes what was begun.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudError, CloudRefused, CloudUntrusted, confused
from agent.cloud_transport import Transport, json_of, pinned, unverified
from agent.earlier_keys import forget_earlier, keep_earlier
from agent.identity import (
    Enrolled,
    Identity,
    IdentityError,
    drop_forgotten,
    forget,
    load_enrolled,
    load_or_make,
    recall,
    save_enrolled,
)
from appliance.errors import KyusaiError
from cloudsync.wire import (
    PATH_CA,
    PATH_ENROL,
    Enrolment,
    EnrolmentText,
    ErrorKey,
    WireError,
    ca_fingerprint,
    canonical_json,
    enrolment_from,
    parse_enrolment,
)

CA_BYTES_MAX = 64 * 1024
"""A certificate in PEM has 1 to 4 KiB."""
SHOWN_DIGITS = 32
"""As many as the enrolment text carries: a text with one wrong letter is to look different."""
_OWN_WORDS = {
    ErrorKey.CODE_UNKNOWN: "enrolment.code_unknown",
    ErrorKey.CODE_USED: "enrolment.code_used",
    ErrorKey.CODE_EXPIRED: "enrolment.code_expired",
}


class EnrolmentError(KyusaiError):
    """The box is not enrolled; nothing of an earlier enrolment was changed."""


async def enrol(
    text: str,
    url: str,
    box_id: str,
    versions: Mapping[str, str],
    *,
    key: Path,
    enrolment: Path,
    new_key: bool = False,
) -> Enrolled:
    """Enrol this box. text: `KYU-...`; url: the centre's, from box.toml; versions: what runs here, for the ledger.

    key, enrolment: files of the identity folder, written in one step each. new_key: not with the key that is there, which
    comes back when the centre says no. Earlier keys stay for the same centre alone: another one could show the signatures
    that it asks for to the first. Raises EnrolmentError, IdentityError and
    CloudError (the line, or a centre that cannot serve: try the same text again).
    """
    told = _parsed(text)
    ca_pem = await fetch_ca(url, told)
    if new_key:
        load_or_make(key)
        keep_earlier(key)
        forget(key)
    identity = load_or_make(key)
    transport = Transport(url, pinned(ca_pem))
    try:
        answer = await _ask(transport, told, box_id, identity, versions)
    except EnrolmentError:
        if new_key:
            recall(key)
        raise
    finally:
        await transport.close()
    if _ca_before(enrolment) != ca_pem:
        forget_earlier(key)
    enrolled = Enrolled(url, ca_pem, answer)
    save_enrolled(enrolment, enrolled)
    if new_key:
        drop_forgotten(key)
    return enrolled


def _ca_before(enrolment: Path) -> str:
    """The CA that the box was enrolled with; "" for a box that was not, or whose enrolment is spoilt."""
    try:
        before = load_enrolled(enrolment)
    except IdentityError:
        return ""
    return before.ca_pem if before else ""


async def fetch_ca(url: str, told: EnrolmentText) -> str:
    """The CA that the text means, in PEM. Raises EnrolmentError `enrolment.other_centre`, CloudError."""
    transport = Transport(url, unverified(), connections=1)
    try:
        answer = await transport.request("GET", PATH_CA, limit_bytes=CA_BYTES_MAX)
    finally:
        await transport.close()
    try:
        ca_pem = answer.body.decode("ascii")
        digest = ca_fingerprint(ca_pem)
        pinned(ca_pem)
    except (UnicodeDecodeError, WireError, ssl.SSLError) as error:
        raise confused(url, f"no certificate: {error}") from error
    if not digest.startswith(told.ca_fingerprint):
        raise EnrolmentError(
            "enrolment.other_centre",
            f"{url} has the CA {digest[:SHOWN_DIGITS]}, the enrolment text is for {told.ca_fingerprint}",
            "Check the centre's address in box.toml and that the text is whole. The code was not sent to anybody.",
            url=url,
            found=digest[:SHOWN_DIGITS],
            expected=told.ca_fingerprint,
        )
    return ca_pem


async def _ask(
    transport: Transport, told: EnrolmentText, box_id: str, identity: Identity, versions: Mapping[str, str]
) -> Enrolment:
    request = {
        "code": told.code,
        "box_id": box_id,
        "public_key": identity.public_key,
        "versions": dict(versions),
    }
    try:
        answer = await transport.request(
            "POST",
            PATH_ENROL,
            content=canonical_json(request).encode(),
            headers={"Content-Type": "application/json"},
        )
        return enrolment_from(json_of(answer, transport.url))
    except CloudUntrusted:
        raise
    except WireError as error:
        raise confused(transport.url, error.message) from error
    except CloudRefused as error:
        again = await _by_key(transport, box_id, identity) if error.key == ErrorKey.CODE_USED else None
        if again is None:
            raise _refused(error) from error
        return again
    except CloudError:  # the code may have been taken all the same
        again = await _by_key(transport, box_id, identity)
        if again is None:
            raise
        return again


async def _by_key(transport: Transport, box_id: str, identity: Identity) -> Enrolment | None:
    """What enrolment said, when this box's key is already known there; None when it is not, or nobody answers."""
    try:
        return await CloudClient(transport, box_id, identity.sign).enrolment()
    except CloudError:
        return None


def _parsed(text: str) -> EnrolmentText:
    try:
        return parse_enrolment(text)
    except WireError as error:
        raise EnrolmentError("enrolment.bad_text", error.message, error.hint) from error


def _refused(error: CloudRefused) -> EnrolmentError:
    """The centre's no under a key of our own, so that the box can say it in the user's language."""
    key = next((own for theirs, own in _OWN_WORDS.items() if theirs == error.key), "enrolment.refused")
    return EnrolmentError(
        key,
        f"the centre refused the enrolment: {error.message}",
        error.hint or "Ask for a new code: `kyusai centre site code SITE`.",
        detail=error.message,
    )
