"""An invented catalogue of board games, made by code; nothing is trained on it: it is unseen in every measure."""

from __future__ import annotations

from decimal import Decimal

from finetune.dialogues.noise import Dice
from retrieval.items import Item

_CATEGORIES = (
    "Deduction", "Auction", "Deck Building", "Tile Laying", "Trick Taking", "Worker Placement", "Dexterity", "Racing",
    "Economic", "Party",
)  # fmt: skip
_SETTINGS = ("pirates", "railways", "gardens", "outer space", "ancient Egypt", "dragons", "trade", "ghosts", "weather")
_MOODS = ("chatty", "tense", "silly", "thinky", "cosy", "fierce", "quick-witted")
_FIRST = ("Ulrike", "Bastien", "Marisol", "Oskar", "Yuna", "Declan", "Farah", "Matteo", "Ingrid", "Pavel")
_LAST = ("Steinmann", "Duval", "Quintero", "Halvorsen", "Kimura", "Fitzroy", "Rahimi", "Bellucci")
_EDITIONS = ("standard", "travel", "deluxe", "anniversary")
_LANGUAGES = ("English", "German", "French", "Italian", "language independent")
_ADJECTIVES = ("Crimson", "Silent", "Golden", "Wandering", "Broken", "Northern", "Velvet", "Restless")
_NOUNS = ("Harbour", "Lantern", "Citadel", "Caravan", "Orchard", "Compass", "Gambit", "Foundry")


def invented_boardgames(n: int = 150, seed: int = 0) -> tuple[Item, ...]:
    """`n` games, the same for the same seed; no two have the same title."""
    found = []
    for number in range(n):
        dice = Dice((seed, 77, number))
        title = f"{dice.pick(_ADJECTIVES)} {dice.pick(_NOUNS)} {number + 1}"
        attributes: dict[str, float | str | tuple[str, ...]] = {
            "category": tuple(sorted({dice.pick(_CATEGORIES) for _ in range(2)})),
            "designer": f"{dice.pick(_FIRST)} {dice.pick(_LAST)}",
            "theme": dice.pick(_SETTINGS),
            "mood": tuple(sorted({dice.pick(_MOODS) for _ in range(2)})),
            "edition": dice.pick(_EDITIONS),
            "language": dice.pick(_LANGUAGES),
            "playtime_min": float(dice.pick(range(15, 240, 15))),
            "max_players": float(dice.pick(range(2, 9))),
            "rating": dice.pick(range(50, 96)) / 10,
            "year": float(dice.pick(range(1985, 2026))),
        }
        price = Decimal(dice.pick(range(8, 90)))
        found.append(Item(f"game-{number + 1}", title, "A board game.", attributes, price, "EUR", True))
    return tuple(found)
