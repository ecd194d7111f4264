"""Starter adapters side by side on what none of them saw: the held-out catalogue and phrases, and how fast they write.

For questions such as whether pre-training on item texts pays, or how much layers are missed. Knows nothing of how the
adapters were made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.llm.adapter_check import WEIGHTS_FILE
from agent.rank.intervals import Interval, intervals
from retrieval.errors import BadRequest

if TYPE_CHECKING:
    from agent.bench.engine_ways import Eager, Kernel
    from finetune.starter.batches import Encoded
    from finetune.starter.network import StarterModel

SEED = 5
ROW_TOKENS = 1024
NOTHING = 0.08
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Contestant:
    """An adapter's folder and the folder of the base that it was made for."""

    name: str
    adapter: Path
    base: Path


class Compared(BaseModel):
    """One adapter; the differences are to the first one, example by example.

    Losses are nats an answer token, exact is the share of answers told without a wrong token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter: str
    layers: int
    understand_exact: Interval
    understand_loss: Interval
    reply_loss: Interval
    understand_exact_gain: Interval
    understand_loss_gain: Interval
    reply_loss_gain: Interval
    written_per_s: float


class Comparison(BaseModel):
    """Adapters in the order given, and how many held-out examples there were; `made`: how they came about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: str = ""
    understand_examples: int
    reply_examples: int
    adapters: tuple[Compared, ...]


def compare(contestants: Sequence[Contestant], n: int, say: Callable[[str], None], made: str = "") -> Comparison:
    """Judge each on `n` held-out turns and a third as many replies; then let them write in turns.

    Raises:
        BadRequest: an adapter's folder has no weights, or they do not fit its base.
    """
    found = []
    for one in contestants:
        say(f"{one.name}: {n} turns, {n // 3} replies")
        found.append(_judged(one, n))
    speeds = _speeds(contestants)
    first = found[0]
    rows = []
    for one, (layers, understand, reply), speed in zip(contestants, found, speeds, strict=True):
        gain_understand, gain_reply = understand - first[1], reply - first[2]
        exact, loss, exact_gain, loss_gain = _means(np.hstack([understand, gain_understand]))
        _, told, _, told_gain = _means(np.hstack([reply, gain_reply]))
        rows.append(
            Compared(
                adapter=one.name, layers=layers, understand_exact=exact, understand_loss=loss, reply_loss=told,
                understand_exact_gain=exact_gain, understand_loss_gain=loss_gain, reply_loss_gain=told_gain,
                written_per_s=round(speed, 1),
            )
        )  # fmt: skip
    return Comparison(made=made, understand_examples=len(first[1]), reply_examples=len(first[2]), adapters=tuple(rows))


def _means(columns: NDArray[np.float64]) -> list[Interval]:
    return intervals(columns, np.arange(len(columns)))


def _judged(one: Contestant, n: int) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Layers of the base, and for turns and for replies exactness and loss of each example, (examples, 2)."""
    from finetune.rank_model import LoraShape, best_dtype
    from finetune.starter.batches import encode
    from finetune.starter.catalogues import held_out
    from finetune.starter.examples import over_catalogues, reply_examples
    from finetune.starter.network import StarterModel

    unseen = [held_out(SEED)]
    config = json.loads((one.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    model = StarterModel(one.base, LoraShape(int(config["r"]), int(config["lora_alpha"])), SEED, best_dtype())
    _load(model, one.adapter)
    turns = encode(over_catalogues(unseen, n, SEED, "held_out", NOTHING), model.renderer)
    replies = encode(reply_examples(unseen, n // 3, SEED, "held_out"), model.renderer)
    layers = json.loads((one.base / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"]
    return int(layers), _scores(model, turns), _scores(model, replies)


def _load(model: StarterModel, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    try:
        saved = load_file(folder / WEIGHTS_FILE)
    except OSError as error:
        raise BadRequest(f"{str(folder)!r} has no adapter weights ({error}); name a folder with a LoRA.") from None
    if saved.keys() != model.trained.keys():
        raise BadRequest(f"The adapter in {str(folder)!r} was made for another base; name its base behind an @.")
    with torch.no_grad():
        for name, weight in model.trained.items():
            weight.copy_(saved[name])


def _scores(model: StarterModel, examples: Sequence[Encoded]) -> NDArray[np.float64]:
    """Exactness and mean loss of each example, in the order that chunks have: the same for every adapter."""
    import torch

    from finetune.starter.batches import chunks, row_of

    found: list[tuple[float, float]] = []
    for chunk in chunks(examples, ROW_TOKENS, (0,)):
        row = row_of(chunk)
        loss, right = model.judged(row)
        lengths = list(row.lengths)
        found += [
            (float(own.all()), float(each.mean()))
            for own, each in zip(torch.split(right, lengths), torch.split(loss, lengths), strict=True)
        ]
    return np.array(found)


def _speeds(contestants: Sequence[Contestant]) -> list[float]:
    """Tokens a second that each base writes, without drafts: the median of rounds in which the bases take turns.

    A merged adapter costs nothing, so adapters on one base are equally fast.
    """
    from agent.bench.engine_speed import ANSWER_TOKENS, prompt_number

    folders = list(dict.fromkeys(one.base for one in contestants))
    ways = [_way(folder) for folder in folders]
    took: list[list[float]] = [[] for _ in folders]
    for number in range(ROUNDS + 1):  # the first one is to warm up
        for way, speeds in zip(ways, took, strict=True):
            timed = way.one(prompt_number(number))
            speeds.append((ANSWER_TOKENS - 1) / (timed.whole - timed.first))
    found = {folder: float(np.median(speeds[1:])) for folder, speeds in zip(folders, took, strict=True)}
    return [found[one.base] for one in contestants]


def _way(folder: Path) -> Eager | Kernel:
    """The embedded engine's way to write by a base, with its kernel where there is one."""
    from agent.bench.engine_ways import Eager, Kernel
    from agent.llm.decoder import Decoder, fits
    from agent.llm.kernel import NoKernel, load_kernel
    from agent.llm.model import load_model

    endless = replace(load_model(folder, "cpu"), stop_ids=frozenset())  # all answers have the same length
    try:
        if fits(endless):
            return Kernel(endless, Decoder(endless, load_kernel(folder.parent / "kernels")), 0)
    except NoKernel:
        pass
    return Eager(endless)
