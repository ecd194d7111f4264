"""Examples in, an `IntentModel` out: minutes for ten thousand, a second for a help desk's few hundred.

The examples are cut into folds; what the two learned views and the nearest examples say of a fold that they did not
see decides how much each counts and from when on a message is outside of all intents. Then all examples are learned.
Needs scikit-learn; knows nothing of files and of the conversation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.support import intent_kernel
from agent.support.intent_kernel import Kernel
from agent.support.intent_words import WordViews, fitted
from agent.support.intents import (
    Array,
    IntentExample,
    IntentModel,
    Linear,
    Nearest,
    Scope,
    Views,
    best_inside,
    deep_vectors,
    scope_features,
    softmax,
)
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import BadRequest, ModelUnavailable

FOLDS = 5
SVM_C = 1.0
FIRST_BLEND = (1.0, 1.5, 9.0)
"""How much each view counts before any unseen example says it."""
MAX_LOST = 0.004
"""The share of messages read right that the refusal of what is outside may cost."""
EVEN = 0.5
"""No message that is likelier inside than outside is ever refused."""

Told = Callable[[str], None]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Seen:
    """Messages: as they are written, their `deep_vectors` (n, width) and the axes of these that are looked along.

    The first `dim` numbers of a vector are the sentence vector.
    """

    texts: Sequence[str]
    vectors: FloatArray
    axes: FloatArray
    dim: int

    def of(self, places: Labels) -> _Seen:
        return _Seen([self.texts[i] for i in places], self.vectors[places], self.axes, self.dim)


@dataclass(frozen=True, slots=True)
class _Sides:
    """One training of all three views."""

    words: WordViews
    word_side: Linear
    meaning_side: Kernel
    examples: Nearest

    def views(self, seen: _Seen) -> Views:
        whole = IntentModel((), None, "", self.words, self.word_side, self.meaning_side, self.examples, (1, 1, 1), None)
        return whole.views(seen.texts, seen.vectors)


def learn_intents(
    examples: Sequence[IntentExample], encoder: Encoder, *, outside: str | None = None, told: Told = lambda _: None
) -> IntentModel:
    """Learn to tell the intents of `examples` apart; those of intent `outside` belong to none.

    Nothing is ever refused when `outside` is None; where it has fewer than two examples, intents that are left out
    stand in for it. The model has no scope where nothing unseen shows both sides: two intents and nothing else, or a
    single example of each.

    Raises:
        BadRequest: there are fewer than two intents.
        ModelUnavailable: scikit-learn is not installed, or the encoder cannot be loaded.
    """
    names = _checked(examples, outside)
    texts = [one.text for one in examples]
    rows = np.array([names.index(one.intent) for one in examples])
    told(f"{len(texts)} examples of {len(names)} intents: sentence vectors")
    vectors = deep_vectors(encoder, texts)
    seen = _Seen(texts, vectors, intent_kernel.widest(vectors), encoder.dim)
    column = names.index(outside) if outside in names else None
    parts = _folds(rows, FOLDS)
    tried = []
    for number, part in enumerate(parts, 1):
        told(f"part {number} of {len(parts)}, learned from the others")
        tried.append(_try(seen, rows, part, len(names)))
    blend, scope = FIRST_BLEND, None
    if tried:
        unseen = rows[np.concatenate(parts)]
        views = _joined(tried)
        blend = _blend(views, unseen)
        if column is not None:
            scope = _scope(views.blended(blend), views.nearest, unseen, column)
    if scope is None and outside is not None:
        scope = _scope_without(seen, rows, blend, column)
    told("all examples")
    sides = _learned(seen, rows, len(names))
    known = outside if column is not None else None
    return IntentModel(
        tuple(names),
        known,
        encoder.name,
        sides.words,
        sides.word_side,
        sides.meaning_side,
        sides.examples,
        blend,
        scope,
    )


def _checked(examples: Sequence[IntentExample], outside: str | None) -> list[str]:
    names = {one.intent for one in examples}
    if len(names - {outside}) < 2:
        raise BadRequest("Examples of two or more intents are needed; there is only one, or none.")
    return sorted(names)


def _folds(rows: Labels, folds: int) -> list[Labels]:
    """The examples' places, each in one part; every label is in what is left of each part.

    An only example is in no part: there would be nothing to learn its label from.
    """
    counts = np.bincount(rows)
    seen: Counter[int] = Counter()
    parts: list[list[int]] = [[] for _ in range(folds)]
    for place in np.random.default_rng(0).permutation(len(rows)).tolist():
        label = int(rows[place])
        if counts[label] > 1:
            parts[(seen[label] + label) % folds].append(place)
            seen[label] += 1
    return [np.array(part) for part in parts if part]


def _try(seen: _Seen, rows: Labels, part: Labels, labels: int) -> Views:
    """What is said of `part` by what was learned from the rest."""
    rest = np.setdiff1d(np.arange(len(rows)), part)
    return _learned(seen.of(rest), rows[rest], labels).views(seen.of(part))


def _joined(parts: Sequence[Views]) -> Views:
    return Views(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("words", "meaning", "nearest")))


def _learned(seen: _Seen, rows: Labels, labels: int) -> _Sides:
    try:
        from sklearn.svm import LinearSVC  # type: ignore[import-untyped]
    except ImportError:
        raise ModelUnavailable("Intents need 'scikit-learn': pip install 'chatalogue[serve]'.") from None
    words = fitted(seen.texts)
    svm = LinearSVC(C=SVM_C, random_state=0).fit(words.matrix(seen.texts), rows)
    kernel = intent_kernel.fitted(seen.vectors, rows, labels, seen.axes)
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(labels))
    return _Sides(words, _linear(svm), kernel, Nearest(np.ascontiguousarray(seen.vectors[order, : seen.dim]), starts))


def _linear(model: Any) -> Linear:  # noqa: ANN401 - scikit-learn has no types
    """Weights of every label; for two labels scikit-learn keeps those of the second alone."""
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:
        weights, bias = np.hstack([-weights, weights]), np.array([-bias[0], bias[0]])
    return Linear(np.ascontiguousarray(weights, dtype=np.float32), np.asarray(bias, dtype=np.float32))


def _blend(views: Views, rows: Labels) -> tuple[float, float, float]:
    """How much each view counts: the least log-loss of what was not seen (stacking, Wolpert 1992)."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    parts = np.stack([views.words, views.meaning, views.nearest])
    places = np.arange(len(rows))
    right = parts[:, places, rows]

    def loss(logs: Array) -> tuple[float, Array]:
        weights = np.exp(logs)  # positive: no view speaks against what it says
        chances = softmax(np.tensordot(weights, parts, axes=1))
        slope = (np.einsum("vnk,nk->v", parts, chances) - right.sum(axis=1)) / len(rows)
        return float(-np.log(np.maximum(chances[places, rows], 1e-12)).mean()), slope * weights

    found = minimize(loss, np.log(FIRST_BLEND), jac=True, method="L-BFGS-B", bounds=[(-7.0, 4.0)] * 3)
    first, second, third = np.exp(found.x).tolist()
    return first, second, third


def _scope(logits: Array, nearest: Array, rows: Labels, column: int) -> Scope | None:
    """From what was not seen: the model of being inside, and where refusing begins to cost too much."""
    inside = rows != column
    right = inside & (best_inside(softmax(logits), column) == rows)
    return _fit_scope(scope_features(logits, nearest, column), inside, right)


def _fit_scope(features: Array, inside: NDArray[np.bool_], right: NDArray[np.bool_]) -> Scope | None:
    """None where all are inside, or none is: there is nothing to tell apart."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    if inside.all() or not inside.any():
        return None
    spread = np.maximum(features.std(axis=0), 1e-9)
    model = LogisticRegression(class_weight="balanced").fit(features / spread, inside)
    weights = model.coef_[0] / spread
    scope = Scope(float(model.intercept_[0]), tuple(weights.tolist()), 0.0)
    kept = scope.probability(features[right]) if right.any() else np.zeros(1)
    return Scope(scope.bias, scope.weights, min(EVEN, float(np.quantile(kept, MAX_LOST))))


def _scope_without(seen: _Seen, rows: Labels, blend: tuple[float, float, float], column: int | None) -> Scope | None:
    """As `_scope` where too few examples are of the outside: each part of the intents is outside for the others.

    None where they are too few to leave some out. An example of the outside, `column`, is learned, and not tried.
    """
    features, inside, right = [], [], []
    for left_out, heard in _left_out(rows, column):
        known = np.setdiff1d(np.unique(rows), left_out)
        as_outside = None if column is None else int(np.searchsorted(known, column))
        as_known = np.searchsorted(known, rows)
        learned_from = np.array([i for i in range(len(rows)) if rows[i] in known and i not in heard])
        sides = _learned(seen.of(learned_from), as_known[learned_from], len(known))
        asked = np.array(sorted(heard))
        views = sides.views(seen.of(asked))
        logits = views.blended(blend)
        is_inside = np.isin(rows[asked], known)
        features.append(scope_features(logits, views.nearest, as_outside))
        inside.append(is_inside)
        right.append(is_inside & (best_inside(softmax(logits), as_outside) == as_known[asked]))
    if not features:
        return None
    return _fit_scope(np.concatenate(features), np.concatenate(inside), np.concatenate(right))


def _left_out(rows: Labels, column: int | None) -> Iterator[tuple[Labels, frozenset[int]]]:
    """A third of the intents, and the examples that are tried: all of theirs and a fifth of the others.

    Nothing of the outside, `column`, is among them.
    """
    labels = np.random.default_rng(1).permutation(np.setdiff1d(rows, [] if column is None else [column]))
    kept = [part[np.isin(rows[part], labels)] for part in _folds(rows, FOLDS)]
    for number, left_out in enumerate(np.array_split(labels, min(3, len(labels) - 1))):
        if len(labels) - len(left_out) > 1:
            theirs = np.flatnonzero(np.isin(rows, left_out)).tolist()
            yield left_out, frozenset(theirs).union(kept[number % len(kept)].tolist() if kept else ())
