"""A customer talks with the real conversation over the real log; the language model is switched off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from small_shop import HashingEncoder
from talking import PLAIN, Talk, Turn, genres_of, meets, talk_over

from agent.answer import Answer
from agent.log.store import EventLog
from agent.preferences import Dropped
from agent.questions import choose
from agent.settings import Settings
from agent.shop import Shop
from agent.support.knowledge import search
from agent.support.knowledge.search import HelpArticles
from agent.support.knowledge.store import import_articles
from agent.thresholds import Asking
from retrieval.items import Item

RETURNS = "# Returns\n\n## How to return a film\n\nYou can return a film within 30 days. Send it back in its case.\n"
DELIVERY = "# Delivery\n\nA parcel takes two to four days.\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def helpful_shop(film_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The films with two help articles."""
    folder = tmp_path_factory.mktemp("articles")
    (folder / "returns.md").write_text(f"---\nurl: https://shop.example/returns\n---\n{RETURNS}", encoding="utf-8")
    (folder / "delivery.md").write_text(DELIVERY, encoding="utf-8")
    encoder = HashingEncoder()
    made = import_articles(folder, tmp_path_factory.mktemp("knowledge"), encoder).folder
    assert made is not None
    desk = HelpArticles.open(made, encoder)
    yield replace(film_shop, articles=desk)
    desk.close()


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


def items_of(shop: Shop, turn: Turn) -> list[Item]:
    return [shop.table.get(item_id) for item_id in turn.ids]


async def test_ten_turns(
    helpful_shop: Shop, log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_title: dict[str, Item]
) -> None:
    monkeypatch.setattr(search, "MIN_SCORE", 0.35)  # picked for MiniLM's cosines, not for a bag of words
    talk = talk_over(helpful_shop, log, tmp_path)
    everything = helpful_shop.table.items

    turn = await talk.say("a comedy under 20 euros")
    assert turn.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 20.0, "positive")}
    assert len(turn.ids) == 5
    assert all("Comedy" in genres_of(i) and i.price < 20 for i in items_of(helpful_shop, turn))  # type: ignore[operator]

    turn = await talk.say("nothing violent please")
    assert ("mood", "eq", "violent", "negative") in turn.wishes
    assert all("violent" not in i.attributes["mood"] for i in items_of(helpful_shop, turn))  # type: ignore[operator]

    turn = await talk.say("something like Alien but newer")
    assert (None, "like", by_title["Alien"].id, "positive") in turn.wishes
    assert "Alien" in turn.reply.splitlines()[0]
    assert by_title["Alien"].id not in turn.ids
    assert turn.ids
    assert all(i.attributes["year"] > 1979 for i in items_of(helpful_shop, turn))  # type: ignore[operator]

    second = helpful_shop.table.get(turn.ids[1])
    turn = await talk.say("how long is the second one?")
    assert turn.answer.action == "answer"
    assert turn.reply == f"{second.title}: runtime {second.attributes['runtime_min']:g} min."

    before = turn.wishes
    turn = await talk.say("which is the cheapest of all your films?")
    assert talk.logged(turn).record.intent in ("superlative", "compare")
    assert turn.wishes == before
    assert turn.answer.items[0].price is not None
    assert [float(i.price.amount) for i in turn.answer.items if i.price] == sorted(
        float(i.price.amount) for i in turn.answer.items if i.price
    )

    turn = await talk.say("a musical from the 1990s")
    assert turn.ids == []
    assert turn.answer.no_match is not None
    assert turn.answer.no_match.kind == "filtered_out"
    wishes = {p.id: p for p in turn.answer.preferences if p.kind == "hard"}
    counted = {b.preference_id: b.relaxed_count for b in turn.answer.no_match.blocking}
    assert counted.keys() == wishes.keys()
    for dropped, n in counted.items():
        kept = [wish for key, wish in wishes.items() if key != dropped]
        assert n == sum(all(meets(item, wish) for wish in kept) for item in everything)

    turn = await talk.say("actually, make that from the 1950s")
    assert {(w[0], w[1], w[2]) for w in turn.wishes if w[0] == "year"} == {
        ("year", "ge", 1950.0),
        ("year", "le", 1959.0),
    }
    assert turn.titles == ["Some Like It Hot"]

    turn = await talk.say("why not Casablanca?")
    assert turn.reply.startswith("Casablanca was not offered because it is not Musical and not from 1950 or later")
    assert turn.ids == []

    turn = await talk.say("how do I return a film?")
    (citation,) = turn.answer.citations
    assert citation.quote in RETURNS
    assert (citation.n, citation.url) == (1, "https://shop.example/returns")
    assert f"{citation.quote} [1]" in turn.reply
    assert f"[1] {citation.title} · https://shop.example/returns" in turn.reply

    turn = await talk.say("undo")
    turn = await talk.say("undo")
    turn = await talk.say("undo")
    assert ("year", "ge", 1990.0, "positive") in turn.wishes  # the correction is gone, what it corrected is back
    assert [t.number for t in log.state("default", turn.answer.session_id).turns] == list(range(1, 13))


async def test_what_is_asked_is_not_wished(talk: Talk, film_shop: Shop) -> None:
    await talk.say("a comedy")
    count = await talk.say("how many films from the 1980s do you have?")
    asked = [i for i in film_shop.table.items if 1980 <= i.attributes["year"] < 1990 and "Comedy" in genres_of(i)]  # type: ignore[operator]
    assert count.reply.startswith(f"{len(asked)} items fit: ")
    assert count.wishes == {("genre", "eq", "Comedy", "positive")}
    longest = await talk.say("what is the longest drama?")
    assert longest.wishes == count.wishes
    after = await talk.say("under 12 euros")
    assert after.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 12.0, "positive")}


async def test_what_answers_a_question_but_breaks_a_wish_is_no_offer(talk: Talk) -> None:
    await talk.say("a comedy")
    for text in ("how many horror films do you have?", "what is the longest war film?"):
        turn = await talk.say(text)
        assert turn.wishes == {("genre", "eq", "Comedy", "positive")}
        assert turn.ids == []
        assert any(miss.breaks for miss in turn.answer.alternatives)
        assert turn.answer.alternatives[0].item.title in turn.reply


async def test_everything_is_counted_without_wishes(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("how many films do you have?")
    assert turn.reply == f"There are {len(film_shop.table)} items in the catalogue."


async def test_a_superlative_is_of_the_whole_catalogue_and_skips_the_rejected(talk: Talk, film_shop: Shop) -> None:
    by_price = sorted(film_shop.table.items, key=lambda i: (i.price, -i.popularity))
    for _ in range(7):  # more than a list holds: what is left is still found
        turn = await talk.say("what is your cheapest film?")
        assert turn.answer.items[0].price is not None
        assert turn.ids[0] == by_price.pop(0).id
        await talk.say("not the first one")
    assert len(turn.ids) == 5


async def test_a_removed_chip_takes_effect_without_a_model(talk: Talk) -> None:
    first = await talk.say("a comedy under 10 euros")
    price = next(p for p in first.answer.preferences if p.attribute == "price")
    await talk.drop(Dropped(1, "", preference_ids=(price.id,)))
    turn = await talk.say("more")
    assert turn.wishes == {("genre", "eq", "Comedy", "positive")}
    assert not set(turn.ids) & set(first.ids)
    assert any(float(i.price.amount) >= 10 for i in turn.answer.items if i.price)


async def test_undo_takes_back_a_wish_and_an_edit_stays(talk: Talk) -> None:
    first = await talk.say("a comedy")
    await talk.say("under 10 euros")
    undone = await talk.say("undo")
    assert undone.reply.startswith("I took your last message back. ")
    assert undone.wishes == first.wishes
    assert undone.ids == first.ids
    assert (await talk.say("undo")).wishes == set()
    nothing = await talk.say("undo")
    assert nothing.reply == "There is nothing to take back yet."


async def test_undo_takes_back_a_rejection(talk: Talk) -> None:
    first = await talk.say("a horror film")
    rejected = await talk.say("not the first one")
    assert first.ids[0] not in rejected.ids
    assert rejected.reply.startswith(f"Noted, I leave {first.titles[0]} out. 4 items fit your wishes")
    back = await talk.say("undo")
    assert first.ids[0] in back.ids
    why = await talk.say(f"why not {first.titles[0]}?")
    assert "in the list above, at number 1" in why.reply


async def test_what_was_rejected_never_comes_back(talk: Talk, film_shop: Shop) -> None:
    gone = set()
    turn = await talk.say("a thriller")
    for _ in range(4):
        gone.add(turn.ids[0])
        turn = await talk.say("not the first one")
        assert not gone & set(turn.ids)
    for text in ("more", "a drama", "the most popular film", "how many thrillers are there?", "start over", "anything"):
        turn = await talk.say(text)
        assert not gone & set(turn.ids), text
    why = await talk.say(f"why not {film_shop.table.get(min(gone)).title}?")
    assert "because you asked me to" in why.reply


async def test_an_item_that_was_only_spoken_of_can_be_rejected(talk: Talk, by_title: dict[str, Item]) -> None:
    await talk.say("do you have Alien?")
    rejected = await talk.say("not that one")
    assert rejected.reply.startswith("Noted, I leave Alien out.")
    later = await talk.say("a horror film")
    assert by_title["Alien"].id not in later.ids
    assert later.reply.startswith("4 items fit")
    assert len(later.ids) == 4


async def test_unlike_an_item_means_the_item_too(talk: Talk, by_title: dict[str, Item]) -> None:
    await talk.say("nothing like Alien")
    turn = await talk.say("a sci-fi horror")
    assert turn.ids == [by_title["Ghostbusters"].id]


async def test_more_never_repeats_and_ends(talk: Talk, film_shop: Shop) -> None:
    turn, seen = await talk.say("a crime film"), list[str]()
    while turn.ids:
        assert not set(seen) & set(turn.ids)
        seen += turn.ids
        turn = await talk.say("more")
    assert set(seen) == {i.id for i in film_shop.table.items if "Crime" in genres_of(i)}
    assert turn.reply == "That was all: nothing else fits your wishes (Crime)."


async def test_near_misses_can_be_pointed_at_even_after_undo(talk: Talk) -> None:
    before = await talk.say("a musical from the 1990s under 7 euros")
    (price,) = [wish.id for wish in before.answer.preferences if wish.attribute == "price"]
    await talk.drop(Dropped(1, "", preference_ids=(price,)))
    await talk.say("thanks")
    turn = await talk.say("undo")
    first = turn.answer.alternatives[0].item
    assert turn.answer.alternatives[0].breaks
    assert first.id != before.answer.alternatives[0].item.id
    asked = await talk.say("how long is the first one?")
    assert asked.reply.startswith(f"{first.title}: runtime ")
    rejected = await talk.say("not the first one")
    assert first.id not in [a.item.id for a in rejected.answer.alternatives]
    again = await talk.say("a musical from the 1990s")
    assert first.id not in [a.item.id for a in again.answer.alternatives]


async def test_why_not_gives_the_place_and_the_reason(talk: Talk, film_shop: Shop) -> None:
    first = await talk.say("a thriller")
    last = talk.logged(first).record.trace["considered"][8]
    title = film_shop.table.get(last["item_id"]).title
    turn = await talk.say(f"why not {title}?")
    assert turn.reply.startswith(
        f"{title} fits your wishes; it came at place 9 of 16, behind {first.titles[0]}, mainly"
    )
    shown = await talk.say(f"why not {first.titles[2]}?")
    assert shown.reply == f"{first.titles[2]} is in the list above, at number 3."


async def test_why_not_of_what_is_out_of_stock_and_of_what_is_not_carried(talk: Talk) -> None:
    await talk.say("a sci-fi film in stock")
    turn = await talk.say("why not Ghostbusters?")
    assert turn.reply == "Ghostbusters was not offered because it is not in stock."
    turn = await talk.say("why not Zardoz?")
    assert turn.answer.no_match is not None
    assert (turn.answer.no_match.kind, turn.answer.no_match.said) == ("not_carried", "Zardoz")
    assert turn.reply == "We do not carry “Zardoz”."


@pytest.fixture
def curious(talk: Talk) -> Talk:
    """Asks whenever an answer gains anything at all."""
    talk.chat._choose = partial(choose, asking=Asking(0.3, 0.1, 0.1, 0.8, 0.0))
    return talk


async def test_a_question_is_never_asked_twice_and_has_the_catalogues_own_answers(
    curious: Talk, film_shop: Shop
) -> None:
    talk = curious
    turn = await talk.say("show me a film")
    question = turn.answer.question
    assert turn.answer.action == "ask"
    assert question is not None
    values = film_shop.table.shape.attributes[question.attribute].values
    assert values is None or set(question.options[:-1]) <= values.keys()
    assert question.text in turn.reply
    assert turn.ids  # a question stands beside items, not in their stead
    asked = [question.attribute]
    for _ in range(12):
        turn = await talk.say("show me a film")
        if turn.answer.question is None:
            break
        asked.append(turn.answer.question.attribute)
    assert turn.answer.action == "recommend"
    assert len(asked) == len(set(asked))


async def test_the_offered_answer_is_understood(curious: Talk) -> None:
    talk = curious
    asked = (await talk.say("show me a film")).answer.question
    assert asked is not None
    turn = await talk.say(asked.options[0])
    assert {wish[0] for wish in turn.wishes} == {asked.attribute}


async def test_show_me_anyway_shows_others_and_ends_the_questions(curious: Talk) -> None:
    talk = curious
    first = await talk.say("show me a film")
    assert first.answer.question is not None
    turn = await talk.say(first.answer.question.options[-1])
    assert turn.answer.action == "recommend"
    assert turn.answer.question is None
    assert turn.ids
    assert not set(turn.ids) & set(first.ids)
    assert (await talk.say("show me a film")).answer.question is None
    for _ in range(3):
        await talk.say("undo that")
    assert (await talk.say("show me a film")).answer.question is not None, "what is taken back was not said"


async def test_how_sure_a_turn_is_stands_in_its_trace(talk: Talk) -> None:
    told = talk.logged(await talk.say("a horror film")).record.trace["confidence"]
    assert told["step"] == "recommend"
    assert 0 < told["probability"] < 1
    assert told["features"]["wishes"] == 1
    assert talk.logged(await talk.say("hello")).record.trace["confidence"] is None


async def test_who_is_not_understood_again_and_again_is_offered_a_person(talk: Talk) -> None:
    assert (await talk.say("")).answer.question is None
    turn = await talk.say("")
    assert turn.answer.question is not None
    assert "person" in turn.reply
    assert (await talk.say("")).answer.question is None, "once"
    assert (await talk.say(turn.answer.question.options[0])).answer.action == "handoff"


CHINESE = re.compile(r"[\u4e00-\u9fff]")


async def test_the_reply_speaks_the_customers_language(talk: Talk) -> None:
    turn = await talk.say("我想看喜剧片")
    assert turn.wishes == {("genre", "eq", "Comedy", "positive")}
    assert CHINESE.search(turn.reply)
    assert "Fits your wish" not in turn.reply
    assert talk.logged(turn).record.language == "zh"
    silent = await talk.say("")
    assert CHINESE.search(silent.reply)  # no words, no language: the one before
    assert "Comedy" in (await talk.say("a comedy")).reply.splitlines()[0]
    assert not CHINESE.search(talk.turns[-1].reply)


@pytest.mark.parametrize(("language", "text"), [("zh", "a comedy"), ("en", "我想看喜剧片")])
async def test_a_set_language_wins(film_shop: Shop, log: EventLog, tmp_path: Path, language: str, text: str) -> None:
    settings = Settings(**PLAIN, language=language)  # type: ignore[arg-type]
    turn = await talk_over(film_shop, log, tmp_path, settings=settings).say(text)
    assert turn.wishes == {("genre", "eq", "Comedy", "positive")}
    assert bool(CHINESE.search(turn.reply)) == (language == "zh")


async def test_a_chinese_question_is_told_that_the_article_is_english(
    helpful_shop: Shop, log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MIN_SCORE", 0.2)
    turn = await talk_over(helpful_shop, log, tmp_path).say("怎么退货?")
    assert turn.answer.citations[0].quote in RETURNS
    assert "帮助页面是英语的" in turn.reply
    turn = await talk_over(helpful_shop, log, tmp_path).say("how do I return a film?")
    assert "in English" not in turn.reply


async def test_the_answer_is_complete_json(talk: Talk) -> None:
    lists = ("items", "alternatives", "citations", "preferences")
    for text in ("hello", "a comedy", "a musical from the 1990s", "why not Zardoz?", "undo", "a human please"):
        turn = await talk.say(text)
        plain = turn.answer.model_dump(mode="json")
        assert Answer.model_validate_json(turn.answer.model_dump_json()) == turn.answer
        assert all(isinstance(plain[name], list) for name in lists)
        assert all(isinstance(item["matched"], list) for item in plain["items"])
        assert plain["v"] == 1
        assert [item["rank"] for item in plain["items"]] == list(range(1, len(plain["items"]) + 1))
        assert talk.logged(turn).record.answer == plain


async def test_attributes_keep_the_catalogues_names_and_types(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("a comedy")
    for card in turn.answer.items:
        item = film_shop.table.get(card.id)
        assert card.attributes["year"] == item.attributes["year"]
        assert isinstance(card.attributes["year"], int)
        assert card.attributes["genre"] == list(item.attributes["genre"])  # type: ignore[arg-type]
        assert card.price is not None
        assert (card.price.amount, card.price.currency) == (f"{item.price:.2f}", "EUR")
        assert "genre: Comedy" in card.matched


async def test_the_text_alone_is_enough(talk: Talk) -> None:
    turn = await talk.say("a comedy under 20 euros")
    for card in turn.answer.items:
        assert card.price is not None
        assert f"{card.rank}. {card.title} ({card.attributes['year']}) · {card.price.amount} EUR" in turn.reply
        assert f"   {card.url}" in turn.reply


async def test_the_trace_explains(talk: Talk) -> None:
    turn = await talk.say("a funny thriller")
    record = talk.logged(turn).record
    trace = record.trace
    assert trace["intent"] == "recommend"
    assert [w["attribute"] for w in trace["wishes"]] == [p.attribute for p in turn.answer.preferences]
    assert [c["item_id"] for c in trace["considered"]][: len(turn.ids)] == turn.ids
    scores = [c["score"] for c in trace["considered"]]
    assert scores == sorted(scores, reverse=True)
    for entry in trace["considered"]:
        assert sum(entry["contributions"].values()) == pytest.approx(entry["score"], abs=1e-3)
    assert [(row.item_id, row.position, row.list) for row in record.shown] == [
        (item_id, n, "slate") for n, item_id in enumerate(turn.ids, 1)
    ]
    assert record.message == "a funny thriller"
    assert record.reply == turn.reply
    assert record.index_name == talk.chat._shops.current("default").index_name


async def test_a_handoff_a_decline_and_small_talk_show_nothing(talk: Talk) -> None:
    for text, action in (
        ("let me talk to a human", "handoff"),
        ("what's the weather today?", "decline"),
        ("hello", "chat"),
        ("thank you", "chat"),
    ):
        turn = await talk.say(text)
        assert turn.answer.action == action
        assert turn.ids == []
        assert turn.answer.alternatives == []


async def test_start_over_forgets_the_wishes(talk: Talk) -> None:
    await talk.say("a comedy under 10 euros")
    assert (await talk.say("start over")).wishes == set()
    assert (await talk.say("a horror film")).wishes == {("genre", "eq", "Horror", "positive")}


async def test_a_title_near_an_unknown_one_says_what_it_breaks(talk: Talk) -> None:
    first = await talk.say("a comedy")
    turn = await talk.say("do you have Alien Resurrection?")
    assert turn.answer.no_match is not None
    assert (turn.answer.no_match.kind, turn.answer.no_match.said) == ("unknown", "Alien Resurrection")
    (near,) = turn.answer.alternatives
    assert near.item.title == "Alien"
    assert near.breaks == [first.answer.preferences[0].id]
    assert turn.wishes == first.wishes
    asked = await talk.say("how long is the first one?")
    assert asked.reply.startswith(f"{near.item.title}: runtime ")
