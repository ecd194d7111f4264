"""Traces by OpenTelemetry, sent in batches to a collector by OTLP over HTTP.

The only module that loads OpenTelemetry; read it where traces are wanted. A collector that is slow or gone costs a
turn nothing: spans wait in a bounded queue in memory, and what does not fit is dropped. Headers, certificates and
sampling are set by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER ...).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent.observe import names
from agent.observe.observer import Attribute, Span, SpanKind

TRACES_PATH: Final = "/v1/traces"
EXPORT_SECONDS: Final = 5.0
"""For one batch, with its repetitions."""
SHUTDOWN_SECONDS: Final = 1.0
"""For the last batch, when the server stops: a container has 10 s in all, and answers under way need most of them."""
SERVICE_NAME: Final = "chatalogue"

_KINDS: Final[Mapping[SpanKind, OtelKind]] = {
    "internal": OtelKind.INTERNAL,
    "client": OtelKind.CLIENT,
    "server": OtelKind.SERVER,
}

log = structlog.get_logger(__name__)


class OtlpTracing:
    """Implements `agent.observe.observer.Tracing`; `shutdown` must be called at the end."""

    def __init__(self, endpoint: str, version: str) -> None:
        """Begin to send to `endpoint`, the collector's address (http://collector:4318) or its full path."""
        _silence_exporter()
        url = endpoint if endpoint.rstrip("/").endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH
        resource = Resource.create({"service.name": SERVICE_NAME, "service.version": version})
        # Not the global provider: libraries of ours (Chroma) that trace for themselves would write into our traces.
        self._provider = TracerProvider(
            resource=Resource(resource.attributes, names.SCHEMA_URL), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(_TellingExporter(OTLPSpanExporter(url, timeout=EXPORT_SECONDS), url))
        )
        self._tracer = self._provider.get_tracer(SERVICE_NAME, version, schema_url=names.SCHEMA_URL)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind = "internal",
        *,
        attributes: Mapping[str, Attribute] | None = None,
        headers: Mapping[str, str] | None = None,
        current: bool = True,
    ) -> Iterator[Span]:
        """See `Tracing.span`."""
        # An empty context, not the current one: a request without `traceparent` begins a trace of its own.
        parent = None if headers is None else self._propagator.extract(headers, Context())
        started = self._tracer.start_span(name, parent, _KINDS[kind], attributes)
        span = _Span(started)
        try:
            if current:
                # Exceptions are noted by class below: OpenTelemetry would write their message and their trace.
                with trace.use_span(started, record_exception=False, set_status_on_exception=False):
                    yield span
            else:
                yield span
        except Exception as error:
            span.fail(type(error).__name__)
            raise
        finally:
            started.end()

    def shutdown(self) -> None:
        """Send what is left, for at most `SHUTDOWN_SECONDS`."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-shutdown", daemon=True)
        ending.start()
        ending.join(SHUTDOWN_SECONDS)
        if ending.is_alive():
            log.warning("traces_lost", detail=f"The last spans could not be sent within {SHUTDOWN_SECONDS:g} s.")


class _Span:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute(names.ERROR_TYPE, error_type)
        self._span.set_status(Status(StatusCode.ERROR))


class _TellingExporter(SpanExporter):
    """Says once that the collector is gone and once that it is back, instead of twice a batch."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        if self._works and not works:
            log.warning("traces_not_sent", detail=f"The collector at {self._url!r} does not take traces; going on.")
        elif works and not self._works:
            log.info("traces_sent_again")
        self._works = works
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _silence_exporter() -> None:
    """`_TellingExporter` speaks for it; a full queue is told by the SDK itself, without repetition."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
