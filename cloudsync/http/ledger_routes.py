"""Route: the signed receipt for a site's sequence."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from cloudsync import wire
from cloudsync.http.context import Box, PartsOf
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import LedgerReceiptModel, MissingModel
from cloudsync.http.strict import StrictRoute
from cloudsync.service import ledger

router = APIRouter(route_class=StrictRoute, tags=["records"], responses=ERROR_RESPONSES)


@router.get(wire.PATH_LEDGER, response_model=LedgerReceiptModel)
def receipt(parts: PartsOf, who: Box) -> dict[str, Any]:
    """Of the records 1..seq of the box's site the centre holds `count`; signed."""
    return asdict(ledger.receipt(parts.centre, who.site_id))


@router.get(wire.PATH_LEDGER_MISSING, response_model=MissingModel)
def missing(parts: PartsOf, who: Box, after: Annotated[int, Query(ge=0, lt=2**62)] = 0) -> dict[str, Any]:
    """Which numbers behind `after` have not come though higher ones have: for a box that has them still or again."""
    return asdict(ledger.missing(parts.centre, who.site_id, after))
