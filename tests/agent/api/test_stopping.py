"""A stream whose server is stopped: the task that sends it is cancelled, and its client is told so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message, Scope

from agent.answer import Update
from agent.api.sse import ChunkWriter, TurnResponse
from agent.api.turns import RunningTurn


async def endless() -> AsyncIterator[Update]:
    await asyncio.Event().wait()
    yield  # type: ignore[misc]  # never comes here


@pytest.mark.parametrize("version", ["2.3", "2.4"])  # Starlette sends streams in two ways
async def test_a_stream_that_is_cut_off_ends_with_an_envelope(version: str) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("the client stays")

    turn = RunningTurn(endless())
    response = TurnResponse(turn, ChunkWriter(include_usage=False, steps=False))
    scope: Scope = {"type": "http", "asgi": {"spec_version": version}}
    sending = asyncio.create_task(response(scope, receive, send))
    while not sent:
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"] is False
    event = sent[-1]["body"].decode()
    assert event.startswith("data: {")
    assert event.endswith("}\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["code"] == "server_stopped"
