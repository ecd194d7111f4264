"""A made-up benchmark bundle: films that a few words find, dialogues that lead to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GENRES = ("comedy", "western", "musical", "thriller")
PLACES = ("harbour", "desert", "library", "circus", "lighthouse", "vineyard", "airport", "castle", "island", "mine",
          "theatre", "submarine", "monastery", "bakery", "stadium")  # fmt: skip
N_ITEMS = len(GENRES) * len(PLACES)


@dataclass(frozen=True, slots=True)
class Made:
    """The files of a bundle."""

    items: Path
    train: Path
    valid: Path
    test: Path
    likes: Path

    @property
    def options(self) -> list[str]:
        """What `chatalogue bench retrieval` needs besides --out."""
        return ["--items", str(self.items), "--train", str(self.train), "--test", str(self.test)]

    @property
    def quick(self) -> list[str]:
        """The same without growing trees."""
        return [*self.options, "--without", "ranker"]


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """JSON lines, gzipped where the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def film(number: int) -> dict[str, Any]:
    """One item; four films share a place, fifteen a genre."""
    genre, place = GENRES[number % len(GENRES)], PLACES[number // len(GENRES)]
    return {
        "id": f"f{number}",
        "title": f"The {place.title()} {genre.title()}",
        "year": 1960 + number,
        "text": f"A {genre} that takes place in a {place}.",
        "attributes": {"genre": [genre], "director": [f"Director {number % 7}"]},
    }


def turn(number: int, *, dialogue: int, **fields: object) -> dict[str, Any]:
    """A row that asks for film `number` after speaking of the one before it."""
    wanted, before = film(number), film((number + 1) % N_ITEMS)
    genre, place = wanted["attributes"]["genre"][0], PLACES[number // len(GENRES)]
    return {
        "id": f"r{dialogue}",
        "dialogue_id": f"d{dialogue}",
        "turns": [
            {"role": "user", "text": f"Number {dialogue} here, last week I saw {before['title']} with my aunt."},
            {"role": "assistant", "text": "Did you like it?"},
            {"role": "user", "text": f"Yes, today I want a {genre} in a {place}, please."},
        ],
        "mentioned": [before["id"]],
        "targets": [wanted["id"]],
        "response": f"You should see {wanted['title']}.",
        **fields,
    }


def make_bundle(folder: Path, *, n_train: int = 40, n_test: int = 12) -> Made:
    """Write a bundle into `folder`; every test row has one novel target."""
    train = [turn(number * 7 % N_ITEMS, dialogue=number) for number in range(n_train)]
    valid = [turn(number * 11 % N_ITEMS, dialogue=10_000 + number) for number in range(8)]
    test = [turn(number * 13 % N_ITEMS, dialogue=20_000 + number) for number in range(n_test)]
    return Made(
        items=write_rows(folder / "items.jsonl.gz", map(film, range(N_ITEMS))),
        train=write_rows(folder / "train.jsonl.gz", train),
        valid=write_rows(folder / "valid.jsonl.gz", valid),
        test=write_rows(folder / "test.jsonl", test),
        likes=write_rows(
            folder / "likes.jsonl", [{"user": f"{n}-i", "item": f"f{n}", "liked": True} for n in range(9)]
        ),
    )
