"""A collector that is gone costs nobody anything; errors are traced by their class alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from observe_types import Lines

from agent.observe import names
from agent.observe.observer import Observer
from agent.observe.tracing import SHUTDOWN_SECONDS, OtlpTracing
from tests.deploy.otlp_receiver import Collector, collecting
from tests.faults.served import wait_for
from tests.ports import free_port


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def _turn(observer: Observer) -> None:
    with observer.span("turn"):
        with observer.span("aside", "client", current=False), observer.span("step") as step:
            step.set(names.ITEMS, 5)
        raise ValueError("ann@example.com said something")


def test_spans_nest_and_fail_without_their_message(collector: Collector) -> None:
    tracing = OtlpTracing(collector.url, "1")
    observer = Observer(tracing=tracing)
    with pytest.raises(ValueError, match="ann@"):
        _turn(observer)
    tracing.shutdown()
    spans = {span.name: span for span in collector.spans}
    assert (spans["step"].parent, spans["aside"].parent, spans["turn"].parent) == (spans["turn"].id,) * 2 + ("",)
    assert spans["turn"].attributes == {names.ERROR_TYPE: "ValueError"}
    assert (spans["turn"].failed, spans["step"].failed, spans["turn"].events) == (True, False, 0)
    assert spans["step"].attributes == {names.ITEMS: 5}
    assert b"ann@" not in b"".join(collector.raw)


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
def test_a_request_without_a_trace_begins_one(collector: Collector, headers: dict[str, str]) -> None:
    tracing = OtlpTracing(f"{collector.url}/v1/traces", "1")
    with tracing.span("outer"), tracing.span("GET", "server", headers=headers) as span:
        span.rename("GET /v1/models")
    tracing.shutdown()
    outer, request = sorted(collector.spans, key=lambda span: span.kind)
    assert (request.name, request.kind, request.parent) == ("GET /v1/models", "server", "")
    assert request.trace != outer.trace


def test_a_collector_that_is_gone(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    lines()
    tracing = OtlpTracing(f"http://127.0.0.1:{free_port()}", "1")
    began = time.monotonic()
    for n in range(5000):  # more than the queue holds
        with tracing.span("turn") as span:
            span.set(names.ITEMS, n)
    spent = time.monotonic() - began
    heard = lines()
    wait_for(
        lambda: bool(heard.extend(lines()) or [one for one in heard if one["event"] == "traces_not_sent"]), "a word"
    )
    ending = time.monotonic()
    tracing.shutdown()
    assert time.monotonic() - ending < SHUTDOWN_SECONDS + 20
    assert spent < 60  # to wait for it would be hours
    heard += lines()
    assert len([one for one in heard if one["event"] == "traces_not_sent"]) == 1
    assert len(heard) <= 5, heard


def test_a_collector_that_comes_back(collector: Collector, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    lines()
    collector.refuses = True
    tracing = OtlpTracing(collector.url, "1")
    with tracing.span("lost"):
        pass
    heard = lines()
    wait_for(lambda: bool(heard.extend(lines()) or heard), "that it is gone")
    collector.refuses = False
    with tracing.span("found"):
        pass
    wait_for(lambda: bool(heard.extend(lines()) or len(heard) > 1), "that it is back")
    tracing.shutdown()
    assert [one["event"] for one in heard] == ["traces_not_sent", "traces_sent_again"]
    assert [span.name for span in collector.spans] == ["found"]
