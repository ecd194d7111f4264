"""`chatalogue bench retrieval | compare | ablation`: files in, lists and figures out."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from agent.bench.retrieval.ablation import PARTS, Ablater, KeptLists, ablate, known_parts, known_rows
from agent.bench.retrieval.dialogues import read_ranked, write_ranked
from agent.bench.retrieval.exposure import known_provider
from agent.bench.retrieval.figures import RetrievalFigures
from agent.bench.retrieval.run import BATCH, Files, Inputs, answer, compare_files, measure, read_inputs
from agent.settings import load_settings
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.errors import BadRequest
from retrieval.remembering import Remembering
from ui.bench.machine import this_machine
from ui.bench.render_retrieval import ablation_lines, comparison_lines, retrieval_lines
from ui.bench.report import Stamp, check_folder, open_report, write_report
from ui.commands.bench_rank import ChosenModel, ordered_by
from ui.commands.output import print_result
from ui.logs import configure_logs
from ui.progress import index_progress

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a run that was asked to end."""


@dataclass(frozen=True, slots=True)
class RetrievalCall:
    """The options of `bench retrieval`, as typed; `name` of the section in `report`; `llm_adapter` needs `llm`."""

    files: Files
    out: Path
    llm: bool = False
    llm_adapter: Path | None = None
    without: frozenset[str] = frozenset()
    provider: str | None = None
    report: Path | None = None
    name: str | None = None
    as_json: bool = False
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class AblationCall:
    """The options of `bench ablation`, as typed; `parts` empty: all of them; `also` are texts "name=file".

    `lists` is the folder where each system's lists are kept.
    """

    files: Files
    out: Path
    parts: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    lists: Path | None = None
    name: str | None = None
    config: Path | None = None


def run_retrieval(call: RetrievalCall) -> None:
    """Rank every test row and write the lists; print what can be said of them."""
    if call.llm_adapter is not None and not call.llm:
        raise BadRequest("--llm-adapter needs --llm on; give both or none.")
    known_parts(sorted(call.without))
    check_out(call.out, call.files)
    if call.report is not None:
        check_folder(call.report)
        open_report(call.report, this_machine())
    model = ChosenModel.of(load_settings(call.config).settings, call.llm_adapter) if call.llm else None
    encoder = _encoder(call.config)
    stamp = Stamp(retrieval_command(call.files, call.without, call.provider, model))
    figures = measured_set(call.files, call.out, encoder, without=call.without, provider=call.provider, model=model)
    if call.report is not None:
        report = open_report(call.report, this_machine())  # again: another run may have written into it meanwhile
        section = {_name(call.name, call.files): stamp.section(figures)}
        write_report(call.report, report.model_copy(update={"retrieval": {**report.retrieval, **section}}))
    if call.as_json:
        print_result(figures.model_dump_json())
    else:
        print_result("\n".join(retrieval_lines(figures)))
        print_result(f"\nThe {figures.n_rows} lists are in {call.out}.")


def measured_set(
    files: Files,
    out: Path,
    encoder: Encoder,
    *,
    without: frozenset[str] = frozenset(),
    provider: str | None = None,
    model: ChosenModel | None = None,
) -> RetrievalFigures:
    """Train, rank, write the lists to `out`, which is complete or absent, and measure them.

    With `model` the language model orders the first of each list, too.

    Raises:
        BadRequest: a file cannot be read or written.
    """
    remembering = Remembering(encoder, BATCH)
    with _whole_or_not_at_all():
        inputs = _read(files)
        known_provider(provider, inputs.bundle.items)
        with index_progress("bench retrieval") as progress:
            answers = answer(inputs, remembering, without=without, progress=progress)
            turned = ordered_by(model, inputs, answers.lists, progress) if model is not None else None
            if turned is not None:
                answers = replace(answers, lists=turned.lists)
            write_ranked(out, answers.lists)
            figures = measure(inputs, answers, without=without, provider=provider, progress=progress)
            return figures.model_copy(update={"llm": turned.order}) if turned is not None else figures


def retrieval_command(
    files: Files,
    without: frozenset[str] = frozenset(),
    provider: str | None = None,
    model: ChosenModel | None = None,
) -> str:
    """How a section of the benchmark file is measured again."""
    parts = [f"--without {part}" for part in sorted(without)] + ([f"--provider {provider}"] if provider else [])
    if model is not None:
        parts += ["--llm on", *([f"--llm-adapter {model.tuned.folder.name}"] if model.tuned else [])]
    return _command("retrieval", files, (*parts, "--out lists.jsonl --report bench.json"))


def sets_in(folder: Path) -> dict[str, Files]:
    """The sets of a folder of folders, by name; what is watched here is valid, so it is not learned or chosen from.

    Raises:
        BadRequest: no folder in it has items and rows.
    """

    def there(file: Path) -> Path | None:
        return file if file.is_file() else None

    found = {}
    for one in sorted(folder.iterdir()) if folder.is_dir() else ():
        items, valid = there(one / "items.jsonl.gz"), there(one / "valid.jsonl.gz")
        if items and valid:
            train, likes = there(one / "train.jsonl.gz"), there(one / "likes.jsonl.gz")
            found[one.name] = Files(items, valid, train, likes=likes)
    if not found:
        raise BadRequest(f"No folder in {str(folder)!r} has items.jsonl.gz and valid.jsonl.gz; name another.")
    return found


def run_compare(test: Path, first: Path, second: Path, as_json: bool) -> None:
    """Print by how much the second prediction file is better than the first."""
    compared = compare_files(test, first, second)
    print_result(compared.model_dump_json() if as_json else "\n".join(comparison_lines(compared)))


def run_ablation(call: AblationCall) -> None:
    """Train in full and without each part, and put each difference into the benchmark file as soon as it is known."""
    check_folder(call.out)
    known_rows(call.parts)
    others = {name: read_ranked(Path(file)) for name, _, file in (one.partition("=") for one in call.also)}
    name = _name(call.name, call.files)
    before = open_report(call.out, this_machine()).ablation.get(name)
    kept = None if call.lists is None else KeptLists.open(call.lists, call.files)
    console = Console(stderr=True, highlight=False)
    stamp = Stamp(_command("ablation", call.files, (f"--out {call.out.name}",)))
    with _whole_or_not_at_all():
        inputs = _read(call.files)
        with index_progress("bench ablation") as progress:
            ablater = Ablater(inputs, _encoder(call.config), kept, progress)
            for table in ablate(inputs, ablater.lists, call.parts or PARTS, others):
                for row in table.rows[-1:]:
                    console.print(f"{row.part} {row.change}: R@10 {row.difference.recall[10].value:+.3f}", markup=False)
                found = stamp.section(table.onto(before.result if before else None))
                report = open_report(call.out, this_machine())  # again, as above
                write_report(call.out, report.model_copy(update={"ablation": {**report.ablation, name: found}}))
    print_result("\n".join(ablation_lines(found.result)))


def check_out(out: Path, files: Files) -> None:
    """Refuse a file that could not be written, or that is read, before anything takes minutes.

    Raises:
        BadRequest: says which.
    """
    try:
        if out.exists() and not out.is_file():
            raise BadRequest(f"{str(out)!r} is no file; name one to write the lists into.")
        given = (getattr(files, field.name) for field in fields(files))
        if any(one is not None and out.exists() and one.exists() and out.samefile(one) for one in given):
            raise BadRequest(f"{str(out)!r} is read by this run and would be overwritten; name another file.")
        check_folder(out)
        part = out.with_name(f".{out.name}.{os.getpid()}")
        part.touch()
        part.unlink()
    except OSError as error:
        raise BadRequest(f"{str(out)!r} cannot be written ({error.strerror}); name another file.") from None


def _read(files: Files) -> Inputs:
    """The files, with what is wrong with them said on stderr."""
    with index_progress("bench") as progress:
        inputs = read_inputs(files, progress)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in inputs.notes:
        console.print(f"note: {note}", markup=False)
    for finding in inputs.leaks:
        console.print(f"leak check: {finding.sentence}", markup=False)
    if not inputs.leaks:
        console.print("leak check: nothing found.", markup=False)
    return inputs


def _encoder(config: Path | None) -> Encoder:
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    return SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)


def _name(given: str | None, files: Files) -> str:
    return given or files.test.resolve().parent.name


def _command(name: str, files: Files, options: Iterable[str]) -> str:
    """How a section is measured again: files by their folder's and their own name."""
    named = (
        f"--{field.name} {path.parent.name}/{path.name}"
        for field in fields(files)
        if (path := getattr(files, field.name)) is not None
    )
    return " ".join(["chatalogue bench", name, *named, *options])


@contextmanager
def _whole_or_not_at_all() -> Iterator[None]:
    """SIGTERM ends the run like an error, so that temporary files go; a full disk is one sentence.

    Raises:
        BadRequest: something could not be written or read on the way.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except OSError as error:
        where = f" {error.filename!r}" if error.filename else ""
        raise BadRequest(f"The benchmark cannot go on: {error.strerror}{where}; make room and run it again.") from None
    finally:
        signal.signal(signal.SIGTERM, before)
