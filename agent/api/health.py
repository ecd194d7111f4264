"""`/healthz`, `/readyz` and `/metrics`: for probes and for Prometheus, outside of /v1."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.api.auth import Caller
from agent.api.border import NO_KEY
from agent.api.errors import ErrorEnvelope
from agent.api.scopes import lacks
from agent.services import PartHealth, Services

router = APIRouter(tags=["operations"])

_OTHER_HOST: Final[dict[int | str, dict[str, Any]]] = {
    421: {
        "description": "Without keys: a host name that is not this server's",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class Alive(BaseModel):
    """The process answers; nothing else was asked."""

    status: Literal["ok"] = "ok"


class PartBody(BaseModel):
    """`detail` is one sentence when `state` is not "ok"."""

    name: Literal["index", "database", "engine", "learning"]
    state: Literal["ok", "degraded", "starting", "failed", "off"]
    detail: str


class Readiness(BaseModel):
    """`degraded`: chats are answered, but something has a stand-in: the language model or the index's Chroma server."""

    status: Literal["ok", "degraded", "unavailable"]
    parts: list[PartBody]
    model: str
    adapter: str | None


def readiness(parts: tuple[PartHealth, ...], *, strict: bool) -> Literal["ok", "degraded", "unavailable"]:
    """The whole's state; `strict` takes a missing engine as seriously as a missing index."""
    broken = {part.name for part in parts if part.state not in ("ok", "degraded")}
    if broken - {"engine"}:
        return "unavailable"
    if broken or not any(part.name == "engine" for part in parts):
        return "unavailable" if strict else "degraded"
    return "degraded" if any(part.state == "degraded" for part in parts) else "ok"


@router.head("/healthz", include_in_schema=False)  # uptime probes; the page would answer with an error
@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process is alive."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_model=Readiness,
    responses=_OTHER_HOST
    | {
        400: {"model": ErrorEnvelope, "description": "`engine` is neither 0 nor 1"},
        401: {"model": ErrorEnvelope, "description": "`engine=1` without a key"},
        503: {"model": Readiness, "description": "Index or database fail; with `engine=1` also the language model"},
    },
    openapi_extra={"security": [{}, {"HTTPBearer": []}]},
)
async def readyz(request: Request, engine: bool = False) -> Response:
    """Whether chats can be answered; `engine=1` asks for a token of the language model, and is strict.

    A token costs time that customers wait for, so `engine=1` needs the key where the server has keys; details do, too.
    """
    caller: Caller | None = request.scope["state"]["caller"]
    known = caller is not None and "admin" in caller.scopes  # details name paths and addresses
    if engine and not known:
        return NO_KEY.response() if caller is None else lacks(("admin",)).response()
    services: Services = request.app.state.services
    parts = await services.health.check(prove_token=engine)
    status = readiness(parts, strict=engine)
    engine_now = services.engine.status()
    body = Readiness(
        status=status,
        parts=[PartBody(name=part.name, state=part.state, detail=part.detail if known else "") for part in parts],
        model=engine_now.model,
        adapter=engine_now.adapter,
    )
    return JSONResponse(body.model_dump(), 503 if status == "unavailable" else 200)


@router.get(
    "/metrics",
    response_class=Response,
    responses=_OTHER_HOST
    | {
        200: {"description": "Prometheus's text format", "content": {"text/plain": {"schema": {"type": "string"}}}},
        401: {"model": ErrorEnvelope, "description": "The API key is missing or wrong"},
    },
    openapi_extra={"security": [{"HTTPBearer": []}]},
)
def metrics(request: Request) -> Response:
    """The counters in the text format of Prometheus; needs the key where the server has keys."""
    return Response(request.app.state.services.observer.metrics.render(), media_type=CONTENT_TYPE_LATEST)
