"""What the app and the worker process say to each other over the pipe. Needs no torch on either side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from agent.llm.protocol import Chunk, Filled, Limits, Prompt


@dataclass(frozen=True, slots=True)
class WorkerArgs:
    """All that a worker needs to come up, or to come back after a crash as it was."""

    model: str
    models_dir: Path
    device: str
    threads: int | None
    together: int
    adapters: tuple[tuple[str, Path], ...] = ()
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Wants `Piece`s, the last with a `finish`."""

    prompt: Prompt
    limits: Limits


@dataclass(frozen=True, slots=True)
class Choose:
    """Wants a tuple of floats, one for each option."""

    prompt: Prompt
    options: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Judge:
    """Wants a tuple of floats, the answers' after the first ending, then those after the second ..."""

    prompt: Prompt
    endings: tuple[str, ...]
    answers: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Fill:
    """Wants a `Filled`."""

    prompt: Prompt
    grammar: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class LoadAdapter:
    """Wants None; done in the background, beside the other calls."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class UseAdapter:
    """Wants None, when calls may name the adapter; done in the background, beside the other calls."""

    name: str | None


Job: TypeAlias = Stream | Choose | Judge | Fill | LoadAdapter | UseAdapter


@dataclass(frozen=True, slots=True)
class Request:
    """One call, to the worker, and the adapter that answers all of it (None: the base model)."""

    id: int
    job: Job
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop call `id` at the next token, to the worker."""

    id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process, to the worker."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The model answers; `lost` are adapters that could not be loaded again."""

    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoding:
    """The worker takes so many calls at a time from now on; `why` says why decoding is slow, "" when it is fast."""

    places: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The model cannot be had; trying again without a change is useless."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Streamed text of call `id`."""

    id: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Done:
    """Call `id` is over, also when it was cancelled (then `value` is None)."""

    id: int
    value: Filled | tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Call `id` is over with an error."""

    id: int
    kind: Literal["error", "timeout"]
    sentence: str


Report: TypeAlias = Ready | Decoding | Unavailable | Piece | Done | Failed


def sentence(what: str, error: Exception) -> str:
    """What happened and the first line of why, for a person."""
    reason = str(error).strip().splitlines()
    return f"{what} ({type(error).__name__}: {reason[0][:200] if reason else 'no reason given'})."
