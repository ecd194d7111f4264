"""`chatalogue serve`: page and API in one process, the language model in another.

Everything that can be wrong before the first request is found here and said in one sentence.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import socket
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from agent.settings import ServerSettings, Settings
from retrieval.errors import SettingsError
from ui.covers import add_covers
from ui.logs import configure_logs
from ui.wiring import Parts, ensure_catalogue, make_parts, started

SHUTDOWN_SECONDS = 10
"""How long answers under way may finish after a stop was asked for."""


def check_address(server: ServerSettings) -> None:
    """Refuse an address that is open without a key, or in use.

    Raises:
        SettingsError: the host is not loopback and there is no API key, or the port cannot be had.
    """
    if not _is_loopback(server.host) and not server.api_keys:
        raise SettingsError(
            f"The host {server.host!r} can be reached from other machines, and there is no API key; set "
            "CHATALOGUE_SERVER__API_KEYS='[\"a long secret\"]' or serve on 127.0.0.1."
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def serve(settings: Settings) -> None:
    """Serve until stopped.

    Raises:
        ChatalogueError: something is wrong that the operator must mend first.
    """
    check_address(settings.server)
    # Before Gradio is imported, which reads it once: nothing of a shop's chats goes to anybody.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Before torch is imported: threads that spin while they wait starve the model's process on a small machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, _stop)
    configure_logs()
    parts = make_parts(settings)
    try:
        with parts.data.server_lock():
            asyncio.run(_serve(parts))
    finally:
        parts.log.close()


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    """End by the ordinary way out, so that engine and log are closed; uvicorn has let answers finish before."""
    raise SystemExit(0)


async def _serve(parts: Parts) -> None:
    server_settings = parts.settings.server
    async with started(parts.engine):  # first: the model loads in its own process while we do the rest
        await asyncio.to_thread(ensure_catalogue, parts)
        opened = asyncio.create_task(asyncio.to_thread(parts.shops.refresh, parts.settings.tenant))
        await asyncio.to_thread(import_module, "ui.page")  # Gradio: seconds, while the catalogue is opened
        await opened
        app = _make_app(parts)
        config = uvicorn.Config(
            app,
            host=server_settings.host,
            port=server_settings.port,
            log_config=None,  # ui/logs.py has set up every logger
            root_path=server_settings.root_path,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        watching = asyncio.create_task(parts.shops.watch(parts.settings.tenant))
        server = _AnnouncingServer(config)
        try:
            await server.serve()
        finally:
            watching.cancel()


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


class _AnnouncingServer(uvicorn.Server):
    """Says where it answers, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            address = f"http://{self.config.host}:{self.config.port}"
            Console(stderr=True).print(f"Chatalogue answers at {address} (API: {address}/v1). Stop it with Ctrl-C.")
