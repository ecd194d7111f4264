"""The discriminator: does a text read like one of the catalogue's own? Trained anew for each round.

Logistic regression over a frozen encoder's vectors, cross-fitted: an item's drafts are judged by a model that has seen
neither them nor the item's own text. Knows nothing of facts and of search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.rank.intervals import Interval, intervals
from finetune.describe.checking import sentences
from retrieval.encoder import Encoder, FloatArray

FOLDS = 5
SAMPLE = 2_000
"""Items that it learns from; more only cost memory."""
REAL_CHARS = 320
"""Of an own text, cut after a sentence: about as long as a draft, or length alone would tell them apart."""
MIN_ITEMS = 2 * FOLDS


@dataclass(frozen=True, slots=True)
class Example:
    """An item's own text and one draft for it."""

    item_id: str
    own: str
    draft: str


class Discriminator:
    """Tells own texts from drafts; 0.5 for all where there was too little to learn from.

    `accuracy` is the cross-fitted share of texts told apart, own and drafts being equally many: 0.5 means that drafts
    cannot be told from the catalogue's texts. None where nothing was learned.
    """

    def __init__(self, examples: Sequence[Example], encoder: Encoder) -> None:
        self._encoder = encoder
        self._models: list[Any] = []
        self.accuracy: Interval | None = None
        usable = [one for one in examples if one.own.strip() and one.draft.strip()][:SAMPLE]
        folds = np.array([fold_of(one.item_id) for one in usable], dtype=np.int64)
        if len(usable) < MIN_ITEMS or len(np.unique(folds)) < 2:
            return
        own = encoder.encode([shortened(one.own) for one in usable])
        drafts = encoder.encode([one.draft for one in usable])
        self._models = [_fitted(own[folds != fold], drafts[folds != fold]) for fold in range(FOLDS)]
        right = np.zeros(len(usable))
        for fold, model in enumerate(self._models):
            held_out = folds == fold
            if not held_out.any():
                continue
            right[held_out] += (_real(model, own[held_out]) > 0.5) / 2
            right[held_out] += (_real(model, drafts[held_out]) <= 0.5) / 2
        (self.accuracy,) = intervals(right[:, None], np.arange(len(usable)))

    def real(self, item_id: str, texts: Sequence[str]) -> list[float]:
        """For each text the probability that it is one of the catalogue's own."""
        if not self._models or not texts:
            return [0.5] * len(texts)
        return [float(one) for one in _real(self._models[fold_of(item_id)], self._encoder.encode(texts))]


def fold_of(item_id: str) -> int:
    """The part of the items that an item is in, whatever else there is."""
    return hashlib.sha256(item_id.encode()).digest()[0] % FOLDS


def shortened(text: str) -> str:
    """The first sentences that fit, at least one."""
    kept = ""
    for sentence in sentences(text):
        if kept and len(kept) + len(sentence) >= REAL_CHARS:
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def _fitted(own: FloatArray, drafts: FloatArray) -> Any:  # noqa: ANN401 -- scikit-learn has no types
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    labels = np.repeat([1, 0], [len(own), len(drafts)])
    return LogisticRegression(max_iter=1_000).fit(np.concatenate([own, drafts]), labels)


def _real(model: Any, vectors: FloatArray) -> NDArray[np.float64]:  # noqa: ANN401 -- see _fitted
    found: NDArray[np.float64] = model.predict_proba(vectors)[:, 1]
    return found
