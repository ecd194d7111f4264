"""How well intents are told apart, by all the examples there are: each is told by a model that did not learn it.

    measure_folds("banking77", examples, encoder, folds=10)            # cross-validation
    measure_folds("banking77", examples, encoder, folds=4, each=30)    # thirty of each intent, drawn four times

A line of TF-IDF and a linear SVM learns and tells the same, side by side. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.intents import BATCH, Told
from agent.bench.personal import Mean
from agent.rank.intervals import intervals
from agent.support.intent_learning import learn_intents
from agent.support.intents import IntentExample, deep_vectors
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import BadRequest

Right = NDArray[np.float64]


class IntentFolds(BaseModel):
    """Accuracy on unseen examples, 95 % bootstrap intervals over examples.

    `even`: every intent counts alike, as in a test that has as many messages of each. `svm`: TF-IDF of words, pairs of
    words and pieces of words with a linear SVM; `gain` is the difference, paired. `told` is how often examples were
    told, `parts` the accuracy of each part or draw.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str
    intents: int
    learned: int
    told: int
    accuracy: Mean
    even: Mean
    svm: Mean
    svm_even: Mean
    gain: Mean
    parts: tuple[float, ...]


class _Known:
    """An encoder that has read its texts already: each is encoded once, whatever the number of parts."""

    def __init__(self, encoder: Encoder, texts: Sequence[str]) -> None:
        self.name, self.dim = encoder.name, encoder.dim
        self._vectors = deep_vectors(encoder, texts)
        self._rows = {text: row for row, text in enumerate(texts)}

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_deep(texts)[:, : self.dim]

    def encode_deep(self, texts: Sequence[str]) -> FloatArray:
        return self._vectors[[self._rows[text] for text in texts]]


def measure_folds(
    name: str,
    examples: Sequence[IntentExample],
    encoder: Encoder,
    *,
    folds: int,
    each: int = 0,
    told: Told = lambda _: None,
) -> IntentFolds:
    """Learn and tell `folds` times.

    Args:
        name: of the set.
        examples: of two intents or more.
        encoder: of the sentence vectors.
        folds: parts, each told by what was learned from the others; where `each` is given, draws.
        each: examples of each intent that are learned from in a draw; all others are told.
        told: progress.

    Raises:
        BadRequest: an intent has too few examples.
        ModelUnavailable: as `learn_intents`.
    """
    names = sorted({one.intent for one in examples})
    labels = np.array([names.index(one.intent) for one in examples])
    _check(names, labels, each + 1 if each else folds)
    told(f"{len(examples)} examples of {len(names)} intents: sentence vectors")
    known = _Known(encoder, [one.text for one in examples])
    ours, svm, places, learned = [], [], [], []
    for number, (train, test) in enumerate(_draws(labels, folds, each) if each else _parts(labels, folds), 1):
        fit, asked = [examples[i] for i in train], [examples[i] for i in test]
        ours.append(_told_right(fit, asked, known))
        svm.append(_svm_right(fit, asked))
        places.append(test)
        learned.append(len(train))
        told(f"part {number} of {folds}: {ours[-1].mean():.4f}, TF-IDF and SVM {svm[-1].mean():.4f}")
    place = np.concatenate(places)
    share = 1 / np.bincount(labels[place])[labels[place]]
    means = _means(np.concatenate(ours), np.concatenate(svm), share / share.mean(), place)
    return IntentFolds(
        set=name,
        intents=len(names),
        learned=round(float(np.mean(learned))),
        told=len(place),
        **means,
        parts=tuple(round(float(one.mean()), 4) for one in ours),
    )


def _check(names: Sequence[str], labels: NDArray[np.int64], least: int) -> None:
    counts = np.bincount(labels)
    if len(names) < 2:
        raise BadRequest("Examples of two or more intents are needed; there is only one, or none.")
    if counts.min() < least:
        raise BadRequest(
            f"The intent {names[int(counts.argmin())]!r} has {counts.min()} examples and {least} are needed; "
            "take fewer folds or fewer of each."
        )


def _parts(labels: NDArray[np.int64], folds: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

    yield from StratifiedKFold(folds, shuffle=True, random_state=0).split(labels, labels)


def _draws(labels: NDArray[np.int64], draws: int, each: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(labels))
        train = np.concatenate([order[labels[order] == one][:each] for one in np.unique(labels)])
        yield np.sort(train), np.setdiff1d(np.arange(len(labels)), train)


def _told_right(train: Sequence[IntentExample], test: Sequence[IntentExample], encoder: Encoder) -> Right:
    model = learn_intents(train, encoder)
    texts = [one.text for one in test]
    guesses = [one for at in range(0, len(texts), BATCH) for one in model.guess(texts[at : at + BATCH], encoder)]
    return np.array([one.intent == asked.intent for one, asked in zip(guesses, test, strict=True)], dtype=np.float64)


def _svm_right(train: Sequence[IntentExample], test: Sequence[IntentExample]) -> Right:
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline, make_union  # type: ignore[import-untyped]
    from sklearn.svm import LinearSVC  # type: ignore[import-untyped]

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    line = make_pipeline(make_union(words, pieces), LinearSVC(random_state=0))
    line.fit([one.text for one in train], [one.intent for one in train])
    found = line.predict([one.text for one in test])
    return np.array([one == asked.intent for one, asked in zip(found, test, strict=True)], dtype=np.float64)


def _means(ours: Right, svm: Right, weights: Right, places: NDArray[np.int64]) -> dict[str, Mean]:
    """An example that was told in several draws is one example."""
    columns = np.stack([ours, ours * weights, svm, svm * weights, ours - svm], axis=1)
    names = ("accuracy", "even", "svm", "svm_even", "gain")
    found = zip(names, intervals(columns, places), strict=True)
    return {name: Mean(value=one.value, low=one.low, high=one.high) for name, one in found}
