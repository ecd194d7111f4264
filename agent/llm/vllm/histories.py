"""What was asked last, to be read by a new adapter before it answers. Knows nothing of servers and of what is asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeAlias

from agent.llm.vllm.client import Sampling, VLLMClient
from retrieval.errors import EngineError

log = logging.getLogger(__name__)

KEPT = 32
"""Prompts; a turn asks up to four times."""
KEPT_SECONDS = 900.0
"""Who said nothing for so long waits for their history; and customers' words do not stay here for long."""
PIECE_TOKENS = 32
"""Read at a time: chats that write wait for it. A block of vLLM's cache on processors, on others several."""
READ_SECONDS = 30.0
"""For all of them; those that were asked before by another adapter go on with that one meanwhile."""

Apart: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


class Histories:
    """The last prompts, as token ids: instructions that are the same for all, and talks that go on.

    vLLM keeps what it has read for each adapter apart, so under another one all of it would be read again while a
    customer waits.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[tuple[int, ...], float]] = deque(maxlen=KEPT)

    def note(self, ids: tuple[int, ...]) -> None:
        """Something is asked; what it goes on from is not kept beside it."""
        now = time.monotonic()
        left = [(old, at) for old, at in self._kept if now - at < KEPT_SECONDS and ids[: len(old)] != old]
        self._kept = deque([*left, (ids, now)], maxlen=KEPT)

    async def read_by(self, client: VLLMClient, model: str, apart: Apart = nullcontext) -> None:
        """Let the server read them as `model`, the newest first, in pieces; what is not read stays as it is.

        Args:
            client: of the server.
            model: what it calls the adapter.
            apart: held while one piece is read.
        """
        now, done = time.monotonic(), list[tuple[int, ...]]()
        try:
            async with asyncio.timeout(READ_SECONDS):
                for ids, at in reversed(tuple(self._kept)):
                    if now - at < KEPT_SECONDS:
                        await _read(client, model, ids, _known(ids, done), apart)
                        done.append(ids)
        except (EngineError, TimeoutError) as error:
            log.info("not all that was asked was read by %s: %s", model, error or "no time left")


async def _read(client: VLLMClient, model: str, ids: Sequence[int], known: int, apart: Apart) -> None:
    """`known`: so many tokens were read before, in whole pieces."""
    for end in (*range(known + PIECE_TOKENS, len(ids), PIECE_TOKENS), len(ids)):
        async with apart():
            async for _ in client.complete(model, ids[:end], Sampling(max_tokens=1)):
                pass


def _known(ids: Sequence[int], done: Iterable[Sequence[int]]) -> int:
    return max((_common(ids, other) for other in done), default=0) // PIECE_TOKENS * PIECE_TOKENS


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    different = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(different, min(len(one), len(other)))
