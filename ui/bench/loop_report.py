"""What one run of the whole loop came to; docs/loop and the benchmark file are made from it. Does nothing itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agent.bench.loop.figures import Arm, Exposure, Gain


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Command(_Frozen):
    """A command as it was typed, what it printed, what it took. `peak_rss_gib` None: of a server, see `Memory`."""

    step: str
    line: str
    stdout: str = ""
    seconds: float
    peak_rss_gib: float | None = None


class Memory(_Frozen):
    """The greatest resident memory of a server's processes in one step, GiB."""

    step: str
    server: float
    model: float | None


class Taught(_Frozen):
    """The people who taught the shop. `full_text` of them read replies that the model wrote."""

    people: int
    full_text: int
    turns: int
    reactions: dict[str, int]
    seconds: float


class Learned(_Frozen):
    """What a learning job came to: the outcome of each part of its report, and the page of the gate ("": none).

    `adapter` is the one that was trained, None where none was; `passed` whether the gate let it through.
    """

    parts: dict[str, str]
    report: str
    gate: str
    adapter: str | None
    passed: bool


class Trial(_Frozen):
    """The canary: answers by adapter, and whether every conversation kept to one adapter."""

    share: float
    people: int
    answers: dict[str, int]
    sticky: bool


class Poison(_Frozen):
    """The campaign, the job after it, and the exposure of the pushed item to people who had no part in it."""

    item: str
    people: int
    campaigners: int
    reactions: dict[str, int]
    learned: Learned
    exposure: Exposure
    bound: float
    served_anyway: bool


class Rollback(_Frozen):
    """Who answered the same messages before and after: adapters and rankers by number of answers and lists."""

    before_adapters: dict[str, int]
    before_rankers: dict[str, int]
    after_adapters: dict[str, int]
    after_rankers: dict[str, int]
    linear_rankers: dict[str, int]


class Chat(_Frozen):
    """General messages: how many were answered by the same action, and word for word the same, before and after."""

    messages: int
    same_action: int
    same_text: int


class LoopReport(_Frozen):
    """The run. The first of `arms` is the shop before anybody taught it; `gains` are over that one."""

    catalogue: str
    items: int
    seeds: dict[str, int]
    slang: dict[str, str]
    taught: Taught
    learned: Learned
    trial: Trial | None
    arms: list[Arm]
    gains: list[Gain]
    chat: Chat
    poison: Poison
    rollback: Rollback
    commands: list[Command]
    memory: list[Memory]
