"""`chatalogue gate`: holds one adapter against the champion, rule by rule, and prints the page; changes nothing.

Beside the server: it has an engine of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from agent.settings import Settings, load_settings
from retrieval.errors import IndexUnavailable
from ui.commands.output import print_result
from ui.logs import configure_logs

if TYPE_CHECKING:
    from agent.adapters.registry import AdapterRegistry
    from agent.llm.protocol import Engine
    from finetune.gate import Candidate
    from finetune.training.lessons import Lesson
    from retrieval.items import Item
    from ui.wiring import Parts

BASE = "none"
"""As --champion: the base model alone."""


@dataclass(frozen=True, slots=True)
class GateCall:
    """The options as typed; `champion` None: the one that serves, `rows` None: there are none, so it cannot pass."""

    adapter: str
    champion: str | None = None
    rows: Path | None = None
    rules: Path | None = None
    out: Path | None = None
    as_json: bool = False
    config: Path | None = None


def run(call: GateCall) -> None:
    """Judge and print; ends with exit code 1 where the adapter is refused.

    Raises:
        ChatalogueError: there is no such adapter, or the rules or rows cannot be read.
    """
    from finetune.gate import Means, judge, read_rules
    from finetune.gating.page import as_json, page
    from ui.wiring import make_parts

    settings = load_settings(call.config).settings
    configure_logs(logging.WARNING)
    rules = read_rules(call.rules)
    parts = make_parts(settings, exact_only=True)
    try:
        candidate = _candidate(call, parts)
    finally:
        parts.log.close()
    verdict = judge(candidate, rules, _say, Means(lambda: _engine(settings), parts.encoder))
    if call.out is not None:
        verdict.write(call.out)
    print_result(json.dumps(as_json(verdict), indent=1) if call.as_json else page(verdict))
    if not verdict.passed:
        raise typer.Exit(1)


def _candidate(call: GateCall, parts: Parts) -> Candidate:
    from agent.adapters.registry import AdapterRegistry
    from agent.llm.weights import resolve_model
    from finetune.gate import Candidate

    settings = parts.settings
    registry = AdapterRegistry(parts.data, parts.log, settings.tenant)
    adapter = _folder(call.adapter, registry)
    champion, name = _champion(call.champion, registry, parts)
    return Candidate(
        adapter,
        resolve_model(settings.llm.model, parts.data.models),
        champion,
        adapter.name,
        name,
        held_out=_rows(call.rows, adapter),
        known={one.id: one.weight_hash for one in registry.all() if one.id != adapter.name},
        items=_items(parts),
        settings=settings,
    )


def _folder(named: str, registry: AdapterRegistry) -> Path:
    """Of an id or a folder."""
    folder = Path(named)
    return folder if folder.is_dir() else registry.folder(named)


def _champion(named: str | None, registry: AdapterRegistry, parts: Parts) -> tuple[Path | None, str]:
    from agent.starter.choosing import choose_adapter

    if named == BASE:
        return None, ""
    named = named or registry.standing().champion
    if named is not None:
        return _folder(named, registry), Path(named).name
    llm = parts.settings.llm
    chosen = choose_adapter(llm.adapter, llm.model, parts.data.models)
    return (None, "") if chosen is None else (chosen.folder, chosen.name)


def _rows(file: Path | None, adapter: Path) -> tuple[Lesson, ...]:
    """What the adapter did not learn from, as far as the list beside it tells."""
    from finetune.dataset import lesson_of, read_rows
    from finetune.describe.files import json_lines
    from finetune.train import LINEAGE

    if file is None:
        return ()
    lineage = adapter / LINEAGE
    learned = {fields.get("id") for fields, _ in json_lines(lineage)} if lineage.exists() else set()
    return tuple(lesson_of(row) for row in read_rows(file) if row.is_example and row.id not in learned)


def _items(parts: Parts) -> tuple[Item, ...]:
    """Of the live catalogue; none where there is none, then the gate takes the demo shop's."""
    try:
        parts.shops.refresh(parts.settings.tenant)
        shop = parts.shops.current(parts.settings.tenant)
    except IndexUnavailable:
        return ()
    items = tuple(shop.table.items)
    shop.close()
    return items


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    """The engine of the settings, without their adapter."""
    from ui.bench.engines import until_ready
    from ui.wiring import make_engine, started

    async with started(make_engine(settings)) as engine:
        await until_ready(engine)
        yield engine


def _say(line: str) -> None:
    """A rule, on stderr as soon as it was asked."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
