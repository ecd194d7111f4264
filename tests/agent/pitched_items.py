"""Items of a film shop, a shop of goods, a bookshop and a school, each with wishes and the list that it stands in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from small_shop import ranked, wish

from agent.messages import messages
from agent.preferences import Preference
from agent.ranking import Matched, Ranked, Shared
from agent.reply_facts import facts_of
from agent.reply_pitch import Pitch
from agent.wording import Wording
from retrieval.demo import demo_films_path
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

FILMS = ItemTable(load_catalogue(demo_films_path(), strict=True).items)
BY_TITLE = {film.title: film for film in FILMS.items}
LAMP = Item(
    "lamp", "Trail Lamp 200", "A light head lamp for running at night, with a battery that lasts 30 hours.",
    {"category": "head lamp", "brand": "Norvik", "colour": "red", "waterproof": "yes", "weight_g": 90.0, "rating": 4.5},
    Decimal("34.90"), "USD", False,
)  # fmt: skip
GOODS = ItemTable(
    [
        LAMP,
        Item("lantern", "Camp Lantern", "A lantern.", {"category": "lantern", "brand": "Belloni"},
             Decimal(20), "USD", True),
        Item("torch", "Pocket Torch", "A torch.", {"category": "torch", "brand": "Norvik"}, Decimal(25), "USD", True),
    ]
)  # fmt: skip
COURSE = Item(
    "course", "First Pottery Studio",
    "A course on pottery, taught by Ines Novak, that shows the craft in short lessons.",
    {"subject_area": "Pottery", "level": "beginner", "instructor": "Ines Novak", "format": "online",
     "tags": ("certificate", "homework"), "duration_weeks": 6.0, "year": 2015.0},
    Decimal(280), "GBP", True,
)  # fmt: skip
COURSES = ItemTable(
    [
        COURSE,
        Item("botany", "Modern Botany Lab", "A course.", {"level": "advanced", "year": 2025.0},
             Decimal(250), "GBP", True),
        Item("music", "Music Theory Primer", "A course.", {"level": "beginner", "year": 2026.0},
             Decimal(200), "GBP", True),
        Item(
            "sheets", "Spreadsheets for Small Shops",
            "A Leeds shopkeeper shows how to keep accounts, plan orders and draw charts, week by week, in plain words.",
            {"subject_area": "Business", "level": "intermediate", "instructor": "Omar Haddad",
             "format": "evening class", "tags": ("homework", "group work"), "duration_weeks": 8.0, "year": 2024.0},
            Decimal(120), "GBP", True,
        ),
    ]
)  # fmt: skip
PHONES = Item(
    "phones", "Quiet Two",
    "Over-ear headphones that shut out the noise of trains and planes, with a folding band and a soft case.",
    {"category": "headphones", "brand": "Belloni", "colour": ("black", "white"), "wireless": "yes",
     "battery_hours": 30.0, "rating": 4.2, "weight_g": 250.0},
    Decimal("89.00"), "USD", True, popularity=3.0,
)  # fmt: skip
SOUND = ItemTable(
    [
        PHONES,
        Item("buds", "Small Buds", "Ear buds.", {"category": "headphones", "brand": "Norvik", "rating": 4.0},
             Decimal(95), "USD", True, popularity=20.0),
        Item("studio", "Studio One", "Headphones.", {"category": "headphones", "brand": "Auris", "rating": 4.8},
             Decimal(99), "USD", True, popularity=30.0),
    ]
)  # fmt: skip
NOVEL = Item(
    "novel", "The Salt Road",
    "A young mapmaker from New Bergen leaves her island to find the road that her mother drew, and learns why nobody "
    "came back from it. Slow, salty and strange.",
    {"author": "Lena Brandt", "genre": ("Fantasy", "Adventure"), "language": "English", "format": "paperback",
     "pages": 412.0, "year": 2011.0},
    Decimal("12.50"), "EUR", True,
)  # fmt: skip
BOOKS = ItemTable(
    [
        NOVEL,
        Item("tide", "Low Tide", "A novel.", {"author": "Lena Brandt", "genre": "Fantasy", "pages": 300.0,
             "year": 2015.0}, Decimal("12.00"), "EUR", True),
        Item("north", "North of Here", "A novel.", {"author": "Jon Vik", "genre": "Crime", "pages": 220.0,
             "year": 2019.0}, Decimal("13.00"), "EUR", True),
    ]
)  # fmt: skip


def pitch_of(table: ItemTable, entries: list[Ranked], wishes: list[Preference], missed: list[Preference]) -> Pitch:
    """What is said of the first of `entries`."""
    wording = Wording(messages("en"), lambda item_id: table.get(item_id).title, entries[0].item.currency)
    facts = facts_of(entries[0], entries, wishes, missed, wording, table)
    return Pitch(entries[0].item, facts, wording, table.shape, [entry.item for entry in entries])


def heat() -> Pitch:
    """Crime, under 20 euros, after Collateral; the longest of the list."""
    wishes = [wish("genre", "eq", "Crime"), wish("price", "lt", 20.0), wish(None, "like", BY_TITLE["Collateral"].id)]
    entry = replace(
        ranked(BY_TITLE["Heat"]),
        matched=(Matched("genre", ("Crime",)), Matched("price", 15.9)),
        shared=Shared("director", "Michael Mann", BY_TITLE["Collateral"].id),
    )
    return pitch_of(FILMS, [entry, *(ranked(BY_TITLE[title]) for title in ("Jaws", "Alien", "Psycho"))], wishes, [])


def lamp() -> Pitch:
    """A red lamp within 35 dollars; sold out."""
    wishes = [wish("colour", "eq", "red"), wish("price", "le", 35.0)]
    entry = replace(ranked(LAMP), matched=(Matched("colour", "red"), Matched("price", 34.9)))
    return pitch_of(GOODS, [entry, *map(ranked, GOODS.items[1:])], wishes, [])


def course() -> Pitch:
    """For beginners, by Ines Novak, not in person; not evening class, which was hoped for."""
    missed = [wish("format", "eq", "evening class", kind="soft")]
    wishes = [wish("level", "eq", "beginner"), wish("instructor", "eq", "Ines Novak"), *missed]
    entry = replace(ranked(COURSE), matched=(Matched("level", "beginner"), Matched("instructor", "Ines Novak")))
    return pitch_of(COURSES, [entry, *map(ranked, COURSES.items[1:3])], wishes, missed)


def psycho() -> Pitch:
    """Nothing is wished for but a film that is not a comedy."""
    wishes = [wish("genre", "eq", "Comedy", polarity="negative")]
    return pitch_of(FILMS, [ranked(BY_TITLE["Psycho"])], wishes, [])


def groundhog() -> Pitch:
    """A comedy of at most two hours; the dearest of the list."""
    wishes = [wish("genre", "eq", "Comedy"), wish("runtime_min", "le", 120.0)]
    entry = replace(ranked(BY_TITLE["Groundhog Day"]), matched=(Matched("genre", ("Comedy",)),))
    return pitch_of(FILMS, [entry, *(ranked(BY_TITLE[title]) for title in ("Jaws", "Alien"))], wishes, [])


def novel() -> Pitch:
    """By Lena Brandt, at most 13 euros, which it nearly costs."""
    wishes = [wish("author", "eq", "Lena Brandt"), wish("price", "le", 13.0)]
    entry = replace(ranked(NOVEL), matched=(Matched("author", "Lena Brandt"),))
    return pitch_of(BOOKS, [entry, *map(ranked, BOOKS.items[1:])], wishes, [])


def phones() -> Pitch:
    """Headphones in stock below 100 dollars; less in demand than the others."""
    wishes = [wish("category", "eq", "headphones"), wish("in_stock", "eq", "yes"), wish("price", "lt", 100.0)]
    entry = replace(ranked(PHONES), matched=(Matched("category", "headphones"), Matched("in_stock", "yes")))
    return pitch_of(SOUND, [entry, *map(ranked, SOUND.items[1:])], wishes, [])


def sheets() -> Pitch:
    """Eight weeks or less; it has homework, which was not wanted."""
    missed = [wish("tags", "eq", "homework", kind="soft", polarity="negative")]
    wishes = [wish("duration_weeks", "le", 8.0), *missed]
    items = COURSES.items
    return pitch_of(COURSES, [ranked(items[3]), *map(ranked, items[:2])], wishes, missed)


PITCHES = {one.__name__: one() for one in (heat, lamp, course, psycho, groundhog, novel, phones, sheets)}
