"""An invented catalogue of courses, made by code: a domain with no films and no goods, to test and to train on."""

from __future__ import annotations

from decimal import Decimal

from finetune.dialogues.noise import Dice
from retrieval.items import Item

_SUBJECTS = (
    "Pottery", "Spanish", "Statistics", "Photography", "Gardening", "Accounting", "Astronomy", "Woodwork",
    "Creative Writing", "Music Theory", "Marketing", "Botany",
)  # fmt: skip
_LEVELS = ("beginner", "intermediate", "advanced")
_FIRST = ("Ines", "Tomas", "Marta", "Henrik", "Aiko", "Samuel", "Leila", "Victor", "Noor", "Paula")
_LAST = ("Albrecht", "Moreau", "Okafor", "Lindqvist", "Tanaka", "Brennan", "Haddad", "Novak")
_FORMATS = ("online", "in person", "evening class", "weekend workshop")
_VIBES = ("hands-on", "relaxed", "intensive", "practical", "academic", "playful")
_TAGS = ("certificate", "group work", "homework", "guest speakers", "field trips", "exam preparation")
_ADJECTIVES = ("Complete", "First", "Essential", "Curious", "Practical", "Modern", "Hidden", "Little")
_NOUNS = ("Workshop", "Primer", "Studio", "Journey", "Lab", "Masterclass", "Companion", "Seminar")


def invented_courses(n: int = 120, seed: int = 0) -> tuple[Item, ...]:
    """`n` courses, the same for the same seed; no two have the same title."""
    found = []
    for number in range(n):
        dice = Dice((seed, number))
        subject = dice.pick(_SUBJECTS)
        title = f"The {dice.pick(_ADJECTIVES)} {subject} {dice.pick(_NOUNS)} {number + 1}"
        tags = {dice.pick(_TAGS) for _ in range(3)}
        attributes: dict[str, float | str | tuple[str, ...]] = {
            "subject_area": subject,
            "level": dice.pick(_LEVELS),
            "instructor": f"{dice.pick(_FIRST)} {dice.pick(_LAST)}",
            "format": dice.pick(_FORMATS),
            "style": tuple(sorted({dice.pick(_VIBES) for _ in range(2)})),
            "tags": tuple(sorted(tags)),
            "duration_weeks": float(dice.pick(range(2, 25))),
            "rating": dice.pick(range(30, 51)) / 10,
            "year": float(dice.pick(range(2012, 2026))),
        }
        price = Decimal(dice.pick(range(3, 60)) * 10)
        found.append(Item(f"course-{number + 1}", title, f"A course on {subject}.", attributes, price, "GBP", True))
    return tuple(found)
