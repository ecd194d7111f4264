"""One benchmark run: files in, a list for each test row and everything that can be said of the lists out.

    inputs = read_inputs(files)
    answers = answer(inputs, encoder)
    figures = measure(inputs, answers)

Knows nothing of how items are ranked (pipeline.py) and of how figures are printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from agent.bench.retrieval.dialogues import Ranked, Row, read_items, read_likes, read_ranked, read_rows
from agent.bench.retrieval.exposure import measure_exposure, popularity_of
from agent.bench.retrieval.figures import CEILING_K, Ceiling, ComparedFiles, Diversified, RetrievalFigures
from agent.bench.retrieval.leaks import Finding, find_leaks
from agent.bench.retrieval.pipeline import Bundle, Progress, RetrievalSystem, fit
from agent.bench.retrieval.recall import Comparison, Labels, compare, score, share_found
from agent.bench.retrieval.variety import Catalogue, prices
from agent.bench.spread import Spread
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest

T = TypeVar("T")

CEILING_ROWS = 600
"""Rows, taken evenly, on which ceilings are measured: a second pass over every row would double the time of a run."""
FEATURES = 15
"""Features of the ranker that are named."""
BATCH = 8
"""From so many texts on it is no query that is embedded."""


def _silent(stage: str, done: int, of: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a benchmark; None where there is none. `ratings` is a MovieLens folder."""

    items: Path
    test: Path
    train: Path | None = None
    valid: Path | None = None
    likes: Path | None = None
    ratings: Path | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the files hold. `notes` are sentences on what was left out."""

    bundle: Bundle
    test: tuple[Row, ...]
    leaks: tuple[Finding, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """The lists of all test rows, in their order, and what made them in `fit_s` seconds."""

    lists: tuple[Ranked, ...]
    system: RetrievalSystem
    fit_s: float


def read_inputs(files: Files, progress: Progress = _silent) -> Inputs:
    """Read everything and look for leaks.

    Raises:
        BadRequest: a file is missing or is not of its format; there is no item.
    """
    progress("reading", 0, 1)
    read = read_items(files.items)
    items = tuple({item.id: item for item in reversed(read)}.values())[::-1]
    if not items:
        raise BadRequest(f"{str(files.items)!r} has no item; there is nothing to rank.")
    if files.ratings is not None and not files.ratings.is_dir():
        raise BadRequest(f"There is no folder {str(files.ratings)!r}; --ratings is a MovieLens folder.")
    bundle = Bundle(
        items=items,
        train=read_rows(files.train) if files.train else (),
        valid=read_rows(files.valid) if files.valid else (),
        likes=read_likes(files.likes) if files.likes else (),
        ratings=files.ratings,
    )
    test = read_rows(files.test)
    progress("looking for leaks", 0, 1)
    others = {"train": bundle.train, "valid": bundle.valid}
    named = {name: rows for name, rows in others.items() if rows}
    leaks = find_leaks({**named, "test": test}, items, bundle.likes)
    twice = len(read) - len(items)
    notes = (f"{twice} items have an id that another has, too; the first of each is kept.",) if twice else ()
    return Inputs(bundle, test, leaks, notes)


def answer(
    inputs: Inputs, encoder: Encoder, *, without: frozenset[str] = frozenset(), progress: Progress = _silent
) -> Answers:
    """Train on what the bundle gives, then rank every test row."""
    started = time.perf_counter()
    system = fit(inputs.bundle, encoder, without=without, progress=progress)
    fit_s = time.perf_counter() - started
    return Answers(lists_of(system, inputs.test, progress), system, round(fit_s, 1))


def lists_of(system: RetrievalSystem, rows: Sequence[Row], progress: Progress = _silent) -> tuple[Ranked, ...]:
    """The lists for rows, with honest times."""
    for row in rows[:1]:
        system.rank(row)  # what is loaded on first use is no cost of a query
    return tuple(system.rank(row) for row in _each(rows, "ranking", progress))


def measure(
    inputs: Inputs,
    answers: Answers,
    *,
    without: frozenset[str] = frozenset(),
    provider: str | None = None,
    progress: Progress = _silent,
) -> RetrievalFigures:
    """Everything that can be said of the lists; ceilings, recall and the price of diversity where there are targets."""
    rows, bundle = inputs.test, inputs.bundle
    novel = any(row.novel for row in rows)
    known = {item.id for item in bundle.items}
    popularity = popularity_of(bundle.train, bundle.items)
    system = answers.system
    diversity: tuple[Diversified, ...] = ()
    if novel and system.vectors is not None:
        progress("measuring", 0, 1)
        catalogue = Catalogue.of(bundle.items, system.vectors)
        diversity = prices(rows, answers.lists, catalogue, popularity, system.spread)
    return RetrievalFigures(
        n_items=len(bundle.items),
        n_train=len(bundle.train),
        n_rows=len(rows),
        without=tuple(sorted(without)),
        novel=score(rows, answers.lists) if novel else None,
        everything=score(rows, answers.lists, "all") if any(row.targets for row in rows) else None,
        in_catalogue=share_found(rows, [known] * len(rows)) if novel else None,
        ceilings=_ceilings(rows, system, progress) if novel else (),
        exposure=measure_exposure(answers.lists, bundle.items, popularity, provider=provider),
        diversity=diversity,
        ms=Spread.of([one.ms for one in answers.lists]),
        fit_s=answers.fit_s,
        importance={name: round(share, 4) for name, share in list(system.importance().items())[:FEATURES]},
        leaks=inputs.leaks,
    )


def compare_files(test: Path, first: Path, second: Path) -> ComparedFiles:
    """Two prediction files on the rows of `test`, paired label by label.

    Raises:
        BadRequest: a file is missing or is not of its format, or no row has a label.
    """
    rows, one, other = read_rows(test), read_ranked(first), read_ranked(second)
    if not any(row.targets for row in rows):
        raise BadRequest(f"No row of {str(test)!r} has targets; a comparison needs a file that tells them.")
    ids = [{ranked.id for ranked in lists} for lists in (one, other)]
    n_missing = [sum(row.id not in answered for row in rows) for answered in ids]

    def difference(labels: Labels) -> Comparison:
        return compare(rows, one, other, labels)

    return ComparedFiles(
        first=first.name,
        second=second.name,
        missing=(n_missing[0], n_missing[1]),
        novel=difference("novel") if any(row.novel for row in rows) else None,
        everything=difference("all"),
    )


def _ceilings(rows: Sequence[Row], system: RetrievalSystem, progress: Progress) -> tuple[Ceiling, ...]:
    """What a perfect ranker could reach, branch by branch."""
    labelled = [row for row in rows if row.novel]
    labelled = labelled[:: -(-len(labelled) // CEILING_ROWS)]
    n = sum(len(row.novel) for row in labelled)
    found = [system.branch_lists(row, CEILING_K) for row in _each(labelled, "branches", progress)]
    branches = dict.fromkeys(name for lists in found for name in lists)
    ceilings = []
    for branch in branches:
        ids = [set(lists.get(branch, ())) for lists in found]
        middle = float(np.median([len(one) for one in ids]))
        ceilings.append(Ceiling(branch=branch, n=n, recall=share_found(labelled, ids), ids=middle))
    return tuple(sorted(ceilings, key=lambda one: one.ids))  # what holds more stands lower


def _each(values: Sequence[T], stage: str, progress: Progress) -> Iterator[T]:
    """The values, one by one, with their number told."""
    for number, value in enumerate(values):
        progress(stage, number, len(values))
        yield value
    progress(stage, len(values), len(values))
