"""Routes: CA certificate, enrolment, access tokens."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from cloudsync import wire
from cloudsync.http.context import Box, PartsOf, source
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import (
    ChallengeAnswer,
    ChallengeBody,
    EnrolAnswer,
    EnrolBody,
    KeyBody,
    TokenAnswer,
    TokenBody,
)
from cloudsync.http.strict import StrictRoute
from cloudsync.refusals import Refused
from cloudsync.service import attempts, box_keys, enrolment
from cloudsync.service.access import Proof

router = APIRouter(route_class=StrictRoute, tags=["access"], responses=ERROR_RESPONSES)


@router.get(wire.PATH_CA, response_class=PlainTextResponse)
def ca_certificate(parts: PartsOf) -> str:
    """The centre's CA in PEM. Check it against the enrolment text before trusting it."""
    return parts.centre.tls.ca_certificate()


@router.post(wire.PATH_ENROL, response_model=EnrolAnswer)
def enrol(request: Request, parts: PartsOf, body: EnrolBody) -> dict[str, Any]:
    """Take a one-time code and enrol the box with its public key."""
    attempts.check(parts.centre, source(request))
    try:
        answer = enrolment.enrol(
            parts.centre, body.code, body.box_id, body.public_key, body.versions, source(request)
        )
    except Refused:
        attempts.failed(parts.centre, source(request))
        raise
    parts.metrics.enrolments.inc()
    return asdict(answer)


@router.get(wire.PATH_ENROLMENT, response_model=EnrolAnswer)
def enrolment_again(parts: PartsOf, who: Box) -> dict[str, Any]:
    """What enrolment said, as it is now: keys and recipients rotate."""
    return asdict(enrolment.enrolment_of(parts.centre, who.site_id, who.box_id))


@router.post(wire.PATH_KEY, status_code=204)
def key(parts: PartsOf, who: Box, body: KeyBody) -> None:
    """The box's next key; the one in use ends with the first token that the next one opens."""
    box_keys.offer(parts.centre, who, body.public_key, body.signature)


@router.post(wire.PATH_TOKEN_CHALLENGE, response_model=ChallengeAnswer)
async def challenge(parts: PartsOf, body: ChallengeBody) -> dict[str, Any]:
    """A nonce to sign; unknown boxes get one too."""
    return {"nonce": await parts.desks.challenges.ask(body.box_id)}


@router.post(wire.PATH_TOKEN, response_model=TokenAnswer)
async def token(request: Request, parts: PartsOf, body: TokenBody) -> dict[str, Any]:
    """An access token for a signed nonce."""
    proof = Proof(body.box_id, body.nonce, body.signature, source(request))
    return {"token": await parts.desks.tokens.ask(proof), "expires_in_s": wire.TOKEN_LIFE_S}
