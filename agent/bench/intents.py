"""How well intents are told apart on messages that were not learned from, and how fast.

    answers = answer(train, texts, encoder, outside="oos")
    scores = score(answers, labels)

Knows nothing of files; the learned model is that of the product.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.calibration import expected_error
from agent.bench.personal import Mean
from agent.rank.intervals import RESAMPLES, intervals
from agent.support.intent_learning import learn_intents
from agent.support.intents import IntentExample
from retrieval.encoder import Encoder

BATCH = 256
TIMED = 200
"""Messages that are asked one by one, for the times."""

Told = Callable[[str], None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IntentScores(_Frozen):
    """Figures over the test rows that tell their intent, with 95 % bootstrap intervals; None where there are no such.

    `accuracy` is over all, `inside` over rows of an intent (calling one outside is wrong), `outside` is the share of
    the rows outside all intents that are called so. `ece`: expected calibration error of the scores.
    """

    rows: int
    labelled: int
    n_inside: int
    n_outside: int
    accuracy: Mean | None
    inside: Mean | None
    outside: Mean | None
    ece: Mean | None


class IntentReport(_Frozen):
    """One run of the benchmark. Times are of one message at a time, embedding included."""

    set: str
    train: int
    intents: int
    train_seconds: float
    p50_ms: float
    p95_ms: float
    scores: IntentScores


@dataclass(frozen=True, slots=True)
class Answered:
    """For each text the intent, or the label for those outside, and the score; then what it took."""

    intents: tuple[str, ...]
    scores: tuple[float, ...]
    train_seconds: float
    p50_ms: float
    p95_ms: float


def answer(
    train: Sequence[IntentExample],
    texts: Sequence[str],
    encoder: Encoder,
    *,
    outside: str | None = None,
    told: Told = lambda _: None,
) -> Answered:
    """Learn from `train` and read `texts`; without `outside` every text gets an intent.

    Raises:
        BadRequest: as `learn_intents`.
    """
    started = time.perf_counter()
    model = learn_intents(train, encoder, outside=outside, told=told)
    seconds = time.perf_counter() - started
    told(f"{len(texts)} messages")
    guesses = [one for at in range(0, len(texts), BATCH) for one in model.guess(texts[at : at + BATCH], encoder)]
    took = []
    for text in texts[:: max(1, len(texts) // TIMED)][:TIMED]:
        begun = time.perf_counter()
        model.guess([text], encoder)
        took.append((time.perf_counter() - begun) * 1e3)
    p50, p95 = np.percentile(took, [50, 95]).tolist() if took else (0.0, 0.0)
    return Answered(
        tuple(outside or "" if one.intent is None else one.intent for one in guesses),
        tuple(one.score for one in guesses),
        round(seconds, 1),
        round(p50, 2),
        round(p95, 2),
    )


def score(answered: Answered, labels: Sequence[str | None], outside: str | None = None) -> IntentScores:
    """What the answers are worth; rows without a label do not count."""
    known = [place for place, label in enumerate(labels) if label is not None]
    right = np.array([answered.intents[place] == labels[place] for place in known], dtype=np.float64)
    stated = np.array([answered.scores[place] for place in known])
    beyond = np.array([outside is not None and labels[place] == outside for place in known], dtype=np.bool_)
    return IntentScores(
        rows=len(labels),
        labelled=len(known),
        n_inside=int((~beyond).sum()),
        n_outside=int(beyond.sum()),
        accuracy=_share(right),
        inside=_share(right[~beyond]),
        outside=_share(right[beyond]),
        ece=_calibration(stated, right),
    )


def _share(right: NDArray[np.float64]) -> Mean | None:
    if not len(right):
        return None
    found = intervals(right[:, None], np.arange(len(right)))[0]
    return Mean(value=found.value, low=found.low, high=found.high)


def _calibration(stated: NDArray[np.float64], right: NDArray[np.float64]) -> Mean | None:
    if not len(right):
        return None
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(right), len(right)) for _ in range(RESAMPLES // 4)]
    low, high = np.quantile([expected_error(stated[draw], right[draw]) for draw in draws], [0.025, 0.975])
    return Mean(value=round(expected_error(stated, right), 4), low=round(float(low), 4), high=round(float(high), 4))
