"""Items that share a value with items spoken of: same director, same brand; which of them matters is learned.

A typed graph item - value - item over every text attribute, years by decade. Knows nothing of words.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array  # type: ignore[import-untyped]

from retrieval.branches.base import Cues, Scores
from retrieval.branches.corpus import MAX_ATTITUDE, MENTION, Corpus
from retrieval.branches.values import ValueLists, read_values, title_words
from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.experience import Experience
from retrieval.table import BoolArray, ItemTable

PREFIX = "metapath."
MAX_LISTED = 20_000
"""A value that more items have says too little to be walked over."""
MAX_SEEDS = 32
"""Items spoken of that are walked from, those of the largest weight."""
PRIOR_STEPS = 20.0
"""So many steps through a value must be seen before its own share counts as much as that of its attribute."""
NAMED = MENTION / MAX_ATTITUDE
"""The weight of an item that was just named; where no seed has it, the walk counts the less."""
TITLE = "title"
"""The attribute of the paths over words of titles."""
FILE = "metapath.json"


@dataclass(frozen=True, slots=True)
class Path:
    """Why an item is near: it shares `value` of `attribute` with the item `seed_id`. `weight` > 0."""

    attribute: str
    value: str
    seed_id: str
    weight: float


class MetapathBranch:
    """Signals `metapath.<attribute>`. Read-only; safe to share between threads."""

    def __init__(
        self, table: ItemTable, shares: Mapping[str, FloatArray], lists: Mapping[str, ValueLists] | None = None
    ) -> None:
        """Take the graph; use `fit`, `of` or `load`.

        Args:
            table: the catalogue.
            shares: by attribute for each of its values how often a step through it was right; float32, (values,).
            lists: from `read_values`, where somebody else has made them already.
        """
        self._table = table
        self._lists = _with_titles(table, lists)
        self._shares = shares
        self._worth = {name: _worth(one, shares.get(name), len(table)) for name, one in self._lists.items()}

    @classmethod
    def fit(cls, table: ItemTable, experiences: Sequence[Experience] = ()) -> MetapathBranch:
        """Mine which values led from items spoken of to accepted ones; without experience all are alike."""
        return cls.of(table, Corpus.of_steps(table, experiences))

    @classmethod
    def of(
        cls,
        table: ItemTable,
        corpus: Corpus,
        keep: BoolArray | None = None,
        lists: Mapping[str, ValueLists] | None = None,
    ) -> MetapathBranch:
        """Mine the experiences of a corpus that `keep` marks."""
        lists = _with_titles(table, lists)
        steps = (corpus if keep is None else corpus.only(keep)).steps().tocoo()
        return cls(table, {name: _shares(one, steps) for name, one in lists.items()}, lists)

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`; what disliked items share counts against an item, seeds themselves get nothing."""
        seeds = sorted(cues.seeds.items(), key=lambda seed: (-abs(seed[1]), seed[0]))[:MAX_SEEDS]
        if not any(weight > 0 for _, weight in seeds):
            return {}
        found = {}
        for name, lists in self._lists.items():
            scores = self._walked(lists, self._worth[name], seeds)
            if len(scores.rows):
                found[f"{PREFIX}{name}"] = scores
        return found

    def explain(self, seed_rows: Sequence[int], row: int) -> tuple[Path, ...]:
        """Every value that `row` shares with a seed, the one that says most first."""
        paths: list[Path] = []
        for name, lists in self._lists.items():
            own = set(lists.of(row).tolist())
            for seed in seed_rows:
                if seed == row:
                    continue
                for number in own.intersection(lists.of(seed).tolist()):
                    weight = float(self._worth[name][number])
                    if weight > 0:
                        paths.append(Path(name, lists.values[number], self._table.ids[seed], weight))
        return tuple(sorted(paths, key=lambda path: (-path.weight, path.attribute, path.value, path.seed_id)))

    def save(self, folder: pathlib.Path) -> None:
        """Write what was mined; the graph itself is in the catalogue.

        Raises:
            OSError: the disk is full or read-only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        shares = {
            name: dict(zip(self._lists[name].values, np.round(one.astype(np.float64), 6).tolist(), strict=True))
            for name, one in self._shares.items()
        }
        (folder / FILE).write_text(json.dumps({"shares": shares}, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(
        cls, folder: pathlib.Path, table: ItemTable, lists: Mapping[str, ValueLists] | None = None
    ) -> MetapathBranch:
        """Open what `save` wrote; values that the catalogue did not have then count as those of their attribute.

        Raises:
            IndexUnavailable: the file is missing or damaged.
        """
        lists = _with_titles(table, lists)
        try:
            written = json.loads((folder / FILE).read_text(encoding="utf-8"))["shares"]
            shares = {}
            for name in written.keys() & lists.keys():
                known = {value: float(share) for value, share in written[name].items()}
                usual = float(np.mean(list(known.values()))) if known else 1.0
                shares[name] = np.array([known.get(value, usual) for value in lists[name].values], dtype=np.float32)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise IndexUnavailable(
                f"What was learned of paths in {str(folder)!r} cannot be read ({exc}): fit it again from the log."
            ) from exc
        return cls(table, shares, lists)

    def _walked(self, lists: ValueLists, worth: FloatArray, seeds: Sequence[tuple[int, float]]) -> Scores:
        rows, values = [], []
        for seed, weight in seeds:
            for number in lists.of(seed).tolist():
                if worth[number] > 0:
                    having = lists.having(number)
                    rows.append(having)
                    values.append(np.full(len(having), weight * worth[number], dtype=np.float32))
        if not rows:
            return Scores(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
        scores = Scores.summed(np.concatenate(rows), np.concatenate(values), len(self._table))
        others = ~np.isin(scores.rows, [seed for seed, _ in seeds])
        strongest = max(weight for _, weight in seeds)
        return Scores(scores.rows[others], scores.values[others], min(strongest / NAMED, 1.0))


def _with_titles(table: ItemTable, lists: Mapping[str, ValueLists] | None) -> Mapping[str, ValueLists]:
    lists = read_values(table) if lists is None else lists
    return lists if TITLE in lists else {TITLE: title_words(table), **lists}


def _worth(lists: ValueLists, shares: FloatArray | None, n_items: int) -> FloatArray:
    """log(1 + p N / n): how much likelier than chance a step through each value finds; 0 for values too common."""
    counts = lists.counts
    lift = (1.0 if shares is None else shares) * n_items / np.maximum(counts, 1)
    return np.where(counts <= MAX_LISTED, np.log1p(lift), 0.0).astype(np.float32)


def _shares(lists: ValueLists, steps: coo_array) -> FloatArray:
    """For each value the share of steps from an item that has it to another that has it, too: float32, (values,).

    `steps` in coordinates: [spoken, accepted] and how often. Smoothed by the share of the whole attribute.
    """
    n_values = len(lists.values)
    has = csr_array(
        (np.ones(len(lists.numbers), dtype=np.float32), lists.numbers, lists.number_starts),
        shape=(len(lists.number_starts) - 1, n_values),
    )
    spoken, accepted = has[steps.row], has[steps.col]
    tried = np.asarray(steps.data @ spoken).ravel()
    right = np.asarray(steps.data @ spoken.multiply(accepted).tocsr()).ravel()
    usual = (right.sum() + 1.0) / (tried.sum() + 1.0)  # 1 without experience
    smoothed: FloatArray = ((right + PRIOR_STEPS * usual) / (tried + PRIOR_STEPS)).astype(np.float32)
    return smoothed
