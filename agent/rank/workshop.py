"""Where a ranker is made: experiences in, branches and a ranker learned from them out.

Branches learn from all experiences; the ranker's examples come from branches that did not see the example's group
(`crossfit`). Knows nothing of where experiences come from and of how a ranker is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from agent.rank.crossfit import FOLDS, cross_fitted
from agent.rank.described import DescribedBranch
from agent.rank.examples import Example, NegativeRules, kept
from agent.rank.features import FeatureMaker
from agent.rank.habits import HabitsBranch, Lesson
from agent.rank.moments import Reader, Scout, Views, texts_of
from agent.rank.shortlist import Shortlisting
from retrieval.branches.base import Branch
from retrieval.branches.collaborative import CollaborativeBranch
from retrieval.branches.conversational import ConversationalBranch
from retrieval.branches.corpus import Corpus
from retrieval.branches.linker import EntityLinker
from retrieval.branches.metapath import MetapathBranch
from retrieval.branches.names import NamesBranch
from retrieval.branches.values import read_values
from retrieval.encoder import Encoder, FloatArray
from retrieval.experience import Experience
from retrieval.items import MAX_DOCUMENT_CHARS
from retrieval.query import Query
from retrieval.ratings.interactions import Interactions
from retrieval.table import BoolArray, ItemTable, RowArray

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told (stage, done, of)."""

Further: TypeAlias = Callable[[ItemTable, Mapping[str, Interactions]], Branch]
"""Makes a branch that is not ours from the catalogue and the interactions by their source."""

TALKS = "talks"
"""The source of interactions that the experiences themselves are."""
DENSE = "dense"
EMBEDDED_CHARS = 240
"""What is embedded of an item where talks say more of it than its description does: half the time, the same recall."""
EMBEDDED_AT_ONCE = 256
"""Texts between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Interactions besides the experiences, by the name that their signals get.

    `fixed` belong to nobody who is learned from. `grouped` do: `group_of` says to whose group the user of an
    interaction belongs, so that no example is made with what its own customer likes.
    """

    fixed: Mapping[str, Interactions] = field(default_factory=dict)
    grouped: Mapping[str, Interactions] = field(default_factory=dict)
    group_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Past:
    """An experience that was read: what was said and named, and the rows that were newly taken."""

    number: int
    experience: Experience
    views: Views
    taken: RowArray

    @property
    def group(self) -> str:
        """The experience's."""
        return self.experience.group


class Workshop:
    """One catalogue and its experiences, read once and fitted on as often as there are folds."""

    def __init__(
        self,
        table: ItemTable,
        encoder: Encoder | None,
        experiences: Sequence[Experience] = (),
        sources: Sources | None = None,
        *,
        how: Shortlisting | None = None,
        without: frozenset[str] = frozenset(),
        further: Sequence[Further] = (),
        vectors: FloatArray | None = None,
        progress: Progress = lambda stage, done, of: None,
    ) -> None:
        """Read everything; `without` names branches that are left out: "names", "metapath", "dense" ...

        `vectors`: unit vectors of the items, float32, (items, dim), where there are some already.
        """
        self.table = table
        self.how = how or Shortlisting()
        self._without = without
        self._further = further
        self._sources = sources or Sources()
        self._progress = progress
        self._encoder = None if DENSE in without else encoder
        self.vectors = vectors
        if vectors is None:
            chars = EMBEDDED_CHARS if experiences else MAX_DOCUMENT_CHARS
            self.vectors = self._embedded("items", [item.document()[:chars] for item in table.items])
        self.reader = Reader(table, EntityLinker(table), self._encoder)
        self._lists = read_values(table)
        self.pasts, vectors = self._read(experiences)
        self._corpus = Corpus.of(table, experiences, vectors)
        self._fixed = tuple(self._fixed_branches())

    def scout(self, pasts: Sequence[Past] | None = None) -> Scout:
        """The branches, fitted on some of the experiences; on all of them where None."""
        pasts = self.pasts if pasts is None else pasts
        return Scout(self.table, [*self._fixed, *self._learned_branches(pasts)], self.how)

    def examples(self, *, n_folds: int = FOLDS, rules: NegativeRules | None = None) -> list[Example]:
        """One example for each experience in which something new was taken, made by cross-fitting."""
        maker = FeatureMaker(self.table)
        make = partial(self._example, maker=maker, rules=rules or NegativeRules())
        report = partial(self._progress, "learning")
        found = cross_fitted(self.pasts, self.scout, make, n_folds=n_folds, progress=report)
        return [one for one in found if one is not None]

    def allowed(self, query: Query) -> BoolArray:
        """What may be ranked for a query without filters: everything that was not spoken of and is not excluded."""
        allowed = np.ones(len(self.table), dtype=np.bool_)
        allowed[self.table.rows_of(query.exclude)] = False
        allowed[self.table.rows_of(seed.item_id for seed in query.seeds)] = False
        return allowed

    def _example(self, scout: Scout, past: Past, *, maker: FeatureMaker, rules: NegativeRules) -> Example | None:
        if not len(past.taken):
            return None
        moment = scout.moment(past.views)
        rows = scout.candidates(moment, self.allowed(past.views.whole.query))
        labels = np.isin(rows, past.taken).astype(np.int8)
        missed = len(past.taken) - int(labels.sum())
        random = np.random.default_rng(past.number)
        kept_rows = kept(labels, maker.demand[rows], rules, random)
        features = maker.matrix(moment, rows).take(kept_rows)
        return Example(features, labels[kept_rows], past.group, missed, past.experience.weight)

    def _read(self, experiences: Sequence[Experience]) -> tuple[tuple[Past, ...], FloatArray | None]:
        """The experiences with their cues, and the vectors of what was said before each."""
        queries = [Query(turns=one.turns, seeds=one.spoken) for one in experiences]
        texts = [texts_of(query) for query in queries]
        wholes = self._embedded("talks", [whole for whole, _ in texts])
        lasts = self._embedded("last turns", [last for _, last in texts])
        pasts = []
        for number, (one, query) in enumerate(zip(experiences, queries, strict=True)):
            vectors = None if wholes is None or lasts is None else (wholes[number], lasts[number])
            spoken = {seed.item_id for seed in one.spoken}
            taken = self.table.rows_of(dict.fromkeys(item for item in one.accepted if item not in spoken))
            pasts.append(Past(number, one, self.reader.read(query, vectors), taken))
            self._progress("reading", number + 1, len(queries))
        return tuple(pasts), wholes

    def _embedded(self, stage: str, texts: Sequence[str]) -> FloatArray | None:
        """Unit vectors, equal texts embedded once: float32, (texts, dim); None without an encoder or texts."""
        if self._encoder is None or not texts:
            return None
        distinct = list(dict.fromkeys(texts))
        parts = []
        for start in range(0, len(distinct), EMBEDDED_AT_ONCE):
            self._progress(f"embedding {stage}", start, len(distinct))
            parts.append(self._encoder.encode(distinct[start : start + EMBEDDED_AT_ONCE]))
        place = {text: at for at, text in enumerate(distinct)}
        vectors: FloatArray = np.concatenate(parts)[[place[text] for text in texts]]
        return vectors

    def _fixed_branches(self) -> Iterator[Branch]:
        """Those that no experience changes."""
        self._progress("describing", 0, 1)
        yield DescribedBranch(self._corpus, self.vectors, without=self._without)
        if "names" not in self._without:
            yield NamesBranch(self.table, self._lists)
        if "collaborative" not in self._without and self._sources.fixed:
            yield CollaborativeBranch.fit(self.table, self._sources.fixed, self.vectors)

    def _learned_branches(self, pasts: Sequence[Past]) -> Iterator[Branch]:
        """Those that learn from experiences."""
        keep = np.zeros(len(self.pasts), dtype=np.bool_)
        keep[[past.number for past in pasts]] = True
        if "conversational" not in self._without and len(pasts):
            yield ConversationalBranch.of(self.table, self._corpus, keep)
        if "metapath" not in self._without:
            yield MetapathBranch.of(self.table, self._corpus, keep, self._lists)
        if "habits" not in self._without and len(pasts):
            lessons = [Lesson(past.views.whole.links, past.taken) for past in pasts]
            yield HabitsBranch(self.table, lessons, self._lists)
        if "collaborative" not in self._without and len(pasts):
            yield CollaborativeBranch.fit(self.table, self._interactions(pasts), self.vectors)
        for make in self._further:
            yield make(self.table, {**self._sources.fixed, **self._interactions(pasts)})

    def _interactions(self, pasts: Sequence[Past]) -> Mapping[str, Interactions]:
        groups = {past.group for past in pasts}
        talks = Interactions.of_experience(past.experience for past in pasts)
        strangers = [user for user, group in self._sources.group_of.items() if group not in groups]
        return {TALKS: talks} | {name: one.without(strangers) for name, one in self._sources.grouped.items()}
