"""Which histories are kept, and how they are read; with a real server: tests/agent/llm/vllm/test_adapters.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from agent.llm.vllm import histories
from agent.llm.vllm.client import Sampling, Tokens, VLLMClient
from agent.llm.vllm.histories import KEPT, KEPT_SECONDS, PIECE_TOKENS, Histories
from retrieval.errors import EngineError


class Reading:
    """A client that remembers what it was asked; it fails at the prompt number `fails`."""

    def __init__(self, fails: int | None = None, waits: float = 0.0) -> None:
        self.asked: list[tuple[str, tuple[int, ...], int]] = []
        self._fails, self._waits = fails, waits

    async def complete(self, model: str, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Tokens, None]:
        if len(self.asked) == self._fails:
            raise EngineError("gone")
        self.asked.append((model, tuple(prompt), sampling.max_tokens))
        await asyncio.sleep(self._waits)
        yield Tokens((1,), "length")


def read(kept: Histories, client: Reading) -> list[tuple[int, ...]]:
    asyncio.run(kept.read_by(cast("VLLMClient", client), "ada-1"))
    assert all((model, tokens) == ("ada-1", 1) for model, _, tokens in client.asked)
    return [prompt for _, prompt, _ in client.asked]


def test_a_chat_that_goes_on_is_kept_once_and_the_newest_is_read_first() -> None:
    kept = Histories()
    for ids in ((1, 2), (7, 8), (1, 2, 3), (1, 2, 3), (7, 9)):
        kept.note(ids)
    assert read(kept, Reading()) == [(7, 9), (1, 2, 3), (7, 8)]


def test_only_the_last_are_kept() -> None:
    kept = Histories()
    for number in range(KEPT + 5):
        kept.note((number, number))
    assert read(kept, Reading()) == [(number, number) for number in reversed(range(5, KEPT + 5))]


def test_a_long_one_is_read_in_pieces_between_which_others_are_let_in() -> None:
    kept, client, passed = Histories(), Reading(), list[int]()
    ids = tuple(range(2 * PIECE_TOKENS + 1))
    kept.note(ids)
    kept.note((7, 8))
    kept.note((*ids[: PIECE_TOKENS + 9], 5))

    @asynccontextmanager
    async def apart() -> AsyncIterator[None]:
        yield
        passed.append(len(client.asked))

    asyncio.run(kept.read_by(cast("VLLMClient", client), "ada-1", apart))
    read = [ids[:PIECE_TOKENS], (*ids[: PIECE_TOKENS + 9], 5), (7, 8), ids[: 2 * PIECE_TOKENS], ids]
    assert [prompt for _, prompt, _ in client.asked] == read, "what two begin with is read once"
    assert passed == [1, 2, 3, 4, 5]


def test_nobodys_words_stay_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(histories.time, "monotonic", lambda: now)
    kept = Histories()
    kept.note((1, 2))
    now = KEPT_SECONDS / 2
    kept.note((3, 4))
    now = KEPT_SECONDS + 1
    assert read(kept, Reading()) == [(3, 4)]
    kept.note((5, 6))
    now = 0.0
    assert read(kept, Reading()) == [(5, 6), (3, 4)], "the oldest one is not there any more"


def test_a_server_that_fails_or_is_slow_holds_no_change_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Histories()
    kept.note((1, 2))
    kept.note((3, 4))
    assert read(kept, Reading(fails=1)) == [(3, 4)]
    monkeypatch.setattr(histories, "READ_SECONDS", 0.05)
    assert read(kept, Reading(waits=60.0)) == [(3, 4)]
