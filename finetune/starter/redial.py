"""What ReDial's customers certainly meant: titles with the like or dislike that they declared, and words for genres.

Li et al. 2018, "Towards deep conversational recommendations" (CC BY 4.0). Nobody labelled these turns; a turn is taken
only where everything in it that could be a wish is certain: each title is dated and the speaker said afterwards whether
they like it, genre words stand without a negation. The plots are not read. Knows no model.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.llm.protocol import Prompt
from agent.preferences import Added, Fact, Preference, PreferenceKind, fold
from agent.understand.reading import reading_prompt, spoken
from agent.understand.types import DialogueContext
from finetune.starter.examples import Example
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.table import ItemTable

MAX_CHARS = 300
_DATED = re.compile(r"\s*\((\d{4})\)")
_DOUBT = re.compile(
    r"\b(?:no|not|never|without|nothing|except|but|hate|dislike|tired|less|instead|have you seen|did you see|"
    r"haven't|havent|any other|cannot)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
"""Words that make it uncertain what is wished."""
_ASKED = re.compile(r"\b(?:looking for|recommend|suggest|want|in the mood for|need|find me)\b", re.IGNORECASE)
_LIKED = re.compile(r"\b(?:like|love|loved|enjoy|into|fan of|prefer|liked|favou?rite)\b", re.IGNORECASE)
_SMALL_TALK = frozenset(
    "hi hello hey there thanks thank you so much bye goodbye good great ok okay have a nice day morning afternoon"
    " evening night yes sure cool awesome how are doing today im fine i am well".split()
)


@dataclass(frozen=True, slots=True)
class RedialFiles:
    """Train turns, items, likes; the form is that of shared benchmark files."""

    rows: Path
    items: Path
    likes: Path


def redial_examples(files: RedialFiles, n: int) -> Iterator[Example]:
    """At most `n` turns whose meaning is certain, in the order of the dialogues.

    Raises:
        BadRequest: a file cannot be read.
    """
    items = [_item(fields) for fields in _lines(files.items)]
    table = ItemTable(items)
    reader = _Reader(
        {(item.title.casefold(), item.attributes.get("year")): item.id for item in items},
        {(str(one["user"]), str(one["item"])): bool(one["liked"]) for one in _lines(files.likes)},
        _genres(items),
    )
    made = 0
    small_talk = set[str]()
    for dialogue, turns in _dialogues(files.rows):
        for text, context, facts in reader.turns(dialogue, turns):
            if made >= n:
                return
            prompt = reading_prompt(text, context, table)
            answer = spoken(facts, context, (), None, table)
            if not facts and text.casefold() in small_talk:  # a thousand times "hello"
                continue
            if facts and not _accounted_for(prompt, answer):
                continue
            small_talk.add(text.casefold())
            made += 1
            yield Example("understand", prompt, answer, "understand redial")


def _accounted_for(prompt: Prompt, answer: str) -> bool:
    """Whether the answer speaks of every genre and person that the words may mean; else some wish may be missing."""
    found = next((line for line in prompt.messages[-1].text.split("\n") if line.startswith("Found: ")), "")
    names = [one.partition(": ") for one in found.removeprefix("Found: ").split("; ")]
    said = {line.replace("!: ", ": ") for line in answer.split("\n")}
    return all(name == "like" or not value or f"{name}: {value}" in said for name, _, value in names)


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise BadRequest(f"{str(file)!r} cannot be read as JSON lines ({error}).") from None


def _item(fields: Mapping[str, Any]) -> Item:
    attributes = {name: tuple(values) for name, values in fields["attributes"].items() if name != "writer" and values}
    year = {"year": float(fields["year"])} if fields.get("year") else {}
    return Item(fields["id"], fields["title"], "", {**attributes, **year})


def _genres(items: Sequence[Item]) -> Mapping[str, str]:
    """Genres by the words that say them, singular and plural."""
    found = {}
    for item in items:
        genres = item.attributes.get("genre", ())
        for value in genres if isinstance(genres, tuple) else ():
            word = value.casefold()
            plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
            found[word] = found[plural] = value
    return found


def _dialogues(file: Path) -> Iterator[tuple[str, Sequence[Mapping[str, str]]]]:
    """Each dialogue once, as long as its longest row."""
    longest: dict[str, Sequence[Mapping[str, str]]] = {}
    for row in _lines(file):
        if len(row["turns"]) >= len(longest.get(row["dialogue_id"], ())):
            longest[row["dialogue_id"]] = row["turns"]
    yield from longest.items()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Item ids by title and year, likes by user and item, genres by word."""

    ids: Mapping[tuple[str, object], str]
    likes: Mapping[tuple[str, str], bool]
    genres: Mapping[str, str]

    def turns(
        self, dialogue: str, turns: Sequence[Mapping[str, str]]
    ) -> Iterator[tuple[str, DialogueContext, Sequence[Fact]]]:
        """The customer's turns whose meaning is certain, with what was wished for and shown before."""
        user = f"{dialogue.removeprefix('redial-')}-i"
        known: list[Fact] = []
        shown: list[tuple[str, ...]] = []
        number = 0
        for turn in turns:
            titles = self._titles(turn["text"])
            if turn["role"] != "user":
                shown += [tuple(item_id for _, item_id in titles if item_id)] if titles else []
                continue
            number += 1
            context = DialogueContext(number, fold(known), tuple(shown))
            facts = self._facts(turn["text"], titles, user, number)
            if facts is not None:
                yield turn["text"], context, facts
                known += facts

    def _facts(self, text: str, titles: Sequence[tuple[str, str]], user: str, number: int) -> Sequence[Fact] | None:
        """All that the turn says; None where something is not certain."""
        words = re.findall(r"[\w'’-]+", text.casefold())
        if words and set(words) <= _SMALL_TALK:
            return ()
        if len(text) > MAX_CHARS or _DOUBT.search(text):
            return None
        facts: list[Fact] = []
        for written, item_id in dict.fromkeys(titles):
            liked = self.likes.get((user, item_id))
            if liked is None:
                return None
            wish = Preference(
                f"t{number}-{len(facts) + 1}", "soft", None, "like", (item_id,), "positive" if liked else "negative",
                written, number,
            )  # fmt: skip
            facts.append(Added(wish))
        genres = self._said(text)
        strength = self._strength(text)
        alternatives = len(genres) > 1 and re.search(r"\bor\b", text, re.IGNORECASE)
        if genres and (strength is None or alternatives):
            return None
        for word, genre in genres.items():
            key = f"t{number}-{len(facts) + 1}"
            wish = Preference(key, strength or "soft", "genre", "eq", (genre,), "positive", word, number)
            facts.append(Added(wish))
        return facts or None

    def _said(self, text: str) -> Mapping[str, str]:
        """Genres by the word that said them, titles left out."""
        rest = _DATED.sub(" ", text).casefold()
        found: dict[str, str] = {}
        for word in re.findall(r"[a-z-]+", rest):
            if word in self.genres and self.genres[word] not in found.values():
                found[word] = self.genres[word]
        return found

    def _strength(self, text: str) -> PreferenceKind | None:
        """Asked for: a condition; liked: a leaning; both or neither is not certain."""
        asked, liked = bool(_ASKED.search(text)), bool(_LIKED.search(text))
        return None if asked == liked else "hard" if asked else "soft"

    def _titles(self, text: str) -> list[tuple[str, str]]:
        """Dated titles as written, with the item's id; "" where the catalogue has none."""
        found = []
        for dated in _DATED.finditer(text):
            words = text[: dated.start()].split(" ")
            tails = [
                " ".join(words[start:]).strip(" \"'“,.:;!?") for start in range(max(0, len(words) - 10), len(words))
            ]
            year = float(dated.group(1))
            known = [
                (tail, self.ids.get((tail.casefold(), year)) or self.ids.get((tail.casefold(), None))) for tail in tails
            ]
            found.append(next(((tail, item_id) for tail, item_id in known if item_id), ("", "")))
        return found
