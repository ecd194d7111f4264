"""Losses, penalties, rows, recipe and what is told: each against numbers that are computed otherwise."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from training_doubles import GENRES, lesson, mixed, quick

from agent.llm.protocol import Prompt
from agent.llm.tokens import PromptRenderer
from finetune.training.lessons import Lesson, as_json, from_json, lessons_hash
from finetune.training.losses import dpo_loss, kto_loss
from finetune.training.penalties import Factors, fisher_distance, joined, overlap, squared_distance, squared_norm
from finetune.training.recipe import read_recipe
from finetune.training.rows import LessonRow, encode, packed, plan, rehearsed_count
from finetune.training.telling import Look, Picture, Progress, tensorboard
from retrieval.errors import BadRequest, ModelUnavailable


def lora(seed: int, rank: int = 3, scale: float = 2.0) -> dict[str, Factors]:
    random = torch.Generator().manual_seed(seed)
    return {
        name: Factors(torch.randn(rank, 7, generator=random), torch.randn(5, rank, generator=random), scale)
        for name in ("one", "two")
    }


def products(of: dict[str, Factors]) -> list[torch.Tensor]:
    return [one.scale * one.b @ one.a for one in of.values()]


def test_distances_are_those_of_the_products() -> None:
    mine, other = lora(1), lora(2, rank=2, scale=0.5)
    far = sum(float((a - b).square().sum()) for a, b in zip(products(mine), products(other), strict=True))
    assert float(squared_distance(mine, other)) == pytest.approx(far, rel=1e-5)
    assert float(squared_norm(mine)) == pytest.approx(sum(float(p.square().sum()) for p in products(mine)), rel=1e-5)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)))[0] * 2
    same = {name: Factors(torch.linalg.inv(turn) @ one.a, one.b @ turn, one.scale) for name, one in mine.items()}
    assert float(squared_distance(mine, same)) == pytest.approx(0, abs=1e-2), "other factors of the same product"


def test_orthogonal_inputs_do_not_overlap() -> None:
    mine = {"one": Factors(torch.eye(4)[:2], torch.ones(3, 2), 1.0)}
    assert float(overlap(mine, {"one": Factors(torch.eye(4)[2:], torch.ones(3, 2), 1.0)})) == 0
    assert float(overlap(mine, mine)) == 2


def test_what_the_memory_minds_moves_less() -> None:
    told = ({"w": torch.tensor([2.0, 3.0])}, {"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([4.0, 0.5])})
    assert float(fisher_distance(*told)) == 0.5 * (4 * 1 + 0.5 * 4)


def test_two_loras_are_joined_into_the_nearest_one() -> None:
    mine, other = lora(1, rank=2), lora(2, rank=2, scale=0.5)
    whole = [a + b for a, b in zip(products(mine), products(other), strict=True)]
    for rank in (2, 4, 6):
        found, lost = joined(mine, other, rank, 2.0)
        values = torch.stack([torch.linalg.svdvals(one) for one in whole]).square()
        assert lost == pytest.approx(float(1 - values[:, :rank].sum() / values.sum()), abs=1e-5)
        for product, one, sum_ in zip(products(found), found.values(), whole, strict=True):
            assert (one.a.shape, one.b.shape) == ((rank, 7), (5, rank))
            if rank >= 4:
                assert torch.allclose(product, sum_, atol=1e-4)


def test_losses_are_those_of_the_papers() -> None:
    gain, loss = torch.tensor(-3.0), torch.tensor(-9.0)
    assert float(dpo_loss(gain, loss, (-3.0, -9.0), 0.1)) == pytest.approx(math.log(2))
    assert float(dpo_loss(gain, loss, (-4.0, -7.0), 0.1)) == pytest.approx(math.log(1 + math.exp(-0.1 * (1 + 2))))
    assert float(kto_loss(gain, -3.0, 0.0, 0.1, good=True)) == 0.5
    assert float(kto_loss(gain, -5.0, 1.0, 0.1, good=True)) == pytest.approx(1 - 1 / (1 + math.exp(-0.1)))
    assert float(kto_loss(gain, -5.0, 1.0, 0.1, good=False)) == pytest.approx(1 - 1 / (1 + math.exp(0.1)))


@pytest.fixture(scope="module")
def renderer(tiny_base: Path) -> PromptRenderer:
    return PromptRenderer.from_folder(tiny_base)


def test_rows_hold_every_lesson_once_and_share_what_is_shared(renderer: PromptRenderer) -> None:
    tokens = encode(mixed(9), renderer, 500)
    rows = packed(tokens, 150, (1,))
    assert sorted(one.lesson.id for row in rows for one in row.lessons) == sorted(one.lesson.id for one in tokens)
    assert all(len({one.lesson.kind for one in row.lessons}) == 1 for row in rows)
    assert all(row.row.tokens <= 150 for row in rows)
    assert packed(tokens, 150, (1,)) == rows != packed(tokens, 150, (2,))
    together = [row for row in rows if row.lessons[0].lesson.kind == "sft"]
    assert sum(row.row.tokens for row in together) < sum(one.size for row in together for one in row.lessons)


def test_a_pair_reads_its_prompt_once(renderer: PromptRenderer) -> None:
    (pair,) = encode([lesson(1, "dpo")], renderer, 500)
    prompt = len(renderer.encode(pair.lesson.prompt))
    row = LessonRow((pair,)).row
    assert row.packed.prompt == prompt
    assert row.tokens == prompt + sum(one.answer for one in pair.endings)


def test_answers_end_their_turn_and_verdicts_do_not(renderer: PromptRenderer) -> None:
    end = renderer.tokenizer.eos_token_id
    asked = Lesson("v", "kto", Prompt(lesson(0).prompt.messages, "Item: x\nFits:"), (" yes",), ())
    said, verdict = encode([lesson(0), asked], renderer, 500)
    assert said.endings[0].ids[-1] == end
    assert verdict.endings[0].ids[-1] == renderer.encode_answers([" yes"])[0]
    assert verdict.endings[0].answer == 1


def test_what_is_usual_is_asked_of_other_peoples_answers(renderer: PromptRenderer) -> None:
    tokens = encode([replace(lesson(n, "kto"), answers=(f"genre {GENRES[n]}",)) for n in range(4)], renderer, 500)
    for one in tokens:
        assert one.other is not None
        own = one.endings[0]
        prompt = own.ids[: len(own.ids) - own.answer]
        assert one.other.ids[: len(prompt)] == prompt
        assert one.other.ids != own.ids
    assert encode([lesson(0, "kto")], renderer, 500)[0].other is None


def test_what_is_too_long_is_left_out(renderer: PromptRenderer) -> None:
    long = replace(lesson(0), answers=("genre " * 400,))
    assert [one.lesson.id for one in encode([long, lesson(1)], renderer, 100)] == [lesson(1).id]


def test_the_share_of_a_plan_is_rehearsed(renderer: PromptRenderer) -> None:
    new, old = (encode([lesson(n, "sft", period) for n in range(16)], renderer, 500) for period in ("new", "old"))
    count = rehearsed_count(len(new), 0.2)
    made = plan(new, lambda epoch: old[4 * epoch : 4 * epoch + count], quick(rows=2, row_tokens=80).train, 2, 1)
    seen = [one.lesson.period for step in made.steps for row in step for one in row.lessons]
    assert (seen.count("new"), seen.count("old")) == (32, 8)
    assert len(made.rehearsed) == 8
    assert made.step_weight == pytest.approx(60 / len(made.steps))


def test_lines_are_read_as_they_were_written() -> None:
    for one in mixed(2):
        assert from_json(as_json(one), "here") == one
    assert lessons_hash(mixed(2)) == lessons_hash(reversed(mixed(2))) != lessons_hash(mixed(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"answers": ()},
        {"good": ()},
        {"weight": 0.0},
        {"kind": "dpo"},
        {"kind": "rank", "answers": ("a", "b"), "good": (0, 1)},
    ],
)
def test_what_teaches_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="leave it out"):
        replace(lesson(0), **wrong)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="^line 3"):
        from_json({"id": "x"}, "line 3")


def test_the_recipe_is_read_and_checked(tmp_path: Path) -> None:
    recipe = read_recipe()
    assert recipe.method == "replay+proximal"
    assert 0.1 <= recipe.replay.share <= 0.25
    file = tmp_path / "recipe.toml"
    file.write_text("method = 'guess'\n")
    with pytest.raises(BadRequest, match="method"):
        read_recipe(file)
    with pytest.raises(BadRequest, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_the_picture_is_drawn_again_at_each_look(tmp_path: Path) -> None:
    picture = Picture(tmp_path / "loss.svg")
    looks = [None, Look(1, {"held out": 2.0, "chat <b>": 1.0}, None, False), Look(2, {"chat <b>": 1.5}, None, False)]
    for step, look in enumerate(looks, 1):
        picture.told(Progress(step, 4, 3.0 / step, 0.0, 100.0, look))
        assert (tmp_path / "loss.svg").exists() == (step > 1)
    drawn = ElementTree.fromstring((tmp_path / "loss.svg").read_text())  # noqa: S314 -- our own
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert [len(one.attrib["points"].split()) for one in lines] == [3, 1, 2]


class Board:
    """A double of TensorBoard's writer."""

    def __init__(self, folder: str) -> None:
        self.folder, self.scalars, self.is_closed = folder, list[tuple[str, float, int]](), False
        BOARDS.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.is_closed = True


BOARDS: list[Board] = []


def test_scalars_go_to_tensorboard_and_a_look_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Board))
    look = Look(1, {"chat": 1.5}, None, False)
    with tensorboard(tmp_path) as told:
        told(Progress(1, 2, 3.0, 0.5, 100.0, look))
        told(Progress(2, 2, 2.0, 0.25, 90.0, look))
    board = BOARDS.pop()
    assert (board.folder, board.is_closed) == (str(tmp_path), True)
    steps = {"loss/step": (3.0, 2.0), "loss/penalty": (0.5, 0.25), "speed/tokens_per_s": (100.0, 90.0)}
    told_each = [(name, value, step) for name, values in steps.items() for step, value in enumerate(values, 1)]
    assert sorted(board.scalars) == sorted([*told_each, ("loss/chat", 1.5, 1)])


def test_without_tensorboard_it_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModelUnavailable, match="pip install tensorboard"), tensorboard(tmp_path):
        pass
