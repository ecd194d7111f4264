"""The benchmark of understanding put together: which sets are read, over which catalogue, with which model.

What is measured and how stands in agent/bench and finetune/dialogues. Nothing is indexed: readers need the items alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.bench.retrieval.dialogues import read_items
from agent.bench.understanding import (
    Agreement,
    AttitudeScore,
    ModelRun,
    Readings,
    SetScore,
    Task,
    UnderstandingScores,
    read_all,
    score,
)
from agent.bench.understanding_labels import READERS, agreement, label_tasks, labelled_turns
from agent.bench.understanding_sets import handwritten_tasks, inspired_tasks, score_attitudes
from agent.datadir import DataDirectory
from agent.llm.protocol import Engine
from agent.settings import Settings
from agent.starter.choosing import choose_adapter
from agent.understand.merging import Policy, policy_text, read_policy
from agent.understand.model import ModelUnderstanding
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from finetune.dialogues.boardgames import invented_boardgames
from finetune.dialogues.courses import invented_courses
from finetune.dialogues.generate import Manner
from finetune.dialogues.scored import generated_turns, tallies, task_of
from retrieval.demo import demo_films_path
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from ui.bench.engines import engine_with
from ui.bench.report import write_whole
from ui.bench.understand_call import UnderstandCall

Say = Callable[[str], None]

BASE_N = 20
"""Messages of each set that the base model reads beside an adapter: it talks until it is stopped, seconds a message."""
FIT_N = 250
"""Turns of each catalogue at least from which the table is fitted: rare kinds need them."""
TEST_SEED, FIT_SEED = 20_001, 20_002
"""Neither is a seed of training."""


def measure_understanding(settings: Settings, call: UnderstandCall, say: Say) -> UnderstandingScores:
    """Read all sets with the base model, and with the adapter that is named (or, unnamed, that of the settings).

    Beside an adapter the base model reads fewer messages, and nobody trusts it: merged, it gives the rules' reading.

    Raises:
        ChatalogueError: a file or the language model cannot be had.
    """
    adapter = call.adapter or _adapter_of(settings)
    base = replace(call, n=min(call.n, BASE_N), fit=None) if adapter else call

    async def run() -> UnderstandingScores:
        say("with the base model")
        async with engine_with(settings, None) as engine:
            runs = [await _Run(engine, base, None, say, {} if adapter else None).measured()]
        if adapter is not None:
            say(f"with the adapter {adapter.name}")
            async with engine_with(settings, adapter) as engine:
                runs.append(await _Run(engine, call, adapter, say).measured())
        return UnderstandingScores(runs=tuple(runs), agreement=_agreement(call))

    return asyncio.run(run())


@dataclass(frozen=True, slots=True)
class _Shop:
    """One catalogue with its rules and the model over it."""

    table: ItemTable
    rules: Rules
    model: ModelUnderstanding


class _Run:
    """All sets with one model."""

    def __init__(
        self, engine: Engine, call: UnderstandCall, adapter: Path | None, say: Say, policy: Policy | None = None
    ) -> None:
        self._engine, self._call, self._say = engine, call, say
        self._adapter = adapter
        self._policy = policy
        self._times: list[float] = []

    async def measured(self) -> ModelRun:
        """Fit where that is asked for, then score."""
        call = self._call
        reel, games = self._shop(_reel_shop()), self._shop(ItemTable(invented_boardgames()))
        if call.fit is not None:
            text = await self._fitted((reel, "film"), (self._shop(ItemTable(invented_courses())), "course"))
            write_whole(call.fit, text)
            self._policy = read_policy(text)
            reel, games = self._shop(reel.table), self._shop(games.table)
        sets = [
            await self._generated("generated: board games", "an unseen catalogue, phrases held out", games, "game"),
            await self._generated("generated: Reel Shop", "phrases held out", reel, "film"),
            (await self._scored("written by hand", "for the Reel Shop", reel, [handwritten_tasks()[: call.n]])),
        ]
        attitudes: tuple[AttitudeScore, ...] = ()
        if call.redial is not None:
            shop = self._shop(_bench_items(call.redial))
            sets.append(await self._labelled("redial", call.redial, shop))
            dialogues = max(1, call.n // 5)
            attitudes = await score_attitudes(
                call.redial.parent, dialogues, shop.table, shop.rules, shop.model, self._say
            )
        if call.recquest is not None:
            sets.append(await self._labelled("recquest", call.recquest, self._shop(_bench_items(call.recquest))))
        if call.inspired is not None:
            shop = self._shop(_reel_shop() if call.films is None else _films(call.films))
            tasks = inspired_tasks(call.inspired, shop.table, lexicon_of(shop.table).attributes.roles, call.n)
            sets.append(await self._scored("INSPIRED dev", "what seekers name", shop, [tasks]))
        p50, p95 = np.quantile(self._times, [0.5, 0.95])
        return ModelRun(
            model=self._engine.status().model,
            adapter=self._adapter.name if self._adapter else "",
            sets=tuple(sets),
            attitudes=attitudes,
            asked=len(self._times),
            ms_p50=round(float(p50), 1),
            ms_p95=round(float(p95), 1),
        )

    def _shop(self, table: ItemTable) -> _Shop:
        rules = Rules(lexicon_of(table), table.get)
        return _Shop(table, rules, ModelUnderstanding(self._engine, table, self._policy))

    async def _fitted(self, *shops: tuple[_Shop, str]) -> str:
        counted, n = [], 0
        for shop, noun in shops:
            self._say(f"who wins, on generated turns about {noun}s")
            made = generated_turns(
                shop.table,
                Manner("held_out", noun=noun, plural=f"{noun}s", half="fit"),
                max(self._call.n, FIT_N),
                FIT_SEED,
            )
            readings = await self._read([task_of(*one) for one in made], shop)
            counted += tallies([turn for _, turn in made], readings, lexicon_of(shop.table).attributes.roles)
            n += len(made)
        adapter = f" with {self._adapter.name}" if self._adapter else ""
        source = (
            f"{n} generated turns in phrases that nothing was learned from, {self._engine.status().model}{adapter}."
        )
        return policy_text(counted, source)

    async def _generated(self, name: str, what: str, shop: _Shop, noun: str) -> SetScore:
        manner = Manner("held_out", noun=noun, plural=f"{noun}s", half="test")
        made = generated_turns(shop.table, manner, self._call.n, TEST_SEED)
        return await self._scored(name, what, shop, [[task_of(*one) for one in made]])

    async def _labelled(self, dataset: str, valid: Path, shop: _Shop) -> SetScore:
        """The turns once with each reader's labels: scores are means over both."""
        roles = lexicon_of(shop.table).attributes.roles
        turns = [labelled_turns(reader, valid, dataset)[: self._call.n] for reader in READERS]
        tasks = [label_tasks(one, shop.table, shop.rules, roles) for one in turns]
        return await self._scored(
            f"{dataset} valid", "each turn twice, as labelled by two language models", shop, tasks
        )

    async def _scored(self, name: str, what: str, shop: _Shop, golds: list[list[Task]]) -> SetScore:
        """Read the tasks once, score them against each of `golds` (the same messages)."""
        self._say(name)
        readings = await self._read(golds[0], shop)
        return score(name, what, [task for gold in golds for task in gold], readings * len(golds))

    async def _read(self, tasks: list[Task], shop: _Shop) -> list[Readings]:
        readings = await read_all(tasks, shop.rules, shop.model, self._say)
        self._times += [one.ms for one in readings]
        return readings


def _adapter_of(settings: Settings) -> Path | None:
    """The folder of the adapter that is served; None where there is none."""
    chosen = choose_adapter(settings.llm.adapter, settings.llm.model, DataDirectory(settings.data_dir).models)
    return chosen.folder if chosen else None


def _agreement(call: UnderstandCall) -> tuple[Agreement, ...]:
    """How far the two labellers agree, set by set."""
    given = (("redial", call.redial), ("recquest", call.recquest))
    return tuple(
        agreement(name, *(labelled_turns(reader, valid, name) for reader in READERS))
        for name, valid in given
        if valid is not None
    )


def _reel_shop() -> ItemTable:
    return ItemTable(load_catalogue(demo_films_path()).items)


def _films(file: Path) -> ItemTable:
    return ItemTable(load_catalogue(file, keep_first=True).items)


def _bench_items(valid: Path) -> ItemTable:
    return ItemTable(read_items(valid.parent / "items.jsonl.gz"))
