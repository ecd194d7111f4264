"""Counters and histograms for Prometheus, in a registry of each server's own.

Every label has a closed set of values (or the names of our classes): no user, conversation, turn, tenant or free
text is ever one. What is true now (the engine's state, the live index) is asked when Prometheus asks. Knows nothing
of routes and of turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.answer import Action, HandoffReason
from agent.llm.protocol import Engine, EngineState
from agent.log.records import Feedback, FeedbackKind

Step: TypeAlias = Literal["understand", "retrieve", "rank", "reply", "log.record"]
"""The timed parts of a turn."""
Part: TypeAlias = Literal["engine", "retrieval", "ranker"]
"""What a turn may have to do without."""
Skill: TypeAlias = Literal["understand", "rank", "reply", "other"]
"""What the engine was asked for."""
EngineOutcome: TypeAlias = Literal["ok", "closed", "busy", "timeout", "error"]
NoMatchKind: TypeAlias = Literal["not_carried", "filtered_out", "unknown"]

REASONS: Final = (
    "not_asked", "wrong_facts", "bad_items", "too_long", "known", "too_expensive", "taste", "other",
)  # fmt: skip
"""Reasons of reactions that are counted by name: those of the page. Every other one is "other", for the API takes
any text."""

FAILURES: Final = ("DataDirectoryError", "EngineError", "IndexUnavailable", "NotFound", "TurnConflict")
"""Error classes of turns that are there with 0 from the start, so that the first one is a rise and not a new series."""

_TURN_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_STEP_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """The live catalogue; `built` is in seconds since 1970, UTC; `degraded`: searches go without Chroma."""

    items: int
    built: float
    degraded: bool = False


class Metrics:
    """What `/metrics` shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_turns()
        self._count_engine()
        self.feedback = self._counter(
            "chatalogue_feedback",
            "Reactions stored, from the page, the API and said in words, by kind and by the page's reasons",
            "kind",
            "reason",
        )
        for kind in get_args(FeedbackKind):
            self.feedback.labels(kind, "none")
        self.database_errors = self._counter(
            "chatalogue_database_errors",
            "Uses of the database that failed because it was locked, full, read-only or gone",
        )
        self.learning_jobs = self._counter(
            "chatalogue_learning_jobs",
            "Learning jobs that the schedule of the settings began, by how they ended",
            "outcome",
        )
        _show_from_the_start(self.learning_jobs, ("ok", "error"))
        self.handoffs = self._counter(
            "chatalogue_handoffs",
            "Conversations handed over to people, by why: asked for in words, by button ...",
            "reason",
        )
        _show_from_the_start(self.handoffs, get_args(HandoffReason))
        self._now = _Now()
        self.registry.register(self._now)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _count_turns(self) -> None:
        self.turns_started = self._counter("chatalogue_turns_started", "Messages of customers that came in")
        self.turns = self._counter("chatalogue_turns", "Turns answered to their end, by what the answer does", "action")
        self.failed = self._counter(
            "chatalogue_failed_turns", "Turns that ended in an error for the customer, by its class", "error"
        )
        self.abandoned = self._counter(
            "chatalogue_abandoned_turns", "Turns whose customer pressed stop or went away before the end"
        )
        self.degraded = self._counter(
            "chatalogue_degraded_turns",
            "Turns answered without a part: engine is the language model, retrieval is the encoder or Chroma",
            "part",
        )
        self.no_match = self._counter(
            "chatalogue_no_match_turns", "Turns that had nothing to offer, by why: an empty result", "kind"
        )
        self.turn_seconds = self._histogram(
            "chatalogue_turn_seconds", "Message in to whole answer logged", _TURN_BUCKETS
        )
        self.first_text_seconds = self._histogram(
            "chatalogue_first_text_seconds", "Message in to the first words of the answer", _TURN_BUCKETS
        )
        self.step_seconds = self._histogram(
            "chatalogue_step_seconds",
            "One step of a turn by itself (a search may be one of two)",
            _STEP_BUCKETS,
            "step",
        )
        _show_from_the_start(self.turns, get_args(Action))
        _show_from_the_start(self.failed, FAILURES)
        _show_from_the_start(self.degraded, get_args(Part))
        _show_from_the_start(self.no_match, get_args(NoMatchKind))
        for step in get_args(Step):
            self.step_seconds.labels(step)

    def _count_engine(self) -> None:
        self.engine_calls = self._counter(
            "chatalogue_engine_calls",
            "Calls of the language model, by what for and how they ended; closed: whoever asked had enough or went",
            "skill",
            "outcome",
        )
        self.engine_errors = self._counter(
            "chatalogue_engine_errors", "Calls of the language model that failed, by the error's class", "error"
        )
        self.engine_call_seconds = self._histogram(
            "chatalogue_engine_call_seconds", "A call of the language model, its wait in the queue too",
            _STEP_BUCKETS, "skill",
        )  # fmt: skip
        self.tokens_in = self._counter(
            "chatalogue_engine_input_tokens", "Tokens that the language model read (scoring of options not counted)"
        )
        self.tokens_out = self._counter("chatalogue_engine_output_tokens", "Tokens that the language model wrote")
        for skill in get_args(Skill):
            for outcome in get_args(EngineOutcome):
                self.engine_calls.labels(skill, outcome)
            self.engine_call_seconds.labels(skill)
        _show_from_the_start(self.engine_errors, ("EngineError", "EngineBusy", "EngineTimeout"))

    def follow(self, engine: Engine, index: Callable[[], IndexFacts | None] = lambda: None) -> None:
        """Show from now on the state of `engine` and the index that `index` tells (None: there is none)."""
        self._now.engine, self._now.index = engine, index

    def feedback_stored(self, feedback: Feedback) -> None:
        """Count a reaction that is in the log now."""
        reason = feedback.reason or "none"
        self.feedback.labels(feedback.kind, reason if reason in (*REASONS, "none") else "other").inc()

    def handed_over(self, reason: HandoffReason) -> None:
        """Count a conversation that went to people."""
        self.handoffs.labels(reason).inc()

    def database_failed(self) -> None:
        """Count a use of the database that it refused."""
        self.database_errors.inc()

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)


def _show_from_the_start(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)


class _Now(Collector):
    """What is true at the moment of the question."""

    engine: Engine | None = None

    def __init__(self) -> None:
        self.index: Callable[[], IndexFacts | None] = lambda: None

    def collect(self) -> Iterable[Metric]:
        if self.engine is not None:
            status = self.engine.status()
            states = GaugeMetricFamily(
                "chatalogue_engine_state", "1 for the state that the language model is in", labels=["state"]
            )
            for state in get_args(EngineState):
                states.add_metric([state], float(state == status.state))
            yield states
            queue = GaugeMetricFamily("chatalogue_engine_queue", "Calls that wait for the language model")
            queue.add_metric([], status.queued)
            yield queue
            adapter = InfoMetricFamily("chatalogue_adapter", "The live model and adapter; none: the base model answers")
            adapter.add_metric([], {"model": status.model, "adapter": status.adapter or "none"})
            yield adapter
        index = self.index()
        if index is not None:
            items = GaugeMetricFamily("chatalogue_index_items", "Items of the live catalogue")
            items.add_metric([], index.items)
            yield items
            degraded = GaugeMetricFamily(
                "chatalogue_index_degraded", "1 while searches go without Chroma, by an exact scan or by words alone"
            )
            degraded.add_metric([], float(index.degraded))
            yield degraded
            built = GaugeMetricFamily(
                "chatalogue_index_built_timestamp_seconds", "When the live index was built, in seconds since 1970"
            )
            built.add_metric([], index.built)
            yield built
