"""Fit and measure when to ask and how sure to be: simulated customers, rules only, no language model.

    python -m ui.bench.deciding fit --items a.jsonl --items b.jsonl --questions questions.jsonl \
        --out agent/thresholds.toml
    python -m ui.bench.deciding measure --items c.jsonl --questions questions.jsonl

`fit` gives the file of thresholds, `measure` a report as JSON; neither may see the other's catalogues or seeds. The
file at `--out` is complete or as it was: the bots that are measured read it.
`--questions` are labelled questions to the demo shop's articles (`question`, `articles`, `part`): `fit` takes the part
"dev", `measure` the part "test". Puts parts together; what is measured and how stands in agent/bench.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.bench.calibration import calibration_of, fit_logistic
from agent.bench.deciding import (
    DecidingReport,
    Judged,
    Side,
    Talked,
    Traced,
    arm_of,
    article_turns,
    by_entropy,
    calibrations,
    difference_of,
    fit_asking,
    handed_over,
    holds_back,
    never,
    patience_of,
    talk,
)
from agent.bench.dialogue.bots import Bot, InProcess
from agent.bench.dialogue.needs import draw_needs
from agent.bench.dialogue.reading import Reader
from agent.conversation import Conversations
from agent.llm.off import NoEngine
from agent.questions import Chooser, choose
from agent.settings import Settings, load_settings
from agent.thresholds import Asking, Calibrated, Thresholds, thresholds
from ui.bench.processes import bench_settings
from ui.bench.talks import Open, opened
from ui.logs import configure_logs

FIT_SEED, SEED = 500_000, 1_000
"""Of the needs to fit on and of those reported; no two runs share one."""
LEAST_SURE = 0.1
"""The share of lists that are called unsure where words were not read."""
HOPELESS = 0.1
"""The share of lists below the threshold for handing over; two such in a row make an offer."""
PRICES = (0.003, 0.01, 0.03)
"""The least gains that are tried."""
LIST_FEATURES = ("mass", "margin", "matching", "wishes", "unread", "doubtful")
"""Simulated customers are read nearly always, so they say little of what the last two are worth."""
EVEN = 0.5
"""An article that is more likely wrong than right is called unsure."""


@dataclass(frozen=True, slots=True)
class _Arm:
    name: str
    rule: Chooser
    keep: bool = False


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ui.bench.deciding")
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("--items", type=Path, action="append", help="a catalogue; may be repeated; default: demo shop")
    parser.add_argument("--questions", type=Path, required=True, help="labelled questions to the demo's articles")
    parser.add_argument("--n", type=int, default=100, help="needs for each catalogue")
    parser.add_argument("--out", type=Path, help="where to write; default: printed")
    call = parser.parse_args(arguments)
    configure_logs(logging.WARNING)
    rows = [json.loads(line) for line in call.questions.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="chatalogue-bench-") as folder:
        settings = bench_settings(load_settings(None).settings, Path(folder))
        settings = settings.model_copy(update={"llm": settings.llm.model_copy(update={"engine": "off"})})
        run = _fit if call.what == "fit" else _measure
        text = run(settings, call.items or [None], rows, call.n) + "\n"
    if call.out is None:
        sys.stdout.write(text)
    else:
        _write(call.out, text)


def _write(out: Path, text: str) -> None:
    part = out.with_name(f"{out.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, out)


def _fit(settings: Settings, catalogues: Sequence[Path | None], rows: Sequence[Mapping[str, Any]], n: int) -> str:
    """The file: how to ask from talks without questions, then how sure to be from talks with them."""
    silent = _all(settings, catalogues, (_Arm("never", never, keep=True),), n, FIT_SEED)
    talks = [one for by_arm in silent for one in by_arm["never"]]
    patience = patience_of([one.need for one in talks])
    asking, moments = fit_asking(talks, patience)
    rules = {f"{price:g}": replace(asking, min_gain=price) for price in PRICES}
    arms = [_Arm(name, _with(rule)) for name, rule in rules.items()]
    asked = _all(settings, catalogues, arms, n, FIT_SEED)
    turns = {
        arm.name: sum(arm_of(arm.name, by_arm[arm.name]).turns.value for by_arm in asked) / len(asked) for arm in arms
    }
    best = min(rules, key=lambda name: round(turns[name], 2))
    _say(f"turns by price: {turns}; without questions {arm_of('never', talks).turns.value}")
    final = rules[best]
    every = [one for by_arm in asked for arm in by_arm.values() for one in arm]
    judged = [turn for one in (*talks, *every) for turn in one.judged]
    articles = asyncio.run(_articles(settings, [row for row in rows if row["part"] == "dev"]))
    names = ", ".join(path.name if path else "the demo shop" for path in catalogues)
    return _file(final, moments, judged, articles, f"{n} needs each of {names}, seed {FIT_SEED}")


def _with(asking: Asking) -> Chooser:
    return lambda moment: choose(moment, asking)


def _measure(settings: Settings, catalogues: Sequence[Path | None], rows: Sequence[Mapping[str, Any]], n: int) -> str:
    """Reports, one a catalogue, and the articles'."""
    arms = (_Arm("never", never), _Arm("entropy", by_entropy), _Arm("gain", choose))
    known, reports = thresholds(), []
    for path, by_arm in zip(catalogues, _all(settings, catalogues, arms, n, SEED), strict=True):
        pairs = (("gain", "never"), ("gain", "entropy"), ("entropy", "never"))
        silent = {name: [one for one in talks if holds_back(one)] for name, talks in by_arm.items()}
        judged = [turn for one in by_arm["gain"] for turn in one.judged]
        unsure = [one for one in judged if _below(one, known)]
        reports.append(
            DecidingReport(
                catalogue=path.name if path else "the demo shop",
                needs=n,
                seed=SEED,
                arms=[arm_of(name, talks) for name, talks in by_arm.items()],
                differences=[difference_of(one, by_arm[one], other, by_arm[other]) for one, other in pairs],
                holding_back=len(silent["never"]),
                differences_holding_back=[difference_of(a, silent[a], b, silent[b]) for a, b in pairs if silent[a]],
                calibration=calibrations(by_arm["gain"], known),
                handed_over=handed_over(by_arm["gain"], known),
                unsure=round(len(unsure) / max(1, len(judged)), 4),
            ).model_dump(mode="json")
        )
    turns = asyncio.run(_articles(settings, [row for row in rows if row["part"] == "test"]))
    stated = [known.steps["answer"].probability(one.features) for one in turns]
    answers = calibration_of(stated, [one.served for one in turns], range(len(turns)))
    return json.dumps({"catalogues": reports, "articles": answers.model_dump(mode="json")}, indent=1)


def _below(one: Judged, known: Thresholds) -> bool:
    model = known.steps[one.step]
    return model.probability(one.features) < model.threshold


def _all(
    settings: Settings, catalogues: Sequence[Path | None], arms: Sequence[_Arm], n: int, seed: int
) -> list[dict[str, list[Talked]]]:
    return [asyncio.run(_held(settings, path, arms, n, seed)) for path in catalogues]


async def _held(
    settings: Settings, path: Path | None, arms: Sequence[_Arm], n: int, seed: int
) -> dict[str, list[Talked]]:
    """The same customers for every arm, over one index."""
    async with opened(_at(settings, path), path) as ready:
        table = ready.parts.shops.current(settings.tenant).table
        needs, reader = draw_needs(table, n, seed), Reader(table)
        _say(f"{path.name if path else 'the demo shop'}: {len(table)} items")
        found = {}
        for arm in arms:
            side = Side(arm.name, arm.rule, _bot_of(ready, settings.tenant), keep=arm.keep)
            found[arm.name] = await talk(side, needs, reader, seed, _traced(ready, settings.tenant), _say)
        return found


def _traced(ready: Open, tenant: str) -> Traced:
    return lambda turn_id: ready.parts.log.trace(tenant, turn_id).record.trace


def _bot_of(ready: Open, tenant: str) -> Callable[[Chooser], Bot]:
    parts = ready.parts
    return lambda rule: InProcess(Conversations(parts.settings, parts.log, parts.shops, NoEngine(), rule), tenant)


async def _articles(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> list[Judged]:
    async with opened(_at(settings, None), None) as ready:
        articles = ready.parts.shops.current(settings.tenant).articles
        return article_turns(articles, rows) if articles else []


def _at(settings: Settings, path: Path | None) -> Settings:
    """A data directory for each catalogue."""
    return settings.model_copy(update={"data_dir": settings.data_dir / (path.stem if path else "demo")})


_HEAD = """\
# When a question pays, and from when on the bot is unsure of itself. `python -m ui.bench.deciding fit` writes this
# file, `... measure` says what it is worth on catalogues and seeds that it was not fitted on.
#
# Lists: simulated customers (agent/bench/dialogue) with rules only, no people. A probability is that the wanted item
# stands in the list; of a list with a question, in that or the next one. Answers: labelled questions to the demo shop's
# articles; a probability is that the article cited first is a right one. `ece` is on what it was fitted on.

[ask]
fitted_on = "{told}: {moments} lists without questions, {asked} with one"
temperature = {asking.temperature}  # of chances, in units of the ranker's spread
no_preference = {asking.no_preference}  # share who do not care about the best attribute, or would say it unasked
no_preference_after_more = {asking.no_preference_after_more}  # the same, of those who only asked for others
patience = {asking.patience}  # share of those not served who write once more
min_gain = {asking.min_gain}  # the price of a turn, in hit probability
{ask}

[recommend]
fitted_on = "{told}"
{recommend}

[answer]
fitted_on = 'questions to the demo shop, part "dev"'
{answer}

[handoff]
fitted_on = "{told}: below it is the least sure {hopeless:.0%} of all lists"
n = {n}
threshold = {threshold}
turns = 2  # in a row
"""


def _file(asking: Asking, moments: int, judged: Sequence[Judged], articles: Sequence[Judged], told: str) -> str:
    lists = {step: [one for one in judged if one.step == step] for step in ("ask", "recommend")}
    ask, of_ask = _model(lists["ask"], LIST_FEATURES)
    recommend, of_recommend = _model(lists["recommend"], LIST_FEATURES)
    answer, _ = _model(articles, ("score",), EVEN)
    stated = [*of_ask, *of_recommend]
    return _HEAD.format(
        told=told,
        moments=moments,
        asked=len(lists["ask"]),
        asking=asking,
        ask=ask,
        recommend=recommend,
        answer=answer,
        hopeless=HOPELESS,
        n=len(stated),
        threshold=_quantile(stated, HOPELESS),
    ).rstrip()


def _model(turns: Sequence[Judged], names: Sequence[str], threshold: float | None = None) -> tuple[str, list[float]]:
    """The lines of one model, and what it states of the turns it was fitted on; its threshold leaves `LEAST_SURE`."""
    served = [one.served for one in turns]
    bias, weights = fit_logistic([one.features for one in turns], served, names)
    model = Calibrated(bias, weights, 0.0)
    stated = [model.probability(one.features) for one in turns]
    error = calibration_of(stated, served, range(len(turns))).ece.value
    written = ", ".join(f"{name} = {weight:.4f}" for name, weight in weights.items())
    lines = [
        f"n = {len(turns)}",
        f"ece = {error}",
        f"threshold = {_quantile(stated, LEAST_SURE) if threshold is None else threshold}",
        f"bias = {bias:.4f}",
        f"weights = {{ {written} }}",
    ]
    return "\n".join(lines), stated


def _quantile(stated: Sequence[float], share: float) -> float:
    return round(sorted(stated)[int(share * len(stated))], 4) if stated else 0.0


def _say(line: str) -> None:
    sys.stderr.write(f"  {line}\n")


if __name__ == "__main__":
    main()
