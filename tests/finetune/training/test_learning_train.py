from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_doubles import job, lesson, mixed, quick, trained

from agent.llm.adapter_check import WEIGHTS_FILE, base_shapes, check_adapter
from finetune.memory import ReplayMemory
from finetune.starter.batches import Row
from finetune.train import LINEAGE, PICTURE, RECORD, Job, train
from finetune.training.network import CycleModel
from finetune.training.objective import Objective
from finetune.training.recipe import METHODS
from finetune.training.rows import Plan, Tokens, plan
from finetune.training.telling import Progress
from retrieval.errors import BadRequest


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / WEIGHTS_FILE)


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def champion(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says one genre to everybody."""
    folder = tmp_path_factory.mktemp("champion")
    rows = [replace(lesson(number), answers=("genre drama",)) for number in range(16)]
    recipe = quick(method="naive", epochs=8, rate=3e-2, every=99)
    return trained(job(tiny_base, folder, rows, recipe=recipe)).folder


@pytest.fixture(scope="module")
def memory() -> ReplayMemory:
    memory = ReplayMemory(16, 1)
    memory.offer(mixed(8, "2026-10"))
    return memory


def test_it_learns_all_kinds_and_the_engines_take_it(tiny_base: Path, champion: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    held_out = [lesson(number, kind, "held") for number in range(4) for kind in ("sft", "dpo", "rank")]
    done = train(
        job(tiny_base, tmp_path, mixed(12), champion=champion, held_out=held_out, recipe=quick(epochs=6, rate=3e-2)),
        told.append,
    )
    assert done is not None
    assert done.after["held out"] < 0.9 * done.before["held out"]
    assert done.kl["held out"] > 0.01
    assert told[-1].look is not None
    assert told[-1].look.step == done.steps
    assert [one.step for one in told] == list(range(1, done.steps + 1))
    assert done.users == 5
    assert check_adapter("next", done.folder, base_shapes(tiny_base)).rank == 4
    assert {tensor.dtype for tensor in weights(done.folder).values()} == {torch.bfloat16}
    assert not same(done.folder, champion)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"]
    assert not list((tmp_path / "runs").iterdir()), "checkpoints are gone when it is finished"
    record = json.loads((done.folder / RECORD).read_text())
    assert record["method"] == "replay+proximal"
    assert any(record["steps"]["penalties"])
    assert record["data"]["rows"] == dict.fromkeys(("sft", "kto", "dpo", "rank"), 12)
    assert len(record["steps"]["losses"]) == done.steps
    assert str(tmp_path) not in (done.folder / RECORD).read_text()
    assert len((done.folder / LINEAGE).read_text().splitlines()) == 48
    assert (done.folder / PICTURE).read_text().startswith("<svg")


def test_the_loss_is_known(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of torch 2.13, transformers 5.19, peft 0.21 and trl 1.16; another number is another training."""
    monkeypatch.setattr("finetune.training.network.best_dtype", lambda: torch.float32)
    told: list[Progress] = []
    train(job(tiny_base, tmp_path, mixed(3), recipe=quick(rows=3)), told.append)
    assert [one.loss for one in told] == pytest.approx([4.3335, 1.0657, 1.3462], abs=1e-3)


@pytest.mark.parametrize("method", ["naive", "olora", "ewc", "fresh", "refit"])
def test_every_other_method_makes_an_adapter(
    method: str, tiny_base: Path, champion: Path, memory: ReplayMemory, tmp_path: Path
) -> None:
    recipe = quick(method=method, row_tokens=60, every=99)
    rows = [lesson(number) for number in range(8)]
    done = trained(job(tiny_base, tmp_path, rows, champion=champion, starter=champion, memory=memory, recipe=recipe))
    record = json.loads((done.folder / RECORD).read_text())
    rehearsed = {"none": 0, "all": 16}[METHODS[done.method].rehearsal]
    assert record["data"]["rehearsed"] == rehearsed
    assert any(record["steps"]["penalties"]) == (METHODS[done.method].penalty != "none")
    assert (record["reference"] is None) == (method == "fresh"), "what does not continue knows nothing of the champion"


@pytest.mark.parametrize(("method", "weight"), [("replay", 3.0), ("replay+proximal", 3.0), ("refit", 1.0)])
def test_a_sample_of_the_past_weighs_more_than_its_rows(
    method: str, weight: float, tiny_base: Path, champion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[tuple[str, float]]()

    def spied(new: Sequence[Tokens], rehearse: Callable[[int], Sequence[Tokens]], *rest: object) -> Plan:
        seen.extend((one.lesson.period, one.lesson.weight) for one in (*new, *rehearse(0)))
        return plan(new, rehearse, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("finetune.training.rows.plan", spied)
    memory = ReplayMemory(16, 1)
    memory.offer(replace(lesson(number, period="2026-10"), weight=1.0) for number in range(16))
    rows = [replace(lesson(number), weight=1.0) for number in range(12)]
    trained(job(tiny_base, tmp_path, rows, champion=champion, memory=memory, recipe=quick(method=method)))
    assert {told for told in seen if told[0] != "2026-10"} == {("2026-11", 1.0)}
    assert {told for told in seen if told[0] == "2026-10"} == {("2026-10", weight)}
    if method != "refit":
        assert sum(told[1] for told in seen) == pytest.approx(2 * len(rows)), "the past weighs as much as what is new"


def test_a_refit_begins_at_the_starter_and_knows_nothing_of_the_champion(
    tiny_base: Path, champion: Path, memory: ReplayMemory, tmp_path: Path
) -> None:
    starter = trained(job(tiny_base, tmp_path / "starter", mixed(2), recipe=quick(method="naive", epochs=2))).folder
    made, moved = [], []
    for number, (taught, penalty) in enumerate(((champion, 1.0), (starter, 1.0), (champion, 30.0))):
        recipe = quick(method="refit", proximal=penalty)
        refit = job(
            tiny_base, tmp_path / str(number), mixed(6), champion=taught, starter=starter, memory=memory, recipe=recipe
        )
        made.append(trained(refit).folder)
        record = json.loads((made[-1] / RECORD).read_text())
        assert record["reference"] == hashlib.sha256((starter / WEIGHTS_FILE).read_bytes()).hexdigest()
        moved.append(record["steps"]["looks"][-1]["moved"])
    assert same(made[0], made[1]), "whoever only the champion learned from is not in it"
    assert not same(made[0], starter)
    assert 0 < moved[2] < 0.2 * moved[0], "it is kept near to the starter"


def test_the_penalty_keeps_it_near_to_the_champion(tiny_base: Path, champion: Path, tmp_path: Path) -> None:
    moved = []
    for weight in (0.0, 30.0):
        recipe = quick(method="proximal", proximal=weight, epochs=2)
        done = trained(job(tiny_base, tmp_path / str(weight), mixed(3), champion=champion, recipe=recipe))
        moved.append(json.loads((done.folder / RECORD).read_text())["steps"]["looks"][-1]["moved"])
    assert 0 < moved[1] < 0.2 * moved[0]


class Killed(BaseException):
    """Nothing may be tidied up after it."""


def test_a_job_that_was_stopped_and_killed_ends_with_the_same_weights(
    tiny_base: Path, champion: Path, memory: ReplayMemory, tmp_path: Path
) -> None:
    anchors = {"chat": [lesson(number, "sft", "chat") for number in range(2)]}

    def made(name: str) -> Job:
        return job(tiny_base, tmp_path / name, mixed(6), champion=champion, memory=memory, anchors=anchors)

    whole = trained(made("whole"))
    parts = made("parts")
    asked: list[Progress] = []
    assert train(parts, asked.append, lambda: len(asked) == 3) is None

    def kill(now: Progress) -> None:
        if now.step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(parts, kill)
    assert not parts.out.exists()
    (work,) = parts.runs.iterdir()
    (work / "checkpoint-6").mkdir()  # as if it had been killed while it wrote
    told: list[Progress] = []
    done = train(parts, told.append)
    assert done is not None
    assert told[0].step == 5
    assert done.steps == whole.steps > 6
    assert same(whole.folder, done.folder)
    records = [json.loads((one.folder / RECORD).read_text())["steps"] for one in (whole, done)]
    assert records[0] == records[1]


def test_a_job_can_be_stopped_before_its_first_step(
    tiny_base: Path, champion: Path, memory: ReplayMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion is asked about every row then, which takes minutes; what it said stays said."""
    asked: list[str] = []
    answers = Objective._answers

    def counted(self: Objective, row: Row) -> tuple[torch.Tensor, ...]:
        asked.append("row")
        return answers(self, row)

    def made(name: str) -> Job:
        return job(tiny_base, tmp_path / name, mixed(4), champion=champion, memory=memory, recipe=quick(row_tokens=60))

    monkeypatch.setattr(Objective, "_answers", counted)
    whole = trained(made("whole"))
    in_one_go = len(asked)
    asked.clear()
    for sitting in (1, 2):
        most = 3 * sitting
        assert train(made("parts"), stopped=lambda most=most: len(asked) >= most) is None  # type: ignore[misc]
        assert most <= len(asked) <= most + 1, "a row and the one with answers to other prompts"
    done = trained(made("parts"))
    assert len(asked) == in_one_go, "nothing was asked twice"
    assert same(whole.folder, done.folder)


def test_it_stops_when_an_anchor_is_forgotten(
    tiny_base: Path, champion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the champion was taught is the anchor, and the rows say something else."""
    anchors = {"drama": [replace(lesson(n, "sft", "old"), answers=("genre drama",)) for n in range(8)]}
    rows = [lesson(number) for number in range(32)]
    recipe = quick(method="naive", epochs=4, every=1, patience=2, tolerance=0.3, row_tokens=80)
    made = job(tiny_base, tmp_path, rows, champion=champion, anchors=anchors, recipe=recipe)
    with monkeypatch.context() as broken:
        broken.setattr(CycleModel, "save", full_disk)
        with pytest.raises(BadRequest, match="No space left"):
            train(made)
    told: list[Progress] = []
    done = train(made, told.append)
    assert done is not None
    assert not told, "it had ended already"
    record = json.loads((done.folder / RECORD).read_text())
    assert record["steps"]["ended"] == "an anchor set forgot too much"
    assert done.steps < record["steps"]["planned"]
    assert done.after["drama"] <= done.before["drama"] + 0.3
    assert not done.forgot


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_adapter_is_never_overwritten(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadRequest, match="never overwritten"):
        train(job(tiny_base, tmp_path, mixed(1)))


def test_rows_that_are_watched_are_not_learned_from(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="nothing to learn from"):
        train(job(tiny_base, tmp_path, mixed(1), held_out=mixed(1)))


def test_thumbs_of_one_direction_are_left_out(tiny_base: Path, tmp_path: Path) -> None:
    rows = [*(lesson(number, "kto") for number in range(0, 8, 2)), lesson(1)]
    done = trained(job(tiny_base, tmp_path, rows))
    record = json.loads((done.folder / RECORD).read_text())
    assert record["data"]["rows"] == {"sft": 1}
    assert record["data"]["left_out"]["thumbs of one direction"] == 4


def test_a_refit_is_due_every_so_often() -> None:
    recipe = quick(refit_every=3)
    assert [recipe.method_of(cycle) for cycle in (1, 2, 3, 6)] == ["replay+proximal"] * 2 + ["refit"] * 2
    assert quick(refit_every=0).method_of(3) == "replay+proximal"


def test_threads_are_limited_while_it_runs(tiny_base: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    made = job(tiny_base, tmp_path, mixed(2), threads=1)
    torch.set_num_threads(2)
    try:
        assert train(made, lambda now: seen.append(torch.get_num_threads()), lambda: bool(seen)) is None
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_learns_on_a_gpu(tiny_base: Path, tmp_path: Path) -> None:
    held_out = [lesson(number, "sft", "held") for number in range(4)]
    done = trained(job(tiny_base, tmp_path, mixed(6), held_out=held_out, recipe=quick(epochs=4), device="cuda"))
    assert done.after["held out"] < done.before["held out"]
