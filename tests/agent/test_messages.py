"""The message catalogues: the same keys and fields in every language, and none that nobody says."""

import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from agent.answer import HandoffReason
from agent.messages import messages
from agent.ranking import WEIGHTS

ROOT = Path(__file__).parents[2]
LITERAL = re.compile(
    r'"((?:reply|question|fact|wish|unit|why|trade_off|label|superlative|feature|pitch|desk|packet)\.[a-z_]+)"'
)
COMPUTED = {"orders", "label", "superlative", "feature", "also", "apart", "language"}
"""Sections whose keys are made from names of attributes, features and languages at run time."""


def table(language: str) -> dict[str, str]:
    raw = tomllib.loads(files("agent.messages").joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{key}": text for section, entries in raw.items() for key, text in entries.items()}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def used_keys() -> set[str]:
    code = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "agent").rglob("*.py"))
    bounds = {f"wish.{family}{op}" for family in ("", "price_", "year_", "minutes_") for op in ("le", "lt", "ge", "gt")}
    ranges = {f"wish.{family}_range" for family in ("year", "price", "number")}
    near = {"reply.not_carried_near", "reply.unknown_item_near"}
    reasons = {f"packet.{reason}" for reason in get_args(HandoffReason)}
    reasons |= {"desk.sorry_doubt", "desk.sorry_anger"}
    return set(LITERAL.findall(code)) | bounds | ranges | {"wish.year_eq"} | near | reasons


def test_both_languages_have_the_same_keys() -> None:
    assert set(table("zh")) == set(table("en"))


@pytest.mark.parametrize("key", sorted(table("en")))
def test_both_languages_fill_the_same_fields(key: str) -> None:
    assert fields(table("zh")[key]) == fields(table("en")[key])


def test_every_key_that_the_code_says_is_there() -> None:
    assert used_keys() <= set(table("en"))


def test_no_key_is_unused() -> None:
    said = {key for key in table("en") if key.partition(".")[0] not in COMPUTED}
    assert said - used_keys() == set()


def test_every_feature_of_the_ranker_has_a_reason() -> None:
    said = {key for key in table("en") if key.startswith("feature.")}
    assert {f"feature.{name}" for name in (*WEIGHTS, "session", "other")} == said


def test_chinese_is_chinese() -> None:
    plain = {key: re.sub(r"\{\w+\}", "", text) for key, text in table("zh").items()}
    bare = {key for key, text in plain.items() if not re.search("[\u4e00-\u9fff]", text)}
    assert bare == {"reply.article", "reply.article_source", "reply.compare_row", "fact.about", "wish.about",
                    "wish.join", "wish.last", "why.two", "pitch.value", "pitch.value_number",
                    "pitch.bound", "orders.between"}  # fmt: skip
    assert not [key for key, text in plain.items() if re.search("[\u4e00-\u9fff] ?[,;!?]", text)]


def test_an_unknown_attribute_goes_by_its_own_name() -> None:
    assert messages("en").label("screen_size") == "screen size"
    assert messages("zh").label("director") == "导演"


def test_an_unknown_key_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        messages("en").text("reply.no_such_message")
