"""The server's command, environment and log; its life is in test_vllm_life.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from agent.llm.vllm import server
from agent.llm.vllm.histories import PIECE_TOKENS
from agent.llm.vllm.server import (
    BLOCK_TOKENS,
    PLUGINS,
    VLLMServer,
    first_failure,
    linear_names,
    lora_arguments,
    server_environment,
)
from agent.settings import VLLMSettings
from retrieval.errors import EngineError


def test_the_environment_holds_nothing_of_ours_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "CHATALOGUE_DATABASE__URL", "OPENAI_API_KEY", "HF_TOKEN", "PYTHONPATH", "VLLM_SERVER_DEV_MODE", "VLLM_PLUGINS",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "HTTP_PROXY",
    ):  # fmt: skip
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    plain = server_environment(VLLMSettings(kv_cache_gib=2), lora=False)
    assert {name for name in plain if name.startswith(("VLLM_", "CHATALOGUE", "PYTHON", "HF_"))} == {
        "VLLM_CPU_KVCACHE_SPACE", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_HOST_IP", "VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE",
        "PYTHONUNBUFFERED", "VLLM_USE_AOT_COMPILE",
    }  # fmt: skip
    assert plain["VLLM_USE_AOT_COMPILE"] == "0", "what vLLM compiled ahead of time it cannot load on processors"
    assert not {"OPENAI_API_KEY", "HTTP_PROXY"}.intersection(plain)
    assert (plain["VLLM_CPU_KVCACHE_SPACE"], plain["HF_HUB_OFFLINE"], plain["DO_NOT_TRACK"]) == ("2", "1", "1")
    assert plain["CUDA_VISIBLE_DEVICES"] == "1"
    assert "PATH" in plain
    takes_adapters = server_environment(VLLMSettings(), lora=True)
    assert takes_adapters["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert takes_adapters["PYTHONPATH"] == str(PLUGINS)
    assert {path.name for path in PLUGINS.iterdir()} - {"__pycache__"} == {
        "__init__.py", "chatalogue_lora.py", "chatalogue_lora-1.dist-info",
    }  # fmt: skip


def test_the_cache_knows_small_pieces_of_a_chat_on_processors(smol_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = VLLMServer(Path("python"), smol_dir, settings=VLLMSettings(), lora=False, served_name="x", max_model_len=99)
    told = list(made._arguments(1))
    assert told[told.index("--block-size") + 1] == str(BLOCK_TOKENS)
    assert PIECE_TOKENS % BLOCK_TOKENS == 0, "else a history's next piece would be read again"
    monkeypatch.setattr(server, "runs_on_gpu", lambda settings: True)
    assert "--block-size" not in made._arguments(1)


def test_on_processors_nothing_beside_the_server_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(server, "usable_cores", lambda: 8)
    only = VLLMSettings()
    assert [server_environment(only, lora=False)[name] for name in names] == ["7", "nobind"]
    assert [server_environment(only, lora=False, threads=3)[name] for name in names] == ["3", "nobind"]
    assert [server_environment(only, lora=True).get(name) for name in names] == ["7", "nobind"]
    assert "VLLM_USE_AOT_COMPILE" not in server_environment(only, lora=True), "it starts once, and writes faster"
    monkeypatch.setattr(server, "runs_on_gpu", lambda settings: True)  # where vLLM takes one thread
    for lora in (True, False):
        assert not {*names, "VLLM_USE_AOT_COMPILE"} & set(server_environment(only, lora=lora))
    monkeypatch.setattr(server, "runs_on_gpu", lambda settings: False)
    monkeypatch.setattr(server, "usable_cores", lambda: 1)
    assert server_environment(only, lora=False)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-3")
    told = server_environment(only, lora=False)
    assert [told.get(name) for name in names] == [None, "0-3"]


def test_adapters_go_on_the_blocks_and_never_on_the_output_layer(smol_dir: Path) -> None:
    names = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert linear_names(smol_dir) == names
    arguments = lora_arguments(smol_dir, VLLMSettings(max_loras=3, max_cpu_loras=2))
    assert arguments[-7:] == names
    assert arguments[: arguments.index("--lora-target-modules")] == (
        "--enable-lora", "--max-loras", "3", "--max-cpu-loras", "3", "--max-lora-rank", "16",
    )  # fmt: skip


def test_a_model_without_blocks_takes_no_adapters(tmp_path: Path) -> None:
    save_file(
        {"lm_head.weight": torch.ones(2, 2), "model.layers.0.norm.weight": torch.ones(2)}, tmp_path / "a.safetensors"
    )
    with pytest.raises(EngineError, match="no numbered blocks"):
        linear_names(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(EngineError, match="cannot be read"):
        linear_names(tmp_path)


LOG = """\
INFO 11-22 12:02:16 [core.py:133] Initializing a V1 LLM engine
(Worker pid=27528) WARNING 11-22 11:42:42 [cpu_worker.py:114] libiomp is not found. SomeError: no
(Worker pid=1) ERROR 11-22 11:44:43 [multiproc_executor.py:1063] Traceback (most recent call last):
(Worker pid=1) ERROR 11-22 11:44:43 [multiproc_executor.py:1063]     raise ValueError("x: y")
(Worker pid=1) ERROR 11-22 11:44:43 [multiproc_executor.py:1063] ValueError: No memory for the cache.
(EngineCore pid=2) ERROR 11-22 11:44:43 [core.py:9] Exception: WorkerProc initialization failed due to an exception in
(APIServer pid=3) RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_the_reason_of_a_failure_is_its_cause() -> None:
    assert first_failure(LOG) == "ValueError: No memory for the cache."
    assert first_failure("usage: ...\napi_server.py: error: unrecognized arguments: --x\n").endswith("arguments: --x")
    assert first_failure("(Worker pid=1) INFO 11-22 11:44:43 [a.py:1] Everything is fine.\n") == ""


def test_importing_the_engine_needs_no_torch() -> None:
    code = "import sys, agent.llm.vllm.engine; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
