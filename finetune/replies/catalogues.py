"""Catalogues to speak of besides the demo films: invented goods and invented courses, with texts worth shortening."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from finetune.dialogues.courses import invented_courses
from finetune.dialogues.noise import Dice
from retrieval.demo import demo_films_path
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

_GOODS = {
    "head lamp": ("running at night", "walking the dog", "reading in a tent"),
    "backpack": ("long walks in the hills", "the daily way to work", "a weekend away"),
    "espresso pot": ("two small cups", "a camp fire", "a quick breakfast"),
    "desk fan": ("hot afternoons", "a small office", "quiet nights"),
    "phone case": ("people who drop things", "work outdoors", "a slim pocket"),
    "sleeping bag": ("cold nights", "summer on a balcony", "light travel"),
    "keyboard": ("long letters", "a crowded desk", "quick games"),
    "kettle": ("a large family", "a narrow shelf", "careful tea drinkers"),
}
_BRANDS = ("Norvik", "Belloni", "Hartwell", "Sundra", "Kestrel", "Ostara", "Maruto")
_COLOURS = ("black", "red", "green", "navy", "sand")
_MATERIALS = ("steel", "recycled plastic", "aluminium", "cotton", "bamboo")
_USES = ("camping", "travel", "office", "kitchen", "sports")
_EXTRAS = (
    "folds flat, fits into a coat pocket and can be washed by hand",
    "switches itself off after an hour, which saves the battery while nobody looks",
    "comes with a spare part for the piece that wears out first",
    "stays cool on the outside, even when it has worked for a long time",
    "was made for small hands, and left-handed people get on with it as well",
)
_TEACHES = (
    "how to plan a project, find good material and finish what was begun",
    "the small habits of people who have done it for years, from the first day at the bench to the last check",
    "where beginners go wrong, why that happens and what helps when a week goes badly",
    "the art of looking closely and of taking notes by hand, which are then talked over in a small group",
    "the whole craft in short lessons, which can be repeated in the evening after work",
)


def reply_tables(seed: int = 0) -> tuple[ItemTable, ...]:
    """The demo films, invented goods and invented courses."""
    return (
        ItemTable(load_catalogue(demo_films_path()).items),
        ItemTable(goods(seed=seed)),
        ItemTable(courses(seed=seed)),
    )


def courses(n: int = 120, seed: int = 0) -> tuple[Item, ...]:
    """The invented courses, each with a text of two sentences."""
    found = []
    for number, course in enumerate(invented_courses(n, seed)):
        dice = Dice((seed, 1, number))
        subject = str(course.attributes["subject_area"]).lower()
        text = f"A course on {subject}, taught by {course.attributes['instructor']}, that shows {dice.pick(_TEACHES)}. "
        found.append(replace(course, text=f"{text}Bring something to write with."))
    return tuple(found)


def goods(n: int = 160, seed: int = 0) -> tuple[Item, ...]:
    """`n` things of daily use, the same for the same seed; no two have the same title."""
    found = []
    for number in range(n):
        dice = Dice((seed, 2, number))
        kind = dice.pick(tuple(_GOODS))
        brand, colour, material = dice.pick(_BRANDS), dice.pick(_COLOURS), dice.pick(_MATERIALS)
        text = (
            f"A {dice.pick(('light', 'sturdy', 'quiet', 'simple'))} {kind} of {material} for "
            f"{dice.pick(_GOODS[kind])}, which {dice.pick(_EXTRAS)}. It is checked by hand before it leaves the shop."
        )
        attributes: dict[str, float | str | tuple[str, ...]] = {
            "category": kind,
            "brand": brand,
            "colour": colour,
            "material": material,
            "use": tuple(sorted({dice.pick(_USES) for _ in range(2)})),
            "weight_g": float(dice.pick(range(80, 1500, 20))),
            "rating": dice.pick(range(30, 51)) / 10,
            "year": float(dice.pick(range(2015, 2026))),
        }
        price = Decimal(dice.pick(range(490, 19000, 50))) / 100
        title = f"{brand} {kind.title()} {dice.pick(range(10, 99)) * 100 + number}"
        popularity = float(dice.pick(range(1, 500)))
        found.append(
            Item(f"good-{number}", title, text, attributes, price, "USD", dice.chance(0.9), popularity=popularity)
        )
    return tuple(found)
