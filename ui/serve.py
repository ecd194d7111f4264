"""`chatalogue serve`: page and API in one process, the language model in another.

Everything that can be wrong before the first request is found here and said in one sentence.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn
from fastapi import FastAPI
from rich.console import Console

from agent.doors.answering import InboxAnswerer
from agent.doors.chatwoot import Chatwoot
from agent.llm.protocol import Engine
from agent.log.database import SQLITE_FILE
from agent.log.inbox import Inbox
from agent.log.keys import KeyStore
from agent.log.opening import open_log
from agent.log.outbox import Outbox
from agent.log.repeats import KeptAnswers
from agent.observe.observer import Tracing
from agent.retention import NightlySweep
from agent.services import Services
from agent.settings import ServerSettings, Settings, TelemetrySettings
from agent.webhooks.sending import WebhookSender
from retrieval.errors import ChatalogueError, SettingsError
from ui.covers import add_covers
from ui.heads import BoundedHeads
from ui.logs import configure_logs
from ui.schedule import Schedule
from ui.wiring import Parts, ensure_catalogue, make_parts, started

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 8
"""How long answers under way may finish after a stop was asked for. Containers are killed after 10 s by default."""
MODEL_SECONDS = 4.0
"""How long of it the language model may write on; then the catalogue's own words end what is under way."""
TIDY_SECONDS = 3600.0
BLOCKING_THREADS = 40
"""For SQL and search. Python's own number on two cores is 6: six turns that wait for the database would stop all."""


def check_address(server: ServerSettings, has_stored_keys: Callable[[], bool] = lambda: False) -> None:
    """Refuse an address that is open without a key, or in use; the database is asked only where that decides.

    Raises:
        SettingsError: the host is not loopback and there is no API key, or the port cannot be had.
    """
    if not _is_loopback(server.host) and not server.api_keys and not has_stored_keys():
        raise SettingsError(
            f"The host {server.host!r} can be reached from other machines, and there is no API key; make one with "
            "`chatalogue keys create TEAM`, or set CHATALOGUE_SERVER__API_KEYS='[\"a long secret\"]', or serve on "
            "127.0.0.1."
        )
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            why = "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
            raise SettingsError(
                f"The address {server.host}:{server.port} {why}; stop what uses it or choose another, "
                f"for example `make serve PORT={server.port + 1}` or `chatalogue serve --port {server.port + 1}`."
            ) from None


def has_stored_keys(settings: Settings) -> bool:
    """Whether the database has a key that may be used now; one that is not there yet is not made for that."""
    if not settings.database.url.get_secret_value() and not (settings.data_dir / SQLITE_FILE).exists():
        return False
    log = open_log(settings)
    try:
        return bool(KeyStore(log.database).table().keys)
    finally:
        log.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def serve(settings: Settings, config: Path | None = None) -> None:
    """Serve until stopped; `config` is the file that the settings are from, for the processes that it begins.

    Raises:
        ChatalogueError: something is wrong that the operator must mend first.
    """
    check_address(settings.server, lambda: has_stored_keys(settings))
    # Before Gradio is imported, which reads it once: nothing of a shop's chats goes to anybody.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Before torch is imported: threads that spin while they wait starve the model's process on a small machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, _stop)
    telemetry = settings.telemetry
    configure_logs(logging.getLevelNamesMapping()[telemetry.log_level.upper()], log_text=telemetry.log_text)
    if telemetry.log_text:
        log.warning("log_text_is_on", detail="What customers say goes into logs and traces; switch it off again.")
    with _traced(telemetry) as tracing:
        parts = make_parts(settings, tracing=tracing)
        try:
            parts = replace(parts, schedule=_schedule(parts, config))
            with parts.data.server_lock():
                asyncio.run(_serve(parts))
        finally:
            parts.log.close()


def _schedule(parts: Parts, config: Path | None) -> Schedule | None:
    """The jobs that the settings ask for.

    Raises:
        BadRequest: the span is longer than time.
    """
    learning = parts.settings.learning
    if not learning.every:
        return None
    jobs = parts.observer.metrics.learning_jobs
    return Schedule(parts.settings, parts.log, learning.every, None, config, lambda how: jobs.labels(how).inc())


@contextmanager
def _traced(telemetry: TelemetrySettings) -> Iterator[Tracing | None]:
    """Traces for as long as the block runs, where a collector is set; loads nothing else.

    Raises:
        SettingsError: OpenTelemetry's exporter is not installed.
    """
    if not telemetry.otlp_endpoint:
        yield None
        return
    try:
        from agent.api.app import app_version
        from agent.observe.tracing import OtlpTracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The setting 'telemetry.otlp_endpoint' needs {error.name!r}: pip install 'chatalogue[serve]'."
        ) from None
    tracing = OtlpTracing(telemetry.otlp_endpoint, app_version())
    try:
        yield tracing
    finally:
        tracing.shutdown()


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    """End by the ordinary way out, so that engine and log are closed; uvicorn has let answers finish before."""
    raise SystemExit(0)


async def _serve(parts: Parts) -> None:
    server_settings, theirs = parts.settings.server, parts.settings.support.chatwoot
    chatwoot = Chatwoot(theirs) if theirs.url else None
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(BLOCKING_THREADS, "blocking"))
    async with started(parts.engine, parts.adapter):  # first: the model loads in its own process while we do the rest
        await asyncio.to_thread(ensure_catalogue, parts)
        opened = asyncio.create_task(asyncio.to_thread(parts.shops.refresh, parts.settings.tenant))
        await asyncio.to_thread(import_module, "ui.page")  # Gradio: seconds, while the catalogue is opened
        await opened
        app = _make_app(parts)
        uvicorn_config = uvicorn.Config(
            app,
            host=server_settings.host,
            port=server_settings.port,
            log_config=None,  # ui/logs.py has set up every logger
            http=BoundedHeads,
            server_header=False,
            access_log=False,  # agent/api/border.py writes the line, with the time and without the query
            root_path=server_settings.root_path,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        watching = asyncio.create_task(parts.shops.watch(parts.settings.tenant, KeyStore(parts.log.database).tenants))
        days = parts.settings.privacy.retention_days
        sweeping = asyncio.create_task(NightlySweep(parts.data, parts.log, days).run())
        tidying = asyncio.create_task(_tidy(parts))
        telling = asyncio.create_task(WebhookSender(Outbox(parts.log.database), server_settings.webhooks).run())
        answering = asyncio.create_task(_answer_inbox(parts.services, chatwoot))
        learning = asyncio.create_task(parts.schedule.run()) if parts.schedule is not None else None
        server = _Server(uvicorn_config, parts.engine)
        try:
            await server.serve()
        finally:
            watching.cancel()
            telling.cancel()
            answering.cancel()
            tidying.cancel()
            sweeping.cancel()
            if learning is not None:
                learning.cancel()  # its job is stopped then
                await asyncio.gather(learning, return_exceptions=True)


async def _answer_inbox(services: Services, chatwoot: Chatwoot | None) -> None:
    """Answer the help desk whose bot we are, where the settings name one."""
    if chatwoot is None:
        return
    try:
        await InboxAnswerer(services, chatwoot).run()
    finally:
        await chatwoot.close()


async def _tidy(parts: Parts) -> None:
    """Delete words that were kept for a while: of answers for repeats, of webhooks that came in or never arrived."""
    answers, outbox, inbox = KeptAnswers(parts.log.database), Outbox(parts.log.database), Inbox(parts.log)
    while True:
        try:
            await asyncio.to_thread(answers.prune)
            await asyncio.to_thread(outbox.prune)
            await asyncio.to_thread(inbox.prune)
        except ChatalogueError as error:
            log.error("not_tidied", reason=str(error))
        await asyncio.sleep(TIDY_SECONDS)


def _make_app(parts: Parts) -> FastAPI:
    """API, covers, then the page, which takes every address that is left.

    Raises:
        IndexUnavailable: the catalogue could not be opened; says why.
    """
    from agent.api.app import create_api
    from ui.page import mount_page

    services, tenant = parts.services, parts.settings.tenant
    shop = parts.shops.current(tenant)
    app = create_api(services)
    add_covers(app, parts.shops, tenant)
    return mount_page(app, services, demo=bool(shop.name))


class _Server(uvicorn.Server):
    """Says where it answers, once it does; ends with whole answers."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            address = f"http://{self.config.host}:{self.config.port}"
            Console(stderr=True).print(f"Chatalogue answers at {address} (API: {address}/v1). Stop it with Ctrl-C.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """No new connections; those under way get their whole answer, the slow ones without the model."""
        ending = asyncio.create_task(super().shutdown(sockets))
        await asyncio.wait((ending,), timeout=MODEL_SECONDS)
        if not ending.done():
            await self._engine.close()  # what it was asked for ends with an error, which the replies are prepared for
        await ending
