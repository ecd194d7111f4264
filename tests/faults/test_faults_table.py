"""The table in docs/faults.md names a test for each of its rows, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.parts import ROOT

TABLE = ROOT / "docs" / "faults.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
COLUMNS = 6


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_row_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == COLUMNS
    assert all(row)
    named = _TEST.findall(row[-1])
    assert named
    for path, test in named:
        assert (ROOT / path).is_file(), path
        assert test in functions_in(ROOT / path), f"{path}::{test}"


def test_every_fault_that_is_tested_has_its_row() -> None:
    told = {test for row in rows() for _, test in _TEST.findall(row[-1])}
    tested = {test for file in Path(__file__).parent.glob("test_faults_*.py") for test in functions_in(file)}
    mine = functions_in(Path(__file__))
    assert {test for test in tested - mine if test.startswith("test_")} <= told
