"""The files of a recommendation benchmark: items, turns at which somebody recommended, likes, ranked lists.

A row asks: after these turns, which items did the human recommend? Input is `turns`, `mentioned` and `candidates`
alone; `targets` and `response` are the answer. Knows nothing of how items are ranked.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from retrieval.errors import BadRequest
from retrieval.items import Item

Speaker: TypeAlias = Literal["user", "assistant"]

SHOWN_VALUE = 80
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance."""

    role: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One turn at which a human recommended.

    `mentioned`: items spoken of so far. `targets`: what was recommended, () when it is not told. `response`: the
    human's words, "" when they are not told. `candidates` not None: a closed pool, rank only these.
    """

    id: str
    dialogue_id: str
    turns: tuple[Said, ...]
    mentioned: tuple[str, ...]
    targets: tuple[str, ...]
    response: str
    candidates: tuple[str, ...] | None

    @property
    def novel(self) -> tuple[str, ...]:
        """Targets that nobody had mentioned: the labels of the honest condition."""
        known = set(self.mentioned)
        return tuple(target for target in self.targets if target not in known)


@dataclass(frozen=True, slots=True)
class Like:
    """What a speaker of a training dialogue said of an item outside of the turns."""

    user: str
    item: str
    liked: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """The answer to one row: item ids, best first, and the time that it took.

    `scores` of the items by the learned ranker; () where it did not make the order, and in files.
    """

    id: str
    ranked: tuple[str, ...]
    ms: float
    scores: tuple[float, ...] = ()


def read_items(file: Path) -> tuple[Item, ...]:
    """The items; `year` becomes an attribute beside the others.

    Raises:
        BadRequest: the file cannot be read, or a line is no item; says which.
    """
    return tuple(_item(value, where) for value, where in _lines(file))


def read_rows(file: Path) -> tuple[Row, ...]:
    """The turns of a train, valid or test file; unknown ids and missing answers are tolerated.

    Raises:
        BadRequest: the file cannot be read, or a line is no turn; says which.
    """
    return tuple(_row(value, where) for value, where in _lines(file))


def read_likes(file: Path) -> tuple[Like, ...]:
    """The likes.

    Raises:
        BadRequest: as `read_rows`.
    """
    return tuple(
        Like(_text(value, "user", where), _text(value, "item", where), bool(value.get("liked")))
        for value, where in _lines(file)
    )


def read_ranked(file: Path) -> tuple[Ranked, ...]:
    """The lists that a benchmark run wrote.

    Raises:
        BadRequest: as `read_rows`, or an id occurs twice.
    """
    found = tuple(
        Ranked(_text(value, "id", where), _strings(value, "ranked", where), _number(value, "ms"))
        for value, where in _lines(file)
    )
    if len({one.id for one in found}) != len(found):
        raise BadRequest(f"{str(file)!r} answers a row twice; write each row's list once.")
    return found


def write_ranked(file: Path, lists: Iterable[Ranked]) -> None:
    """Write lists as JSON lines; the file is complete or absent.

    Raises:
        BadRequest: the folder cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as out:
            for one in lists:
                out.write(json.dumps({"id": one.id, "ranked": one.ranked, "ms": round(one.ms, 2)}) + "\n")
        os.replace(part, file)
    except OSError as error:
        raise BadRequest(f"{str(file)!r} cannot be written ({error.strerror}); name another file.") from None
    finally:
        part.unlink(missing_ok=True)


def _lines(file: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects of a JSON lines file, each with words that say where it stands."""
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"line {number} of {str(file)!r}"
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise BadRequest(f"{where} is not JSON ({error}).") from None
                if not isinstance(value, dict):
                    raise BadRequest(f"{where} is not an object.")
                yield value, where
    except FileNotFoundError:
        raise BadRequest(f"There is no file {str(file)!r}.") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadRequest(f"{str(file)!r} cannot be read ({error}).") from None


def _item(value: Mapping[str, Any], where: str) -> Item:
    attributes: dict[str, float | str | tuple[str, ...]] = {}
    for name, given in (value.get("attributes") or {}).items():
        values = given if isinstance(given, list) else [given]
        attributes[name] = tuple(str(one) for one in values if one is not None and str(one).strip())
    if isinstance(year := value.get("year"), int | float):
        attributes["year"] = float(year)
    return Item(
        id=_text(value, "id", where),
        title=str(value.get("title") or "") or _text(value, "id", where),  # real catalogues have items without a name
        text=str(value.get("text") or ""),
        attributes={name: given for name, given in attributes.items() if given != ()},
    )


def _row(value: Mapping[str, Any], where: str) -> Row:
    turns = value.get("turns")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRequest(f'{where} needs "turns", a list of {{"role", "text"}}.')
    said = tuple(
        Said("assistant" if turn.get("role") == "assistant" else "user", str(turn.get("text") or "")) for turn in turns
    )
    identity = _text(value, "id", where)
    pool = _strings(value, "candidates", where) if value.get("candidates") is not None else None
    return Row(
        id=identity,
        dialogue_id=str(value.get("dialogue_id") or identity),
        turns=said,
        mentioned=_strings(value, "mentioned", where),
        targets=_strings(value, "targets", where),
        response=str(value.get("response") or ""),
        candidates=pool,
    )


def _text(value: Mapping[str, Any], name: str, where: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise BadRequest(f"{where} needs {name!r}, a text; it has {str(found)[:SHOWN_VALUE]!r}.")
    return found


def _strings(value: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    found = value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadRequest(f"{where} needs {name!r}, a list of texts; it has {str(found)[:SHOWN_VALUE]!r}.")
    return tuple(found)


def _number(value: Mapping[str, Any], name: str) -> float:
    found = value.get(name)
    return float(found) if isinstance(found, int | float) else 0.0
