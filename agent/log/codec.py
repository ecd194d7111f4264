"""Facts to JSON and back, and what must not reach a database.

PostgreSQL refuses NUL in text, lone surrogates, and NaN or infinity in JSON; SQLite takes some of them and
fails later. So they are replaced here, at the border, for both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from agent.preferences import Added, Dropped, Fact, Preference
from agent.understand.types import AskedQuestion

Json: TypeAlias = Any
"""What `json.loads` gives."""

_REFUSED = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """`text` with NUL and lone surrogates as U+FFFD; every other character stays."""
    return _REFUSED.sub("\ufffd", text)


def clean_or_none(text: str | None) -> str | None:
    """`clean_text`, where there is text."""
    return None if text is None else clean_text(text)


def finite(number: float | None) -> float | None:
    """`number`, or None where it is NaN or infinite."""
    return number if number is not None and math.isfinite(number) else None


def clean_json(value: Json) -> Json:
    """`value` as plain JSON: clean strings, finite numbers, tuples as lists."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(each) for each in value]
    return value


def facts_to_json(facts: Iterable[Fact]) -> list[dict[str, Json]]:
    """One JSON object for each fact, `type` says which."""
    return [clean_json(_to_json(fact)) for fact in facts]


def facts_from_json(stored: Iterable[Mapping[str, Json]]) -> tuple[Fact, ...]:
    """The facts that `facts_to_json` was given.

    Raises:
        ValueError: a `type` that we never wrote.
    """
    return tuple(_from_json(each) for each in stored)


def question_to_json(question: AskedQuestion | None) -> dict[str, Json] | None:
    """The question we put, or None."""
    if question is None:
        return None
    return {"attribute": clean_text(question.attribute), "options": clean_json(question.options)}


def question_from_json(stored: Mapping[str, Json] | None) -> AskedQuestion | None:
    """The question that `question_to_json` was given."""
    return None if stored is None else AskedQuestion(stored["attribute"], tuple(stored["options"]))


def _to_json(fact: Fact) -> dict[str, Json]:
    if isinstance(fact, Dropped):
        return {
            "type": "dropped",
            "turn": fact.turn,
            "evidence": fact.evidence,
            "preference_ids": fact.preference_ids,
            "attributes": fact.attributes,
            "everything": fact.everything,
        }
    wish = fact.preference
    return {
        "type": "added",
        "id": wish.id,
        "kind": wish.kind,
        "attribute": wish.attribute,
        "op": wish.op,
        "values": wish.values,
        "polarity": wish.polarity,
        "evidence": wish.evidence,
        "turn": wish.turn,
    }


def _from_json(stored: Mapping[str, Json]) -> Fact:
    fields = dict(stored)
    kind = fields.pop("type")
    if kind == "added":
        return Added(Preference(**{**fields, "values": tuple(fields["values"])}))
    if kind == "dropped":
        lists = {name: tuple(fields[name]) for name in ("preference_ids", "attributes")}
        return Dropped(**{**fields, **lists})
    raise ValueError(f"A stored fact has the type {kind!r}; expected 'added' or 'dropped'.")
