"""The live lane where customers meet it: in the lists of a real conversation."""

from __future__ import annotations

from pathlib import Path

import pytest
from lesson_samples import take
from talking import Talk, talk_over

from agent.log.store import EventLog
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from ui.wiring import make_parts

WORDS = "a quiet story about rain and umbrellas"


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


async def place(talk: Talk, item_id: str, user: str | None) -> int:
    """Where the item stands in the whole ranking for `WORDS` in a new conversation of this customer."""
    talk.user, talk.session_id = user, None
    await talk.say(WORDS)  # its search hears of what is new, and has it fitted
    talk.chat._shops.lessons.settle("default")
    talk.session_id = None
    turn = await talk.say(WORDS)
    return [row["item_id"] for row in talk.logged(turn).record.trace["considered"]].index(item_id)


async def worst(talk: Talk) -> str:
    """The item that the plain search likes least of those that can be bought."""
    ranked = [str(row["item_id"]) for row in talk.logged(await talk.say(WORDS)).record.trace["considered"]]
    table = talk.chat._shops.current("default").table
    return [item_id for item_id in ranked if table.get(item_id).in_stock][-1]


async def test_what_three_customers_took_comes_up_for_a_stranger(talk: Talk, log: EventLog) -> None:
    item_id = await worst(talk)
    last = await place(talk, item_id, None)
    for name in ("ann", "bob"):
        take(log, name, WORDS, item_id)
        assert await place(talk, item_id, None) == last
    cleo = take(log, "cleo", WORDS, item_id)
    assert await place(talk, item_id, None) < last / 2
    cleo.does("withdraw", item_id, of="accept")
    assert await place(talk, item_id, None) == last


async def test_what_a_customer_took_comes_up_in_their_next_conversation_at_once(talk: Talk, log: EventLog) -> None:
    item_id = await worst(talk)
    last = await place(talk, item_id, "ann")
    take(log, "ann", WORDS, item_id)
    assert await place(talk, item_id, "ann") < last / 2
    assert await place(talk, item_id, "bob") == last


async def test_filters_hold_for_what_was_learned(talk: Talk, log: EventLog, film_shop: Shop) -> None:
    no_comedy = next(item.id for item in film_shop.table.items if "Comedy" not in str(item.attributes["genre"]))
    for name in ("ann", "bob", "cleo"):
        take(log, name, "a comedy with a zebra umbrella", no_comedy)
    await talk.say("anything")
    talk.chat._shops.lessons.settle("default")
    talk.session_id = None
    turn = await talk.say("a comedy with a zebra umbrella")
    considered = [row["item_id"] for row in talk.logged(turn).record.trace["considered"]]
    assert considered
    assert no_comedy not in considered


async def test_a_wish_without_words_to_search_by_still_gets_a_whole_list(talk: Talk, log: EventLog) -> None:
    """What was learned joins the popular items and does not stand alone."""
    plain = await talk.say("recommend me a comedy")
    item_id = plain.ids[-1]
    for name in ("ann", "bob", "cleo"):
        take(log, name, "recommend me a comedy", item_id)
    await place(talk, item_id, None)
    talk.session_id = None
    assert set((await talk.say("recommend me a comedy")).ids) >= {item_id}
    assert len(talk.turns[-1].ids) == len(plain.ids) == 5


def test_the_settings_reach_the_lane(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, llm={"engine": "off"}, retrieval={"live_customers": 7}, learning={"consent": "opt_in"}
    )
    parts = make_parts(settings, exact_only=True)
    try:
        assert isinstance(parts.shops, ShopKeeper)
        assert (parts.shops.lessons._customers, parts.shops.lessons._consent) == (7, "opt_in")
    finally:
        parts.log.close()
