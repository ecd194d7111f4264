from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_doubles import job, lesson, mixed, quick, trained

from agent.llm.adapter_check import WEIGHTS_FILE
from finetune.memory import ReplayMemory
from finetune.rank_model import LoraShape
from finetune.train import PICTURE, RECORD, train
from finetune.training import private
from finetune.training.lessons import Lesson
from finetune.training.network import CycleModel
from finetune.training.objective import Objective
from finetune.training.private import SECRET, Privacy, private_plan, spending
from finetune.training.private_cost import SAID, SAID_LATER, CostPlan, lessons_of, measure_cost
from finetune.training.private_objective import SECOND, PrivateObjective
from finetune.training.recipe import LearningRecipe, PrivacyPart
from finetune.training.rows import LessonRow, Tokens, encode
from retrieval.errors import BadRequest

accountants = pytest.importorskip("opacus.accountants", reason="privacy needs chatalogue[train]")

SECRETS = 12345


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> CycleModel:
    """Without a champion; in float32, its second factors not zero."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("finetune.training.network.best_dtype", lambda: torch.float32)
        made = CycleModel(tiny_base, None, "champion", LoraShape(4, 8), 0, "cpu")
    with torch.no_grad():
        for number, weight in enumerate(made.trained.values()):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)) / 10)
    return made


def private_recipe(**parts: object) -> LearningRecipe:
    return quick(**{"epsilon": 8.0, "visits": 4, "users_per_step": 3, "rows_per_user": 2} | parts)


def spent(**changed: object) -> Privacy:
    plain = Privacy(math.inf, 1e-3, 0.0, 1.0, 4, math.inf, 5, 5)
    return replace(plain, **changed)  # type: ignore[arg-type]


def gradients(model: CycleModel, objective: Objective, rows: Sequence[LessonRow]) -> dict[str, torch.Tensor]:
    objective.backward(rows, lambda loss: loss.backward())  # type: ignore[no-untyped-call]
    found = {name: weight.grad.clone() for name, weight in model.trained.items() if weight.grad is not None}
    for weight in model.trained.values():
        weight.grad = None
    return found


def length(gradient: dict[str, torch.Tensor]) -> float:
    return math.sqrt(sum(float(one.double().square().sum()) for one in gradient.values()))


def everybody(model: CycleModel, lessons: Sequence[Lesson], rows_per_user: int = 9) -> tuple[LessonRow, ...]:
    """A step that asks all, each with all of their rows."""
    recipe = private_recipe(epsilon=math.inf, users_per_step=99, rows_per_user=rows_per_user)
    plan, privacy = private_plan(encode(lessons, model.renderer, 512), (), recipe, SECRETS)
    assert privacy.rate == 1.0
    return plan.steps[0]


def test_without_clip_and_noise_it_is_the_plain_gradient(model: CycleModel) -> None:
    """Of the second factors; each person has two rows of weight 1, so the mean of people is that of rows."""
    lessons = [replace(lesson(n), weight=1.0, user=f"u{n // 2}") for n in range(8)]
    rows = everybody(model, lessons)
    mine = gradients(model, PrivateObjective(model, quick(), "none", spent(people=4, groups=4), SECRETS), rows)
    plain = Objective(model, quick(), "none")
    plain.step_weight = 8.0
    whole = gradients(model, plain, rows)
    assert mine.keys() == {name for name in whole if SECOND in name}
    for name, gradient in mine.items():
        assert torch.allclose(gradient, whole[name], rtol=1e-4, atol=1e-7)
    assert length(mine) > 1e-3


@pytest.mark.parametrize("count", [1, 40])
def test_nobody_counts_more_than_the_clip_whatever_they_say(model: CycleModel, count: int) -> None:
    clip, others = 0.01, [replace(lesson(n), user=f"u{n}") for n in range(3)]
    loud = [
        replace(lesson(n, kind), id=f"loud {n} {kind}", answers=("drama " * 30,), weight=1e6, user="loud")
        for n in range(count)
        for kind in ("sft",)
    ]
    objective = PrivateObjective(model, quick(), "none", spent(clip=clip, groups=1), SECRETS)
    with_, without = (gradients(model, objective, everybody(model, rows, 99)) for rows in (others + loud, others))
    influence = {name: with_[name] - without[name] for name in with_}
    assert 0.99 * clip < length(influence) <= clip * (1 + 1e-4)


def test_what_is_no_number_says_nothing(model: CycleModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = everybody(model, [replace(lesson(n), user=f"u{n}") for n in range(2)])
    objective = PrivateObjective(model, quick(), "none", spent(clip=1.0, groups=1), SECRETS)
    alone = gradients(model, objective, rows[1:])
    losses = objective._losses

    def broken(row: LessonRow, usual: float) -> list[torch.Tensor]:
        return [loss * (math.nan if row is rows[0] else 1.0) for loss in losses(row, usual)]

    monkeypatch.setattr(objective, "_losses", broken)
    both = gradients(model, objective, rows)
    assert all(torch.equal(both[name], alone[name]) for name in alone)


def test_the_noise_is_as_large_as_it_says_and_another_at_every_step(model: CycleModel) -> None:
    """Nobody is asked: the gradient is noise alone, divided by how many are asked on average."""
    privacy = spent(noise=2.0, clip=0.3, rate=0.5, groups=8)
    objective = PrivateObjective(model, quick(), "none", privacy, SECRETS)
    drawn = []
    for step in (0, 1, 0):
        objective.step = step
        drawn.append(torch.cat([one.flatten() for one in gradients(model, objective, ()).values()]))
    n = len(drawn[0])
    assert n > 2_000
    assert float(drawn[0].std()) == pytest.approx(2.0 * 0.3 / 4, rel=6 / math.sqrt(2 * n))
    assert abs(float(drawn[0].mean())) < 6 * 2.0 * 0.3 / 4 / math.sqrt(n)
    assert torch.equal(drawn[0], drawn[2])
    assert abs(float(torch.corrcoef(torch.stack(drawn[:2]))[0, 1])) < 6 / math.sqrt(n)
    other = PrivateObjective(model, quick(), "none", privacy, SECRETS + 2**64)
    assert not torch.equal(torch.cat([one.flatten() for one in gradients(model, other, ()).values()]), drawn[0])


@pytest.mark.parametrize(("epsilon", "people"), [(8.0, 40), (1.0, 40), (3.0, 10)])
def test_epsilon_is_what_opacus_counts(epsilon: float, people: int) -> None:
    found = spending(PrivacyPart(epsilon=epsilon, users_per_step=20, visits=6), people, 0)
    accountant = accountants.RDPAccountant()
    for _ in range(found.steps):
        accountant.step(noise_multiplier=found.noise, sample_rate=found.rate)
    assert found.epsilon == pytest.approx(accountant.get_epsilon(found.delta), rel=1e-6)
    assert 0.95 * epsilon < found.epsilon <= epsilon
    assert found.delta == pytest.approx(people**-1.1)
    assert found.rate == min(1.0, 20 / people)
    assert found.rate * found.steps >= 6


def test_more_cycles_spend_more_and_a_champion_without_privacy_all(tmp_path: Path) -> None:
    first = spending(PrivacyPart(epsilon=3.0), 40, 0)
    assert first.total == first.epsilon
    kept = first.as_json(1000)
    assert first.epsilon <= kept["total_epsilon"] < first.epsilon + 1e-3
    told: dict[str, dict[str, object]] = {
        "private": {"training.json": {"data": {"users": 40}, "privacy": kept}},
        "served": {"manifest.json": {"customers": 40, "config": {"privacy": kept}}},
        "plain": {"training.json": {"data": {"users": 40}, "privacy": None}},
        "plain served": {"manifest.json": {"customers": 40, "config": {}}},
        "starter": {"manifest.json": {"skills": []}},
    }
    for name, files in told.items():
        (tmp_path / name).mkdir()
        for file, fields in files.items():
            (tmp_path / name / file).write_text(json.dumps(fields))
    before = {name: private.spent_before(tmp_path / name) for name in told}
    assert before["private"] == before["served"] == ((first.noise, first.rate, first.steps),)
    assert before["plain"] is before["plain served"] is None
    assert before["starter"] == private.spent_before(None) == ()
    second = replace(first, before=before["private"])
    assert second.total is not None
    assert 1.2 * first.epsilon < second.total < 2 * first.epsilon
    assert replace(first, before=None).as_json(1000)["total_epsilon"] is None


def test_each_person_is_asked_by_chance_with_a_few_of_their_rows(model: CycleModel) -> None:
    lessons = [replace(lesson(n), user=f"u{n % 5}") for n in range(25)]
    public = [replace(lesson(n, "sft", "ours"), user="") for n in range(10)]
    recipe = private_recipe(visits=120, users_per_step=4, epsilon=math.inf)
    plan, privacy = private_plan(encode(lessons + public, model.renderer, 512), (), recipe, SECRETS)
    assert (privacy.people, privacy.groups, privacy.rate) == (5, 10, 0.4)
    assert privacy.delta == pytest.approx(5**-1.1)
    asked: dict[str, int] = {}
    for step in plan.steps:
        drawn = [one.lesson for row in step for one in row.lessons]
        for row in step:
            assert len({one.lesson.user for one in row.lessons}) == 1, "rows of several people share no gradient"
        for owner in {row.owner for row in step}:  # type: ignore[attr-defined]
            asked[owner] = asked.get(owner, 0) + 1
        for user in {one.user for one in drawn} - {""}:
            assert sum(one.user == user for one in drawn) == 2
    assert len(asked) == 10
    assert all(80 < count < 160 for count in asked.values()), "120 on average"
    assert len({len({row.owner for row in step}) for step in plan.steps}) > 3, "not always as many"  # type: ignore[attr-defined]
    others, _ = private_plan(encode(lessons, model.renderer, 512), (), recipe, SECRETS + 1)
    assert [len(step) for step in others.steps] != [len(step) for step in plan.steps]


def test_what_is_remembered_is_drawn_row_by_row(model: CycleModel) -> None:
    pool = encode([replace(lesson(n), user=f"u{n}") for n in range(60)], model.renderer, 512)
    drawn = [{one.lesson.id for one in private.remembered(pool, 20, secret)} for secret in range(20)]
    assert 17 < sum(map(len, drawn)) / 20 < 23
    assert len({len(one) for one in drawn}) > 3, "each by its own chance"
    assert len(set.union(*drawn)) == 60
    assert private.remembered(pool, 60, 0) == pool
    assert private.remembered(pool, 0, 0) == []


def test_one_person_less_changes_nothing_of_the_others(model: CycleModel) -> None:
    """Thumbs of one direction, caps and weights would: none of them is used."""
    lessons = [replace(one, weight=1.0) for one in mixed(10)]
    without = [replace(one, weight=0.1) for one in lessons if one.user != "u0"]
    recipe = private_recipe(users_per_step=99, rows_per_user=99, epsilon=math.inf, kto_each=99)
    steps = []
    for rows in (lessons, without):
        plan, _ = private_plan(encode(rows, model.renderer, 512), (), recipe, SECRETS)
        steps.append({one.lesson.id: one for row in plan.steps[0] for one in row.lessons})
    assert steps[0].keys() - steps[1].keys() == {one.id for one in lessons if one.user == "u0"}
    objective = PrivateObjective(model, recipe, "none", spent(groups=1), SECRETS)
    objective.ask_champion(steps[0].values())
    loss = [gradients(model, objective, [replace_row(steps[at], user) for user in ("u1", "u2")]) for at in (0, 1)]
    for name in loss[0]:
        assert torch.allclose(loss[0][name], loss[1][name], rtol=1e-4, atol=1e-7)


def replace_row(step: dict[str, Tokens], user: str) -> private.OwnedRow:
    return private.OwnedRow(
        tuple(one for one in step.values() if one.lesson.user == user and one.lesson.kind == "kto"), user
    )


# --- whole jobs -----------------------------------------------------------------------------------


def test_a_private_job_says_what_it_spent_and_nothing_of_people(tiny_base: Path, tmp_path: Path) -> None:
    memory = ReplayMemory(16, 1)
    memory.offer(replace(one, user=f"old {n}") for n, one in enumerate(mixed(4, "2026-10")))
    held_out = [lesson(n, "sft", "held") for n in range(4)]
    ours = [replace(one, id=f"ours {one.id}", user="") for one in held_out]
    made = job(
        tiny_base, tmp_path, mixed(6), held_out=held_out, anchors={"ours": ours, "theirs": held_out}, memory=memory,
        recipe=private_recipe(method="replay", share=0.4, visits=2),
    )  # fmt: skip
    done = trained(made)
    record = json.loads((done.folder / RECORD).read_text())
    told = record["privacy"]
    assert told == done.privacy
    assert 7.5 < told["epsilon"] <= 8
    assert told["total_epsilon"] == told["epsilon"]
    assert told["people"] == done.users == record["data"]["users"] == 5 + record["data"]["rehearsed"]
    assert record["data"]["rehearsed"] == 16
    assert told["steps"] == record["steps"]["planned"] == done.steps
    assert told["noise_multiplier"] > 0
    assert told["noise_over_signal"] > 1
    assert record["steps"]["losses"] == []
    assert record["data"]["watched"] == {"ours": 4}
    assert done.best_step == done.steps
    assert not (done.folder / PICTURE).exists()
    assert not list(made.runs.iterdir()), "the secret is gone"
    assert SECRET not in (done.folder / RECORD).read_text()
    first = {name: tensor for name, tensor in load_file(done.folder / WEIGHTS_FILE).items() if "lora_B" in name}
    again = trained(replace(made, out=tmp_path / "again"))
    second = load_file(again.folder / WEIGHTS_FILE)
    assert any(not torch.equal(tensor, second[name]) for name, tensor in first.items()), "another secret"


class Killed(BaseException):
    """Nothing may be tidied up after it."""


def test_a_private_job_that_was_killed_ends_with_the_same_weights(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def token(size: int) -> str:
        drawn.append("ab" * size)
        return drawn[-1]

    monkeypatch.setattr("finetune.training.private.secrets.token_hex", token)
    recipe = private_recipe(every=4, visits=3, users_per_step=2)
    whole, parts = (job(tiny_base, tmp_path / name, mixed(6), recipe=recipe) for name in ("whole", "parts"))
    first = trained(whole)

    def kill(now: object) -> None:
        if getattr(now, "step", 0) == 5:
            raise Killed

    with pytest.raises(Killed):
        train(parts, kill)
    (work,) = parts.runs.iterdir()
    assert (work / SECRET).stat().st_mode & 0o077 == 0, "nobody else reads it"
    steps: list[int] = []
    done = train(parts, lambda now: steps.append(now.step))
    assert done is not None
    assert steps[0] == 5
    assert len(drawn) == 2, "it goes on with the secret that it had"
    one, other = (load_file(result.folder / WEIGHTS_FILE) for result in (first, done))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_privacy_nothing_is_different(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> int:
        raise AssertionError

    monkeypatch.setattr(private, "secret_of", never)
    other = {"clip": 9.0, "users_per_step": 1, "rows_per_user": 1, "visits": 1.0, "delta": 0.5, "epsilon": 0.0}
    recipe = quick()
    changed = recipe.model_copy(update={"privacy": PrivacyPart.model_validate(other)})
    plain, same = (
        trained(job(tiny_base, tmp_path / name, mixed(3), recipe=one))
        for name, one in (("plain", recipe), ("same", changed))
    )
    one, two = (load_file(done.folder / WEIGHTS_FILE) for done in (plain, same))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert plain.privacy is None
    record = json.loads((plain.folder / RECORD).read_text())
    assert record["privacy"] is None
    assert len(record["steps"]["losses"]) == plain.steps
    fields = recipe.model_dump()
    del fields["privacy"]
    assert LearningRecipe(**fields) == recipe, "a recipe from before has none"


def test_what_cannot_be_private_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="ewc"):
        train(job(tiny_base, tmp_path / "ewc", mixed(2), recipe=private_recipe(method="ewc")))
    public = [replace(one, user="") for one in mixed(2)]
    with pytest.raises(BadRequest, match="no row is of a person"):
        train(job(tiny_base, tmp_path / "public", public, recipe=private_recipe()))
    with pytest.raises(BadRequest, match="nothing to learn from"):
        train(job(tiny_base, tmp_path / "nothing", [], recipe=private_recipe()))


def test_random_streams_use_all_of_the_secret() -> None:
    first = private.stream(1, private.NOISE, 3).standard_normal(4)
    assert np.array_equal(first, private.stream(1, private.NOISE, 3).standard_normal(4))
    others = ((1 + 2**200, private.NOISE, 3), (1, private.DRAWN, 3), (1, private.NOISE, 4))
    assert not any(np.array_equal(first, private.stream(*other).standard_normal(4)) for other in others)


def test_the_cost_of_privacy_is_measured_by_person(tiny_base: Path) -> None:
    plan = CostPlan(people=6, lessons_each=2, held_out_people=4, each_step=3, visits=2, rate=3e-2, epsilons=(math.inf,))
    said: list[str] = []
    cost = measure_cost(tiny_base, "tiny", None, plan, said.append)
    assert [arm.name for arm in cost.arms] == ["off", "clipped, no noise"]
    assert len(said) == 2
    assert (cost.lessons, cost.held_out, cost.clip) == (12, 8, 0.1)
    for arm in cost.arms:
        gain = arm.loss.value - cost.champion_loss.value
        assert arm.loss_gain.value == pytest.approx(gain, abs=2e-4)
        assert arm.loss_gain.value < -0.05, "it learns"
        assert 0 <= arm.accuracy.value <= 1
    assert cost.arms[1].steps == 4
    learned, held = (lessons_of(6, 2, phrases, 0, "") for phrases in (SAID, SAID_LATER))
    assert not {one.prompt.messages[1].text for one in learned} & {one.prompt.messages[1].text for one in held}
