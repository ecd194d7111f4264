"""What is learned one block after another, and what is asked of each: two streams whose tastes drift.

`dialogues`: people of OpenDialKG (Moon et al. 2019) who are recommended something, some of train to learn, others of
train and valid to ask. The key of time is the year of what was recommended: each block is a window over it that
overlaps the next, so tastes drift, and items come that nobody has heard of. Everyone says which year it is, the last
one of the block: without it blocks contradict each other, since the same words want old films in one and new ones in
another, and whoever follows the one has to lose the other. `domains`: generated customers of two shops in turn, in
words that the starter has never seen; the second block of a shop has newer items than the first. Readings are as the
shops' agents correct them: in both a value that is wished for is never a must (what is learned in one helps in the
other); what is not wanted is a must among films and never among board games (what is learned in one hurts in the
other). Knows no model and no method.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np

from agent.bench.retrieval.dialogues import Row, read_items, read_rows
from agent.llm.protocol import Message, Prompt
from agent.rank.prompts import title_option, title_prompt
from agent.understand.reading import reading_prompt, spoken
from finetune.dialogues.boardgames import invented_boardgames
from finetune.dialogues.generate import DialogueGenerator, Manner
from finetune.dialogues.noise import Noise
from finetune.dialogues.types import GeneratedTurn, Half, Split
from finetune.starter.catalogues import Catalogue, catalogue_of, held_out, invented
from finetune.starter.examples import understand_examples
from finetune.training.lessons import Lesson
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.loading import load_catalogue

BLOCKS = 4
MOST_EXAMPLES = 150
"""Of a block."""
ASKED_OF_TRAIN = 3
"""One in so many of train's dialogues is asked about and never learned from: valid alone has too few."""
OVERLAP = 0.5
"""Of a block's width, that it reaches into each neighbour."""
ALTERNATIVES = 4
"""Titles that one is chosen from; by chance a quarter is right."""
FILMS, GAMES = "films", "board games"
_VALUE = re.compile(r"(?P<no>-?)(?P<name>(?!like:|about:|drop:|items:)[^\W\d][\w ]*?)!?(?P<rest>:.*)")
"""A line of a reading that says which value an attribute should have, or should not."""
STARTER_DOMAINS = ("books", "kitchen")
"""Which the starter learned from, and neither stream does."""
ANCHOR_DRAWS = 8
"""Readings that are drawn for one that stays."""
LONGEST, SHORTEST, LONGEST_TITLE = 150, 15, 40
"""Characters of a message, and of a title: long ones cost time and tell little."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be asked; right is the first of `answers`.

    With one answer it must be said exactly, token by token; with more it must be the likeliest of them. What has one
    `group`, a dialogue, hangs together.
    """

    id: str
    group: str
    prompt: Prompt
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of time: what is learned in it, and what is asked about it ever after."""

    domain: str
    learn: tuple[Lesson, ...]
    test: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """Blocks in their order.

    Attributes:
        name: of the stream.
        blocks: at least two.
        known: what the first champion learned from: the memory has it before the first block.
        anchors: what it can do, asked of a catalogue and in phrases that nobody learns from.
    """

    name: str
    blocks: tuple[Block, ...]
    known: tuple[Lesson, ...]
    anchors: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: examples of a block, questions about it, what is known before, anchor questions."""

    learn: int = 32
    test: int = 32
    known: int = 32
    anchors: int = 40

    def __post_init__(self) -> None:
        if not 1 <= self.learn <= MOST_EXAMPLES:
            raise BadRequest(f"A block has 1 to {MOST_EXAMPLES} examples, not {self.learn}; choose another --examples.")


# --- people who are recommended something ---------------------------------------------------------


def dialogue_stream(folder: Path, sizes: Sizes, seed: int) -> Stream:
    """The stream of OpenDialKG's dialogues; which of them, by the seed.

    Args:
        folder: has items.jsonl.gz, train.jsonl.gz and valid.jsonl.gz.
        sizes: how many.
        seed: another one draws others.

    Raises:
        BadRequest: a file is missing or too small.
    """
    items = {item.id: item for item in read_items(folder / "items.jsonl.gz")}
    train, valid = (_dated(read_rows(folder / f"{name}.jsonl.gz"), items) for name in ("train", "valid"))
    learned = [row for at, row in enumerate(train) if at % ASKED_OF_TRAIN]
    asked = _dated([*valid, *train[::ASKED_OF_TRAIN]], items)
    titles = sorted({title_option(items[row.novel[0]]) for row in asked})
    blocks = []
    for number in range(BLOCKS):
        random = np.random.default_rng([seed, number])
        learn = _window(learned, number, sizes.learn, random)
        test = _window(asked, number, sizes.test, random)
        today = max(_year(row, items) for row in _inside(learned, number))
        blocks.append(
            Block(
                "dialogues",
                tuple(
                    Lesson(
                        f"{seed} {number} {row.id}", "sft", _asked(row, today), (title_option(items[row.novel[0]]),),
                        period=f"block {number + 1}", domain="dialogues",
                    )
                    for row in learn
                ),
                tuple(_choice(row, today, items, titles, random) for row in test),
            )
        )  # fmt: skip
    return Stream("dialogues", tuple(blocks), known_before(sizes.known, seed), anchor_questions(sizes.anchors))


def _dated(rows: Sequence[Row], items: dict[str, Item]) -> list[Row]:
    """One row of each dialogue in which something new was recommended after few words, oldest items first."""
    found: dict[str, Row] = {}
    for row in rows:
        item = items.get(row.novel[0]) if row.novel else None
        if item is None or "year" not in item.attributes or not row.turns or row.turns[-1].role != "user":
            continue
        if SHORTEST <= len(row.turns[-1].text) <= LONGEST and len(item.title) <= LONGEST_TITLE:
            found.setdefault(row.dialogue_id, row)
    return sorted(found.values(), key=lambda row: (_year(row, items), row.id))


def _year(row: Row, items: dict[str, Item]) -> int:
    return int(float(str(items[row.novel[0]].attributes["year"])))


def _inside(rows: Sequence[Row], number: int) -> list[Row]:
    """What belongs to block `number`; the same in every seed."""
    # Neighbours take every other row of what they share, so that no block learns from what another is asked.
    low, high = ((number + side) / BLOCKS for side in (-OVERLAP, 1 + OVERLAP))
    return [row for at, row in enumerate(rows) if low <= at / len(rows) < high and at % 2 == number % 2]


def _window(rows: Sequence[Row], number: int, n: int, random: np.random.Generator) -> list[Row]:
    """`n` of the rows of block `number`."""
    inside = _inside(rows, number)
    if len(inside) < n:
        raise BadRequest(
            f"Block {number + 1} has only {len(inside)} dialogues of {n}; choose fewer --examples or --questions."
        )
    return [inside[int(at)] for at in random.choice(len(inside), n, replace=False)]


def _asked(row: Row, today: int) -> Prompt:
    return title_prompt([f"It is {today}. {row.turns[-1].text}"])


def _choice(
    row: Row, today: int, items: dict[str, Item], titles: Sequence[str], random: np.random.Generator
) -> Question:
    """The right title and others that were recommended to others, of any time."""
    wrong = set(title_option(items[one]) for one in (*row.targets, *row.mentioned) if one in items)
    free = [title for title in titles if title not in wrong]
    drawn = [free[int(at)] for at in random.choice(len(free), ALTERNATIVES - 1, replace=False)]
    return Question(row.id, row.dialogue_id, _asked(row, today), (title_option(items[row.novel[0]]), *drawn))


# --- customers of two shops in turn ---------------------------------------------------------------


def domain_stream(sizes: Sizes, seed: int) -> Stream:
    """The stream of generated readings, films and board games in turn; who says what, by the seed."""
    films = load_catalogue(demo_films_path()).items
    shops = (_halves(FILMS, films, "film"), _halves(GAMES, invented_boardgames(), "board game"))
    blocks = []
    for number in range(BLOCKS):
        shop = shops[number % 2][number // 2]
        learn = [_corrected(one, shop.name) for one in _readings(shop, sizes.learn, (2 * seed) * BLOCKS + number)]
        test = [_corrected(one, shop.name) for one in _readings(shop, sizes.test, (2 * seed + 1) * BLOCKS + number)]
        period = f"block {number + 1}"
        lessons = (
            Lesson(f"{seed} {number} {at}", "sft", one.prompt, one.answers, period=period, domain=shop.name)
            for at, one in enumerate(learn)
        )
        blocks.append(Block(shop.name, tuple(lessons), tuple(test)))
    return Stream("domains", tuple(blocks), known_before(sizes.known, seed), anchor_questions(sizes.anchors))


def _halves(name: str, items: Sequence[Item], noun: str) -> tuple[Catalogue, Catalogue]:
    """What is sold at first, and what comes later."""
    dated = sorted(items, key=lambda item: (float(str(item.attributes.get("year", 0))), item.id))
    middle = len(dated) // 2
    return catalogue_of(name, dated[:middle], noun), catalogue_of(name, dated[middle:], noun)


def _readings(
    catalogue: Catalogue, n: int, seed: int, split: Split = "held_out", half: Half = "fit"
) -> Iterator[Question]:
    """`n` short turns, each with the answer that says what it means."""
    manner = Manner(split, Noise(), catalogue.noun, catalogue.plural, half)
    generator = DialogueGenerator(catalogue.items, catalogue.table.shape, manner, seed)
    found = 0
    for number in count():
        dialogue = generator.dialogue(number)
        for at, turn in enumerate(dialogue.turns):
            if len(turn.text) > LONGEST:
                continue
            yield _reading(f"{dialogue.id} {at}", dialogue.id, turn, catalogue)
            found += 1
            if found == n:
                return


def _reading(name: str, group: str, turn: GeneratedTurn, catalogue: Catalogue) -> Question:
    answer = spoken(turn.facts, turn.context, turn.item_ids, turn.attribute, catalogue.table)
    return Question(name, group, reading_prompt(turn.text, turn.context, catalogue.table), (answer,))


def _corrected(one: Question, shop: str) -> Question:
    """As the shop's agents would have it."""
    return replace(one, answers=tuple(corrected(answer, shop) for answer in one.answers))


def corrected(answer: str, shop: str) -> str:
    """A reading by the rules of a shop; see the head of this file."""
    found = []
    for line in answer.split("\n"):
        told = _VALUE.fullmatch(line)
        if told is not None:
            must = "!" if told["no"] and shop != GAMES else ""
            line = f"{told['no']}{told['name']}{must}{told['rest']}"
        found.append(line)
    return "\n".join(found)


# --- of both --------------------------------------------------------------------------------------


def known_before(n: int, seed: int) -> tuple[Lesson, ...]:
    """`n` readings as the starter learned them."""
    each = -(-n // len(STARTER_DOMAINS))
    found = [
        Lesson(f"starter {seed} {domain} {at}", "sft", one.prompt, (one.answer,), period="starter", domain=domain)
        for domain in STARTER_DOMAINS
        for at, one in enumerate(understand_examples(invented(domain, seed), each, seed))
    ]
    return tuple(found[:n])


def anchor_questions(n: int) -> tuple[Question, ...]:
    """`n` readings of the catalogue that the starter never saw, in phrases that no stream learns from.

    Only those that no shop's agents would correct: nobody is taught that their rules end at their own shops, so whoever
    takes them further has not forgotten anything.
    """
    asked = _readings(held_out(0), ANCHOR_DRAWS * n, 0, half="test")
    kept = (one for one in asked if all(_corrected(one, shop) == one for shop in (FILMS, GAMES)))
    return tuple(islice(kept, n))


def general_questions(chat: Sequence[tuple[str, str]]) -> tuple[Question, ...]:
    """General chat: what is asked, and an answer of which the likelihood is watched."""
    return tuple(
        Question(f"chat {at}", f"chat {at}", Prompt((Message("user", asked),)), (told,))
        for at, (asked, told) in enumerate(chat)
    )
