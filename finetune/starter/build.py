"""From a recipe to the adapter's folder: data, training, files, and the manifest that makes the folder exist.

Knows nothing of how progress is drawn.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.llm.adapter_check import CONFIG_FILE, WEIGHTS_FILE
from agent.llm.weights import resolve_model
from agent.starter.choosing import MANIFEST, base_identity
from finetune.starter.catalogues import Catalogue, catalogue_of, copied, held_out, learned_from
from finetune.starter.examples import Example, over_catalogues, reply_examples, text_examples
from finetune.starter.recipe import Recipe
from finetune.starter.redial import RedialFiles, redial_examples
from retrieval.errors import BadRequest
from retrieval.loading import load_catalogue

if TYPE_CHECKING:
    from agent.llm.tokens import PromptRenderer
    from finetune.starter.batches import Encoded
    from finetune.starter.train import Data, Progress, Trained

FORMAT = 1
"""Of the manifest."""
OWN_COPIES = 8
"""Copies of somebody's own catalogue: so that the adapter still reads it when its values change."""
LICENCE = "Apache-2.0"
REDIAL_CREDIT = "ReDial train dialogues, Li et al. 2018, CC BY 4.0 (https://redialdata.github.io/website)"
TEXT_CREDIT = "Demo shop of Chatalogue; film facts from Wikidata, CC0 1.0"

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made.

    Attributes:
        recipe: how.
        model: the base, as CHATALOGUE_LLM__MODEL.
        models_dir: where weights are kept.
        out: the adapter's folder.
        runs: gets a folder for the checkpoint.
        catalogue: somebody's own; None: demo shop and invented ones alone.
        mapping: of its columns.
        noun: what its customers call one thing of it.
        pretrain: whether to pre-train on the texts of the items first.
        redial: ReDial's train dialogues; None: without.
    """

    recipe: Recipe
    model: str
    models_dir: Path
    out: Path
    runs: Path
    catalogue: Path | None = None
    mapping: Path | None = None
    noun: str = "item"
    pretrain: bool = False
    redial: RedialFiles | None = None


@dataclass(frozen=True, slots=True)
class _Sources:
    """Catalogues to learn from, those with texts among them first, and somebody's own."""

    learned: Sequence[Catalogue]
    own: Catalogue | None


def build(
    order: Order, say: Say, told: Callable[[Progress], None], stopped: Callable[[], bool] = lambda: False
) -> Trained:
    """Make the adapter; a run that was stopped goes on when the same is asked for again.

    Args:
        order: what.
        say: is told each stage in one line.
        told: after each step of training.
        stopped: asked after each step; True ends the training, with the best weights so far.

    Raises:
        ChatalogueError: the model, the catalogue, the recipe or the folder cannot be used.
    """
    import torch

    from finetune.rank_model import LoraShape, best_dtype
    from finetune.starter.batches import counts
    from finetune.starter.network import StarterModel
    from finetune.starter.train import Trainer

    recipe = order.recipe
    base = resolve_model(order.model, order.models_dir)
    _check_out(order.out)
    sources = _sources(order)
    model = StarterModel(base, LoraShape(recipe.lora.rank, recipe.lora.alpha), recipe.seed, best_dtype())
    data = _data(order, sources, model.renderer, say)
    say(f"{len(data.learned)} examples to learn from, {counts(data.learned)['tokens']} tokens in rows of their own")
    trainer = Trainer(model, data, recipe.train, recipe.pretrain.share, recipe.seed, order.runs)
    trained = trainer.run(told, stopped)
    manifest = order.out / MANIFEST
    manifest.unlink(missing_ok=True)  # first: half-written files must not look finished
    model.save(order.out, _base_name(order.model))
    fields = _manifest(order, sources, data, trained, base_identity(base))
    fields["versions"] = {"torch": torch.__version__}
    draft = order.out / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(draft, manifest)
    return trained


def _check_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The folder {str(out)!r} cannot be made ({error.strerror or error}); name another.") from None


# -- data ------------------------------------------------------------------------------------------


def _sources(order: Order) -> _Sources:
    recipe = order.recipe
    general = tuple(learned_from(recipe.data.copies, recipe.seed))
    if order.catalogue is None:
        return _Sources(general, None)
    own = catalogue_of("own", load_catalogue(order.catalogue, mapping=order.mapping).items, order.noun)
    copies = tuple(copied(own, recipe.seed, number) for number in range(OWN_COPIES))
    # As much of the own one as of all others together: it is what the adapter is for.
    return _Sources((*(own,) * (len(general) + OWN_COPIES), *copies, *general), own)


def _data(order: Order, sources: _Sources, renderer: PromptRenderer, say: Say) -> Data:
    from finetune.starter.batches import encode
    from finetune.starter.train import Data

    told, seed = order.recipe.data, order.recipe.seed
    unseen = [held_out(seed)]

    def encoded(stage: str, examples: Iterator[Example]) -> list[Encoded]:
        say(f"making {stage}")
        return encode(examples, renderer)

    learned = encoded(
        "turns to understand", over_catalogues(sources.learned, told.understand, seed, "train", told.nothing)
    )
    if order.redial is not None:
        learned += encoded("turns of ReDial", redial_examples(order.redial, told.redial))
    learned += encoded("replies", reply_examples(sources.learned, told.reply, seed))
    watched = {
        "understand": encoded(
            "what is watched", over_catalogues(unseen, told.held_out, seed, "held_out", told.nothing)
        ),
        "reply": encode(reply_examples(unseen, told.held_out_reply, seed, "held_out"), renderer),
    }
    texts = encode(_texts(sources), renderer) if order.pretrain else []
    return Data(learned, watched, texts, frozenset({"reply"}))


def _texts(sources: _Sources) -> Iterator[Example]:
    catalogues = [sources.own] if sources.own else [one for one in sources.learned if one.items[0].text]
    for catalogue in catalogues:
        yield from text_examples(catalogue)


# -- the manifest ----------------------------------------------------------------------------------


def _manifest(order: Order, sources: _Sources, data: Data, trained: Trained, identity: str) -> dict[str, Any]:
    credits = [TEXT_CREDIT, *([REDIAL_CREDIT] if order.redial else [])]
    return {
        "format": FORMAT,
        "base": {"model": _base_name(order.model), "identity": identity},
        "recipe": order.recipe.model_dump(),
        "data": {
            "catalogues": sorted({one.name for one in sources.learned}),
            "catalogue": _file_facts(order.catalogue),
            "redial": _file_facts(order.redial.rows if order.redial else None),
            "sets": _sets(data),
            "hash": trained.data,
        },
        "training": {
            "steps": trained.steps,
            "seconds": round(trained.seconds),
            "tokens": trained.tokens,
            "best": asdict(trained.best) if trained.best else None,
            "watched": [asdict(one) for one in trained.history],
        },
        "commit": _commit(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": LICENCE,
        "credits": credits,
        "files": {
            name: hashlib.sha256((order.out / name).read_bytes()).hexdigest() for name in (WEIGHTS_FILE, CONFIG_FILE)
        },
    }


def _base_name(model: str) -> str:
    """A path's last part: the rest is of this machine."""
    return Path(model).name if Path(model).expanduser().exists() else model


def _sets(data: Data) -> Mapping[str, Mapping[str, int]]:
    from finetune.starter.batches import counts

    by_skill: dict[str, list[Encoded]] = {}
    for one in data.learned:
        by_skill.setdefault("redial" if one.group.endswith(" redial") else one.group.partition(" ")[0], []).append(one)
    watched = {f"watched {name}": examples for name, examples in data.watched.items()}
    pretrained = {"texts": data.before} if data.before else {}
    return {name: counts(examples) for name, examples in {**by_skill, **watched, **pretrained}.items()}


def _file_facts(file: Path | None) -> Mapping[str, str] | None:
    """Its name and hash: no path of this machine."""
    if file is None:
        return None
    return {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def _commit() -> str | None:
    """Of the code, where it lies in a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).resolve().parent
    done = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or None
