"""General words lean the ranking without becoming wishes."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest
from talking import talk_over

from agent.leaning import LEAN, POPULAR, PRICE, YEAR, leanings
from agent.log.store import EventLog
from agent.rank.axes import Axis
from agent.rank.session import checked
from agent.shop import Shop


@pytest.mark.parametrize(
    ("text", "axis", "value"),
    [
        ("Something popular, please", POPULAR, LEAN),
        ("a well-known movie", POPULAR, LEAN),
        ("Do you have a hidden gem?", POPULAR, -LEAN),
        ("underrated films", POPULAR, -LEAN),
        ("price matters most to me", PRICE, -LEAN),
        ("the newer the better", YEAR, LEAN),
        ("越便宜越好", PRICE, -LEAN),
    ],
)
def test_general_words_lean(film_shop: Shop, text: str, axis: Axis, value: float) -> None:
    found = leanings((text,), film_shop.axes)
    assert found == {axis: value}
    checked(found, film_shop.axes)


@pytest.mark.parametrize(
    "text", ["a film about a famous painter", "the popular kid at school", "a horror film under 10 EUR", "price?", ""]
)
def test_other_words_do_not(film_shop: Shop, text: str) -> None:
    assert leanings((text,), film_shop.axes) == {}


def test_the_later_word_counts(film_shop: Shop) -> None:
    assert leanings(("something popular", "or rather a hidden gem"), film_shop.axes) == {POPULAR: -LEAN}


async def test_a_list_follows_and_no_wish_is_made(film_shop: Shop, tmp_path: Path) -> None:
    log = EventLog.open(None, tmp_path)

    async def shown(text: str) -> list[float]:
        turn = await talk_over(film_shop, log, tmp_path).say(text)
        assert {wish[0] for wish in turn.wishes} <= {"genre", None}
        return [film_shop.table.get(item_id).popularity for item_id in turn.ids]

    popular, hidden = await shown("a drama, a popular film"), await shown("a drama, a hidden gem")
    denied = await shown("a drama, no popular films")
    plain = await shown("a drama")
    log.close()
    assert mean(popular) >= mean(plain) > mean(hidden)
    assert mean(denied) <= mean(popular)
