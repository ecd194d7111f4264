"""Each alert fires when it should and not otherwise: by promtool's own test runner, and one of them for real."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from observed import KEY, Observed
from prometheus_rules import PROMETHEUS, ROOT, RULES, alerts, promtool

from tests.faults.served import children, command_line, wait_for
from tests.parts import need
from tests.ports import free_port

SEVERITIES = {"page", "ticket", "info"}


@dataclass(frozen=True)
class Case:
    """Series by name, a value a minute in promtool's notation; when they fire the alert, and with which labels."""

    fires: dict[str, str]
    quiet: dict[str, str]
    at: str = "20m"
    labels: tuple[tuple[str, str], ...] = ()


ASKED, ANSWERED = "chatalogue_turns_started_total", 'chatalogue_turns_total{action="recommend"}'
FAILED = 'chatalogue_failed_turns_total{error="DataDirectoryError"}'
UNKNOWN = 'chatalogue_failed_turns_total{error="NotFound"}'
EMPTY = 'chatalogue_no_match_turns_total{kind="not_carried"}'
UP = 'up{job="chatalogue", instance="a:1"}'
HERE = (("instance", "a:1"),)
BUSY = 'chatalogue_engine_calls_total{skill="reply", outcome="busy"}'
DOWN = 'chatalogue_feedback_total{kind="thumb_down", reason="none"}'
THUMB = 'chatalogue_feedback_total{kind="thumb_up", reason="none"}'


def state(name: str) -> str:
    return f'chatalogue_engine_state{{instance="a:1", state="{name}"}}'


def bucket(le: str) -> str:
    return f'chatalogue_first_text_seconds_bucket{{le="{le}"}}'


CASES: dict[str, list[Case]] = {
    "ChatalogueDown": [Case({UP: "1x5 0x30"}, {UP: "1x40"}, labels=(("job", "chatalogue"), *HERE))],
    "ChatalogueNoAnswers": [
        Case({ASKED: "0+1x40", ANSWERED: "5x40"}, {ASKED: "0+1x40", ANSWERED: "0+1x40"}),
        Case({ASKED: "0+1x40", ANSWERED: "0+1x5 5x30"}, {ASKED: "9x40", ANSWERED: "5x40"}),  # nobody asks: quiet
    ],
    "ChatalogueErrors": [
        Case(
            {ASKED: "0+10x40", FAILED: "0+1x40"},
            {ASKED: "0+100x40", FAILED: "0+1x40", UNKNOWN: "0+50x40"},  # old links are not our errors
        ),
        Case({ASKED: "0+1x40", FAILED: "0+1x40"}, {ASKED: "0x20 1x20", FAILED: "0x20 1x20"}),  # one alone
    ],
    "ChatalogueDatabaseFailing": [
        Case(
            {'chatalogue_database_errors_total{instance="a:1"}': "0+5x40"},
            {'chatalogue_database_errors_total{instance="a:1"}': "7x40"},
            labels=HERE,
        )
    ],
    "ChatalogueEngineDown": [
        Case({state("failed"): "0x5 1x30", state("ready"): "1x5 0x30"}, {state("failed"): "0x40"}, labels=HERE),
        # Restarted again and again: starting and failed in turn; a short restart and one that is off: quiet.
        Case(
            {
                state("failed"): "0x5 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0",
                state("starting"): "0x5 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1",
            },
            {state("starting"): "0x16 1x3 0x20", state("off"): "1x40"},
            labels=HERE,
        ),
    ],
    "ChatalogueQueueFull": [Case({BUSY: "0+1x40"}, {BUSY: "5x40", BUSY.replace("busy", "ok"): "0+9x40"})],
    "ChatalogueFirstTextSlow": [
        Case(
            {bucket("4.0"): "0+9x40", bucket("8.0"): "0+10x40", bucket("+Inf"): "0+10x40"},
            {bucket("4.0"): "0+99x40", bucket("8.0"): "0+100x40", bucket("+Inf"): "0+100x40"},
            at="30m",
        )
    ],
    "ChatalogueSearchDegraded": [
        Case(
            {'chatalogue_index_degraded{instance="a:1"}': "0x5 1x30"},
            {'chatalogue_index_degraded{instance="a:1"}': "0x40"},
            labels=HERE,
        ),
        Case(
            {'chatalogue_degraded_turns_total{instance="a:1", part="retrieval"}': "0+1x40"},
            {'chatalogue_degraded_turns_total{instance="a:1", part="engine"}': "0+1x40"},
            labels=HERE,
        ),
    ],
    "ChatalogueEmptyResultsDoubled": [
        Case(
            {ANSWERED: "0+10x160", EMPTY: "0+1x90 90+5x70"},
            {ANSWERED: "0+10x160", EMPTY: "0+1x160"},
            at="150m",
        )
    ],
    "ChatalogueThumbsDown": [
        Case({DOWN: "0+2x70", THUMB: "0+1x70"}, {DOWN: "0+1x70", THUMB: "0+2x70"}, at="60m"),
        Case({DOWN: "0+1x70"}, {DOWN: "0x30 1x40", THUMB: "0x70"}, at="60m"),  # one customer alone: quiet
    ],
    "ChatalogueIndexStale": [
        Case(
            {"chatalogue_index_built_timestamp_seconds": "-1300000x90"},
            {"chatalogue_index_built_timestamp_seconds": "0x90"},
            at="80m",
        )
    ],
}


def test_every_alert_has_cases() -> None:
    assert CASES.keys() == {rule["alert"] for rule in alerts()}


def rule_of(name: str) -> dict[str, Any]:
    return next(rule for rule in alerts() if rule["alert"] == name)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook"}
    assert all(notes[key].endswith(".") for key in ("summary", "description"))
    file, _, anchor = notes["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_alerts_fire_and_do_not(tmp_path: Path) -> None:
    program = need("promtool")
    promtool(program, "check", "rules", str(RULES))
    tests = []
    for name, cases in CASES.items():
        rule = rule_of(name)
        for case in cases:
            alert = {"exp_labels": dict(case.labels) | rule["labels"], "exp_annotations": rule["annotations"]}
            for series, expected in ((case.fires, [alert]), (case.quiet, [])):
                tests.append(
                    {
                        "interval": "1m",
                        "input_series": [{"series": key, "values": values} for key, values in series.items()],
                        "alert_rule_test": [{"eval_time": case.at, "alertname": name, "exp_alerts": expected}],
                    }
                )
    file = tmp_path / "alerts_test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}), encoding="utf-8"
    )
    promtool(program, "test", "rules", str(file))


def shortened(text: str) -> str:
    """Every wait of the rules is a second."""
    return re.sub(r"(?m)^(\s+for: ).+$", r"\g<1>1s", text)


@pytest.fixture(scope="module")
def prometheus(observed: Observed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A real one with our files: only addresses, paths and intervals are others."""
    program, folder = need("prometheus"), tmp_path_factory.mktemp("prometheus")
    config = PROMETHEUS.read_text(encoding="utf-8")
    (folder / "key").write_text(KEY, encoding="utf-8")
    (folder / "alerts.yml").write_text(shortened(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    for ours, theirs in (
        ("/run/secrets/metrics_key", str(folder / "key")),
        ("/etc/prometheus/alerts.yml", str(folder / "alerts.yml")),
        ("app:7860", f"127.0.0.1:{observed.server.port}"),
        ("_interval: 15s", "_interval: 1s"),
    ):
        assert ours in config
        config = config.replace(ours, theirs)
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    port = free_port()
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(program), *arguments], stdout=log, stderr=log)  # noqa: S603
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                wait_for(lambda: _answers(client), f"Prometheus: {(folder / 'log').read_text()}")
                yield client
        finally:
            process.terminate()
            process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def firing(client: httpx.Client) -> set[str]:
    found = client.get("/api/v1/alerts").json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


def health(client: httpx.Client) -> list[str]:
    return [target["health"] for target in client.get("/api/v1/targets").json()["data"]["activeTargets"]]


def test_a_killed_engine_fires_for_real(observed: Observed, prometheus: httpx.Client) -> None:
    server = observed.server
    wait_for(lambda: health(prometheus) == ["up"], "Prometheus reads /metrics with the key")
    wait_for(lambda: server.metric("chatalogue_engine_state", state="ready") == 1, "the engine is ready", 120)
    query = {"query": 'chatalogue_engine_state{state="ready"}'}
    wait_for(lambda: bool(prometheus.get("/api/v1/query", params=query).json()["data"]["result"]), "the first scrape")
    wait_for(lambda: "ChatalogueEngineDown" not in firing(prometheus), "quiet before")

    def kill() -> None:  # each one that is started again, until its end is noticed
        for child in children(server.process.pid):
            if "spawn_main" in command_line(child):
                os.kill(child, signal.SIGKILL)

    wait_for(lambda: "ChatalogueEngineDown" in firing(prometheus), "the alert", 120, check=kill)
    assert server.say("a crime film").done  # the customers are answered all the same
    wait_for(lambda: "ChatalogueEngineDown" not in firing(prometheus), "it is over by itself", 240)
