"""Keeps an engine with the adapters that the database names, and says which of them answers which conversation.

The database says what should be, the engine what is there: this process looks at both every second and does what is
missing, so a restart or a crash at any moment needs no repair. Loading goes on beside that, and only what is loaded
takes over: meanwhile, and where it cannot be had, the one before answers. Knows no engine by name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import structlog

from agent.adapters.registry import AdapterRegistry
from agent.adapters.standing import Canary, Standing, is_canarys
from agent.adapters.sufficing import DEFAULT_RULES, PromotionRules
from agent.adapters.trial import TrialReport, trial_report
from agent.adapters.voice import PinnedEngine, Voice
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.log.adapters import MoveConflict
from agent.log.store import EventLog
from agent.skills import SkillName
from agent.starter.choosing import NO_ADAPTER, choose_adapter
from retrieval.errors import ChatalogueError

POLL_SECONDS = 1.0
FIRST_POLL_SECONDS = 0.1
"""Until something answers: nobody waits a second for an adapter that takes less to load."""
LOOK_SECONDS = 10.0
"""Between two looks at how a canary fares: the test allows any number of them, the database not."""
LOOK_SHARE = 0.02
"""Of its time a server looks at most: a look reads all turns since the trial began."""
RETRY_SECONDS = 60.0
"""Between two tries to load what could not be."""

TrialEnd: TypeAlias = Literal["halted", "promoted", "undecided"]
"""undecided: a candidate again, because its time was over."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An adapter that the engine has. `name` is the engine's (None: the base model), `told` stands in answers."""

    name: str | None
    told: str | None
    skills: frozenset[SkillName] | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why one cannot be had, and when it is tried again (on the monotonic clock)."""

    why: str
    again: float


class LiveAdapters:
    """The adapters of one engine for one tenant; belongs to the engine's event loop. Implements `Voices`.

    Args:
        engine: that gets them.
        registry: the tenant's.
        events: what is read to judge a canary.
        tenant: of both.
        setting: the first champion: `starter` or a folder, see `choose_adapter`; `none`: no adapter at all, not the
            registry's either.
        model: the engine's.
        models_dir: where weights are kept.
        rules: when a trial ends by itself.
    """

    def __init__(
        self,
        engine: Engine,
        registry: AdapterRegistry,
        events: EventLog,
        tenant: str,
        *,
        setting: str,
        model: str,
        models_dir: Path,
        rules: PromotionRules = DEFAULT_RULES,
    ) -> None:
        self.engine = engine
        self._registry, self._events, self._tenant = registry, events, tenant
        self._setting, self._model, self._models_dir = setting, model, models_dir
        self._rules = rules
        self._loaded: dict[str | None, _Loaded] = {}
        self._failed: dict[str | None, _Failed] = {}
        self._loading: dict[str | None, asyncio.Task[None]] = {}
        self._champion: _Loaded | None = None
        self._canary: tuple[Canary, _Loaded] | None = None
        self._standing = Standing()
        self._settled = asyncio.Event()
        self._next_look = 0.0
        self._trouble = self._unknown = ""
        self._only: str | None = None

    def only(self, adapter: str) -> None:
        """Let `adapter` answer everybody, whatever the database says: to replay with it. Before `at_work`.

        Raises:
            NotFound: there is none of this id.
        """
        self._registry.folder(adapter)
        self._only = adapter

    # --- what others ask ---

    def voice(self, engine: Engine, session_id: str) -> Voice:
        """See `Voices.voice`; before anything is loaded the engine answers as it is."""
        one = self._champion
        if self._canary is not None and is_canarys(self._canary[0], session_id):
            one = self._canary[1]
        return Voice(engine) if one is None else Voice(PinnedEngine(engine, one.name, one.told), one.skills)

    def strangers(self, engine: Engine) -> Voice:
        """See `Voices.strangers`: what the settings name or the base model; rules where a learned adapter answers.

        The engine may have no room for a third set of weights beside champion and canary.
        """
        one = self._champion or _Loaded(None, None)
        if one.name is not None and one != self._loaded.get(None):
            return Voice(NoEngine())
        return Voice(PinnedEngine(engine, one.name, one.told), one.skills)

    @property
    def problem(self) -> str:
        """Why not all answers come from where they should, one sentence for the operator; empty where they do."""
        now, wanted = self._standing, self._standing.champion
        if wanted in self._failed:
            told = self._champion.told if self._champion else None
            stands_in = f"with the adapter {told}, not with {wanted or 'its own'}" if told else "without its adapter"
            return f"The model answers {stands_in}: {self._failed[wanted].why}"
        if now.canary is not None and now.canary.adapter in self._failed:
            return f"The canary {now.canary.adapter} cannot be had: {self._failed[now.canary.adapter].why}"
        return self._trouble

    @property
    def is_settled(self) -> bool:
        """Whether what answers now is what shall go on answering: not while the first adapter is still being loaded."""
        return self._settled.is_set()

    async def settled(self) -> None:
        """Return when an adapter answers, or when it is known that none will; inside `at_work`."""
        while not self._settled.is_set() and self.engine.status().state in ("starting", "ready"):
            await asyncio.sleep(FIRST_POLL_SECONDS)

    # --- work ---

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Follows for as long as the block runs."""
        work = asyncio.create_task(self._work())
        try:
            yield
        finally:
            for task in (work, *self._loading.values()):
                task.cancel()
            await asyncio.gather(work, *self._loading.values(), return_exceptions=True)

    async def follow(self) -> None:
        """One look: begin to load what is missing, and let those answer that should and can.

        Raises:
            DataDirectoryError: the database cannot be read; what answers goes on.
        """
        if self.engine.status().state != "ready":
            return
        if self._only is not None:
            self._standing = Standing(self._only)
        elif self._setting != NO_ADAPTER:
            standing = await asyncio.to_thread(self._registry.standing)
            if standing.version != self._standing.version:
                self._failed.clear()  # somebody did something about it
            self._standing = standing
        has = await self.engine.list_adapters()
        for adapter, one in tuple(self._loaded.items()):
            if one.name is not None and one.name not in has:  # lost with a restart of the engine
                del self._loaded[adapter]
        await self._seat_champion()
        self._seat_canary()

    async def end_trial(self) -> TrialEnd | None:
        """Judge the canary: reject it where it does harm, promote it where it is surely not worse, give up in the end.

        Safe in several servers at once: what they do, they do to the standing that they judged, and the second of two
        finds another one. None where nothing was done.

        Raises:
            DataDirectoryError: the log cannot be read or written.
        """
        seen = self._standing
        report = await asyncio.to_thread(trial_report, seen, self._events, self._tenant, self._rules)
        if report is None or seen.canary is None:
            return None
        adapter = seen.canary.adapter
        try:
            end = await asyncio.to_thread(self._end, seen, seen.canary, report)
        except MoveConflict:  # an operator or another server was first: seen with the next look
            return None
        if end is not None:
            tell = log.error if end == "halted" else log.info
            reason = report.alarm or report.passed
            tell(f"canary_{end}", tenant=self._tenant, adapter=adapter, reason=reason)
        return end

    def _end(self, seen: Standing, canary: Canary, report: TrialReport) -> TrialEnd | None:
        """What is done with the canary, in the database: the audit is there."""
        if report.alarm:
            return "halted" if self._registry.reject(canary.adapter, f"Halted: {report.alarm}") else None
        if not self._rules.automatic:
            return None
        if report.passed:
            self._registry.promote(canary.adapter, f"Automatically: {report.passed}", seen.version)
            return "promoted"
        age = datetime.now(UTC) - canary.at if canary.at is not None else timedelta()
        if age >= timedelta(days=self._rules.days):
            told = f"{report.canary} conversations in {self._rules.days:g} days did not show that it is not worse."
            self._registry.end_trial(seen, f"Undecided: {told}")
            return "undecided"
        return None

    async def _work(self) -> None:
        while self.engine.status().state != "off" or not self._settled.is_set():
            try:
                await self.follow()
                if self._standing.canary is not None and time.monotonic() >= self._next_look:
                    await self._look()
                self._trouble = self._unknown = ""
            except ChatalogueError as error:  # the database is away, which its own health says: what is loaded goes on
                self._note(str(error))
            except Exception as error:  # whatever it was: a server that stopped looking would never change over again
                log.exception("adapters_not_followed", tenant=self._tenant)
                self._trouble = f"The adapters cannot be followed ({type(error).__name__}: {error})."
            state = self.engine.status().state
            if state == "off":
                self._settled.set()
            is_soon = state in ("starting", "ready") and not self._settled.is_set()
            await asyncio.sleep(FIRST_POLL_SECONDS if is_soon else POLL_SECONDS)

    async def _look(self) -> None:
        started = time.monotonic()
        try:
            await self.end_trial()
        finally:
            ended = time.monotonic()
            self._next_look = ended + max(LOOK_SECONDS, (ended - started) / LOOK_SHARE)

    def _note(self, sentence: str) -> None:
        if self._unknown != sentence:
            log.error("adapters_unknown", tenant=self._tenant, reason=sentence)
        self._unknown = sentence

    async def _seat_champion(self) -> None:
        """The first that is loaded of: the champion, those before it, the adapter of the settings, the base model."""
        now = self._standing
        for adapter in dict.fromkeys((now.champion, *reversed(now.before), None)):
            if not self._can_be_had(adapter):
                continue
            if adapter not in self._loaded:
                self._load(adapter)
                return  # until then the one before answers
            if await self._use(adapter, self._loaded[adapter]):
                return
        if self.engine.status().state == "ready":  # else it died meanwhile, and what was will be again
            await self._use(None, _Loaded(None, None))

    def _seat_canary(self) -> None:
        trial = self._standing.canary
        self._canary = None
        if trial is not None and self._can_be_had(trial.adapter):
            if trial.adapter in self._loaded:
                self._canary = (trial, self._loaded[trial.adapter])
            else:
                self._load(trial.adapter)

    def _can_be_had(self, adapter: str | None) -> bool:
        failed = self._failed.get(adapter)
        return failed is None or adapter in self._loaded or time.monotonic() >= failed.again

    async def _use(self, adapter: str | None, one: _Loaded) -> bool:
        """Let `one` answer from now on; it stays resident in the engine, as canaries do not."""
        try:
            if self.engine.status().adapter != one.name:
                await self.engine.use_adapter(one.name)
        except ChatalogueError as error:
            if self.engine.status().state == "ready":
                self._fail(adapter, str(error))
                self._loaded.pop(adapter, None)
            return False
        if self._champion != one:
            log.info("adapter_in_use", tenant=self._tenant, adapter=one.told)
        self._champion = one
        self._settled.set()
        return True

    def _load(self, adapter: str | None) -> None:
        if adapter not in self._loading:
            self._loading[adapter] = asyncio.create_task(self._bring(adapter))

    async def _bring(self, adapter: str | None) -> None:
        try:
            one = await self._brought(adapter)
        except ChatalogueError as error:
            if self.engine.status().state == "ready":  # else it died meanwhile: again when it is back
                self._fail(adapter, str(error))
        except Exception as error:  # a fault of ours must be seen by the operator
            log.exception("adapter_not_loaded", tenant=self._tenant, adapter=adapter)
            self._fail(adapter, f"it could not be loaded ({type(error).__name__}: {error}).")
        else:
            self._loaded[adapter] = one
            self._failed.pop(adapter, None)
        finally:
            self._loading.pop(adapter, None)

    async def _brought(self, adapter: str | None) -> _Loaded:
        setting, skills = self._setting, None
        if adapter is not None:
            manifest = await asyncio.to_thread(self._registry.get, adapter)  # its files are whole
            setting, skills = str(self._registry.folder(adapter)), frozenset(manifest.skills)
        chosen = await asyncio.to_thread(choose_adapter, setting, self._model, self._models_dir)
        if chosen is None:
            return _Loaded(None, None)
        # The name has a digest: engines keep adapters by name over restarts, and another tenant counts from 1, too.
        if chosen.name not in await self.engine.list_adapters():
            await self.engine.load_adapter(chosen.name, chosen.folder)
        return _Loaded(chosen.name, adapter or chosen.name, skills)

    def _fail(self, adapter: str | None, why: str) -> None:
        log.error("adapter_not_live", tenant=self._tenant, adapter=adapter, reason=why)
        self._failed[adapter] = _Failed(why, time.monotonic() + RETRY_SECONDS)
