"""One uvicorn on a free loopback port for the whole session; a fresh application where state matters."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest
import uvicorn
from pydantic import SecretStr
from scripted_chat import FixedHealth, ScriptedChat, Server, StatusOnly, as_engine
from starlette.responses import PlainTextResponse

from agent.api.app import create_api
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.observer import Observer
from agent.services import PartHealth, Services
from agent.settings import ServerSettings, Settings


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="session")
def event_log(data_dir: Path) -> Iterator[EventLog]:
    log = EventLog.open(None, data_dir)
    yield log
    log.close()


def _services(
    log: EventLog, chat: ScriptedChat, health: FixedHealth, server: ServerSettings, data_dir: Path
) -> Services:
    settings = Settings(data_dir=data_dir, server=server)
    observer, engine = Observer(), as_engine(StatusOnly())
    observer.metrics.follow(engine)
    log.watch(observer.metrics)  # of the application made last: the log is the session's
    return Services(settings, ObservedChat(chat, observer), health, log, engine, observer)


@pytest.fixture(scope="session")
def server(event_log: EventLog, data_dir: Path) -> Iterator[Server]:
    chat = ScriptedChat(event_log)
    app = create_api(_services(event_log, chat, FixedHealth(), ServerSettings(), data_dir))
    app.mount("/", PlainTextResponse("the page"))  # as ui/ mounts the real one, which answers every path
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not running.started:
        assert time.monotonic() < deadline, "uvicorn did not start"
        time.sleep(0.02)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield Server(f"http://127.0.0.1:{port}", chat, event_log)
    running.should_exit = True
    thread.join(20)


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as made:
        yield made


@pytest.fixture
def fresh(event_log: EventLog, data_dir: Path) -> Callable[..., object]:
    """`async with fresh(keys=..., health=...) as http`: an application of its own, without a socket."""

    @asynccontextmanager
    async def opened(
        *keys: str, parts: tuple[PartHealth, ...] = (), root_path: str = "", agents: tuple[str, ...] = ()
    ) -> AsyncIterator[httpx.AsyncClient]:
        secrets = {"api_keys": tuple(map(SecretStr, keys)), "agent_keys": tuple(map(SecretStr, agents))}
        server = ServerSettings(**secrets)
        app = create_api(_services(event_log, ScriptedChat(event_log), FixedHealth(*parts), server, data_dir))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as made:
            yield made

    return opened
