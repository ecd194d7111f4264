"""Each kind of leak is planted and found; clean files give nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.bench.retrieval.dialogues import Like, Row, Said
from agent.bench.retrieval.leaks import LeakKind, find_leaks
from retrieval.items import Item

STORY = "yesterday we watched the one about a lighthouse keeper who talks to seagulls and it made my sister laugh a lot"
OTHER = "my brother wants a documentary on deep sea creatures because he will dive near the coral reef next summer"


def row(name: str, text: str, *, targets: tuple[str, ...] = ("a",), mentioned: tuple[str, ...] = ()) -> Row:
    return Row(f"row-{name}", name, (Said("user", text),), mentioned, targets, "", None)


def item(text: str) -> Item:
    return Item(id="i1", title="Title", text=text)


def kinds(
    train: list[Row], test: list[Row], items: tuple[Item, ...] = (), likes: tuple[Like, ...] = ()
) -> list[LeakKind]:
    return [one.kind for one in find_leaks({"train": train, "test": test}, items, likes)]


def test_clean_files_have_no_findings() -> None:
    likes = (Like("u", "a", True),)
    assert kinds([row("d1", STORY)], [row("d2", OTHER)], (item("A keeper and his seagulls."),), likes) == []


def test_a_dialogue_in_two_files() -> None:
    assert kinds([row("d1", STORY)], [row("d1", OTHER)]) == ["dialogue_in_two_files"]


def test_the_same_words_under_another_id() -> None:
    (found,) = find_leaks({"train": [row("d1", STORY)], "test": [row("d2", STORY.upper())]})
    assert (found.kind, found.count, found.examples) == ("same_words_in_two_files", 1, ("d2",))
    assert found.sentence == "1 dialogues stand in test and train with the same words (d2)."


def test_a_near_duplicate() -> None:
    assert kinds([row("d1", STORY)], [row("d2", f"{STORY} and then some more")]) == ["near_duplicate"]
    assert kinds([row("d1", STORY)], [row("d2", f"{OTHER} {STORY[:50]}")]) == []


def test_a_near_duplicate_with_every_tenth_word_changed_or_cut_short() -> None:
    words = f"{STORY} {OTHER}".split()
    changed = " ".join("other" if at % 10 == 9 else word for at, word in enumerate(words))
    assert kinds([row("d1", changed)], [row("d2", " ".join(words))]) == ["near_duplicate"]
    assert kinds([row("d1", STORY)], [row("d2", " ".join(words))]) == ["near_duplicate"], "its first turns"


def test_a_short_question_that_many_ask_is_no_copy() -> None:
    asked = "could you recommend a movie similar to"
    assert kinds([row("d1", f"{asked} the truman show?")], [row("d2", f"{asked} the wolverine?")]) == []


def test_a_phrase_of_the_setting_is_no_copy() -> None:
    phrase = "hello there what kind of films do you like to watch on a sunday"
    train = [row(f"d{n}", phrase) for n in range(30)]
    assert "near_duplicate" not in kinds(train, [row("t", f"{phrase} evening")])


def test_words_of_the_test_inside_an_item() -> None:
    assert kinds([], [row("d2", STORY)], (item(f"A film. {STORY}."),)) == ["test_text_in_item"]


def test_an_answer_of_the_test_inside_an_item_but_no_title() -> None:
    answered = replace(row("d2", "hi"), response=STORY)
    assert kinds([], [answered], (item(f"A film. {STORY}."),)) == ["test_text_in_item"]
    title = "The Good Omens: The Nice and Accurate Prophecies of Agnes Nutter"
    named = Item(id="i1", title=title, text=f"{title} (1990). Writer: Neil Gaiman.")
    assert kinds([], [row("d2", f"have you read {title} yet")], (named,)) == []


def test_likes_of_a_test_speaker() -> None:
    test = [row("d2", STORY, targets=("a", "b"), mentioned=("c",))]
    likes = tuple(Like("u", name, True) for name in "abc")
    assert kinds([], test, likes=likes) == ["likes_of_test_speaker"]
    assert kinds([], test, likes=(*likes, Like("u", "d", True))) == ["likes_of_test_speaker"]
    assert kinds([], test, likes=(*likes, Like("u", "d", True), Like("u", "e", True))) == []
    assert kinds([], test, likes=likes[:2]) == [], "two items are anybody's"


def test_likes_of_somebody_who_is_named_after_a_test_dialogue() -> None:
    test = [row("set-17", STORY, targets=("a",))]
    assert kinds([], test, likes=(Like("17-i", "a", True), Like("17-i", "b", True))) == ["likes_of_test_speaker"]
    assert kinds([], test, likes=(Like("17", "a", True), Like("7-i", "a", True))) == []
    assert kinds([], test, likes=(Like("17-i", "b", True),)) == [], "no item of it: numbers that happen to be equal"


@pytest.mark.parametrize(("pool", "found"), [(("a",), ["answer_in_input"]), (("a", "b"), [])])
def test_a_pool_of_answers_alone(pool: tuple[str, ...], found: list[LeakKind]) -> None:
    assert kinds([], [replace(row("d2", STORY), candidates=pool)]) == found
