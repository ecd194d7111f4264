"""The corpora: every utterance is read as a person would read it."""

from __future__ import annotations

import pytest
from corpus_films_en import CORPUS as FILMS_EN
from corpus_found import CORPUS as FILMS_FOUND
from corpus_found import CORPUS_ZH as FILMS_FOUND_ZH
from corpus_heldout import CORPUS as FILMS_HELDOUT
from corpus_mended import CORPUS as FILMS_MENDED
from corpus_shop_en import CORPUS as SHOP_EN
from corpus_zh import CORPUS as FILMS_ZH
from understand_catalogues import FILM_CONTEXTS, SHOP_CONTEXTS, films, goods, notation, rules_for

from agent.preferences import Added
from agent.understand.rules import Rules


def rows(corpus: str) -> list[tuple[str, str, str]]:
    """(text, context, reading) of each line."""
    found = [tuple(part.strip() for part in line.split("|")) for line in corpus.strip().splitlines()]
    return [(text, context, reading) for text, context, reading in found]


FILMS = rows(FILMS_EN) + rows(FILMS_HELDOUT) + rows(FILMS_FOUND) + rows(FILMS_MENDED)


@pytest.fixture(scope="module")
def film_rules() -> Rules:
    return rules_for(films())


@pytest.fixture(scope="module")
def shop_rules() -> Rules:
    return rules_for(goods())


@pytest.mark.parametrize(("text", "context", "reading"), FILMS)
def test_film_shop(film_rules: Rules, text: str, context: str, reading: str) -> None:
    result = film_rules.understand(text, FILM_CONTEXTS[context])
    assert notation(result) == {part.strip() for part in reading.split(";")}
    assert result.language == "en"


@pytest.mark.parametrize(("text", "context", "reading"), rows(SHOP_EN))
def test_general_shop(shop_rules: Rules, text: str, context: str, reading: str) -> None:
    assert notation(shop_rules.understand(text, SHOP_CONTEXTS[context])) == {
        part.strip() for part in reading.split(";")
    }


@pytest.mark.parametrize(("text", "context", "reading"), rows(FILMS_ZH) + rows(FILMS_FOUND_ZH))
def test_chinese(film_rules: Rules, text: str, context: str, reading: str) -> None:
    result = film_rules.understand(text, FILM_CONTEXTS[context])
    assert notation(result) == {part.strip() for part in reading.split(";")}
    assert result.language == "zh"


@pytest.mark.parametrize(
    ("text", "context"),
    [(text, context) for text, context, _ in FILMS + rows(FILMS_ZH)],
)
def test_facts_quote_the_message_and_have_ids_of_the_turn(film_rules: Rules, text: str, context: str) -> None:
    turn = FILM_CONTEXTS[context].turn
    result = film_rules.understand(text, FILM_CONTEXTS[context])
    ids = []
    for fact in (*result.facts, *result.doubtful):
        evidence = fact.preference.evidence if isinstance(fact, Added) else fact.evidence
        assert evidence
        assert evidence in text
        if isinstance(fact, Added):
            ids.append(fact.preference.id)
            assert fact.preference.turn == turn
    assert len(ids) == len(set(ids))
    assert all(id_.startswith(f"t{turn}-") for id_ in ids)
