"""Normalisation: what compares equal, what counts as a word, what never reaches a reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.text import fold, plain, tokens, visible


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "CAFE"),
        ("Zoë  Łukas", "zoe lukas"),
        ("Straße", "STRASSE"),
        ("ＦＵＬＬ width", "full width"),
        ("İstanbul", "istanbul"),
        ("Tro\u200blley\u00ad", "trolley"),
        ("rock ’n’ roll", "rock 'n' roll"),
        ("Ångström", "angstrom"),
    ],
)
def test_spellings_that_compare_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("が", "か"), ("한국", "하국"), ("a b", "ab"), ("", "x")])
def test_spellings_that_differ(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_changes_nothing_and_tokens_are_folded(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(token == fold(token) for token in tokens(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ocean's Eleven (2001)", ["ocean", "eleven", "2001"]),
        ("snake_case sci-fi", ["snake", "case", "sci", "fi"]),
        ("一部电影", ["一部", "部电", "电影"]),
        ("看", ["看"]),
        ("iPhone手机壳15", ["iphone", "手机", "机壳", "15"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("🎬 !?", []),
        ("", []),
    ],
)
def test_tokens(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('<p>Warm <b>light</b> &amp; shade</p><img src=x onerror="steal()">', "Warm light & shade"),
        ("<script>evil()</script>good<style>p{}</style>", "good"),
        ("3 < 4 and 5 > 2", "3 < 4 and 5 > 2"),
        ("I <3 you", "I <3 you"),
        ("a\x00b\u202ec\u200bd\ud800e", "abcde"),
        ("&lt;b&gt;", "<b>"),  # shown to a reader as these four letters
        ("one\ntwo \t three", "one\ntwo three"),
        ("<" * 5_000, "<" * 5_000),
    ],
)
def test_plain(text: str, read: str) -> None:
    assert plain(text) == read


def test_visible_keeps_line_ends_and_letters() -> None:
    assert visible("a\tb\nc é 中 🎉") == "a\tb\nc é 中 🎉"
