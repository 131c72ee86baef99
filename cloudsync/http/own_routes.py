"""Routes about the centre itself: health and metrics."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cloudsync.http.context import PartsOf, check_metrics_reader
from cloudsync.service import configuration

router = APIRouter(tags=["operation"])


@router.get("/healthz")
def health(parts: PartsOf) -> dict[str, str]:
    """200 when the store can be read; 503 otherwise."""
    configuration.last_serial(parts.centre)
    return {"status": "ok"}


@router.get("/metrics")
def metrics(request: Request, parts: PartsOf) -> Response:
    """Prometheus text, for the networks named at start only."""
    check_metrics_reader(parts, request)
    parts.metrics.polls.set(parts.watch.count)
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
