from __future__ import annotations

import re

import pytest

from agent.log.ids import is_ours, keyed_hash, looks_like_session_id, new_session_id, new_turn_id

SECRET, OTHER = b"a" * 32, b"b" * 32


def test_turn_ids_have_the_promised_form_and_are_ours_only_with_the_same_key() -> None:
    made = {new_turn_id(SECRET) for _ in range(500)}
    assert len(made) == 500
    for turn_id in made:
        assert re.fullmatch(r"t_[0-9A-Za-z]{22}_[0-9A-Za-z]{10}", turn_id)
        assert is_ours(turn_id, SECRET)
        assert not is_ours(turn_id, OTHER)


@pytest.mark.parametrize("position", [2, 23, 25, 34])
def test_one_changed_character_breaks_the_signature(position: int) -> None:
    turn_id = new_turn_id(SECRET)
    other = "x" if turn_id[position] != "x" else "y"
    assert not is_ours(turn_id[:position] + other + turn_id[position + 1 :], SECRET)


@pytest.mark.parametrize("junk", ["", "t_", "t_\x00", "é" * 35, "t_" + "0" * 22 + "_" + "0" * 10 + "\n", "😀" * 10_000])
def test_junk_is_not_ours(junk: str) -> None:
    assert not is_ours(junk, SECRET)
    assert not looks_like_session_id(junk)


def test_session_ids() -> None:
    assert looks_like_session_id(new_session_id())


def test_keyed_hash_keeps_its_parts_apart() -> None:
    assert keyed_hash(SECRET, "ab", "c") != keyed_hash(SECRET, "a", "bc")
    assert keyed_hash(SECRET, "ab") != keyed_hash(OTHER, "ab")
