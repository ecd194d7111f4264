"""`chatalogue replay`: stored turns run again through what is live now, to see what would change."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from agent.llm.protocol import EngineStatus
from agent.settings import Settings, load_settings
from retrieval.errors import BadRequest, EngineError
from ui.commands.output import print_result
from ui.logs import configure_logs

if TYPE_CHECKING:
    from agent.conversation import Conversations
    from ui.wiring import Parts

_SPAN = re.compile(r"(\d+)([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """One stored turn and what it gives now; `same_items` compares ids in order."""

    turn_id: str
    message: str
    then: tuple[str, ...]
    now: tuple[str, ...]
    same_items: bool
    same_intent: bool
    reply: str


def run(turn: str | None, since: str | None, adapter: str | None, as_json: bool, config: Path | None) -> None:
    """Replay one turn or all of a span; nothing is stored. `adapter` in place of those that answer now."""
    if (turn is None) == (since is None):
        raise BadRequest("Name either one turn id or --since with a span such as 7d, 12h or 30m.")
    settings = load_settings(config).settings
    start = start_of(since) if since else None
    configure_logs(logging.WARNING)
    results = asyncio.run(_replay(settings, turn, start, adapter))
    if as_json:
        print_result("\n".join(json.dumps(asdict(result), ensure_ascii=False) for result in results))
        return
    for result in results:
        print_result(f"{result.turn_id}  {'same items' if result.same_items else 'OTHER ITEMS'}  {result.message!r}")
        if not result.same_items:
            print_result(f"  then: {', '.join(result.then) or '-'}\n  now:  {', '.join(result.now) or '-'}")
        if turn is not None:
            print_result(result.reply)
    same = sum(result.same_items for result in results)
    print_result(f"{same} of {len(results)} turns offer the same items in the same order.")


def start_of(span: str) -> datetime:
    """The moment so long ago.

    Raises:
        BadRequest: the span cannot be read.
    """
    match = _SPAN.fullmatch(span)
    if match is None:
        raise BadRequest(f"The span {span!r} cannot be read; give days, hours or minutes, such as 7d, 12h or 30m.")
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
    except OverflowError:
        raise BadRequest(f"The span {span!r} is longer than time itself; give a shorter one, such as 365d.") from None


async def _replay(settings: Settings, turn: str | None, since: datetime | None, adapter: str | None) -> list[Replayed]:
    async with live_parts(settings, turn, since, adapter) as live:
        chat = live.parts.conversations
        return [
            await _one(live.parts, chat, turn_id)
            for turn_id in track(live.ids, "Replaying", console=Console(stderr=True), disable=len(live.ids) < 2)
        ]


@dataclass(frozen=True, slots=True)
class Live:
    """What is live now, beside a server, and the stored turns that were asked for."""

    parts: Parts
    ids: tuple[str, ...]


@asynccontextmanager
async def live_parts(
    settings: Settings, turn: str | None, since: datetime | None, adapter: str | None = None
) -> AsyncIterator[Live]:
    """Open everything and wait until ranker, engine and adapter are up, or known to be down.

    Raises:
        NotFound, EngineError: there is no `adapter` of this name, or it cannot answer.
    """
    from ui.wiring import make_parts, started

    parts = make_parts(settings, exact_only=True)
    try:
        if adapter is not None and parts.adapter is not None:
            parts.adapter.only(adapter)
        ids = (turn,) if turn else parts.log.turns_since(settings.tenant, since or datetime.now(UTC))
        parts.shops.rankers.with_tastes = any(_is_named(parts, one) for one in ids)
        async with started(parts.engine, parts.adapter):
            await asyncio.to_thread(parts.shops.refresh, settings.tenant)
            await asyncio.to_thread(parts.shops.rankers.settle, settings.tenant)
            while parts.engine.status().state == "starting":
                await asyncio.sleep(0.1)
            if parts.adapter is not None:
                await parts.adapter.settled()
                _check(adapter, parts.engine.status(), parts.adapter.problem)
            yield Live(parts, ids)
    finally:
        parts.log.close()


def _check(adapter: str | None, status: EngineStatus, problem: str) -> None:
    """What is replayed with another adapter than was asked for would tell nothing."""
    if adapter is not None and (problem or status.state != "ready"):
        raise EngineError(problem or f"The adapter {adapter!r} cannot answer: {status.detail}")


def _is_named(parts: Parts, turn_id: str) -> bool:
    """Whether the customer was known to the shop: of nobody else are tastes predicted."""
    return parts.log.turn_input(parts.settings.tenant, turn_id).before.conversation.person_id is not None


async def _one(parts: Parts, chat: Conversations, turn_id: str) -> Replayed:
    stored = parts.log.turn_input(parts.settings.tenant, turn_id)
    replayed = await chat.again(stored)
    record = stored.logged.record
    then = tuple(row.item_id for row in record.shown if row.list == "slate")
    now = tuple(item.id for item in replayed.answer.items)
    return Replayed(turn_id, record.message, then, now, then == now, replayed.intent == record.intent, replayed.reply)
