"""The section of `chatalogue bench learning`: what each way to learn gains and forgets. Knows no measuring."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from agent.rank.intervals import Interval
from finetune.bench.figures import NOTHING, LearningReport, MethodFigures, Pace, StreamFigures
from ui.bench.render_talk import escaped, table

SECTION = "learning"
TITLE = "Learning block by block, and what is forgotten"
HEADER = (
    "method", "seeds", "average accuracy at the end", "next block, against no learning", "own block, against none",
    "earlier blocks since learned", "starter's readings", "loss of general chat", "KL a block", "KL at the end", "s",
)  # fmt: skip
TASKS = {
    "dialogues": "People of OpenDialKG are recommended something; blocks go from old items to new ones and overlap. "
    "Right is when of four titles the one that was recommended is the likeliest (by chance 25 %).",
    "domains": "Generated customers; right is a reading that is right to the letter, as the shops' agents correct it: "
    "in both no value that is wished for is a must, and what is not wanted is a must in one and never in the other.",
}
"""What is asked, by the name of the stream."""


def learning_lines(result: JsonValue) -> list[str]:
    """A table of the methods for each stream, then what learning one domain did to the other, then speeds."""
    report = LearningReport.model_validate(result)
    told = ", ".join(f"{name} {value:g}" for name, value in report.recipe.items())
    lines = [
        f"{escaped(report.model)} with the adapter that comes with the product learns one block after another; what "
        "came of a block is the champion of the next. No gate, no early stop: the methods differ in nothing else. "
        f"Differences are in points (0.01 of accuracy), brackets are 95 % intervals over dialogues; {told}.",
    ]
    for stream in report.streams:
        lines += ["", *_stream(stream)]
    if report.missing:
        lines += ["", f"Not measured yet ({len(report.missing)}): {'; '.join(map(escaped, report.missing))}."]
    if report.paces:
        lines += ["", *_paces(report.paces, report.pace_rows)]
    return lines


def _stream(stream: StreamFigures) -> Iterator[str]:
    count = len(stream.domains)
    yield (
        f"**{escaped(stream.name)}**: {count} blocks ({', '.join(stream.domains)}) of {stream.learn} examples, "
        f"{stream.test} questions about each. {TASKS.get(stream.name, '')} Of {stream.anchors} other readings the "
        f"starter has {100 * stream.before:.0f} % right."
    )
    yield ""
    yield from table(HEADER, [_row(one) for one in stream.methods])
    crossed = [(one.method, each) for one in stream.methods for each in one.crossings]
    if crossed:
        yield ""
        yield "What learning a block of one domain did to the other, points a block:"
        yield ""
        yield from table(
            ("method", "learned", "asked", "change"),
            [(method, one.learned, one.asked, _points(one.change)) for method, one in crossed],
        )
    yield ""
    yield "Accuracy on each block after each block, mean of the seeds, %:"
    yield ""
    header = ("method", "after", *(f"block {number}" for number in range(1, count + 1)))
    yield from table(header, [cells for one in stream.methods for cells in _matrix(one)])


def _row(one: MethodFigures) -> tuple[str, ...]:
    average = f"{100 * one.average.value:.1f} [{100 * one.average.low:.1f} – {100 * one.average.high:.1f}] %"
    if one.method == NOTHING:
        return "no learning", str(one.seeds), average, *("-",) * (len(HEADER) - 3)
    return (
        one.method, str(one.seeds), average, _points(one.next_gain), _points(one.own_gain), _points(one.backward),
        _points(one.anchors), _nats(one.chat), f"{one.kl:.3f}", f"{one.drift:.3f}", f"{one.seconds:.0f}",
    )  # fmt: skip


def _matrix(one: MethodFigures) -> Iterator[tuple[str, ...]]:
    first = 0 if one.method == NOTHING else 1
    for after, row in enumerate(one.matrix[first:], first):
        cells = ("-" if value is None else f"{100 * value:.0f}" for value in row)
        yield ("no learning" if first == 0 else one.method, str(after), *cells)


def _paces(paces: list[Pace], rows: int) -> Iterator[str]:
    yield (
        f"Training throughput on the same {rows} rows (turns to understand), by turns in one run, median of the "
        "rounds; tokens are those of the rows before anything is packed or padded:"
    )
    yield ""
    first = paces[0]
    yield from table(
        ("trainer", "rows/s", "tokens/s", "rows/s of processor time", "ours is faster by"),
        [
            (
                one.name, f"{one.rows_per_s:.2f}", f"{one.tokens_per_s:.0f}", f"{one.rows_per_cpu_s:.2f}",
                "-" if one is first else f"{first.rows_per_s / one.rows_per_s:.1f} times",
            )
            for one in paces
        ],
    )  # fmt: skip


def _points(one: Interval | None) -> str:
    if one is None:
        return "-"
    return f"{100 * one.value:+.1f} [{100 * one.low:+.1f} – {100 * one.high:+.1f}]"


def _nats(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:+.3f} [{one.low:+.3f} – {one.high:+.3f}]"
