"""What of a talk is meant as a wish: own words without what they deny, and the words that do not count."""

from typing import Any

import pytest
from small_shop import added, wish

from agent import meant
from agent.meant import asserted, unwanted_words
from agent.preferences import Added, Dropped, taken_back
from agent.services import PastMessage
from agent.understand.lexicon import Lexicon
from agent.understand.rules import Rules
from agent.understand.types import Understanding
from retrieval.items import Item
from retrieval.table import ItemTable

TITLES = {"a": "Alien", "j": "Jaws", "h": "Heat"}
TABLE = ItemTable([Item(title, title) for title in ("No Way Out", "Alien", "The Third Man")])
RULES = Rules(Lexicon.of(TABLE.items, TABLE.shape), TABLE.get)
COMEDY, HORROR = wish("genre", "eq", "Comedy"), wish("genre", "eq", "Horror", polarity="negative")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("a thriller", "a thriller"),
        ("a thriller, but no horror", "a thriller, but"),
        ("anything but Tarantino, a crime film", ", a crime film"),
        ("nothing violent and with Tom Hanks", "and with Tom Hanks"),
        ("no horror. no comedy", "."),
        ("not only comedies", "not only comedies"),
        ("不要恐怖片，要喜剧", "，要喜剧"),
        ("No Way Out", "No Way Out"),
        ("i liked No Way Out, but no horror", "i liked No Way Out, but"),
        ("no Alien", ""),
        ("", ""),
    ],
)
def test_what_is_denied_is_left_out(said: str, left: str) -> None:
    assert " ".join(asserted(said, RULES.titles).split()) == left


def test_a_copy_of_the_talk_says_who_spoke() -> None:
    def own_words(*args: Any) -> tuple[str, ...]:  # noqa: ANN401
        return meant.own_words(*args, RULES.titles)

    past = (PastMessage("user", "a thriller"), PastMessage("assistant", "Like Jaws?"), PastMessage("system", "x"))
    assert own_words((), past, "newer", Understanding("recommend")) == ("a thriller", "newer")
    assert own_words((), past, "why not Jaws?", Understanding("why_not")) == ("a thriller",)
    named = Understanding("more", facts=(Added(COMEDY),))
    assert own_words((), (), "more comedies", named) == ("more comedies",)
    assert own_words((), (), "how many comedies?", Understanding("count", facts=(Added(COMEDY),))) == ()


def words(*wishes, gone=(), rejected=()) -> set[str]:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002
    return set(unwanted_words(wishes, gone, rejected, TITLES.__getitem__))


def test_the_words_for_what_is_not_wanted() -> None:
    assert words(COMEDY) == set()
    assert words(COMEDY, HORROR) == {"Horror", "said"} - {COMEDY.evidence}
    assert words(wish(None, "like", "a"), wish(None, "like", "j", polarity="negative"), rejected=["h"]) == {
        "Jaws",
        "Heat",
    }
    assert words(gone=[COMEDY]) == {"Comedy", "said"}
    assert words(gone=[wish("year", "lt", 1990.0)]) == set(), "a number is no name"


def test_what_a_wish_asks_for_counts() -> None:
    assert words(COMEDY, gone=[wish("genre", "eq", "comedy", key="older")]) == set()
    assert words(wish(None, "like", "a"), rejected=["a"]) == set()
    both = wish("genre", "eq", "Comedy", "Drama", key="older")
    assert words(COMEDY, gone=[both]) == {"Drama"}, "the words that said it say the comedy, too"


def test_wishes_that_were_taken_back() -> None:
    funny, newer = wish("mood", "eq", "funny"), wish("genre", "eq", "comedy", key="newer")
    assert taken_back((*added(COMEDY, funny), Dropped(2, "", preference_ids=(funny.id,)), *added(newer))) == (
        COMEDY,
        funny,
    )
    assert taken_back(added(COMEDY, funny)) == ()
    assert taken_back((*added(COMEDY), Dropped(2, "", everything=True), *added(COMEDY))) == ()
