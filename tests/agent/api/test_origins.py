"""Which hosts and origins are served: a web site must not reach a server on its visitor's machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from agent.api.auth import KeyRing
from agent.api.origins import OriginCheck
from agent.settings import ServerSettings

OWN = "http://127.0.0.1:7860"


async def answer(request: Request) -> PlainTextResponse:
    """As Gradio does: whoever asks is told that they may read."""
    allowed = {"Access-Control-Allow-Origin": request.headers.get("origin", ""), "Access-Control-Max-Age": "600"}
    return PlainTextResponse("here", headers={**allowed, "Access-Control-Allow-Credentials": "true"})


@asynccontextmanager
async def asking(*keys: str, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    server = ServerSettings(host=host, api_keys=tuple(SecretStr(key) for key in keys))
    route = Route("/{path:path}", answer, methods=["GET", "POST", "PATCH", "OPTIONS"])
    app = Starlette(routes=[route], middleware=[Middleware(OriginCheck, server=server, keys=KeyRing(server))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OWN) as made:
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7860", "LOCALHOST", "[::1]:7860", "[::1]", "127.0.0.2:80"])
async def test_loopback_names(host: str) -> None:
    async with asking() as http:
        assert (await http.get("/v1/models", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", "", "[", "::1"],
)
async def test_other_names_need_a_key(host: str) -> None:
    async with asking() as http:
        refused = await http.get("/v1/models", headers={"host": host})
        assert refused.status_code == 421
        assert refused.json()["error"]["code"] == "unknown_host"
        page = await http.get("/", headers={"host": host})
        assert (page.status_code, page.headers["content-type"]) == (421, "text/plain; charset=utf-8")
    async with asking("key") as http:
        assert (await http.get("/v1/models", headers={"host": host})).status_code == 200


async def test_the_configured_host_is_ours() -> None:
    async with asking(host="shop.local") as http:
        assert (await http.get("/", headers={"host": "shop.local:7860"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": OWN},
        {"origin": "http://localhost", "host": "localhost:80"},
        {"origin": "https://shop.example", "x-forwarded-host": "shop.example"},
        {"origin": "https://shop.example", "sec-fetch-site": "same-origin"},
    ],
)
async def test_the_servers_own_page_may_write(headers: Mapping[str, str]) -> None:
    async with asking() as http:
        for path in ("/gradio_api/queue/join", "/v1/feedback"):
            assert (await http.post(path, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:7860"},
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:x"},
    ],
)
async def test_another_page_may_not_write_nor_read(headers: Mapping[str, str]) -> None:
    async with asking() as http:
        for method in ("POST", "PATCH"):
            refused = await http.request(method, "/gradio_api/queue/join", headers=headers)
            assert (refused.status_code, refused.text.endswith(".")) == (403, True)
            refused = await http.request(method, "/v1/feedback", headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "foreign_origin")
        for method in ("GET", "OPTIONS", "POST"):
            response = await http.request(method, "/config", headers=headers)
            assert not [name for name in response.headers if name.startswith("access-control-")]
    async with asking("key") as http:  # the page's cookie is checked whatever keys there are; /v1 has the key
        assert (await http.post("/gradio_api/queue/join", headers=headers)).status_code == 403
        assert (await http.post("/v1/feedback", headers=headers)).status_code == 200


async def test_it_stands_in_the_application(http: httpx.Client) -> None:
    refused = http.get("/v1/models", headers={"host": "evil.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (421, "unknown_host")
    assert refused.headers["x-request-id"]
    assert http.post("/anything", headers={"origin": "https://evil.example"}).status_code == 403


def test_the_page_takes_no_endless_bodies_either(http: httpx.Client) -> None:
    assert http.post("/gradio_api/queue/join", content=b"x" * (2 << 20)).status_code == 413
