"""Signals and facts of candidates as a matrix: what the learned ranker sees of each of them.

Columns have stable names, so that a saved ranker finds them again; what a catalogue or a query does not have is NaN
or 0 and no error. Knows nothing of trees. Not covered: what the language model thinks of an item.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agent.rank.examples import FeatureMatrix
from agent.ranking import WishMasks
from retrieval.branches.base import Cues, Scores
from retrieval.encoder import FloatArray
from retrieval.lexical import terms
from retrieval.table import ItemTable, RowArray
from retrieval.text import plain

FIRST_PLACES = 20
"""A signal has found an item that it puts this far up."""
SUM = "sum"
OWN_NUMBERS = ("price", "popularity")
MAX_QUERY_WORDS = 100
"""Longer turns count as this long."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One query as the ranker sees it.

    `last`: the cues of the last turn alone. `signals` by name, those of the last turn begin with "last.". `total`:
    their unlearned sum, float32, (table,). `wishes`: which rows meet what was wished for. `session`: further values,
    one for each row of the table, by name.
    """

    whole: Cues
    last: Cues
    signals: Mapping[str, Scores]
    total: FloatArray
    wishes: WishMasks | None = None
    session: Mapping[str, FloatArray] = field(default_factory=dict)


class FeatureMaker:
    """Makes matrices for one catalogue; safe to share between threads."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table

    def matrix(self, moment: Moment, rows: RowArray) -> FeatureMatrix:
        """The features of candidates, (len(rows), columns); a signal that said nothing has no columns."""
        columns = {
            **self._of_signals(moment, rows),
            **self._of_items(moment, rows),
            **self._of_wishes(moment, rows),
            **self._of_query(moment, rows),
        }
        for name, values in moment.session.items():
            columns[name] = values[rows]
        values = np.stack([np.asarray(column, dtype=np.float32) for column in columns.values()], axis=1)
        return FeatureMatrix(tuple(columns), np.ascontiguousarray(values))

    def _of_signals(self, moment: Moment, rows: RowArray) -> dict[str, FloatArray]:
        """Each signal's value, its share of the signal's best, and its place among the candidates."""
        columns: dict[str, FloatArray] = {}
        found = np.zeros(len(rows), dtype=np.float32)
        scratch = np.zeros(len(self.table), dtype=np.float32)
        for name, scores in sorted(moment.signals.items()):
            if not len(scores.rows):
                continue
            scratch[scores.rows] = scores.values
            values: FloatArray = scratch[rows]
            scratch[scores.rows] = 0.0
            columns[name] = values
            columns[f"{name}/best"] = values * np.float32(1 / float(scores.values.max()))
            columns[f"{name}#"] = place = _places(values)
            found += (place < FIRST_PLACES) & (values > 0)
        columns["found"] = found
        columns[SUM] = moment.total[rows]
        columns[f"{SUM}#"] = _places(moment.total[rows])
        return columns

    def _of_items(self, moment: Moment, rows: RowArray) -> dict[str, FloatArray]:
        """Facts of the items by themselves and against the item spoken of last."""
        seed = _latest(moment.whole)
        columns: dict[str, FloatArray] = {}
        for name, numbers in self._numbers.items():
            columns[f"item.{name}"] = numbers[rows]
            of_seed = float(numbers[seed]) if seed is not None else math.nan
            columns[f"apart.{name}"] = np.abs(numbers[rows] - np.float32(of_seed))
        columns["item.values"] = self._n_values[rows]
        columns["item.title_words"] = self._n_title_words[rows]
        for name, cues in (("title.said", moment.whole), ("title.said_last", moment.last)):
            said = set(terms(plain(cues.text)))
            columns[name] = np.array([_share(self._titles[row], said) for row in rows.tolist()], dtype=np.float32)
        has = self._has_attribute[rows]
        if seed is None:
            columns["kind.same"] = np.full(len(rows), np.nan, dtype=np.float32)
        else:
            of_seed_has = self._has_attribute[seed]
            either = np.maximum((has | of_seed_has).sum(axis=1), 1)
            columns["kind.same"] = ((has & of_seed_has).sum(axis=1) / either).astype(np.float32)
        return columns

    def _of_wishes(self, moment: Moment, rows: RowArray) -> dict[str, FloatArray]:
        """Share of the wishes that an item meets, and of those against something that it breaks."""
        met = moment.wishes
        nothing = np.full(len(rows), np.nan, dtype=np.float32)
        columns = {"wishes.met": nothing, "wishes.broken": nothing}
        if met is None:
            return columns
        for name, polarity in (("wishes.met", "positive"), ("wishes.broken", "negative")):
            wishes = [wish for wish in met.wishes if wish.polarity == polarity]
            if wishes:
                met_by = np.array([met.masks[wish.id][rows] for wish in wishes], dtype=np.float32).sum(axis=0)
                share = met_by / np.float32(len(wishes))
                columns[name] = share if polarity == "positive" else 1 - share
        return columns

    def _of_query(self, moment: Moment, rows: RowArray) -> dict[str, FloatArray]:
        """What is the same for all candidates: trees choose by it which of the others to believe."""
        turns = moment.whole.query.turns
        values = {
            "query.turns": len(turns),
            "query.spoken": len(moment.whole.query.seeds),
            "query.words": min(len(terms(plain(turns[-1]))) if turns else 0, MAX_QUERY_WORDS),
            "query.named_items": len(moment.last.links.items),
        }
        named = [attribute for attribute, _ in moment.last.links.values]
        for attribute in self._text_attributes:
            values[f"query.named.{attribute}"] = named.count(attribute)
        return {name: np.full(len(rows), value, dtype=np.float32) for name, value in values.items()}

    @cached_property
    def demand(self) -> FloatArray:
        """Log of one plus each item's popularity: float32, (table,)."""
        return self._numbers["popularity"]

    @cached_property
    def _numbers(self) -> Mapping[str, FloatArray]:
        """Numbers of all rows by attribute, NaN where there is none; price and demand as logarithms."""
        names = [shape.name for shape in self.table.shape.attributes.values() if shape.kind == "number"]
        numbers = {name: self.table.numbers(name).astype(np.float32) for name in names if name not in OWN_NUMBERS}
        for name in OWN_NUMBERS:
            own = self.table.numbers(name)
            numbers[name] = np.log1p(np.maximum(own, 0.0)).astype(np.float32)
        return numbers

    @cached_property
    def _titles(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(terms(item.title)) for item in self.table.items)

    @cached_property
    def _n_title_words(self) -> FloatArray:
        return np.array([len(words) for words in self._titles], dtype=np.float32)

    @cached_property
    def _n_values(self) -> FloatArray:
        """How many values the catalogue tells of each item."""
        return np.array(
            [
                sum(len(value) if isinstance(value, tuple) else 1 for value in item.attributes.values())
                for item in self.table.items
            ],
            dtype=np.float32,
        )

    @cached_property
    def _text_attributes(self) -> tuple[str, ...]:
        return tuple(sorted(shape.name for shape in self.table.shape.attributes.values() if shape.kind != "number"))

    @cached_property
    def _has_attribute(self) -> NDArray[np.bool_]:
        """Which attributes an item has: bool, (table, attributes); books have no director."""
        names = sorted(self.table.shape.attributes)
        return np.array([[name in item.attributes for name in names] for item in self.table.items], dtype=np.bool_)


def _places(values: FloatArray) -> FloatArray:
    """How many candidates have more, for each: float32, (candidates,); equal values share a place."""
    ordered = np.sort(-values)
    return np.searchsorted(ordered, -values, side="left").astype(np.float32)


def _latest(cues: Cues) -> int | None:
    """The row of the item spoken of last, None where none was."""
    return max(cues.seeds, key=lambda row: (cues.seeds[row], -row), default=None) if cues.seeds else None


def _share(words: frozenset[str], said: set[str]) -> float:
    """Share of a title's words that were said; NaN for a title without words."""
    return len(words & said) / len(words) if words else math.nan
