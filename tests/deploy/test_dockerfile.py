"""What can be known of the Dockerfile without a Docker engine; that its commands work is in test_installed_wheel.py."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch

import pytest

from agent.llm.vllm.server import PLUGINS
from tests.deploy.compose_file import ROOT, mounts, services, words

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
SHIPPED = ["vllm-cpu", "app"]


def stages() -> dict[str, list[tuple[str, str]]]:
    """(instruction, rest) by the name of the stage."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in LINES:
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            name = rest.rpartition(" AS ")[2]
        found.setdefault(name, []).append((instruction, rest.strip()))
    return found


def all_of(stage: str, instruction: str) -> list[str]:
    return [rest for one, rest in stages()[stage] if one == instruction]


def last_of(stage: str, instruction: str) -> str:
    return all_of(stage, instruction)[-1]


class TestVersions:
    def test_they_come_from_the_locks_and_stand_nowhere_else(self) -> None:
        assert "==" not in TEXT
        assert "python ui/bootstrap.py serve" in all_of("build-app", "RUN")
        assert "python ui/bootstrap.py vllm" in all_of("build-vllm-cpu", "RUN")
        assert not re.search(r"pip install (?!--no-deps \.)", TEXT)

    def test_the_base_is_a_python_that_we_support_and_the_same_everywhere(self) -> None:
        base = re.search(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)\.\d+-slim-bookworm$", TEXT, re.MULTILINE)
        assert base
        assert base[1] == "3.11"
        assert {all_of(stage, "FROM")[0].split(" ")[0] for stage in ("build", *SHIPPED)} == {"${PYTHON_IMAGE}"}


class TestContext:
    @pytest.mark.parametrize("stage", ["build-app", "build-vllm-cpu"])
    def test_what_is_copied_is_there_and_let_through(self, stage: str) -> None:
        sources = [source for rest in all_of(stage, "COPY") for source in rest.split()[:-1]]
        assert sources
        assert [source for source in sources if not (ROOT / source).exists() or not let_through(source)] == []

    def test_every_room_is_in_the_image(self) -> None:
        packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
        wanted = {name.removesuffix("*") for name in packages["packages"]["find"]["include"]}
        rooms = {name for name in wanted if (ROOT / name / "__init__.py").is_file()}
        assert rooms == {rest.split()[0] for rest in all_of("build-app", "COPY")} & wanted
        assert "retrieval" in rooms

    @pytest.mark.parametrize("name", [".env", ".git/config", "var/log.sqlite3", ".venv/bin/python", "compose.yaml"])
    def test_nothing_secret_or_big_goes_to_the_builder(self, name: str) -> None:
        assert not let_through(name)


def let_through(name: str) -> bool:
    """As Docker reads .dockerignore: the last line that fits decides, also for what is below a folder."""
    decision = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.lstrip("!")
        if line and not line.startswith("#"):
            heads = ["/".join(name.split("/")[:n]) for n in range(1, name.count("/") + 2)]
            if any(fnmatch(head, pattern) for head in heads):
                decision = line.startswith("!")
    return decision


class TestImages:
    @pytest.mark.parametrize("stage", SHIPPED)
    def test_runs_as_an_ordinary_user_and_signals_arrive(self, stage: str) -> None:
        assert last_of(stage, "USER") == "2000:2000"
        assert isinstance(json.loads(last_of(stage, "ENTRYPOINT")), list)
        assert all(isinstance(json.loads(rest), list) for rest in all_of(stage, "CMD"))

    @pytest.mark.parametrize("stage", SHIPPED)
    def test_index_addresses_and_compilers_for_building_stay_behind(self, stage: str) -> None:
        """An address may hold a password, and what a stage was given as ARG can be read from its image."""
        assert all_of(stage, "ARG") == []
        assert [rest for rest in all_of(stage, "COPY") if not rest.startswith("--from=build-")] == []
        assert not re.search(r"(?i)password|secret|token|api_key", "\n".join(" ".join(one) for one in stages()[stage]))

    def test_vllm_on_the_processor_finds_our_plugin(self) -> None:
        source, target = f"/opt/chatalogue/{PLUGINS.relative_to(ROOT)}", "/opt/chatalogue/inside"
        assert f"--from=build-vllm-cpu {source} {target}" in all_of("vllm-cpu", "COPY")
        assert f"PYTHONPATH={target}" in last_of("vllm-cpu", "ENV").split()
        assert let_through(f"{PLUGINS.relative_to(ROOT)}/chatalogue_lora-1.dist-info/entry_points.txt")

    def test_the_default_image_is_the_app(self) -> None:
        assert list(stages())[-1] == "app"

    def test_the_app_serves_as_compose_says(self) -> None:
        assert json.loads(last_of("app", "ENTRYPOINT")) == ["chatalogue"]
        assert json.loads(last_of("app", "CMD")) == words(services()["app"], "command")

    def test_vllm_starts_as_compose_says(self) -> None:
        assert json.loads(last_of("vllm-cpu", "ENTRYPOINT")) == words(services()["vllm-cpu"], "entrypoint")

    @pytest.mark.parametrize(("stage", "service"), [("app", "app"), ("vllm-cpu", "vllm-cpu")])
    def test_health_is_asked_as_compose_does(self, stage: str, service: str) -> None:
        options, _, command = last_of(stage, "HEALTHCHECK").partition("CMD ")
        check = services()[service]["healthcheck"]
        assert ["CMD", *json.loads(command)] == check["test"]
        assert f"--start-period={check['start_period']}" in options

    def test_every_folder_that_becomes_a_volume_belongs_to_the_user(self) -> None:
        """A new named volume takes over the owner of the folder that it covers; where there is none, it is root's."""
        folders = " ".join(all_of("app", "RUN")).partition("install -d -o 2000 -g 2000 ")[2].split()
        ours = [one for one in services().values() if one["image"].startswith("chatalogue:")]
        assert len(ours) == 3
        assert {inside for one in ours for inside in mounts(one)} == set(folders)
