"""How large, deep and slow a request may be, how long it may take, and what browsers are told of the answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from keyed_api import ASKED, bearer, code_of, keyed_api
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from agent.api.bodies import MAX_DEPTH, Bodies, is_too_deep
from agent.api.limits import MCP_PATHS
from agent.api.patience import Patience
from agent.api.security import SecurityHeaders
from agent.settings import Settings
from retrieval.errors import SettingsError


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("body", "deep"),
    [
        (nested(MAX_DEPTH), False),
        (nested(MAX_DEPTH + 1), True),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), True),
        ("[" + ",".join(["[]"] * 1000) + "]", False),
        (json.dumps({"said": "[" * 1000 + '"' + "\\{" * 1000}), False),
        ('{"said": "\\"' + "[" * 1000 + '"}', False),
        ('"\\\\"' + "[" * 1000, True),
        ("[" * 100_000, True),
    ],
)
def test_depth(body: str, deep: bool) -> None:
    assert is_too_deep(body.encode()) is deep


async def test_the_door_for_assistants_has_the_same_bounds(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        for path in MCP_PATHS:
            deep = b"[" * (MAX_DEPTH + 1)
            refused = await api.http.post(path, content=deep, headers=bearer(made.secret))
            assert (refused.status_code, code_of(refused)) == (400, "json_too_deep")


async def test_a_crash_has_the_headers_of_every_answer(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, cors_origins=["https://shop.example"]) as api:
        answer = await api.ask(api.key().secret, "crash", headers={"origin": "https://shop.example"})
        assert (answer.status_code, code_of(answer)) == (500, "internal_error")
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("end", [b'"', b"\\", b"", b'"]'])
def test_strings_without_an_end_take_no_time(end: bytes) -> None:
    body = b"[" * (MAX_DEPTH + 1) + b'\\"' * 400_000 + end
    began = time.process_time()
    assert is_too_deep(body)
    assert time.process_time() - began < 5  # a megabyte; looked through for each quote it would be hours


async def test_deep_json_is_one_sentence(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        sent = bearer(api.key().secret) | {"content-type": "application/json"}
        body = '{"kind": "view", "data": {"x": ' + nested(2000) + "}}"
        for path in ("/v1/events", "/v1/nothing"):
            refused = await api.http.post(path, content=body, headers=sent)
            assert (refused.status_code, code_of(refused)) == (400, "json_too_deep")
        fine = '{"kind": "view", "data": {"x": ' + nested(20) + "}}"
        assert (await api.http.post("/v1/events", content=fine, headers=sent)).status_code == 200


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def drip(*, pause: float, pieces: int = 3) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield b"[]"
        await asyncio.sleep(pause)


@pytest.mark.parametrize("path", ["/v1/x", "/upload"])
async def test_a_slow_body_is_given_up(path: str) -> None:
    """Straight at the middleware: httpx's own transport collects a body before it sends it."""
    inner = Starlette(routes=[Route(path, length, methods=["POST"])])

    async def post(seconds: float, pause: float) -> list[Message]:
        pieces, told = drip(pause=pause), list[Message]()

        async def receive() -> Message:
            try:
                return {"type": "http.request", "body": await anext(pieces), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "root_path": ""}
        await Bodies(inner, seconds)(scope, receive, send)
        return told

    quick = await post(60.0, pause=0.0)
    assert [quick[n].get(part) for n, part in ((0, "status"), (1, "body"))] == [200, b"6"]
    slow = await asyncio.wait_for(post(0.3, pause=600.0), 120)
    assert slow[0]["status"] == 408


async def test_a_client_that_goes_within_its_body_reaches_no_route() -> None:
    async def never(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/v1/x", "headers": [], "root_path": ""}
    await Bodies(never)(scope, receive, send)


PATIENCE_SECONDS = 3.0
"""Longer than a busy machine pauses."""


async def forever(request: Request) -> Response:
    await asyncio.sleep(600)
    return JSONResponse({})


async def stream(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        ends = time.monotonic() + 1.5 * PATIENCE_SECONDS
        while time.monotonic() < ends:
            await asyncio.sleep(0.05)
            yield b"data: {}\n\n" if request.query_params.get("progress") else b": keep-alive\n\n"
        yield b"data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def test_nobody_waits_for_ever() -> None:
    routes = [Route("/v1/forever", forever), Route("/v1/stream", stream), Route("/page", stream)]
    app = Patience(Starlette(routes=routes), PATIENCE_SECONDS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        paths = ("/v1/forever", "/v1/stream?progress=1", "/page", "/v1/stream")
        refused, progress, page, silent = await asyncio.gather(*map(http.get, paths))
        assert (refused.status_code, code_of(refused)) == (504, "request_timeout")
        assert progress.text.endswith("data: [DONE]\n\n")
        assert page.text.endswith("data: [DONE]\n\n")
        cut = silent.text.split("\n\n")
        assert json.loads(cut[-2].removeprefix("data: "))["error"]["code"] == "request_timeout"


async def test_a_turn_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, request_seconds=PATIENCE_SECONDS) as api:
        key = api.key().secret
        slow, hung = await asyncio.gather(api.ask(key, "wait"), api.ask(key, "hang", stream=True))
        assert (slow.status_code, code_of(slow)) == (504, "request_timeout")
        assert hung.status_code == 200
        (last,) = [line for line in hung.text.split("\n\n") if '"error"' in line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "request_timeout"
        async with asyncio.timeout(120):
            while len(api.chat.closed) < 2:
                await asyncio.sleep(0.02)
        assert sorted(api.chat.closed) == ["hang", "wait"]


SHOP = "https://shop.example"


async def test_no_other_site_reads_an_answer_unless_it_is_named(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, cors_origins=[SHOP]) as api:
        made = api.key()
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        for path in ("/v1/chat/completions", "/v1/models"):
            allowed = await api.http.options(path, headers={"origin": SHOP} | asks)
            assert allowed.status_code == 204
            assert allowed.headers["access-control-allow-origin"] == SHOP
            assert "authorization" in allowed.headers["access-control-allow-headers"]
            assert "access-control-allow-credentials" not in allowed.headers
            for origin in ("https://evil.example", "null", f"{SHOP}.evil.example", "http://shop.example"):
                told = await api.http.options(path, headers={"origin": origin} | asks)
                assert told.status_code in (401, 405)
                assert not [name for name in told.headers if name.startswith("access-control-")]
        friend = await api.http.post(
            "/v1/chat/completions",
            json=ASKED,
            headers=bearer(made.secret) | {"origin": SHOP, "sec-fetch-site": "cross-site"},
        )
        assert (friend.status_code, friend.headers["access-control-allow-origin"]) == (200, SHOP)
        assert "origin" in friend.headers["vary"].lower()
        assert "x-request-id" in friend.headers["access-control-expose-headers"]
        refused = await api.http.get("/v1/models", headers={"origin": SHOP})  # a page may read that its key is wrong
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
        assert "access-control-allow-origin" not in (await api.http.get("/healthz", headers={"origin": SHOP})).headers


@pytest.mark.parametrize("name", ["cors_origins", "frame_ancestors"])
@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "https://a.example/", "a.example", "https://a; script-src *"]
)
def test_only_whole_origins_can_be_named(
    name: str, origin: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from agent.settings import load_settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"CHATALOGUE_SERVER__{name.upper()}", json.dumps([origin]))
    with pytest.raises(SettingsError, match=name):
        load_settings()
    assert Settings().server.cors_origins == ()


async def test_security_headers(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, frame_ancestors=[SHOP]) as api:
        api.app.mount("/", PlainTextResponse("the page"))
        made = api.key()
        for path, status in (("/v1/models", 200), ("/v1/nothing", 404), ("/healthz", 200)):
            answer = await api.http.get(path, headers=bearer(made.secret))
            assert answer.status_code == status
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
        refused = await api.http.get("/v1/models")
        assert (refused.status_code, refused.headers["x-content-type-options"]) == (401, "nosniff")
        stream = await api.ask(made.secret, stream=True)
        assert stream.headers["cache-control"] == "no-cache"  # its own
        page = await api.http.get("/")
        assert page.text == "the page"
        assert f"frame-ancestors 'self' {SHOP}" in page.headers["content-security-policy"]
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "cache-control" not in page.headers


async def test_a_page_nobody_may_frame() -> None:
    app = SecurityHeaders(PlainTextResponse("the page"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        assert (await http.get("/")).headers["content-security-policy"].endswith("frame-ancestors 'self'")
