"""`chatalogue bench offpolicy` as one call: streams, the model's opinions, the contest, and the truth of estimates.

Knows nothing of how an engine comes up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from agent.bench.bandits.contest import SEEDS, Contest, StreamReport, best_of, measure, opinion_auc, points_of
from agent.bench.bandits.opinions import Kept, Opinions, asking, opinions_of
from agent.bench.bandits.proof import ProofReport, prove
from agent.bench.bandits.visitors import OPTIONS, ROUNDS, Stream, rated, simulated
from agent.bench.personal import World
from agent.llm.protocol import Engine
from retrieval.demo import demo_films_path
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest
from retrieval.index import build_index, open_index
from retrieval.loading import load_catalogue
from retrieval.remembering import Remembering

Say: TypeAlias = Callable[[str], None]

MIN_VISITORS = 20
"""With opinions: fewer say nothing."""


class BanditReport(BaseModel):
    """Everything that was measured; `proof` is None without real ratings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    streams: list[StreamReport]
    proof: ProofReport | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How many visitors a stream has at most, under how many seeds, and for how long the model may be asked."""

    visitors: int = 200
    seeds: int = SEEDS
    minutes: float = 8.0


def streams_of(ratings: Path | None, visitors: int, encoder: Encoder) -> list[Stream]:
    """Simulated visitors with both kinds of taste, and real ratings where there is a folder.

    Raises:
        CatalogueError, BadRequest: the folder cannot be used.
    """
    real = [] if ratings is None else [rated(ratings, visitors)]
    with tempfile.TemporaryDirectory() as folder:
        remembering = Remembering(encoder)
        films = load_catalogue(demo_films_path(), strict=True).items
        retriever = open_index(build_index(films, Path(folder), remembering), remembering, stores=None)
        try:
            world = World.of(retriever)
            return [*real, simulated(world, "linear", visitors), simulated(world, "crooked", visitors)]
        finally:
            retriever.close()


async def measure_bandits(streams: Sequence[Stream], engine: Engine, kept: Kept, plan: Plan, say: Say) -> BanditReport:
    """Ask the model, each stream for its share of what is left of the minutes, then let everybody choose.

    Raises:
        BadRequest: the model was asked about too few visitors in that time.
    """
    status = engine.status()
    model = f"{status.model} with {status.adapter}" if status.adapter else status.model
    skill = asking(engine)
    contests, asked = [], []
    end = time.monotonic() + plan.minutes * 60
    for number, stream in enumerate(streams):
        until = time.monotonic() + (end - time.monotonic()) / (len(streams) - number)
        say(f"{stream.name}: asking the model about {len(stream.visitors)} visits")
        opinions = await opinions_of(stream, skill, model, kept, until, say)
        contests.append(_contest(stream, opinions))
        asked.append(opinions)
        say(f"{number + 1} of {len(streams)}: {len(opinions.by_visitor)} visits with an opinion")
    reports = [_report(one, told, model, plan, say) for one, told in zip(contests, asked, strict=True)]
    real = next((one for one in contests if _is_real(one)), None)
    return BanditReport(streams=reports, proof=None if real is None else prove(real, say))


def _is_real(contest: Contest) -> bool:
    """Whether every reward is known for certain."""
    return all(((one.liking == 0) | (one.liking == 1)).all() for one in contest.stream.visitors)


def _contest(stream: Stream, opinions: Opinions) -> Contest:
    """Those visitors about whom there was time to ask."""
    visitors = tuple(one for one in stream.visitors if one.name in opinions.by_visitor)
    if len(visitors) < MIN_VISITORS:
        raise BadRequest(
            f"The model told its opinion of {len(visitors)} visitors of {stream.name!r}, and {MIN_VISITORS} are "
            "needed; give it more --minutes, and with --keep what is told already is not asked again."
        )
    return Contest(replace(stream, visitors=visitors), opinions.by_visitor)


def _report(contest: Contest, told: Opinions, model: str, plan: Plan, say: Say) -> StreamReport:
    visitors = len(contest.stream.visitors)
    return StreamReport(
        name=contest.stream.name,
        visitors=visitors,
        rounds=ROUNDS,
        options=OPTIONS,
        seeds=plan.seeds,
        model=model,
        asked=told.asked,
        model_seconds=told.seconds,
        opinion_auc=opinion_auc(contest),
        best=best_of(contest, seeds=plan.seeds),
        points=points_of(visitors),
        arms=measure(contest, say, seeds=plan.seeds),
    )
