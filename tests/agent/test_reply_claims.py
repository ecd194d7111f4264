"""The check of what a reply says of its first item: planted false claims and true sentences, films, goods, courses."""

from __future__ import annotations

import pytest
from pitched_items import PITCHES

from agent.reply_pitch import Judged


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
    ("heat", "It is crime and under your limit, under your limit, as you asked."),
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


@pytest.mark.parametrize(("about", "sentence"), FALSE)
def test_what_is_not_so_is_refused(about: str, sentence: str) -> None:
    assert judged(about, sentence).objection


@pytest.mark.parametrize(("about", "sentence", "tells"), TRUE)
def test_what_is_so_passes_and_is_known_for_what_it_tells(about: str, sentence: str, tells: str) -> None:
    assert judged(about, sentence) == Judged(frozenset(tells.split()))  # type: ignore[arg-type]


def test_there_are_enough_of_each() -> None:
    assert len(FALSE) >= 60
    assert len(TRUE) >= 40
    assert {about for about, _ in FALSE} == {"heat", "lamp", "course", "psycho"}
