"""Checks every fact of the shipped catalogue against the data files, and lints its texts.

    python -m retrieval.demo.tools.check_facts --wikidata movies.csv.gz --open movies.jsonl.gz

Written apart from `build`: a film is found here by title, year and director, there by its IMDb id; the two share no
reading code. Exit code 1 on any disagreement. Invented shop data (price, format, stock) is not a fact and not checked.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from retrieval.demo import demo_films_path

FOLDER = Path(__file__).resolve().parent

PLAIN_NAMES = {
    "American English": "English",
    "Australian English": "English",
    "Egyptian language": "Egyptian",
    "Yue Chinese": "Cantonese",
    "People's Republic of China": "China",
    "The Bahamas": "Bahamas",
}
"""The only renamings of Wikidata's values that the catalogue may make."""

WORDS_LOW, WORDS_HIGH = 30, 55
RUN_WORDS = 5
"""A synopsis shares no run of this many words with the encyclopedia's opening: the texts are our own."""

Row: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class Tally:
    """Values of one field: how many were compared, how many of them are as in the data, and the ones that are not."""

    checked: int = 0
    agree: int = 0
    complaints: list[str] = field(default_factory=list)

    def compare(self, ok: bool, complaint: str) -> None:
        """Count one value."""
        self.checked += 1
        if ok:
            self.agree += 1
        else:
            self.complaints.append(complaint)


@dataclass(frozen=True, slots=True)
class Report:
    """`fields` by name, `shipped` facts in the catalogue, `lint` complaints about texts and ids."""

    fields: Mapping[str, Tally]
    shipped: int
    lint: Sequence[str]

    @property
    def checked(self) -> int:
        """Facts compared with the data files."""
        return sum(tally.checked for tally in self.fields.values())

    @property
    def ok(self) -> bool:
        """Everything was compared, everything agrees, no text has a fault."""
        agree = sum(tally.agree for tally in self.fields.values())
        return agree == self.checked == self.shipped and not self.lint

    def lines(self) -> list[str]:
        """For the terminal: counts by field, then each complaint."""
        out = [f"{'field':<12}{'checked':>8}{'agree':>8}{'disagree':>9}"]
        for name, tally in self.fields.items():
            out.append(f"{name:<12}{tally.checked:>8}{tally.agree:>8}{tally.checked - tally.agree:>9}")
        share = 100 * self.checked / self.shipped if self.shipped else 0.0
        out.append(f"{self.checked} of {self.shipped} shipped facts checked ({share:.1f} %)")
        out += [complaint for tally in self.fields.values() for complaint in tally.complaints]
        return out + list(self.lint)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m retrieval.demo.tools.check_facts", description="Check the demo's facts."
    )
    parser.add_argument("--wikidata", type=Path, required=True, help="movies.csv.gz of movies-wikidata")
    parser.add_argument("--open", type=Path, required=True, dest="open_list", help="movies.jsonl.gz of movies-open")
    parser.add_argument("--films", type=Path, default=demo_films_path(), help="the catalogue to check")
    arguments = parser.parse_args(argv)
    report = check(arguments.films, arguments.wikidata, arguments.open_list)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.ok else 1


def check(films_path: Path, wikidata_path: Path, open_path: Path) -> Report:
    """Compare the catalogue with both files."""
    films = _jsonl(films_path.read_text(encoding="utf-8").splitlines())
    editorial = _jsonl((FOLDER / "editorial.jsonl").read_text(encoding="utf-8").splitlines())
    with gzip.open(wikidata_path, "rt", encoding="utf-8", newline="") as lines:
        by_title: dict[str, list[Row]] = {}
        for row in csv.DictReader(lines):
            by_title.setdefault(row["Title"], []).append(row)
    overviews: dict[str, str] = {}
    open_years: dict[tuple[str, str], list[int]] = {}
    with gzip.open(open_path, "rt", encoding="utf-8") as lines:
        for article in _jsonl(lines):
            overviews[article["id"]] = article["overview"]
            open_years.setdefault((article["id"], article.get("imdb_id", "")), []).append(article["year"])

    tallies = {name: Tally() for name in ("title", "year", *CHECKS)}
    texts = {text["synopsis"]: text for text in editorial}
    for film in films:
        found = _find(film, by_title.get(film["title"], ()))
        tallies["title"].compare(found is not None, f"{film['id']}: no such title, year and director in the data")
        if found is not None:
            text = texts.get(film["text"], {})
            years = open_years.get((text.get("wp", ""), found["imdbID"]), [])
            _check_film(film, found, years, set(text.get("not_genres", ())), tallies)
    sources = {synopsis: overviews.get(text["wp"], "") for synopsis, text in texts.items()}
    return Report(tallies, sum(_n_facts(film) for film in films), _lint(films, sources))


def _find(film: Row, candidates: Sequence[Row]) -> Row | None:
    """The row with the film's title, a year at most one off, and the director asked for."""
    facts = film["attributes"]
    for row in candidates:
        same_director = set(facts["director"]) == set(row["Director"].split(", "))
        if abs(int(row["Year"]) - facts["year"]) <= 1 and same_director:
            return row
    return None


def _check_film(
    film: Row, row: Row, open_years: Sequence[int], dropped: set[str], tallies: Mapping[str, Tally]
) -> None:
    facts, film_id = film["attributes"], film["id"]
    # Two sources: the earlier year counts; of a film that the open list has twice, the row that is nearer to Wikidata.
    data_year = int(row["Year"])
    nearest = sorted(open_years, key=lambda year: abs(year - data_year))[:1]
    expected = min([data_year, *nearest])
    tallies["year"].compare(facts["year"] == expected, f"{film_id}: year {facts['year']}, the data say {expected}")
    for name, (column, plain) in CHECKS.items():
        data = plain(row[column])
        shipped = film["popularity"] if name == "popularity" else facts[name]
        values = shipped if isinstance(shipped, list) else [shipped]
        for value in values:
            tallies[name].compare(value in data, f"{film_id}: {name} {value!r} is not in the data")
        missing = data - set(values) - (dropped if name == "genre" else set())
        # The cast is a selection; every other list must be whole.
        if missing and name != "cast":
            tallies[name].complaints.append(f"{film_id}: {name} lacks {sorted(map(str, missing))}")
            tallies[name].agree -= 1


def _names(text: str) -> set[Any]:
    return {PLAIN_NAMES.get(value, value) for value in re.split(r",\s*", text) if value}


def _number(text: str) -> set[Any]:
    return {int(float(text))} if text else set()


CHECKS: Mapping[str, tuple[str, Callable[[str], set[Any]]]] = {
    "runtime_min": ("Runtime", _number),
    "director": ("Director", _names),
    "cast": ("Cast", _names),
    "country": ("Country", _names),
    "language": ("Language", _names),
    "genre": ("Genre", _names),
    "popularity": ("Reviews", _number),
}
"""Field of the catalogue -> Wikidata's column and how to read it."""


def _n_facts(film: Row) -> int:
    """Values that claim something about the real film: title, year, popularity, runtime, and each list's values."""
    facts = film["attributes"]
    return 4 + sum(len(facts[name]) for name in ("director", "cast", "country", "language", "genre"))


def _lint(films: Sequence[Row], overviews: Mapping[str, str]) -> list[str]:
    """Faults of texts, ids and labels; [] when there are none."""
    faults = []
    ids = [film["id"] for film in films]
    faults += [f"{film_id}: id used twice" for film_id in sorted({i for i in ids if ids.count(i) > 1})]
    for film in films:
        text, mood = film["text"], set(film["attributes"]["mood"])
        if len(re.findall(r"[.!?](?=\s|$)", text)) != 2:
            faults.append(f"{film['id']}: the synopsis is not two sentences")
        if not WORDS_LOW <= len(text.split()) <= WORDS_HIGH:
            faults.append(f"{film['id']}: the synopsis has {len(text.split())} words")
        if shared := _runs(text) & _runs(overviews.get(text, "")):
            faults.append(f"{film['id']}: copies {' '.join(min(shared))!r}")
        if text not in overviews:
            faults.append(f"{film['id']}: the synopsis is not in editorial.jsonl")
        if {"violent", "family-friendly"} <= mood:
            faults.append(f"{film['id']}: violent and family-friendly")
    return faults


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+", text.lower().replace("’", "'"))
    return {tuple(words[i : i + RUN_WORDS]) for i in range(len(words) - RUN_WORDS + 1)}


def _jsonl(lines: Iterable[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
