"""Personal data goes, what a search can use stays."""

import pytest

from agent.learning.masking import mask


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("mail it to Anna.Schmidt+x@example.co.uk please", "Anna.Schmidt"),
        ("my number is +49 (170) 123-45-67, a western", "123"),
        ("order 4711004711 came late", "4711"),
        ("order AB-2024-99817 came late", "99817"),
        ("card 4111 1111 1111 1111", "4111"),
        ("Hi, I'm Anna and I like heists", "Anna"),
        ("I am Anna Maria Schmidt. Something quiet", "Schmidt"),
        ("my name is anna, a comedy", "anna"),
        ("My name's Jürgen Groß", "Groß"),
        ("the name is Bond", "Bond"),
        ("call me Ishmael", "Ishmael"),
        ("for my wife Claire, she loves musicals", "Claire"),
        ("my little daughter Zoë wants a cartoon", "Zoë"),
        ("see https://example.com/u/anna?token=9 for it", "anna"),
        ("I'm @anna_s there", "anna_s"),
        ("我叫李小龙，想看喜剧", "李小龙"),
    ],
)
def test_it_is_gone(text: str, gone: str) -> None:
    assert gone not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "a quiet heist film from the seventies, nothing violent",
        "something from 1980-1990 under 12.90 euros",
        "between 1994 and 1999, at most 120 minutes",
        "1984 / 1985 / 1986",
        "I'm looking for a film like Blade Runner 2049",
        "I am not sure, something with Tom Hanks",
        "我想看一部安静的电影",
        "under 10 000 yen",
    ],
)
def test_it_stays(text: str) -> None:
    assert mask(text) == text


def test_the_words_around_stay() -> None:
    words = mask("I'm Anna, mail anna@example.com: a quiet heist film").split()
    assert {"quiet", "heist", "film"} <= set(words)
    assert not any("nna" in word for word in words)
