from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.detokenize import REPLACEMENT, TextFlow


def bytes_decoder(ids: Sequence[int]) -> str:
    """Each id is one byte: the hardest tokenizer there is."""
    return bytes(ids).decode("utf-8", errors="replace")


def run(text: str, stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    flow = TextFlow(bytes_decoder, stop)
    pieces = []
    for byte in text.encode():
        pieces.append(flow.push(byte))
        if flow.stopped:
            break
    return [*pieces, flow.finish()], flow.stopped


@given(st.text().filter(lambda text: not text.endswith(REPLACEMENT)))
def test_pieces_add_up_to_the_text(text: str) -> None:
    pieces, _ = run(text)
    assert "".join(pieces) == text


@pytest.mark.parametrize("text", ["naïve", "日本語", "😀👍🏽", "👩‍👩‍👧 end"])
def test_never_half_a_character(text: str) -> None:
    pieces, _ = run(text)
    assert not any(REPLACEMENT in piece for piece in pieces)


def test_a_character_cut_off_by_the_end_is_dropped() -> None:
    flow = TextFlow(bytes_decoder)
    said = "".join(flow.push(byte) for byte in "ok 😀".encode()[:-1])
    assert said + flow.finish() == "ok "


@given(st.text("ab\n", max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=3), min_size=1, max_size=2))
def test_text_ends_before_the_first_stop_string(text: str, stops: list[str]) -> None:
    pieces, stopped = run(text, tuple(stops))
    said = "".join(pieces)
    assert stopped == any(stop in text for stop in stops)
    assert text.startswith(said)
    assert not any(stop in said for stop in stops)
    if not stopped:
        assert said == text


def test_a_half_met_stop_string_is_given_back() -> None:
    pieces, stopped = run("see\nUsers", ("\nUser:",))
    assert "".join(pieces) == "see\nUsers"
    assert not stopped
    assert pieces[3] == ""  # the line break is held back until it is clear what follows
