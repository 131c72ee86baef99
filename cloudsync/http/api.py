"""The application: routes, limits, errors and the task that watches for publishes, put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network

from fastapi import FastAPI
from starlette.types import ASGIApp

from cloudsync.http import (
    config_routes,
    enrol_routes,
    heartbeat_routes,
    ledger_routes,
    listen_routes,
    own_routes,
    prompt_routes,
    record_routes,
    recording_routes,
)
from cloudsync.http.context import Parts
from cloudsync.http.counting import Counting
from cloudsync.http.desks import Desks
from cloudsync.http.direct import Direct
from cloudsync.http.errors import ErrorAnswers
from cloudsync.http.limits import BodyLimits
from cloudsync.metrics import CentreMetrics
from cloudsync.publishwatch import PublishWatch
from cloudsync.service import configuration
from cloudsync.service.centre import Centre

API_VERSION = "1"


def publish_watch(centre: Centre) -> PublishWatch:
    """What holds polls until this centre publishes."""
    return PublishWatch(
        partial(configuration.last_serial, centre), partial(configuration.versions_since, centre)
    )


def create_app(
    centre: Centre,
    metrics_networks: Sequence[IPv4Network | IPv6Network],
    watch: PublishWatch | None = None,
) -> ASGIApp:
    """The ASGI application on one centre. `metrics_networks`: who may read /metrics. watch: of whoever lets polls go when
    the centre stops; the application runs it."""
    metrics = CentreMetrics(centre)
    watch = watch or publish_watch(centre)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(watch.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title="Kyusai centre",
        version=API_VERSION,
        description="What site boxes and the centre say to each other. Boxes always call.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.parts = Parts(centre, metrics, watch, tuple(metrics_networks), Desks.of(centre))
    every = (
        enrol_routes,
        config_routes,
        heartbeat_routes,
        record_routes,
        ledger_routes,
        recording_routes,
        prompt_routes,
        listen_routes,
        own_routes,
    )
    for routes in every:
        app.include_router(routes.router)
    errors = ErrorAnswers(metrics)
    errors.install(app)
    direct = Direct(app, (heartbeat_routes.router, config_routes.router, record_routes.router), errors)
    return Counting(BodyLimits(direct), metrics)
