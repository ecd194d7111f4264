"""What every handler is given: the services, and who calls. Knows nothing of routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from agent.api.auth import Caller
from agent.services import Services

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Api:
    """One request's view of the server."""

    services: Services
    caller: Caller

    @property
    def tenant(self) -> str:
        """Whose catalogue and conversations these are: the key's."""
        return self.caller.tenant

    @property
    def key_id(self) -> str:
        """Whose customers these are, the log's `key_id`: the team's of the key, "" where no key is needed."""
        return self.caller.owner

    @property
    def by_agent(self) -> bool:
        """Whether it is a support agent's request."""
        return self.caller.by_agent

    async def in_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`call` off the event loop: SQL blocks."""
        return await run_in_threadpool(call, *args, **kwargs)


# The border has checked the key already (agent/api/border.py); this only puts it into the OpenAPI document.
_documented_key = HTTPBearer(auto_error=False, description="Not needed where the server has no keys.")


def _api_of(request: Request, _key: Annotated[object, Security(_documented_key)]) -> Api:
    return Api(request.app.state.services, request.scope["state"]["caller"])


CallerApi = Annotated[Api, Depends(_api_of)]
"""The parameter of a handler."""
