"""Counters and histograms for Prometheus, in a registry of each application's own.

No user, conversation or turn id is ever a label. Knows nothing of routes.
"""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agent.llm.protocol import Engine, EngineState

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Metrics:
    """What `/metrics` shows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.registry = CollectorRegistry()
        self.turns = Counter("chatalogue_turns", "Finished turns by action", ["action"], registry=self.registry)
        self.degraded = Counter(
            "chatalogue_degraded_turns", "Turns answered without the language model", registry=self.registry
        )
        self.failed = Counter(
            "chatalogue_failed_turns", "Turns that ended in an error, by its class", ["error"], registry=self.registry
        )
        self.abandoned = Counter(
            "chatalogue_abandoned_turns", "Turns whose client went away before the end", registry=self.registry
        )
        self.turn_seconds = Histogram("chatalogue_turn_seconds", "Whole turn", buckets=_SECONDS, registry=self.registry)
        self.first_text_seconds = Histogram(
            "chatalogue_first_text_seconds", "Arrival to first words", buckets=_SECONDS, registry=self.registry
        )
        self.feedback = Counter("chatalogue_feedback", "Stored reactions by kind", ["kind"], registry=self.registry)
        self._engine_state = Gauge(
            "chatalogue_engine_state", "1 for the state the engine is in", ["state"], registry=self.registry
        )
        self._engine_queue = Gauge("chatalogue_engine_queue", "Calls that wait for the engine", registry=self.registry)

    def render(self) -> bytes:
        """The text format of Prometheus; the engine is asked now."""
        status = self._engine.status()
        for state in get_args(EngineState):
            self._engine_state.labels(state).set(state == status.state)
        self._engine_queue.set(status.queued)
        return generate_latest(self.registry)
