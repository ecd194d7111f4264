"""What is learned: prompts exactly as they are served, with the answers that would have been right.

Turns to understand come from the grammar (finetune/dialogues), in its phrases to learn from; replies from
finetune/replies. Examples of the rank skill are left out: trained by itself, it put the right item first less often
than the ranker does, and more training had a worse loss (agent/skills.toml has the numbers). Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.llm.protocol import Prompt
from agent.understand.reading import reading_prompt, spoken
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.dialogues.noise import Dice, Noise
from finetune.dialogues.types import Split
from finetune.starter.catalogues import Catalogue, nothing_said
from retrieval.errors import BadRequest

Skill: TypeAlias = Literal["understand", "reply", "rank"]
TYPED = Noise(typo=0.04, lower=0.35, bare=0.35, chat=0.12, filler=0.25)
"""A little more careless than the grammar's own customers: what is learned from should be harder than what is met."""


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with its right answer; the loss is on the answer and the end of the turn.

    `group` tells whose prompts begin alike: they are read together (finetune/starter/batches.py).
    """

    skill: Skill
    prompt: Prompt
    answer: str
    group: str = ""


def understand_examples(
    catalogue: Catalogue, n: int, seed: int, split: Split = "train", nothing: float = 0.0
) -> Iterator[Example]:
    """`n` turns of generated dialogues on one catalogue, a share `nothing` of them with a message without wishes.

    Raises:
        BadRequest: fewer than ten items, or no attribute that customers could speak of.
    """
    manner = Manner(split, TYPED if split == "train" else Noise(), catalogue.noun, catalogue.plural)
    generator = DialogueGenerator(catalogue.items, catalogue.table.shape, manner, seed)
    messages = nothing_said(split == "held_out")
    for number, turn in enumerate(generator.turns(n)):
        dice = Dice((seed, 4, split == "held_out", number))
        text, context = turn.text, turn.context
        if dice.chance(nothing):
            text, answer = dice.pick(messages), "none"
        else:
            answer = spoken(turn.facts, context, turn.item_ids, turn.attribute, catalogue.table)
        prompt = reading_prompt(text, context, catalogue.table)
        yield Example("understand", prompt, answer, f"understand {catalogue.name}")


def over_catalogues(
    catalogues: Sequence[Catalogue], n: int, seed: int, split: Split = "train", nothing: float = 0.0
) -> Iterator[Example]:
    """About `n` turns, as many of each catalogue; one that nobody can speak of is passed over.

    Raises:
        BadRequest: nobody can speak of any of them.
    """
    each = -(-n // max(1, len(catalogues)))
    spoken_of = 0
    for number, catalogue in enumerate(catalogues):
        try:
            yield from understand_examples(catalogue, each, seed + number, split, nothing)
            spoken_of += 1
        except BadRequest:
            continue
    if not spoken_of and n:
        raise BadRequest("Nothing can be learned from these catalogues: they have too few items or no attributes.")


def reply_examples(catalogues: Sequence[Catalogue], n: int, seed: int, split: Split = "train") -> Iterator[Example]:
    """About `n` replies, over the catalogues whose items have texts: as many of each as it has items."""
    from finetune.replies.examples import reply_examples as of_table

    told = {one.name: one for one in catalogues if any(item.text for item in one.items)}
    items = sum(len(one.items) for one in told.values())
    for number, catalogue in enumerate(told.values() if n else ()):
        for one in of_table(catalogue.table, -(-n * len(catalogue.items) // items), seed + number, split):
            yield Example("reply", one.prompt, one.answer, f"reply {catalogue.name}")


def text_examples(catalogue: Catalogue) -> Iterator[Example]:
    """The items' documents as plain text without a prompt, to be pre-trained on."""
    for item in catalogue.items:
        if document := item.document():
            yield Example("reply", Prompt(()), document, "text")
