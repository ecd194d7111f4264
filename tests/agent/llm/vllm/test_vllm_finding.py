from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.llm.vllm import finding
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.finding import check_url, find_vllm_python, use_vllm
from agent.settings import VLLMSettings
from retrieval.errors import SettingsError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://vllm:8000",
        "http://10.1.2.3:8000",
        "http://172.31.0.1",
        "http://192.168.1.9:80",
        "http://169.254.3.4:80",
        "http://[::1]:8000",
        "http://[fd00::7]:8000",
        "https://gpu-box:8000",
    ],
)
def test_private_servers_are_taken(url: str) -> None:
    assert check_url(url) == url
    assert check_url(f"{url}/v1") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8:8000",
        "http://172.32.0.1:8000",
        "http://0.0.0.0:8000",
        "http://api.example.com",
        "http://vllm.internal:8000",
        "http://134744072:8000",  # 8.8.8.8 as one number
        "http://0x8080808:8000",
        "http://[2001:4860:4860::8888]:80",
        "http://[::ffff:8.8.8.8]:80",
    ],
)
def test_public_servers_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not on loopback or a private network"):
        check_url(url)
    with pytest.raises(SettingsError, match="not on loopback or a private network"):
        Backend("any", tmp_path, VLLMSettings(), Place(url=url))


@pytest.mark.parametrize("url", ["vllm:8000", "ftp://vllm", "http://", "http://127.0.0.1:99999"])
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(SettingsError, match="write it like"):
        check_url(url)


class TestPython:
    def test_the_one_that_is_set(self, tmp_path: Path) -> None:
        assert find_vllm_python(VLLMSettings(python=Path(sys.executable))) == Path(sys.executable)
        with pytest.raises(SettingsError, match="no Python can be run"):
            find_vllm_python(VLLMSettings(python=tmp_path / "python"))

    def test_ours_then_the_one_beside_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(finding, "find_spec", lambda name: object())
        assert find_vllm_python(VLLMSettings()) == Path(sys.executable)
        monkeypatch.setattr(finding, "find_spec", lambda name: None)
        monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
        with pytest.raises(SettingsError, match="make vllm"):
            find_vllm_python(VLLMSettings())
        beside = tmp_path / ".venv-vllm" / "bin" / "python"
        beside.parent.mkdir(parents=True)
        beside.touch()
        assert find_vllm_python(VLLMSettings()) == beside


class TestAuto:
    """vLLM with a URL, or with a GPU and a Python that has vLLM; else not."""

    def test_a_url(self) -> None:
        assert use_vllm(VLLMSettings(url="http://vllm:8000"))

    def test_a_gpu_needs_vllm_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        python = VLLMSettings(python=Path(sys.executable))
        monkeypatch.setattr(finding, "GPU_DEVICES", (tmp_path / "gpu0",))
        assert not use_vllm(python)
        (tmp_path / "gpu0").touch()
        assert use_vllm(python)
        assert not use_vllm(VLLMSettings(python=tmp_path / "none"))
