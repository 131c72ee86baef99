"""The one place where the centre's process is put together. Nothing imports it but the command line."""

import asyncio
import contextlib
import gc
import ipaddress
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
import uvloop

from appliance.errors import KyusaiError
from cloudsync import logs
from cloudsync.http.api import create_app, publish_watch
from cloudsync.http.protocol import ImpatientProtocol
from cloudsync.publishwatch import PublishWatch
from cloudsync.service import audit_log, recordings, rollouts, work
from cloudsync.service.centre import Centre, open_centre
from cloudsync.store.postgresql import syncs

KEEP_ALIVE_S = 65
"""Boxes keep their connection between heartbeats and polls; a new TLS handshake costs more than an idle one."""
SHUTDOWN_S = 3
"""How long a stop waits for requests. Held polls are answered at once, boxes ask again: nobody else is served meanwhile."""
PARTING_S = 0.2
"""How long a client may take to hang up after its last answer."""
BACKLOG = 4096
"""Connections that wait to be taken: thousands of boxes come back in the same second after a power cut."""
CONNECTIONS_MAX = 30_000
"""Above this new requests get 503: two connections for each of 10,000 boxes and uploads;
46 KB of memory each were measured."""
ROLLOUT_INTERVAL_S = 2.0
"""A rollout is looked at this often: one small query while none runs."""
CERTIFICATE_CHECK_S = 24 * 3600
"""The server certificate is looked at daily; it is renewed with 275 days left."""

GARBAGE_AFTER = (50_000, 20, 50)
"""Objects more, and younger collections, until garbage is looked for: 20,000 connections are a million objects that live, and
looking through them at Python's own pace (700) takes more time than a tenth of the heartbeats."""

THREAD_SWITCH_S = 0.0001
"""After this time Python lets another of its threads run. SQLite lets go of the interpreter with each row; at Python's own 5 ms a
transaction for a hundred boxes waited half a second for a busy event loop."""

WORK_INTERVAL_S = 2.0
"""How often a process looks for work that waits; nothing that people wait for is done there."""
WORK_FAILED_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    data_dir: Path
    listen: str
    addresses: Sequence[str] = ()
    metrics_from: Sequence[str] = ("127.0.0.0/8", "::1/128")


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises KyusaiError `centre.bad_listen`, `centre.bad_network`."""
    host, port = parse_listen(settings.listen)
    networks = [_network(text) for text in settings.metrics_from]
    logs.configure()
    centre = open_centre(settings.data_dir)
    names = _names(host, settings.addresses)
    centre.tls.ensure(names, centre.clock())
    watch = publish_watch(centre)
    config = uvicorn.Config(
        create_app(centre, networks, watch),
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        limit_concurrency=CONNECTIONS_MAX,
        ssl_certfile=str(centre.tls.server_pem),
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        config.ssl.num_tickets = 0  # no box resumes a TLS session; a ticket is only work for both sides
    if centre.database.dialect == "postgresql" and not syncs(centre.database):
        log.warning("centre.store_not_durable", store=centre.database.name, reason="fsync is off there")
    log.info(
        "centre.start",
        store=centre.database.name,
        data=str(settings.data_dir),
        listen=settings.listen,
        certificate_for=names,
    )
    # uvicorn raises the signal again once it has stopped; as an interrupt it ends this function, not the process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.setswitchinterval(THREAD_SWITCH_S)
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)
    try:
        # uvloop: asyncio's own TLS keeps 256 KiB for every connection, which two of 10,000 boxes each cannot have.
        with (
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_run(_Server(config, watch), centre, names))
    finally:
        centre.close()
        log.info("centre.stop")


class _Server(uvicorn.Server):
    """Stops without waiting for polls that it holds itself, or for clients that say nothing."""

    def __init__(self, config: uvicorn.Config, watch: PublishWatch) -> None:
        super().__init__(config)
        self._watch = watch

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watch.let_go()
        parting = asyncio.create_task(self._part())
        try:
            await super().shutdown(sockets)
        finally:
            parting.cancel()

    async def _part(self) -> None:
        """An idle client does not read that its TLS stream was ended: once nobody is served any more, nothing waits for it."""
        await asyncio.sleep(PARTING_S)
        while self.server_state.tasks:
            await asyncio.sleep(PARTING_S)
        for connection in list(self.server_state.connections):
            if not connection.transport.get_write_buffer_size():  # what was answered still goes out
                connection.transport.abort()


async def _run(server: uvicorn.Server, centre: Centre, names: list[str]) -> None:
    tasks = [
        asyncio.create_task(_renew(server.config, centre, names)),
        asyncio.create_task(_work(centre)),
        asyncio.create_task(_roll_out(centre)),
    ]
    try:
        await server.serve()
    finally:
        for task in tasks:
            task.cancel()


async def _work(centre: Centre) -> None:
    """Do what waits in the store, one piece at a time; other processes of this centre do the same."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    with contextlib.suppress(Exception):  # the store is away: a box that asks completes its own all the same
        settled = await asyncio.to_thread(recordings.settle_all, centre)
        if settled:
            log.info("centre.recordings_settled", count=settled)
    while True:
        try:
            while await asyncio.to_thread(work.step, centre, worker):
                pass
            await asyncio.to_thread(audit_log.seal, centre)
            await asyncio.sleep(WORK_INTERVAL_S)
        except Exception as error:  # the store is away: requests say so too, and this must go on afterwards
            log.warning("centre.work_failed", error=str(error))
            await asyncio.sleep(WORK_FAILED_S)


async def _roll_out(centre: Centre) -> None:
    """Keep the staged rollout going; of several processes of this centre one acts at a time."""
    while True:
        try:
            await asyncio.to_thread(rollouts.step, centre)
        except Exception as error:  # the store is away; the rollout waits for it
            log.warning("centre.rollout_failed", error=str(error))
        await asyncio.sleep(ROLLOUT_INTERVAL_S)


async def _renew(config: uvicorn.Config, centre: Centre, names: list[str]) -> None:
    """Renew the certificate of the running server; connections in use keep the old one."""
    while True:
        await asyncio.sleep(CERTIFICATE_CHECK_S)
        try:
            if await asyncio.to_thread(centre.tls.ensure, names, centre.clock()) and config.ssl is not None:
                config.ssl.load_cert_chain(centre.tls.server_pem)
                log.info("centre.certificate_renewed")
        except (OSError, ValueError, ssl.SSLError) as error:
            log.error("centre.certificate_renewal_failed", error=str(error))


def parse_listen(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT` with a literal address, IPv6 in brackets. Raises KyusaiError `centre.bad_listen`."""
    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise KyusaiError(
            "centre.bad_listen",
            f"{text!r}: listen needs a literal address and a port from 0 to 65535",
            "Write 127.0.0.1:8443 or [::1]:8443.",
            value=text,
        )
    return host, number


def _names(host: str, addresses: Sequence[str]) -> list[str]:
    """What the certificate has to name: the address listened on unless it is a wildcard, and what was added."""
    wildcard = ipaddress.ip_address(host).is_unspecified
    return sorted({*([] if wildcard else [host]), *addresses} or {"127.0.0.1"})


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise KyusaiError(
            "centre.bad_network", f"{text!r} is not a network: {error}", "Write 10.0.0.0/8.", value=text
        ) from error
