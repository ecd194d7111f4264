"""`chatalogue bench intents` and `intent-folds`: learn intents from examples and tell those that were not learned."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.bench.intent_folds import IntentFolds, measure_folds
from agent.bench.intents import Answered, IntentReport, answer, score
from agent.settings import RetrievalSettings, load_settings
from agent.support.intent_file import read_test, read_train
from retrieval.encoder import SentenceEncoder
from retrieval.errors import BadRequest
from ui.bench.machine import this_machine
from ui.bench.render_intents import FOLDS, SECTION, folds_lines, intents_lines
from ui.bench.report import Stamp, check_folder, open_report, write_report, write_whole
from ui.commands.bench_others import Other
from ui.commands.output import print_result
from ui.logs import configure_logs


@dataclass(frozen=True, slots=True)
class IntentsCall:
    """The options as typed; `oos_label` None: every message has an intent. `report` takes the figures, too."""

    train: Path
    test: Path
    out: Path
    oos_label: str | None = None
    report: Path | None = None
    name: str | None = None
    as_json: bool = False
    config: Path | None = None


def run_intents(call: IntentsCall) -> None:
    """Write one answer for each test row, in order, and print what they are worth where the rows tell it.

    Raises:
        BadRequest: a file cannot be read or written, or there is too little to learn from.
    """
    configure_logs(logging.WARNING)
    if call.out.is_dir() or any(call.out.absolute() == one.absolute() for one in (call.train, call.test)):
        raise BadRequest(f"--out {str(call.out)!r} is a folder or one of the inputs; name another file.")
    check_folder(call.out)
    if call.report is not None:
        check_folder(call.report)
        open_report(call.report, this_machine())
    written = tuple(read_train(call.train))
    train, test = [example for example, _ in written], tuple(read_test(call.test))
    settings = load_settings(call.config).settings.retrieval
    encoder = SentenceEncoder(settings.encoder, dtype=settings.dtype)
    stamp = Stamp(_command(call))
    answered = answer(train, [text for text, _ in test], encoder, outside=call.oos_label, told=_say)
    _write(call.out, answered, {example.intent: label for example, label in written})
    report = IntentReport(
        set=_name(call),
        train=len(train),
        intents=len({one.intent for one in train} - {call.oos_label}),
        train_seconds=answered.train_seconds,
        p50_ms=answered.p50_ms,
        p95_ms=answered.p95_ms,
        scores=score(answered, [label for _, label in test], call.oos_label),
    )
    if call.report is not None:
        _keep(call.report, report, stamp)
    if call.as_json:
        print_result(report.model_dump_json())
    else:
        print_result("\n".join([*intents_lines(report.model_dump(mode="json")), "", f"The answers are in {call.out}."]))


def folds_of(train: Path, folds: int, each: int, name: str | None, settings: RetrievalSettings) -> Other:
    """All examples of `train`, each told by what was learned from others: `folds` parts, or draws of `each`.

    Raises:
        BadRequest: the file cannot be read.
    """
    examples = [example for example, _ in read_train(train)]
    encoder = SentenceEncoder(settings.encoder, dtype=settings.dtype)
    section = name or train.absolute().parent.name

    def measure() -> IntentFolds:
        return measure_folds(section, examples, encoder, folds=folds, each=each, told=_say)

    drawn = f" --each {each}" if each else ""
    named = f" --name {name}" if name else ""
    command = f"intent-folds --train {_short(train)} --folds {folds}{drawn}{named}"
    return Other(f"{FOLDS},{section}", command, measure, folds_lines)


def _write(file: Path, answered: Answered, labels: Mapping[str, str | int]) -> None:
    """The answers; `labels` are the intents as the training rows write them."""
    rows = zip([labels.get(one, one) for one in answered.intents], answered.scores, strict=True)
    lines = [json.dumps({"intent": intent, "score": round(score, 6)}, ensure_ascii=False) for intent, score in rows]
    write_whole(file, "".join(f"{line}\n" for line in lines))


def _keep(file: Path, report: IntentReport, stamp: Stamp) -> None:
    kept = open_report(file, this_machine())  # read here: another run may have written into it meanwhile
    section = stamp.section(report.model_dump(mode="json"))
    write_report(file, kept.model_copy(update={"others": {**kept.others, f"{SECTION},{report.set}": section}}))


def _name(call: IntentsCall) -> str:
    return call.name or call.train.absolute().parent.name


def _command(call: IntentsCall) -> str:
    parts: Sequence[str] = (
        f"chatalogue bench intents --train {_short(call.train)} --test {_short(call.test)}",
        f"--oos-label {call.oos_label}" if call.oos_label else "",
        f"--out {call.out.name}",
        f"--report {call.report.name}" if call.report else "",
        f"--name {call.name}" if call.name else "",
    )
    return " ".join(part for part in parts if part)


def _short(file: Path) -> str:
    return os.path.join(file.absolute().parent.name, file.name)


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
