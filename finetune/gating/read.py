"""The rules on understanding: how well generated messages are read, and how long that takes on both sides.

The catalogue is invented and nothing is trained on it, nor on these phrases (finetune/dialogues).
"""

from __future__ import annotations

import time
from contextlib import aclosing

import numpy as np

from agent.bench.understanding import f1
from agent.llm.protocol import Engine, Limits
from agent.understand.model import LIMITS as SERVED
from agent.understand.reading import read, reading_prompt
from agent.understand.reading_evidence import lexicon_of
from agent.understand.rules import Rules
from agent.understand.types import Understanding
from finetune.dialogues.boardgames import invented_boardgames
from finetune.dialogues.generate import Manner
from finetune.dialogues.measure import found_keys, gold_keys
from finetune.dialogues.scored import generated_turns
from finetune.dialogues.types import GeneratedTurn
from finetune.gating.finding import Found, Refused, figure
from finetune.gating.ground import Ground
from finetune.gating.intervals import HIGH, LOW, Interval, around, draws, mean_interval, widening
from retrieval.table import ItemTable

SEED = 20_100
"""Of the messages: none of training's, none of the benchmarks'."""
LIMITS = Limits(SERVED.max_tokens, 60.0, stop=SERVED.stop)
"""As serving has it, but for the time: a busy machine is no fault of the model."""


async def readings_rule(ground: Ground) -> Found:
    """F1 of what the model reads by itself, against the gold facts; both sides read the same messages in turn."""
    table = ItemTable(invented_boardgames())
    made = generated_turns(
        table, Manner("held_out", noun="game", plural="games", half="test"), ground.rules.readings.n,
        SEED + ground.rules.seed,
    )  # fmt: skip
    rules = Rules(lexicon_of(table), table.get)
    ground.seconds.clear()
    counts: dict[str, list[list[int]]] = {}
    exact: list[float] = []
    for number, (dialogue, turn) in enumerate(made):
        understood = rules.understand(turn.text, turn.context)
        told: dict[int, tuple[list[int], float]] = {}
        for side in (0, 1) if number % 2 else (1, 0):
            told[side] = await _read(ground.sides[side], table, understood, turn)
        ground.seconds.append((told[0][1], told[1][1]))
        sums = counts.setdefault(dialogue, [[0, 0, 0], [0, 0, 0]])
        for side in (0, 1):
            sums[side] = [a + b for a, b in zip(sums[side], told[side][0], strict=True)]
        right = [float(len(set(told[side][0])) == 1) for side in (0, 1)]  # as many said and wanted as are right
        exact.append(right[0] - right[1])
    found, ours, theirs = _f1_interval(list(counts.values()))
    share = mean_interval(exact)
    return Found(
        (figure("F1", found, "at least", -ground.rules.readings.margin, "low", ours, theirs),),
        f"{len(made)} generated messages of {len(counts)} dialogues about invented games, read by the model alone",
        f"Messages read without a mistake: {share.value:+.1%} [{share.low:+.1%}, {share.high:+.1%}].",
    )


async def latency_rule(ground: Ground) -> Found:
    """The median time of a reading on both sides; a candidate that does not stop talking is slow, too."""
    if not ground.seconds:
        raise Refused("the messages whose time would be compared were not read")
    times = np.array(ground.seconds)
    value = float(np.median(times[:, 0]) / np.median(times[:, 1]))
    drawn = times[draws(len(times))]
    low, high = np.quantile(np.median(drawn[..., 0], axis=1) / np.median(drawn[..., 1], axis=1), [LOW, HIGH])
    ours, theirs = (float(np.median(times[:, side]) * 1e3) for side in (0, 1))
    shown = Interval(value, float(low), float(high), len(times))
    return Found(
        (figure("time of a reading, times the champion's", shown, "at most", ground.rules.latency.ratio),),
        f"the median of {len(times)} readings, the two sides in turn: {ours:.0f} and {theirs:.0f} ms",
    )


async def _read(
    engine: Engine, table: ItemTable, understood: Understanding, turn: GeneratedTurn
) -> tuple[list[int], float]:
    """Right, said and wanted facts of one message, and the seconds that it took."""
    prompt = reading_prompt(turn.text, turn.context, table)
    answer, complete, started = "", False, time.perf_counter()
    async with aclosing(engine.stream(prompt, LIMITS)) as chunks:
        async for chunk in chunks:
            answer += chunk.text
            complete = chunk.finish == "stop"
    seconds = time.perf_counter() - started
    reading = read(answer, turn.text, turn.context, table, complete=complete)
    alone = Understanding(
        understood.intent, facts=reading.facts, item_ids=reading.item_ids, attribute=reading.attribute
    )
    said, wanted = found_keys(turn, alone).keys(), gold_keys(turn).keys()
    return [len(said & wanted), len(said), len(wanted)], seconds


def _f1_interval(groups: list[list[list[int]]]) -> tuple[Interval, float, float]:
    """The difference in F1 when dialogues are drawn again, and F1 of both sides."""
    counts = np.array(groups, dtype=np.int64)  # (dialogues, 2 sides, 3)
    drawn = counts[draws(len(counts))].sum(axis=1)
    both = 2 * drawn[..., 0] / np.maximum(drawn[..., 1] + drawn[..., 2], 1)
    ours, theirs = (f1(counts[:, side].sum(axis=0)) for side in (0, 1))
    value, n = ours - theirs, len(counts)
    return around(value, (both[:, 0] - both[:, 1] - value) * widening(n), n), ours, theirs
