"""A recorded conversation as Markdown, every reply letter by letter. Knows nothing of how it was held."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from agent.answer import PreferenceView
from agent.bench.transcripts import RecordedTurn, Transcript

_MARKUP = re.compile(r"([\\`*_\[\]<>#~|])")
_HEADER = ("turn", "shows", "action", "cards", "first word", "first sentence after the list", "whole turn")
_LISTED = re.compile(r"^\d+\. ")


def talk_lines(talk: Transcript, rules: Transcript | None = None) -> list[str]:
    """The conversation as it came, with what was understood, what was refused, and the times of each turn.

    With `rules`, the same script without the language model, each turn has that reply, too, where it is another one.
    """
    adapter = f", adapter {talk.adapter}" if talk.adapter else ""
    lines = [
        f"A scripted customer, {len(talk.turns)} turns in one conversation on {talk.title} ({talk.n_items:,} items). "
        f"Replies are as they came out of {talk.model}{adapter}, rules and templates; times are milliseconds from "
        "sending the message.",
    ]
    if rules is not None:
        lines += ["", *_compared(talk, rules)]
    lines += ["", *table(_HEADER, (_row(number, turn) for number, turn in enumerate(talk.turns, 1)))]
    wishes: tuple[PreferenceView, ...] = ()
    for number, turn in enumerate(talk.turns, 1):
        lines += ["", f"**{number}. {escaped(turn.said)}** *({turn.shows})*", "", *_turn(turn, wishes)]
        if rules is not None and number <= len(rules.turns):
            lines += _by_rules(turn, rules.turns[number - 1])
        wishes = wishes if turn.error else turn.wishes
    return lines


def _compared(talk: Transcript, rules: Transcript) -> list[str]:
    """In how many turns the model made a difference, and of what kind."""
    pairs = list(zip(talk.turns, rules.turns, strict=False))
    cards = sum(with_model.items != without.items for with_model, without in pairs)
    wishes = sum(_wished(with_model) != _wished(without) for with_model, without in pairs)
    replies = sum(with_model.reply != without.reply for with_model, without in pairs)
    return [
        f"Against the same conversation by rules and templates alone: {replies} of {len(pairs)} replies differ, "
        f"{cards} lists of items, {wishes} sets of wishes."
    ]


def _by_rules(turn: RecordedTurn, rules: RecordedTurn) -> list[str]:
    if turn.reply == rules.reply and turn.items == rules.items and not rules.error:
        return []
    said = [f"No answer: {escaped(rules.error)}"] if rules.error else list(quoted(rules.reply))
    return ["", "By rules and templates alone:", "", *said]


def _wished(turn: RecordedTurn) -> set[str]:
    return {_wish(wish) for wish in turn.wishes}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the cells are Markdown."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _row(number: int, turn: RecordedTurn) -> tuple[str, ...]:
    if turn.times is None:
        return str(number), turn.shows, "no answer", "-", "-", "-", "-"
    times = (turn.times.cards, turn.times.first_word, turn.times.sentence, turn.times.total)
    numbers = ("-" if one is None else f"{one:.0f}" for one in times)
    return str(number), turn.shows, f"{turn.action}{', degraded' if turn.degraded else ''}", *numbers


def escaped(text: str) -> str:
    """`text` such that Markdown shows it letter by letter."""
    return _MARKUP.sub(r"\\\1", text)


def _turn(turn: RecordedTurn, before: tuple[PreferenceView, ...]) -> Iterator[str]:
    """`before` are the wishes that were in force: only what this turn changed is printed."""
    if turn.error:
        yield f"No answer: {escaped(turn.error)}"
        return
    yield from quoted(turn.reply)
    yield ""
    yield f"- {' · '.join(_facts(turn))}"
    if new := [wish for wish in turn.wishes if wish not in before]:
        yield f"- new wishes: {'; '.join(_wish(wish) for wish in new)}"
    if gone := [wish for wish in before if wish not in turn.wishes]:
        yield f"- no longer wished: {'; '.join(_wish(wish) for wish in gone)}"
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
    yield f"read as {turn.intent}"
    yield f"{len(turn.items)} item{'' if len(turn.items) == 1 else 's'}"
    yield f"{len(turn.wishes)} wish{'' if len(turn.wishes) == 1 else 'es'} in force"
    yield "the model was asked" if turn.model_asked else "the model was not asked"


def _wish(wish: PreferenceView) -> str:
    value = ", ".join(map(_plain, wish.value if isinstance(wish.value, list) else [wish.value]))
    sign = "not " if wish.polarity == "negative" else ""
    return escaped(f"{wish.kind}: {sign}{wish.attribute or 'text'} {wish.op} {value} (“{wish.evidence}”)")


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
