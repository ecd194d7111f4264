"""Ratings in the format of MovieLens, and their films found again in a catalogue by title and year.

Knows nothing of models. Not covered: MovieLens files before 2015 (`u.data`, `ratings.dat`).
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.errors import CatalogueError
from retrieval.items import Item
from retrieval.ratings.base import HIGHEST, LOWEST, MIDDLE, Ratings
from retrieval.ratings.interactions import Interactions
from retrieval.table import ItemTable
from retrieval.text import tokens

YEARS_APART = 1
"""Years that two sources may differ about one film: festival against cinema, country against country."""

_YEAR = re.compile(r"\((\d{4})(?:\s*[-\u2013]\s*(?:\d{4})?)?\)\s*$")
_BRACKETS = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)")
_ALIAS = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_ARTICLES = frozenset(
    "the a an la le les l los las el un une una der die das ein eine il lo gli i de det den en et het o os as".split()
)
_LONG_FORMS = {"vol": "volume", "pt": "part"}


@dataclass(frozen=True, slots=True)
class Film:
    """One line of movies.csv: `titles` has the main title first, articles where they belong; `year` None if untold."""

    id: str
    titles: tuple[str, ...]
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MovieLens:
    """Films and who rated them; the items of `ratings` are positions in `films`."""

    films: tuple[Film, ...]
    ratings: Ratings

    def interactions(self, items: Mapping[int, str]) -> Interactions:
        """Ratings of the films that have an item, by position; the attitude is the distance from `MIDDLE`."""
        found = self.ratings
        return Interactions.of(
            (f"movielens:{user}", items[film], stars - MIDDLE)
            for user, film, stars in zip(found.user.tolist(), found.item.tolist(), found.stars.tolist(), strict=True)
            if film in items
        )


def read_movielens(folder: Path) -> MovieLens:
    """Read movies.csv and ratings.csv of a folder, each as it is or with .gz.

    Raises:
        CatalogueError: a file is missing or not of this format; the sentence names it.
    """
    films = tuple(
        _film(values, where) for values, where in _table(folder, "movies.csv", ("movieId", "title", "genres"))
    )
    position = {film.id: number for number, film in enumerate(films)}
    users: dict[str, int] = {}
    triples: list[tuple[int, int, float]] = []
    for (user, film, rating), where in _table(folder, "ratings.csv", ("userId", "movieId", "rating")):
        if film not in position:
            raise CatalogueError(f"{where} rates the film {film!r}, which movies.csv does not have.")
        triples.append((users.setdefault(user, len(users)), position[film], _rating(rating, where)))
    columns = np.array(triples, dtype=np.float64).reshape(-1, 3)
    rater, rated = columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32)
    return MovieLens(films, Ratings(rater, rated, columns[:, 2].astype(np.float32), len(users), len(films)))


def join(table: ItemTable, movies: MovieLens) -> dict[int, str]:
    """Position of a film -> id of the item that is this film; every item and every film at most once.

    They agree in a title, without case, accents, articles and signs, and in the year within `YEARS_APART`; in the very
    year where they agree only up to a colon ("Star Wars", "Star Wars: Episode IV"). A film without a partner of its
    year may take an item without a year. Of several the nearest year counts, then the film with more ratings.
    """
    n_ratings = np.bincount(movies.ratings.item, minlength=len(movies.films))
    by_key: dict[str, dict[int, bool]] = defaultdict(dict)
    for position, film in enumerate(movies.films):
        for key, whole in _keys(film.titles).items():
            by_key[key][position] = whole
    proposals: list[tuple[float, int, int, int]] = []
    for row, item in enumerate(table.items):
        year = _item_year(item)
        for key, whole in _keys(_spellings(item.title)).items():
            for position, film_whole in by_key.get(key, {}).items():
                apart = _apart(year, movies.films[position].year, whole=whole and film_whole)
                if apart is not None:
                    proposals.append((apart, -int(n_ratings[position]), row, position))
    found: dict[int, str] = {}
    taken: set[int] = set()
    for _, _, row, position in sorted(proposals):
        if position not in found and row not in taken:
            found[position] = table.ids[row]
            taken.add(row)
    return found


def _table(folder: Path, name: str, columns: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """The named columns of each line, with words that say where it stands."""
    file = next((one for one in (folder / name, folder / f"{name}.gz") if one.is_file()), None)
    if file is None:
        raise CatalogueError(
            f"{str(folder)!r} has no {name} (or {name}.gz): give a MovieLens folder, with movies.csv and ratings.csv."
        )
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            if not set(columns) <= set(header):
                raise CatalogueError(f"{str(file)!r} needs the columns {', '.join(columns)}; it has {header!r:.80}.")
            places = [header.index(column) for column in columns]
            for number, row in enumerate(rows, 2):
                where = f"line {number} of {str(file)!r}"
                if len(row) != len(header):
                    raise CatalogueError(f"{where} has {len(row)} columns, expected {len(header)}.")
                yield [row[place] for place in places], where
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogueError(f"{str(file)!r} cannot be read ({error}).") from None


def _film(values: Sequence[str], where: str) -> Film:
    identity, title, genres = values
    if not identity or not title.strip():
        raise CatalogueError(f"{where} has no movieId or no title.")
    told = _YEAR.search(title.strip())
    return Film(
        id=identity,
        titles=_spellings(title),
        year=int(told.group(1)) if told else None,
        genres=tuple(genre for genre in genres.split("|") if genre and not genre.startswith("(")),
    )


def _rating(text: str, where: str) -> float:
    try:
        rating = float(text)
    except ValueError:
        rating = float("nan")
    if not LOWEST <= rating <= HIGHEST:
        raise CatalogueError(f"{where} has the rating {text!r}, expected {LOWEST:g} .. {HIGHEST:g}.")
    return rating


def _spellings(title: str) -> tuple[str, ...]:
    """The main title and those in brackets: "Seven (a.k.a. Se7en) (1995)" gives Seven, Se7en."""
    title = _YEAR.sub("", title.strip()).strip()
    inside = [_ALIAS.sub("", found.strip()) for found in _BRACKETS.findall(title)]
    main = _BRACKETS.sub("", title).strip()
    given = [main or title, *(one for one in inside if not one.isdigit())]
    return tuple(dict.fromkeys(_article_first(one) for one in given if one))


def _article_first(title: str) -> str:
    """So that "Matrix, The" becomes "The Matrix"."""
    head, comma, tail = title.rpartition(", ")
    return f"{tail} {head}" if comma and tail.rstrip("'").lower() in _ARTICLES else title


def _keys(titles: Sequence[str]) -> dict[str, bool]:
    """Keys of the titles -> True, and of what stands before a colon -> False."""
    short = {_key(title.partition(":")[0]): False for title in titles if ":" in title}
    return short | {_key(title): True for title in titles}


def _key(title: str) -> str:
    """What two spellings of one title share; a title of nothing but articles keeps them."""
    words = [_LONG_FORMS.get(word, word) for word in tokens(title) if word != "and"]
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def _item_year(item: Item) -> int | None:
    value = item.attributes.get("year")
    if isinstance(value, tuple):
        value = value[0] if value else None
    if isinstance(value, str):
        value = float(value) if value.isdigit() else None
    if value is not None:
        return int(value)
    told = _YEAR.search(item.title)
    return int(told.group(1)) if told else None


def _apart(one: int | None, other: int | None, *, whole: bool) -> float | None:
    """How many years lie between, worse than any allowed number where one is untold; None: not the same film."""
    if not whole:
        return 0.5 if one is not None and one == other else None
    if one is None or other is None:
        return YEARS_APART + 1.0
    return float(abs(one - other)) if abs(one - other) <= YEARS_APART else None
