"""The chat that the tests of this folder talk about; long enough that its beginning is worth keeping."""

from __future__ import annotations

from agent.llm.protocol import Message, Prompt

CHAT = Prompt(
    (
        Message("system", "You are a shop assistant. " + "Be brief and honest. " * 60),
        Message("user", "Hello, which film do you like?"),
    )
)

READY_SECONDS = 600.0
"""For a worker's start, whose imports alone take ten seconds on a busy machine."""
