"""The rules on how likely known answers are: fresh rows of the cycle, general chat, anchor sets, languages, drift."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import numpy as np

from agent.llm.protocol import Engine, Limits, Message, Prompt
from finetune.gating.files import record_of
from finetune.gating.finding import Found, Refused, figure
from finetune.gating.ground import Ground
from finetune.gating.intervals import Interval, apart_interval, mean_interval, ratio_interval
from finetune.training.lessons import Lesson

GENERAL = "general chat"
ENGLISH = "en"
SAMPLED = Limits(max_tokens=24, seconds=60.0, temperature=1.0)
"""Of an answer for the drift."""

Part: TypeAlias = Literal["gate", "train"]


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with what both sides know of them, in nats."""

    rows: tuple[Lesson, ...]
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def gains(self) -> list[float]:
        """Candidate minus champion, row by row."""
        return [own - other for own, other in zip(self.ours, self.theirs, strict=True)]


@cache
def general_chat(part: Part = "gate") -> tuple[Lesson, ...]:
    """Questions of no shop with good answers, in several languages (`domain`); written for this purpose.

    `gate`: what the gate looks at. `train`: others, for a training to watch while it runs: what it stops by is no test.
    """
    text = files("finetune.gating").joinpath("general.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["chat"]
    found = [
        Lesson(
            f"general {number}", "sft", Prompt((Message("user", row["asked"]),)), (row["answer"],),
            domain=row.get("language", ENGLISH),
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip
    return tuple(found[0::2] if part == "gate" else found[1::2])


async def fresh_rule(ground: Ground) -> Found:
    """Rows of this cycle that it did not learn from must be known better, by more than chance."""
    limits = ground.rules.fresh
    learned = {lesson.id for lesson in ground.candidate.learned}
    rows = [lesson for lesson in ground.candidate.held_out if lesson.id not in learned]
    users = {lesson.user for lesson in rows}
    if len(rows) < limits.rows or len(users) < limits.users:
        raise Refused(
            f"there are {len(rows)} rows of {len(users)} people that it did not learn from, and {limits.rows} rows of "
            f"{limits.users} people are the least from which progress can be told"
        )
    told = await _scored(ground, drawn(rows, limits.n, ground.rules.seed))
    gain = mean_interval(told.gains, [lesson.user for lesson in told.rows])
    means = [float(np.mean(side)) for side in (told.ours, told.theirs)]
    kinds = ", ".join(
        f"{kind} {np.mean([gain for gain, row in zip(told.gains, told.rows, strict=True) if row.kind == kind]):+.3f}"
        for kind in sorted({row.kind for row in told.rows})
    )
    shown = figure("gain, nats a row", gain, "above", limits.gain, "low", *means)
    return Found((shown,), f"{len(told.rows)} rows of this cycle that it did not learn from, drawn by person ({kinds})")


async def forgetting_rule(ground: Ground) -> Found:
    """General chat and each anchor set may be known only so much worse."""
    limits = ground.rules.forgetting
    english = [lesson for lesson in general_chat() if lesson.domain == ENGLISH]
    found = []
    for name, rows in {GENERAL: english, **ground.candidate.anchors}.items():
        if not rows:
            raise Refused(f"the anchor set {name!r} is empty")
        told = await _scored(ground, drawn(rows, limits.n, ground.rules.seed))
        means = [float(np.mean(side)) for side in (told.ours, told.theirs)]
        gain = mean_interval(told.gains)
        found.append(figure(f"{name}, nats a token", gain, "at least", -limits.margin, "low", *means))
    told_so = record_of(ground.candidate.adapter).get("forgot") is True
    found.append(figure("anchor sets lost at every step of its training", Interval.exact(told_so, 1), "at most", 0.0))
    return Found(tuple(found), "the likelihood of good answers to general questions, and of the anchor sets' answers")


async def languages_rule(ground: Ground) -> Found:
    """Other languages may not lose more than English does."""
    told = await _scored(ground, general_chat())
    gains = {row.domain: list[float]() for row in told.rows}
    for gain, row in zip(told.gains, told.rows, strict=True):
        gains[row.domain].append(gain)
    english = gains.pop(ENGLISH)
    level = float(np.mean(english))
    lost = apart_interval(english, [gain for own in gains.values() for gain in own])
    by_language = ", ".join(f"{language} {level - float(np.mean(own)):+.3f}" for language, own in gains.items())
    limit = ground.rules.languages.gap
    return Found(
        (figure("loss beyond English, nats a token", lost, "at most", limit, "high"),),
        "the change on general chat in English with that in other languages",
        f"By language: {by_language}.",
    )


async def drift_rule(ground: Ground) -> Found:
    """KL from the champion, from answers that the champion samples: what it would say must stay likely.

    An unbiased estimate of KL(champion || candidate) a token (Monte Carlo over whole answers).
    """
    limits = ground.rules.drift
    rows = drawn([one for one in general_chat() if one.domain == ENGLISH], limits.n, ground.rules.seed)
    apart: list[float] = []
    tokens: list[float] = []
    for number, row in enumerate(rows):
        said = await _sampled(ground.theirs, row.prompt, ground.rules.seed + number)
        if not said.strip():
            continue
        own, other = [(await side.choose(row.prompt, (said,)))[0] for side in ground.sides]
        apart.append(other - own)
        tokens.append(float(ground.tokens(said)))
    if len(apart) < limits.n // 2:
        raise Refused(f"the champion answered {len(apart)} of {len(rows)} questions, too few to tell")
    found = ratio_interval(apart, tokens)
    return Found(
        (figure("KL from the champion, nats a token", found, "at most", limits.kl, "high"),),
        f"{len(apart)} answers that the champion sampled to general questions, and how likely the candidate finds them",
    )


def drawn(rows: Sequence[Lesson], n: int, seed: int) -> tuple[Lesson, ...]:
    """At most `n` of the rows, the same for the same seed whatever their order."""
    ordered = sorted(rows, key=lambda lesson: lesson.id)
    if len(ordered) <= n:
        return tuple(ordered)
    chosen = np.random.default_rng(seed).permutation(len(ordered))[:n]
    return tuple(ordered[at] for at in sorted(chosen))


async def _scored(ground: Ground, rows: Sequence[Lesson]) -> Scored:
    told = [await ground.scored(row) for row in rows]
    return Scored(tuple(rows), tuple(own for own, _ in told), tuple(other for _, other in told))


async def _sampled(engine: Engine, prompt: Prompt, seed: int) -> str:
    limits = Limits(SAMPLED.max_tokens, SAMPLED.seconds, SAMPLED.temperature, seed=seed)
    text = ""
    async with aclosing(engine.stream(prompt, limits)) as chunks:
        async for chunk in chunks:
            text += chunk.text
    return text
