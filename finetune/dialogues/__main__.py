"""`python -m finetune.dialogues`: prints generated turns, or measures the rules on them.

Examples:
    python -m finetune.dialogues --items films.jsonl --noun film --n 20
    python -m finetune.dialogues --items films.jsonl --noun film --n 300 --measure
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from finetune.dialogues.generate import DialogueGenerator
    from finetune.dialogues.measure import Measured, Reader
    from finetune.dialogues.types import GeneratedTurn, Split

MISSES_TOLD = 10


def generate(
    items: Annotated[Path, typer.Option(help="A catalogue, as for `chatalogue index`.")],
    n: Annotated[int, typer.Option(help="Turns.", min=1)] = 20,
    split: Annotated[str, typer.Option(help="Which phrases: train or held_out.")] = "held_out",
    noun: Annotated[str, typer.Option(help="What customers call one thing of the catalogue.")] = "item",
    seed: Annotated[int, typer.Option()] = 0,
    measured: Annotated[
        bool, typer.Option("--measure", help="Read them with the rules and score what is found.")
    ] = False,
) -> None:
    """Print turns of generated dialogues as JSON lines, or how well the rules read them."""
    from finetune.dialogues.measure import measure
    from retrieval.errors import ChatalogueError

    try:
        generator, reader = _opened(items, split, noun, seed)
    except ChatalogueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if measured:
        typer.echo(_table(measure(generator.turns(n), reader)))
        return
    for turn in generator.turns(n):
        typer.echo(_line(turn))


def _opened(file: Path, split: str, noun: str, seed: int) -> tuple[DialogueGenerator, Reader]:
    from agent.understand.lexicon import Lexicon
    from agent.understand.rules import Rules
    from finetune.dialogues.generate import DialogueGenerator, Manner
    from retrieval.errors import BadRequest
    from retrieval.loading import load_catalogue
    from retrieval.shape import CatalogueShape

    splits: dict[str, Split] = {"train": "train", "held_out": "held_out"}
    if split not in splits:
        raise BadRequest(f"--split is train or held_out, not {split}.")
    items = load_catalogue(file).items
    shape = CatalogueShape.of(items)
    by_id = {item.id: item for item in items}
    manner = Manner(splits[split], noun=noun, plural=f"{noun}s")
    rules = Rules(Lexicon.of(items, shape), by_id.__getitem__)
    return DialogueGenerator(items, shape, manner, seed), rules.understand


def _line(turn: GeneratedTurn) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(turn), ensure_ascii=False)


def _table(result: Measured) -> str:
    lines = [
        f"{result.n} turns, {result.exact} read without a mistake, {result.intents} with the right intent",
        "kind        precision  recall     F1  wanted",
    ]
    lines += [
        f"{one.kind:<11} {one.precision:>9.3f} {one.recall:>7.3f} {one.f1:>6.3f} {one.wanted:>7}"
        for one in result.kinds
    ]
    lines.append("not found, most often first:")
    lines += [
        f"{miss.count:>3} {miss.kind} | {miss.phrase} | {miss.text} | read as {miss.read}"
        for miss in result.misses[:MISSES_TOLD]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(generate)
