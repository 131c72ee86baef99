"""What every life of a process would do again, done once in the worker that all of them are forked from.

Nothing of the product is left out: modules are loaded, plug-ins looked for, and the web framework's description of the
routes made. A third of a run's time went into these.
"""

import ctypes
import gc
import signal
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
from fastapi import routing
from sqlite_utils.plugins import ensure_plugins_loaded

from cloudsync import logs
from cloudsync.http.api import create_app
from cloudsync.service.centre import open_centre

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""
LOADED_LATE = ("encodings.ascii", "encodings.idna", "fastapi.telemetry._runtime", "uvicorn.lifespan.on")
"""Modules that only a first request or a first connection would load."""


async def warm_up(folder: Path) -> None:
    """Call it before the first fork. folder: a free one, for a centre that answers one question."""
    ensure_plugins_loaded()
    for late in LOADED_LATE:
        import_module(late)
    _remember_routes()
    logs.configure()
    centre = open_centre(folder, {})
    transport = httpx.ASGITransport(create_app(centre, ()))
    async with httpx.AsyncClient(transport=transport, base_url="https://centre.invalid") as client:
        answer = await client.get("/v1/nothing-there")
    assert answer.status_code == 404
    centre.close()


def in_child() -> None:
    """Call it in each forked child: it lives too short for a collection, which would copy the parent's memory, ends with its
    parent, and by SIGTERM."""
    gc.disable()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def before_forks() -> None:
    """Call it last: what is there now is never looked at by a collection again, so it stays shared."""
    gc.collect()
    gc.freeze()


def _remember_routes() -> None:
    """FastAPI works out each application's routes anew at its first request; ours are the same in all of them."""
    kind: Any = getattr(routing, "_EffectiveRouteContext", None)
    if kind is None:  # another version of the framework does without
        return
    known: dict[int, Any] = {}
    make = kind.from_api_route
    look_up: Any = getattr(routing, "_extract_endpoint_context", lambda _endpoint: None)

    def from_api_route(*, original_route: Any, **rest: Any) -> Any:
        if id(original_route) not in known:
            known[id(original_route)] = make(original_route=original_route, **rest)
            look_up(original_route.endpoint)  # remembered there: it reads the source files
        return known[id(original_route)]

    with suppress(AttributeError):
        kind.from_api_route = from_api_route
