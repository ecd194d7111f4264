"""Finished cells in a file, one a line, so that a run which was killed goes on at the next one. Knows no model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from finetune.bench.figures import Cell, Pace
from retrieval.errors import BadRequest

Name: TypeAlias = tuple[str, str, int, int]
"""Stream, method, seed and block."""


class Kept:
    """The cells and paces in a file that is made where it is missing; what a crash left of a last line is cut off.

    Args:
        file: where.
        plan: all that a cell's numbers depend on; the first line. Cells of another plan are never mixed with these.

    Raises:
        BadRequest: the file is of another plan, or cannot be read or written.
    """

    def __init__(self, file: Path, plan: Mapping[str, Any]) -> None:
        self._file = file
        self._cells: dict[Name, Cell] = {}
        self.paces: list[Pace] = []
        first = json.dumps({"plan": plan}, sort_keys=True)
        try:
            lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
            whole = [line for line in lines if line.endswith(b"\n")]
            if not whole:
                self._write(first, "w")
                return
            if whole[0].decode().strip() != first:
                raise BadRequest(
                    f"{str(file)!r} holds cells of another plan (sizes, recipe, model or adapter); name another "
                    "--keep, or delete that file."
                )
            if len(whole) < len(lines):
                os.truncate(file, sum(map(len, whole)))
            for line in whole[1:]:
                self._read(json.loads(line))
        except (OSError, ValueError, KeyError, ValidationError) as error:
            raise BadRequest(f"The cells in {str(file)!r} cannot be read ({error}); name another --keep.") from None

    def find(self, name: Name) -> Cell | None:
        """The cell, if it is finished."""
        return self._cells.get(name)

    def add(self, cell: Cell) -> None:
        """On the disk when this returns.

        Raises:
            BadRequest: the file cannot be written.
        """
        self._cells[name_of(cell)] = cell
        self._append({"cell": cell.model_dump()})

    def add_paces(self, paces: list[Pace]) -> None:
        """As `add`, of the comparison of speeds."""
        self.paces = paces
        self._append({"paces": [one.model_dump() for one in paces]})

    def _read(self, fields: Mapping[str, Any]) -> None:
        if "cell" in fields:
            cell = Cell.model_validate(fields["cell"])
            self._cells[name_of(cell)] = cell
        else:
            self.paces = [Pace.model_validate(one) for one in fields["paces"]]

    def _append(self, fields: Mapping[str, Any]) -> None:
        try:
            self._write(json.dumps(fields, sort_keys=True), "a")
        except OSError as error:
            raise BadRequest(f"{str(self._file)!r} cannot be written ({error.strerror}); free some space.") from None

    def _write(self, line: str, mode: str) -> None:
        with self._file.open(mode, encoding="utf-8") as file:
            file.write(line + "\n")


def name_of(cell: Cell) -> Name:
    """By which it is found."""
    return cell.stream, cell.method, cell.seed, cell.block
