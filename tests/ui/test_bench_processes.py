"""Processes under measurement: small scripts in the place of the product's commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.settings import Settings
from retrieval.errors import ChatalogueError
from ui.bench import startup
from ui.bench.index import Quantiles, measure_index, query_times
from ui.bench.processes import CommandFailed, bench_settings, environment, run_measured

SERVER = """
import http.server, json, signal, sys
asked = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        global asked
        asked += self.path == "/readyz"
        # The language model comes last: the first answers are degraded.
        self.answer({"status": "ok" if asked > 3 else "degraded"})

    def do_POST(self):
        assert self.path == "/v1/chat/completions"
        assert asked > 3, "the chat came before the model"
        length = int(self.headers["Content-Length"])
        assert json.loads(self.rfile.read(length))["model"] == "chatalogue"
        self.answer({"choices": []})

    def log_message(self, *arguments):
        pass

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def test_cost_is_of_the_command_alone() -> None:
    ballast = bytearray(os.urandom(1) * (300 * 2**20))  # what a child would start with, were it ours
    code = "import time; block = bytearray(b'x' * (80 * 2**20)); time.sleep(0.2); print('done')"
    measured = run_measured((sys.executable, "-c", code), os.environ, "A test")
    assert len(ballast) == 300 * 2**20
    assert measured.stdout == "done"
    assert 0.2 <= measured.cost.seconds < 20
    assert 0.08 < measured.cost.peak_rss_gib < 0.25


def test_a_command_that_fails_is_said() -> None:
    with pytest.raises(CommandFailed, match="Indexing failed with exit code 3"):
        run_measured((sys.executable, "-c", "raise SystemExit(3)"), os.environ, "Indexing")


def test_a_benchmark_has_a_data_directory_of_its_own_and_repeats(tmp_path: Path) -> None:
    settings = bench_settings(Settings(), tmp_path)
    assert (settings.data_dir, settings.chat.exploration) == (tmp_path, 0)
    assert environment(tmp_path)["CHATALOGUE_DATA_DIR"] == str(tmp_path)


def test_starts_are_measured_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER, encoding="utf-8")
    monkeypatch.setattr(startup, "CHATALOGUE", (sys.executable, str(script)))
    folder, said = tmp_path / "data", list[str]()
    (folder / "old").mkdir(parents=True)
    times = startup.measure_start(folder, Settings(), None, said.append, cold=1, warm=2)
    assert not (folder / "old").exists()  # a cold start is one of an empty directory
    assert times.cold.exit_codes == (0,)
    assert times.warm.exit_codes == (0, 0)
    assert times.warm.healthz is not None
    assert times.warm.ready is not None
    assert times.warm.first_answer is not None
    assert times.warm.healthz.low < times.warm.ready.low <= times.warm.first_answer.low
    assert len(said) == 3


def test_a_warm_start_needs_a_start_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[Path]()

    def start(folder: Path, settings: Settings, config: Path | None) -> startup.OneStart:
        folder.mkdir(exist_ok=True)
        started.append(folder)
        return startup.OneStart(healthz=1, ready=1, first_answer=1, stop=1, exit_code=0)

    monkeypatch.setattr(startup, "_start", start)
    times = startup.measure_start(tmp_path / "data", Settings(), None, print, cold=0, warm=2)
    assert (len(started), times.warm.exit_codes, times.cold.healthz) == (3, (0, 0), None)


def test_a_server_that_ends_is_said_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "CHATALOGUE", (sys.executable, "-c", "raise SystemExit('The disk is full.')"))
    with pytest.raises(CommandFailed, match="exit code 1: The disk is full"):
        startup.measure_start(tmp_path / "data", Settings(), None, print, cold=1, warm=0)


def test_the_figures_of_retrieval_are_taken_over() -> None:
    pair = {"p50": 1.0, "p95": 2.0}
    said = {
        "machine": {}, "n_queries": 200, "encode_ms": pair, "unfiltered_ms": pair, "filtered_50.00%_ms": pair,
        "hnsw_recall_at_200": 0.99, "serving_peak_rss_gib": 1.5, "first_day_ms": {"p50": 3.0, "p95": 4.0},
        "first_day_named_ms": {"p50": 5.0, "p95": 6.0},
    }  # fmt: skip
    times = query_times(said)
    assert list(times.filtered_ms) == ["50.00%"]
    assert (times.first_day_ms, times.first_day_named_ms) == (Quantiles(p50=3.0, p95=4.0), Quantiles(p50=5.0, p95=6.0))
    with pytest.raises(KeyError):
        query_times({"n_queries": 200})


def test_no_catalogue_is_said_before_anything_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(ChatalogueError, match="no catalogue"):
        measure_index(tmp_path / "none.jsonl", bench_settings(Settings(), tmp_path), None, print)
    assert (tmp_path / "kept").exists()
