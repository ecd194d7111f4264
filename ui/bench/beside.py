"""What a customer waits while the shop learns: turns of a real server with and without a training beside it.

The training is `chatalogue learn` on the server's own data directory. It is held (SIGSTOP) for every other turn, and
each message is asked once beside it and once without, in an order drawn by place: whatever else the machine does meets
both alike. Only its training is timed; ranker and gate use the processor no more than that.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.bench.scripts import single_messages
from agent.rank.intervals import RESAMPLES
from ui.bench.processes import CHATALOGUE, CommandFailed, environment
from ui.bench.startup import free_port, running

CUSTOMERS: Final = 40
"""Who said something before, so that there is something to learn from; six rows each."""
WAIT_SECONDS: Final = 1800.0
"""Until the training has begun, and until one turn is answered."""
SETTLE_SECONDS: Final = 0.3
"""After the training was let go on, before the clock starts: caches are its own again."""


class Waits(BaseModel):
    """Seconds of whole turns: median and 95th percentile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits:
        """Of some turns."""
        ordered = sorted(seconds)
        return cls(
            median=round(statistics.median(ordered), 3), p95=round(ordered[int(0.95 * (len(ordered) - 1) + 0.5)], 3)
        )


class BesideLearning(BaseModel):
    """`ratio`: of the two medians, with a 95 % interval by a bootstrap over messages; `load`: of the machine, 1 min."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int
    cores: int
    alone: Waits
    learning: Waits
    ratio: float
    low: float
    high: float
    load_before: float


def measure_beside(
    folder: Path, turns: int, customers: int = CUSTOMERS, say: Callable[[str], None] = lambda words: None
) -> BesideLearning:
    """Serve the demo shop in `folder`, plant feedback, train beside it and ask.

    Args:
        folder: a data directory of the benchmark's own; one that was used before is planted no more.
        turns: messages, each asked twice.
        customers: who talk before.
        say: is told what goes on.

    Raises:
        CommandFailed: server or training ended early.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = (*CHATALOGUE, "serve", "--host", "127.0.0.1", "--port", str(port))
    with running(command, folder) as server, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        server.wait_for(lambda: client.get("/readyz").json()["status"] == "ok")
        if not (folder / "planted").exists():
            say(f"{customers} customers talk")
            _plant(client, customers)
            (folder / "planted").touch()
        with _learning(folder, say) as group:
            load = os.getloadavg()[0]
            alone, beside = _asked(client, group, turns, say)
    ratio, low, high = _ratio(np.array(alone), np.array(beside))
    return BesideLearning(
        turns=turns,
        cores=os.cpu_count() or 0,
        alone=Waits.of(alone),
        learning=Waits.of(beside),
        ratio=ratio,
        low=low,
        high=high,
        load_before=round(load, 2),
    )


def _plant(client: httpx.Client, customers: int) -> None:
    messages = single_messages()
    for number in range(customers):
        answer = _ask(client, messages[number % len(messages)], f"customer {number}")
        told = answer["chatalogue"]
        for kind, place in (("accept", number % 3), ("reject", -1)):
            if len(told["items"]) > 3:
                item_id = told["items"][place]["id"]
                client.post("/v1/feedback", json={"turn_id": told["turn_id"], "item_id": item_id, "kind": kind})


def _ask(client: httpx.Client, message: str, user: str) -> dict[str, Any]:
    body = {"model": "chatalogue", "user": user, "messages": [{"role": "user", "content": message}]}
    response = client.post("/v1/chat/completions", json=body, timeout=WAIT_SECONDS)
    if response.status_code != httpx.codes.OK:
        raise CommandFailed(f"A turn was answered with status {response.status_code}: {response.text}.")
    found: dict[str, Any] = response.json()
    return found


@contextmanager
def _learning(folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """A training that goes on; the id of its processes' group."""
    command = [*CHATALOGUE, "learn", "--min-feedback", "20"]
    with (folder / "learn.log").open("wb") as out:
        job = subprocess.Popen(command, env=environment(folder), stdout=out, stderr=out, start_new_session=True)  # noqa: S603
    try:
        until = time.monotonic() + WAIT_SECONDS
        say("waiting for the first step of the training")
        while not list((folder / "runs").glob("*/ada-*/steps/*/reference.json")):
            if job.poll() is not None or time.monotonic() > until:
                raise CommandFailed(f"The training did not begin; see {str(folder / 'learn.log')!r}.")
            time.sleep(0.5)
        yield job.pid
        if job.poll() is not None:
            raise CommandFailed("The training ended before the last turn; plant more customers or ask fewer turns.")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()


def _asked(client: httpx.Client, group: int, turns: int, say: Callable[[str], None]) -> tuple[list[float], list[float]]:
    """Seconds of each message, alone and beside the training."""
    messages = single_messages()
    alone: list[float] = []
    beside: list[float] = []
    for number in range(turns):
        message = messages[number % len(messages)]
        for learns in (number % 2 == 0, number % 2 == 1):
            os.killpg(group, signal.SIGCONT if learns else signal.SIGSTOP)
            time.sleep(SETTLE_SECONDS)
            started = time.perf_counter()
            _ask(client, message, f"asker {number} {learns}")
            (beside if learns else alone).append(time.perf_counter() - started)
        say(f"turn {number + 1} of {turns}: {alone[-1]:.2f} s, {beside[-1]:.2f} s beside the training")
    os.killpg(group, signal.SIGCONT)
    return alone, beside


def _ratio(alone: np.ndarray[Any, Any], beside: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    drawn = np.random.default_rng(0).integers(len(alone), size=(RESAMPLES, len(alone)))
    ratios = np.median(beside[drawn], axis=1) / np.median(alone[drawn], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return round(float(np.median(beside) / np.median(alone)), 3), round(float(low), 3), round(float(high), 3)
