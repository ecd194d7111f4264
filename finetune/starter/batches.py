"""Examples as rows of tokens: many answers behind one beginning of the prompt that they share, read once.

Prompts of one catalogue begin alike (the task, its attributes), so a row holds that beginning once and behind it what
is each example's own: half the tokens. Which examples share a row follows from the seed. Knows no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from agent.llm.tokens import PromptRenderer
from finetune.packing import Packed, pack
from finetune.starter.examples import Example
from retrieval.errors import BadRequest

MAX_PROMPT_TOKENS = 640
"""Longer prompts are left out: one of them costs as much as three others."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as tokens; `group` tells whose prompts begin alike, the last `answer` of `ids` are learned."""

    group: str
    ids: tuple[int, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of tokens.

    `wanted`: int64, (answer tokens,), in the order of the examples; `before`: the place of the token that each is told
    from; `lengths`: how many of them each example has.
    """

    packed: Packed
    wanted: torch.Tensor
    before: torch.Tensor
    lengths: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """All that are computed."""
        return int(self.packed.ids.shape[1])


def encode(examples: Iterable[Example], renderer: PromptRenderer) -> list[Encoded]:
    """Prompt, answer and the end of the turn as the engines would read and make them; too long ones are left out.

    Raises:
        BadRequest: the tokenizer has no token that ends an answer.
    """
    end = renderer.tokenizer.eos_token_id
    if end is None:
        raise BadRequest("The model's tokenizer has no end-of-text token, so no answer could end; use another model.")
    found = []
    for example in examples:
        prompt = renderer.encode(example.prompt) if example.prompt.messages else [int(end)]
        answer = [*renderer.encode_text(example.answer), int(end)]
        if len(prompt) <= MAX_PROMPT_TOKENS:
            found.append(Encoded(example.group, (*prompt, *answer), len(answer)))
    return found


def data_hash(encoded: Iterable[Encoded]) -> str:
    """SHA-256 (hex) over the tokens."""
    found = hashlib.sha256()
    for one in encoded:
        found.update(repr((one.ids, one.answer)).encode())
    return found.hexdigest()


def chunks(encoded: Sequence[Encoded], row_tokens: int, seed: Sequence[int]) -> list[tuple[Encoded, ...]]:
    """Examples of one group together, about `row_tokens` tokens a row; who with whom, and the order, by the seed."""
    random = np.random.default_rng(list(seed))
    groups: dict[str, list[Encoded]] = {}
    for at in random.permutation(len(encoded)):
        groups.setdefault(encoded[at].group, []).append(encoded[at])
    found = []
    for group in groups.values():
        shared = shared_tokens(group)
        row: list[Encoded] = []
        size = shared
        for one in group:
            own = len(one.ids) - shared
            if row and size + own > row_tokens:
                found.append(tuple(row))
                row, size = [], shared
            row.append(one)
            size += own
        found.append(tuple(row))
    return [found[at] for at in random.permutation(len(found))]


def row_of(examples: Sequence[Encoded]) -> Row:
    """One row; there must be an example, and its prompt must have a token."""
    shared = shared_tokens(examples)
    packed = pack(examples[0].ids[:shared], [one.ids[shared:] for one in examples])
    wanted, before, start = list[int](), list[int](), shared
    for one in examples:
        end = start + len(one.ids) - shared
        places = range(end - one.answer, end)
        wanted += one.ids[len(one.ids) - one.answer :]
        # What an answer begins with is told from the end of the prompt, which may be the shared beginning's.
        before += [shared - 1 if place == start else place - 1 for place in places]
        start = end
    lengths = tuple(one.answer for one in examples)
    return Row(packed, torch.tensor(wanted), torch.tensor(before), lengths)


def shared_tokens(examples: Sequence[Encoded]) -> int:
    """Tokens that all prompts begin with, at least one; each keeps something of its own."""
    first, last = min(one.ids for one in examples), max(one.ids for one in examples)
    most = min(len(one.ids) - one.answer for one in examples)
    same = 0
    while same < most and first[same] == last[same]:
        same += 1
    return max(same, 1)


def counts(encoded: Iterable[Encoded]) -> Mapping[str, int]:
    """Examples and tokens."""
    encoded = tuple(encoded)
    return {
        "examples": len(encoded),
        "tokens": sum(len(one.ids) for one in encoded),
        "answer_tokens": sum(one.answer for one in encoded),
    }
