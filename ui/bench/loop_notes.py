"""The folder of one run of the loop: each step's outcome, once it is there, so that a run that was stopped goes on.

    <keep>/steps/learn.json        outcome of a step, the commands that it ran, the memory of its servers
    <keep>/visits/after.jsonl      visits, one a line, written at once
    <keep>/shop/ ...               data directories of the servers

Knows nothing of what the steps do. A change of code is not seen: such a folder is the caller's to delete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.bench.loop.visits import Visit
from retrieval.errors import BadRequest
from ui.bench.loop_report import Command, Memory
from ui.bench.processes import CHATALOGUE, Measured, environment, run_measured
from ui.bench.report import write_whole
from ui.bench.startup import free_port, running

T = TypeVar("T", bound=BaseModel)

_VISIT = TypeAdapter(Visit)
GIB = 2**30


class _Outcome(BaseModel):
    """A finished step."""

    result: object
    commands: list[Command]
    memory: list[Memory]


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server of one step is set up.

    Attributes:
        folder: its data directory.
        explores: whether lists are explored, as a shop does; measuring needs the same list for the same words.
        writes: whether the model writes replies; without, they are templates.
        adapter: the folder of the adapter of the settings; None: the starter.
        variables: further settings.
    """

    folder: Path
    explores: bool = False
    writes: bool = False
    adapter: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def more(self) -> dict[str, str]:
        """Variables of the environment besides the data directory."""
        found = {"CHATALOGUE_CHAT__EXPLORATION": "0.05"} if self.explores else {}
        found |= {} if self.writes else {"CHATALOGUE_LLM__REPLY": "off"}
        found |= {} if self.adapter is None else {"CHATALOGUE_LLM__ADAPTER": str(self.adapter)}
        return {**found, **self.variables}


class Notes:
    """What a step that is under way has run."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.commands: list[Command] = []
        self.memory: list[Memory] = []

    def run(self, line: str, folder: Path, more: Mapping[str, str] | None = None) -> str:
        """Run `chatalogue LINE` on a data directory; its stdout.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        done = self._measured(line, folder, more)
        cost = done.cost
        shown = _without(done.stdout, folder)
        self.commands.append(
            Command(
                step=self.step,
                line=_typed(_without(line, folder), more or {}),
                stdout=shown,
                seconds=cost.seconds,
                peak_rss_gib=cost.peak_rss_gib,
            )
        )
        return done.stdout

    def ask(self, line: str, folder: Path) -> str:
        """As `run`, for the bench's own eyes: it is not written down."""
        return self._measured(line, folder, None).stdout

    def _measured(self, line: str, folder: Path, more: Mapping[str, str] | None) -> Measured:
        return run_measured((*CHATALOGUE, *line.split()), {**environment(folder), **(more or {})}, f"chatalogue {line}")

    @contextmanager
    def served(self, serving: Serving) -> Iterator[str]:
        """A server that is ready; its address.

        Raises:
            CommandFailed: it does not get ready.
        """
        serving.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        arguments = ("serve", "--host", "127.0.0.1", "--port", str(port))
        base = f"http://127.0.0.1:{port}"
        with running((*CHATALOGUE, *arguments), serving.folder, serving.more) as server, httpx.Client() as client:
            server.wait_for(lambda: _is_ready(client, base))
            yield base
            self.memory.append(_memory(self.step, server.process.pid))
            seconds = server.seconds()
            server.stop()
        self.commands.append(Command(step=self.step, line=_typed("serve", serving.more), seconds=seconds))


class Folder:
    """One run's folder."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root = root.resolve()
        self._say = say
        try:
            for name in ("steps", "visits", "models"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(f"The folder {str(root)!r} cannot be used ({error.strerror}); name another.") from None
        self.commands: list[Command] = []
        self.memory: list[Memory] = []

    def data(self, name: str) -> Path:
        """A data directory of the run; all of them share the models."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        if not (folder / "models").exists():
            (folder / "models").symlink_to(self.root / "models")
        return folder

    def step(self, name: str, kind: type[T], do: Callable[[Notes], T]) -> T:
        """The outcome of a step, which is done unless it was already.

        Raises:
            ChatalogueError: it cannot be done, or the folder is of another version.
        """
        file = self.root / "steps" / f"{name}.json"
        if not file.exists():
            started, notes = time.perf_counter(), Notes(name)
            self._say(f"{name} ...")
            result = do(notes)
            outcome = _Outcome(result=result.model_dump(mode="json"), commands=notes.commands, memory=notes.memory)
            write_whole(file, outcome.model_dump_json(indent=1) + "\n")
            self._say(f"{name}: {time.perf_counter() - started:.0f} s")
        try:
            outcome = _Outcome.model_validate_json(file.read_bytes())
            found = kind.model_validate(outcome.result)
        except ValidationError:
            raise BadRequest(f"{str(file)!r} is of another version; name another folder for --keep.") from None
        self.commands += outcome.commands
        self.memory += outcome.memory
        return found

    def visits(self, name: str) -> dict[int, Visit]:
        """Those that were made already, by person; a line that was cut off is none."""
        file = self._visits(name)
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else [""]
        whole, cut = lines[:-1], lines[-1]
        if cut:
            write_whole(file, "".join(f"{line}\n" for line in whole))
        return {one.person: one for one in map(_VISIT.validate_json, whole)}

    def add(self, name: str, one: Visit) -> None:
        """Write a visit down."""
        with self._visits(name).open("a", encoding="utf-8") as file:
            file.write(_VISIT.dump_json(one).decode() + "\n")

    def forget(self, name: str) -> None:
        """Drop what visits there are: their shop is made anew."""
        self._visits(name).unlink(missing_ok=True)

    def in_order(self, name: str, numbers: Sequence[int]) -> list[Visit]:
        """The visits of these people."""
        found = self.visits(name)
        return [found[number] for number in numbers]

    def _visits(self, name: str) -> Path:
        return self.root / "visits" / f"{name}.jsonl"


def _is_ready(client: httpx.Client, base: str) -> bool:
    response = client.get(f"{base}/readyz")
    if response.status_code != httpx.codes.OK:
        return False
    return all(part["state"] in ("ok", "off") for part in response.json()["parts"])  # off: as the settings have it


def _memory(step: str, pid: int) -> Memory:
    """The peaks so far of a server and of the largest process below it, the language model's."""
    below = [_peak(one) for one in _below(str(pid))]
    return Memory(step=step, server=_peak(str(pid)), model=max(below, default=None))


def _below(pid: str) -> Iterator[str]:
    """Processes that it started, and those that they did; none where the system does not say (it is not Linux)."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):  # a thread that has ended meanwhile
            for child in (task / "children").read_text(encoding="ascii").split():
                yield child
                yield from _below(child)


def _peak(pid: str) -> float:
    """In GiB; 0 where it is not known."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) * 1024 / GIB, 3)
    return 0.0


def _typed(line: str, more: Mapping[str, str]) -> str:
    """The command with its variables, as a person would type it; folders of this machine by their names."""
    said = [f"{name}={Path(value).name if '/' in value else value}" for name, value in more.items()]
    return " ".join([*said, "chatalogue", line])


def _without(text: str, folder: Path) -> str:
    """No paths of this machine."""
    return text.replace(f"{folder.parent}/", "").replace(str(folder.parent), ".")
