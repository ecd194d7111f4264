"""Strangers' links, pictures and tags become words; the shop's own links and ordinary brackets stay."""

from __future__ import annotations

import pytest

from agent.taming import hosts_in, hosts_of, tamed

OWN = frozenset({"shop.example"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![x](https://evil.example/c?q=1)", "x (evil.example/c?q=1)"),
        ("![x](https://shop.example/c?q=1)", "x (https://shop.example/c?q=1)"),
        ("[refund](https://evil.example/c)", "refund (evil.example/c)"),
        ("[refund](javascript:alert)", "refund (javascript:alert)"),
        ("[refund](//evil.example/c)", "refund (//evil.example/c)"),
        ("[terms](https://shop.example/terms)", "[terms](https://shop.example/terms)"),
        ("see https://evil.example/c, please", "see evil.example/c, please"),
        ("see HTTPS://EVIL.example/c", "see EVIL.example/c"),
        ("see https://shop.example.evil.example/", "see shop.example.evil.example/"),
        ("see https://shop.example@evil.example/", "see shop.example@evil.example/"),
        ("see https://shop.example/a", "see https://shop.example/a"),
        ("see www.evil.example", "see evil.example"),
        ("<https://evil.example/c>", "<evil.example/c>".replace("<", "‹")),
        ("<img src='https://evil.example/c'>", "‹img src='evil.example/c'>"),
        ("</a><!-- x -->", "‹/a>‹!-- x -->"),
        ("[x]: https://evil.example/c", "x : evil.example/c"),
        ("cut off: ![x](https://evil.example/lo", "cut off: x (evil.example/lo"),
        ("[REC] and [Rec] 2 (2009), a < b and 3<4", "[REC] and [Rec] 2 (2009), a < b and 3<4"),
        ("as the article says [1]. 12.90 EUR", "as the article says [1]. 12.90 EUR"),
        ("ratio 1:/2", "ratio 1:/2"),
    ],
)
def test_what_becomes_of_words(text: str, expected: str) -> None:
    assert tamed(text, OWN) == expected
    assert tamed(expected, OWN) == expected


def test_hosts_of_addresses() -> None:
    found = hosts_of(
        ["https://shop.example/a", None, "", "/covers/a.svg", "https://[broken", "http://Other.example:80/"]
    )
    assert found == {"shop.example", "other.example"}


def test_words_with_their_own_hosts_stay_as_they_are() -> None:
    text = "See https://ec.europa.eu/odr, www.Shop.example or https://www.b.example/a, or the [form](https://forms.example/x)."
    assert tamed(text, hosts_in(text)) == text
    assert tamed("https://evil.example/c www.evil.example", hosts_in(text)) == "evil.example/c evil.example"
