"""The gate between a trained adapter and the canary: many rules, each with numbers, and one verdict that fails closed.

A rule that cannot be asked (a file is missing, too few rows, an exception) refuses. Rules that read files alone come
first; where one of them refuses, no model is loaded. The thresholds stand in finetune/gating/gate.toml. Knows nothing
of who trained an adapter and of who serves it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from agent.adapters.manifest import sha256
from agent.adapters.voice import PinnedEngine
from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.protocol import Engine
from finetune.gating.files import base_rule, file_rule, new_rule, strength_rule
from finetune.gating.finding import Found, Refused
from finetune.gating.ground import Ground, demo_table
from finetune.gating.page import sentence
from finetune.gating.picks import counterfactual_rule, exposure_rule, providers_rule
from finetune.gating.read import latency_rule, readings_rule
from finetune.gating.rules import GateRules, read_rules
from finetune.gating.scored import drift_rule, forgetting_rule, fresh_rule, general_chat, languages_rule
from finetune.gating.shop import customers_rule
from finetune.gating.types import Candidate, Figure, RuleName, RuleResult, Verdict
from finetune.gating.written import grounding_rule, safety_rule
from retrieval.encoder import Encoder
from retrieval.errors import ChatalogueError

__all__ = [
    "Candidate", "Figure", "GateRules", "Means", "RuleName", "RuleResult", "Verdict", "general_chat", "judge",
    "read_rules",
]  # fmt: skip

log = logging.getLogger(__name__)

READY_SECONDS = 600.0
"""For the engine: weights may have to be converted first."""
NAME_DIGITS = 12
"""Of the weights' hash in the names by which the engine knows the two: never used for others."""

Told: TypeAlias = Callable[[str], None]
"""Hears one line when a rule has been asked."""
OpenEngine: TypeAlias = Callable[[], AbstractAsyncContextManager[Engine]]
"""Opens an engine over the candidate's base, ready to load adapters; it is closed when the gate is done."""

FILES: Mapping[RuleName, Callable[[Candidate, GateRules], Found]] = {
    "file": file_rule,
    "base": base_rule,
    "new": new_rule,
    "strength": strength_rule,
}
MODEL: Mapping[RuleName, Callable[[Ground], Awaitable[Found]]] = {
    "fresh": fresh_rule,
    "readings": readings_rule,
    "latency": latency_rule,
    "forgetting": forgetting_rule,
    "drift": drift_rule,
    "grounding": grounding_rule,
    "safety": safety_rule,
    "exposure": exposure_rule,
    "providers": providers_rule,
    "languages": languages_rule,
    "counterfactual": counterfactual_rule,
    "customers": customers_rule,
}


@dataclass(frozen=True, slots=True)
class Means:
    """What the gate works with. `engine` None: the embedded one; `encoder` None: the one of the settings."""

    engine: OpenEngine | None = None
    encoder: Encoder | None = None


def judge(
    candidate: Candidate, rules: GateRules, told: Told = lambda line: None, means: Means | None = None
) -> Verdict:
    """Ask every rule; never raises for a bad adapter. To be called where no event loop runs: it has its own.

    Args:
        candidate: the adapter and what it is held against.
        rules: thresholds and budgets, from `read_rules`.
        told: hears a line after each rule.
        means: engine and encoder.
    """
    started, found = time.monotonic(), list[RuleResult]()

    def note(result: RuleResult) -> None:
        found.append(result)
        told(f"{result.rule}: {result.state}. {result.why}")

    for name, ask in FILES.items():
        note(_asked_files(name, ask, candidate, rules))
    if all(one.passed for one in found):
        asyncio.run(_ask_model(candidate, rules, means or Means(), note))
    else:
        for name in MODEL:
            note(RuleResult(name, "not run", "Its files were refused, so no model was loaded."))
    champion = candidate.champion_name if candidate.champion is not None else "the base model"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Verdict(
        candidate.name, champion, tuple(found), _weights(candidate), made, round(time.monotonic() - started, 1)
    )


def _asked_files(
    name: RuleName, ask: Callable[[Candidate, GateRules], Found], candidate: Candidate, rules: GateRules
) -> RuleResult:
    started = time.monotonic()
    try:
        return _result(name, ask(candidate, rules), started)
    except Exception as error:  # the gate fails closed, whatever it is
        return _refusal(name, error, started)


async def _ask_model(candidate: Candidate, rules: GateRules, means: Means, note: Callable[[RuleResult], None]) -> None:
    """Every rule that needs a model; where there is none, each of them refuses."""
    asked = set[RuleName]()

    def noted(result: RuleResult) -> None:
        asked.add(result.rule)
        note(result)

    started = time.monotonic()
    try:
        async with asyncio.timeout(rules.seconds), opened(candidate, rules, means) as ground:
            for name, ask in MODEL.items():
                noted(await _asked(name, ask, ground))
    except TimeoutError:
        why = f"The gate's {rules.seconds:g} s were over before this was measured (seconds in gate.toml)."
    except Exception as error:  # the gate fails closed, whatever it is
        why = _reason(error)
    for name in MODEL:
        if name not in asked:
            noted(RuleResult(name, "refused", why, seconds=round(time.monotonic() - started, 1)))


async def _asked(name: RuleName, ask: Callable[[Ground], Awaitable[Found]], ground: Ground) -> RuleResult:
    started = time.monotonic()
    try:
        return _result(name, await ask(ground), started)
    except Exception as error:  # the gate fails closed, whatever it is
        return _refusal(name, error, started)


@asynccontextmanager
async def opened(candidate: Candidate, rules: GateRules, means: Means) -> AsyncIterator[Ground]:
    """What the rules stand on: engine with both adapters, catalogue, tokenizer.

    Raises:
        ChatalogueError: one of them cannot be had.
    """
    from agent.llm.tokens import PromptRenderer
    from retrieval.encoder import SentenceEncoder
    from retrieval.table import ItemTable

    settings = candidate.settings
    encoder = means.encoder or SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    renderer = await asyncio.to_thread(PromptRenderer.from_folder, candidate.base)
    async with (means.engine or (lambda: _embedded(candidate)))() as engine:
        names: list[str | None] = []
        for folder in (candidate.adapter, candidate.champion):
            name = None if folder is None else f"gate-{sha256(folder / WEIGHTS_FILE)[:NAME_DIGITS]}"
            if folder is not None and name is not None and name not in await engine.list_adapters():
                await engine.load_adapter(name, folder)
            names.append(name)
        ours, theirs = (PinnedEngine(engine, name, name) for name in names)
        table = ItemTable(tuple(candidate.items)) if candidate.items else demo_table()
        yield Ground(candidate, rules, ours, theirs, renderer, table, encoder)


@asynccontextmanager
async def _embedded(candidate: Candidate) -> AsyncIterator[Engine]:
    """An engine of the gate's own, in a process of its own."""
    from agent.datadir import DataDirectory
    from agent.llm.embedded import EmbeddedEngine

    settings = candidate.settings
    models = DataDirectory(settings.data_dir).models
    engine = EmbeddedEngine(str(candidate.base), models, threads=settings.llm.threads)
    try:
        await engine.start()
        await engine.wait_ready(READY_SECONDS)
        yield engine
    finally:
        await engine.close()


def _result(name: RuleName, found: Found, started: float) -> RuleResult:
    """Passed where every figure keeps to its threshold."""
    broken = [one for one in found.figures if not one.holds]
    told = "; ".join(map(sentence, broken or found.figures)) or f"Compared {found.compared}"
    why = " ".join(filter(None, (f"{told[0].upper()}{told[1:]}.", found.note)))
    seconds = round(time.monotonic() - started, 1)
    return RuleResult(name, "refused" if broken else "passed", why, found.figures, found.compared, seconds)


def _refusal(name: RuleName, error: Exception, started: float) -> RuleResult:
    seconds = round(time.monotonic() - started, 1)
    return RuleResult(name, "refused", _reason(error), seconds=seconds)


def _reason(error: Exception) -> str:
    """A sentence; what nobody has foreseen is in the log with its traceback."""
    if isinstance(error, ChatalogueError):
        return str(error)
    if isinstance(error, Refused):
        return f"Refused, because {error}."
    log.error("a rule of the gate failed", exc_info=error)
    return f"Refused, because it could not be measured ({type(error).__name__}: {error})."


def _weights(candidate: Candidate) -> str:
    try:
        return sha256(candidate.adapter / WEIGHTS_FILE)
    except OSError:
        return ""
