"""A copy of a base model without some of its layers: a smaller one, for `chatalogue starter` to heal with a LoRA.

Which layers go is found as by Gromov et al. 2024, "The Unreasonable Ineffectiveness of the Deeper Layers" (section
3.2): the block between whose input and output the last token's state turns by the smallest angle. Knows nothing of
training. Run as `python -m finetune.starter.pruning --drop 6 --out FOLDER`.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.errors import BadRequest

if TYPE_CHECKING:
    import torch

PROMPTS = 48
"""Turns to understand whose states are compared; the angles of neighbouring blocks differ by more than these vary."""
SEED = 11
LAYER = re.compile(r"^(model\.layers\.)(\d+)(\..*)$")
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MANIFEST = "manifest.json"
"""Of the folder that the base was unpacked into: its hashes are of the whole model."""


@dataclass(frozen=True, slots=True)
class Block:
    """Layers `first` .. `first + count - 1`, and the mean angle (0 .. 1, of half a turn) that they add."""

    first: int
    count: int
    angle: float


def least_missed(base: Path, count: int) -> Block:
    """The block of `count` layers that turns the last token's state least.

    Raises:
        BadRequest: the model does not have more than `count` layers.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from agent.llm.quiet import quiet_transformers
    from agent.llm.tokens import PromptRenderer
    from finetune.starter.catalogues import learned_from
    from finetune.starter.examples import over_catalogues

    quiet_transformers()
    renderer = PromptRenderer.from_folder(base)
    net: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    layers = int(net.config.num_hidden_layers)
    if not 0 < count < layers:
        raise BadRequest(f"{count} layers cannot be dropped: the model has {layers}; name a smaller number.")
    ends: list[torch.Tensor] = []
    with torch.no_grad():
        for one in over_catalogues(tuple(learned_from(4, SEED)), PROMPTS, SEED):
            ids = torch.tensor([renderer.encode(one.prompt)])
            states = net(ids, output_hidden_states=True, use_cache=False, logits_to_keep=1).hidden_states
            # The last state is behind the final norm and cannot be compared, so the last layer stays.
            ends.append(torch.stack([state[0, -1] for state in states[:-1]]))
    return _smallest(torch.stack(ends), count)


def _smallest(states: torch.Tensor, count: int) -> Block:
    """Of states (prompts, layers, width): before each layer."""
    import torch

    before, behind = states[:, :-count], states[:, count:]
    cosine = torch.nn.functional.cosine_similarity(before, behind, dim=-1).clamp(-1, 1)
    angles = torch.arccos(cosine).mean(0) / math.pi
    first = int(angles.argmin())
    return Block(first, count, float(angles[first]))


def prune(base: Path, block: Block, out: Path) -> None:
    """Write the model without the block's layers into `out`, which must not exist; the rest is copied as it is.

    Raises:
        BadRequest: `out` exists, or the weights are not in one file.
    """
    from safetensors.torch import load_file, save_file

    if out.exists():
        raise BadRequest(f"{str(out)!r} exists already; name another folder.")
    if not (base / WEIGHTS).is_file():
        raise BadRequest(f"{str(base)!r} has no file {WEIGHTS}; layers are dropped from weights in one file only.")
    weights = load_file(base / WEIGHTS)
    kept = {new: weight for name, weight in weights.items() if (new := _renumbered(name, block)) is not None}
    config = json.loads((base / CONFIG).read_text(encoding="utf-8"))
    config["num_hidden_layers"] -= block.count
    if isinstance(config.get("layer_types"), list):
        config["layer_types"] = _without(config["layer_types"], block)
    skipped = shutil.ignore_patterns(WEIGHTS, CONFIG, MANIFEST)
    shutil.copytree(base, out, ignore=skipped)
    save_file(kept, out / WEIGHTS, metadata={"format": "pt"})
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _renumbered(name: str, block: Block) -> str | None:
    """The tensor's name in the smaller model; None: it is not there."""
    found = LAYER.match(name)
    if found is None:
        return name
    number = int(found[2])
    if block.first <= number < block.first + block.count:
        return None
    return f"{found[1]}{number - block.count if number >= block.first else number}{found[3]}"


def _without(each: Sequence[object], block: Block) -> list[object]:
    return [*each[: block.first], *each[block.first + block.count :]]


def main(
    drop: Annotated[int, typer.Option(min=1, help="Layers.")],
    out: Annotated[Path, typer.Option(help="Folder of the smaller model.")],
    model: Annotated[str, typer.Option(help="As CHATALOGUE_LLM__MODEL.")] = "smollm2-135m-instruct",
    models_dir: Annotated[Path, typer.Option(help="Where weights are kept.")] = Path("var/models"),
) -> None:
    """Write the smaller model and print which layers are gone."""
    from agent.llm.weights import resolve_model
    from retrieval.errors import ChatalogueError

    try:
        base = resolve_model(model, models_dir)
        block = least_missed(base, drop)
        prune(base, block, out)
    except ChatalogueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps({"first": block.first, "count": block.count, "angle": round(block.angle, 4)}))


if __name__ == "__main__":
    typer.run(main)
