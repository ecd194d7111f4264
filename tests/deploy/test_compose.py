"""What can be known of compose.yaml without a Docker engine: its form, its promises, and what its commands do."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from dotenv import dotenv_values

from agent.datadir import DataDirectory
from agent.llm.tokens import CONTEXT_TOKENS
from agent.log.records import FeedbackKind
from agent.observe.metrics import Metrics
from agent.settings import VLLMSettings, load_settings, show_settings
from tests.deploy import compose_file
from tests.deploy.compose_file import FILE, FILLED, ROOT, Service, environment, mounts, services, words
from ui import bootstrap

ALL = sorted(services())
ONCE = ["models"]
"""Runs to its end and is not watched."""
SERVERS = [name for name in ALL if name not in ONCE]
VLLM = ["vllm-cpu", "vllm-gpu"]
SETTINGS = ["app", "models"]
LATE_METRICS = {f"chatalogue_{name}" for name in ("engine_state", "engine_queue", "adapter")}
"""Shown once a server watches its engine."""
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|(?:^|_)KEYS?(?:_|$)")


@pytest.fixture(params=ALL)
def service(request: pytest.FixtureRequest) -> Service:
    return services()[request.param]


def seconds(duration: str) -> int:
    found = re.fullmatch(r"(\d+)(s|m)", duration)
    assert found, duration
    return int(found[1]) * {"s": 1, "m": 60}[found[2]]


def test_follows_the_compose_specification() -> None:
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


class TestDoors:
    def test_only_the_app_has_a_port_and_it_is_on_loopback(self) -> None:
        ports = {name: one["ports"] for name, one in services().items() if "ports" in one}
        assert ports == {"app": ["127.0.0.1:7860:7860"]}
        assert not [name for name, one in services().items() if "network_mode" in one]

    def test_everything_else_is_on_a_network_without_a_way_out(self) -> None:
        file = compose_file.read(FILLED)
        assert file["networks"]["backend"] == {"internal": True}
        outside = {name for name, one in file["services"].items() if set(one["networks"]) != {"backend"}}
        assert outside == {"app", "models"}

    def test_the_app_asks_for_a_key_because_it_listens_everywhere(self) -> None:
        app = services()["app"]
        assert words(app, "command") == ["serve", "--host", "0.0.0.0", "--port", "7860"]  # noqa: S104
        with pytest.raises(compose_file.Unset, match="CHATALOGUE_SERVER__API_KEYS"):
            compose_file.read(FILLED | {"CHATALOGUE_SERVER__API_KEYS": ""})

    def test_nothing_starts_without_a_password_of_its_own(self) -> None:
        with pytest.raises(compose_file.Unset, match="POSTGRES_PASSWORD"):
            compose_file.read(FILLED | {"POSTGRES_PASSWORD": ""})

    def test_no_secret_has_a_value_in_the_file(self) -> None:
        empty = compose_file.read(dict.fromkeys(FILLED, "from outside"))["services"]
        found = {
            f"{name}.{variable}": value
            for name, one in empty.items()
            for variable, value in environment(one).items()
            if SECRET_NAME.search(variable)
        }
        assert "postgres.POSTGRES_PASSWORD" in found
        assert {value for value in found.values() if not value.startswith("/run/secrets/")} == {"from outside"}

    def test_secrets_from_variables_are_not_given_to_read_only_services(self) -> None:
        """Compose copies them into the container and refuses where it cannot: docker/compose#12531."""
        file = compose_file.read(FILLED)
        assert all(set(secret) == {"environment"} for secret in file["secrets"].values())
        assert [name for name, one in file["services"].items() if one.get("secrets") and one.get("read_only")] == []

    def test_the_example_names_every_variable_and_no_secret(self) -> None:
        example = dotenv_values(compose_file.EXAMPLE)
        assert set(example) == compose_file.variables()
        assert {name: value for name, value in example.items() if value and SECRET_NAME.search(name)} == {}


class TestHardening:
    def test_runs_as_nobody_in_particular(self, service: Service) -> None:
        user, _, group = str(service["user"]).partition(":")
        assert int(user) > 0
        assert group
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service

    def test_writes_only_where_it_must(self, service: Service) -> None:
        assert service.get("read_only") or service.get("secrets")

    def test_cannot_take_the_whole_machine(self, service: Service) -> None:
        limits = service["deploy"]["resources"]["limits"]
        assert {"memory", "pids"} <= set(limits)
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}

    def test_its_image_has_a_version(self, service: Service) -> None:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", service["image"])

    def test_comes_back_by_itself(self, service: Service) -> None:
        assert service["restart"] == ("no" if service in [services()[name] for name in ONCE] else "unless-stopped")


class TestVersions:
    def test_our_images_carry_our_version(self) -> None:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        ours = {one["image"] for one in services().values() if "build" in one}
        assert ours == {f"chatalogue:{version}", f"chatalogue-vllm-cpu:{version}"}

    def test_the_official_vllm_image_is_of_the_version_that_bootstrap_installs(self) -> None:
        assert services()["vllm-gpu"]["image"] == f"vllm/vllm-openai:v{bootstrap.VLLM_GPU.split('==')[1]}"


class TestOrder:
    @pytest.mark.parametrize("profile", ["cpu", "gpu"])
    def test_a_profile_is_whole(self, profile: str) -> None:
        active = {name: one for name, one in services().items() if profile in one["profiles"]}
        assert set(active) == {"app", "models", f"vllm-{profile}", "chroma", "postgres"}
        for one in active.values():
            assert set(one.get("depends_on", {})) <= set(active)

    def test_the_app_waits_for_what_it_cannot_do_without(self) -> None:
        """And not for vLLM: until it is there, rules and templates answer."""
        waits = {name: one["condition"] for name, one in services()["app"]["depends_on"].items()}
        healthy, done = "service_healthy", "service_completed_successfully"
        assert waits == {"postgres": healthy, "chroma": healthy, "models": done}

    @pytest.mark.parametrize("name", VLLM)
    def test_vllm_waits_for_its_weights(self, name: str) -> None:
        assert services()[name]["depends_on"] == {"models": {"condition": "service_completed_successfully"}}

    @pytest.mark.parametrize("name", SERVERS)
    def test_each_server_is_watched_and_may_take_its_time_to_start(self, name: str) -> None:
        check = services()[name]["healthcheck"]
        assert check["test"][0] == "CMD", "no shell, which need not be in the image"
        assert seconds(check["start_period"]) >= (600 if name in VLLM else 60)
        assert seconds(check["timeout"]) <= seconds(check["interval"])
        assert check["retries"] >= 3

    @pytest.mark.parametrize("name", ONCE)
    def test_what_runs_once_is_not(self, name: str) -> None:
        assert services()[name]["healthcheck"] == {"disable": True}


class TestFolders:
    def test_every_mounted_file_is_in_the_repository(self) -> None:
        files = {outside for one in services().values() for outside, _ in mounts(one).values() if outside[0] == "."}
        assert files
        assert [file for file in sorted(files) if not (ROOT / file).exists()] == []

    def test_files_are_mounted_read_only(self) -> None:
        found = [read_only for one in services().values() for out, read_only in mounts(one).values() if out[0] == "."]
        assert all(found)

    def test_every_volume_is_declared_and_used(self) -> None:
        used = {out for one in services().values() for out, _ in mounts(one).values() if out[0] != "."}
        assert used == set(compose_file.read(FILLED)["volumes"])

    @pytest.mark.parametrize("name", VLLM)
    def test_vllm_reads_weights_and_adapters_at_the_apps_paths(self, name: str) -> None:
        app, vllm = mounts(services()["app"]), mounts(services()[name])
        shared = {inside: vllm.get(inside) for inside, (out, _) in app.items() if out in ("models", "adapters")}
        assert shared == {inside: (out, True) for inside, (out, _) in app.items() if inside in shared}
        assert str(DataDirectory(Path(environment(services()["app"])["CHATALOGUE_DATA_DIR"])).models) in shared

    @pytest.mark.parametrize("name", VLLM)
    def test_vllm_sees_nothing_else_of_ours(self, name: str) -> None:
        assert {out for out, _ in mounts(services()[name]).values()} == {"models", "adapters", "vllm-cache"}

    def test_new_volumes_get_their_owner_before_vllm_mounts_them(self) -> None:
        """A new volume takes over owner and content of the folder below it; vLLM's image has no such folders."""
        first = mounts(services()["models"])
        for name in VLLM:
            assert {out for out, _ in mounts(services()[name]).values()} <= {out for out, _ in first.values()}
            assert services()[name]["user"] == services()["models"]["user"] == services()["app"]["user"]
        assert not any(read_only for _, read_only in first.values())


class TestSettings:
    @pytest.mark.parametrize("name", SETTINGS)
    def test_every_variable_is_a_setting(self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        for variable, value in environment(services()[name]).items():
            if variable.startswith("CHATALOGUE_"):
                monkeypatch.setenv(variable, value)
        settings = load_settings().settings
        assert settings.data_dir == Path("/data")
        if name == "app":
            assert [key.get_secret_value() for key in settings.server.api_keys] == ["new key", "old key"]
            assert settings.llm.engine == "vllm"
            assert settings.llm.vllm.adapters == "runtime"
            assert settings.llm.model == environment(services()["models"])["CHATALOGUE_LLM__MODEL"]

    def test_addresses_are_those_of_services(self) -> None:
        app = environment(services()["app"])
        assert app["CHATALOGUE_RETRIEVAL__CHROMA_URL"] == "http://chroma:8000"
        assert app["CHATALOGUE_LLM__VLLM__URL"] == "http://vllm:8000"
        assert "@postgres:5432/" in app["CHATALOGUE_DATABASE__URL"]
        assert {"chroma", "postgres"} <= set(services())
        assert all(services()[name]["networks"]["backend"]["aliases"] == ["vllm"] for name in VLLM)

    def test_the_databases_password_is_not_in_its_address(self) -> None:
        app = environment(services()["app"])
        assert app["PGPASSWORD"] == FILLED["POSTGRES_PASSWORD"]
        assert FILLED["POSTGRES_PASSWORD"] not in app["CHATALOGUE_DATABASE__URL"]

    @pytest.mark.parametrize("name", VLLM)
    def test_vllms_limits_are_those_that_the_app_reckons_with(self, name: str) -> None:
        flags = dict(word[2:].split("=", 1) for word in words(services()[name], "command") if "=" in word)
        ours = VLLMSettings()
        said = {key: int(flags[key.replace("_", "-")]) for key in ("max_loras", "max_cpu_loras", "max_lora_rank")}
        assert said == {key: getattr(ours, key) for key in said}
        assert int(flags["max-num-seqs"]) == ours.max_num_seqs
        assert flags["model"].startswith("/data/models/")
        assert flags["model"].split("/")[-1] == words(services()["models"], "command")[-1]
        assert int(flags["max-model-len"]) > CONTEXT_TOKENS  # each call may add the token that says the end


def test_comments_do_not_hide_a_variable_from_these_tests() -> None:
    assert set(FILLED) < compose_file.variables()
    assert FILE.read_text(encoding="utf-8").isascii()


class TestPage:
    """docs/deploy.md is read at three in the morning: what it names must exist."""

    TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")

    def test_metrics_are_those_of_the_server(self) -> None:
        metrics = Metrics()
        known = {family.name for family in metrics.registry.collect()} | LATE_METRICS
        said = {name.removesuffix("_total").removesuffix("_info") for name in re.findall(r"chatalogue_\w+", self.TEXT)}
        assert said - known == set()
        assert len(said) > 5

    def test_every_alert_has_its_row(self) -> None:
        rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
        alerts = set(re.findall(r"- alert: (\w+)", rules))
        assert alerts
        assert set(re.findall(r"\bChatalogue[A-Z]\w+", self.TEXT)) == alerts

    def test_kinds_of_feedback_are_those_of_the_log(self) -> None:
        said = set(re.findall(r'kind="(\w+)"', self.TEXT))
        assert said
        assert said <= set(get_args(FeedbackKind))

    def test_variables_are_settings_or_of_the_compose_file(self) -> None:
        settings = {f"CHATALOGUE_{key.replace('.', '__').upper()}" for key, _, _ in show_settings(load_settings())}
        said = set(re.findall(r"\bCHATALOGUE_[A-Z_]+[A-Z]\b", self.TEXT))
        assert said - settings == set()

    def test_services_are_those_of_the_file(self) -> None:
        said = set(re.findall(r"`(?:logs|restart)(?: --\w+ \w+)? ([\w-]+)`", self.TEXT))
        assert said
        assert said <= set(ALL)

    def test_no_cell_holds_a_host_or_path_of_ours(self) -> None:
        assert set(re.findall(r"https?://[\w.:-]+", self.TEXT)) == {"http://127.0.0.1:7860"}
