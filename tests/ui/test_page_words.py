from __future__ import annotations

import re

import pytest

from ui.cards import CARD_REASONS
from ui.page.draw import THUMB_REASONS
from ui.words import choose_language, words_in

FIELD = re.compile(r"\{(\w+)\}")


def test_both_languages_say_the_same_things_with_the_same_fields() -> None:
    english, chinese = words_in("en"), words_in("zh")
    assert english.keys() == chinese.keys()
    for key in english.keys():
        raw = [set(FIELD.findall(words._table[key])) for words in (english, chinese)]
        assert raw[0] == raw[1], key


def test_every_reason_has_a_name() -> None:
    for reason in CARD_REASONS:
        assert words_in("en")(f"card_reason.{reason}")
    for reason in THUMB_REASONS:
        assert words_in("en")(f"thumb_reason.{reason}")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr,de;q=0.9,zh;q=0.3", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("zh;q=0.2,en;q=0.7", "en"),
        ("zhx, enx", "en"),
        (";;;,q=,zh;q=nonsense", "zh"),
    ],
)
def test_language_of_the_browser(header: str, language: str) -> None:
    assert choose_language("auto", header) == language


def test_the_setting_wins() -> None:
    assert choose_language("zh", "en") == "zh"
