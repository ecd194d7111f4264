"""The board and the rules ask for nothing that the server does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from observed import Observed
from prometheus_client.parser import text_string_to_metric_families
from prometheus_rules import (
    BOARD,
    LABELS_OF_PROMETHEUS,
    OF_PROMETHEUS,
    expressions,
    grouped_labels,
    panels,
    promtool,
    used_series,
)

from tests.parts import need

PROVISIONING = BOARD.parent / "provisioning"


@pytest.fixture(scope="module")
def series(observed: Observed) -> dict[str, set[str]]:
    """The real server's metrics with their labels, after a message and a reaction."""
    observed.server.say("a crime film")
    text = observed.server.http.get("/metrics").text
    found: dict[str, set[str]] = {name: set() for name in OF_PROMETHEUS}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels | LABELS_OF_PROMETHEUS for name, labels in found.items()}


@pytest.mark.parametrize("name", expressions())
def test_every_metric_and_label_is_there(series: dict[str, set[str]], name: str) -> None:
    used, grouped = used_series(expressions()[name]), grouped_labels(expressions()[name])
    assert used
    assert used.keys() <= series.keys()
    for metric, labels in used.items():
        assert labels <= series[metric], metric
    assert grouped <= {label for metric in used for label in series[metric]}


def test_every_metric_of_ours_is_on_the_board(series: dict[str, set[str]]) -> None:
    shown = {metric for name in expressions() for metric in used_series(expressions()[name])}
    ours = {name for name in series if name.startswith("chatalogue_")}
    whole = {name for name in ours if not name.endswith(("_sum", "_count", "_created"))}
    assert whole <= shown


def test_prometheus_takes_the_metrics(observed: Observed, tmp_path: Path) -> None:
    """`promtool check metrics` reads from its standard input."""
    import subprocess

    text = observed.server.http.get("/metrics").content
    done = subprocess.run([need("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60)  # noqa: S603
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_expression_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"of_the_board:{n}", "expr": one} for n, one in enumerate(expressions().values())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}), encoding="utf-8")
    promtool(need("promtool"), "check", "rules", str(file))


def test_the_board_is_in_order() -> None:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in panels() if panel["type"] != "row"]
    assert len(titles) == len(set(titles))
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels()]
    assert len(places) == len(set(places))
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels())
    assert board["uid"] == "chatalogue"
    source = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    uids = {panel["datasource"]["uid"] for panel in panels() if panel["type"] != "row"}
    assert uids == {one["uid"] for one in source["datasources"]}
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "chatalogue.yaml").read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    compose = (BOARD.parents[2] / "compose.yaml").read_text(encoding="utf-8")
    assert f"./deploy/grafana/chatalogue.json:{folder}/chatalogue.json:ro" in compose
