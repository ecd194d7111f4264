"""How long the tests of each folder took: printed at the end, and into the file that TEST_TIMES names."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

_seconds: defaultdict[str, float] = defaultdict(float)


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
