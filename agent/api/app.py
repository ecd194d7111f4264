"""`create_api`: the application, put together. The page is mounted on it at "/" by whoever serves (ui/).

Everything under /v1 answers here, unknown addresses and wrong methods too; the page never sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent.api import chat, feedback, health, later, people, sessions, users
from agent.api.auth import KeyRing
from agent.api.border import BodyLimit, KeyCheck, RequestId, path_inside
from agent.api.errors import HANDLED, answer_error, failure_of
from agent.api.origins import OriginCheck
from agent.api.schemas import ChatChunk
from agent.services import Services

_ROUTERS: Final[Sequence[APIRouter]] = (
    chat.router,
    feedback.router,
    users.router,
    people.router,
    sessions.router,
    later.router,
    health.router,
)


def create_api(services: Services) -> FastAPI:
    """The API over `services`, which stay the caller's to close.

    Whoever serves it refuses addresses other than loopback when there are no keys, and gives
    `settings.server.root_path` to the server. Without keys it answers under loopback names and
    `settings.server.host` only.

    Raises:
        SettingsError: an API key is empty.
    """
    server = services.settings.server
    app = FastAPI(
        title="Chatalogue",
        version=app_version(),
        docs_url=None,  # its page loads scripts from a CDN
        redoc_url=None,
        middleware=[
            Middleware(RequestId, observer=services.observer),
            Middleware(OriginCheck, server=server),
            Middleware(KeyCheck, keys=KeyRing(server)),
            Middleware(BodyLimit),
        ],
    )
    app.state.services = services
    for kind in HANDLED:
        app.add_exception_handler(kind, answer_error)
    for router in _ROUTERS:
        app.include_router(router)
    everything_else = _Unknown()  # last: the first match wins
    app.router.routes.append(Route("/v1", everything_else, include_in_schema=False))
    app.router.routes.append(Route("/v1/{rest:path}", everything_else, include_in_schema=False))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI documents this way
    return app


class _Unknown:
    """Answers what no route under /v1 takes; an ASGI application, so that every method comes here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _methods_at(path_inside(scope))
        if allowed:
            error = HTTPException(405, headers={"Allow": ", ".join(allowed)})
        else:
            error = HTTPException(404)
        await failure_of(error).response()(scope, receive, send)


def _methods_at(path: str) -> list[str]:
    methods: set[str] = set()
    for router in _ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.path_regex.match(path):
                methods |= route.methods or set()
    return sorted(methods)


def app_version() -> str:
    """The version of the installed package; "0" for a source tree that was never installed."""
    try:
        return version("chatalogue")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with the chunks of the stream, which no route returns as such."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        template = "#/components/schemas/{model}"
        chunk = ChatChunk.model_json_schema(ref_template=template, mode="serialization")
        schemas = document["components"]["schemas"]
        for name, schema in chunk.pop("$defs").items():
            schemas.setdefault(name, schema)
        schemas["ChatChunk"] = chunk
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)  # FastAPI's own; ours are 400
        app.openapi_schema = document
    return app.openapi_schema
