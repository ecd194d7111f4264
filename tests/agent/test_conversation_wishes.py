"""Whatever is wished for: items meet every hard wish, what fits is counted right, and odds are honest."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from talking import PLAIN, Talk, meets, talk_over

from agent.log.store import EventLog
from agent.preferences import Added, Preference
from agent.settings import Settings
from agent.shop import Shop
from retrieval.diversity import mean_distance
from retrieval.items import Item

COMBINATIONS = 200
EXPLORING = Settings(chat={"exploration": 0.5, "diversity": 0.0})  # type: ignore[arg-type]  # pydantic makes the section
VARIED = Settings(chat={"exploration": 0.5, "diversity": 0.8})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


def random_wishes(rng: random.Random, shop: Shop) -> tuple[Added, ...]:
    """One to four hard wishes on the catalogue's own values, some of them negative."""
    shapes = shop.table.shape.attributes
    wishes = []
    for n in range(rng.randint(1, 4)):
        name = rng.choice(["genre", "genre", "mood", "director", "year", "runtime_min", "price", "in_stock"])
        polarity = rng.choice(["positive", "positive", "negative"])
        if name == "in_stock":
            op, values, polarity = "eq", ("yes",), "positive"
        elif name in ("year", "runtime_min", "price"):
            item = rng.choice(shop.table.items)
            number = float(item.price or 0) if name == "price" else float(item.attributes[name])  # type: ignore[arg-type]
            op, values = rng.choice(["lt", "le", "gt", "ge"]), (number,)
        else:
            op, values = "eq", tuple(rng.sample(sorted(shapes[name].values or ()), rng.choice([1, 1, 2])))
        wishes.append(Added(Preference(f"t0-{n}", "hard", name, op, values, polarity, "", 0)))  # type: ignore[arg-type]
    return tuple(wishes)


async def test_items_meet_every_hard_wish(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    rng, everything = random.Random(20), film_shop.table.items  # noqa: S311 -- no secret
    talk = talk_over(film_shop, log, tmp_path, settings=EXPLORING)
    outcomes = {"full": 0, "few": 0, "none": 0}
    for _ in range(COMBINATIONS):
        talk.session_id = log.start_conversation("default", "", None).id
        await talk.drop(*random_wishes(rng, film_shop))
        turn = await talk.say("show me some films")
        wishes = turn.answer.preferences
        fitting = [item for item in everything if all(meets(item, wish) for wish in wishes)]
        assert set(turn.ids) <= {item.id for item in fitting}
        assert len(turn.ids) == len(set(turn.ids)) == min(5, len(fitting))
        if not any(wish.attribute == "in_stock" for wish in wishes):
            in_stock = [film_shop.table.get(item_id).in_stock for item_id in turn.ids]
            assert in_stock == sorted(in_stock, reverse=True)
            assert sum(map(bool, in_stock)) == min(5, sum(bool(item.in_stock) for item in fitting))
        if fitting:
            outcomes["full" if len(turn.ids) == 5 else "few"] += 1
            assert turn.answer.no_match is None
            assert turn.answer.alternatives == []
            continue
        outcomes["none"] += 1
        check_near_misses(turn.answer, everything)
    assert min(outcomes.values()) >= 15, outcomes  # all three were met


def check_near_misses(answer, everything: tuple[Item, ...]) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Each wish's count, and what each alternative breaks, against a scan of all items."""
    assert answer.no_match is not None
    wishes = {wish.id: wish for wish in answer.preferences}
    assert {entry.preference_id for entry in answer.no_match.blocking} == wishes.keys()
    for entry in answer.no_match.blocking:
        kept = [wish for key, wish in wishes.items() if key != entry.preference_id]
        assert entry.relaxed_count == sum(all(meets(item, wish) for wish in kept) for item in everything)
    assert answer.alternatives
    by_id = {item.id: item for item in everything}
    for alternative in answer.alternatives:
        item = by_id[alternative.item.id]
        broken = {key for key, wish in wishes.items() if not meets(item, wish)}
        assert broken
        assert set(alternative.breaks) == broken


@pytest.mark.parametrize("size", [1, 3, 20])
async def test_no_more_items_than_set(film_shop: Shop, log: EventLog, tmp_path: Path, size: int) -> None:
    talk = talk_over(film_shop, log, tmp_path, settings=Settings(chat={"items": size, "exploration": 0.3}))  # type: ignore[arg-type]
    for text, n in (("a thriller", 16), ("more", 16 - size), ("the longest thriller", 16), ("how many dramas?", 15)):
        turn = await talk.say(text)
        assert len(turn.ids) <= size, text
        if n >= size:
            assert len(turn.ids) == size, text


# --- exploration ---


@pytest.mark.parametrize("settings", [EXPLORING, VARIED], ids=["plain", "varied"])
async def test_explored_lists_carry_exact_odds(
    film_shop: Shop, log: EventLog, tmp_path: Path, settings: Settings
) -> None:
    talk = talk_over(film_shop, log, tmp_path, settings=settings)
    turn = await talk.say("a thriller")
    record = talk.logged(turn).record
    assert record.exploration == 0.5
    table, vectors = film_shop.table, film_shop.axes.vectors
    scores = {c["item_id"]: c["score"] for c in record.trace["considered"]}
    above: list[int] = []
    for row in record.shown:
        assert row.log_propensity is not None
        likeness = {i: max([0.0, *(float(vectors[table.row_of(i)] @ vectors[r]) for r in above)]) for i in scores}
        now = {i: score - settings.chat.diversity * likeness[i] for i, score in scores.items()}
        weights = {i: math.exp(score / 0.5) for i, score in now.items()}
        # What is left sums to one: the odds of this item are its share of all that were not yet placed.
        assert math.exp(row.log_propensity) == pytest.approx(weights[row.item_id] / sum(weights.values()), rel=2e-3)
        assert row.score == pytest.approx(now[row.item_id], abs=2e-4)
        assert row.score == pytest.approx(math.fsum(part or 0.0 for part in row.contributions.values()))
        assert ("diversity" in row.contributions) == (settings is VARIED)
        del scores[row.item_id]
        above.append(table.row_of(row.item_id))


async def test_the_order_by_a_number_is_never_varied(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    for text in ("the longest thriller", "what is your cheapest film?", "how many thrillers do you have?"):
        found = []
        for diversity in (0.0, 1.0):
            settings = Settings(chat={"exploration": 0.0, "diversity": diversity})  # type: ignore[arg-type]
            talk = talk_over(film_shop, log, tmp_path, settings=settings)
            found.append((await talk.say(text)).ids)
        assert found[0], text
        assert found[0] == found[1], text


async def test_a_varied_list_is_less_alike(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    distances = []
    for diversity in (0.0, 1.0):
        settings = Settings(chat={"exploration": 0.0, "diversity": diversity})  # type: ignore[arg-type]
        turn = await talk_over(film_shop, log, tmp_path, settings=settings).say("a thriller")
        distances.append(mean_distance(film_shop.axes.vectors[film_shop.table.rows_of(turn.ids)]))
        assert len(turn.ids) == 5
    assert distances[1] > distances[0]


async def test_explored_lists_differ_and_plain_ones_do_not(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    lists: dict[bool, set[tuple[str, ...]]] = {}
    for explored, settings in ((True, EXPLORING), (False, Settings(**PLAIN))):  # type: ignore[arg-type]
        talk = talk_over(film_shop, log, tmp_path, settings=settings)
        turns = []
        for _ in range(8):
            talk.session_id = None
            turns.append(await talk.say("a thriller"))
        lists[explored] = {tuple(turn.ids) for turn in turns}
        assert len({talk.logged(turn).record.seed for turn in turns}) == 8
    assert len(lists[True]) > 1
    assert len(lists[False]) == 1


@pytest.mark.parametrize(
    "text",
    ["the longest thriller", "what is your cheapest film?", "how many thrillers do you have?", "a musical from 1990"],
)
async def test_a_fact_is_not_explored(film_shop: Shop, log: EventLog, tmp_path: Path, text: str) -> None:
    talk = talk_over(film_shop, log, tmp_path, settings=EXPLORING)
    record = talk.logged(await talk.say(text)).record
    assert record.shown
    assert record.exploration == 0.0
    assert {row.log_propensity for row in record.shown} == {None}


async def test_without_exploration_there_are_no_odds(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    talk: Talk = talk_over(film_shop, log, tmp_path)
    record = talk.logged(await talk.say("a thriller")).record
    assert record.exploration == 0.0
    assert {row.log_propensity for row in record.shown} == {None}
