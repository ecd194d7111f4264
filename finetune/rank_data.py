"""Examples for the rank skill: a moment at which something was accepted, with the list that a ranker made for it.

The lists come from outside and must be cross-fitted: a ranker that has learned from a moment puts what was accepted
there first, and a model that is tuned on such lists learns nothing. Knows nothing of tokens and training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from agent.bench.retrieval.dialogues import Row
from agent.llm.protocol import Prompt
from agent.rank.prompts import judging_ending, judging_prompt
from retrieval.experience import Experience
from retrieval.items import Item


@dataclass(frozen=True, slots=True)
class Moment:
    """What was said, and what was accepted then.

    `id` names the moment in the lists. `spoken` are items spoken of before: they are neither right nor wrong answers.
    `group` names what hangs together (a dialogue, a customer) and is never split.
    """

    id: str
    turns: tuple[str, ...]
    spoken: frozenset[str]
    accepted: tuple[str, ...]
    group: str

    @classmethod
    def of_row(cls, row: Row) -> Moment:
        """Of a benchmark's row."""
        said = tuple(turn.text for turn in row.turns)
        return cls(row.id, said, frozenset(row.mentioned), row.novel, row.dialogue_id)

    @classmethod
    def of_experience(cls, name: str, experience: Experience) -> Moment:
        """Of what a log or a history tells; `name` is the moment's id in the lists."""
        spoken = frozenset(seed.item_id for seed in experience.spoken)
        accepted = tuple(item for item in experience.accepted if item not in spoken)
        return cls(name, experience.turns, spoken, accepted, experience.group)


@dataclass(frozen=True, slots=True)
class NegativeRules:
    """Which items stand beside what was accepted.

    Attributes:
        depth: only the first so many of a list count; a moment whose accepted items are not among them is left out,
            because the skill will never be asked about them.
        top: so many of the best ranked that were not accepted: the mistakes that the ranker makes.
        rest: so many drawn from the others of the first `depth`: the model must also see what is easy.
        random: so many drawn from the whole catalogue.
    """

    depth: int = 50
    top: int = 9
    rest: int = 5
    random: int = 1


@dataclass(frozen=True, slots=True)
class Example:
    """One moment as it is trained on.

    `endings` are the candidates in a drawn order, `ranks` their places in the ranker's list from 1 (`depth` + 1 for one
    that is not in it), `targets` the indices of those that were accepted, at least one.
    """

    id: str
    group: str
    prompt: Prompt
    endings: tuple[str, ...]
    ranks: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """The examples, and how many moments gave none: by why not."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, int]


def build_examples(
    moments: Iterable[Moment],
    lists: Mapping[str, Sequence[str]],
    items: Mapping[str, Item],
    rules: NegativeRules,
    seed: int = 0,
) -> Built:
    """The examples in the order of the moments; what is drawn for one depends on `seed` and its id alone.

    Args:
        moments: what was accepted when; ids are unique.
        lists: item ids, best first, by moment: from a ranker that has not learned from that moment's group.
        items: the catalogue by id; ids that it lacks are passed over.
        rules: which negatives.
        seed: of the drawing.
    """
    examples: list[Example] = []
    left_out = {"nothing new was accepted": 0, "there is no list": 0, "the list misses it": 0}
    catalogue = list(items)
    for moment in moments:
        ranked = [one for one in lists.get(moment.id, ()) if one in items and one not in moment.spoken][: rules.depth]
        if not moment.accepted:
            left_out["nothing new was accepted"] += 1
        elif not ranked:
            left_out["there is no list"] += 1
        elif not set(moment.accepted) & set(ranked):
            left_out["the list misses it"] += 1
        else:
            examples.append(_example(moment, ranked, items, catalogue, rules, seed))
    return Built(tuple(examples), left_out)


def _example(
    moment: Moment,
    ranked: Sequence[str],
    items: Mapping[str, Item],
    catalogue: Sequence[str],
    rules: NegativeRules,
    seed: int,
) -> Example:
    random = np.random.default_rng([seed, _number(moment.id)])
    accepted = set(moment.accepted)
    wrong = [one for one in ranked if one not in accepted]
    rest = wrong[rules.top :]
    drawn = [rest[n] for n in random.permutation(len(rest))[: rules.rest]]
    taken = accepted | moment.spoken | set(ranked)
    tried = (catalogue[n] for n in random.integers(len(catalogue), size=4 * rules.random))
    easy = [one for one in dict.fromkeys(tried) if one not in taken][: rules.random]
    chosen = [*(one for one in ranked if one in accepted), *wrong[: rules.top], *drawn, *easy]
    chosen = [chosen[n] for n in random.permutation(len(chosen))]
    place = {one: rank for rank, one in enumerate(ranked, 1)}
    return Example(
        moment.id,
        moment.group,
        judging_prompt(moment.turns),
        tuple(judging_ending(items[one]) for one in chosen),
        tuple(place.get(one, rules.depth + 1) for one in chosen),
        tuple(n for n, one in enumerate(chosen) if one in accepted),
    )


def split_groups(examples: Sequence[Example], fold: int, folds: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(to learn from, held out): `fold` of `folds` parts is held out; a group stands on one side, always the same."""
    held = [_number(example.group) % folds == fold for example in examples]
    return (
        tuple(example for example, out in zip(examples, held, strict=True) if not out),
        tuple(example for example, out in zip(examples, held, strict=True) if out),
    )


def data_hash(examples: Sequence[Example]) -> str:
    """SHA-256 (hex) of all that is trained on."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(asdict(example), ensure_ascii=False, sort_keys=True).encode())
    return digest.hexdigest()


def _number(name: str) -> int:
    """A number of a name that is the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
