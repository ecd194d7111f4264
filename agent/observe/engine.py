"""A language model whose calls are counted, timed and traced. Knows nothing of what is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.llm.protocol import CURRENT, Chunk, Engine, EngineStatus, Filled, Limits, Prompt
from agent.observe import names
from agent.observe.masking import for_logs
from agent.observe.metrics import EngineOutcome
from agent.observe.observer import Attribute, Observer, Span, skill_now
from retrieval.errors import EngineBusy, EngineError, EngineTimeout

SLACK_S: Final = 0.1
"""A call given up so shortly before its budget was spent was given up because of the budget."""


@dataclass(slots=True)
class _Call:
    """One call under way; its counts are known at its end."""

    span: Span
    outcome: EngineOutcome = "ok"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str = ""
    said: list[str] = field(default_factory=list)


class ObservedEngine:
    """Implements `agent.llm.protocol.Engine` over another one.

    `provider` names its kind in traces ("embedded", "vllm").
    """

    def __init__(self, engine: Engine, observer: Observer, provider: str) -> None:
        self._engine = engine
        self._observer = observer
        self._provider = provider

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine.stream`."""
        with self._call("chat", prompt, adapter, limits, stream=True) as call:
            async with aclosing(self._engine.stream(prompt, limits, adapter)) as chunks:
                async for chunk in chunks:
                    call.prompt_tokens = max(call.prompt_tokens, chunk.prompt_tokens)  # counts are of the call so far
                    call.completion_tokens = max(call.completion_tokens, chunk.completion_tokens)
                    call.said.append(chunk.text)
                    if chunk.finish is not None:
                        call.finish = chunk.finish
                    if chunk.finish == "timeout":
                        call.outcome = "timeout"
                    yield chunk

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """See `Engine.choose`."""
        with self._call("choose", prompt, adapter) as call:
            call.span.set(names.GEN_AI_REQUEST_CHOICE_COUNT, len(options))
            return await self._engine.choose(prompt, options, adapter)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """See `Engine.judge`."""
        with self._call("judge", prompt, adapter) as call:
            call.span.set(names.GEN_AI_REQUEST_CHOICE_COUNT, len(endings))
            return await self._engine.judge(prompt, endings, answers, adapter)

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """See `Engine.fill`."""
        with self._call("chat", prompt, adapter, limits) as call:
            filled = await self._engine.fill(prompt, grammar, limits, adapter)
            call.prompt_tokens, call.completion_tokens = filled.prompt_tokens, filled.completion_tokens
            call.said.append(filled.text)
            call.finish = "stop" if filled.complete else "length"
            return filled

    async def load_adapter(self, name: str, path: Path) -> None:
        """See `Engine.load_adapter`."""
        await self._engine.load_adapter(name, path)

    async def use_adapter(self, name: str | None) -> None:
        """See `Engine.use_adapter`."""
        await self._engine.use_adapter(name)

    async def list_adapters(self) -> tuple[str, ...]:
        """See `Engine.list_adapters`."""
        return await self._engine.list_adapters()

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        return self._engine.status()

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._engine.close()

    @contextmanager
    def _call(
        self,
        operation: str,
        prompt: Prompt,
        adapter: str | None,
        limits: Limits | None = None,
        *,
        stream: bool = False,
    ) -> Iterator[_Call]:
        metrics, skill, started = self._observer.metrics, skill_now(), time.perf_counter()
        status = self._engine.status()
        model, named = status.model, status.adapter if adapter == CURRENT else adapter
        attributes: dict[str, Attribute] = {
            names.GEN_AI_OPERATION_NAME: operation,
            names.GEN_AI_PROVIDER_NAME: self._provider,
            names.GEN_AI_REQUEST_MODEL: model,
            names.SKILL: skill,
        }
        if named:
            attributes[names.ADAPTER] = named
        if limits is not None:
            attributes |= {
                names.GEN_AI_REQUEST_MAX_TOKENS: limits.max_tokens,
                names.GEN_AI_REQUEST_TEMPERATURE: limits.temperature,
                names.GEN_AI_REQUEST_STREAM: stream,
            }
        with self._observer.span(f"{operation} {model}", "client", attributes=attributes, current=False) as span:
            call = _Call(span)
            try:
                yield call
            except (GeneratorExit, asyncio.CancelledError):
                spent = time.perf_counter() - started
                call.outcome = "timeout" if limits is not None and spent >= limits.seconds - SLACK_S else "closed"
                raise
            except EngineError as error:
                call.outcome = _outcome_of(error)
                metrics.engine_errors.labels(type(error).__name__).inc()
                raise
            except Exception as error:
                call.outcome = "error"
                metrics.engine_errors.labels(type(error).__name__).inc()
                raise
            finally:
                if call.outcome == "timeout":
                    span.fail("timeout")
                metrics.engine_calls.labels(skill, call.outcome).inc()
                metrics.engine_call_seconds.labels(skill).observe(time.perf_counter() - started)
                metrics.tokens_in.inc(call.prompt_tokens)
                metrics.tokens_out.inc(call.completion_tokens)
                self._describe(call, prompt)

    def _describe(self, call: _Call, prompt: Prompt) -> None:
        if call.prompt_tokens or call.completion_tokens:
            call.span.set(names.GEN_AI_USAGE_INPUT_TOKENS, call.prompt_tokens)
            call.span.set(names.GEN_AI_USAGE_OUTPUT_TOKENS, call.completion_tokens)
        if call.finish:
            call.span.set(names.GEN_AI_RESPONSE_FINISH_REASONS, (call.finish,))
        if self._observer.log_text:
            asked = [_message(message.role, message.text) for message in prompt.messages]
            call.span.set(names.GEN_AI_INPUT_MESSAGES, json.dumps(asked, ensure_ascii=False))
            said = _message("assistant", "".join(call.said)) | {"finish_reason": call.finish or "stop"}
            call.span.set(names.GEN_AI_OUTPUT_MESSAGES, json.dumps([said], ensure_ascii=False))


def _message(role: str, text: str) -> dict[str, object]:
    """As the conventions write a message; masked."""
    return {"role": role, "parts": [{"type": "text", "content": for_logs(text)}]}


def _outcome_of(error: EngineError) -> EngineOutcome:
    if isinstance(error, EngineBusy):
        return "busy"
    return "timeout" if isinstance(error, EngineTimeout) else "error"
