"""Facts read out of one message: rules alone, the model alone, both together, on labelled messages.

The verdict on the `understand` skill (agent/skills.toml) rests on this: the model is on only where
both together beat the rules, with the whole interval of the paired difference above zero. The
messages (`understanding.jsonl`) were written by hand for the demo shop; "+genre:Horror" is a wish,
"-" one to avoid. Wishes for a value of a text attribute are scored; the messages ask for genres, moods and themes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.llm.protocol import Engine
from agent.messages import messages
from agent.preferences import Added, Fact
from agent.shop import Shop
from agent.understand.model import ModelUnderstanding
from agent.understand.types import DialogueContext
from agent.wording import Wording

Counts: TypeAlias = NDArray[np.int64]
"""One row a message: values right, values said, values wanted."""
SCORED = ("genre", "mood", "theme", "language", "country", "format")
"""Every attribute of the demo shop that the model can propose: what it says of the others must count against it."""
RESAMPLES = 5_000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Score(_Frozen):
    """Micro-averaged over all messages."""

    precision: float
    recall: float
    f1: float


class UnderstandingScores(_Frozen):
    """`difference` is F1 of both together minus F1 of the rules, with its 95 % paired bootstrap interval."""

    n: int
    model: str
    rules: Score
    model_alone: Score
    merged: Score
    difference: float
    difference_low: float
    difference_high: float
    model_ms_p50: float


async def score_understanding(shop: Shop, engine: Engine, progress: Callable[[str], None]) -> UnderstandingScores:
    """Read every labelled message in the three ways.

    Raises:
        EngineError: the language model failed.
    """
    wording = Wording(messages("en"), lambda i: shop.table.get(i).title, shop.table.shape.currency)
    model = ModelUnderstanding(engine, shop.table.shape, wording)
    labelled = files("agent.bench").joinpath("understanding.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in labelled.splitlines()]
    counts: dict[str, list[tuple[int, int, int]]] = {"rules": [], "model": [], "merged": []}
    times = []
    for row in rows:
        text, gold = row["text"], frozenset(row["gold"])
        progress(text)
        understood = shop.rules.understand(text, DialogueContext())
        started = time.perf_counter()
        alone = await model.propose(text, 1)
        times.append((time.perf_counter() - started) * 1e3)
        merged = await model.improve(text, understood, 1)
        for name, facts in (("rules", understood.facts), ("model", alone), ("merged", merged.facts)):
            counts[name].append(_compare(_said(facts), gold))
    table = {name: np.array(values, dtype=np.int64) for name, values in counts.items()}
    low, high = _interval(table["merged"], table["rules"])
    return UnderstandingScores(
        n=len(rows),
        model=engine.status().model,
        rules=_score(table["rules"]),
        model_alone=_score(table["model"]),
        merged=_score(table["merged"]),
        difference=round(_f1(table["merged"]) - _f1(table["rules"]), 3),
        difference_low=low,
        difference_high=high,
        model_ms_p50=round(float(np.median(times)), 1),
    )


def _said(facts: Sequence[Fact]) -> frozenset[str]:
    wishes = [fact.preference for fact in facts if isinstance(fact, Added)]
    return frozenset(
        f"{'+' if wish.polarity == 'positive' else '-'}{wish.attribute}:{value}"
        for wish in wishes
        if wish.attribute in SCORED
        for value in wish.values
    )


def _compare(said: frozenset[str], gold: frozenset[str]) -> tuple[int, int, int]:
    """(right, said, wanted)."""
    return len(said & gold), len(said), len(gold)


def _score(table: Counts) -> Score:
    right, said, wanted = table.sum(axis=0)
    return Score(
        precision=round(float(right / max(said, 1)), 3),
        recall=round(float(right / max(wanted, 1)), 3),
        f1=round(_f1(table), 3),
    )


def _f1(table: Counts) -> float:
    right, said, wanted = table.sum(axis=0)
    return float(2 * right / max(said + wanted, 1))


def _interval(one: Counts, other: Counts) -> tuple[float, float]:
    """95 % of the difference in F1 when messages are drawn again, the same ones for both."""
    random = np.random.default_rng(0)
    draws = random.integers(0, len(one), (RESAMPLES, len(one)))
    differences = [_f1(one[rows]) - _f1(other[rows]) for rows in draws]
    low, high = np.quantile(differences, [0.025, 0.975])
    return round(float(low), 3), round(float(high), 3)
