from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from agent.log.codec import clean_json, clean_text, facts_from_json, facts_to_json
from agent.preferences import Added, Dropped, Fact, Preference

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
preferences = st.builds(
    Preference,
    id=words,
    kind=st.sampled_from(["hard", "soft"]),
    attribute=st.none() | words,
    op=st.sampled_from(["eq", "lt", "le", "gt", "ge", "about", "like"]),
    values=st.lists(words | numbers, min_size=1, max_size=3).map(tuple),
    polarity=st.sampled_from(["positive", "negative"]),
    evidence=words,
    turn=st.integers(0, 99),
)
tuples = st.lists(words, max_size=3).map(tuple)
dropped = st.builds(
    Dropped,
    turn=st.integers(0, 99),
    evidence=words,
    preference_ids=tuples,
    attributes=tuples,
    everything=st.booleans(),
)
facts = st.lists(st.builds(Added, preferences) | dropped, max_size=4).map(tuple)


@given(facts)
def test_facts_survive_json(some: tuple[Fact, ...]) -> None:
    assert facts_from_json(json.loads(json.dumps(facts_to_json(some)))) == some


def test_only_what_databases_refuse_is_replaced() -> None:
    kept = "😀 电影 פסנתר \u202e \u200b \x01\x1b\r\n\t"
    assert clean_text(kept) == kept
    assert clean_text("a\x00b\ud800c") == "a\ufffdb\ufffdc"


def test_json_is_cleaned_at_every_depth() -> None:
    dirty = {"a\x00": [("\x00", math.nan), {"b": math.inf, "c": True, "d": 3}]}
    clean = clean_json(dirty)
    assert clean == {"a\ufffd": [["\ufffd", None], {"b": None, "c": True, "d": 3}]}
    json.dumps(clean, allow_nan=False)
