"""Makes the demo shop's `films.jsonl` and `orders.jsonl` from two data files and our own texts.

    python -m retrieval.demo.tools.build --wikidata movies.csv.gz --open movies.jsonl.gz

Same inputs, same bytes. Facts about films come from the data files alone (Wikidata first, the open film list for the
order of the cast); synopsis, mood and theme come from `editorial.jsonl`; format, price, stock and orders are invented
by rules seeded with the item's id. The rules for orders live in `retrieval.demo.tools.orders`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from retrieval.demo import demo_films_path, demo_orders_path
from retrieval.demo.seeded import share_of
from retrieval.demo.tools.orders import PRICE_RANGE_EUR, FilmOffer, make_orders
from retrieval.errors import CatalogueError

EDITORIAL_PATH = Path(__file__).resolve().parent / "editorial.jsonl"

MAX_CAST = 8
SHOP_URL = "https://reelshop.example/films/"

LANGUAGE_NAMES = {
    "American English": "English",
    "Australian English": "English",
    "Egyptian language": "Egyptian",
    "Yue Chinese": "Cantonese",
}
"""Wikidata's names that a shopper would not say; the customer who asks for English wants Mad Max too."""

COUNTRY_NAMES = {"People's Republic of China": "China", "The Bahamas": "Bahamas"}

IN_STOCK_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Source:
    """One film as the data files have it: Wikidata's row, the open list's row, our texts."""

    wikidata: Mapping[str, str]
    open_row: Mapping[str, Any]
    editorial: Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files into the folder of the demo; says on stderr how many of each."""
    parser = argparse.ArgumentParser(prog="python -m retrieval.demo.tools.build", description=__doc__.splitlines()[0])
    parser.add_argument("--wikidata", type=Path, required=True, help="movies.csv.gz of movies-wikidata")
    parser.add_argument("--open", type=Path, required=True, dest="open_list", help="movies.jsonl.gz of movies-open")
    arguments = parser.parse_args(argv)
    films = build_films(arguments.wikidata, arguments.open_list)
    _write_jsonl(demo_films_path(), films)
    orders = make_orders([_offer(film) for film in films])
    _write_jsonl(demo_orders_path(), orders)
    sys.stderr.write(f"{len(films)} films, {len(orders)} orders\n")
    return 0


def build_films(wikidata_path: Path, open_path: Path) -> list[dict[str, Any]]:
    """The catalogue rows, most reviewed first.

    Raises:
        CatalogueError: an editorial text has no row in one of the data files, or two films get the same id.
    """
    editorial = read_jsonl(EDITORIAL_PATH)
    wikidata, fame = _read_wikidata(wikidata_path)
    open_rows = _read_open(open_path, {(row["imdb"], row["wp"]) for row in editorial})
    films = []
    for text in editorial:
        key = (text["imdb"], text["wp"])
        if text["imdb"] not in wikidata or key not in open_rows:
            raise CatalogueError(f"{key!r} of editorial.jsonl is not in both data files; remove it or fix its ids")
        row = wikidata[text["imdb"]]
        # The list has some films twice; the row whose year is nearest Wikidata's is the film's own.
        open_row = _nearest(open_rows[key], int(row["Year"]))
        films.append(_film(Source(row, open_row, text), fame))
    films.sort(key=lambda film: (-film["popularity"], film["id"]))
    repeated = [film_id for film_id, count in Counter(film["id"] for film in films).items() if count > 1]
    if repeated:
        raise CatalogueError(f"two films share the id {repeated[0]!r}; title and year must differ")
    return films


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a plain JSON-lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def slug(title: str) -> str:
    """Lower-case ASCII words joined by hyphens: "Brüno" is "bruno"."""
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ")).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", plain.lower().replace("'", "")))


def _film(source: Source, fame: Mapping[str, int]) -> dict[str, Any]:
    row, text = source.wikidata, source.editorial
    # A film shown at a festival in December carries two years in the two sources: the earlier one is its first showing.
    year = min(int(row["Year"]), int(source.open_row["year"]))
    film_id = f"film-{slug(row['Title'])}-{year}"
    reviews = int(row["Reviews"])
    disc = _disc_format(film_id, year, reviews)
    dropped = set(text.get("not_genres", ()))
    return {
        "id": film_id,
        "title": row["Title"],
        "text": text["synopsis"],
        "price": str(_price(film_id, disc, year)),
        "currency": "EUR",
        "in_stock": share_of(film_id, "stock") < IN_STOCK_SHARE,
        "url": SHOP_URL + film_id,
        "image_url": f"/covers/{film_id}.svg",
        "popularity": reviews,
        "attributes": {
            "year": year,
            "runtime_min": round(float(row["Runtime"])),
            "director": _values(row["Director"]),
            "cast": _cast(source, fame),
            "country": _renamed(_values(row["Country"]), COUNTRY_NAMES),
            "language": _renamed(_values(row["Language"]), LANGUAGE_NAMES),
            "genre": [genre for genre in _values(row["Genre"]) if genre not in dropped],
            "mood": text["moods"],
            "theme": text["themes"],
            "format": disc,
        },
    }


def _nearest(rows: Sequence[dict[str, Any]], year: int) -> dict[str, Any]:
    return min(rows, key=lambda row: abs(int(row["year"]) - year))


def _cast(source: Source, fame: Mapping[str, int]) -> list[str]:
    """At most MAX_CAST names that Wikidata has, leads first.

    Wikidata's list is alphabetical. Leads are those whom the open list names, in its order; then those whom the
    article's opening names; then whoever is in most films of the Wikidata table.
    """
    confirmed = {_name_key(name): name for name in _values(source.wikidata["Cast"])}
    keys = [_name_key(name) for name in source.open_row.get("cast", ())]
    overview = source.open_row["overview"]
    named = sorted((overview.find(name), key) for key, name in confirmed.items() if name in overview)
    keys += [key for _, key in named]
    keys += sorted(confirmed, key=lambda key: (-fame[confirmed[key]], confirmed[key]))
    return [confirmed[key] for key in dict.fromkeys(keys) if key in confirmed][:MAX_CAST]


def _disc_format(film_id: str, year: int, reviews: int) -> str:
    """4K for some much-seen films, DVD for a share that grows with age, Blu-ray for the rest."""
    if reviews >= 150 and share_of(film_id, "4k") < 0.35:
        return "4K Ultra HD"
    dvd_share = 0.15 if year >= 2005 else 0.30 if year >= 1975 else 0.45
    return "DVD" if share_of(film_id, "dvd") < dvd_share else "Blu-ray"


def _price(film_id: str, disc: str, year: int) -> Decimal:
    """Within the format's range, newer films dearer, ending in .90 or .50."""
    low, high = PRICE_RANGE_EUR[disc]
    newness = min(max((year - 1940) / 74, 0.0), 1.0)
    place = 0.35 * newness + 0.65 * share_of(film_id, "price")
    price = float(low) + float(high - low) * place
    ending = Decimal("0.90") if price % 1 >= 0.5 else Decimal("0.50")
    return min(max(Decimal(int(price)) + ending, low), high)


def _offer(film: Mapping[str, Any]) -> FilmOffer:
    return FilmOffer(film["id"], film["attributes"]["format"], Decimal(film["price"]))


def _values(text: str) -> list[str]:
    return [value for value in text.split(", ") if value]


def _renamed(values: list[str], names: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(names.get(value, value) for value in values))


def _name_key(name: str) -> str:
    """Spelling-proof key: "P.J. Soles" and "P. J. Soles" are one person."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", plain.lower())


def _read_wikidata(path: Path) -> tuple[dict[str, dict[str, str]], Counter[str]]:
    """Rows by IMDb id, and in how many films of the table each actor is."""
    rows: dict[str, dict[str, str]] = {}
    fame: Counter[str] = Counter()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            rows[row["imdbID"]] = row
            fame.update(_values(row["Cast"]))
    return rows, fame


def _read_open(path: Path, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows by (IMDb id, article). The article alone is no key: re-releases and remakes point to one article."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in _gzip_jsonl(path):
        key = (row.get("imdb_id", ""), row["id"])
        if key in wanted:
            rows.setdefault(key, []).append(row)
    return rows


def _gzip_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
