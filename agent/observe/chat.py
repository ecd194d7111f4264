"""The conversation with counters, log lines and a span around each turn, whichever face asked for it.

Knows nothing of HTTP and of how answers are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import copy_context

import structlog

from agent.answer import Finished, Text, Update
from agent.observe import names
from agent.observe.masking import for_logs
from agent.observe.observer import Attribute, ObservedTurn, Observer, in_context, listen
from agent.preferences import Fact, Preference
from agent.services import Chat, TurnRequest

log = structlog.get_logger(__name__)

AGENT_NAME = "chatalogue"


class ObservedChat:
    """Implements `agent.services.Chat` over another one."""

    def __init__(self, chat: Chat, observer: Observer) -> None:
        self._chat = chat
        self._observer = observer

    async def turn(self, request: TurnRequest) -> AsyncGenerator[Update, None]:
        """See `agent.services.Chat.turn`."""
        # What the turn binds is seen by its own steps, and by nobody else.
        async with aclosing(in_context(self._observed(request), copy_context())) as updates:
            async for update in updates:
                yield update

    async def edit(self, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> None:
        """See `agent.services.Chat.edit`."""
        await self._chat.edit(tenant, session_id, facts)

    async def standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        """See `agent.services.Chat.standing`."""
        return await self._chat.standing(tenant, key_id, user)

    async def _observed(self, request: TurnRequest) -> AsyncGenerator[Update, None]:
        metrics, started = self._observer.metrics, time.perf_counter()
        metrics.turns_started.inc()
        attributes: dict[str, Attribute] = {
            names.GEN_AI_OPERATION_NAME: "invoke_agent",
            names.GEN_AI_AGENT_NAME: AGENT_NAME,
        }
        with self._observer.span("turn", attributes=attributes) as span:
            turn = ObservedTurn(self._observer, span)
            listen(turn)
            finished = False
            try:
                async with aclosing(self._chat.turn(request)) as updates:
                    has_text = False
                    async for update in updates:
                        if isinstance(update, Text) and not has_text:
                            has_text = True
                            metrics.first_text_seconds.observe(time.perf_counter() - started)
                        if isinstance(update, Finished):
                            finished = True
                            self._count(turn, request, update, time.perf_counter() - started)
                        yield update
                if not finished:
                    raise RuntimeError("a turn ended without Finished")
            except (GeneratorExit, asyncio.CancelledError):
                if not finished:
                    metrics.abandoned.inc()
                    log.info("turn_abandoned", ms=_ms_since(started), **self._words(request))
                raise
            except Exception as error:
                metrics.failed.labels(type(error).__name__).inc()
                log.warning("turn_failed", error=type(error).__name__, ms=_ms_since(started), **self._words(request))
                raise

    def _count(self, turn: ObservedTurn, request: TurnRequest, update: Finished, seconds: float) -> None:
        metrics, answer, usage = self._observer.metrics, update.answer, update.usage
        metrics.turns.labels(answer.action).inc()
        metrics.turn_seconds.observe(seconds)
        if answer.no_match is not None:
            metrics.no_match.labels(answer.no_match.kind).inc()
        for part in turn.missing:
            metrics.degraded.labels(part).inc()
        turn.span.set(names.ACTION, answer.action)
        turn.span.set(names.ITEMS, len(answer.items))
        turn.span.set(names.DEGRADED, answer.degraded)
        turn.span.set(names.GEN_AI_REQUEST_MODEL, answer.model)
        turn.span.set(names.GEN_AI_USAGE_INPUT_TOKENS, usage.prompt_tokens)
        turn.span.set(names.GEN_AI_USAGE_OUTPUT_TOKENS, usage.completion_tokens)
        log.info(
            "turn",
            action=answer.action,
            items=len(answer.items),
            no_match=answer.no_match.kind if answer.no_match else None,
            missing=sorted(turn.missing),
            ms=round(seconds * 1e3, 1),
            **self._words(request, update.reply),
        )

    def _words(self, request: TurnRequest, reply: str | None = None) -> dict[str, str | None]:
        """What was said, masked: for the log only where the operator asked for it."""
        if not self._observer.log_text:
            return {}
        return {"text": for_logs(request.text), "reply": None if reply is None else for_logs(reply)}


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1e3, 1)
