from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.generation import Reader, Watch, stream
from agent.llm.lora import Adapters
from agent.llm.model import load_model
from agent.llm.protocol import Limits, Message, Prompt
from finetune.packing import pack
from finetune.rank_model import LoraShape
from finetune.starter.batches import Encoded, chunks, encode, row_of
from finetune.starter.examples import Example
from finetune.starter.network import StarterModel
from finetune.starter.recipe import TrainPart
from finetune.starter.train import Data, Progress, Trained, Trainer

GENRES = ("comedy", "horror", "western", "drama")
QUICK = TrainPart(
    rate=2e-2, warm_up=0.05, steps=60, row_tokens=160, rows=2, every=15, patience=9, clip=1.0
)  # fmt: skip


def example(number: int) -> Example:
    wanted = GENRES[number % 4]
    prompt = Prompt(
        (Message("system", "You are a shop ."), Message("user", f"I want a {wanted} film" + " please" * (number % 3)))
    )
    return Example("understand", prompt, f"genre {wanted}", "understand tiny")


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with an output that can say the end: its padding, which is all zeros, is the same token."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    net = AutoModelForCausalLM.from_pretrained(tiny_base)
    with torch.no_grad():
        net.get_input_embeddings().weight.normal_(std=0.4, generator=torch.Generator().manual_seed(1))
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model_of(base: Path) -> Callable[[], StarterModel]:
    return lambda: StarterModel(base, LoraShape(8, 16), 1, torch.float32)


@pytest.fixture(scope="module")
def data(model_of: Callable[[], StarterModel]) -> Data:
    encoded = encode(map(example, range(24)), model_of().renderer)
    return Data(encoded[6:], {"understand": encoded[:6]})


def train(
    model: StarterModel, data: Data, root: Path, recipe: TrainPart = QUICK, stop_after: int = 0, pretrain: float = 0.2
) -> tuple[list[Progress], Trained]:
    told: list[Progress] = []
    trained = Trainer(model, data, recipe, pretrain, 3, root).run(told.append, lambda: len(told) + 1 == stop_after)
    return told, trained


def test_a_packed_row_has_the_losses_of_rows_of_their_own(model_of: Callable[[], StarterModel], data: Data) -> None:
    model = model_of()
    for weight in model.trained.values():
        torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(2))
    examples = data.learned[:7]
    together = row_of(examples)
    assert together.packed.prompt > 5, "what the prompts share is read once"
    assert together.tokens < sum(len(one.ids) for one in examples)
    apart = torch.cat([model.losses(row_of([one])) for one in examples])
    assert torch.allclose(model.losses(together), apart, atol=1e-4)
    model.losses(together).sum().backward()
    of_row = {name: weight.grad.clone() for name, weight in model.trained.items()}
    for weight in model.trained.values():
        weight.grad = None
    torch.cat([model.losses(row_of([one])) for one in examples]).sum().backward()
    assert all(torch.allclose(of_row[name], weight.grad, atol=1e-3) for name, weight in model.trained.items())


def test_the_gradient_is_that_of_autograd(model_of: Callable[[], StarterModel], data: Data) -> None:
    """Against numbers: a nudge of a weight changes the loss as its gradient says."""
    model = model_of()
    for weight in model.trained.values():
        torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(2))
    row = row_of(data.learned[:3])
    model.losses(row).sum().backward()
    for name in list(model.trained)[::5]:
        weight = model.trained[name]
        place = divmod(int(weight.grad.abs().argmax()), weight.shape[1])
        with torch.no_grad():
            nudged = []
            for step in (1e-2, -1e-2):
                weight[place] += step
                nudged.append(float(model.losses(row).detach().sum()))
                weight[place] -= step
        assert (nudged[0] - nudged[1]) / 2e-2 == pytest.approx(float(weight.grad[place]), rel=0.05)


def test_an_answer_may_be_all_that_is_left_of_a_prompt() -> None:
    """One prompt is the beginning of the other: its answer is told from the shared part's last token."""
    row = row_of([Encoded("g", (1, 2, 7, 0), 2), Encoded("g", (1, 2, 3, 8, 0), 2)])
    assert row.packed.prompt == 2
    assert row.wanted.tolist() == [7, 0, 8, 0]
    assert row.before.tolist() == [1, 2, 4, 5]
    assert row.lengths == (2, 2)
    assert row.packed.ids.tolist() == pack([1, 2], [[7, 0], [3, 8, 0]]).ids.tolist()


def test_chunks_keep_groups_apart_and_lose_nobody(data: Data) -> None:
    mixed = [*data.learned, *(Encoded("other", one.ids, one.answer) for one in data.learned)]
    found = chunks(mixed, 160, (1,))
    assert sorted(one.ids for row in found for one in row) == sorted(one.ids for one in mixed)
    assert all(len({one.group for one in row}) == 1 for row in found)
    assert all(row_of(row).tokens <= 160 for row in found)
    assert chunks(mixed, 160, (1,)) == found != chunks(mixed, 160, (2,))


def test_it_learns_to_answer_and_the_engine_answers_so(
    model_of: Callable[[], StarterModel], data: Data, base: Path, tmp_path: Path
) -> None:
    model = model_of()
    told, trained = train(model, data, tmp_path)
    assert trained.best is not None
    assert told[-1].loss < 0.3 * told[0].loss
    assert trained.best.skills["understand"].exact == 1.0, "held-out messages, the same four genres"
    assert trained.best.loss == min(one.loss for one in trained.history)
    model.save(tmp_path / "adapter", "tiny")
    served = load_model(base, "cpu", torch.float32)
    adapters = Adapters(served.linears)
    adapters.load("starter", tmp_path / "adapter")
    adapters.use("starter")
    said = [
        "".join(
            chunk.text for chunk in stream(served, Reader(served), "starter", example(n).prompt, Limits(12), Watch(60))
        )
        for n in range(4)
    ]
    assert said == [example(n).answer for n in range(4)]


def test_a_run_that_was_stopped_gives_the_same_weights(
    model_of: Callable[[], StarterModel], data: Data, tmp_path: Path
) -> None:
    recipe = QUICK.model_copy(update={"steps": 14, "every": 4})
    texts = Data(data.learned, data.watched, data.learned[:5])  # pre-training comes first
    whole, parts = model_of(), model_of()
    train(whole, texts, tmp_path / "whole", recipe)
    _, first = train(parts, texts, tmp_path / "parts", recipe, stop_after=6)
    assert first.steps == 6
    parts = model_of()
    told, last = train(parts, texts, tmp_path / "parts", recipe)
    assert (told[0].step, last.steps) == (7, 14)
    assert [one.step for one in last.history] == [4, 6, 8, 12, 14]
    assert all(torch.equal(weight, parts.trained[name]) for name, weight in whole.trained.items())


def test_other_data_or_settings_are_another_run(
    model_of: Callable[[], StarterModel], data: Data, tmp_path: Path
) -> None:
    recipe = QUICK.model_copy(update={"steps": 2})
    for number, (rate, learned) in enumerate([(1e-2, data.learned), (2e-2, data.learned), (1e-2, data.learned[1:])]):
        told, _ = train(model_of(), Data(learned, data.watched), tmp_path, recipe.model_copy(update={"rate": rate}))
        assert told[0].step == 1
        assert len(list(tmp_path.iterdir())) == number + 1


def test_the_best_weights_are_kept_and_it_stops_when_none_are_better(
    model_of: Callable[[], StarterModel], data: Data, tmp_path: Path
) -> None:
    """At such a rate it can only get worse after a while."""
    recipe = QUICK.model_copy(update={"rate": 0.5, "every": 1, "patience": 3, "steps": 400, "warm_up": 0.0})
    model = model_of()
    _, trained = train(model, data, tmp_path, recipe)
    assert trained.best is not None
    assert trained.steps == trained.best.step + 3 < 400
    row = row_of(data.watched["understand"])
    assert float(model.losses(row).detach().mean()) == pytest.approx(trained.best.loss, rel=1e-3)


def test_a_skill_with_many_right_answers_does_not_choose_the_weights(
    model_of: Callable[[], StarterModel], data: Data, tmp_path: Path
) -> None:
    recipe = QUICK.model_copy(update={"steps": 3, "every": 1})
    both = Data(data.learned, {**data.watched, "reply": data.learned[:2]}, open_ended=frozenset({"reply"}))
    _, trained = train(model_of(), both, tmp_path, recipe)
    assert [one.loss for one in trained.history] == [one.skills["understand"].loss for one in trained.history]
    assert all("reply" in one.skills for one in trained.history)


def test_the_minutes_end_it(model_of: Callable[[], StarterModel], data: Data, tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"minutes": 0.01, "steps": 1_000_000, "warm_up": 0.0, "patience": 10**6})
    told, trained = train(model_of(), data, tmp_path, recipe)
    assert 0 < trained.steps < 1_000_000
    assert told[-1].done >= 1.0
    assert told[-1].left_s <= 0.0


def test_the_files_are_of_bfloat16_and_name_no_folder(
    model_of: Callable[[], StarterModel], base: Path, tmp_path: Path
) -> None:
    model = model_of()
    with torch.no_grad():
        for weight in model.trained.values():
            weight.add_(0.1)
    model.save(tmp_path, "tiny")
    saved = load_file(tmp_path / WEIGHTS_FILE)
    assert {weight.dtype for weight in saved.values()} == {torch.bfloat16}
    assert str(base) not in (tmp_path / "adapter_config.json").read_text()
