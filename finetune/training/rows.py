"""Lessons as packed rows of tokens, and which rows make up which step: told by lessons, recipe and seed alone.

As for the starter (finetune/starter/batches.py): answers whose prompts begin alike share a row, and what they begin
with is read once. A preference or a list is a row of its own, since all of its answers share the whole prompt. Knows
no model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agent.llm.tokens import PromptRenderer
from agent.rank.prompts import ANSWERS
from finetune.starter.batches import Encoded, Row, row_of, shared_tokens
from finetune.training.lessons import Lesson
from finetune.training.recipe import TrainPart
from retrieval.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Tokens:
    """A lesson as tokens.

    `endings`: one for each answer; of a list, each ends with the token " yes", whose odds against " no" are its score.
    `other`: kto: its own prompt with an answer to another one, for what is usual; None where there is no other.
    """

    lesson: Lesson
    endings: tuple[Encoded, ...]
    other: Encoded | None = None

    @property
    def size(self) -> int:
        """Tokens of the longest ending, prompt included."""
        return max(len(one.ids) for one in self.endings)


@dataclass(frozen=True)
class LessonRow:
    """Lessons that are computed together, in this order; made into tensors when first asked."""

    lessons: tuple[Tokens, ...]

    @cached_property
    def row(self) -> Row:
        """All endings of the lessons, one after another."""
        return row_of([ending for one in self.lessons for ending in one.endings])

    @cached_property
    def others(self) -> Row | None:
        """The answers to other prompts, of the lessons that have one."""
        found = [one.other for one in self.lessons if one.other is not None]
        return row_of(found) if found else None


def encode(lessons: Iterable[Lesson], renderer: PromptRenderer, longest: int) -> list[Tokens]:
    """As the engines would read and make them; those of more than `longest` tokens are left out.

    An answer ends with the end of the turn, but for a verdict, of which serving reads the one token alone.

    Raises:
        BadRequest: the tokenizer has no token that ends an answer.
        EngineError: the chat template refuses a prompt, or the model cannot judge items.
    """
    end = renderer.tokenizer.eos_token_id
    if end is None:
        raise BadRequest("The model's tokenizer has no end-of-text token, so no answer could end; use another model.")
    found = []
    for lesson in lessons:
        prompt = renderer.encode(lesson.prompt)
        ranked = lesson.kind == "rank"
        group = _group(lesson)
        endings = []
        for answer in lesson.answers:
            last = renderer.encode_answers(ANSWERS)[:1] if ranked else [] if answer in ANSWERS else [int(end)]
            own = [*renderer.encode_text(answer), *last]
            endings.append(Encoded(group, (*prompt, *own), 1 if ranked else len(own)))
        one = Tokens(lesson, tuple(endings))
        if one.size <= longest:
            found.append(one)
    return _with_others(found)


def packed(lessons: Sequence[Tokens], row_tokens: int, seed: Sequence[int]) -> list[LessonRow]:
    """Every lesson once, about `row_tokens` tokens a row; who with whom, and the order, by the seed."""
    random = np.random.default_rng(list(seed))
    groups: dict[str, list[Tokens]] = {}
    for at in random.permutation(len(lessons)):
        groups.setdefault(lessons[at].endings[0].group, []).append(lessons[at])
    rows = []
    for group in groups.values():
        shared = shared_tokens([ending for one in group for ending in one.endings])
        row: list[Tokens] = []
        size = shared
        for one in group:
            own = sum(len(ending.ids) - shared for ending in one.endings)
            if row and size + own > row_tokens:
                rows.append(LessonRow(tuple(row)))
                row, size = [], shared
            row.append(one)
            size += own
        rows.append(LessonRow(tuple(row)))
    return [rows[at] for at in random.permutation(len(rows))]


@dataclass(frozen=True)
class Plan:
    """The rows of every step; `learned` are the lessons in them, each once, `rehearsed` the ids of the memory's."""

    steps: tuple[tuple[LessonRow, ...], ...]
    learned: tuple[Tokens, ...]
    rehearsed: frozenset[str]

    @property
    def step_weight(self) -> float:
        """Of a mean step: steps are measured by it, so that a lesson counts its weight, whoever shares its step."""
        return sum(one.lesson.weight for step in self.steps for row in step for one in row.lessons) / len(self.steps)


def plan(
    new: Sequence[Tokens], rehearse: Callable[[int], Sequence[Tokens]], recipe: TrainPart, epochs: int, seed: int
) -> Plan:
    """All steps of all epochs.

    Args:
        new: of this cycle; each is in every epoch.
        rehearse: what of the memory is learned again in an epoch.
        recipe: sizes.
        epochs: how many.
        seed: of the order.

    Raises:
        BadRequest: there is nothing to learn from.
    """
    steps: list[tuple[LessonRow, ...]] = []
    learned = {one.lesson.id: one for one in new}
    for epoch in range(epochs):
        again = rehearse(epoch)
        learned |= {one.lesson.id: one for one in again}
        rows = packed([*new, *again], recipe.row_tokens, (seed, epoch))
        steps += [tuple(rows[at : at + recipe.rows]) for at in range(0, len(rows), recipe.rows)]
    if not steps:
        raise BadRequest("There is nothing to learn from: no row of feedback is left, and none is remembered.")
    known = {one.lesson.id for one in new}
    return Plan(tuple(steps), tuple(learned.values()), frozenset(learned.keys() - known))


def rehearsed_count(new: int, share: float) -> int:
    """Rows of the memory beside `new` ones so that they are `share` of both."""
    return math.ceil(new * share / (1 - share))


def both_directions(lessons: Iterable[Lesson], each: int) -> list[Lesson]:
    """Without kto lessons where there are fewer than `each` liked or disliked ones: one side alone only pushes."""
    lessons = list(lessons)
    liked = sum(bool(one.good) for one in lessons if one.kind == "kto")
    disliked = sum(not one.good for one in lessons if one.kind == "kto")
    enough = min(liked, disliked) >= each
    return [one for one in lessons if one.kind != "kto" or enough]


def _group(lesson: Lesson) -> str:
    """Whose rows may be shared: prompts that begin with the same task; a preference or a list stays alone."""
    if lesson.kind in ("dpo", "rank"):
        return f"{lesson.kind} {lesson.id}"
    first = lesson.prompt.messages[:1]
    return f"{lesson.kind} {first[0].text if first and first[0].role == 'system' else ''}"


def _with_others(lessons: list[Tokens]) -> list[Tokens]:
    """Each kto lesson with the answer of the next one, as TRL's: the pairs stay the same in every epoch."""
    ring = sorted((one for one in lessons if one.lesson.kind == "kto"), key=lambda one: one.lesson.id)
    if len(ring) < 2:
        return lessons
    others = {}
    for one, following in zip(ring, [*ring[1:], ring[0]], strict=True):
        own, far = one.endings[0], following.endings[0]
        ids = (*own.ids[: len(own.ids) - own.answer], *far.ids[len(far.ids) - far.answer :])
        others[one.lesson.id] = Encoded(own.group, ids, far.answer)
    return [replace(one, other=others.get(one.lesson.id)) for one in lessons]
