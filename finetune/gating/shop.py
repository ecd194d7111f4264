"""The rule on whole conversations: simulated customers talk to a shop of the gate's own, as both sides.

The shop lies in a folder that is thrown away, without a learned ranker and without what was learned from customers: it
is the adapter that is judged. Knows nothing of the tenant's log.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from agent.bench.dialogue.bots import InProcess
from agent.bench.dialogue.figures import MUST_BE_NONE
from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Held, Plan, Side, Simulation
from agent.bench.dialogue.needs import draw_needs
from agent.bench.dialogue.phrasing import AsWritten
from agent.bench.dialogue.runner import Dialogue
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shopkeeper import ShopKeeper
from finetune.gating.finding import Found, figure
from finetune.gating.ground import Ground, demo_table
from finetune.gating.intervals import Interval, mean_interval
from finetune.gating.written import leaks, messages
from retrieval.errors import BadRequest
from retrieval.index import build_index
from retrieval.items import Item
from retrieval.table import ItemTable

SEED = 20_400
RUNS = 1
TENANT = "gate"


async def customers_rule(ground: Ground) -> Found:
    """Success within some turns may not fall; broken hard wishes, false claims and leaks must be none."""
    limits = ground.rules.customers
    items = _wanted(ground)
    with tempfile.TemporaryDirectory(prefix="chatalogue-gate-", ignore_cleanup_errors=True) as folder:
        async with _opened(ground, items, Path(folder)) as (shops, log):
            plan = Plan(limits.needs, RUNS, SEED + ground.rules.seed, "gate", limits.full)
            simulation = Simulation(ItemTable(items), plan, AsWritten(), Kept(None))
            talks = [Conversations(_settings(ground, reply), log, shops, ground.ours) for reply in ("off", "on")]
            ours = await _held(simulation, talks[0], talks[1])
            theirs = await _held(simulation, Conversations(_settings(ground, "off"), log, shops, ground.theirs), None)
            leaked = [leaks(await _said(talks[1], text)) for text in messages()]
    every = (*ours.dialogues, *ours.full)
    faults = [fault for one in every for name in MUST_BE_NONE for fault in one.faults.get(name, ())]
    success = [_successes(side.dialogues, limits.within) for side in (ours, theirs)]
    apart = mean_interval([own - other for own, other in zip(*success, strict=True)])
    means = [float(np.mean(side)) for side in success]
    count = Interval.exact(len(faults), len(every))
    return Found(
        (
            figure(f"success within {limits.within} turns", apart, "at least", -limits.margin, "low", *means),
            figure("broken wishes, false claims, failed turns", count, "at most", 0.0),
            figure("answers that show instructions", Interval.exact(sum(leaked), len(leaked)), "at most", 0.0),
        ),
        f"{len(success[0])} simulated customers with both sides, {len(ours.full)} of them once more with written "
        f"replies, over {len(items)} items",
        f"The first fault: {faults[0]}." if faults else "",
    )  # fmt: skip


def _wanted(ground: Ground) -> tuple[Item, ...]:
    """Of the shop's items where customers can want something of them, else of the demo shop's."""
    n, seed = ground.rules.customers.items, ground.rules.seed
    items = sampled(ground.table.items, n, seed)
    try:
        draw_needs(ItemTable(items), 1, SEED)
    except BadRequest:
        return sampled(demo_table().items, n, seed)
    return items


def sampled(items: Sequence[Item], n: int, seed: int) -> tuple[Item, ...]:
    """At most `n` items, in their order, the same for the same seed."""
    if len(items) <= n:
        return tuple(items)
    rows = np.random.default_rng([SEED, seed]).permutation(len(items))[:n]
    return tuple(items[row] for row in sorted(rows))


@asynccontextmanager
async def _opened(ground: Ground, items: Iterable[Item], folder: Path) -> AsyncIterator[tuple[ShopKeeper, EventLog]]:
    """A shop over the items, with an empty log."""
    data = DataDirectory(folder)
    data.create()
    log = EventLog.open(None, folder)
    try:
        index = await asyncio.to_thread(build_index, tuple(items), data.index(TENANT), ground.encoder, source="gate")
        log.activate_index(TENANT, index.name)
        shops = ShopKeeper(data, log, ground.encoder, stores=None)
        await asyncio.to_thread(shops.refresh, TENANT)
        try:
            yield shops, log
        finally:
            shops.current(TENANT).retriever.close()
    finally:
        log.close()


def _settings(ground: Ground, reply: str) -> Settings:
    """The shop's, with the model's reading on, and its writing where that is asked for; no exploration."""
    settings = ground.candidate.settings
    llm = settings.llm.model_copy(update={"understand": "on", "reply": reply, "reply_timeout_s": 120.0})
    chat = settings.chat.model_copy(update={"exploration": 0.0})
    return settings.model_copy(update={"llm": llm, "chat": chat, "tenant": TENANT, "language": "en"})


async def _held(simulation: Simulation, dull: Conversations, full: Conversations | None) -> Held:
    side = Side("gate", "gate", InProcess(dull, TENANT), None if full is None else InProcess(full, TENANT))
    return await simulation.hold(side, lambda name, done, total: None)


def _successes(dialogues: Sequence[Dialogue], within: int) -> list[float]:
    return [float(one.success is not None and one.success <= within) for one in dialogues]


async def _said(talk: Conversations, text: str) -> str:
    return (await InProcess(talk, TENANT).reply(text, (), None)).text
