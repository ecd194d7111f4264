"""Which scope an address asks of a key; addresses that are not listed ask none, but a key where keys are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.api.errors import Failure
from agent.log.keys import Scope

_NEEDED: Final[Sequence[tuple[str, tuple[Scope, ...]]]] = (
    ("/v1/chat", ("chat",)),
    ("/v1/feedback", ("feedback", "handoff")),
    ("/v1/events", ("feedback",)),
    ("/v1/users", ("users",)),
    ("/v1/sessions/*/handoff", ("chat", "handoff")),
    ("/v1/sessions/*/rating", ("feedback", "chat")),
    ("/v1/ratings", ("handoff",)),
    ("/v1/sessions/*/transcript", ("sessions", "handoff")),
    ("/v1/sessions", ("sessions",)),
    ("/v1/turns", ("sessions",)),
    ("/v1/handoffs", ("handoff",)),
    ("/v1/mcp", ("chat",)),
    ("/mcp", ("chat",)),
    ("/webhooks/rest/webhook", ("chat",)),
    ("/metrics", ("admin",)),
)
"""Beginnings of paths, whole steps of them, the first that fits; one of the scopes is enough. `*` is any one step."""


def needed_scopes(path: str) -> tuple[Scope, ...]:
    """One of these is needed at `path` (inside the application); () where any key will do."""
    steps = path.strip("/").split("/")
    for beginning, scopes in _NEEDED:
        wanted = beginning.strip("/").split("/")
        if len(steps) >= len(wanted) and all(one in ("*", step) for one, step in zip(wanted, steps, strict=False)):
            return scopes
    return ()


def lacks(needed: Sequence[Scope]) -> Failure:
    """What a key without any of the scopes hears."""
    return Failure(
        403,
        "insufficient_scope",
        f"This API key may not do that; it needs the scope {' or '.join(needed)}, see `chatalogue keys create`.",
    )
