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
        "A stranger with a single arm steps into a little settlement in the desert in 1945 and starts digging up the",
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


NAMES = (
    "A New York policeman with a one-armed friend meets the former singer Ana de la Cruz, and the two drive from Los "
    "Angeles to the Bay of Pigs before the Cold War ends."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "A York policeman with a one-armed friend meets the former singer Ana de la Cruz, and the two drive from Los "
        "Angeles.",
        "A New York policeman with an armed friend meets the former singer Ana de la Cruz, and the two drive.",
        "A New York policeman with a friend meets the former singer Ana, and the two drive from Los Angeles.",
        "A New York policeman with a friend meets the former singer Cruz, and the two drive from Los Angeles.",
        "A New York policeman with a friend meets the former singer Ana de la Cruz, and the two drive from Angeles.",
        "A New York policeman with a one-armed friend meets the singer Ana de la Cruz, and the two drive.",
    ],
)
def test_no_name_is_cut_and_nothing_false_is_made_real(sentence: str) -> None:
    assert not is_shortened(sentence, NAMES)


def test_a_name_may_stay_or_go_as_a_whole() -> None:
    whole = "A New York policeman with a one-armed friend meets the former singer Ana de la Cruz, and the two drive "
    whole += "from Los Angeles to the Bay of Pigs."
    assert is_shortened(whole, NAMES)
    assert is_shortened(whole.replace("one-armed ", ""), NAMES)
    assert is_shortened(whole.replace(" Ana de la Cruz", ""), NAMES)
    assert is_shortened("Young Ana leaves for home.", "Young Ana leaves the Cold War for home.")


def test_signs_that_fold_away_do_not_shift_names() -> None:
    assert not is_shortened("York policemen fight", "New\u200bYork policemen fight ½ of them")


@pytest.mark.parametrize(
    ("sentence", "passes"),
    [
        ("a stranger with a single arm", False),  # "... steps" would be missed, but so would the "salesman" of a car
        ("a stranger with a single arm steps into a settlement", True),
        ("a stranger steps into a little settlement in the desert", True),
        ("settlement in the desert", False),
        ("a stranger", False),
    ],
)
def test_after_words_that_lead_to_it_a_beginning_is_enough_where_it_ends_well(sentence: str, passes: bool) -> None:
    assert is_shortened(sentence, TEXT, led=True) is passes


BORN = (
    "Fancy Baggage is a 1929 American drama film directed by John G. Adolfi and released by Warner Bros. in both "
    "silent and part-talkie versions across the whole country in the spring of that year."
)


def test_initials_end_no_sentence() -> None:
    assert is_shortened("Fancy Baggage is a 1929 American drama film directed by John G. Adolfi.", BORN)
    assert not is_shortened("Fancy Baggage is a 1929 American drama film directed by John G.", BORN)
    assert not is_shortened("Fancy Baggage is a 1929 American drama film directed by Adolfi and released by", BORN)


def test_a_beginning_with_its_subject_may_end_where_a_part_does() -> None:
    text = (
        "Private detective Philip Marlowe takes on a tangled inquiry in which Vivian Rutledge also figures, and the "
        "hunt matters far more than the answer."
    )
    assert is_shortened("private detective Philip Marlowe takes on a tangled inquiry.", text)
    assert not is_shortened("private detective Philip Marlowe takes on a tangled.", text)
    assert not is_shortened("After years of hard lessons at home.", f"After years of hard lessons at home when {text}")
