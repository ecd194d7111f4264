"""What a message to the help desk is for, by the operator's examples: which intent, how likely, or none of them.

A new intent is new examples; no code knows one. Three views of a text vote: its words and letters (linear SVM), its
meaning by what the encoder's layers say (kernel regression), and the nearest example of each intent. How much each
counts was fitted on examples that it had not seen, so that a score is a probability. Learned by
`agent.support.intent_learning`, kept by `agent.support.intent_store`; imports neither torch nor scikit-learn by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.support.intent_kernel import Kernel
from retrieval.encoder import DeepEncoder, Encoder, FloatArray

if TYPE_CHECKING:
    from agent.support.intent_words import WordViews

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IntentExample:
    """A message and what it is for."""

    text: str
    intent: str


@dataclass(frozen=True, slots=True)
class IntentGuess:
    """`intent` is None for a message outside all of them; `score` is the probability that this is right, 0 to 1."""

    intent: str | None
    score: float


@dataclass(frozen=True, slots=True)
class IntentRule:
    """What is done for an intent: `answer` is said word for word, `action` is a name, `refuse`: it is not talked of."""

    intent: str
    answer: str = ""
    action: str = ""
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """A logistic model of "one of the intents" over `scope_features`, and the probability from which on it holds."""

    bias: float
    weights: tuple[float, ...]
    threshold: float

    def probability(self, features: Array) -> Array:
        """(n, features) to (n,)."""
        odds = self.bias + features @ np.array(self.weights)
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear classifier: `weights` (features, labels), `bias` (labels,); float32."""

    weights: FloatArray
    bias: FloatArray


@dataclass(frozen=True, slots=True)
class Nearest:
    """The examples' unit vectors, (n, dim), those of one label in a row; `starts` (labels,) is where each begins."""

    vectors: FloatArray
    starts: NDArray[np.int64]

    def closest(self, vectors: FloatArray) -> Array:
        """The cosine of the nearest example of each label: (n, labels)."""
        return np.maximum.reduceat(vectors @ self.vectors.T, self.starts, axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Views:
    """What the three views say of n texts, each (n, labels): margins, logarithms of regressions, cosines."""

    words: Array
    meaning: Array
    nearest: Array

    def blended(self, blend: Sequence[float]) -> Array:
        """Log-probabilities up to a constant in each row: (n, labels)."""
        return blend[0] * self.words + blend[1] * self.meaning + blend[2] * self.nearest


@dataclass(frozen=True, slots=True)
class IntentModel:
    """All that is needed to read a message; `labels` are sorted.

    `outside` is the label of examples that belong to no intent, None where there were none; where `scope` is None,
    nothing is refused but what is likelier that label than any intent. `encoder` names the space of the vectors.
    """

    labels: tuple[str, ...]
    outside: str | None
    encoder: str
    words: WordViews
    word_side: Linear
    meaning_side: Kernel
    examples: Nearest
    blend: tuple[float, float, float]
    scope: Scope | None

    def views(self, texts: Sequence[str], vectors: FloatArray) -> Views:
        """The three views of `texts` with their `deep_vectors`, (n, width)."""
        words = np.asarray(self.words.matrix(texts) @ self.word_side.weights, dtype=np.float64) + self.word_side.bias
        nearest = self.examples.closest(vectors[:, : self.examples.vectors.shape[1]])
        return Views(words, self.meaning_side.evidence(vectors), nearest)

    def guess(self, texts: Sequence[str], encoder: Encoder) -> list[IntentGuess]:
        """What each text is for, in order."""
        return self.judge(self.views(texts, deep_vectors(encoder, texts))) if texts else []

    def judge(self, views: Views) -> list[IntentGuess]:
        """As `guess`, of views that are known."""
        logits = views.blended(self.blend)
        chances = softmax(logits)
        column = self._outside_column
        best = best_inside(chances, None if self.scope is None else column)
        told = chances[np.arange(len(best)), best]
        if self.scope is None:
            return [
                IntentGuess(None if k == column else self.labels[k], float(p)) for k, p in zip(best, told, strict=True)
            ]
        inside = self.scope.probability(scope_features(logits, views.nearest, column))
        return [
            IntentGuess(self.labels[k], float(p)) if scope >= self.scope.threshold else IntentGuess(None, 1 - scope)
            for k, p, scope in zip(best, told, inside.tolist(), strict=True)
        ]

    @property
    def _outside_column(self) -> int | None:
        return None if self.outside is None else self.labels.index(self.outside)


def deep_vectors(encoder: Encoder, texts: Sequence[str]) -> FloatArray:
    """Sentence vectors, and beside them what the layers below say where the encoder tells it: (n, width)."""
    return encoder.encode_deep(texts) if isinstance(encoder, DeepEncoder) else encoder.encode(texts)


def softmax(logits: Array) -> Array:
    """Each row's probabilities: (n, labels)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def best_inside(chances: Array, outside: int | None) -> NDArray[np.int64]:
    """The likeliest label of each row, never the one of column `outside`: (n,)."""
    if outside is None:
        return np.asarray(chances.argmax(axis=1))
    kept = chances.copy()
    kept[:, outside] = -1.0
    return np.asarray(kept.argmax(axis=1))


def scope_features(logits: Array, nearest: Array, outside: int | None) -> Array:
    """What tells a message of the intents from another one, (n, 3 or 5).

    The best intent's log-odds against the other intents, its evidence (Liu et al. 2020: energy), the nearest example's
    cosine; where there are examples of the outside, how far the best intent and the nearest example are ahead of it.
    """
    inside = logits if outside is None else np.delete(logits, outside, axis=1)
    near = nearest if outside is None else np.delete(nearest, outside, axis=1)
    top = np.partition(inside, -2, axis=1)
    energy = top[:, -1] + np.log(np.exp(inside - top[:, -1:]).sum(axis=1))
    parts = [top[:, -1] - top[:, -2], energy, near.max(axis=1)]
    if outside is not None:
        parts += [top[:, -1] - logits[:, outside], near.max(axis=1) - nearest[:, outside]]
    return np.stack(parts, axis=1)
