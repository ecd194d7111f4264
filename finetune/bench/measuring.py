"""The benchmark of learning, cell by cell: learn a block with a method, take on what came of it, ask about the blocks.

Every cycle's adapter is the champion of the next; there is no gate, no held-out row and no early stop, so methods
differ in nothing but themselves. Knows nothing of how progress is drawn.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from agent.llm.adapter_check import CONFIG_FILE, WEIGHTS_FILE
from finetune.bench.figures import NOTHING, Cell, LearningReport, Outcome, Pace, StreamFigures, method_figures
from finetune.bench.keeping import Kept, Name
from finetune.bench.streams import Question, Sizes, Stream, dialogue_stream, domain_stream, general_questions
from finetune.memory import ReplayMemory
from finetune.train import Job, train
from finetune.training.recipe import METHODS, LearningRecipe, LoraPart, MethodName
from finetune.training.rows import rehearsed_count
from retrieval.errors import BadRequest

if TYPE_CHECKING:
    from finetune.bench.probing import Probe, Said
    from finetune.training.lessons import Lesson

StreamName: TypeAlias = Literal["dialogues", "domains"]
STREAMS: tuple[StreamName, ...] = get_args(StreamName)
DEFAULT: MethodName = "replay+proximal"
OFTEN = (NOTHING, "naive", DEFAULT)
"""Methods with all seeds; the others have the first one."""
ROW_TOKENS = 512
"""Of a step: a block is small, and with the product's 4,096 it would be one step."""
FISHER_MEMORY = 32
"""Rows that EWC's memory has: each costs a pass of its own in every cycle, and more than its training."""
NEVER = 10**6
SECONDS_A_MINUTE = 60

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured.

    Attributes:
        base: folder of the base model.
        base_name: its name.
        champion: the adapter that every stream begins with; None: the base itself.
        dialogues: folder of OpenDialKG; None: without that stream.
        recipe: of every method; method and seed are the cell's.
        streams: which.
        methods: which, `NOTHING` among them.
        seeds: of the methods in `OFTEN`, so many.
        first_seed: the least of them, which all methods have; numbers are tuned on seeds that no figures come from.
        sizes: of blocks.
        work: folder for adapters while they are needed.
        pace_rows: rows of the comparison with TRL; 0: without.
        rounds: of it.
    """

    base: Path
    base_name: str
    champion: Path | None
    dialogues: Path | None
    recipe: LearningRecipe
    work: Path
    streams: tuple[StreamName, ...] = STREAMS
    methods: tuple[str, ...] = (NOTHING, *METHODS)
    seeds: int = 3
    first_seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    pace_rows: int = 0
    rounds: int = 2

    def chains(self) -> list[tuple[StreamName, str, int]]:
        """Stream, method and seed, in their order: what says most comes first."""
        rank = {name: at for at, name in enumerate((*OFTEN, *METHODS))}
        found = [
            (stream, method, seed)
            for stream in self.streams
            for method in self.methods
            for seed in range(self.first_seed, self.first_seed + (self.seeds if method in OFTEN else 1))
        ]
        return sorted(found, key=lambda one: (one[2], one[1] not in OFTEN, rank[one[1]], one[0]))

    def stream(self, name: StreamName, seed: int) -> Stream:
        """The stream of that name.

        Raises:
            BadRequest: there is no folder of dialogues, or it has too few.
        """
        if name == "domains":
            return domain_stream(self.sizes, seed)
        if self.dialogues is None:
            raise BadRequest("The stream of dialogues needs --dialogues, a folder with items, train and valid.")
        return dialogue_stream(self.dialogues, self.sizes, seed)

    @property
    def lora(self) -> LoraPart:
        """The shape of every adapter: the champion's, so that one model can take on all of them."""
        if self.champion is None:
            return self.recipe.lora
        fields = json.loads((self.champion / CONFIG_FILE).read_text(encoding="utf-8"))
        return LoraPart(rank=fields["r"], alpha=fields["lora_alpha"])

    def decides(self) -> dict[str, Any]:
        """All that a cell's numbers depend on besides its name."""
        digest = None
        if self.champion is not None:
            digest = hashlib.sha256((self.champion / WEIGHTS_FILE).read_bytes()).hexdigest()[:12]
        return {
            "recipe": self.recipe.model_dump(),
            "methods": {name: asdict(method) for name, method in METHODS.items()},
            "base": self.base_name,
            "champion": digest,
            "sizes": asdict(self.sizes),
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that are computed in training and in asking, of cells that are not finished."""

    cells: int
    trained: int
    asked: int

    def minutes(self, trained_per_s: float, asked_per_s: float) -> float:
        """At that speed."""
        return (self.trained / trained_per_s + self.asked / asked_per_s) / SECONDS_A_MINUTE


class Bench:
    """One run.

    Args:
        plan: what.
        kept: what is finished, and gets what will be.
        say: is told of each cell in a line.
        stream_of: the stream of a name and a seed; None: those of streams.py.

    Raises:
        BadRequest: a method is unknown, or a stream has no files.
    """

    def __init__(
        self, plan: Plan, kept: Kept, say: Say, stream_of: Callable[[StreamName, int], Stream] | None = None
    ) -> None:
        unknown = [one for one in plan.methods if one != NOTHING and one not in METHODS]
        if unknown or NOTHING not in plan.methods:
            raise BadRequest(
                f"--methods are {', '.join((NOTHING, *METHODS))}, and {NOTHING} is among them: the others are "
                f"compared with it; not {', '.join(plan.methods)}."
            )
        self._plan, self._kept, self._say = plan, kept, say
        self._stream = cache(stream_of or plan.stream)
        self._heard: dict[Path | None, Said] = {}
        told = tomllib.loads(files("finetune.bench").joinpath("general.toml").read_text("utf-8"))
        self._chat = general_questions([(one["asked"], one["told"]) for one in told["chat"]])

    @cached_property
    def probe(self) -> Probe:
        """Loaded when something is first asked."""
        from finetune.bench.probing import Probe
        from finetune.rank_model import LoraShape

        lora = self._plan.lora
        return Probe(self._plan.base, self._plan.champion, LoraShape(lora.rank, lora.alpha))

    def run(self) -> LearningReport:
        """All cells that are not finished, then the report.

        Raises:
            ChatalogueError: a package for training is missing, or a folder cannot be written.
        """
        left = [one for one in self._plan.chains() if self._first_open(*one) is not None]
        if left:
            self._tell_budget(left)
        for chain in left:
            self._chain(*chain)
        if self._plan.pace_rows and not self._kept.paces:
            self._kept.add_paces(paces(self._plan, self._say))
        return self.report()

    # --- cells --------------------------------------------------------------------------------------

    def _first_open(self, stream: StreamName, method: str, seed: int) -> int | None:
        """The first block that is not finished, 0 for no learning; None: all are."""
        blocks = range(1) if method == NOTHING else range(1, len(self._stream(stream, seed).blocks) + 1)
        return next((one for one in blocks if self._kept.find((stream, method, seed, one)) is None), None)

    def _chain(self, name: StreamName, method: str, seed: int) -> None:
        """The blocks of one method and seed, from the first one that is not finished."""
        stream, first = self._stream(name, seed), self._first_open(name, method, seed)
        if method == NOTHING:
            self._finish(self._asked(stream, (name, method, seed, 0), None, None))
            return
        folder = self._plan.work / f"{name}-{method}-{seed}"
        if first and first > 1 and not _adapter(folder, first - 1).exists():
            first = 1  # what it would begin with is gone; the same comes out again
        for number in range(first or 1, len(stream.blocks) + 1):
            before = _adapter(folder, number - 1) if number > 1 else self._plan.champion
            self._finish(self._learned((name, method, seed, number), stream, folder, before))
            shutil.rmtree(_adapter(folder, number - 1), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _learned(self, name: Name, stream: Stream, folder: Path, before: Path | None) -> Cell:
        """One block's cell; leaves its adapter in `folder`."""
        out = _adapter(folder, name[3])
        shutil.rmtree(out, ignore_errors=True)
        result = train(
            Job(
                stream.blocks[name[3] - 1].learn, self._plan.base, self._plan.base_name, before, out, folder / "runs",
                self._recipe(name), self._plan.champion, memory=self._memory(stream, name), cycle=name[3], device="cpu",
            )
        )  # fmt: skip
        assert result is not None  # noqa: S101 -- nobody stops it
        spent = {"tokens": round(result.tokens_per_s * result.seconds), "seconds": round(result.seconds, 2)}
        return self._asked(stream, name, before, out).model_copy(update={**spent, "steps": result.steps})

    def _asked(self, stream: Stream, name: Name, before: Path | None, adapter: Path | None) -> Cell:
        """What `adapter` knows; None: the champion that the stream begins with. `before`: its own champion."""
        from finetune.bench.probing import divergence

        probe, after, last = self.probe, name[3], len(stream.blocks)
        first, theirs, mine = self._said(None), self._said(before), self._said(adapter)
        probe.become(adapter)
        # After the last block all is asked; before it, what lies behind the next block tells nothing that is reported.
        asked = range(1, last + 1) if after in (0, last) else range(1, after + 2)
        return Cell(
            stream=name[0], method=name[1], seed=name[2], block=after,
            right={number: probe.right(stream.blocks[number - 1].test) for number in asked},
            anchors=probe.right(stream.anchors) if after in (0, last) else [],
            chat=[round(loss, 5) for loss in mine.losses],
            kl=round(divergence(mine, theirs), 6),
            drift=round(divergence(mine, first), 6),
        )  # fmt: skip

    def _said(self, adapter: Path | None) -> Said:
        """What an adapter says of general chat; the first champion's and the last one's are remembered."""
        if adapter not in self._heard:
            self.probe.become(adapter)
            self._heard = {one: said for one, said in self._heard.items() if one is None}
            self._heard[adapter] = self.probe.said(self._chat)
        return self._heard[adapter]

    def _finish(self, cell: Cell) -> None:
        self._kept.add(cell)
        shares = ", ".join(f"block {at} {sum(right) / len(right):.2f}" for at, right in cell.right.items())
        self._say(
            f"{cell.stream}, {cell.method}, seed {cell.seed}, after block {cell.block}: {shares}; KL {cell.kl:.3f}"
        )

    def _recipe(self, name: Name) -> LearningRecipe:
        recipe = self._plan.recipe
        part = recipe.train.model_copy(update={"every": NEVER})
        changed = {"method": name[1], "refit_every": 0, "seed": name[2], "lora": self._plan.lora, "train": part}
        return recipe.model_copy(update=changed)

    def _memory(self, stream: Stream, name: Name) -> ReplayMemory:
        """All that was learned before this block."""
        memory = ReplayMemory(FISHER_MEMORY, name[2]) if name[1] == "ewc" else ReplayMemory(seed=name[2])
        memory.offer(lesson for lessons in _before(stream, name[3]) for lesson in lessons)
        return memory

    # --- budget -------------------------------------------------------------------------------------

    def _tell_budget(self, chains: Sequence[tuple[StreamName, str, int]]) -> None:
        """What is left to be computed, and how long it takes at the speed of a first step."""
        budget = self.budget(chains)
        trained, asked = self._speeds(self._stream(*chains[0][::2]))
        self._say(
            f"budget: {budget.cells} cells, {budget.trained:,} tokens of training at {trained:.0f} a second and "
            f"{budget.asked:,} of asking at {asked:.0f}: {budget.minutes(trained, asked):.0f} minutes"
        )

    def budget(self, chains: Sequence[tuple[StreamName, str, int]]) -> Budget:
        """Of the cells that are not finished."""
        cells = trained = asked = 0
        for name, method, seed in chains:
            stream, first = self._stream(name, seed), self._first_open(name, method, seed)
            for number in range(first or 0, 1 if method == NOTHING else len(stream.blocks) + 1):
                cells += 1
                blocks = stream.blocks[: number + 1] if number not in (0, len(stream.blocks)) else stream.blocks
                asked += sum(self._tokens_of(block.test) for block in blocks) + self._tokens_of(self._chat)
                asked += self._tokens_of(stream.anchors) if number in (0, len(stream.blocks)) else 0
                trained += self._trained(stream, method, number) if number else 0
        return Budget(cells, trained, asked)

    def _trained(self, stream: Stream, method: str, number: int) -> int:
        """Tokens of one job; a mean rehearsed row is taken to be as long as a mean new one."""
        recipe, rehearsal = self._plan.recipe, METHODS[method].rehearsal  # type: ignore[index]
        new = stream.blocks[number - 1].learn
        old = sum(len(lessons) for lessons in _before(stream, number))
        again = {"none": 0, "share": min(old, rehearsed_count(len(new), recipe.replay.share)), "all": old}[rehearsal]
        epochs = recipe.train.refit_epochs if method == "refit" else recipe.train.epochs
        found = epochs * self._tokens_of_lessons(new) * (1 + again / len(new))
        if method == "ewc":
            found += min(old, FISHER_MEMORY) * self._alone(new)
        return round(found)

    def _tokens_of(self, questions: Sequence[Question]) -> int:
        """Of a forward pass over all of them; alternatives share their prompt."""
        from finetune.training.lessons import Lesson

        renderer = self.probe.model.renderer
        many = sum(len(renderer.encode_text(answer)) for one in questions for answer in one.answers[1:])
        lessons = [Lesson(one.id, "sft", one.prompt, one.answers[:1]) for one in questions]
        if many:
            return many + sum(self._tokens_of_lessons([one]) for one in lessons)
        return self._tokens_of_lessons(lessons)

    def _tokens_of_lessons(self, lessons: Sequence[Lesson]) -> int:
        from finetune.training.rows import encode, packed

        told = self._plan.recipe.train
        rows = packed(encode(lessons, self.probe.model.renderer, told.lesson_tokens), told.row_tokens, (0,))
        return sum(row.row.tokens for row in rows)

    def _alone(self, lessons: Sequence[Lesson]) -> float:
        return sum(self._tokens_of_lessons([one]) for one in lessons) / len(lessons)

    def _speeds(self, stream: Stream) -> tuple[float, float]:
        """Tokens a second of a first step of training, and of asking."""
        from finetune.training.rows import encode, packed

        told, model = self._plan.recipe.train, self.probe.model
        rows = packed(encode(stream.blocks[0].learn, model.renderer, told.lesson_tokens), told.row_tokens, (0,))
        rows = sorted(rows, key=lambda row: row.row.tokens)[-2:]
        model.logits(rows[0].row)  # what happens once
        started = time.monotonic()
        model.logits(rows[-1].row).logsumexp(-1).mean().backward()  # type: ignore[no-untyped-call]
        trained = rows[-1].row.tokens / (time.monotonic() - started)
        model.net.zero_grad()
        before, started = self.probe.tokens, time.monotonic()
        self.probe.right(stream.blocks[0].test[:8])
        return trained, (self.probe.tokens - before) / (time.monotonic() - started)

    # --- what it came to ----------------------------------------------------------------------------

    def report(self) -> LearningReport:
        """Of all chains that are finished; the cells of the others are named as missing."""
        plan = self._plan
        missing = [
            f"{stream}, {method}, seed {seed}, from block {first}"
            for stream, method, seed in plan.chains()
            if (first := self._first_open(stream, method, seed)) is not None
        ]
        told = plan.recipe
        recipe = {
            "rate": told.train.rate, "epochs": float(told.train.epochs), "refit epochs": float(told.train.refit_epochs),
            "tokens of a row": float(told.train.row_tokens), "rows of a step": float(told.train.rows),
            "share of replay": told.replay.share, "weight of replay": told.replay.weight,
            "proximal": told.penalty.proximal, "orthogonal": told.penalty.orthogonal, "ewc": told.penalty.ewc,
        }  # fmt: skip
        return LearningReport(
            model=plan.base_name, recipe=recipe, missing=missing, paces=self._kept.paces, pace_rows=plan.pace_rows,
            streams=[found for name in plan.streams if (found := self._figures(name))],
        )  # fmt: skip

    def _figures(self, name: StreamName) -> StreamFigures | None:
        stream = self._stream(name, self._plan.first_seed)
        domains = [block.domain for block in stream.blocks]
        methods = []
        for method in self._plan.methods:
            outcomes = list(self._outcomes(name, method))
            if outcomes:
                methods.append(method_figures(method, outcomes, domains))
        nothing = self._kept.find((name, NOTHING, self._plan.first_seed, 0))
        if nothing is None:
            return None
        return StreamFigures(
            name=name, domains=domains, learn=self._plan.sizes.learn, test=self._plan.sizes.test,
            anchors=len(nothing.anchors), before=sum(nothing.anchors) / len(nothing.anchors), methods=methods,
        )  # fmt: skip

    def _outcomes(self, name: StreamName, method: str) -> Iterator[Outcome]:
        for stream, one, seed in self._plan.chains():
            nothing = self._kept.find((name, NOTHING, seed, 0))
            if (stream, one) != (name, method) or nothing is None or self._first_open(name, method, seed) is not None:
                continue
            blocks = self._stream(name, seed).blocks
            numbers = range(1, len(blocks) + 1) if method != NOTHING else range(0)
            found = [self._kept.find((name, method, seed, number)) for number in numbers]
            groups = {number: [question.group for question in block.test] for number, block in enumerate(blocks, 1)}
            yield Outcome({cell.block: cell for cell in found if cell}, nothing, groups)


def paces(plan: Plan, say: Say) -> list[Pace]:
    """Our trainer and TRL's over the same rows, by turns."""
    from finetune.training.speed import compare, rows_of

    found = compare(plan.base, rows_of(plan.pace_rows), plan.rounds, say)
    return [
        Pace(
            name=name, rows_per_s=round(one.rows_per_s, 3), rows_per_cpu_s=round(one.rows_per_cpu_s, 3),
            tokens_per_s=round(one.tokens_per_s, 1),
        )
        for name, one in found.items()
    ]  # fmt: skip


def bench_recipe(recipe: LearningRecipe) -> LearningRecipe:
    """The product's, in steps as small as a block is; a refit sees each row as often as the others see a new one."""
    part = recipe.train.model_copy(update={"row_tokens": ROW_TOKENS, "rows": 1, "refit_epochs": recipe.train.epochs})
    return recipe.model_copy(update={"train": part})


def _before(stream: Stream, number: int) -> list[Sequence[Lesson]]:
    """What was learned before a block: before the first, what the first champion had learned."""
    return [stream.known, *(block.learn for block in stream.blocks[: number - 1])]


def _adapter(folder: Path, number: int) -> Path:
    return folder / f"block-{number}"
