"""Asking, recommending, being unsure: what the rules of `thresholds.toml` are worth, and how they are fitted.

Simulated customers (`agent/bench/dialogue`) talk to bots, all with rules only, that differ in nothing but when they
ask. Fitted on some catalogues, reported on others. Knows nothing of how the bots are put together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.answer import Answer
from agent.bench.calibration import Array, Calibration, calibration_of
from agent.bench.dialogue.bots import Bot
from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.needs import Need
from agent.bench.dialogue.phrasing import AsWritten
from agent.bench.dialogue.reading import Reader, Reply
from agent.bench.dialogue.runner import hold
from agent.bench.personal import RESAMPLES, Mean
from agent.chances import chances_of
from agent.confidence import is_lost
from agent.questions import N_OPTIONS, Choice, Chooser, Moment, askable, choose
from agent.services import PastMessage
from agent.support.chinese import english_question
from agent.support.knowledge.search import HelpArticles
from agent.thresholds import Asking, Step, Thresholds

Say: TypeAlias = Callable[[str], None]
Traced: TypeAlias = Callable[[str], Mapping[str, Any]]
"""The trace of a turn by its id."""

WITHIN = (1, 3, 5, 10)
ENTROPY_MANY, ENTROPY_WISHES, ENTROPY_BITS, ENTROPY_TOP = 40, 1, 1.2, 50
"""The rule that was there before: many items fit, at most so many wishes, so many bits among the first candidates."""


def never(moment: Moment) -> None:
    """Ask nothing."""


def by_entropy(moment: Moment) -> Choice | None:
    """The attribute whose offered answers have the greatest entropy, in bits, as `gain`."""
    wishes = moment.wishes
    if not moment.told:
        return None  # nor did it ask beside further items
    if moment.n_matching < ENTROPY_MANY or len(wishes) > ENTROPY_WISHES:
        return None
    if any(wish.op in ("like", "about") for wish in wishes):
        return None
    best: Choice | None = None
    for name in askable(moment):
        if moment.table.shape.attributes[name].values is None:
            continue  # it knew no bands
        own = (one.item.attributes.get(name) for one in moment.slate.considered[:ENTROPY_TOP])
        split = Counter(v for value in own for v in (value if isinstance(value, tuple) else (value,)) if v is not None)
        offered = split.most_common(N_OPTIONS)
        counts = [n for _, n in offered]
        parts = [n / split.total() for n in (*counts, split.total() - sum(counts)) if n]
        bits = -sum(part * math.log2(part) for part in parts)
        if len(split) >= 2 and bits > (best.gain if best else ENTROPY_BITS):
            best = Choice(name, tuple(str(value) for value, _ in offered), bits)
    return best


@dataclass(frozen=True, slots=True)
class Judged:
    """A turn with a confidence: what it rested on, and whether the customer was served."""

    step: Step
    features: Mapping[str, float]
    stated: float
    served: bool


@dataclass(frozen=True, slots=True)
class Talked:
    """One conversation: the turn of success or None, the turns it took, its judged turns, and its `moments`."""

    need: Need
    success: int | None
    turns: int
    asked: int
    repeated: int
    judged: tuple[Judged, ...]
    moments: tuple[Moment, ...] = ()


class Side:
    """A bot that asks by one rule. `bot_of` makes it around a chooser; `keep` keeps its moments, for fitting."""

    def __init__(self, name: str, rule: Chooser, bot_of: Callable[[Chooser], Bot], *, keep: bool = False) -> None:
        self.name = name
        self._rule = rule
        self._bot = bot_of(self._choose)
        self._keep = keep
        self.moments: list[Moment] = []
        self.answers: list[Answer] = []

    def _choose(self, moment: Moment) -> Choice | None:
        if self._keep:
            self.moments.append(moment)
        return self._rule(moment)

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        """See `Bot.reply`; the answers are kept."""
        reply = await self._bot.reply(text, history, session_id)
        if reply.answer is not None:
            self.answers.append(reply.answer)
        return reply


async def talk(side: Side, needs: Sequence[Need], reader: Reader, seed: int, traced: Traced, say: Say) -> list[Talked]:
    """One conversation about each need.

    Raises:
        BadRequest: the bot cannot be reached.
    """
    talks = []
    for need in needs:
        side.moments, side.answers = [], []
        customer = Customer(need, reader.table, np.random.default_rng([seed, need.number, 0]))
        done = await hold(side, customer, need, 0, reader, AsWritten())
        judged = tuple(_judged(side.answers, need, traced))
        asked = sum(one.question is not None for one in side.answers)
        repeated = len(done.faults.get("question repeated", ()))
        talks.append(Talked(need, done.success, done.turns, asked, repeated, judged, tuple(side.moments)))
        if len(talks) % 25 == 0:
            say(f"{side.name}: {len(talks)} of {len(needs)}, {sum(one.success is not None for one in talks)} successes")
    return talks


def _judged(answers: Sequence[Answer], need: Need, traced: Traced) -> list[Judged]:
    """A list serves when a target stands in it; a question when one does there or in the list after it."""
    hits = [one.action in ("recommend", "ask") and any(i.id in need.targets for i in one.items) for one in answers]
    found = []
    for n, answer in enumerate(answers):
        told = traced(answer.turn_id).get("confidence")
        if told and told["features"]:
            served = any(hits[n : n + 2]) if told["step"] == "ask" else hits[n]
            found.append(Judged(told["step"], told["features"], told["probability"], served))
    return found


# -- fitting -----------------------------------------------------------------------------------


def fit_asking(talks: Sequence[Talked], patience: float) -> tuple[Asking, int]:
    """Temperature by likelihood and the share without a preference, from talks without questions; and the moments.

    The price is left at 0.
    """
    told = [(moment, one.need) for one in talks for moment in one.moments]
    grid = np.geomspace(0.02, 4.0, 40)
    losses = [sum(_surprise(moment, need, float(t)) for moment, need in told) for t in grid]
    temperature = float(grid[int(np.argmin(losses))])
    curious = Asking(temperature, 0.0, 0.0, patience, 0.0)
    asked = [(choice, moment, need) for moment, need in told if (choice := choose(moment, curious)) is not None]
    shares = [
        _share_without([_minds(choice, need) for choice, moment, need in asked if moment.told is told_something])
        for told_something in (True, False)
    ]
    return Asking(round(temperature, 4), shares[0], shares[1], round(patience, 3), 0.0), len(told)


def _share_without(minds: Sequence[bool]) -> float:
    """Of few, half of one more of each is assumed."""
    return round(1 - (sum(minds) + 0.5) / (len(minds) + 1), 3)


def _surprise(moment: Moment, need: Need, temperature: float) -> float:
    """Minus the log of the chances of what the customer wants; 0 where none of it is among the candidates."""
    chances = chances_of(moment.slate, moment.n_matching, moment.seen, temperature)
    pairs = zip(chances, moment.slate.considered, strict=True)
    wanted = sum(float(chance) for chance, one in pairs if one.item.id in need.targets)
    return -math.log(max(wanted, 1e-6)) if wanted > 0 else 0.0


def _minds(choice: Choice, need: Need) -> bool:
    """Whether the answer would be a value to tap, or a bound, that is not told unasked."""
    hidden = [wish for wish in need.wishes if wish.attribute == choice.attribute and wish.told == "asked"]
    return any(wish.op != "ne" for wish in hidden)


def patience_of(needs: Sequence[Need]) -> float:
    """The share of turns after which a customer who was not served writes once more."""
    turns = sum(need.patience for need in needs)
    return (turns - len(needs)) / turns


# -- figures -----------------------------------------------------------------------------------


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Frozen):
    """One rule: success within so many turns; `turns` until success or leaving; questions a conversation."""

    rule: str
    success: dict[int, Mean]
    turns: Mean
    questions: Mean
    repeated: int


class Difference(_Frozen):
    """A rule less another, need by need, with 95 % bootstrap intervals over needs."""

    rule: str
    against: str
    success: dict[int, Mean]
    turns: Mean


class Handed(_Frozen):
    """Talks in which a person would have been offered, and how many of those and of the others succeeded in the end."""

    offered: int
    succeeded: float | None
    others: int
    others_succeeded: float | None


class DecidingReport(_Frozen):
    """Everything that was measured on one catalogue; `calibration` is by step, of the rule in force.

    `unsure`: the share of its lists with a confidence below the threshold. `holding_back`: needs with a wish that is
    never said unasked, and the differences among those alone.
    """

    catalogue: str
    needs: int
    seed: int
    arms: list[Arm]
    differences: list[Difference]
    holding_back: int
    differences_holding_back: list[Difference]
    calibration: dict[str, Calibration]
    handed_over: Handed
    unsure: float


def arm_of(name: str, talks: Sequence[Talked]) -> Arm:
    """The figures of one rule."""
    return Arm(
        rule=name,
        success={k: _mean(_within(talks, k)) for k in WITHIN},
        turns=_mean(_turns(talks)),
        questions=_mean(np.array([float(one.asked) for one in talks])),
        repeated=sum(one.repeated for one in talks),
    )


def difference_of(name: str, talks: Sequence[Talked], against: str, others: Sequence[Talked]) -> Difference:
    """Paired by need."""
    return Difference(
        rule=name,
        against=against,
        success={k: _mean(_within(talks, k) - _within(others, k)) for k in WITHIN},
        turns=_mean(_turns(talks) - _turns(others)),
    )


def holds_back(one: Talked) -> bool:
    """Whether the customer has a wish that they never say unasked."""
    return any(wish.told == "asked" for wish in one.need.wishes)


def calibrations(talks: Sequence[Talked], known: Thresholds) -> dict[str, Calibration]:
    """By step, and of all lists together; the stated probabilities are those of `known`."""
    rows = [(one, n) for n, a_talk in enumerate(talks) for one in a_talk.judged]
    found = {}
    for name, steps in (("ask", {"ask"}), ("recommend", {"recommend"}), ("all lists", {"ask", "recommend"})):
        mine = [(one, n) for one, n in rows if one.step in steps]
        if len({one.served for one, _ in mine}) == 2:
            stated = [known.steps[one.step].probability(one.features) for one, _ in mine]
            found[name] = calibration_of(stated, [one.served for one, _ in mine], [n for _, n in mine])
    return found


def handed_over(talks: Sequence[Talked], known: Thresholds) -> Handed:
    """What became of talks with enough lost turns in a row."""
    turns = known.handing_over.turns
    offered: list[bool] = []
    others: list[bool] = []
    for one in talks:
        lost = [
            is_lost(turn.step, known.steps[turn.step].probability(turn.features), turn.features, known)
            for turn in one.judged
        ]
        runs = any(all(lost[n : n + turns]) for n in range(len(lost) - turns + 1))
        (offered if runs else others).append(one.success is not None)
    return Handed(
        offered=len(offered),
        succeeded=round(sum(offered) / len(offered), 4) if offered else None,
        others=len(others),
        others_succeeded=round(sum(others) / len(others), 4) if others else None,
    )


def article_turns(articles: HelpArticles, questions: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """What the articles answer, and whether the article that is cited first is a right one."""
    turns = []
    for row in questions:
        passages = articles.answer(english_question(row["question"]) or row["question"])
        if passages:
            right = str(passages[0].url).rpartition("/")[2] in row["articles"]
            turns.append(Judged("answer", {"score": passages[0].score}, 0.0, right))
    return turns


def _within(talks: Sequence[Talked], k: int) -> Array:
    return np.array([float(one.success is not None and one.success <= k) for one in talks])


def _turns(talks: Sequence[Talked]) -> Array:
    """Turns to success; for who left without, the patience and one more."""
    return np.array([float(one.success or one.need.patience + 1) for one in talks])


def _mean(numbers: Array) -> Mean:
    draws = np.random.default_rng(0).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    low, high = np.quantile(numbers[draws].mean(axis=1), [0.025, 0.975])
    return Mean(value=round(float(numbers.mean()), 4), low=round(float(low), 4), high=round(float(high), 4))
