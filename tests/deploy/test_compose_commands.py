"""The commands of compose.yaml, run for real with the programs that we have: no engine, but the same words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy.engine import make_url

from agent.llm.vllm.server import BLOCK_TOKENS, BOUND, lora_arguments, server_environment
from agent.log.store import EventLog
from agent.settings import VLLMSettings
from retrieval.errors import DataDirectoryError
from tests.deploy.compose_file import ROOT, environment, services, words
from tests.parts import need
from tests.ports import free_port

PATIENCE_S = 300.0
ADDRESSES = {
    "app": "127.0.0.1:7860",
    "chroma": "127.0.0.1:8000",
    "vllm-cpu": "127.0.0.1:8000",
    "vllm-gpu": "127.0.0.1:8000",
}

_PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
found = vars(make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:]))
asked = ("model", "served_model_name", "enable_lora", "lora_target_modules", "max_loras", "port")
print(json.dumps({name: found[name] for name in asked}))
"""


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert process.poll() is None, f"it ended with exit code {process.returncode}"
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


@contextmanager
def running(command: list[str], **how: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **how)  # type: ignore[call-overload]  # noqa: S603
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def answering(status: int) -> Iterator[str]:
    """An address where every path is answered with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestHealthChecks:
    """`python3` is in all of these images: ours are made from python:3.11, and vLLM's is started with it."""

    @pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
    @pytest.mark.parametrize("name", sorted(ADDRESSES))
    def test_says_what_the_server_says(self, name: str, status: int, healthy: bool) -> None:
        kind, program, *arguments = services()[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python3")
        with answering(status) as address:
            here = [argument.replace(ADDRESSES[name], address) for argument in arguments]
            assert here != arguments
            done = subprocess.run([sys.executable, "-I", "-S", *here], capture_output=True, check=False)  # noqa: S603
        assert (done.returncode == 0) is healthy

    def test_postgresqls_is_in_words_that_pg_isready_knows(self) -> None:
        program = need("postgresql").with_name("pg_isready")
        kind, name, *arguments = services()["postgres"]["healthcheck"]["test"]
        assert (kind, name) == ("CMD", program.name)
        command = [str(program), *arguments, f"--port={free_port()}"]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        assert done.returncode == 2, f"2: nobody answers; 3: wrong words; said {done.stderr!r}"


class TestVLLM:
    @pytest.mark.parametrize("name", ["vllm-cpu"])
    def test_its_own_parser_takes_the_command(self, name: str, tmp_path: Path) -> None:
        """The gpu profile says the same words to 0.33, which is not installed where there is no card."""
        python = need("vllm")
        assert words(services()["vllm-gpu"], "command") == words(services()[name], "command")
        server, block = words(services()["vllm-gpu"], "entrypoint"), f"--block-size={BLOCK_TOKENS}"
        assert words(services()[name], "entrypoint") == [*server, block]
        assert server == ["python3", "-m", "vllm.entrypoints.openai.api_server"]
        known = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HOME": str(tmp_path)}
        command = [str(python), "-c", _PARSE, block, *words(services()[name], "command")]
        done = subprocess.run(  # noqa: S603
            command, env=os.environ | known, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout.splitlines()[-1]) == {
            "model": "/data/models/served",
            "served_model_name": ["chatalogue-base"],
            "enable_lora": True,
            "lora_target_modules": ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
            "max_loras": 2,
            "port": 8000,
        }

    @pytest.mark.parametrize("name", ["vllm-cpu", "vllm-gpu"])
    def test_says_what_the_app_says_to_a_server_of_its_own(self, name: str, tmp_path: Path) -> None:
        inner = {"self_attn": "qkvo", "mlp": ("gate", "up", "down")}  # of Llama, the family of the default model
        layers = [f"model.layers.0.{block}.{layer}_proj.weight" for block, some in inner.items() for layer in some]
        names = ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", *layers]
        save_file({one: np.zeros((2, 2), np.float32) for one in names}, tmp_path / "model.safetensors")
        said = [part for word in words(services()[name], "command") for part in word.split("=", 1)]
        wanted = list(lora_arguments(tmp_path, VLLMSettings()))
        assert said[-len(wanted) :] == wanted
        theirs = server_environment(VLLMSettings(), lora=True)
        constant = {key: value for key, value in theirs.items() if key not in os.environ and key != "PYTHONUNBUFFERED"}
        del constant["PYTHONPATH"]  # of the image for processors, see test_dockerfile.py
        for bound in BOUND:  # of the machine; in a container of its own it is bound as vLLM likes
            constant.pop(bound, None)
        if name == "vllm-gpu":
            del constant["VLLM_CPU_KVCACHE_SPACE"]
        assert constant.items() <= environment(services()[name]).items()


class TestChroma:
    def test_the_command_serves_and_the_health_check_finds_it(self, tmp_path: Path) -> None:
        program, port = need("chroma"), str(free_port())
        service = services()["chroma"]
        assert words(service, "entrypoint") == [program.name]
        here = {"/chroma": str(tmp_path), "0.0.0.0": "127.0.0.1", "8000": port}  # noqa: S104
        command = [str(program), *(here.get(word, word) for word in words(service, "command"))]
        assert len(set(command) & set(here.values())) == len(here)
        check = [argument.replace(":8000/", f":{port}/") for argument in service["healthcheck"]["test"][2:]]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | environment(service)}

        def healthy() -> bool:
            done = subprocess.run([sys.executable, "-I", "-S", *check], capture_output=True, check=False)  # noqa: S603
            return done.returncode == 0

        with running(command, **quiet) as process:
            wait_until(healthy, process)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/version", timeout=60) as answer:
                assert json.load(answer)
        assert not healthy()


class TestPostgreSQL:
    def test_the_password_reaches_the_server_by_its_own_variable(
        self, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app, real = environment(services()["app"]), make_url(postgres_url)
        ours = make_url(app["CHATALOGUE_DATABASE__URL"])
        assert ours.password is None
        assert app["PGPASSWORD"]
        here = ours.set(username=real.username, host=real.host, port=real.port, database=real.database)
        monkeypatch.setenv("PGPASSWORD", str(real.password))
        EventLog.open(str(here), tmp_path).close()
        monkeypatch.setenv("PGPASSWORD", "wrong")
        with pytest.raises(DataDirectoryError, match="password"):
            EventLog.open(str(here), tmp_path)


def test_the_images_own_command_refuses_to_be_open(tmp_path: Path) -> None:
    """Whoever forgets the key gets a sentence, not an open server."""
    program = Path(sys.executable).parent / "chatalogue"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CHATALOGUE_")}
    done = subprocess.run(  # noqa: S603
        [str(program), *words(services()["app"], "command")],
        cwd=tmp_path, env=plain, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no API key" in " ".join(done.stderr.split())
    assert ROOT not in tmp_path.parents
