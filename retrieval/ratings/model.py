"""Predicted ratings from item texts and a user's history: the trained network, in numpy.

Knows nothing of how it was trained (`retrieval.ratings.training`) and needs no torch. Not covered: the time of a
rating; facts of a user beyond the ratings.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from retrieval.errors import IndexUnavailable
from retrieval.ratings.base import Biases, History, within_scale
from retrieval.ratings.interactions import FloatArray, IntArray
from retrieval.table import RowArray

FILE = "ratings.npz"

COUNT_SCALE = 0.2
"""Brings logarithms of counts, 0 .. 8, to the size of the network's other inputs."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What training leaves; n items, d numbers of an item, h heads of attention, m hidden units.

    `taste` (n, d), `key` and `query` (n, h, d): an item's vectors, each a projection of its text's vector plus an
    offset of its own (0 for an item without ratings). `null` (h,): how much a head holds back. `shrinkage`: ratings at
    the mean that a user's vector starts with. `head_gain` (h,), `taste_gain`: how the two count directly. `hidden`
    (d + h + 4, m), `hidden_bias` (m,), `out` (m,), `out_bias`: the network of one hidden layer. All float32.
    """

    taste: FloatArray
    key: FloatArray
    query: FloatArray
    null: FloatArray
    shrinkage: FloatArray
    head_gain: FloatArray
    taste_gain: FloatArray
    hidden: FloatArray
    hidden_bias: FloatArray
    out: FloatArray
    out_bias: FloatArray


class RatingModel:
    """A `Rater`: biases, plus what the liking of similar items says.

    Two readings of the history, both of stars less the mean, item's and user's biases: the user's vector (the mean of
    the rated items' vectors, weighted by those stars, as the first idea of this project had it) times the item's, and
    attention from the item to what was rated, which asks "what did this user think of the most similar ones?".
    """

    def __init__(self, biases: Biases, weights: Weights) -> None:
        self._biases = biases
        self._weights = weights

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`; 0.5 ms for 200 items after 20 ratings."""
        biases, w = self._biases, self._weights
        n = len(history.items)
        user = np.float32(biases.of_user(history))
        rest = biases.surprises(history) - user  # (n,)
        vector = rest @ w.taste[history.items] / (n + w.shrinkage)  # (d,)
        agreement = vector * w.taste[items]  # (m, d)
        heads = _attention(w.query[items], w.key[history.items], w.null, rest)  # (m, h)
        inputs = np.empty((len(items), w.hidden.shape[0]), dtype=np.float32)
        d, h = agreement.shape[1], heads.shape[1]
        inputs[:, :d], inputs[:, d : d + h] = agreement, heads
        inputs[:, d + h], inputs[:, d + h + 1] = user, biases.item[items]
        inputs[:, d + h + 2] = COUNT_SCALE * np.log1p(n)
        inputs[:, d + h + 3] = COUNT_SCALE * np.log1p(biases.count[items])
        layer = np.maximum(inputs @ w.hidden + w.hidden_bias, 0)
        corrections = heads @ w.head_gain + w.taste_gain * agreement.sum(axis=1) + layer @ w.out + w.out_bias
        return within_scale(biases.expected(history, items) + corrections)

    def scores(self, seeds: Mapping[int, float], rows: RowArray) -> FloatArray:
        """Stars for `rows` from attitudes (-2 .. 2) towards items by row: attitude 0 is the mean of all ratings."""
        stars = np.float32(self._biases.mean) + np.array(list(seeds.values()), dtype=np.float32)
        return self.predict(History(np.array(list(seeds), dtype=np.int32), within_scale(stars)), rows)

    def save(self, folder: Path) -> None:
        """Write `FILE`; it is complete or absent.

        Raises:
            OSError: the disk is full or read-only.
        """
        arrays = {field.name: getattr(self._weights, field.name) for field in fields(Weights)}
        biases = self._biases
        part = folder / f".{FILE}.{os.getpid()}"
        try:
            with part.open("wb") as out:
                np.savez(out, mean=np.array(biases.mean), item=biases.item, count=biases.count, **arrays)
            os.replace(part, folder / FILE)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path, n_items: int) -> RatingModel:
        """Read what `save` wrote for a catalogue of so many items.

        Raises:
            IndexUnavailable: the file is missing, damaged or of another catalogue.
        """
        try:
            # Opened here, because numpy leaves a damaged file open.
            with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as saved:
                weights = Weights(**{field.name: saved[field.name] for field in fields(Weights)})
                biases = Biases(float(saved["mean"]), saved["item"], saved["count"])
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise IndexUnavailable(
                f"The rating model in {str(folder)!r} cannot be read ({error}): learn it again."
            ) from error
        if len(biases.item) != n_items:
            raise IndexUnavailable(
                f"The rating model in {str(folder)!r} is of {len(biases.item)} items, the catalogue has {n_items}: "
                "learn it again."
            )
        return cls(biases, weights)


def _attention(query: FloatArray, key: FloatArray, null: FloatArray, rest: FloatArray) -> FloatArray:
    """The mean of `rest` (n,) over the history, nearest keys first, for each item and head: float32 (m, h).

    A head's own logit `null` takes its share of the weights for nothing, so that few and far items say little.
    """
    likeness = (query.transpose(1, 0, 2) @ key.transpose(1, 2, 0)) / np.float32(np.sqrt(query.shape[2]))  # (h, m, n)
    highest = np.maximum(likeness.max(axis=2, initial=-np.inf), null[:, None])  # (h, m)
    share = np.exp(likeness - highest[:, :, None])
    total = share.sum(axis=2) + np.exp(null[:, None] - highest)
    # Not `@`: on some processors OpenBLAS raises the flag "invalid" for small products of finite numbers.
    heads: FloatArray = (np.einsum("hmn,n->hm", share, rest) / total).T
    return heads
