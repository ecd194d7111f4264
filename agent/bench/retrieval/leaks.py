"""Ways in which a benchmark's files give their answers away; side files are looked at, too.

Looks for copies, not for meaning: whoever writes test dialogues anew in other words into an item's text is not found.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Like, Row
from retrieval.items import Item
from retrieval.text import fold

LeakKind: TypeAlias = Literal[
    "dialogue_in_two_files", "same_words_in_two_files", "near_duplicate", "test_text_in_item", "likes_of_test_speaker",
    "answer_in_input",
]  # fmt: skip

SHINGLE_WORDS = 8
"""So many words in a row are a copy; a title or a greeting is shorter."""
NEAR_WORDS = 4
"""Shingles for near-duplicates are shorter: a changed word in ten breaks most runs of eight."""
NEAR = 0.45
"""Share of the shingles of the shorter of two dialogues that both have. Honest dialogues of OpenDialKG and ReDial reach
.42, copies with every tenth word changed .45 to .70 (5th percentile to median)."""
NEAR_SHINGLES = 16
"""A shorter dialogue is a question that many ask ("could you recommend a movie similar to the matrix?")."""
SAME_LIKES = 0.7
"""Items that both a speaker's likes and a dialogue have, as a share of those that either has. A dialogue's own speakers
reach it in 84 % of ReDial's dialogues, others never."""
SHOWN = 5
"""Examples in a finding."""
COMMON = 20
"""A shingle in more dialogues than this is a phrase of the setting ("hi what kind of movies do you like"), no copy."""
_WORD = re.compile(r"\w+")


class Finding(BaseModel):
    """One kind of leak: how many rows or items it touches, and some of their ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LeakKind
    where: str
    count: int
    examples: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"{_WORDS[self.kind].format(count=self.count, where=self.where)} ({', '.join(self.examples)})."


_WORDS: Mapping[LeakKind, str] = {
    "dialogue_in_two_files": "{count} dialogues stand in {where}, under the same id",
    "same_words_in_two_files": "{count} dialogues stand in {where} with the same words",
    "near_duplicate": "{count} dialogues of {where} share most of their words",
    "test_text_in_item": "{count} items have text in which words of {where} stand",
    "likes_of_test_speaker": "the likes of {count} speakers are those of a dialogue in {where}",
    "answer_in_input": "{count} rows of {where} name a novel target among their candidates alone",
}


@dataclass(slots=True)
class _Dialogue:
    """What one dialogue says, from all of its rows; `answers` are not among what was `said`."""

    said: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    items: set[str] = field(default_factory=set)

    @property
    def words(self) -> str:
        return " ".join(self.said)


def find_leaks(
    files: Mapping[str, Sequence[Row]],
    items: Sequence[Item] = (),
    likes: Sequence[Like] = (),
    *,
    held_out: str = "test",
) -> tuple[Finding, ...]:
    """Everything by which the file named `held_out` could be known beforehand; () is what one hopes for.

    Args:
        files: rows by the name of their file; the likes belong to all but `held_out`.
        items: whose texts must not hold words of the held-out dialogues.
        likes: by speaker; the same items liked by a speaker and spoken of in a held-out dialogue are that dialogue.
        held_out: a name in `files`.
    """
    dialogues = {name: _dialogues(rows) for name, rows in files.items()}
    test = dialogues[held_out]
    found: list[Finding | None] = []
    for name, others in dialogues.items():
        if name != held_out:
            found += _between(held_out, test, name, others)
    found.append(_finding("test_text_in_item", held_out, _quoting_items(test, items)))
    found.append(_finding("likes_of_test_speaker", held_out, _known_speakers(test, likes)))
    found.append(_finding("answer_in_input", held_out, _single_pools(files[held_out])))
    return tuple(one for one in found if one is not None)


def _between(
    held_out: str, test: Mapping[str, _Dialogue], name: str, others: Mapping[str, _Dialogue]
) -> Iterator[Finding | None]:
    where = f"{held_out} and {name}"
    yield _finding("dialogue_in_two_files", where, sorted(test.keys() & others.keys()))
    words = {other.words for other in others.values() if other.words}
    same = [key for key, one in test.items() if one.words in words and key not in others]
    yield _finding("same_words_in_two_files", where, same)
    known = {*same, *others}
    near = _near_duplicates({key: one for key, one in test.items() if key not in known}, others)
    yield _finding("near_duplicate", where, near)


def _near_duplicates(test: Mapping[str, _Dialogue], others: Mapping[str, _Dialogue]) -> list[str]:
    """Test dialogues that share `NEAR` of their shingles, or of the other's, with one other dialogue."""
    holders: defaultdict[int, list[str]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for key, other in others.items():
        shingles = _shingles(other.words, NEAR_WORDS)
        sizes[key] = len(shingles)
        for shingle in shingles:
            holders[shingle].append(key)
    near = []
    for key, one in test.items():
        own = [shingle for shingle in _shingles(one.words, NEAR_WORDS) if len(holders.get(shingle, ())) <= COMMON]
        shared = Counter(holder for shingle in own for holder in holders.get(shingle, ()))
        lengths = ((count, min(len(own), sizes[holder])) for holder, count in shared.items())
        if any(shorter >= NEAR_SHINGLES and count >= NEAR * shorter for count, shorter in lengths):
            near.append(key)
    return near


def _quoting_items(test: Mapping[str, _Dialogue], items: Sequence[Item]) -> list[str]:
    """Items with a run of words of a held-out dialogue that is neither a phrase of the setting nor part of a title."""
    seen = Counter(
        shingle for one in test.values() for text in (one.words, *one.answers) for shingle in _shingles(text)
    )
    titles = {shingle for item in items for shingle in _shingles(item.title)}
    copied = {shingle for shingle, count in seen.items() if count <= COMMON} - titles
    return [item.id for item in items if not copied.isdisjoint(_shingles(item.text))]


def _known_speakers(test: Mapping[str, _Dialogue], likes: Sequence[Like]) -> list[str]:
    """Speakers whose items, at least three, are a held-out dialogue's, or who are named after it ("7-i", "d-7")."""
    of_speaker: defaultdict[str, set[str]] = defaultdict(set)
    for like in likes:
        of_speaker[like.user].add(like.item)
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for key, one in test.items():
        for item in one.items:
            holders[item].append(key)
    found = []
    for user, items in of_speaker.items():
        shared = Counter(key for item in items for key in holders.get(item, ()))
        if any(_is_speaker(user, key) or _same_items(items, test[key].items, count) for key, count in shared.items()):
            found.append(user)
    return found


def _is_speaker(user: str, dialogue: str) -> bool:
    stem, mark, _ = user.rpartition("-")
    return bool(mark) and (dialogue == stem or dialogue.endswith(f"-{stem}"))


def _same_items(items: set[str], spoken: set[str], n_shared: int) -> bool:
    return n_shared >= 3 and n_shared >= SAME_LIKES * len(items | spoken)


def _single_pools(rows: Sequence[Row]) -> list[str]:
    """Rows whose pool holds only targets: nothing is left to rank."""
    return [row.id for row in rows if row.candidates and row.targets and set(row.candidates) <= set(row.targets)]


def _dialogues(rows: Iterable[Row]) -> dict[str, _Dialogue]:
    """Each dialogue with all that its rows say: the longest history, and the answer of each row."""
    found: dict[str, _Dialogue] = {}
    for row in rows:
        one = found.setdefault(row.dialogue_id, _Dialogue())
        said = [fold(turn.text) for turn in row.turns]
        if len(said) > len(one.said):
            one.said = said
        if row.response:
            one.answers.append(row.response)
        one.items.update(row.mentioned, row.targets)
    return found


def _shingles(text: str, length: int = SHINGLE_WORDS) -> set[int]:
    words = _WORD.findall(fold(text))
    return {hash(tuple(words[at : at + length])) for at in range(len(words) - length + 1)}


def _finding(kind: LeakKind, where: str, ids: Sequence[str]) -> Finding | None:
    return Finding(kind=kind, where=where, count=len(ids), examples=tuple(ids[:SHOWN])) if ids else None
