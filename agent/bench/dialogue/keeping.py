"""Keeps conversations in a file, one a line, so that a run which was stopped goes on where it was.

Knows nothing of how they are held. A change of the bot's code or of the customers is not seen: such a file is the
caller's to delete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent.bench.dialogue.runner import Dialogue
from retrieval.errors import BadRequest
from retrieval.table import ItemTable


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What must be the same for a conversation to be the same; `catalogue` is a hash of the items."""

    cell: str
    bot: str
    full_text: bool
    customer: str
    catalogue: str
    seed: int


@dataclass(frozen=True, slots=True)
class _Row:
    where: Circumstances
    dialogue: Dialogue


_ROW = TypeAdapter(_Row)


class Kept:
    """The conversations in a file; without one, nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        """Read what is there.

        Raises:
            BadRequest: it cannot be read, or is no such file.
        """
        self._file = file
        self._known: dict[tuple[Circumstances, int, int], Dialogue] = {}
        for row in _rows(file) if file is not None and file.exists() else ():
            self._known[row.where, row.dialogue.need, row.dialogue.run] = row.dialogue

    def find(self, where: Circumstances, need: int, run: int) -> Dialogue | None:
        """The conversation that was held already; one that failed is held again."""
        found = self._known.get((where, need, run))
        return None if found is None or "turn failed" in found.faults else found

    def add(self, where: Circumstances, dialogue: Dialogue) -> None:
        """Write a conversation down at once.

        Raises:
            BadRequest: the file cannot be written.
        """
        if self._file is None:
            return
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(_ROW.dump_json(_Row(where, dialogue)).decode() + "\n")
        except OSError as error:
            raise BadRequest(f"{str(self._file)!r} cannot be written ({error.strerror}); name another.") from None


def catalogue_hash(table: ItemTable) -> str:
    """Of all items in their order: other items are other needs."""
    digest = hashlib.sha256()
    for item in table.items:
        digest.update(f"{item.id}\n{item.content_hash()}\n{item.price}\n".encode())
    return digest.hexdigest()[:16]


def _rows(file: Path) -> Iterator[_Row]:
    """A last line that the end of the process cut off is removed: the next one begins there."""
    try:
        text = file.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            file.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{str(file)!r} cannot be used ({error}); name another file for --keep.") from None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            yield _ROW.validate_json(line)
        except ValidationError:
            raise BadRequest(
                f"Line {number} of {str(file)!r} is no conversation of this version; name another file for --keep."
            ) from None
