"""`POST /mcp`: the door for other assistants (Model Context Protocol); the border has asked them who they are.

The protocol's SDK is loaded with the first request. Knows nothing of the tools.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from agent.api.auth import Caller
from agent.api.errors import failure_of
from agent.api.limits import charge_turn
from agent.log.usage import UsageCounter
from agent.services import Services


class McpDoor:
    """An ASGI application, so that every method comes here: one request in, one answer out, nothing kept."""

    def __init__(self, services: Services, version: str) -> None:
        self._services, self._version = services, version
        self._counter = UsageCounter(services.log.database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # there is no stream to listen to and no session to end
            await failure_of(HTTPException(405, headers={"Allow": "POST"})).response()(scope, receive, send)
            return
        await asyncio.to_thread(import_module, "agent.mcp.server")
        from agent.mcp.server import answer_http
        from agent.mcp.tools import Desk

        caller: Caller = scope["state"]["caller"]
        charge = partial(charge_turn, self._counter, caller, self._services.settings.server.limits)
        desk = Desk(self._services, caller, charge)
        await answer_http(desk, self._version, scope, receive, send)
