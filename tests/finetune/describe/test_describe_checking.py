from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.grounding import Grounding
from finetune.describe.checking import SLIPPED, backed, claims, sentences
from finetune.describe.types import Task
from retrieval.items import Item
from retrieval.shape import CatalogueShape

TRUE = "Film A is a comedy directed by Ann Lee."
LIES = (
    "It was released in 1975.",
    "It is directed by Cid Lee.",
    "It is a horror film.",
    "It won three awards.",
    "A tired baker finds a letter for 20 dollars.",
    "The baker is Tom Cruise.",
    "I am an assistant and a baker.",
    "It runs 90 minutes.",
    "The first of a famous trilogy.",
)


@pytest.mark.parametrize("lie", LIES)
def test_a_planted_lie_is_never_kept(lie: str, films: Sequence[Item], shape: CatalogueShape) -> None:
    task = Task(films[0])
    for text in (f"{TRUE} {lie}", f"{lie} {TRUE}", f"{TRUE} {lie} A tired baker finds a letter in the flour."):
        kept, refused = backed(text, task, shape)
        assert TRUE in kept
        assert lie not in kept
        assert lie in [one.sentence for one in refused]
        assert claims(kept, task.item).unbacked == ()


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        ("It was made in 1975.", "1975"),
        ("A baker meets Tom Cruise in town.", "Tom"),
        ("Cid Lee directs.", "Cid"),
        ("It is set in Paris.", "Paris"),
    ],
)
def test_the_second_check_finds_numbers_and_names_alone(lie: str, found: str, films: Sequence[Item]) -> None:
    assert found in claims(lie, films[0]).unbacked


def test_the_second_check_takes_out_what_the_first_lets_through(
    films: Sequence[Item], shape: CatalogueShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grounding, "objection", lambda self, sentence: None)
    kept, (refused,) = backed(f"{TRUE} It is set in Paris.", Task(films[0]), shape)
    assert kept == TRUE
    assert refused.reason.startswith(SLIPPED)


def test_claims_are_counted(films: Sequence[Item]) -> None:
    found = claims("Film A is a comedy directed by Ann Lee, made in 1980.", films[0])
    assert found.unbacked == ()
    assert found.n == 5, "A, Film before it, Ann, Lee and 1980"


def test_reviews_give_words_but_no_names_and_numbers(films: Sequence[Item], shape: CatalogueShape) -> None:
    task = Task(films[0], ("Warm and cosy. My cousin Bob watched it 12 times.",))
    warm = "Film A is a warm and cosy comedy."
    assert backed(warm, task, shape)[0] == warm
    assert backed(warm, Task(films[0]), shape)[0] == ""
    assert backed(f"{warm} Bob watched it.", task, shape)[0] == warm
    assert backed(f"{warm} Watched 12 times.", task, shape)[0] == warm


def test_what_was_cut_off_or_said_twice_goes(films: Sequence[Item], shape: CatalogueShape) -> None:
    kept, refused = backed(f"{TRUE} {TRUE} A tired baker finds a", Task(films[0]), shape)
    assert kept == TRUE
    assert [one.reason for one in refused] == ["it was said before", "it was cut off"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("A 2012 film directed by Ann Lee is a comedy.", "2012 film in no field"),
        ("A comedy in the flour.", "it has no verb"),
        ("Its this comedy.", "it has no verb"),
        ("It stars a letter.", "it names nobody who stars"),
    ],
)
def test_numbers_of_other_things_and_heaps_of_words_go(said: str, reason: str, shape: CatalogueShape) -> None:
    text = "A 2017 film of a 2012 comic. A tired baker finds a letter in the flour."
    item = Item("f1", "Film A", text, {"genre": ("comedy",), "director": "Ann Lee", "year": 2012.0})
    kept, (refused,) = backed(f"{TRUE} {said}", Task(item), shape)
    assert kept == TRUE
    assert reason in refused.reason
    assert backed("Film A is a 2017 film of a 2012 comic.", Task(item), shape)[1] == ()


def test_what_repeats_earlier_sentences_goes(films: Sequence[Item], shape: CatalogueShape) -> None:
    more = "Film A is directed by Ann Lee."
    kept, refused = backed(f"{TRUE} {more}", Task(films[0]), shape)
    assert kept == TRUE
    assert [(one.sentence, one.reason) for one in refused] == [(more, "it was said before")]


def test_abbreviations_end_no_sentence() -> None:
    assert sentences("Dr. No meets J. R. Smith. He leaves.") == ["Dr. No meets J. R. Smith.", "He leaves."]
