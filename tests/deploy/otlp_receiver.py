"""A small OTLP/HTTP collector: a real socket, real protobuf; keeps the spans that it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan


@dataclass(frozen=True)
class Span:
    """A span as a collector knows it; ids are hex, "" for no parent."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    schema: str
    events: int


@dataclass
class Collector:
    """What came in; `raw` are the bodies as they were sent. While it `refuses`, it answers 404 and keeps nothing."""

    url: str
    refuses: bool = False
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def of_trace(self, trace: str) -> dict[str, Span]:
        """The spans of one trace by name (the last one of a name)."""
        return {span.name: span for span in self.spans if span.trace == trace}

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            assert [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"] == [
                "chatalogue"
            ]
            for scope in resource.scope_spans:
                self.spans += [_span(one, scope.schema_url) for one in scope.spans]


def _span(one: ProtoSpan, schema: str) -> Span:
    return Span(
        one.name,
        ProtoSpan.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_").lower(),
        one.trace_id.hex(),
        one.span_id.hex(),
        one.parent_span_id.hex(),
        one.status.code == 2,
        {attribute.key: _value(attribute.value) for attribute in one.attributes},
        schema,
        len(one.events),
    )


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - a string, number, boolean or a list of them
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, str(kind))


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on a free port of loopback until the block ends."""
    collector = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            right = not collector.refuses and (self.path, self.headers["content-type"]) == (
                "/v1/traces",
                "application/x-protobuf",
            )
            if right:
                collector.take(body)
            self.send_response(200 if right else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
