"""Keys, sent in every place of a request: none of it reaches a log, a trace, an answer or the disk."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from keyed_api import ASKED, KeyedApi, bearer, keyed_api

from agent.observe.observer import Observer
from ui.logs import configure_logs

PLANTED = "ctl_PLANTEDplnt0_SECRETsecretSECRETsecretSECRETsecretSECRETs"


class Spans:
    """Stands where the exporter of traces does, and keeps all that is said to it."""

    def __init__(self) -> None:
        self.said = io.StringIO()

    @contextmanager
    def span(
        self, name: str, kind: str = "", *, attributes: object = None, headers: object = None, current: bool = True
    ) -> Iterator[Any]:
        # The headers come along so that a trace can be gone on with; they are no attributes.
        self.said.write(f"{name} {attributes}\n")
        yield self

    def set(self, key: str, value: object) -> None:
        self.said.write(f"{key}={value}\n")

    def rename(self, name: str) -> None:
        self.said.write(f"{name}\n")

    def fail(self, error: str) -> None:
        self.said.write(f"{error}\n")


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The logs as `serve` writes them, everything from debug on."""
    written = io.StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    monkeypatch.setattr("sys.stderr", written)
    configure_logs(logging.DEBUG)
    yield written
    structlog.reset_defaults()
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)


def places(key: str) -> Iterator[dict[str, Any]]:
    """Requests with `key` where a careless client may put it, and where nobody looks."""
    if key == PLANTED:  # one of the settings may be any word, so nobody can tell it from an id
        yield {"url": "/v1/models", "headers": {"x-request-id": f"id-{key}"}}
    for name in ("x-api-key", "api-key", "cookie", "user-agent", "idempotency-key", "origin", "referer"):
        yield {"url": "/v1/models", "headers": {name: key}}
    for value in (f"Basic {key}", key, f"Bearer {key} ", f"bearer\t{key}", f"Bearer  {key}x", f"Token {key}"):
        yield {"url": "/v1/models", "headers": {"authorization": value}}
    for path in ("/v1/models", "/v1/nothing", "/healthz", "/readyz", "/metrics", "/"):
        yield {"url": f"{path}?api_key={key}"}
    for path in ("/v1/models/{}", "/v1/sessions/{}", "/v1/turns/{}/trace", "/v1/users/{}/preferences", "/v1/{}", "/{}"):
        yield {"url": path.format(key)}
    yield {"url": "/v1/chat/completions", "method": "POST", "json": ASKED | {"model": key, "api_key": key}}
    yield {"url": "/v1/chat/completions", "method": "POST", "content": f'{{"api_key": "{key}"'}
    yield {"url": "/v1/feedback", "method": "POST", "json": {"turn_id": key, "kind": key, "api_key": key}}
    yield {"url": "/v1/events", "method": "POST", "json": {"kind": "view", "api_key": key, "turn_id": key}}


async def ask_everywhere(api: KeyedApi, key: str, admitted: str) -> str:
    """The answers; each request once as it is and once with a right key."""
    heard = ""
    for request in places(key):
        for sent in ({}, bearer(admitted)):
            headers = {**sent, **request.get("headers", {})}
            more = {name: value for name, value in request.items() if name not in ("method", "url", "headers")}
            answer = await api.http.request(request.get("method", "GET"), request["url"], headers=headers, **more)
            assert answer.status_code < 500
            heard += f"{answer.headers}\n" + ("" if _says_back(request) else answer.text)
    return heard


def _says_back(request: dict[str, Any]) -> bool:
    """Where an id that the client sent is said back to that client ("the session ... is unknown")."""
    return "json" in request or (request["url"].count("/") > 2 and "?" not in request["url"])


async def test_no_secret_gets_anywhere(tmp_path: Path, stderr: io.StringIO) -> None:
    spans = Spans()
    async with keyed_api(tmp_path, api_keys=["SETTINGSplanted"]) as api:
        observer = Observer(tracing=spans)  # type: ignore[arg-type]
        api = KeyedApi(api.log, tmp_path, api.services.settings.server, observer)
        made = api.key()
        real = made.secret.split("_")[2]
        heard = await ask_everywhere(api, PLANTED, made.secret)
        heard += await ask_everywhere(api, "SETTINGSplanted", made.secret)
        answer = await api.ask(made.secret, headers={"idempotency-key": "IDEMPOTENTplanted"})
        heard += answer.text
        for word in ("crash", "explode", "noindex"):
            heard += (await api.ask(made.secret, word)).text
        await api.http.get("/v1/models", headers=bearer("SETTINGSplanted"))
        (tmp_path / "log.sqlite3").rename(tmp_path / "away")
        heard += (await api.ask(made.secret, "a database that is away")).text
        (tmp_path / "away").rename(tmp_path / "log.sqlite3")
    logged = stderr.getvalue()
    assert "request" in logged
    assert "POST /v1/chat/completions" in spans.said.getvalue()
    for secret in (real, "SETTINGSplanted", "IDEMPOTENTplanted", PLANTED):
        for said in (logged, spans.said.getvalue(), heard):
            assert secret not in said
    for file in tmp_path.rglob("*"):
        for secret in (real, "SETTINGSplanted", "IDEMPOTENTplanted"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), (file.name, secret)
