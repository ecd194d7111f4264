"""One `chatalogue serve` as an operator runs it: with a key, a language model and a collector for its traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from observed import KEY, Observed
from otlp_receiver import collecting

from tests.faults.served import Served, run_command

FILMS = Path(__file__).parents[1] / "agent" / "data" / "films30.jsonl"


@pytest.fixture(scope="session")
def observed(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    from agent.llm.weights import DEFAULT_MODEL, resolve_model

    data = tmp_path_factory.mktemp("observed") / "var"
    assert pytestconfig.cache is not None
    models = pytestconfig.cache.mkdir("chatalogue-models-served")  # shared with tests/faults: converting takes long
    resolve_model(DEFAULT_MODEL, models)
    done = run_command(data, "index", str(FILMS))
    assert done.returncode == 0, done.stderr
    data.joinpath("models").symlink_to(models, target_is_directory=True)
    with collecting() as collector:
        settings = {
            "CHATALOGUE_LLM__ENGINE": "embedded",
            "CHATALOGUE_LLM__REPLY": "on",
            "CHATALOGUE_LLM__REPLY_TIMEOUT_S": "60",
            "CHATALOGUE_LLM__REPLY_TOKENS": "8",
            "CHATALOGUE_SERVER__API_KEYS": f'["{KEY}"]',
            "CHATALOGUE_TELEMETRY__OTLP_ENDPOINT": collector.url,
            "CHATALOGUE_TELEMETRY__LOG_LEVEL": "debug",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "NO_PROXY": os.environ.get("NO_PROXY", "127.0.0.1"),
        }
        server = Served(data, tmp_path_factory.mktemp("log") / "server.log", settings)
        try:
            server.http.headers["authorization"] = f"Bearer {KEY}"
            server.wait_ready("ok")
            yield Observed(server, collector)
        finally:
            server.stop()
