"""Files of a round: JSON lines in, whole files out, and a journal that a stopped round goes on from.

Knows nothing of what the lines mean, but for the drafts in the journal.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from finetune.describe.types import Draft, Drafts, Task
from retrieval.errors import BadRequest


def json_lines(file: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects of a JSON lines file, gzipped or not, each with words that say where it stands.

    Raises:
        BadRequest: the file cannot be read, or a line is no object.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"line {number} of {str(file)!r}"
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise BadRequest(f"{where} is not JSON ({error}).") from None
                if not isinstance(value, dict):
                    raise BadRequest(f"{where} is not an object.")
                yield value, where
    except FileNotFoundError:
        raise BadRequest(f"There is no file {str(file)!r}.") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadRequest(f"{str(file)!r} cannot be read ({error}).") from None


@contextmanager
def whole_file(file: Path) -> Iterator[IO[str]]:
    """A file to write line by line; it takes its name when all is written, and never exists by half.

    Raises:
        BadRequest: it cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as out:
            yield out
        os.replace(part, file)
    except OSError as error:
        raise BadRequest(f"{str(file)!r} cannot be written ({error.strerror}); name another file.") from None
    finally:
        part.unlink(missing_ok=True)


class Journal:
    """The drafts so far, one line an item, written as they come. In memory: an item's id and where its line stands.

    Args:
        file: made where it is missing; what a crash left of a last line is cut off.
        recipe: of the round; the first line. Drafts of another recipe are never mixed with these.

    Raises:
        BadRequest: the file is of another recipe, or cannot be written.
    """

    def __init__(self, file: Path, recipe: Mapping[str, Any]) -> None:
        self._path = file
        self._places: dict[str, tuple[int, str]] = {}
        first = json.dumps({"recipe": recipe}, sort_keys=True).encode() + b"\n"
        try:
            self._file = file.open("a+b")
        except OSError as error:
            raise BadRequest(f"{str(file)!r} cannot be written ({error.strerror}); name another file.") from None
        self._file.seek(0)
        found = self._file.readline()
        if not found.endswith(b"\n"):
            self._file.truncate(0)
            self._append(first)
        elif found != first:
            self._file.close()
            raise BadRequest(
                f"{str(file)!r} holds drafts of another model, adapter, prompt or number of drafts; name another "
                "--out, or delete that file."
            )
        else:
            self._read()

    def close(self) -> None:
        """Nothing is lost without it."""
        self._file.close()

    def has(self, task: Task) -> bool:
        """Whether the item has drafts, made of what it says today."""
        return self._places.get(task.item.id, (0, ""))[1] == _hash(task)

    def add(self, task: Task, drafts: Drafts) -> None:
        """Remember the drafts of an item; on the disk when this returns."""
        written = [{"text": one.text, "seed": one.seed} for one in drafts.drafts]
        told = _hash(task)
        row = {"id": drafts.item_id, "of": told, "drafts": written}
        place = self._append(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._places[drafts.item_id] = (place, told)

    def drafts(self, task: Task) -> Drafts:
        """The drafts of an item that `has` them."""
        self._file.seek(self._places[task.item.id][0])
        row = json.loads(self._file.readline())
        return Drafts(row["id"], tuple(Draft(one["text"], one["seed"]) for one in row["drafts"]))

    def _append(self, line: bytes) -> int:
        place = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise BadRequest(f"{str(self._path)!r} cannot be written ({error.strerror}); free some space.") from None
        return place

    def _read(self) -> None:
        """Find the lines; a last one that was cut off by a crash goes."""
        place = self._file.tell()
        for line in iter(self._file.readline, b""):
            if not line.endswith(b"\n"):
                self._file.truncate(place)
                break
            row = json.loads(line)
            self._places[row["id"]] = (place, row["of"])
            place += len(line)


def _hash(task: Task) -> str:
    """Of everything that the writer is told."""
    return hashlib.sha256("\n".join((task.source.document(), *task.reviews)).encode()).hexdigest()[:16]
