"""`chatalogue mcp`: the tools for another assistant on this machine, which starts the command and talks over stdio.

Standard output belongs to the protocol; logs and progress go to stderr. The caller is the person at this machine, as in
`chatalogue chat`; a server may run beside it on the same data directory.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from agent.settings import load_settings
from ui.logs import configure_logs

if TYPE_CHECKING:
    from ui.wiring import Parts


def run(config: Path | None) -> None:
    """Serve until the input ends."""
    from ui.wiring import make_parts

    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    parts = make_parts(settings, exact_only=True)
    try:
        asyncio.run(_serve(parts))
    finally:
        parts.log.close()


async def _serve(parts: Parts) -> None:
    from agent.api.app import app_version
    from agent.mcp.server import serve_stdio
    from agent.mcp.tools import Desk
    from ui.wiring import ensure_catalogue, started

    async with started(parts.engine, parts.adapter):
        await asyncio.to_thread(ensure_catalogue, parts)
        await asyncio.to_thread(parts.shops.refresh, parts.settings.tenant)
        watching = asyncio.create_task(parts.shops.watch(parts.settings.tenant))
        try:
            await serve_stdio(Desk.local(parts.services), app_version())
        finally:
            watching.cancel()
