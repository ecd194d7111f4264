"""What is said of the first item, by code alone and by the model: how much passes, what is told, how long, how soon.

Shown text is read a second time, by rules that share nothing with the check that let it through: every number and every
name in it must stand in a field of the item, in a wish, or be a title that a fact names. Knows nothing of adapters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.answer import Text
from agent.llm.protocol import Engine, Limits
from agent.reply_pitch import Pitch, PitchPart
from agent.replying import Replier, ReplyState
from finetune.replies.situations import ReplySituation, situations
from retrieval.errors import EngineError
from retrieval.table import ItemTable

RESAMPLES = 2_000
LIMITS = Limits(max_tokens=80, seconds=300.0)
"""As serving has it, but for the time: a busy machine is no fault of the model."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"(?<![.!?:“\"] )(?<!^)\b[A-Z][^\W\d_]+")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplySide(_Frozen):
    """One way to speak of the first item.

    `sentences` and `passed` are the model's (null without one); `whole` is the share of replies of which the model
    wrote every part, `shorter_what` of those whose first sentence is the model's and shorter than the catalogue's.
    `said_fit` and `said_but` are shares of the situations that have such a fact, `own_fit` and `own_but` where the
    model said it. `unsupported` are shown numbers and names that stand nowhere, `repeated` sentences said again when
    the item comes a second time. `fewer_words` is by how many words the text is shorter than code's own, with its 95 %
    paired bootstrap interval. `ways` are different beginnings of sentences about fit and drawback. Times are to the
    first text and to the last.
    """

    name: str
    n: int
    sentences: int | None
    passed: float | None
    whole: float
    shorter_what: float
    said_fit: float
    said_but: float
    own_fit: float
    own_but: float
    unsupported: int
    repeated: int
    words_p50: float
    fewer_words: float
    fewer_words_low: float
    fewer_words_high: float
    ways: int
    first_ms_p50: float
    last_ms_p50: float


class ReplyScores(_Frozen):
    """`items` is the size of the catalogue; only held-out items of it are spoken of."""

    items: int
    sides: list[ReplySide]


@dataclass(slots=True)
class _Told:
    """What one situation came to."""

    sentences: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    tells: set[PitchPart] = field(default_factory=set)
    model_tells: set[PitchPart] = field(default_factory=set)
    refused: int = 0
    first_ms: float = 0.0
    last_ms: float = 0.0
    unsupported: list[str] = field(default_factory=list)
    repeated: int = 0


async def measure_side(
    name: str, engine: Engine | None, table: ItemTable, n: int, seed: int, say: Callable[[str], None]
) -> ReplySide:
    """Speak of the first item in `n` situations; `engine` None: code alone.

    Raises:
        EngineError: the language model failed.
    """
    told = []
    cases = list(situations(table, n, seed, "held_out"))
    for situation in cases:
        told.append(await _tell(situation, engine, table))
        for claim in told[-1].unsupported:
            say(f"{name}: {claim!r} stands in no field of {situation.entry.item.title!r}")
    return _side(name, engine is not None, cases, told)


async def _tell(situation: ReplySituation, engine: Engine | None, table: ItemTable) -> _Told:
    told, pitch = _Told(), _pitch(situation, table)
    told.own = [pitch.own_words(part) for part in pitch.pending]
    state, replier = ReplyState(), Replier(situation.wording, table, engine, LIMITS)
    started = time.perf_counter()
    async with aclosing(replier.pitched(pitch, state)) as updates:
        async for update in updates:
            if isinstance(update, Text):
                told.last_ms = (time.perf_counter() - started) * 1e3
                told.first_ms = told.first_ms or told.last_ms
                told.sentences.append(update.delta.strip())
    if state.failed:
        raise EngineError("The language model failed while replies were measured; see its log.")
    judge = _pitch(situation, table).judge
    told.tells = {part for one in told.sentences for part in judge(one).tells}
    told.model_tells = {part for one in told.sentences if one not in told.own for part in judge(one).tells}
    told.refused = len(state.refused)
    told.unsupported = unsupported(state.text, situation)
    again = _pitch(situation, table, (f"{situation.entry.item.title}{state.text}",))
    second = ReplyState()
    async with aclosing(Replier(situation.wording, table, None, LIMITS).pitched(again, second)) as updates:
        async for _ in updates:
            pass
    told.repeated = sum(sentence in second.text for sentence in told.sentences)
    return told


def _pitch(situation: ReplySituation, table: ItemTable, before: Sequence[str] = ()) -> Pitch:
    shown = tuple(entry.item for entry in situation.shown)
    return Pitch(situation.entry.item, situation.facts, situation.wording, table.shape, shown, before)


def unsupported(text: str, situation: ReplySituation) -> list[str]:
    """Numbers and names in `text` that no field of the item, no wish and no fact has."""
    item = situation.entry.item
    known = " ".join(
        [
            item.document(),
            f"{item.price} {item.price:.2f} {item.currency}" if item.price is not None else "",
            *(fact.other for fact in situation.facts.all),
            *(fact.value for fact in situation.facts.all if fact.kind == "unlike"),
            *(str(value) for wish in situation.wishes for value in wish.values),
        ]
    )
    numbers = {_plain(number) for number in _NUMBER.findall(known)}
    names = {word.casefold() for word in _WORD.findall(known)}
    wrong = [number for number in _NUMBER.findall(text) if _plain(number) not in numbers]
    return wrong + [name for name in _NAME.findall(text.strip()) if name.casefold() not in names]


def _plain(number: str) -> str:
    """3, 3.0 and 3.00 are one number."""
    return f"{float(number.replace(',', '.')):g}" if number.count(".") + number.count(",") < 2 else number


def _side(name: str, by_model: bool, cases: Sequence[ReplySituation], told: Sequence[_Told]) -> ReplySide:
    model = [[one for one in each.sentences if one not in each.own] for each in told]
    n_model, n_refused = sum(map(len, model)), sum(each.refused for each in told)
    fewer = np.array([_n_words(each.own) - _n_words(each.sentences) for each in told], dtype=np.float64)
    low, high = _interval(fewer)
    fit = [each for each, case in zip(told, cases, strict=True) if case.facts.fits]
    but = [each for each, case in zip(told, cases, strict=True) if case.facts.but]
    shorter = ["what" in each.model_tells and _n_words(each.sentences[:1]) < _n_words(each.own[:1]) for each in told]
    return ReplySide(
        name=name,
        n=len(told),
        sentences=n_model + n_refused if by_model else None,
        passed=round(n_model / max(1, n_model + n_refused), 3) if by_model else None,
        whole=_share([bool(own) and own == each.sentences for own, each in zip(model, told, strict=True)]),
        shorter_what=_share(shorter),
        said_fit=_share(["fits" in each.tells for each in fit]),
        said_but=_share(["but" in each.tells for each in but]),
        own_fit=_share(["fits" in each.model_tells for each in fit]),
        own_but=_share(["but" in each.model_tells for each in but]),
        unsupported=sum(len(each.unsupported) for each in told),
        repeated=sum(each.repeated for each in told),
        words_p50=float(np.median([_n_words(each.sentences) for each in told])),
        fewer_words=round(float(fewer.mean()), 2),
        fewer_words_low=low,
        fewer_words_high=high,
        ways=len({tuple(one.split()[:2]) for each in told for one in each.sentences[1:]}),
        first_ms_p50=round(float(np.median([each.first_ms for each in told])), 1),
        last_ms_p50=round(float(np.median([each.last_ms for each in told])), 1),
    )


def _n_words(sentences: Sequence[str]) -> int:
    return sum(len(one.split()) for one in sentences)


def _share(found: Sequence[bool]) -> float:
    return round(sum(found) / max(1, len(found)), 3)


def _interval(differences: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """95 %, by resampling situations."""
    random = np.random.default_rng(0)
    means = differences[random.integers(len(differences), size=(RESAMPLES, len(differences)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return round(float(low), 2), round(float(high), 2)
