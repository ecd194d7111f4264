"""What is rehearsed so that it is not forgotten: a bounded, fair sample of earlier rows, stored in one folder.

Each period and kind is a stratum with an equal share of the room. Within one, every row has a random number that
follows from its id and the seed, and those with the least stay: a reservoir (Vitter 1985, "Random sampling with a
reservoir"; as bottom-k: Cohen and Kaplan 2007) that needs no counter, keeps the same rows in whatever order and
however often they are offered, and shrinks fairly when strata are added. After an erasure it is still a fair sample of
the rest. Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agent.runs import one_at_a_time
from finetune.describe.files import json_lines, whole_file
from finetune.training.lessons import Lesson, as_json, from_json
from retrieval.errors import BadRequest

FORMAT = 1
MANIFEST = "memory.json"
DIGITS = 12
"""Of a file's hash in its name."""
CAPACITY = 2_000
"""Rows; a cycle of 1,000 new ones rehearses 250 of them in each epoch at the default share."""

Stratum: TypeAlias = tuple[str, str]
"""Period and kind."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Rows that an erasure took out, by id, and how many are left."""

    rows: tuple[str, ...]
    left: int


class ReplayMemory:
    """A sample of all rows that were ever offered.

    Args:
        capacity: most rows that it keeps.
        seed: of which ones.
    """

    def __init__(self, capacity: int = CAPACITY, seed: int = 0) -> None:
        if capacity < 1:
            raise BadRequest(f"A memory of {capacity} rows cannot be; give it at least 1.")
        self._capacity, self._seed = capacity, seed
        self._strata: dict[Stratum, list[Lesson]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._strata.values()))

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """All that it keeps, by period, kind and chance."""
        return tuple(lesson for stratum in sorted(self._strata) for lesson in self._strata[stratum])

    def offer(self, lessons: Iterable[Lesson]) -> None:
        """Let each have its chance; one that is known by its id is replaced."""
        known = {lesson.id: lesson for lesson in (*self.lessons, *lessons)}
        strata: dict[Stratum, list[Lesson]] = {}
        for lesson in known.values():
            strata.setdefault((lesson.period, lesson.kind), []).append(lesson)
        room = shares({stratum: len(rows) for stratum, rows in strata.items()}, self._capacity)
        self._strata = {
            stratum: sorted(rows, key=lambda one: _chance(one.id, self._seed))[: room[stratum]]
            for stratum, rows in strata.items()
            if room[stratum]
        }

    def draw(self, count: int, seed: Sequence[int], without: Iterable[str] = ()) -> tuple[Lesson, ...]:
        """`count` rows, or all where there are fewer, as many of each stratum as it has.

        Args:
            count: at least 0.
            seed: which ones; another one draws others.
            without: ids that are learned from anyway.
        """
        gone = set(without)
        free = {stratum: [one for one in rows if one.id not in gone] for stratum, rows in self._strata.items()}
        room = shares({stratum: len(rows) for stratum, rows in free.items()}, count)
        return tuple(
            lesson
            for stratum in sorted(free)
            for lesson in sorted(free[stratum], key=lambda one: _chance(one.id, *seed))[: room[stratum]]
        )

    def forget(self, users: Iterable[str]) -> Forgotten:
        """Take out every row of these people; `save` then leaves nothing of them on the disk."""
        gone = set(users) - {""}
        rows = tuple(lesson.id for lesson in self.lessons if lesson.user in gone)
        self.drop(rows)
        return Forgotten(rows, len(self))

    def drop(self, rows: Iterable[str]) -> None:
        """Take out the rows with these ids; `save` then leaves nothing of them on the disk."""
        gone = set(rows)
        self._strata = {
            stratum: kept
            for stratum, lessons in self._strata.items()
            if (kept := [lesson for lesson in lessons if lesson.id not in gone])
        }

    def save(self, folder: Path) -> None:
        """Write rows and then the manifest that names them; files of earlier states are deleted after it.

        Raises:
            BadRequest: the folder cannot be written.
        """
        text = "".join(json.dumps(as_json(lesson), sort_keys=True) + "\n" for lesson in self.lessons)
        digest = hashlib.sha256(text.encode()).hexdigest()
        name = f"rows-{digest[:DIGITS]}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(f"The folder {str(folder)!r} cannot be made ({error.strerror}); name another.") from None
        fields = {
            "format": FORMAT, "capacity": self._capacity, "seed": self._seed, "rows": len(self), "file": name,
            "sha256": digest, "strata": [[*stratum, len(self._strata[stratum])] for stratum in sorted(self._strata)],
        }  # fmt: skip
        with one_at_a_time(folder):  # an erasure may be writing it, too
            with whole_file(folder / name) as file:
                file.write(text)
            with whole_file(folder / MANIFEST) as file:
                file.write(json.dumps(fields, indent=1, sort_keys=True) + "\n")
            for old in folder.glob("rows-*.jsonl"):
                if old.name != name:
                    old.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> ReplayMemory:
        """What `save` wrote.

        Raises:
            BadRequest: there is no memory, or its files are damaged.
        """
        try:
            fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            name, digest = Path(fields["file"]).name, fields["sha256"]
            memory = cls(int(fields["capacity"]), int(fields["seed"]))
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"The memory in {str(folder)!r} cannot be read ({error}); restore or delete it.") from None
        if fields["format"] != FORMAT or found != digest:
            raise BadRequest(
                f"The memory in {str(folder)!r} is damaged: {name} is not what {MANIFEST} says; restore or delete it."
            )
        memory.offer(from_json(value, where) for value, where in json_lines(folder / name))
        return memory


def shares(sizes: Mapping[Stratum, int], room: int) -> dict[Stratum, int]:
    """How many of `sizes` each may keep of `room`: all as many as the others, what the small ones leave goes to them.

    The odd ones go to the latest periods.
    """
    found = dict.fromkeys(sizes, 0)
    open_ = sorted((stratum for stratum, size in sizes.items() if size), reverse=True)
    left = room
    while open_ and left > 0:
        each = left // len(open_)
        if not each:
            for stratum in open_[:left]:
                found[stratum] += 1
            break
        for stratum in open_:
            more = min(each, sizes[stratum] - found[stratum])
            found[stratum] += more
            left -= more
        open_ = [stratum for stratum in open_ if found[stratum] < sizes[stratum]]
    return found


def _chance(row: str, *seed: int) -> str:
    return hashlib.sha256(f"{seed} {row}".encode()).hexdigest()
