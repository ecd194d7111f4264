"""The language model's part of understanding: asked once for a message, believed as far as the message bears it out.

On only where `skills.toml` says that it beats the rules. Knows nothing of how the two readings are made one
(`merging.py`) and of the language in which the model answers (`reading.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from agent.llm.protocol import Engine, Limits
from agent.understand.merging import Policy, merged, policy
from agent.understand.reading import Reading, read, reading_prompt
from agent.understand.reading_evidence import lexicon_of
from agent.understand.types import DialogueContext, Intent, Understanding
from retrieval.errors import EngineError
from retrieval.table import ItemTable

LIMITS = Limits(max_tokens=64, seconds=1.0, stop=("\n\n",))
"""Most messages need fewer than 20 tokens; an answer that is cut off loses its last line."""
PATIENCE_S = 1.2
"""With the time in the engine's queue; who must wait longer is answered by the rules."""
_READ: frozenset[Intent] = frozenset(
    {
        "recommend", "more", "unknown_item", "item_question", "accept", "reject", "acknowledge", "superlative", "empty",
        "show_anyway",
    }
)  # fmt: skip
"""What the rules must take a message for that the model is asked about; commands and small talk cost no second."""


@dataclass(frozen=True, slots=True)
class ModelUnderstanding:
    """Reads messages to one catalogue with a language model; `table` None: as `merging.toml` says.

    `spent` is told the tokens read and written by each call, also by one that was cut off.
    """

    engine: Engine
    items: ItemTable
    table: Policy | None = None
    spent: Callable[[int, int], None] = lambda _read, _written: None

    async def improve(self, text: str, understood: Understanding, context: DialogueContext) -> Understanding:
        """`understood` (the rules' reading) with what the model reads better.

        A model that fails or is slow, and a message in a language that it does not know, leave the rules' reading.
        """
        if not self.reads(understood) or not any(map(str.isalpha, text)):
            return understood
        try:
            async with asyncio.timeout(PATIENCE_S):
                reading = await self.ask(text, context)
        except (EngineError, TimeoutError):
            return understood
        return await asyncio.to_thread(self.merge, understood, reading, context)

    def reads(self, understood: Understanding) -> bool:
        """Whether the model has a say in a message that the rules read so."""
        return understood.intent in _READ and understood.language == "en"

    def merge(self, understood: Understanding, reading: Reading, context: DialogueContext) -> Understanding:
        """Both readings as one."""
        table = policy() if self.table is None else self.table
        return merged(understood, reading, context, lexicon_of(self.items).attributes.roles, table)

    async def ask(self, text: str, context: DialogueContext) -> Reading:
        """What the model alone reads.

        Raises:
            EngineError: the model could not be asked.
        """
        prompt = await asyncio.to_thread(reading_prompt, text, context, self.items)
        answer, complete, n_read, n_written = "", False, 0, 0
        try:
            async with aclosing(self.engine.stream(prompt, LIMITS)) as chunks:
                async for chunk in chunks:
                    answer += chunk.text
                    complete = chunk.finish == "stop"
                    n_read, n_written = max(n_read, chunk.prompt_tokens), max(n_written, chunk.completion_tokens)
        finally:
            self.spent(n_read, n_written)
        return await asyncio.to_thread(lambda: read(answer, text, context, self.items, complete=complete))
