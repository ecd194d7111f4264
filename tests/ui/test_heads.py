"""Slow and endless heads are given up; ordinary requests, several on one connection, are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ui.heads import MAX_HEAD_BYTES, BoundedHeads


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@asynccontextmanager
async def serving(protocol: type[BoundedHeads]) -> AsyncIterator[int]:
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, http=protocol, server_header=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def test_a_slow_head_is_given_up() -> None:
    class Hasty(BoundedHeads):
        seconds = 0.3

    async with serving(Hasty) as port:
        for first in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: 1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(first)
            assert await asyncio.wait_for(reader.read(), 120) == b""
            writer.close()


async def test_requests_one_after_another() -> None:
    async with serving(BoundedHeads) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * (3 * MAX_HEAD_BYTES)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"\nserver:" not in head.lower()
            assert await reader.readexactly(6) == str(len(body)).encode()
        writer.close()


async def test_a_head_that_comes_with_the_body_before_it() -> None:
    async with serving(BoundedHeads) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * (3 * MAX_HEAD_BYTES)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(body + b"GET / HTTP/1.1\r\nHost:")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.write(b" x\r\nConnection: close\r\n\r\n")
        answers = await asyncio.wait_for(reader.read(), 120)
        assert (answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 400")) == (2, 0)
        writer.close()


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nX-Long: ", b"GET /"])
async def test_an_endless_head_is_refused(head: bytes) -> None:
    async with serving(BoundedHeads) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"y" * (MAX_HEAD_BYTES + 1))
        assert (await asyncio.wait_for(reader.read(), 120)).startswith(b"HTTP/1.1 400")
        writer.close()
