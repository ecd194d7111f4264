"""Which passage answers: quoted letter by letter, in the customer's language where there is one, silent otherwise."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from small_shop import HashingEncoder

from agent.support.chinese import english_question, is_chinese
from agent.support.knowledge import search
from agent.support.knowledge.article import chunks_of
from agent.support.knowledge.reading import read_folder
from agent.support.knowledge.search import HelpArticles, Passage
from agent.support.knowledge.store import import_articles
from agent.support.overlap import WordWeights, stem, subject_words
from retrieval.demo import demo_articles_dir
from retrieval.encoder import Encoder, SentenceEncoder

DATA = Path(__file__).parents[1] / "data"


def questions(name: str) -> list[dict[str, object]]:
    """The half on which no number was tuned; 35 of the first file's had been read when the articles were rewritten."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if '"part": "test"' in line]


BREAD = """---
id: bread
url: https://bakery.example/bread
updated: 2026-01-02
---

# Bread

We bake bread *every* morning.

## Opening hours

The bakery opens at 6:30. It closes at noon. On Sundays it stays closed! Is it open on holidays? No.

## How to order

1. Choose a **loaf** on [our page](https://bakery.example).
2. Pay with `cash`.

## Allergies

Every loaf contains wheat.
"""


def opened(folder: Path, index: Path, encoder: Encoder) -> HelpArticles:
    made = import_articles(folder, index, encoder).folder
    assert made is not None
    return HelpArticles.open(made, encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "bread.md").write_text(BREAD, encoding="utf-8")
    (folder / "cake.md").write_text("# Cake\n\nWe bake a cake on Fridays. It has cherries.\n", encoding="utf-8")
    (folder / "tarts.md").write_text("# Tarts\n\nTarts hold plums. Order tarts early.\n", encoding="utf-8")
    return folder


@pytest.fixture
def help_desk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HelpArticles]:
    """The bakery's articles with a bag-of-words encoder; its cosines are not MiniLM's, so the limit is low."""
    monkeypatch.setattr(search, "MIN_SCORE", 0.35)
    desk = opened(folder, tmp_path / "index", HashingEncoder())
    yield desk
    desk.close()


def test_the_best_article_comes_first(help_desk: HelpArticles) -> None:
    passages = help_desk.answer("When does the bakery open and when does it close?")
    assert passages[0].title == "Bread"
    assert passages[0].url == "https://bakery.example/bread"
    scores = [passage.score for passage in passages]
    assert scores == sorted(scores, reverse=True)


def test_a_quote_is_a_run_of_the_articles_own_sentences(help_desk: HelpArticles, folder: Path) -> None:
    passage = help_desk.answer("When does the bakery close at noon?")[0]
    assert passage.quote == "The bakery opens at 6:30. It closes at noon. On Sundays it stays closed!"
    assert passage.quote in BREAD


def test_a_quote_stays_short(help_desk: HelpArticles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_QUOTE_CHARS", 30)
    assert help_desk.answer("When does the bakery open?")[0].quote == "The bakery opens at 6:30."


def test_a_general_question_is_answered_before_the_first_heading(help_desk: HelpArticles, folder: Path) -> None:
    passage = help_desk.answer("Do you bake bread?")[0]
    assert (passage.section, passage.quote) == ("Bread", "We bake bread every morning.")


def test_an_order_number_is_not_looked_for(help_desk: HelpArticles) -> None:
    asked = help_desk.answer("Where do I order tarts? RS-10001")
    assert asked == help_desk.answer("Where do I order tarts?")
    assert help_desk.answer("RS-10001") == ()


def test_one_article_is_cited_once_and_two_at_most(help_desk: HelpArticles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "NEAR_BEST", 2.0)
    monkeypatch.setattr(search, "MIN_SCORE", -1.0)
    titles = [passage.title for passage in help_desk.answer("bake bread cake tarts loaf wheat")]
    assert len(titles) == len(set(titles)) == 2


def test_articles_without_an_address_are_two_articles(help_desk: HelpArticles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "NEAR_BEST", 2.0)
    passages = help_desk.answer("bake a cake, it has cherries; order tarts, tarts hold plums")
    assert {passage.title for passage in passages} == {"Cake", "Tarts"}


def test_what_no_article_says_is_not_answered(help_desk: HelpArticles) -> None:
    assert help_desk.answer("zebra quantum telescope") == ()


def test_words_that_must_stay_are_given_whole_and_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MIN_SCORE", 0.35)
    monkeypatch.setattr(search, "NEAR_BEST", 2.0)
    said = (
        "Refunds of bread take 14 days.\nNo refund of half a loaf, whatever the reason may be.\n\nAsk at the till [1]."
    )
    cells = said.replace('"', '""')
    (folder / "faq.csv").write_text(f'question,answer,exact\nIs there a refund of bread?,"{cells}",yes\n', "utf-8")
    desk = opened(folder, tmp_path / "index", HashingEncoder())
    (passage,) = desk.answer("Is there a refund of bread?")
    assert (passage.quote, passage.exact) == (said, True)
    cited = desk.answer("Do you bake bread every morning?")
    assert cited
    assert not any(one.exact for one in cited)  # such words are not the second of two
    desk.close()


def test_the_language_of_the_question_is_preferred(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MIN_SCORE", 0.2)
    (folder / "kuchen.md").write_text(
        "---\nlanguage: de\n---\n# Kuchen\n\nEs gibt Kirschkuchen am Freitag.\n", encoding="utf-8"
    )
    (folder / "dan.md").write_text("# 蛋糕\n\n星期五有樱桃蛋糕。\n", encoding="utf-8")
    desk = opened(folder, tmp_path / "index", HashingEncoder())
    german = desk.answer("Wann gibt es bei euch Kuchen und ist der am Freitag da?")
    assert [(one.title, one.language) for one in german] == [("Kuchen", "de")]
    (chinese,) = desk.answer("星期五有蛋糕吗？", "zh", "is there cake on Fridays")
    assert (chinese.title, chinese.language) == ("蛋糕", "zh")
    (translated,) = desk.answer("樱桃馅饼有李子吗？", "zh", "do tarts hold plums")
    assert translated.title == "Tarts"
    assert desk.answer("Is there cake on Fridays?")[0].title == "Cake"
    desk.close()


Answered = Sequence[tuple[Mapping[str, object], tuple[Passage, ...]]]


@pytest.fixture(scope="module")
def demo_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelpArticles]:
    """The demo's articles with the default encoder."""
    desk = opened(demo_articles_dir(), tmp_path_factory.mktemp("help"), SentenceEncoder())
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def answered(demo_desk: HelpArticles) -> Answered:
    rows = questions("support_questions.jsonl")
    return [(row, demo_desk.answer(str(row["question"]), "", english_question(str(row["question"])))) for row in rows]


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, "Probable inference", JASA 1927)."""
    z = 1.96
    middle, half = (k + z * z / 2) / (n + z * z), z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return middle - half, middle + half


def test_hard_questions_in_and_beside_the_articles(demo_desk: HelpArticles) -> None:
    """Questions in customers' own words, and such that a shop is asked and the articles do not answer.

    Measured: 4 of 41 that the articles answer are refused (.10, 95 % .04 to .23), 8 of 41 others are answered (.20,
    .10 to .34): "do you sell DVD players?" has all its words in the article on players.
    """
    rows = [(row, demo_desk.answer(str(row["question"]))) for row in questions("article_questions.jsonl")]
    refused = [row["question"] for row, found in rows if row["articles"] and not found]
    wrongly = [row["question"] for row, found in rows if not row["articles"] and found]
    inside = sum(bool(row["articles"]) for row, _ in rows)
    assert (inside, len(rows) - inside) == (41, 41)
    assert wilson(len(refused), inside)[0] < 0.10, refused
    assert wilson(len(wrongly), len(rows) - inside)[0] < 0.15, wrongly


def slug(passage: Passage) -> str:
    return str(passage.url).rpartition("/")[2]


def test_the_demos_articles_answer_what_customers_ask(
    answered: Answered,
) -> None:
    """Measured: 63 of 65 questions get a right article first, all 65 among the two cited."""
    asked = [(row["articles"], [slug(p) for p in passages]) for row, passages in answered if row["articles"]]
    assert len(asked) >= 60
    first = sum(bool(found) and found[0] in right for right, found in asked)  # type: ignore[operator]
    either = sum(any(one in right for one in found) for right, found in asked)  # type: ignore[operator]
    assert first >= 0.93 * len(asked)
    assert either >= 0.95 * len(asked)


def test_the_first_quote_says_what_was_asked(answered: Answered) -> None:
    """Measured: the expected words are in 59 of 65 first quotes."""
    asked = [(row, passages[0].quote.lower() if passages else "") for row, passages in answered if row["articles"]]
    missed = [
        row["question"]
        for row, quote in asked
        if not any(phrase.lower() in quote for phrase in row["contains"])  # type: ignore[attr-defined]
    ]
    assert len(missed) <= 0.14 * len(asked), missed


def test_the_demos_articles_do_not_answer_other_things(
    answered: Answered,
) -> None:
    wrongly = [row["question"] for row, passages in answered if not row["articles"] and passages]
    assert sum(not row["articles"] for row, _ in answered) >= 14
    assert len(wrongly) <= 2, wrongly


def test_quotes_of_the_demo_are_verbatim(answered: Answered) -> None:
    texts: dict[str, str] = {}
    for article in read_folder(demo_articles_dir()).articles:
        for chunk in chunks_of(article):
            texts[str(chunk.url)] = texts.get(str(chunk.url), "") + "\n" + chunk.text
    quotes = [passage for _, passages in answered for passage in passages]
    assert quotes
    assert all(passage.quote in texts[str(passage.url)] for passage in quotes)
    assert all(len(passage.quote) >= 20 for passage in quotes)


def test_chinese_questions_become_english_words() -> None:
    assert english_question("怎么退货?") == "how do I return what I bought"
    assert english_question("怎么样?") == ""
    assert is_chinese("怎么退货?")
    assert not is_chinese("How do I return it?")


def test_words_are_compared_without_their_endings() -> None:
    assert {stem(word) for word in ("deliver", "delivery", "delivered", "delivering")} == {"deliver"}
    assert stem("shipped") == stem("ship")
    assert subject_words("How do I return the discs?") == {"return", "disc"}


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    weights = WordWeights([{"a", "b"}, {"a"}, {"a"}])
    asked = frozenset({"a", "b"})
    assert weights.share(asked, frozenset({"b"})) > weights.share(asked, frozenset({"a"})) > 0
    assert weights.share(asked, asked) == 1
    assert weights.share(frozenset(), asked) == 0
