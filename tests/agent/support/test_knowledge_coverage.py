"""What a question has that no article has: told in words, forgiven where it means the same, counted on near misses."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent.support.chinese import english_question
from agent.support.knowledge.coverage import Coverage, content_words
from agent.support.knowledge.search import HelpArticles
from agent.support.knowledge.store import import_articles
from retrieval.demo import demo_articles_dir
from retrieval.encoder import SentenceEncoder

NEAR_MISSES = Path(__file__).parents[1] / "data" / "near_misses"


@pytest.mark.parametrize(
    ("article", "question", "language", "lacking"),
    [
        ("We replace a faulty disc.", "can you repair a faulty disc?", "en", ("repair",)),
        ("We replace a faulty disc.", "do you replace faulty discs?", "en", ()),
        ("We deliver parcels. A guarantee of 2 years.", "is there a warranty on shipping?", "en", ()),
        ("Wir bieten Abendkurse an.", "Wann ist der Kurs?", "de", ()),
        ("Wir bieten Abendkurse an.", "Gibt es einen Parkplatz?", "de", ("parkplatz",)),
        ("Un billet coûte 9 euros.", "Combien coûte un billet pour un chien ?", "fr", ("chien",)),
        ("积分可以换钱。", "积分可以换手机吗？", "zh", ("手", "机")),
        ("We sell to advertisers.", "is my data given to advertising?", "en", ("data",)),
    ],
)
def test_what_no_article_has(article: str, question: str, language: str, lacking: tuple[str, ...]) -> None:
    assert Coverage([article]).lacking(question, language).words == lacking


def test_a_title_need_not_be_in_an_article() -> None:
    coverage = Coverage(["You can return a film."])
    assert coverage.lacking("can I return Casablanca?", "en").words == ("casablanca",)
    assert coverage.lacking("can I return Casablanca?", "en", beside="Casablanca").words == ()


def test_how_it_is_asked_is_no_content() -> None:
    assert content_words("How long do I have to wait?", "en") == ["wait"]
    assert content_words("Wie lange muss ich warten?", "de") == ["warten"]


def test_a_word_without_an_end_is_read() -> None:
    assert Coverage(["Kurs"]).lacking("a" * 100_000, "de").asked == 1


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, HelpArticles]]:
    """Each collection of articles with the default encoder."""
    encoder, found = SentenceEncoder(), {}
    folders = {"reel": demo_articles_dir()} | {one.name: one for one in NEAR_MISSES.iterdir() if one.is_dir()}
    for name, folder in folders.items():
        made = import_articles(folder, tmp_path_factory.mktemp(name), encoder).folder
        assert made is not None
        found[name] = HelpArticles.open(made, encoder)
    yield found
    for desk in found.values():
        desk.close()


def test_a_word_that_means_the_same_is_forgiven(desks: Mapping[str, HelpArticles]) -> None:
    (passage, *_) = desks["reel"].answer("Are my conversations used to teach the chatbot?")
    assert passage.title == "May we learn from your chats?"
    assert desks["reel"].answer("how do I open a bank account for my hamster") == ()


def test_near_misses_are_not_answered(desks: Mapping[str, HelpArticles]) -> None:
    """The held-out part: every second question of a collection, all of "courses".

    Measured: 15 of 53 near misses are answered (25 by nearness alone), 15 of 53 others refused (7).
    """
    rows = [json.loads(line) for line in (NEAR_MISSES / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    held = [row for row in rows if row["part"] == "held"]
    found = {
        row["question"]: desks[row["collection"]].answer(row["question"], "", english_question(row["question"]))
        for row in held
    }
    refused = [row["question"] for row in held if row["articles"] and not found[row["question"]]]
    wrongly = [row["question"] for row in held if not row["articles"] and found[row["question"]]]
    inside = sum(bool(row["articles"]) for row in held)
    assert (inside, len(held) - inside) == (53, 53)
    assert len(wrongly) <= 18, wrongly
    assert len(refused) <= 18, refused
