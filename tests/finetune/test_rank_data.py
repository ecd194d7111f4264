from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent.bench.retrieval.dialogues import Row, Said
from finetune.rank_data import Example, Moment, NegativeRules, build_examples, data_hash, split_groups
from retrieval.experience import Experience
from retrieval.items import Item
from retrieval.query import SeedItem

ITEMS = {f"i{n}": Item(f"i{n}", f"Title {n}") for n in range(40)}
RULES = NegativeRules(depth=12, top=3, rest=2, random=1)
LIST = tuple(f"i{n}" for n in range(20))


def moment(name: str = "m", accepted: Iterable[str] = ("i5",), spoken: Iterable[str] = ()) -> Moment:
    return Moment(name, ("I like westerns",), frozenset(spoken), tuple(accepted), f"group of {name}")


def only(*moments: Moment, rules: NegativeRules = RULES, seed: int = 0) -> Example:
    built = build_examples(moments, {one.id: LIST for one in moments}, ITEMS, rules, seed)
    return built.examples[-1]


def titles(example: Example) -> list[str]:
    """Of the candidates, as ids."""
    return ["i" + ending.split("Title ")[1].split("”")[0] for ending in example.endings]


def test_candidates_follow_the_rules() -> None:
    example = only(moment())
    found = titles(example)
    assert len(set(found)) == len(found) == 1 + 3 + 2 + 1
    assert [found[n] for n in example.targets] == ["i5"]
    assert {"i0", "i1", "i2"} <= set(found), "the best of the ranker"
    ranks = dict(zip(found, example.ranks, strict=True))
    assert all(ranks[one] == int(one[1:]) + 1 for one in found if int(one[1:]) < 12)
    beyond = [one for one in found if int(one[1:]) >= 12]
    assert len(beyond) == 1
    assert ranks[beyond[0]] == 13


def test_what_was_spoken_of_is_no_candidate_and_moves_the_places() -> None:
    example = only(moment(spoken=("i0", "i1")))
    ranks = dict(zip(titles(example), example.ranks, strict=True))
    assert not {"i0", "i1"} & set(ranks)
    assert ranks["i5"] == 4


def test_all_that_was_accepted_is_right() -> None:
    example = only(moment(accepted=("i2", "i7", "i30")))
    assert {titles(example)[n] for n in example.targets} == {"i2", "i7"}
    assert "i30" not in titles(example), "neither right nor wrong: the list misses it"


def test_the_draw_depends_on_seed_and_id_alone() -> None:
    alone, beside = only(moment("a")), only(moment("b"), moment("c"), moment("a"))
    assert alone == beside
    assert only(moment("a"), seed=1) != alone
    places = {only(moment(f"m{n}")).targets[0] for n in range(20)}
    assert len(places) > 4, "the right one stands anywhere"


def test_moments_that_teach_nothing_are_counted() -> None:
    moments = [moment("none", ()), moment("deep", ["i15"]), moment("unlisted"), moment("good")]
    lists = {"none": LIST, "deep": LIST, "good": ("gone", *LIST)}
    built = build_examples(moments, lists, ITEMS, RULES)
    assert [example.id for example in built.examples] == ["good"]
    assert set(built.left_out.values()) == {1}


def test_groups_are_never_split() -> None:
    examples = [replace(only(moment(f"m{n}")), group=f"g{n // 4}") for n in range(80)]
    parts = [split_groups(examples, fold, 4) for fold in range(4)]
    for learned, held_out in parts:
        assert not {one.group for one in learned} & {one.group for one in held_out}
        assert len(learned) + len(held_out) == 80
    assert sorted(one.id for _, held_out in parts for one in held_out) == sorted(one.id for one in examples)


def test_the_hash_sees_everything() -> None:
    example = only(moment())
    changed = [
        replace(example, ranks=tuple(reversed(example.ranks))),
        replace(example, targets=(0, 1)),
        replace(example, endings=tuple(reversed(example.endings))),
    ]
    assert len({data_hash([one]) for one in (example, *changed)}) == 4
    assert data_hash([example]) == data_hash([only(moment())])


@pytest.mark.parametrize("accepted", [("i3", "i4"), ("i4",)])
def test_moments_of_rows_and_of_experience_are_alike(accepted: tuple[str, ...]) -> None:
    row = Row("r", "d", (Said("user", "Hello"),), ("i4",), ("i3", *accepted[1:]), "", None)
    experience = Experience(("Hello",), (SeedItem("i4", 1.0),), ("i3", *accepted[1:]), "d")
    assert Moment.of_row(row) == Moment.of_experience("r", experience)
    assert Moment.of_row(row).accepted == ("i3",)
