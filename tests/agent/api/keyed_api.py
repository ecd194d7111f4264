"""The real application over a log of its own, asked without a socket, with keys from the database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from scripted_chat import FixedHealth, ScriptedChat, StatusOnly, as_engine

from agent.api import auth
from agent.api.app import create_api
from agent.log.keys import SCOPES, KeyLimits, KeyStore, NewKey, Scope
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.observer import Observer
from agent.services import Services
from agent.settings import ServerSettings, Settings

ASKED = {"model": "chatalogue", "messages": [{"role": "user", "content": "a heist film"}]}
CUSTOMERS: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope != "handoff")


class KeyedApi:
    """One application; every response body of a client is read by the test itself."""

    def __init__(self, log: EventLog, data_dir: Path, server: ServerSettings, observer: Observer | None = None) -> None:
        self.log, self.data_dir, self.keys = log, data_dir, KeyStore(log.database)
        self.chat = ScriptedChat(log)
        observer, engine = observer or Observer(), as_engine(StatusOnly())
        settings = Settings(data_dir=data_dir, server=server)
        self.services = Services(settings, ObservedChat(self.chat, observer), FixedHealth(), log, engine, observer)
        self.app = create_api(self.services)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False), base_url="http://localhost"
        )

    def key(
        self, team: str = "shop", *scopes: Scope, tenant: str = "default", days: float | None = None, **limits: int
    ) -> NewKey:
        return self.keys.create(tenant, team, scopes or CUSTOMERS, days=days, limits=KeyLimits(**limits))

    async def ask(
        self, key: str, text: str = "a heist film", headers: Mapping[str, str] | None = None, **more: object
    ) -> httpx.Response:
        body = ASKED | {"messages": [{"role": "user", "content": text}]} | more
        sent = bearer(key) | (headers or {})
        return await self.http.post("/v1/chat/completions", json=body, headers=sent)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def code_of(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].endswith(".")
    return str(error["code"])


def last_chunk(stream: str) -> dict[str, object]:
    """The chunk with the `finish_reason`."""
    chunks = [json.loads(line[6:]) for line in stream.split("\n\n") if line.startswith("data: {")]
    (found,) = [chunk for chunk in chunks if chunk["choices"] and chunk["choices"][0]["finish_reason"]]
    return dict(found)


@asynccontextmanager
async def keyed_api(tmp_path: Path, *, look_seconds: float = 0.0, **server: object) -> AsyncIterator[KeyedApi]:
    """Looks at the database for each key, so that one that was just made is known."""
    log, usual = EventLog.open(None, tmp_path), auth.LOOK_SECONDS
    auth.LOOK_SECONDS = look_seconds  # type: ignore[misc]
    api = KeyedApi(log, tmp_path, ServerSettings.model_validate(server))
    try:
        async with api.http:
            yield api
    finally:
        auth.LOOK_SECONDS = usual  # type: ignore[misc]
        log.close()
