"""Our span attributes are those of the pinned semantic conventions; nothing is loaded where no traces are wanted."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from opentelemetry.semconv.schemas import Schemas

from agent.observe import names

STABLE = "http url error db".split()
ROOT = Path(__file__).resolve().parents[3]


def test_the_version_is_the_pinned_one() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert f"opentelemetry-semantic-conventions=={version('opentelemetry-semantic-conventions')}" in pinned
    assert list(Schemas)[-1].value == names.SCHEMA_URL


def test_each_name_is_the_conventions_own() -> None:
    ours = {key: value for key, value in vars(names).items() if key.isupper() and key != "SCHEMA_URL"}
    assert len(ours) > 20
    for key, value in ours.items():
        if value.startswith("chatalogue."):
            continue
        space = value.split(".")[0]
        module = f"attributes.{space}_attributes" if space in STABLE else f"_incubating.attributes.{space}_attributes"
        assert getattr(importlib.import_module(f"opentelemetry.semconv.{module}"), key) == value


def test_without_a_collector_neither_sdk_nor_exporter_are_loaded() -> None:
    """Chroma brings the API of OpenTelemetry, which is small; the rest comes with agent/observe/tracing.py."""
    heavy = (
        "opentelemetry.sdk",
        "opentelemetry.exporter",
        "opentelemetry.semconv",
        "opentelemetry.proto",
        "agent.observe.tracing",
    )
    code = (
        "import sys, agent.api.app, agent.observe.chat, agent.observe.engine\n"
        f"print(*[name for name in sys.modules if name.startswith({heavy})])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
