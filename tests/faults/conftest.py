"""One catalogue for all tests of faults, made once and copied; servers on it that always end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import FILMS, CopyShop, Served, StartServer, run_command

from agent.llm.weights import DEFAULT_MODEL, resolve_model


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a catalogue that is live; not to be written."""
    data = tmp_path_factory.mktemp("shop") / "var"
    done = run_command(data, "index", str(FILMS))
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture(scope="session")
def copy_shop(shop: Path) -> CopyShop:
    def copy(to: Path) -> Path:
        shutil.copytree(shop, to, dirs_exist_ok=True)
        return to

    return copy


@pytest.fixture(scope="session")
def models(pytestconfig: pytest.Config) -> Path:
    """The language model's weights as our engines read them, kept between runs: converting them takes long."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("chatalogue-models-served")
    resolve_model(DEFAULT_MODEL, kept)
    return kept


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    servers: list[Served] = []

    def start(data: Path, **settings: str) -> Served:
        servers.append(Served(data, tmp_path_factory.mktemp("server") / "server.log", settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def data(copy_shop: CopyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shop for the tests of one module."""
    return copy_shop(tmp_path_factory.mktemp("data") / "var")


@pytest.fixture(scope="module")
def server(start: StartServer, data: Path) -> Served:
    """A ready server without a language model, for the tests of one module."""
    served = start(data)
    served.wait_ready()
    return served
