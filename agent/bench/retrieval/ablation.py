"""What each part of the system is worth: the full system against one without it, on the same labels.

Parts that did not help are not in the full system; it is made once with them, or their lists, made elsewhere, are
compared with its lists, so that the table has them, too. Lists may be kept, so that a run can be stopped at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

from agent.bench.retrieval.dialogues import Ranked, read_ranked, write_ranked
from agent.bench.retrieval.figures import Ablation, AblationRow
from agent.bench.retrieval.pipeline import BRANCHES, FURTHER, GROUPS, RANKER, Progress, Studio
from agent.bench.retrieval.recall import compare, score
from agent.bench.retrieval.run import BATCH, Files, Inputs, lists_of
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest
from retrieval.remembering import Remembering

LEFT_OUT = (*GROUPS, RANKER, *BRANCHES)
"""Everything that can be left out; first what needs no branch fitted again."""
PARTS = (*LEFT_OUT, *FURTHER)
"""Every row of the table that is made here."""
MANIFEST = "made_from.json"
FULL = "full"


def known_parts(names: Sequence[str]) -> frozenset[str]:
    """The names as a set.

    Raises:
        BadRequest: one of them cannot be left out.
    """
    return _known(names, LEFT_OUT)


def known_rows(names: Sequence[str]) -> frozenset[str]:
    """As `known_parts`, for the rows of an ablation."""
    return _known(names, PARTS)


@dataclass(frozen=True, slots=True)
class KeptLists:
    """A folder with the lists of each system that was made from the same files, one file each.

    Knows nothing of the program that made them: who changes it takes another folder.
    """

    folder: Path

    @classmethod
    def open(cls, folder: Path, files: Files) -> KeptLists:
        """The folder is made where there is none.

        Raises:
            BadRequest: it holds lists that were made from other files, or cannot be written.
        """
        made_from = {field.name: _digest(getattr(files, field.name)) for field in fields(files)}
        manifest = folder / MANIFEST
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not manifest.exists():
                manifest.write_text(json.dumps(made_from), encoding="utf-8")
            same = json.loads(manifest.read_text(encoding="utf-8")) == made_from
        except (OSError, ValueError) as error:
            raise BadRequest(f"The folder {str(folder)!r} cannot be used ({error}); name another.") from None
        if not same:
            raise BadRequest(f"The lists in {str(folder)!r} were made from other files; name another folder.")
        return cls(folder)

    def of(self, name: str, make: Callable[[], tuple[Ranked, ...]]) -> tuple[Ranked, ...]:
        """Those that are there, else what `make` gives, which then is there."""
        file = self.folder / f"{name}.jsonl"
        if file.is_file():
            return read_ranked(file)
        lists = make()
        write_ranked(file, lists)
        return lists


class Ablater:
    """Makes the lists of every system that an ablation compares; what several of them share is made once."""

    def __init__(self, inputs: Inputs, encoder: Encoder, kept: KeptLists | None, progress: Progress) -> None:
        """Nothing is made yet; `kept` None: no list outlives this object."""
        self._inputs = inputs
        self._encoder = Remembering(encoder, BATCH)
        self._kept = kept
        self._progress = progress
        self._full_studio = cache(self._studio)

    def lists(self, part: str) -> tuple[Ranked, ...]:
        """Of the system without `part`, of that with it for one of `FURTHER`, or of the `FULL` one."""
        if self._kept is None:
            return self._made(part)
        name = {"left out": f"without-{part}", "added": f"with-{part}"}[_change(part)]
        return self._kept.of(FULL if part == FULL else name, lambda: self._made(part))

    def _made(self, part: str) -> tuple[Ranked, ...]:
        if part in BRANCHES or part in FURTHER:
            self._full_studio.cache_clear()  # its examples take as much memory as those of the next one
            without = frozenset({part} & set(BRANCHES))
            system = self._studio(without, (part,) if part in FURTHER else ()).system()
        else:
            system = self._full_studio().system(frozenset({part} - {FULL}))
        return lists_of(system, self._inputs.test, self._progress)

    def _studio(self, without: frozenset[str] = frozenset(), further: tuple[str, ...] = ()) -> Studio:
        bundle = self._inputs.bundle
        return Studio(bundle, self._encoder, without=without, further=further, progress=self._progress)


def ablate(
    inputs: Inputs,
    lists: Callable[[str], Sequence[Ranked]],
    parts: Sequence[str],
    others: Mapping[str, Sequence[Ranked]],
) -> Iterator[Ablation]:
    """The table after each row: the full system, one without each of `parts`, then those with a part more.

    Args:
        inputs: what the files hold.
        lists: of the system that is named by a part, see `Ablater.lists`.
        parts: names of `PARTS`.
        others: lists of systems that have one part more, by the name of the part.

    Raises:
        BadRequest: no test row has a novel label.
    """
    if not any(row.novel for row in inputs.test):
        raise BadRequest("No test row has a novel target; an ablation needs a file that tells them.")
    full = lists(FULL)
    table = Ablation(n_train=len(inputs.bundle.train), full=score(inputs.test, full), rows=())
    yield table

    def row(part: str, change: Literal["left out", "added"], changed: Sequence[Ranked]) -> AblationRow:
        difference = compare(inputs.test, full, changed)
        return AblationRow(part=part, change=change, novel=score(inputs.test, changed), difference=difference)

    for part in parts:
        table = table.with_row(row(part, _change(part), lists(part)))
        yield table
    for part, changed in others.items():
        table = table.with_row(row(part, "added", changed))
        yield table


def _change(part: str) -> Literal["left out", "added"]:
    return "added" if part in FURTHER else "left out"


def _known(names: Sequence[str], of: Sequence[str]) -> frozenset[str]:
    for name in names:
        if name not in of:
            raise BadRequest(f"There is no part {name!r}; it is one of {', '.join(of)}.")
    return frozenset(names)


def _digest(path: Path | None) -> str | None:
    """Of a file's content, of the names and sizes in a folder."""
    if path is None:
        return None
    if path.is_dir():
        listed = sorted((file.name, file.stat().st_size) for file in path.iterdir())
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
