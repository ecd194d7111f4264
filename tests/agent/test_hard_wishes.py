"""What simulated customers say firmly becomes a filter: nothing that breaks it can be offered, whatever is found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.needs import Need, Wish, draw_needs
from agent.bench.dialogue.words import Act, Words
from agent.preferences import Fact, fold
from agent.querying import filters_of
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext
from retrieval.demo import demo_films_path
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

NEEDS = 60


@pytest.fixture(scope="module")
def films() -> ItemTable:
    return ItemTable(load_catalogue(demo_films_path()).items)


def acts_of(customer: Customer, need: Need) -> Iterator[Act]:
    """Everything that there is to say, whatever is shown: the mistake is put right, then one wish after the other."""
    yield customer.opens()
    if need.mistaken is not None:
        customer.said[0] = need.wishes[0]
        yield customer._words.instead(need.mistaken, need.wishes[0])
    for wish in list(customer._unsaid):
        customer._say(wish)
        yield customer._words.more(wish)
    for wish in [one for one in customer.said if one.hard]:
        yield customer._words.again(wish)


@pytest.mark.parametrize("seed", [0, 7])
def test_every_hard_wish_is_a_filter(films: ItemTable, seed: int) -> None:
    rules, missed = Rules(lexicon_of(films), films.get), []
    for need in draw_needs(films, NEEDS, seed):
        customer = Customer(need, films, np.random.default_rng([seed, need.number]))
        facts: list[Fact] = []
        shown: list[tuple[str, ...]] = []
        for turn, act in enumerate(acts_of(customer, need), 1):
            context = DialogueContext(turn, fold(facts), tuple(shown), shown[-1] if shown else ())
            facts += rules.understand(act.text, context).facts
            allowed = films.mask(filters_of(fold(facts)))
            hard = [wish for wish in customer.said if wish.hard]
            missed += [(need.number, act.text, wish) for wish in hard if (allowed & ~wish.mask(films)).any()]
            shown.append(tuple(films.ids[row] for row in np.flatnonzero(allowed)[:5]))
    assert missed == []


def test_a_value_of_two_attributes_is_called_by_name_whatever_its_case() -> None:
    items = [Item(f"i{n}", "x", attributes={"genre": "War" if n % 2 else "Drama", "theme": "war"}) for n in range(4)]
    words = Words(ItemTable(items).shape, np.random.default_rng(0))
    assert words.phrase(Wish("theme", "eq", "war")) == "theme war"
    assert words.phrase(Wish("genre", "ne", "War")) in ("no genre War", "not genre War")
    assert words.phrase(Wish("genre", "eq", "Drama")) == "Drama"
