"""What a key may use: requests in a minute, turns in a day, answers at the same time; 429 with `Retry-After` beyond.

Requests and turns are counted in SQL, over all servers (agent/log/usage.py); answers under way by each server for
itself, because what they use up is that server's. A turn that came to nothing, or was told before, is given back.
Callers without limits (keys of the settings, no key) cost nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.api.auth import Caller
from agent.api.border import NO_ANSWER, RASA_PATH, is_guarded, path_inside
from agent.api.errors import ApiError, Failure
from agent.log.keys import KeyLimits
from agent.log.usage import Ask, Spent, UsageCounter
from agent.settings import LimitSettings
from retrieval.errors import DataDirectoryError

CHAT_PATH: Final = "/v1/chat/completions"
TURN_PATHS: Final = (CHAT_PATH, RASA_PATH)
MCP_PATHS: Final = ("/mcp", "/mcp/")
REPLAYED: Final = "idempotent-replayed"
"""The header of answers that were given before."""
STREAM_RETRY_SECONDS: Final = 1


class Limits:
    """Counts the requests of keys with limits, and refuses those that are too many."""

    def __init__(self, app: ASGIApp, counter: UsageCounter, defaults: LimitSettings) -> None:
        self._app, self._counter, self._defaults = app, counter, defaults
        self._under_way: Counter[str] = Counter()
        self._refused: dict[str, tuple[float, Spent]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller") if scope["type"] == "http" else None
        path = path_inside(scope) if caller is not None else ""
        if caller is None or caller.limits is None or not is_guarded(path):
            await self._app(scope, receive, send)
            return
        limits = _filled(caller.limits, self._defaults)
        is_turn = scope["method"] == "POST" and path in TURN_PATHS
        spent = await self._spend(caller, limits, is_turn=is_turn)
        headers = _headers(spent, limits.requests_per_minute)
        if spent.refused is not None:
            await _refusal(spent, limits, headers).response()(scope, receive, send)
            return
        is_answer = is_turn or (scope["method"] == "POST" and path in MCP_PATHS)
        if is_answer and 0 < limits.streams <= self._under_way[caller.key_id]:
            if is_turn and limits.turns_per_day:
                await self._give_back(caller, limits)
            await _too_many(limits.streams, headers).response()(scope, receive, send)
            return

        was_answered = False

        async def send_on(message: Message) -> None:
            nonlocal was_answered
            if message["type"] == "http.response.start":
                was_answered = _is_turn(message)
                MutableHeaders(scope=message).update(headers)
            await send(message)

        self._under_way[caller.key_id] += is_answer
        try:
            await self._app(scope, receive, send_on)
        finally:
            self._under_way[caller.key_id] -= is_answer
            if is_turn and limits.turns_per_day and not was_answered:
                await asyncio.shield(self._give_back(caller, limits))

    async def _give_back(self, caller: Caller, limits: LimitSettings) -> None:
        ask = Ask(caller.tenant, caller.key_id, True, 0, limits.turns_per_day)
        with suppress(DataDirectoryError):  # the answer is told already
            await run_in_threadpool(self._counter.give_back, ask)

    async def _spend(self, caller: Caller, limits: LimitSettings, *, is_turn: bool) -> Spent:
        if not limits.requests_per_minute and not (is_turn and limits.turns_per_day):
            return Spent(None, 0.0, 0, 0.0)
        until, refused = self._refused.get(caller.key_id, (0.0, None))
        left = until - time.monotonic()
        if refused is not None and left > 0:  # a client that goes on at once costs no SQL
            return Spent("rate", left, 0, max(left, refused.full_in_s - refused.retry_in_s + left))
        ask = Ask(caller.tenant, caller.key_id, is_turn, limits.requests_per_minute, limits.turns_per_day)
        spent = await run_in_threadpool(self._counter.spend, ask)
        if spent.refused == "rate":
            self._refused[caller.key_id] = time.monotonic() + spent.retry_in_s, spent
        return spent


def _is_turn(start: Message) -> bool:
    """Whether what begins with `start` is worth one of the day's turns: no error, and not told before.

    Whoever goes before the answer is there has had the work of it.
    """
    status = int(start["status"])
    return status == NO_ANSWER or (status < 400 and REPLAYED not in Headers(raw=list(start["headers"])))


async def charge_turn(counter: UsageCounter, caller: Caller, defaults: LimitSettings) -> None:
    """Take one of the caller's messages of the day, for a turn that does not come by the chat's own address.

    Raises:
        ApiError: 429, there is none left.
    """
    limits = None if caller.limits is None else _filled(caller.limits, defaults)
    if limits is None or not limits.turns_per_day:
        return
    ask = Ask(caller.tenant, caller.key_id, True, 0, limits.turns_per_day)
    spent = await run_in_threadpool(counter.spend, ask)
    if spent.refused is not None:
        refused = _refusal(spent, limits, {})
        raise ApiError(refused.status, refused.code, refused.message, headers=refused.headers)


def _filled(own: KeyLimits, defaults: LimitSettings) -> LimitSettings:
    """The key's own where it has one."""
    return LimitSettings(
        requests_per_minute=_first(own.requests_per_minute, defaults.requests_per_minute),
        turns_per_day=_first(own.turns_per_day, defaults.turns_per_day),
        streams=_first(own.streams, defaults.streams),
    )


def _first(own: int | None, default: int) -> int:
    return default if own is None else own


def _headers(spent: Spent, limit: int) -> Mapping[str, str]:
    """As OpenAI names them; none where requests are not limited."""
    if not limit:
        return {}
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(spent.left),
        "x-ratelimit-reset-requests": f"{spent.full_in_s:.3f}s",
    }


def _refusal(spent: Spent, limits: LimitSettings, headers: Mapping[str, str]) -> Failure:
    wait = max(1, math.ceil(spent.retry_in_s))
    told = {**headers, "Retry-After": str(wait)}
    if spent.refused == "quota":
        return Failure(
            429,
            "insufficient_quota",
            f"This API key has had its {limits.turns_per_day} messages of today (UTC); go on tomorrow, or ask the "
            "server's operator for more.",
            headers=told,
        )
    return Failure(
        429,
        "rate_limit_exceeded",
        f"This API key may send {limits.requests_per_minute} requests a minute; try again in {wait} s.",
        headers=told,
    )


def _too_many(streams: int, headers: Mapping[str, str]) -> Failure:
    return Failure(
        429,
        "rate_limit_exceeded",
        f"This API key may have {streams} answers under way at the same time; wait for one of them to end.",
        headers={**headers, "Retry-After": str(STREAM_RETRY_SECONDS)},
    )
