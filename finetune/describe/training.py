"""DPO for the writer: what was kept against the worst draft for the same item, on a LoRA over the frozen base.

TRL's trainer does the steps; the tokens are those that the engines read (`PromptRenderer`), not TRL's own, so that
text of items can never become a control token. The reference is the writer that wrote the drafts: the base, or the
adapter that is tuned on. Knows nothing of how pairs were chosen. Rafailov et al. 2023, "Direct Preference
Optimization".
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.protocol import Message, Prompt
from finetune.describe.files import json_lines, whole_file
from finetune.rank_model import TARGETS, LoraShape, best_dtype, save_lora
from retrieval.errors import BadRequest, ModelUnavailable

RECIPE = "recipe.json"
CONTEXT = 1_024
"""Tokens of prompt and text together; longer ones are left out."""
INSTALL = "pip install 'chatalogue[train]'"
"""What brings the packages for training."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What was kept of an item and what was not, behind the prompt that both were written for."""

    prompt: Prompt
    chosen: str
    rejected: str
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class WriterTraining:
    """How the writer is tuned.

    Attributes:
        steps: few: pairs are few, and DPO soon only pushes both texts down.
        batch: pairs of a step; their gradients are added up, so memory is that of one.
        rate: of the LoRA's weights.
        beta: how much it costs to leave the reference.
        sft: weight of the likelihood of what was kept, beside DPO's own loss: without it that falls, too.
        seed: of the LoRA's first weights and of the order.
    """

    steps: int = 40
    batch: int = 4
    rate: float = 5e-5
    beta: float = 0.1
    sft: float = 0.2
    seed: int = 0
    lora: LoraShape = field(default_factory=lambda: LoraShape(8, 16))


@dataclass(frozen=True, slots=True)
class Trained:
    """The folder of the tuned writer, pairs that it learned from, and the loss of its first and last step."""

    folder: Path
    pairs: int
    first_loss: float
    last_loss: float


def read_pairs(file: Path) -> tuple[Pair, ...]:
    """The pairs that a round wrote.

    Raises:
        BadRequest: the file cannot be read, a line is no pair, or there is none.
    """
    pairs = tuple(_pair(value, where) for value, where in json_lines(file))
    if not pairs:
        raise BadRequest(f"{str(file)!r} has no pairs: a round keeps nothing where no text adds retrieval gain.")
    return pairs


def train_writer(
    pairs: Sequence[Pair],
    base: Path,
    base_name: str,
    out: Path,
    config: WriterTraining = WriterTraining(),
    adapter: Path | None = None,
    told: Callable[[int, int], None] = lambda step, steps: None,
    minutes: float | None = None,
) -> Trained:
    """Tune the writer and write its adapter; `recipe.json` comes last.

    Args:
        pairs: what it learns from.
        base: folder of the base model.
        base_name: its name, for the adapter's config.
        out: a new folder.
        config: how.
        adapter: the writer of the drafts, tuned further; None: the base wrote them.
        told: after each step.
        minutes: no step is begun after so many.

    Raises:
        BadRequest: `out` has an adapter already, or no pair fits the context.
        ModelUnavailable: a package for training is missing.
        EngineError: the engines would refuse the adapter.
    """
    if (out / WEIGHTS_FILE).exists():
        raise BadRequest(f"{str(out)!r} has an adapter already; name another folder.")
    _check_installed()
    from agent.llm.tokens import PromptRenderer

    rows = _tokens(pairs, PromptRenderer.from_folder(base))
    if not rows:
        raise BadRequest(f"No pair fits into {CONTEXT} tokens; describe items with shorter texts.")
    until = math.inf if minutes is None else time.monotonic() + minutes * 60
    losses, net = _steps(rows, base, config, adapter, _Watched(told, until))
    out.mkdir(parents=True, exist_ok=True)
    save_lora(net, out, base, base_name)
    recipe = _recipe(pairs, rows, base_name, config, adapter) | {"losses": losses}
    with whole_file(out / RECIPE) as file:
        file.write(json.dumps(recipe, indent=1, sort_keys=True) + "\n")
    return Trained(out, len(rows), losses[0], losses[-1])


def _recipe(
    pairs: Sequence[Pair], rows: Sequence[Any], base_name: str, config: WriterTraining, adapter: Path | None
) -> dict[str, Any]:
    """What the writer was made of."""
    return {
        "method": "dpo",
        "base": base_name,
        "adapter": hashlib.sha256((adapter / WEIGHTS_FILE).read_bytes()).hexdigest() if adapter else None,
        "config": asdict(config),
        "pairs": len(rows),
        "items": sorted({pair.item_id for pair in pairs} | (learned_from(adapter) if adapter else set())),
        "data": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
    }


def _check_installed() -> None:
    try:
        import datasets  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
        import trl  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise ModelUnavailable(f"Training the writer needs {error.name!r}: {INSTALL}.") from error


def learned_from(adapter: Path) -> frozenset[str]:
    """The ids of the items whose texts a writer learned from; none for an adapter of another kind.

    Raises:
        BadRequest: its recipe cannot be read.
    """
    try:
        recipe = json.loads((adapter / RECIPE).read_bytes())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise BadRequest(f"{str(adapter / RECIPE)!r} cannot be read ({error}); train the writer again.") from None
    return frozenset(recipe.get("items", ()) if isinstance(recipe, dict) else ())


@dataclass(frozen=True, slots=True)
class _Watched:
    """Who hears of each step, and when the last one begins, by the monotonic clock."""

    told: Callable[[int, int], None]
    until: float


def _steps(
    rows: list[dict[str, list[int]]],
    base: Path,
    config: WriterTraining,
    adapter: Path | None,
    watched: _Watched,
) -> tuple[list[float], Any]:
    """Train; the loss of each step, and the network with the LoRA in it."""
    import torch
    from datasets import Dataset  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from transformers import PrinterCallback, TrainerCallback
    from trl import DPOConfig, DPOTrainer  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from agent.llm.quiet import quiet_transformers

    quiet_transformers()
    losses: list[float] = []

    class Telling(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))
                watched.told(state.global_step, config.steps)
                control.should_training_stop |= time.monotonic() >= watched.until

    class Ready(DPOTrainer):  # type: ignore[misc,unused-ignore]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:  # noqa: ANN401 -- tokens already
            return dataset

    dtype, gpu = best_dtype(), torch.cuda.is_available()
    net, tokenizer = _network(base, config, adapter, dtype)
    with tempfile.TemporaryDirectory() as scratch:
        settings = DPOConfig(output_dir=scratch, **_settings(config, gpu=gpu, half=dtype == torch.bfloat16))
        trainer = Ready(
            model=net,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[Telling()],
        )
        trainer.remove_callback(PrinterCallback)  # stdout is for results
        trainer.train()
    return losses, net


def _settings(config: WriterTraining, *, gpu: bool, half: bool) -> dict[str, Any]:
    """What TRL is told; `half`: bfloat16 on a CPU, too."""
    return {
        "max_steps": config.steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": config.batch,
        "learning_rate": config.rate,
        "lr_scheduler_type": "cosine",
        "beta": config.beta,
        "loss_type": ["sigmoid", "sft"],
        "loss_weights": [1.0, config.sft],
        "max_length": None,  # rows are short enough already
        "seed": config.seed,
        "data_seed": config.seed,
        "use_cpu": not gpu,
        "bf16": gpu or half,
        "gradient_checkpointing": False,  # TRL's default; slower, and these texts are short
        "dataloader_pin_memory": gpu,
        "logging_steps": 1,
        "logging_first_step": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _network(base: Path, config: WriterTraining, adapter: Path | None, dtype: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """The base with the LoRA that learns, and its tokenizer."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    net: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    torch.manual_seed(config.seed)
    if adapter is not None:
        return peft.PeftModel.from_pretrained(net, adapter, is_trainable=True), tokenizer
    shape = peft.LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=0.0,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(net, shape), tokenizer


def _tokens(pairs: Sequence[Pair], renderer: Any) -> list[dict[str, list[int]]]:  # noqa: ANN401 -- a PromptRenderer
    """The ids of each pair that fits, as TRL's collator takes them; texts end with the end of the turn."""
    end = [int(renderer.tokenizer.eos_token_id)]
    rows = []
    for pair in pairs:
        prompt = renderer.encode(pair.prompt)
        texts = [renderer.encode_text(text) + end for text in (pair.chosen, pair.rejected)]
        if len(prompt) + max(map(len, texts)) <= CONTEXT:
            rows.append({"prompt_ids": prompt, "chosen_ids": texts[0], "rejected_ids": texts[1]})
    return rows


def _pair(value: Mapping[str, Any], where: str) -> Pair:
    messages, chosen, rejected = value.get("prompt"), value.get("chosen"), value.get("rejected")
    try:
        told = tuple(Message(one["role"], one["text"]) for one in messages or ())
    except (TypeError, KeyError):
        told = ()
    if not told or not isinstance(chosen, str) or not isinstance(rejected, str) or not chosen or not rejected:
        raise BadRequest(f'{where} is no pair: it needs "prompt", "chosen" and "rejected", as `describe` writes them.')
    return Pair(Prompt(told), chosen, rejected, str(value.get("id", "")))
