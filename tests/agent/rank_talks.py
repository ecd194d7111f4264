"""A made-up cinema whose customers name a director and take the usual one of his films."""

from __future__ import annotations

from retrieval.experience import Experience
from retrieval.items import Item
from retrieval.query import SeedItem
from retrieval.table import ItemTable

DIRECTORS = ("Ana Brown", "Boris Adler", "Chidi Okafor", "Dana Weiss", "Edo Tanaka", "Fay Lund")
FILMS_EACH = 5
GENRES = ("comedy", "horror", "western")
WORDS = "amber basalt cedar delta ember fjord garnet harbour indigo juniper kelp lagoon".split()


def film_id(director: int, film: int) -> str:
    return f"f{director}-{film}"


def cinema() -> tuple[Item, ...]:
    return tuple(
        Item(
            film_id(director, film),
            f"{WORDS[(5 * director + film) % len(WORDS)].title()} {WORDS[(director + film) % 7]} {director}{film}",
            text=f"A film of {GENRES[film % 3]}.",
            attributes={"director": (name,), "genre": (GENRES[film % 3],), "year": 1980.0 + film + director},
        )
        for director, name in enumerate(DIRECTORS)
        for film in range(FILMS_EACH)
    )


def usual(director: int) -> int:
    """Which film of a director people take."""
    return (director * 2 + 1) % FILMS_EACH


def talk(number: int, director: int, film: int | None = None, spoken: tuple[str, ...] = ()) -> Experience:
    """One dialogue: a director is named, his usual film is taken."""
    asked = ("Do you have something by {}?", "I like {} a lot.", "What else did {} make?")[number % 3]
    return Experience(
        turns=("Hello!", asked.format(DIRECTORS[director])),
        spoken=tuple(SeedItem(item, 1.0) for item in spoken),
        accepted=(film_id(director, usual(director) if film is None else film),),
        group=f"d{number}",
    )


def talks(n: int = 48) -> tuple[Experience, ...]:
    """Each director in turn; every fourth customer takes another film than usual."""
    return tuple(
        talk(number, number % len(DIRECTORS), None if number % 4 else (number // 4) % FILMS_EACH) for number in range(n)
    )


def cinema_table() -> ItemTable:
    return ItemTable(cinema())
