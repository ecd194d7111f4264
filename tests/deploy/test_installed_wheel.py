"""The image's contents, without the image: our wheel in an environment of its own, serving from an empty folder.

The dependencies are those of the environment that runs the tests; the source folders cannot be seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.compose_file import ROOT
from tests.ports import free_port
from tests.test_wheel import ROOMS

PATIENCE_S = 600.0
"""The catalogue is embedded first, with others on the same machine."""
KEY = "a long secret"


@dataclass(frozen=True, slots=True)
class Served:
    """The program, where it answers, and where its state lies."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path

    def get(self, path: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {KEY}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chatalogue`, installed from a wheel as the Dockerfile does."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    venv = folder / "venv"
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)])
    packages = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    run(
        [
            *pip,
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--ignore-installed",
            str(source),
        ]
    )
    shutil.rmtree(source)
    return venv / "bin" / "chatalogue"


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def served(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Without the language model: that its weights are found is another test's."""
    folder, port = tmp_path_factory.mktemp("empty"), free_port()
    here, data = folder / "work", folder / "data"
    here.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CHATALOGUE_", "PYTHON"))}
    ours = {
        "CHATALOGUE_DATA_DIR": str(data),
        "CHATALOGUE_LLM__ENGINE": "off",
        "CHATALOGUE_SERVER__API_KEYS": json.dumps([KEY]),
    }
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=here, env=plain | ours, stdout=output, stderr=output)  # noqa: S603
    served = Served(process, f"http://127.0.0.1:{port}", data)
    try:
        wait_for(served, log)
        yield served
        assert list(here.iterdir()) == [], "something was written beside the data directory"
    finally:
        process.kill()
        process.wait()


def wait_for(served: Served, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert served.process.poll() is None, log.read_text(encoding="utf-8")
        try:
            if served.get("/healthz")[0] == 200:
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(log.read_text(encoding="utf-8"))


def test_ours_is_the_wheel_and_not_the_source(program: Path, tmp_path: Path) -> None:
    code = "import agent, finetune, retrieval, ui\nfor room in (agent, finetune, retrieval, ui): print(room.__file__)"
    command = [str(program.with_name("python")), "-I", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert all(Path(file).is_relative_to(program.parents[1]) for file in done.stdout.split())


def test_is_ready_with_the_demo_shop_and_its_database(served: Served) -> None:
    status, body = served.get("/readyz")
    said = json.loads(body)
    states = {part["name"]: part["state"] for part in said["parts"]}
    assert (status, said["status"]) == (200, "degraded"), said
    assert (states["index"], states["database"]) == ("ok", "ok")
    assert (served.data / "log.sqlite3").is_file()


def test_page_with_its_words_and_style(served: Served) -> None:
    status, body = served.get("/")
    assert status == 200
    assert "gradio" in body.lower()
    assert "Reel Shop" in body


def test_answers_with_items_of_the_demo_shop(served: Served) -> None:
    body = {"model": "chatalogue", "messages": [{"role": "user", "content": "a funny western"}]}
    request = urllib.request.Request(  # noqa: S310
        served.url + "/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        said = json.load(answer)
    assert said["chatalogue"]["items"]
    assert said["choices"][0]["message"]["content"]


def test_sigterm_ends_it_in_order(served: Served) -> None:
    """The last one: what `docker stop` does."""
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
