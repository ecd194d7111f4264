"""Files of intents: rows of examples (JSON lines), and the operator's `intents.toml` with what each intent does.

    outside = ["what is the weather like", "tell me a joke"]

    [intent.cancel_order]
    examples = ["cancel my order", "I do not want it any more, please stop the parcel"]
    action = "cancel_order"

    [intent.opening_hours]
    examples = ["when are you open", "opening times"]
    answer = "We are here from Monday to Friday, 9 to 17 o'clock."

    [intent.legal_advice]
    examples = ["can I sue the seller", "is this contract valid"]
    refuse = true

Knows nothing of how they are learned.
"""

from __future__ import annotations

import gzip
import json
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.support.intents import IntentExample, IntentRule
from retrieval.errors import BadRequest

OUTSIDE = "outside"
"""The label of the examples that belong to no intent; no intent may be called so."""
GZIPPED = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class IntentFile:
    """What an operator wrote: the examples, those of the outside under the label `OUTSIDE`, and what an intent does."""

    examples: tuple[IntentExample, ...]
    rules: tuple[IntentRule, ...]


class _Intent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    examples: tuple[str, ...] = Field(min_length=1)
    answer: str = ""
    action: str = ""
    refuse: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    intent: dict[str, _Intent] = Field(min_length=1)
    outside: tuple[str, ...] = ()


def read_intents(file: Path) -> IntentFile:
    """Examples as rows `{"text", "intent"}` (the intent `outside` for those of none), or an `intents.toml`.

    Raises:
        BadRequest: there is no such file, or it is written otherwise; the sentence says where.
    """
    if file.suffix != ".toml":
        examples = tuple(read_examples(file))
        names = sorted({one.intent for one in examples} - {OUTSIDE})
        return IntentFile(examples, tuple(IntentRule(name) for name in names))
    try:
        told = _File.model_validate(tomllib.loads(_bytes(file).decode("utf-8-sig")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRequest(f"{str(file)!r} is not TOML ({error}); correct it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadRequest(f"In {str(file)!r} the entry {where!r} does not fit: {first['msg']}.") from None
    if OUTSIDE in told.intent:
        raise BadRequest(
            f"In {str(file)!r} an intent is called {OUTSIDE!r}; give those examples in the list above them."
        )
    examples = tuple(IntentExample(text, name) for name, one in told.intent.items() for text in one.examples)
    examples += tuple(IntentExample(text, OUTSIDE) for text in told.outside)
    rules = tuple(IntentRule(name, one.answer, one.action, one.refuse) for name, one in told.intent.items())
    return IntentFile(examples, rules)


def read_examples(file: Path) -> Iterator[IntentExample]:
    """Rows that all have an intent; a class given as a whole number is called by its digits.

    Raises:
        BadRequest: there is no such file, or a row is none.
    """
    for example, _ in read_train(file):
        yield example


def read_train(file: Path) -> Iterator[tuple[IntentExample, str | int]]:
    """As `read_examples`, each with its intent as the row writes it.

    Raises:
        BadRequest: as `read_examples`.
    """
    for value, where in _rows(file):
        given: Any = value.get("intent")
        intent = _label(given) or _text(value, where, "intent")
        yield IntentExample(_text(value, where), intent), given


def read_test(file: Path) -> Iterator[tuple[str, str | None]]:
    """Texts, which may be blank, with their intents as `read_examples` calls them, None where a row does not tell it.

    Raises:
        BadRequest: there is no such file, or a row has no text.
    """
    for value, where in _rows(file):
        text = value.get("text")
        yield text if isinstance(text, str) else _text(value, where), _label(value.get("intent"))


def _rows(file: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(_bytes(file).split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"Line {number} of {str(file)!r}"
        try:
            value = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{where} is not JSON ({error}); write one object in each line.") from None
        if not isinstance(value, dict):
            raise BadRequest(f'{where} is not an object; write {{"text": "...", "intent": "..."}}.')
        yield value, where


def _bytes(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        return gzip.decompress(raw) if raw.startswith(GZIPPED) else raw
    except FileNotFoundError:
        raise BadRequest(f"There is no file {str(file)!r}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadRequest(f"{str(file)!r} cannot be read ({error}).") from None


def _label(given: object) -> str | None:
    """None for what is no label."""
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    return given if isinstance(given, str) and given.strip() else None


def _text(value: dict[str, Any], where: str, key: str = "text") -> str:
    given = value.get(key)
    if not isinstance(given, str) or not given.strip():
        raise BadRequest(f"{where} has no {key!r}, or it is no text; every row needs one.")
    return given
