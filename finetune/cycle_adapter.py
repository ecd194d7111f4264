"""The adapter's part of a learning job: rows, training, gate, registry; goes on where a job was killed.

A training lies in a folder of its own (agent/runs.py) until its adapter is decided on: rows and split are fixed when it
begins, so whoever goes on trains the same. What is learned by an adapter that came to serve is remembered
(finetune/memory.py), and nothing else is. Somebody erased while it runs is found at each step: by `job.json`, which
then is gone, and by the registry, which knows whom the adapter learns from. Knows no command line.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import structlog

from agent.adapters.manifest import AdapterManifest, BaseIdentity, GateVerdict, Measured
from agent.adapters.registry import AdapterRegistry
from agent.llm.probe import keep_probe
from agent.log.adapters import MoveConflict, Source, SourceCounts
from agent.runs import JOB, ROWS, clear_away, run_state, throw_away
from agent.skills import SkillName, verdicts
from agent.starter.choosing import NO_ADAPTER, ChosenAdapter, base_identity, choose_adapter
from finetune.cycle_report import PartReport, put
from finetune.cycle_rows import Learned, cycle_rows, line_of, note_learned, split
from finetune.cycle_runs import Erased, Run, Stopped, counted_in, gain_of, read_run, verdict_json
from finetune.cycle_types import CycleRequest, Stage
from finetune.dataset import write_rows
from finetune.gating.types import Candidate
from finetune.memory import MANIFEST as MEMORY
from finetune.memory import ReplayMemory
from finetune.train import PICTURE, RECORD, Device, Job, train
from finetune.training.recipe import METHODS, Method
from finetune.training.telling import Progress, tensorboard
from finetune.withdrawn import save_what_stands
from retrieval.errors import BadRequest

STEPS, MADE, GATE = "steps", "made", "gate"
"""Of a training's folder: checkpoints, the adapter as it was trained, and the gate's pages."""
GATE_FILES: Final = ("gate.json", "gate.md")
LOOK_SECONDS: Final = 5.0
"""Between two looks into the database whether somebody of the rows was erased."""
TRIES: Final = 3
"""Trainings that are begun in one job where people are erased one after the other; jobs that one training may fail."""
AT_ONCE: Final = 500
"""Ids in one question to the database."""
PACKAGES: Final = ("trl", "presidio_analyzer")
FREE_SHARE: Final = 0.5
"""Of a GPU's memory: where less of it is free another program works there, such as vLLM, and the CPU trains."""

log = structlog.get_logger(__name__)


class AdapterPart:
    """One job's work on the tenant's adapters.

    Args:
        request: the job.
    """

    def __init__(self, request: CycleRequest) -> None:
        self._request = request
        self._registry = AdapterRegistry(request.data, request.log, request.tenant)
        self._runs, self._memory = request.data.runs(request.tenant), request.data.memory(request.tenant)
        self._next_look = 0.0

    def run(self) -> PartReport:
        """Train the next adapter where it is due, or go on with one; what it came to.

        Raises:
            ChatalogueError: it cannot be done; the next job goes on from there.
        """
        if not self._request.dry_run:
            self.settle()
        if (idle := self._idle()) is not None:
            return idle
        for _ in range(TRIES):
            try:
                run = (None if self._request.dry_run else self._open()) or self._begun()
                return run if isinstance(run, PartReport) else self._through(run)
            except Erased:
                clear_away(self._runs)  # a trainer that was in the middle of a checkpoint made its folder anew
                log.info("training_thrown_away", tenant=self._request.tenant, reason="somebody of its rows was erased")
            except Stopped:
                return PartReport("adapter", "stopped", "It was stopped, and goes on from there with the next job.")
        return PartReport("adapter", "failed", "People were erased while it trained, again and again; learn again.")

    def _idle(self) -> PartReport | None:
        """Why nothing can be trained here now."""
        if self._request.base is None:
            return PartReport("adapter", "not due", "There is no language model here (llm.engine = off).")
        if self._request.settings.llm.adapter == NO_ADAPTER:
            told = "No adapter serves here (llm.adapter = none), so none is trained; set it to 'starter' or a folder."
            return PartReport("adapter", "not due", told)
        canary = self._registry.standing().canary
        if canary is not None:
            told = f"{canary.adapter} is on trial with {canary.share:.0%} of the conversations; it is decided on first."
            return PartReport("adapter", "on trial", told, more={"adapter": canary.adapter})
        if missing := [name for name in PACKAGES if find_spec(name) is None]:
            told = f"Training needs {missing[0]!r}: pip install 'chatalogue[train]'."
            return PartReport("adapter", "not due", told)
        return None

    # --- what was decided since ---

    def settle(self) -> None:
        """Remember what accepted adapters learned, and delete what waited for a decision that came.

        Raises:
            ChatalogueError: memory or registry cannot be read or written.
        """
        clear_away(self._runs)
        now, decided = self._registry.standing(), False
        accepted = [name for name in (*now.before, now.champion) if name is not None]
        for folder in sorted(self._runs.glob("ada-*")):
            name, state = folder.name, now.states.get(folder.name)
            is_pruned = not (self._registry.root / name).exists()
            is_late = run_state(folder) == "waiting" and (is_pruned or any(later > name for later in accepted))
            if name in accepted:
                with suppress(Erased):
                    self._remember(read_run(folder))
            if name in accepted or state in ("rejected", "retired") or is_late:  # retired and not accepted: taken back
                throw_away(folder)
                decided = True
        if decided:
            self._registry.prune()

    def _remember(self, run: Run) -> None:
        rows = run.rows()
        learned, held = split(rows, run.adapter)
        memory = self._remembered()
        memory.offer(learned)
        memory.save(self._memory)
        self._forget_withdrawn(memory)
        ids = frozenset(row.id for row in rows) - {lesson.id for lesson in held}
        until = datetime.fromisoformat(run.fields["until"])
        note_learned(self._memory, Learned(run.adapter, run.champion, until, ids))

    def _forget_withdrawn(self, memory: ReplayMemory) -> None:
        request = self._request
        learning = request.settings.learning
        save_what_stands(memory, self._memory, request.log, request.tenant, learning, datetime.now(UTC))

    def _remembered(self) -> ReplayMemory:
        return ReplayMemory.load(self._memory) if (self._memory / MEMORY).exists() else ReplayMemory()

    # --- beginning ---

    def _open(self) -> Run | None:
        """The training that a job before this one left unfinished; thrown away where what it stands on changed since.

        And where it failed again and again: its rows are fixed, so no job would ever come to other ones.
        """
        standing, settings, recipe = self._registry.standing(), self._request.settings, self._request.recipe
        stands_on = {"champion": standing.champion, "model": settings.llm.model, "recipe": recipe.model_dump()}
        for folder in sorted(self._runs.glob("ada-*")):
            if run_state(folder) != "training":
                continue
            run = read_run(folder)
            failed = run.fields.get("tries", 0)
            is_same = all(run.fields.get(name) == value for name, value in stands_on.items())
            if is_same and failed < TRIES and not self._erased(run):
                return run
            if failed >= TRIES:
                log.error("training_given_up", tenant=self._request.tenant, adapter=run.adapter, jobs=failed)
            throw_away(folder)
        return None

    def _begun(self) -> Run | PartReport:
        request, champion = self._request, self._registry.standing().champion
        now = datetime.now(UTC)
        request.told(Stage("reading feedback"))
        found = cycle_rows(request, line_of(self._memory, champion), now)
        counted = counted_in(found, request.min_feedback)
        if (not_due := self._not_due(len(found.rows), counted)) is not None:
            return not_due
        adapter = self._registry.reserve()
        self._registry.record_training(adapter, found.sources)  # first: no erasure may miss it
        memory = self._remembered()
        self._forget_withdrawn(memory)
        method = METHODS[request.recipe.method_of(self._cycle())]
        if champion is not None and method.continues:
            request.log.inherit_adapter_sources(request.tenant, adapter, champion)
        self._record_memory(adapter, memory)
        fields = {
            "state": "training", "tries": 0, "champion": champion, "cycle": self._cycle(), "until": now.isoformat(),
            "model": request.settings.llm.model, "recipe": request.recipe.model_dump(), "snapshot": found.snapshot,
            "counted": counted,
        }  # fmt: skip
        folder = self._runs / adapter
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(found.rows, folder / ROWS)
        put(folder / JOB, json.dumps(fields, indent=1, sort_keys=True) + "\n")
        if not self._are_there(found.sources):
            throw_away(folder)
            raise Erased
        return read_run(folder)

    def _not_due(self, rows: int, counted: Mapping[str, Any]) -> PartReport | None:
        """Why nothing is trained on so many rows; None: it is."""
        request, counts = self._request, counted["told"]
        if rows < request.min_feedback:
            shown = request.settings.learning.examples
            told = f"{counts}{' Until then accepted examples serve in context.' if shown else ''}"
            return PartReport("adapter", "too little", told, more=counted)
        why = self._tried_already(rows)
        if why is None:
            why = "It is not trained in a dry run." if request.dry_run else self._other_base()
        return None if why is None else PartReport("adapter", "not due", f"{counts} {why}", more=counted)

    def _tried_already(self, rows: int) -> str | None:
        """Who was made of nearly the same rows by the same recipe from the same champion, and is not it.

        With a row more each night the gate would be asked each night, until chance lets one pass.
        """
        recipe, champion = self._request.recipe.model_dump(), self._registry.standing().champion
        for one in reversed(self._registry.all()):
            told = one.config
            if told.get("recipe") != recipe or told.get("champion") != champion:
                continue
            if one.verdict.passed and self._registry.sources().get(one.id, SourceCounts()).erased_customers:
                continue  # one without those people is wanted
            enough = told.get("rows", 0) + self._request.min_feedback
            became = {"rejected": "refused", "candidate": "not decided on yet"}.get(one.state, "taken back")
            tried = f"{one.id} was trained on {told.get('rows', 0)} of them and {became}; the next one needs {enough}."
            return tried if rows < enough else None
        return None

    def _other_base(self) -> str | None:
        """Why nothing can go on from the champion, where it was made for another model than that of the settings."""
        request, champion = self._request, self._registry.standing().champion
        made_for = next((one.base for one in self._registry.all() if one.id == champion), None)
        if made_for is None or request.base is None or made_for.identity == base_identity(request.base()):
            return None
        return (
            f"The champion {champion} was made for another language model ({made_for.model}) than "
            f"{request.settings.llm.model}; take it back with `chatalogue adapters rollback`, and training begins anew."
        )

    def _cycle(self) -> int:
        """1, 2, ...: one more than adapters came to serve."""
        return 1 + sum(1 for _ in self._memory.glob("learned-ada-*.json"))

    def _record_memory(self, adapter: str, memory: ReplayMemory) -> None:
        """Whoever is rehearsed is learned from, too."""
        log, tenant, consent = self._request.log, self._request.tenant, self._request.settings.learning.consent
        events = sorted({event for lesson in memory.lessons for event in lesson.events})
        for start in range(0, len(events), AT_ONCE):
            whose = log.learnable(tenant, events[start : start + AT_ONCE], consent, None)
            self._registry.record_training(adapter, set(whose.values()))

    # --- erasure ---

    def _are_there(self, sources: tuple[Source, ...]) -> bool:
        """Whether all may still be learned from: whoever was erased before `record_training` is noted nowhere."""
        ids = sorted({one.session_id for one in sources if one.session_id is not None})
        request, consent = self._request, self._request.settings.learning.consent
        return all(
            len(request.log.talks(request.tenant, ids[start : start + AT_ONCE], consent))
            == len(ids[start : start + AT_ONCE])
            for start in range(0, len(ids), AT_ONCE)
        )

    def _erased(self, run: Run) -> bool:
        """Whether somebody was since it began; also of those whom only its champion learned from, which is rare."""
        if run_state(run.folder) is None:
            return True
        counts = self._registry.sources()
        now = counts.get(run.adapter, SourceCounts()).erased_conversations
        then: int = run.fields.get("erased", now)
        return now > then

    def _check(self, run: Run, *, often: bool = False) -> None:
        """Raises `Erased` where somebody is to be forgotten; `often`: the database is asked every few seconds only."""
        if run_state(run.folder) is None:
            raise Erased
        if often and time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self._erased(run):
            throw_away(run.folder)
            raise Erased

    # --- the way ---

    def _through(self, run: Run) -> PartReport:
        """All steps that are left. A try counts when it begins: who is killed counts nothing any more."""
        tries = run.fields.get("tries", 0)
        try:
            return self._steps(run.noted(tries=tries + 1))
        except Stopped:  # somebody wanted it so
            read_run(run.folder).noted(tries=tries)
            raise

    def _steps(self, run: Run) -> PartReport:
        if "erased" not in run.fields:
            counts = self._registry.sources().get(run.adapter, SourceCounts())
            run = run.noted(erased=counts.erased_conversations)
        job = self._job(run)
        if not (run.folder / MADE).exists():
            self._train(run, job)
        self._check(run)
        if "verdict" not in run.fields:
            run = self._judged(run, job)
        if run.fields["verdict"]["passed"]:
            keep_probe(job.base, run.folder / MADE)
        self._check(run)
        manifest = self._published(run, job)
        return self._moved(run, manifest)

    def _job(self, run: Run) -> Job:
        request = self._request
        if request.base is None:
            raise BadRequest("There is no language model to train; set llm.engine.")
        base, champion = request.base(), self._champion(run)
        is_refit = METHODS[request.recipe.method_of(run.fields["cycle"])].start == "starter"
        starter = self._starter() if is_refit else None  # a champion can be trained on without it
        rows, _ = split(run.rows(), run.adapter)  # what the gate asks about must not have chosen the weights
        memory = self._remembered()
        return Job(
            rows=rows,
            base=base,
            base_name=request.settings.llm.model,
            champion=champion.folder if champion is not None else None,
            starter=starter.folder if starter is not None else None,
            out=run.folder / MADE,
            runs=run.folder / STEPS,
            recipe=request.recipe,
            anchors={name: tuple(each) for name, each in request.anchors().items()},
            memory=memory if len(memory) else None,
            cycle=run.fields["cycle"],
            device=_device(request.device),
            threads=request.threads,
        )

    def _champion(self, run: Run) -> ChosenAdapter | None:
        if run.champion is not None:
            return ChosenAdapter(run.champion, self._registry.folder(run.champion))
        return self._starter()

    def _champion_name(self, run: Run) -> str:
        champion = self._champion(run)
        return "the base model" if champion is None else champion.name

    def _starter(self) -> ChosenAdapter | None:
        """The adapter of the settings, which no customer taught."""
        llm = self._request.settings.llm
        return choose_adapter(llm.adapter, llm.model, self._request.data.models)

    def _reference(self, run: Run, method: Method) -> ChosenAdapter | None:
        """What a training began at; None: the base."""
        if method.continues:
            return self._champion(run)
        return self._starter() if method.start == "starter" else None

    def _train(self, run: Run, job: Job) -> None:
        request = self._request
        erased: list[bool] = []

        def stopped() -> bool:
            try:
                self._check(run, often=True)
            except Erased:
                erased.append(True)
            return bool(erased) or request.stopped()

        with _board(request.tensorboard) as scalars:

            def told(now: Progress) -> None:
                scalars(now)
                request.told(now)

            request.told(Stage("training"))
            result = train(job, told, stopped)
        if erased:
            raise Erased
        if result is None:
            raise Stopped

    def _judged(self, run: Run, job: Job) -> Run:
        request = self._request
        candidate = Candidate(
            adapter=run.folder / MADE,
            base=job.base,
            champion=job.champion,
            name=run.adapter,
            champion_name=self._champion_name(run),
            held_out=split(run.rows(), run.adapter)[1],
            learned=job.rows,
            anchors=job.anchors,
            known={one.id: one.weight_hash for one in self._registry.all() if one.id != run.adapter},
            items=request.shop.table.items,
            settings=request.settings,
        )

        def heard(line: str) -> None:
            if request.stopped():
                raise Stopped
            request.told(Stage(f"gate: {line}" if line else "gate"))

        heard("")
        verdict = request.gate(candidate, heard)
        self._check(run)
        verdict.write(run.folder / GATE)
        return run.noted(verdict=verdict_json(verdict))

    def _published(self, run: Run, job: Job) -> AdapterManifest:
        request, told = self._request, run.fields["verdict"]
        record: dict[str, Any] = json.loads((run.folder / MADE / RECORD).read_text(encoding="utf-8"))
        began = self._reference(run, METHODS[record["method"]])
        skills: tuple[SkillName, ...] = tuple(name for name, on in verdicts().items() if on)  # type: ignore[misc]
        manifest = AdapterManifest(
            id=run.adapter,
            parent=began.name if began is not None else None,
            base=BaseIdentity(job.base_name, base_identity(job.base)),
            data_hash=run.fields["snapshot"],
            config={
                "method": record["method"], "cycle": record["cycle"], "champion": run.champion,
                "recipe": record["recipe"], "rehearsed": record["data"]["rehearsed"], "steps": record["steps"]["done"],
                "privacy": record.get("privacy"), "rows": run.fields["counted"]["rows"],
            },
            seeds={"training": job.recipe.seed},
            metrics={name: Measured(**one) for name, one in told["metrics"].items()},
            verdict=GateVerdict(told["passed"], told["reason"], told["thresholds"]),
            skills=skills,
            examples=sum(record["data"]["rows"].values()),
            customers=record["data"]["users"],
            consent=request.settings.learning.consent,
            commit=record["commit"] or version("chatalogue"),
            created=record["made"],
        )  # fmt: skip
        made = self._registry.publish(manifest, run.folder / MADE)
        folder = self._registry.folder(run.adapter)
        for source in (
            *(run.folder / GATE / name for name in GATE_FILES),
            *(run.folder / MADE / n for n in (RECORD, PICTURE)),
        ):
            if source.exists():
                shutil.copyfile(source, folder / source.name)
        return made

    def _moved(self, run: Run, manifest: AdapterManifest) -> PartReport:
        told, learning = run.fields["verdict"], self._request.settings.learning
        registry, adapter = self._registry, run.adapter
        page = registry.folder(adapter) / GATE_FILES[1]
        gain = gain_of(told)
        more = {**run.fields["counted"], "adapter": adapter, "page": str(page), "examples": manifest.examples}
        counted, champion = run.fields["counted"]["told"], self._champion_name(run)
        if not told["passed"]:
            registry.reject(adapter, told["reason"])
            throw_away(run.folder)
            registry.prune()
            sentence = f"{counted} {told['reason']} {champion} goes on; see {page}."
            return PartReport("adapter", "refused", sentence, gain, more)
        said = f"{counted} {told['reason']} See {page}."
        if learning.promotion == "manual":
            _wait(run)
            sentence = f"{said} It waits for `chatalogue adapters promote {adapter}`."
            return PartReport("adapter", "candidate", sentence, gain, more)
        if registry.standing().champion != run.champion:
            raise MoveConflict(f"The champion changed while {adapter} was made; it stays a candidate.")
        if learning.promotion == "canary":
            registry.start_canary(adapter, learning.canary_share, told["reason"])
            _wait(run)
            sentence = f"{said} It answers {learning.canary_share:.0%} of the conversations on trial."
            return PartReport("adapter", "canary", sentence, gain, more)
        registry.promote(adapter, told["reason"])
        self.settle()
        return PartReport("adapter", "champion", f"{said} It is the champion.", gain, more)


def _wait(run: Run) -> None:
    """Keep of it what a decision takes, which are the rows; all else is published."""
    run.noted(state="waiting")
    for name in (MADE, STEPS, GATE):
        shutil.rmtree(run.folder / name, ignore_errors=True)


def _device(setting: Device) -> Device:
    """`auto`: a GPU that is nearly free, else the CPU: a training must not take the memory that vLLM counts on."""
    if setting != "auto":
        return setting
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    free, total = torch.cuda.mem_get_info()
    return "cuda" if free >= FREE_SHARE * total else "cpu"


def _board(folder: Path | None) -> AbstractContextManager[Callable[[Progress], None]]:
    return nullcontext(lambda now: None) if folder is None else tensorboard(folder)
