"""A small catalogue and some talks that the tests of the branches share."""

from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.branches.base import Branch, Cues, Scores
from retrieval.branches.cues import read_cues
from retrieval.branches.linker import EntityLinker
from retrieval.experience import Experience
from retrieval.items import Item
from retrieval.query import Query, SeedItem
from retrieval.table import ItemTable

MANN, SCOTT, NOLAN = "Michael Mann", "Ridley Scott", "Christopher Nolan"


def film(title: str, year: int, director: str, genres: Sequence[str], cast: Sequence[str] = (), text: str = "") -> Item:
    attributes = {"year": float(year), "director": director, "genre": tuple(genres), "cast": tuple(cast)}
    return Item(f"{title}/{year}", title, text, attributes)


def films() -> ItemTable:
    """Twelve films; "crime" and "comedy" are categories, people are names."""
    return ItemTable(
        [
            film("Heat", 1995, MANN, ["crime"], ["Al Pacino", "Robert De Niro"], "A thief and a detective."),
            film("Heat", 1972, "Paul Morrissey", ["comedy"], ["Joe Dallesandro"]),
            film("Collateral", 2004, MANN, ["crime"], ["Tom Cruise", "Jamie Foxx"]),
            film("Up", 2009, "Pete Docter", ["comedy", "animation"], ["Edward Asner"]),
            film("Blade Runner", 1982, SCOTT, ["science fiction"], ["Harrison Ford"]),
            film("Blade Runner 2049", 2017, "Denis Villeneuve", ["science fiction"], ["Harrison Ford"]),
            film("Inception", 2010, NOLAN, ["science fiction", "crime"], ["Elliot Page"]),
            film("Spider-Man: Homecoming", 2017, "Jon Watts", ["comedy"], ["Zendaya"]),
            film("The Godfather", 1972, "Francis Ford Coppola", ["crime"], ["Al Pacino"]),
            film("Amélie", 2001, "Jean-Pierre Jeunet", ["comedy"], ["Audrey Tautou"]),
            film("Alien", 1979, SCOTT, ["science fiction"], ["Sigourney Weaver"]),
            film("Good Time", 2017, "Josh Safdie", ["crime"], ["Robert Pattinson"]),
        ]
    )


def cues(table: ItemTable, *turns: str, seeds: Mapping[str, float] | None = None) -> Cues:
    named = tuple(SeedItem(item_id, attitude) for item_id, attitude in (seeds or {}).items())
    return read_cues(Query(turns=turns, seeds=named), EntityLinker(table), table)


def talk(accepted: str, *turns: str, spoken: Sequence[str] = (), group: str = "g", weight: float = 1.0) -> Experience:
    return Experience(turns, tuple(SeedItem(one, 1.0) for one in spoken), (accepted,), group, weight)


def best(table: ItemTable, scores: Scores | None) -> list[str]:
    """Ids by falling score; [] for a signal that was left out."""
    if scores is None:
        return []
    return [table.ids[row] for row in scores.rows[np.argsort(-scores.values, kind="stable")].tolist()]


def value_of(table: ItemTable, scores: Scores | None, item_id: str) -> float:
    found = {} if scores is None else dict(zip(scores.rows.tolist(), scores.values.tolist(), strict=True))
    return float(found.get(table.row_of(item_id), 0.0))


def check_contract(branch: Branch, table: ItemTable, one: Cues) -> None:
    """What `Scores` promises."""
    for name, scores in branch.scores(one).items():
        assert scores.rows.dtype == np.int32, name
        assert scores.values.dtype == np.float32, name
        assert len(scores.rows) == len(scores.values) == len(np.unique(scores.rows)), name
        assert (scores.values > 0).all(), name
        assert ((scores.rows >= 0) & (scores.rows < len(table))).all(), name
