"""What chats may go on with, to be read by an adapter before it answers them. Knows nothing of servers and prompts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeAlias

from agent.llm.vllm.client import Sampling, VLLMClient
from retrieval.errors import EngineError

log = logging.getLogger(__name__)

KEPT = 16
"""Histories; as many answers as are made at the same time by default."""
PIECE_TOKENS = 64
"""Read at a time: chats that write wait for it. Whole blocks of vLLM's cache, or a piece would be read again."""
READ_SECONDS = 30.0
"""For all of them: a rollback must not wait long."""


Apart: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


class Histories:
    """The last prompts that were answered, as token ids.

    vLLM keeps what it has read for each adapter apart, so under another one every chat's history would be read again
    while its customer waits.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[int, ...]] = deque(maxlen=KEPT)

    def note(self, ids: tuple[int, ...]) -> None:
        """A prompt is answered; those that it goes on from are not kept beside it."""
        for old in [old for old in self._kept if ids[: len(old)] == old]:
            self._kept.remove(old)
        self._kept.append(ids)

    async def read_by(self, client: VLLMClient, model: str, apart: Apart = nullcontext) -> None:
        """Let the server read them as `model`, the newest first, in pieces; what is not read stays as it is.

        Args:
            client: of the server.
            model: what it calls the adapter.
            apart: held while one piece is read.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                for ids in reversed(tuple(self._kept)):
                    await _read(client, model, ids, apart)
        except (EngineError, TimeoutError) as error:
            log.info("not all histories were read by %s: %s", model, error or "no time left")


async def _read(client: VLLMClient, model: str, ids: Sequence[int], apart: Apart) -> None:
    for end in (*range(PIECE_TOKENS, len(ids), PIECE_TOKENS), len(ids)):
        async with apart():
            async for _ in client.complete(model, ids[:end], Sampling(max_tokens=1)):
                pass
