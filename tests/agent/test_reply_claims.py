"""The check of what a reply says of its first item: planted false claims and true sentences, films, goods, courses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from small_shop import ranked, wish

from agent.messages import messages
from agent.preferences import Preference
from agent.ranking import Matched, Ranked, Shared
from agent.reply_facts import facts_of
from agent.reply_pitch import Judged, Pitch
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
        Item(
            "lantern",
            "Camp Lantern",
            "A lantern.",
            {"category": "lantern", "brand": "Belloni"},
            Decimal(20),
            "USD",
            True,
        ),
        Item("torch", "Pocket Torch", "A torch.", {"category": "torch", "brand": "Norvik"}, Decimal(25), "USD", True),
    ]
)
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
        Item(
            "botany", "Modern Botany Lab", "A course.", {"level": "advanced", "year": 2025.0}, Decimal(250), "GBP", True
        ),
        Item(
            "music",
            "Music Theory Primer",
            "A course.",
            {"level": "beginner", "year": 2026.0},
            Decimal(200),
            "GBP",
            True,
        ),
    ]
)


def pitch_of(table: ItemTable, entries: list[Ranked], wishes: list[Preference], missed: list[Preference]) -> Pitch:
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
    return pitch_of(COURSES, [entry, *map(ranked, COURSES.items[1:])], wishes, missed)


def psycho() -> Pitch:
    """Nothing is wished for but a film that is not a comedy."""
    wishes = [wish("genre", "eq", "Comedy", polarity="negative")]
    return pitch_of(FILMS, [ranked(BY_TITLE["Psycho"])], wishes, [])


PITCHES = {"heat": heat(), "lamp": lamp(), "course": course(), "psycho": psycho()}


def judged(about: str, sentence: str) -> Judged:
    return PITCHES[about].judge(sentence)


FALSE = [
    # year
    ("heat", "It is a crime film from 1994."),
    ("heat", "It is a 1996 film."),
    ("heat", "It was released in 1985, as you asked."),
    ("course", "It is from 2016."),
    # price, currency, limits
    ("heat", "It costs 14.90 EUR."),
    ("heat", "It costs 15.90 USD."),
    ("heat", "It is priced at $15.90, under your limit."),
    ("heat", "It is 15.90 EUR, under 15 EUR."),
    ("heat", "It is within your budget of 10 EUR."),
    ("heat", "It costs more than 20 EUR."),
    ("heat", "It is over your limit."),
    ("lamp", "It is 34.90 USD, under 30 USD."),
    ("lamp", "It costs 39.40 USD."),
    ("lamp", "It is 34.90 EUR, within your budget."),
    ("course", "It costs 28 GBP."),
    # who did what
    ("heat", "It is directed by Ridley Scott."),
    ("heat", "It is directed by Al Pacino, as you asked."),
    ("heat", "It is one starring Michael Mann."),
    ("heat", "It is with Tom Cruise."),
    ("heat", "It is also with Al Pacino, like Collateral."),
    ("heat", "It is also directed by Michael Mann, like Jaws."),
    ("heat", "It is a crime film like Collateral."),
    ("course", "It is one with instructor Henrik Novak."),
    ("course", "It is taught by Paula Tanaka."),
    # length and other numbers
    ("heat", "It is 117 minutes long."),
    ("heat", "It runs 107 min."),
    ("heat", "It is 170 weeks long."),
    ("course", "It is one with duration weeks 12."),
    ("course", "It lasts 6 days."),
    ("lamp", "It weighs 80 grams."),
    ("lamp", "It is rated 4.9."),
    # stock and the shop's own affairs
    ("heat", "But it is out of stock."),
    ("heat", "It is in stock and ships free."),
    ("lamp", "It is in stock, as you asked."),
    ("lamp", "It is not out of stock."),
    ("lamp", "It will be in stock next week."),
    ("heat", "It will arrive tomorrow."),
    ("heat", "You can have it delivered by Friday."),
    ("heat", "It comes with free delivery."),
    ("heat", "You get a discount on it, as you asked."),
    # awards, opinions, relations between works
    ("heat", "It is an award-winning crime film."),
    ("heat", "It is the best crime film."),
    ("heat", "It won an Oscar for Michael Mann."),
    ("heat", "It is the sequel of Collateral."),
    ("heat", "It is a remake of Jaws."),
    ("heat", "It is based on a true story."),
    ("heat", "It is one of the most popular here."),
    # comparisons turned round, or with what was not shown
    ("heat", "But it is the shortest of this list."),
    ("heat", "It is cheaper than Jaws."),
    ("heat", "It is dearer than Psycho."),
    ("heat", "It is the cheapest of this list."),
    ("heat", "It is shorter than Alien."),
    ("heat", "It is older than Psycho."),
    ("heat", "But it is the dearest of this list."),
    ("heat", "It is longer than Titanic."),
    ("lamp", "It is cheaper than Camp Lantern."),
    ("course", "It is the newest of this list."),
    ("course", "But it is less expensive than the rest."),
    # negations: dropped, put in, stretched
    ("course", "It is evening class, as you asked."),
    ("course", "But it is not online."),
    ("course", "But it is not for beginner."),
    ("course", "But it is not evening class and beginner."),
    ("psycho", "It is a comedy."),
    ("psycho", "It is not a horror film."),
    ("psycho", "It is not a comedy or drama."),
    ("psycho", "It is never violent."),
    ("heat", "It is not crime."),
    # values that it has not, and wishes that nobody had
    ("heat", "It is a comedy, as you asked."),
    ("heat", "It is romantic."),
    ("heat", "It is tense, as you asked."),
    ("heat", "You asked for it with Robert De Niro."),
    ("heat", "It fits your wish: it is from 1995."),
    ("heat", "It is in French."),
    ("heat", "It is on DVD."),
    ("lamp", "It is green, as you asked."),
    ("lamp", "It is by Belloni."),
    ("lamp", "It is a lantern."),
    ("course", "It is advanced."),
    ("course", "It is listed with group work."),
    # drawbacks that code did not find
    ("heat", "But it is tense."),
    ("heat", "One drawback: it is from 1995."),
    ("heat", "Sadly it is violent, as you asked."),
    ("lamp", "But it is red."),
    # other items, talk of itself, orders, ids, markup
    ("heat", "Alien is a crime film, as you asked."),
    ("heat", "It is Jaws."),
    ("heat", "I think it is a crime film."),
    ("heat", "As an assistant I say it is crime."),
    ("heat", "The system prompt says it is crime."),
    ("heat", "Say only what is given."),
    ("heat", "The fits line says crime."),
    ("heat", "It is film-heat-1995, as you asked."),
    ("heat", "It is <b>crime</b>."),
    ("heat", "It is crime, see https://x.example."),
    ("heat", "It is what you asked for."),
    ("heat", "Is it a crime film?"),
    ("heat", "<item>"),
    # the item's own words put together into something else
    ("heat", "A Los Angeles criminal is locked in a contest at home."),
    ("lamp", "A battery for running at night."),
]  # fmt: skip

TRUE = [
    ("heat", "It is a crime film, as you asked.", "fits"),
    ("heat", "It is crime and 15.90 EUR, under 20.00 EUR.", "fits"),
    ("heat", "It fits your wish: it is a crime film under 20 euros.", "fits"),
    ("heat", "It is a crime film within your budget.", "fits"),
    ("heat", "It is a crime film, also directed by Michael Mann, like Collateral.", "fits"),
    ("heat", "It is directed by Michael Mann, as is Collateral.", "fits"),
    ("heat", "It is the same director as Collateral, Michael Mann.", "fits"),
    ("heat", "It shares its director Michael Mann with Collateral.", "fits"),
    ("heat", "You wanted crime, and this is a crime film for €15.90.", "fits"),
    ("heat", "It costs 15.90 EUR, well under your limit.", "fits"),
    ("heat", "Why it fits: Crime, 15.90 EUR and also directed by Michael Mann, like Collateral.", "fits"),
    ("heat", "What speaks for it: Crime.", "fits"),
    ("heat", "But it is the longest of this list, 170 min.", "but"),
    ("heat", "One drawback: it is longer than the rest of this list.", "but"),
    ("heat", "However, it runs 170 minutes and is longer than Alien.", "but"),
    ("heat", "It is a crime film, as you asked, but it is the longest of this list.", "fits but"),
    ("heat", "It is directed by Michael Mann.", ""),
    ("heat", "It is a tense, stylish film from 1995 with Al Pacino and Robert De Niro.", ""),
    ("heat", "Al Pacino stars in it.", ""),
    ("heat", "It is cheaper than Psycho.", ""),
    ("heat", "It is newer than the others.", ""),
    ("heat", "It is in English and on Blu-ray.", ""),
    ("heat", "It is in stock.", ""),
    ("heat", "It is from United States.", ""),
    ("heat", "Los Angeles detective and criminal are locked in a contest that strains their work at home.", "what"),
    ("heat", "Heat: a Los Angeles detective and a criminal are locked in a contest that strains their work.", "what"),
    ("lamp", "It is red, as you asked.", "fits"),
    ("lamp", "It is 34.90 USD, within your limit of 35 dollars.", "fits"),
    ("lamp", "It is red and under 35.00 USD, just as you wished.", "fits"),
    ("lamp", "But it is out of stock at the moment.", "but"),
    ("lamp", "Unfortunately it is sold out.", "but"),
    ("lamp", "It is red, as you wanted, but it is out of stock.", "fits but"),
    ("lamp", "It is from Norvik, rated 4.5.", ""),
    ("lamp", "A light head lamp for running at night.", "what"),
    ("course", "It is one for beginner, as you asked.", "fits"),
    ("course", "It is one with instructor Ines Novak and level beginner, as you wanted.", "fits"),
    ("course", "But it is not evening class.", "but"),
    ("course", "Keep in mind that it is without evening class.", "but"),
    ("course", "One drawback: not evening class.", "but"),
    ("course", "It is a course from 2015, 6 weeks.", ""),
    ("course", "It is online, with certificate and homework.", ""),
    ("course", "It is dearer than most of this list.", ""),
    ("course", "It is the oldest of this list.", ""),
    ("course", "A course on pottery, taught by Ines Novak.", "what"),
    ("psycho", "It is not a comedy, as you asked.", "fits"),
    ("psycho", "Why it fits: not Comedy.", "fits"),
    ("psycho", "It is by Alfred Hitchcock.", ""),
]  # fmt: skip

FREE = [
    ("heat", "If you liked Collateral, here is another one by Michael Mann."),
    ("heat", "You'll get the crime you asked for, and for less than 20 euros."),
    ("heat", "This crime drama stays below your limit."),
    ("heat", "At 170 minutes it is the longest of these, though."),
    ("heat", "At almost three hours it is rather long."),
    ("heat", "It takes longer than anything else here: 170 minutes."),
    ("heat", "Michael Mann, who made Collateral, directed this one."),
    ("lamp", "The lamp is red and costs 34.90 USD."),
    ("lamp", "Alas, we have none left."),
    ("lamp", "It comes in red and stays under 35 dollars."),
    ("course", "Beginners are welcome, and Ines Novak teaches it."),
    ("course", "It takes six weeks online, not in the evening."),
    ("psycho", "There is no comedy in it."),
]
"""True, in words that nobody taught the check: how many it refuses is told, not hidden."""


@pytest.mark.parametrize(("about", "sentence"), FALSE)
def test_what_is_not_so_is_refused(about: str, sentence: str) -> None:
    assert judged(about, sentence).objection


@pytest.mark.parametrize(("about", "sentence", "tells"), TRUE)
def test_what_is_so_passes_and_is_known_for_what_it_tells(about: str, sentence: str, tells: str) -> None:
    assert judged(about, sentence) == Judged(frozenset(tells.split()))  # type: ignore[arg-type]


def test_there_are_enough_of_each() -> None:
    assert len(FALSE) >= 60
    assert len(TRUE) >= 40
    assert {about for about, _ in FALSE} == set(PITCHES)


def test_most_true_sentences_in_free_words_are_refused(record_property: Callable[[str, object], None]) -> None:
    refused = [sentence for about, sentence in FREE if judged(about, sentence).objection]
    record_property("refused", f"{len(refused)} of {len(FREE)}")
    assert 0 < len(refused) < len(FREE)
