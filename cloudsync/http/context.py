"""What the routes share: the application's parts, and the dependency that says whose request it is."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloudsync.attempts import source_of
from cloudsync.http.desks import Desks
from cloudsync.metrics import CentreMetrics
from cloudsync.publishwatch import PublishWatch
from cloudsync.refusals import Refused
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre


@dataclass(frozen=True, slots=True)
class Parts:
    """One application's parts, made in `create_app`."""

    centre: Centre
    metrics: CentreMetrics
    watch: PublishWatch
    metrics_networks: tuple[IPv4Network | IPv6Network, ...]
    desks: Desks


def parts_in(request: Request) -> Parts:
    """`parts_of` for endpoints without dependencies."""
    return cast(Parts, request.app.state.parts)


async def parts_of(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    return cast(Parts, request.app.state.parts)


PartsOf = Annotated[Parts, Depends(parts_of)]

_bearer = HTTPBearer(auto_error=False, description="From POST /v1/token; lives an hour.")


async def box_of(
    request: Request,
    parts: PartsOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> BoxIdentity:
    """Whose request it is. Raises Refused `token.invalid` or `box.revoked`. Reads the store."""
    who = await parts.desks.identities.ask(credentials.credentials if credentials else "")
    request.state.box_id = who.box_id
    return who


def token_of(request: Request) -> str:
    """The access token of a request, "" without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


Box = Annotated[BoxIdentity, Depends(box_of)]


def source(request: Request) -> str:
    """The address that a request came from, as the attempt limits count it."""
    return source_of(request.client.host) if request.client else "unknown"


def check_metrics_reader(parts: Parts, request: Request) -> None:
    """Raise Refused `metrics.not_here` (403) unless the request comes from a network that may read metrics."""
    address = ip_address(request.client.host) if request.client else None
    if address is None or not any(address in network for network in parts.metrics_networks):
        raise Refused(
            403,
            "metrics.not_here",
            "metrics are not for this address",
            "Scrape from the centre itself, or start it with --metrics-from NETWORK.",
        )
