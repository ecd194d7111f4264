"""The other sets of messages to be read: written by hand for the demo shop, INSPIRED, and who likes what in ReDial.

Turns each into tasks of `understanding.py`. Knows no reader; labelled turns stand in `understanding_labels.py`.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from agent.bench.retrieval.dialogues import Said, read_likes, read_rows
from agent.bench.understanding import SYSTEMS, AttitudeScore, Keys, Readings, Task, read_three_ways
from agent.bench.understanding_labels import context_before
from agent.learning.attitudes import attitudes
from agent.preferences import Added, Fact, fold
from agent.understand.message import words_of
from agent.understand.model import ModelUnderstanding
from agent.understand.roles import PERSON_ROLES, Role
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext, Understanding
from retrieval.errors import BadRequest
from retrieval.table import ItemTable

SCORED = ("genre", "mood", "theme", "language", "country", "format")
"""Text attributes of the demo shop that the messages written by hand ask for."""
_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")
_GENRES = {"science fiction": "sci-fi", "superhero": "action", "animated": "animation", "romantic": "romance"}


def handwritten_tasks() -> list[Task]:
    """42 messages (`understanding.jsonl`): "+genre:Horror" is a wish, "-" one to avoid; strength is not compared."""
    text = files("agent.bench").joinpath("understanding.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    return [Task(row["text"], DialogueContext(), _signed(row["gold"]), _signed_wishes) for row in rows]


def _signed(lines: Sequence[str]) -> Keys:
    return {(line,): "negation" if line.startswith("-") else "wish" for line in lines}


def _signed_wishes(understood: Understanding) -> Keys:
    wishes = [fact.preference for fact in understood.facts if isinstance(fact, Added)]
    return _signed(
        [
            f"{'+' if wish.polarity == 'positive' else '-'}{wish.attribute}:{value}"
            for wish in wishes
            if wish.attribute in SCORED
            for value in wish.values
        ]
    )


def inspired_tasks(file: Path, table: ItemTable, roles: Mapping[str, Role], n: int) -> list[Task]:
    """The first `n` seekers' turns of INSPIRED in which something is named: genres, people, titles.

    The gold was made by string matching and has false titles ("Greetings (1968)").

    Raises:
        BadRequest: the file cannot be read as INSPIRED's table.
    """

    def keys(understood: Understanding) -> Keys:
        return dict(_mentions(understood, table, roles))

    found: list[Task] = []
    for row in _rows(file):
        wanted: Keys = {key: key[0] for key in _named(row)}
        if row["speaker"] == "SEEKER" and wanted:
            found.append(Task(row["text"], DialogueContext(), wanted, keys, row["dialog_id"]))
    return found[:n]


def _rows(file: Path) -> Iterator[dict[str, str]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield {
                    name: row[name] or ""
                    for name in ("dialog_id", "speaker", "text", "movies", "genres", "people_names")
                }
    except (OSError, KeyError, UnicodeDecodeError, EOFError) as error:
        raise BadRequest(f"{file} is not INSPIRED's dev.tsv.gz ({error}); name that file.") from None


def _named(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, kind in (("genres", "genre"), ("people_names", "person"), ("movies", "title")):
        for said in filter(None, (part.strip() for part in row[column].split(";"))):
            yield kind, _plain(kind, said)


def _plain(kind: str, said: str) -> str:
    words = " ".join(words_of(_YEAR.sub("", said))).removeprefix("the ")
    return _GENRES.get(words, words) if kind == "genre" else words


def _mentions(
    understood: Understanding, table: ItemTable, roles: Mapping[str, Role]
) -> Iterator[tuple[tuple[object, ...], str]]:
    ids = list(understood.item_ids)
    for fact in understood.facts:
        if not isinstance(fact, Added):
            continue
        wish = fact.preference
        if wish.op == "like":
            ids += [str(value) for value in wish.values]
            continue
        role = roles.get(wish.attribute or "")
        kind = "genre" if role == "kind" else "person" if role in PERSON_ROLES else ""
        for value in wish.values if kind else ():
            yield (kind, _plain(kind, str(value))), kind
    for item_id in ids:
        yield ("title", _plain("title", table.get(item_id).title)), "title"


# -- attitudes -------------------------------------------------------------------------------------


async def score_attitudes(
    folder: Path, n: int, table: ItemTable, rules: Rules, model: ModelUnderstanding, progress: Callable[[str], None]
) -> tuple[AttitudeScore, ...]:
    """Who likes what: the seekers' turns of the first `n` train dialogues against what they told about each film.

    Raises:
        BadRequest: `folder` has no train.jsonl.gz or likes.jsonl.gz of ReDial.
        EngineError: the language model failed.
    """
    told = _told(folder / "likes.jsonl.gz", table)
    dialogues: dict[str, tuple[Said, ...]] = {}
    for row in read_rows(folder / "train.jsonl.gz"):
        if row.dialogue_id in told and len(row.turns) > len(dialogues.get(row.dialogue_id, ())):
            dialogues[row.dialogue_id] = row.turns
    counts = {system: [0, 0, 0, 0, 0] for system in SYSTEMS}
    for number, (dialogue, turns) in enumerate(list(dialogues.items())[:n], start=1):
        facts = await _facts_of(turns, table, rules, model)
        for system in SYSTEMS:
            _count(counts[system], told[dialogue], attitudes(fold(facts[system]), ()))
        if number % 20 == 0:
            progress(f"attitudes of {number} dialogues read")
    return tuple(
        AttitudeScore(system=system, wanted=w, known=k, right=r, disliked=d, disliked_right=dr)
        for system, (w, k, r, d, dr) in counts.items()
    )


def _told(file: Path, table: ItemTable) -> dict[str, dict[str, bool]]:
    """By dialogue: what the seeker ("...-i") said of each film, outside of the turns."""
    found: dict[str, dict[str, bool]] = {}
    for like in read_likes(file):
        dialogue, _, speaker = like.user.rpartition("-")
        if speaker == "i" and like.item in table:
            found.setdefault(f"redial-{dialogue}", {})[like.item] = like.liked
    return found


async def _facts_of(
    turns: Sequence[Said], table: ItemTable, rules: Rules, model: ModelUnderstanding
) -> dict[str, list[Fact]]:
    facts: dict[str, list[Fact]] = {system: [] for system in SYSTEMS}
    for at, said in enumerate(turns):
        if said.role == "user":
            context = context_before(turns[max(0, at - 1) : at], table, rules)
            context = DialogueContext(at + 1, (), context.shown)
            reading: Readings = await read_three_ways(said.text, context, rules, model)
            for system in SYSTEMS:
                facts[system] += reading.of(system).facts
    return facts


def _count(counts: list[int], told: Mapping[str, bool], found: Mapping[str, float]) -> None:
    for item_id, liked in told.items():
        attitude = found.get(item_id, 0.0)
        right = attitude > 0 if liked else attitude < 0
        for at, hit in enumerate((True, attitude != 0, right, not liked, not liked and right)):
            counts[at] += hit
