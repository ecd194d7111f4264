"""The alert rules and the board's expressions, as the tests read them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"
BOARD = ROOT / "deploy" / "grafana" / "chatalogue.json"

_SERIES = re.compile(r"\b(up|(?:chatalogue|process|python)_\w+)\b(\{[^}]*\})?")
_GROUPED = re.compile(r"\bby\s*\(([^)]*)\)")
OF_PROMETHEUS = frozenset({"up"})
"""Series that Prometheus itself makes, and labels that it adds."""
LABELS_OF_PROMETHEUS = frozenset({"job", "instance"})


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads(BOARD.read_text(encoding="utf-8"))["panels"])


def expressions() -> dict[str, str]:
    """Every PromQL expression by a name for people, Grafana's variables filled in."""
    found = {rule["alert"]: rule["expr"] for rule in alerts()}
    for panel in panels():
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"].replace("$__rate_interval", "5m")
    return found


def used_series(expression: str) -> dict[str, set[str]]:
    """The labels that an expression asks of each metric."""
    used: dict[str, set[str]] = {}
    for name, matchers in _SERIES.findall(expression):
        used.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]~?", matchers))
    return used


def grouped_labels(expression: str) -> set[str]:
    """The labels by which it sums."""
    return {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}


def promtool(program: Path, *arguments: str) -> None:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
