"""Which tests stay together when several processes run them (`pytest -n 2`), and how long each folder took.

The times are printed at the end and written into the file that TEST_TIMES names.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures, started when a test asks for them

TOGETHER = ("tests/agent/llm", "tests/browser", "tests/deploy", "tests/faults")
"""Folders whose tests share servers that take long to start; elsewhere it is the tests of a file that stay together."""

# Where nothing may be skipped a run is a verdict: equal code, equal examples. Elsewhere new ones are looked for.
# No example is too slow in either: Hypothesis' 200 ms for one judge the machine, which may be busy or pause.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("verdict", settings.get_profile("search"), derandomize=True)
settings.load_profile("verdict" if os.environ.get("REQUIRE_PARTS") else "search")

_seconds: defaultdict[str, float] = defaultdict(float)


class ByServers(LoadScopeScheduling):
    """Hands out folders and files. Not by marks: xdist 3.8 puts them into ids in a way that pytest 9.2 ignores."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServers:
    config.option.loadscopereorder = False  # by number of tests the slowest, of which there are few, would come last
    return ByServers(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    folder = Path(report.nodeid.partition("::")[0]).parent
    _seconds["/".join(folder.parts[:4])] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = sorted(_seconds.items(), key=lambda row: -row[1])
    if len(rows) > 1:
        terminalreporter.section("seconds by folder")
        for folder, seconds in rows:
            terminalreporter.line(f"{seconds:8.1f} {folder}")
    if file := os.environ.get("TEST_TIMES"):
        Path(file).write_text("".join(f"{seconds:.1f}\t{folder}\n" for folder, seconds in rows), encoding="utf-8")
