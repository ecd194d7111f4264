"""`chatalogue bench ratings | personal | scale | switch`: what is measured goes into the file and onto the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

import agent.bench.personal
from agent.bench import engine_switch
from agent.bench.engine_switch import SwitchPauses
from agent.bench.spread import Quartiles
from agent.llm.adapter_check import CONFIG_FILE, PROBE_FILE, WEIGHTS_FILE
from agent.llm.probe import Canary, Probe
from agent.llm.protocol import EngineStatus
from agent.llm.vllm import making
from agent.settings import LLMSettings, RetrievalSettings, Settings, VLLMSettings
from retrieval.bench.scale import ScaleReport
from retrieval.errors import BadRequest
from ui.bench.processes import Cost, Measured
from ui.bench.render import render
from ui.bench.report import read_report
from ui.commands import bench_others

PAIR = {"p50": 10.5, "p95": 20.0}
TIMES = {"n": 200, "first_s": 0.5, "encode_ms": PAIR, "search_ms": PAIR, "lexical_ms": PAIR, "dense_ms": PAIR}


class _Regret(BaseModel):
    customers: int
    regret: dict[str, float]


def scale_report(size: int, *, built_now: bool) -> ScaleReport:
    return ScaleReport.model_validate(
        {
            "catalogue": "movies.jsonl.gz", "n_items": size, "n_real": 30, "noise": 0.9, "encoder": "e",
            "hnsw": {"ef_search": 100}, "build": None, "built_now": built_now, "index_gib": 0.1, "open_s": 1.0,
            "times": TIMES, "dense_recall": {10: 1.0, 200: 0.99}, "serving_rss_gib": 2.0 if built_now else 0.5,
        }
    )  # fmt: skip


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_others, "configure_logs", lambda *_: None)  # it would keep this test's stderr


def test_a_result_stands_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _Regret(customers=240, regret={"value": 3.25, "low": 3.0, "high": 3.5})
    monkeypatch.setattr(agent.bench.personal, "measure_personal", lambda say: say("simulating") or result)
    out = tmp_path / "bench.json"
    bench_others.run_other(bench_others.personal(), out)
    said = capsys.readouterr()
    assert "simulating" in said.err
    assert "| regret | 3.25 [3 – 3.5] |" in said.out
    page = render(read_report(out), "bench.json")
    assert "## Learning within a conversation, simulated" in page
    assert "`chatalogue bench personal --out bench.json`" in page
    assert "- rating prediction: not in this file" in page
    assert "- learning within a conversation, simulated: not in this file" not in page


def test_memory_of_serving_is_measured_without_that_of_building(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = tmp_path / "movies.jsonl.gz"
    films.touch()
    asked: list[tuple[str, ...]] = []

    def run(command: list[str], *_: object) -> Measured:
        asked.append(tuple(command[1:]))
        size = int(command[command.index("--n") + 1])
        report = scale_report(size, built_now=size == 1_000_000 and len(asked) == 2)
        return Measured(Cost(seconds=1, cpu_seconds=1, peak_rss_gib=1), report.model_dump_json())

    monkeypatch.setattr(bench_others, "run_measured", run)
    out = tmp_path / "bench.json"
    bench_others.run_other(bench_others.scale_of(films, (30, 1_000_000), tmp_path / "work"), out)
    assert [one[one.index("--n") + 1] for one in asked] == ["30", "1000000", "1000000"]
    page = render(read_report(out), "bench.json")
    assert "| n items | 30 | 1,000,000 |" in page
    assert "| serving rss gib | 0.5 | 0.5 |" in page
    assert "chatalogue bench scale --films movies.jsonl.gz --size 30 --size 1000000 --work indexes" in page


class _Ready:
    """An engine that is there; what it is asked goes to `measure_pauses`, which the test replaces."""

    def status(self) -> EngineStatus:
        return EngineStatus("ready", "tiny", None)

    async def close(self) -> None: ...


@pytest.mark.parametrize(("adapters", "way"), [("runtime", "at run time"), ("merged", "merged weights")])
def test_the_pause_of_a_change_says_how_vllm_changes_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapters: str, way: str
) -> None:
    folders, changed = list[Path](), list[set[str]]()

    async def measured(engine: object, adapter: Path, say: object, *, rounds: int) -> SwitchPauses:
        changed.append({one.name for one in adapter.iterdir()})
        spread = Quartiles.of([float(rounds)] * rounds)
        return SwitchPauses(
            writing=2, prepared_s=spread, longest_gap=spread, longest_gap_switching=spread, arriving=spread,
            arriving_switched=spread, pause_writing=25, pause_arriving=10,
        )  # fmt: skip

    async def probe(base: Path, adapter: Path) -> Probe:
        assert adapter.parent == folders[0].parent
        return Probe((Canary((1, 2), (-1.0,), (-2.0,)),))

    def made(llm: LLMSettings, models: Path, folder: Path) -> _Ready:
        folders.append(folder)
        return _Ready()

    monkeypatch.setattr(engine_switch, "measure_pauses", measured)
    monkeypatch.setattr(making, "make_vllm_engine", made)
    monkeypatch.setattr("agent.llm.probe.make_probe", probe)
    monkeypatch.setattr("agent.llm.weights.resolve_model", lambda model, folder: folder / model)
    settings = Settings(data_dir=tmp_path / "var", llm=LLMSettings(threads=3, vllm=VLLMSettings(adapters=adapters)))
    bench_others.run_other(bench_others.switch_of(settings, 3), tmp_path / "bench.json")
    page = render(read_report(tmp_path / "bench.json"), "bench.json")
    assert f"## A change of the adapter: vLLM, {way}, llm.threads = 3" in page
    assert "the change adds 25 and 10 ms" in page
    assert "`chatalogue bench switch --rounds 3 --out bench.json`" in page
    assert changed == [{CONFIG_FILE, WEIGHTS_FILE, PROBE_FILE, "manifest.json"}]
    assert not folders[0].exists()  # nothing is left where the shop keeps its adapters
    assert folders[0].parent != tmp_path / "var"


def test_what_is_missing_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no folder 'no-such'"):
        bench_others.ratings_of(Path("no-such"), None, RetrievalSettings())
    with pytest.raises(BadRequest, match="no file 'no-such'"):
        bench_others.scale_of(Path("no-such"), (30,), tmp_path)
    never = bench_others.Other("never", "never", lambda: pytest.fail("measured"))
    with pytest.raises(BadRequest, match="does not exist"):
        bench_others.run_other(never, tmp_path / "no" / "bench.json")


def test_what_another_run_wrote_meanwhile_stays(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"

    def slow() -> BaseModel:
        bench_others.run_other(bench_others.Other("quick", "quick", lambda: _Regret(customers=1, regret={})), out)
        return _Regret(customers=2, regret={})

    bench_others.run_other(bench_others.Other("slow", "slow", slow), out)
    assert set(read_report(out).others) == {"quick", "slow"}
