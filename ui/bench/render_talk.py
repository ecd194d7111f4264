"""A recorded conversation as Markdown, every reply letter by letter. Knows nothing of how it was held."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.answer import PreferenceView
from agent.bench.transcripts import RecordedTurn, Transcript

_MARKUP = re.compile(r"([\\`*_\[\]<>#~|])")
_LISTED = re.compile(r"^\d+\. ")


def talk_lines(talk: Transcript) -> list[str]:
    """The conversation as it came, with what was understood, what was refused, and the times of each turn."""
    adapter = f", adapter {talk.adapter}" if talk.adapter else ""
    lines = [
        f"A scripted customer of {talk.title} ({talk.n_items:,} items); {len(talk.turns)} turns, replies as they came "
        f"out of {talk.model}{adapter}, rules and templates. Times are milliseconds from sending the message.",
    ]
    for number, turn in enumerate(talk.turns, 1):
        lines += ["", f"**{number}. {escaped(turn.said)}** *({turn.shows})*", "", *_turn(turn)]
    return lines


def escaped(text: str) -> str:
    """`text` such that Markdown shows it letter by letter."""
    return _MARKUP.sub(r"\\\1", text)


def _turn(turn: RecordedTurn) -> Iterator[str]:
    if turn.error:
        yield f"No answer: {escaped(turn.error)}"
        return
    yield from quoted(turn.reply)
    yield ""
    yield f"- {' · '.join(_facts(turn))}"
    if turn.wishes:
        yield f"- understood: {'; '.join(_wish(wish) for wish in turn.wishes)}"
    if turn.alternatives:
        yield f"- near misses: {', '.join(escaped(item.title) for item in turn.alternatives)}"
    for refused in turn.refused:
        yield f"- refused: “{escaped(refused.sentence)}” ({escaped(refused.objection)})"


def quoted(reply: str) -> Iterator[str]:
    """A reply as a quotation that keeps its line breaks."""
    lines = reply.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        # Two lines of a paragraph would flow into one; a backslash at the end keeps them apart. Lists need none.
        apart = bool(line.strip() and following.strip() and not _LISTED.match(following))
        yield f"> {escaped(line)}{chr(92) if apart else ''}".rstrip()


def _facts(turn: RecordedTurn) -> Iterator[str]:
    count = len(turn.items)
    yield f"{turn.intent} → {turn.action}"
    yield f"{count} item{'' if count == 1 else 's'}"
    if turn.times is not None:
        yield f"cards {turn.times.cards:.0f}"
        if turn.times.first_word is not None:
            yield f"first word {turn.times.first_word:.0f}"
        if turn.times.sentence is not None:
            yield f"first sentence after the list {turn.times.sentence:.0f}"
        yield f"whole turn {turn.times.total:.0f}"
    yield "the model was asked" if turn.model_asked else "the model was not asked"
    if turn.degraded:
        yield "degraded"


def _wish(wish: PreferenceView) -> str:
    value = ", ".join(map(_plain, wish.value if isinstance(wish.value, list) else [wish.value]))
    sign = "not " if wish.polarity == "negative" else ""
    return escaped(
        f"{wish.kind}: {sign}{wish.attribute or 'text'} {wish.op} {value} (“{wish.evidence}”, turn {wish.turn})"
    )


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
