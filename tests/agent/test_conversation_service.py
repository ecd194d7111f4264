"""Shopping and service in one conversation: the item just shown can be asked about, and both halves are answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import HashingEncoder
from talking import Talk, talk_over

from agent.api.schemas import annotations_of
from agent.log.store import EventLog
from agent.shop import Shop
from agent.support.knowledge import search
from agent.support.knowledge.search import HelpArticles
from agent.support.knowledge.store import import_articles

RETURNS = "You can return a film within 30 days. Send it back in its case."
WARRANTY = (
    "The guarantee covers faults [1] for 2 years.\n\nNothing here takes away your legal rights, see "
    "https://ec.europa.eu/odr or our [form](https://forms.example/x)."
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelpArticles]:
    folder = tmp_path_factory.mktemp("help")
    meta = "---\nurl: https://shop.example/returns\nupdated: 2026-10-05\n---\n"
    (folder / "returns.md").write_text(f"{meta}# Return it: can I return it\n\n{RETURNS}\n", encoding="utf-8")
    (folder / "delivery.md").write_text(
        "# How long is delivery\n\nA parcel takes two to four days.\n", encoding="utf-8"
    )
    (folder / "fr.md").write_text("---\nlanguage: fr\n---\n# Voucher\n\nA voucher est valable 60 jours.\n", "utf-8")
    (folder / "faq.csv").write_text(f'question,answer,exact\nWhat guarantee applies?,"{WARRANTY}",yes\n', "utf-8")
    club = "Membership of the film club costs 20 EUR a year."
    (folder / "club.md").write_text(f"# Membership of the film club\n\n{club}\n", encoding="utf-8")
    encoder = HashingEncoder()
    made = import_articles(folder, tmp_path_factory.mktemp("knowledge"), encoder).folder
    assert made is not None
    desk = HelpArticles.open(made, encoder)
    yield desk
    desk.close()


@pytest.fixture
def talk(film_shop: Shop, desk: HelpArticles, log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    monkeypatch.setattr(search, "MIN_SCORE", 0.35)  # picked for MiniLM's cosines, not for a bag of words
    return talk_over(replace(film_shop, articles=desk), log, tmp_path)


async def test_the_item_just_shown_can_be_returned(talk: Talk, film_shop: Shop) -> None:
    shown = await talk.say("a comedy")
    second = film_shop.table.get(shown.ids[1])
    await talk.say("how long is the second one?")
    turn = await talk.say("and can I return it?")
    assert turn.reply.startswith(f"About {second.title}: {RETURNS} [1]")
    assert turn.reply.endswith("[1] Return it: can I return it · https://shop.example/returns · 2026-10-05")
    (citation,) = turn.answer.citations
    assert (citation.url, citation.updated, citation.quote) == ("https://shop.example/returns", "2026-10-05", RETURNS)
    assert turn.wishes == shown.wishes
    replayed = await talk.chat.again(talk.log.turn_input("default", turn.answer.turn_id))
    assert (replayed.reply, replayed.answer.citations) == (turn.reply, [citation])
    again = await talk.say("who directed it?")  # the focus is kept
    assert again.reply.startswith(second.title)


async def test_a_place_on_the_list_can_be_returned(talk: Talk, film_shop: Shop) -> None:
    shown = await talk.say("a comedy")
    turn = await talk.say("can I return the third one?")
    assert turn.reply.startswith(f"About {film_shop.table.get(shown.ids[2]).title}: ")


async def test_without_an_item_none_is_named(talk: Talk) -> None:
    await talk.say("a comedy")
    turn = await talk.say("how long is delivery?")
    assert turn.reply.startswith("A parcel takes two to four days. [1]")


async def test_a_question_about_an_item_and_one_about_the_service(talk: Talk, film_shop: Shop) -> None:
    shown = await talk.say("a comedy")
    second = film_shop.table.get(shown.ids[1])
    turn = await talk.say("is the second one longer than 2 hours? and can I return it?")
    first_half, second_half, source = turn.reply.split("\n\n")
    assert second.title in first_half
    assert f"{second.attributes['runtime_min']:g} min" in first_half
    assert second_half == f"About {second.title}: {RETURNS} [1]"
    assert source.startswith("[1] ")
    assert turn.answer.action == "answer"


async def test_a_wish_and_a_question_about_the_service(talk: Talk) -> None:
    turn = await talk.say("show me comedies, and how long is delivery?")
    assert ("genre", "eq", "Comedy", "positive") in turn.wishes
    assert len(turn.ids) == 5
    assert turn.answer.action == "recommend"
    assert "\n\nA parcel takes two to four days. [1]" in turn.reply
    assert turn.reply.index("5. ") < turn.reply.index("A parcel takes")
    assert [citation.n for citation in turn.answer.citations] == [1]


async def test_a_half_that_the_articles_do_not_answer_is_said_to_be_one(talk: Talk) -> None:
    turn = await talk.say("show me comedies. Do you accept paypal payment?")
    assert len(turn.ids) == 5
    assert "As for “Do you accept paypal payment?”: that is not in our help articles." in turn.reply
    assert turn.answer.citations == []


async def test_exact_words_are_used_word_for_word(talk: Talk) -> None:
    await talk.say("a comedy")
    turn = await talk.say("what guarantee applies?")
    assert turn.reply.startswith(f"{WARRANTY} [1]\n\n[1] What guarantee applies?")
    (annotation,) = annotations_of(turn.reply, turn.answer.citations)
    where = annotation.url_citation
    assert turn.reply[where.start_index : where.end_index] == "[1]"
    assert where.start_index == len(WARRANTY) + 1  # not the mark that the words themselves have


async def test_an_article_in_another_language_is_said_to_be_in_one(talk: Talk) -> None:
    turn = await talk.say("is there a voucher?")
    assert turn.reply.startswith("Our help article on this is in French: A voucher est valable 60 jours. [1]")


@pytest.mark.parametrize(
    "text",
    ["I bought a disc from you last week, can I return it?", "my brother gave me it for Christmas. Can I return it?"],
)
async def test_a_story_before_the_question_is_no_second_half(talk: Talk, text: str) -> None:
    await talk.say("a comedy")
    turn = await talk.say(text)
    assert turn.answer.action == "answer"
    assert f"{RETURNS} [1]" in turn.reply


async def test_what_only_the_articles_know_is_answered_by_them(talk: Talk) -> None:
    turn = await talk.say("what is the membership of the film club?")
    assert turn.reply.startswith("Membership of the film club costs 20 EUR a year. [1]")
    assert (turn.answer.action, turn.ids) == ("answer", [])
    wish = await talk.say("show me something good")  # no question: a list, whatever the articles say
    assert wish.answer.citations == []
    assert wish.ids
    joke = await talk.say("what is the weather like tomorrow?")
    assert joke.answer.citations == []
