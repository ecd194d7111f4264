"""One training job: rows of a cycle in, the folder of the next adapter out, complete or absent.

A job that was killed goes on from its last checkpoint when the same is asked for again, and ends with the very same
weights. Knows nothing of where rows come from (finetune/dataset.py), of whether the adapter is any good (the gate) or
of who serves it (the registry).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agent.llm.adapter_check import CONFIG_FILE, WEIGHTS_FILE
from agent.starter.choosing import base_identity
from finetune.memory import ReplayMemory
from finetune.stopping import AskedToStop
from finetune.training.lessons import Lesson, lessons_hash
from finetune.training.recipe import METHODS, LearningRecipe, Method, MethodName
from finetune.training.telling import HELD_OUT, Picture, Progress, Told
from retrieval.errors import BadRequest, ModelUnavailable

if TYPE_CHECKING:
    from finetune.training.network import CycleModel
    from finetune.training.objective import Objective
    from finetune.training.private import Privacy
    from finetune.training.rows import Plan, Tokens
    from finetune.training.trainer import Steps

FORMAT = 1
"""Of the work folder and the record."""
RECORD, LINEAGE, PICTURE = "training.json", "lineage.jsonl", "loss.svg"
FISHER_ROWS = 128
"""Of the memory, that EWC measures its Fisher information on: each costs a forward and a backward pass."""
PACKAGES = ("torch", "transformers", "peft", "trl")

Device: TypeAlias = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be learned, from what, and how.

    Attributes:
        rows: of this cycle; caps and down-weighting are in their weights.
        base: folder of the base model (agent.llm.weights.resolve_model).
        base_name: its name, for the adapter's config.
        champion: folder of the adapter that serves now; None: the base alone does.
        starter: folder of the adapter that no customer taught; None: there is none. A refit begins beside it, and it is
            all that a refit knows of those before: the champion may have learned from people who were erased since.
        out: a folder that does not exist.
        runs: gets a folder for this job's checkpoints while it runs.
        recipe: how.
        held_out: rows of this cycle that are not learned from; the best weights are those with the least loss on them.
            Under privacy only those without a user are looked at, as of the anchors, and the last weights are the best.
        anchors: sets that must not be forgotten, by name: their loss may rise by the recipe's tolerance at most.
        memory: what is rehearsed; it is not changed, the caller offers the rows to it when the adapter was promoted.
        cycle: 1, 2, ...; tells when a refit is due.
        device: `auto` takes a GPU where there is one.
        threads: of the CPU; 0: as it is.
        nice: added to the niceness of this process, for good; for jobs in a process of their own.
    """

    rows: Sequence[Lesson]
    base: Path
    base_name: str
    champion: Path | None
    out: Path
    runs: Path
    recipe: LearningRecipe
    starter: Path | None = None
    held_out: Sequence[Lesson] = ()
    anchors: Mapping[str, Sequence[Lesson]] = field(default_factory=dict)
    memory: ReplayMemory | None = None
    cycle: int = 1
    device: Device = "auto"
    threads: int = 0
    nice: int = 0

    @property
    def method(self) -> MethodName:
        """What this cycle does."""
        return self.recipe.method_of(self.cycle)

    @property
    def reference(self) -> Path | None:
        """What it begins at, is penalised for leaving and is compared with; None: the base, and there is no penalty."""
        start = METHODS[self.method].start
        return self.champion if start in ("champion", "beside") else self.starter if start == "starter" else None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished job.

    Attributes:
        folder: adapter_model.safetensors, adapter_config.json, training.json, lineage.jsonl and loss.svg.
        method: what was done.
        steps: that were taken; the weights are those of step `best_step`.
        before: losses of the watched sets under the job's reference.
        after: under the new adapter.
        kl: how far it went from the reference on each of them, nats an answer token.
        forgot: whether an anchor set is worse than the recipe allows: no step was better. The gate should refuse it.
        users: different people whose rows were learned from.
        tokens_per_s: over all steps.
        seconds: of all steps, over all sittings.
        peak_bytes: of the process, of the GPU where there is one.
        privacy: what it spent of the privacy of people, as training.json and the manifest say it; None: not asked for.
    """

    folder: Path
    method: MethodName
    steps: int
    best_step: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    kl: Mapping[str, float]
    forgot: bool
    users: int
    tokens_per_s: float
    seconds: float
    peak_bytes: int
    privacy: Mapping[str, Any] | None = None


def train(
    job: Job, told: Told = lambda now: None, stopped: Callable[[], bool] = lambda: False
) -> TrainingResult | None:
    """Do the job, or go on with it.

    Args:
        job: what.
        told: after each step.
        stopped: asked after each step, and before the first one now and then.

    Returns:
        None when `stopped` ended it: the same job goes on from there.

    Raises:
        BadRequest: `out` exists or cannot be written, or there is nothing to learn from.
        ModelUnavailable: a package for training is missing.
        EngineError: the champion is not for this base, or the engines would refuse the adapter.
    """
    if job.out.exists():
        raise BadRequest(f"{str(job.out)!r} exists already, and adapters are never overwritten; name another folder.")
    check_packages()
    if job.nice:
        os.nice(job.nice)
    work = job.runs / _key(job)
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(
            f"The folder {str(work)!r} cannot be made ({error.strerror or error}); name another."
        ) from None
    try:
        with _threads(job.threads):
            done = _run(job, work, told, stopped)
    except AskedToStop:
        return None
    if done is not None:
        shutil.rmtree(work)
    return done


def _run(job: Job, work: Path, told: Told, stopped: Callable[[], bool]) -> TrainingResult | None:
    """The job in its work folder."""
    from finetune.training.trainer import STOPPED, CycleTrainer, Watch

    method = METHODS[job.method]
    model = _model(job, method)
    data = _Data.of(job, method, model, work)
    objective = _objective(job, method, model, data, work, stopped)
    with model.as_champion():
        before = objective.look(data.watched)
    objective.stopped = lambda: False  # from now on after a step: its checkpoint is what the job goes on from
    watch = Watch(data.watched, before, job.recipe.anchor.tolerance)
    picture = Picture(work / PICTURE)

    def both(now: Progress) -> None:
        if data.privacy is None:  # the losses of people's rows are not private
            picture.told(now)
        told(now)

    steps = CycleTrainer(model, objective, data.plan, watch, job.recipe, work, both, stopped).run()
    if steps.why == STOPPED:
        return None
    lost = _join(model)
    after = dict(steps.best.losses) if steps.best and lost is None else objective.look(data.watched)
    users = {one.lesson.user for one in data.plan.learned} - {""}
    result = TrainingResult(
        job.out, job.method, steps.steps, steps.best.step if steps.best else steps.steps, before, after,
        objective.divergence(data.watched), watch.over(after) > 0, len(users),
        steps.tokens / steps.seconds if steps.seconds else 0.0, steps.seconds, _peak(model), _spent(data, objective),
    )  # fmt: skip
    _write(job, model, data, steps, result, lost, work)
    return result


# -- parts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Data:
    """The plan, what is looked at, what of the memory EWC looks at, and how many rows were left out, by reason.

    `privacy`: what the plan spends; None: not asked for.
    """

    plan: Plan
    watched: Mapping[str, Sequence[Tokens]]
    fisher: Sequence[Tokens]
    left_out: Mapping[str, int]
    privacy: Privacy | None = None

    @classmethod
    def of(cls, job: Job, method: Method, model: CycleModel, work: Path) -> _Data:
        if job.recipe.privacy.epsilon:
            return cls._private(job, method, model, work)
        from finetune.training.rows import both_directions, encode, plan, rehearsed_count

        recipe, seed = job.recipe, job.recipe.seed

        def encoded(lessons: Iterable[Lesson]) -> list[Tokens]:
            return encode(lessons, model.renderer, recipe.train.lesson_tokens)

        sets = {HELD_OUT: job.held_out, **job.anchors}
        watched = {name: encoded(lessons) for name, lessons in sets.items() if lessons}
        hidden = {lesson.id for lessons in sets.values() for lesson in lessons}
        apart = [lesson for lesson in job.rows if lesson.id not in hidden]
        sided = both_directions(apart, recipe.loss.kto_each)
        new = encoded(sided)
        known = hidden | {lesson.id for lesson in apart}
        memory = job.memory or ReplayMemory()
        count = len(memory) if method.rehearsal == "all" else rehearsed_count(len(new), recipe.replay.share)

        def rehearse(epoch: int) -> list[Tokens]:
            if method.rehearsal == "none":
                return []
            drawn = memory.draw(count, (seed, epoch), known)
            if method.rehearsal == "share":  # a sample stands for more than itself
                drawn = tuple(replace(one, weight=one.weight * recipe.replay.weight) for one in drawn)
            return encoded(drawn)

        epochs = recipe.train.refit_epochs if job.method == "refit" else recipe.train.epochs
        fisher = encoded(memory.draw(FISHER_ROWS, (seed,), known)) if method.penalty == "ewc" else []
        left_out = {
            "watched": len(job.rows) - len(apart),
            "thumbs of one direction": len(apart) - len(sided),
            "too long": len(sided) - len(new),
        }
        return cls(plan(new, rehearse, recipe.train, epochs, seed), watched, fisher, left_out)

    @classmethod
    def _private(cls, job: Job, method: Method, model: CycleModel, work: Path) -> _Data:
        """By person; nothing here hangs on what several of them said. See finetune/training/private.py."""
        from finetune.training.private import private_plan, remembered, secret_of, spent_before
        from finetune.training.rows import encode, rehearsed_count

        if method.penalty == "ewc":
            raise BadRequest("Method 'ewc' measures people's rows without noise; take another one for privacy.")
        recipe, secret = job.recipe, secret_of(work)

        def encoded(lessons: Iterable[Lesson]) -> list[Tokens]:
            return encode(lessons, model.renderer, recipe.train.lesson_tokens)

        sets = {HELD_OUT: job.held_out, **job.anchors}
        public = {name: [lesson for lesson in lessons if not lesson.user] for name, lessons in sets.items()}
        watched = {name: encoded(lessons) for name, lessons in public.items() if lessons}
        hidden = {lesson.id for lessons in sets.values() for lesson in lessons}
        apart = [lesson for lesson in job.rows if lesson.id not in hidden]
        new = encoded(apart)
        known = hidden | {lesson.id for lesson in apart}
        pool = [lesson for lesson in (job.memory or ReplayMemory()).lessons if lesson.id not in known]
        count = {"none": 0, "share": rehearsed_count(len(new), recipe.replay.share), "all": len(pool)}[method.rehearsal]
        again = remembered(encoded(pool), count, secret)
        made, privacy = private_plan(new, again, recipe, secret, spent_before(job.champion))
        left_out = {"watched": len(job.rows) - len(apart), "too long": len(apart) - len(new)}
        return cls(made, watched, (), left_out, privacy)


def _model(job: Job, method: Method) -> CycleModel:
    import torch

    from finetune.rank_model import LoraShape
    from finetune.training.network import CycleModel

    device = job.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = LoraShape(job.recipe.lora.rank, job.recipe.lora.alpha)
    return CycleModel(job.base, job.reference, method.start, shape, job.recipe.seed, device)


def _objective(
    job: Job, method: Method, model: CycleModel, data: _Data, work: Path, stopped: Callable[[], bool]
) -> Objective:
    from finetune.training.objective import Objective

    if data.privacy is None:
        objective = Objective(model, job.recipe, method.penalty)
    else:
        from finetune.training.private import secret_of
        from finetune.training.private_objective import PrivateObjective

        objective = PrivateObjective(model, job.recipe, method.penalty, data.privacy, secret_of(work))
    objective.step_weight, objective.stopped = data.plan.step_weight, stopped
    asked = (*data.plan.learned, *(one for lessons in data.watched.values() for one in lessons), *data.fisher)
    objective.ask_champion(asked, work / "reference.json")
    if data.fisher:
        objective.measure_fisher(data.fisher, work / "fisher.pt")
    return objective


def _spent(data: _Data, objective: Objective) -> Mapping[str, Any] | None:
    from finetune.training.private_objective import PrivateObjective

    if data.privacy is None or not isinstance(objective, PrivateObjective):
        return None
    return data.privacy.as_json(objective.weights)


def _join(model: CycleModel) -> float | None:
    """What learned beside the champion becomes one LoRA with it; the share of the sum that does not fit its rank."""
    if not model.beside:
        return None
    import torch

    from finetune.training.network import CHAMPION
    from finetune.training.penalties import joined

    own = model.factors()
    first = next(iter(own.values()))
    with torch.no_grad():
        both, lost = joined(own, model.factors(CHAMPION), first.a.shape[0], first.scale)
    model.join(both)
    return lost


def _write(
    job: Job, model: CycleModel, data: _Data, steps: Steps, result: TrainingResult, lost: float | None, work: Path
) -> None:
    """All files into a folder beside `out`, which takes its name when it is whole."""
    part = job.out.with_name(f".{job.out.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        model.save(part, job.base_name)
        if (work / PICTURE).exists():
            shutil.copyfile(work / PICTURE, part / PICTURE)
        (part / LINEAGE).write_text("".join(_lineage(data.plan)), encoding="utf-8")
        fields = _record(job, data, steps, result, lost) | {
            "files": {name: _digest(part / name) for name in (WEIGHTS_FILE, CONFIG_FILE, LINEAGE)}
        }
        (part / RECORD).write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if job.out.exists():
            raise BadRequest(f"{str(job.out)!r} was made by somebody else meanwhile; name another folder.")
        part.rename(job.out)
    except OSError as error:
        raise BadRequest(
            f"{str(job.out)!r} cannot be written ({error.strerror or error}); make room or name another "
            "folder, and the same job goes on from its last checkpoint."
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _lineage(plan: Plan) -> Iterator[str]:
    """A line for each row that was learned from: whose it was, and what it was made from."""
    for one in sorted(plan.learned, key=lambda one: one.lesson.id):
        lesson = one.lesson
        fields = {
            "id": lesson.id, "kind": lesson.kind, "user": lesson.user, "events": lesson.events, "period": lesson.period,
            "domain": lesson.domain, "rehearsed": lesson.id in plan.rehearsed,
        }  # fmt: skip
        yield json.dumps(fields, sort_keys=True) + "\n"


def _record(job: Job, data: _Data, steps: Steps, result: TrainingResult, lost: float | None) -> dict[str, Any]:
    learned = [one.lesson for one in data.plan.learned]
    return {
        "format": FORMAT,
        "method": job.method,
        "cycle": job.cycle,
        "recipe": job.recipe.model_dump(),
        "base": {"model": job.base_name, "identity": base_identity(job.base)},
        "champion": _digest(job.champion / WEIGHTS_FILE) if job.champion else None,
        "reference": _digest(job.reference / WEIGHTS_FILE) if job.reference else None,
        "data": {
            "hash": lessons_hash(learned),
            "rows": dict(Counter(lesson.kind for lesson in learned)),
            "domains": dict(Counter(lesson.domain for lesson in learned)),
            "rehearsed": len(data.plan.rehearsed),
            "users": result.users,
            "left_out": data.left_out,
            "watched": {name: len(lessons) for name, lessons in data.watched.items()},
        },
        "steps": {
            "planned": len(data.plan.steps),
            "done": result.steps,
            "best": result.best_step,
            "ended": steps.why,
            "losses": [round(loss, 6) for loss in steps.losses] if result.privacy is None else [],
            "penalties": [round(loss, 6) for loss in steps.penalties],
            "looks": [asdict(look) for look in steps.looks],
        },
        "before": result.before,
        "after": result.after,
        "kl": result.kl,
        "forgot": result.forgot,
        "privacy": result.privacy,
        "lost_in_joining": lost,
        "tokens": steps.tokens,
        "seconds": round(result.seconds, 1),
        "tokens_per_s": round(result.tokens_per_s, 1),
        "peak_bytes": result.peak_bytes,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": _commit(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _key(job: Job) -> str:
    """Of the work folder: a hash of all that decides what the adapter becomes."""
    decides = [
        FORMAT,
        job.method,
        job.recipe.model_dump(),
        base_identity(job.base),
        [_digest(folder / WEIGHTS_FILE) if folder else None for folder in (job.champion, job.reference)],
        lessons_hash(job.rows),
        lessons_hash(job.held_out),
        {name: lessons_hash(lessons) for name, lessons in job.anchors.items()},
        lessons_hash(job.memory.lessons) if job.memory else None,
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def check_packages() -> None:
    """Refuse in a sentence what would fail at an import.

    Raises:
        ModelUnavailable: a package for training is missing.
    """
    try:
        import datasets  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
        import trl  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise ModelUnavailable(f"Learning needs {error.name!r}: pip install 'chatalogue[train]'.") from error


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _peak(model: CycleModel) -> int:
    import torch

    if model.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(model.device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise BadRequest(f"{str(file)!r} cannot be read ({error.strerror}); name a folder with an adapter.") from None


def _commit() -> str | None:
    """Of the code, where it lies in a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).resolve().parent
    done = subprocess.run([git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or None
