"""A data directory with a planted log, and jobs of seconds over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from small_shop import HashingEncoder, added, wish
from taste_stream import cinema, index
from training_doubles import quick

from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.learning.ranker_job import Bar
from agent.log.records import Feedback, ShownRow, TurnRecord
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shop import Shop, open_shop
from finetune.cycle import CycleReport, CycleRequest, run_cycle
from finetune.cycle_rows import _is_held
from finetune.feedback.masking import CatalogueNames, masker
from finetune.gating.types import RULES, Candidate, Figure, RuleName, RuleResult, Verdict

TENANT = "default"
CUSTOMERS = 8
RECIPE = quick(lesson_tokens=4096, row_tokens=2048, rows=2, every=2, epochs=1, kto_each=1)


def visit(log: EventLog, number: int) -> tuple[str, str]:
    """Somebody wants a genre, takes one film and refuses another; each in words of their own.

    Gives the film and the event of taking it.
    """
    films = [film for film in cinema() if film.in_stock and "comedy" in film.id]
    liked, refused = films[number % len(films)], films[(number + 3) % len(films)]
    talk = log.start_conversation(TENANT, "", f"customer {number}")
    turn_id = log.new_turn_id(TENANT)
    cards = [
        {"id": film.id, "title": film.title, "attributes": {"genre": list(film.attributes["genre"])}}  # type: ignore[arg-type]
        for film in (liked, refused)
    ]
    log.record_turn(
        TurnRecord(
            TENANT, talk.id, turn_id, 1, f"comedy number {number}", "Here you are.", "recommend", "recommend", "en", "",
            facts=added(wish("genre", "eq", "comedy")),
            shown=(ShownRow(liked.id, 1), ShownRow(refused.id, 2)),
            answer={"items": cards},
        )
    )  # fmt: skip
    taken = log.record_feedback(TENANT, "", Feedback(turn_id, "accept", liked.id))
    assert taken.stored
    assert log.record_feedback(TENANT, "", Feedback(turn_id, "reject", refused.id)).stored
    return liked.id, taken.event_id


def plant(root: Path) -> Path:
    """Pseudonyms come by chance, and who is held out with them: planted until the first adapter holds out one.

    Not the first customer, who likes the film that is pushed in a test: what is held out is new to the next adapter.
    """
    bare = root / "bare"
    index(bare, cinema())
    for number in count():
        made = Path(shutil.copytree(bare, root / str(number)))
        log = EventLog.open(None, made)
        for customer in range(CUSTOMERS):
            visit(log, customer)
        people = [log.person_id(TENANT, "", f"customer {customer}") or "" for customer in range(CUSTOMERS)]
        held = [who for who in people if _is_held("ada-000001", log.pseudonym(TENANT, who))]
        log.close()
        if len(held) == 1 and held != people[:1]:
            return made
    raise AssertionError


def verdict(candidate: Candidate, *refused_by: RuleName) -> Verdict:
    """As a gate that asked every rule."""
    gain = Figure("nats a row", 0.3, 0.1, 0.5, 20, "above", 0.0, "low")
    rules = tuple(
        RuleResult(rule, "refused" if rule in refused_by else "passed", "Because.", (gain,) if rule == "fresh" else ())
        for rule in RULES
    )
    return Verdict(candidate.name, candidate.champion_name, rules, "", "2026-11-23T00:00:00+00:00", 1.0)


@dataclass
class Shopfront:
    """The shop, open; `asked` are the candidates that the gate saw, `refused_by` what it will say."""

    settings: Settings
    log: EventLog
    open: Shop
    base: Path
    asked: list[Candidate] = field(default_factory=list)
    refused_by: tuple[RuleName, ...] = ()

    @classmethod
    @contextmanager
    def at(cls, root: Path, base: Path, **learning: object) -> Iterator[Shopfront]:
        settings = Settings(
            data_dir=root,
            llm={"model": str(base), "adapter": "starter"},  # type: ignore[arg-type]
            learning={"min_feedback": 20, "device": "cpu", **learning},  # type: ignore[arg-type]
        )
        log = EventLog.open(None, root)
        name = log.live_index(TENANT)
        assert name is not None
        shop = open_shop(DataDirectory(root).index(TENANT) / name, HashingEncoder(), None, stores=None)
        try:
            yield cls(settings, log, shop, base)
        finally:
            shop.close()
            log.close()

    @property
    def data(self) -> DataDirectory:
        return DataDirectory(self.settings.data_dir)

    @property
    def registry(self) -> AdapterRegistry:
        return AdapterRegistry(self.data, self.log, TENANT)

    def setting(self, **learning: object) -> None:
        self.settings = self.settings.model_copy(
            update={"learning": self.settings.learning.model_copy(update=learning)}
        )

    def judged(self, candidate: Candidate, heard: Callable[[str], None]) -> Verdict:
        self.asked.append(candidate)
        heard("fresh: passed")
        return verdict(candidate, *self.refused_by)

    def request(self, **changed: object) -> CycleRequest:
        made = CycleRequest(
            self.settings,
            self.data,
            self.log,
            self.open,
            lambda: self.base,
            masker(CatalogueNames.of(self.open.table.items)),
            self.judged,
            RECIPE,
            min_feedback=self.settings.learning.min_feedback,
            device="cpu",
            bar=Bar(lessons=10_000),
        )
        return replace(made, **changed)  # type: ignore[arg-type]

    def learn(self, **changed: object) -> CycleReport:
        return run_cycle(self.request(**changed))
