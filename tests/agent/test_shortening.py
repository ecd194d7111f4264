from __future__ import annotations

import pytest

from agent.shortening import is_shortened

TEXT = (
    "A stranger with a single arm steps into a little settlement in the desert in 1945 and starts digging up the "
    "guilty thing its people have hidden. It never shouts, and it is not for children."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "a stranger steps into a little settlement in the desert in 1945 and starts digging",
        "A stranger with a single arm steps into a settlement in the desert and starts digging up the guilty thing.",
        TEXT.split(". ")[0] + ".",
    ],
)
def test_words_left_out_are_fine(sentence: str) -> None:
    assert is_shortened(sentence, TEXT)


@pytest.mark.parametrize(
    "sentence",
    [
        "the people step into a settlement in the desert and start digging up a stranger",  # the order is turned
        "in the desert in 1945",  # a fragment
        "people have hidden the guilty thing in the desert",  # another subject
        "It shouts, and it is for children.",  # the negations are gone
        "It is for children",
        "a stranger with a single arm finds love in the desert",  # words of its own
        "",
        "a",
    ],
)
def test_anything_else_is_not(sentence: str) -> None:
    assert not is_shortened(sentence, TEXT)


def test_an_empty_text_has_no_shortening() -> None:
    assert not is_shortened("a stranger", "")
