"""Holds the conversations of simulated customers with a bot, and counts what went wrong in each.

Knows nothing of how the bot is reached and how figures are made of the counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from agent.bench.dialogue.bots import Bot
from agent.bench.dialogue.claims import ClaimCheck, Heard, sentences_of
from agent.bench.dialogue.customer import Customer, words_of
from agent.bench.dialogue.needs import Need
from agent.bench.dialogue.phrasing import Phraser
from agent.bench.dialogue.reading import Reader, Reply, Seen
from agent.services import PastMessage
from retrieval.errors import BadRequest, ChatalogueError

Fault: TypeAlias = Literal[
    "hard wish broken",
    "title not in the catalogue",
    "item named that was not shown",
    "claim unsupported",
    "turn failed",
    "question repeated",
    "sentence repeated word for word",
    "whole reply repeated",
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation: `success` is the turn in which a target was offered, None where the customer left without.

    `faults` say what was wrong, once for each offered item, line, title, claim, question, sentence, reply; a turn that
    failed was the last. `acts` is what the customer did, message by message; `phrasable` of them could be put in other
    words, `phrased` were, by a language model. `linked`: the bot sent no `chatalogue` object in some turn, so that its
    text was read.
    """

    need: int
    run: int
    turns: int
    success: int | None
    faults: Mapping[Fault, tuple[str, ...]] = field(default_factory=dict)
    acts: tuple[str, ...] = ()
    phrasable: int = 0
    phrased: int = 0
    turn_ms: tuple[float, ...] = ()
    linked: bool = False
    lines: tuple[PastMessage, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class _Talk:
    """A conversation under way."""

    history: list[PastMessage] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    turn_ms: list[float] = field(default_factory=list)
    phrasable: int = 0
    phrased: int = 0
    linked: bool = False
    success: int | None = None
    session_id: str | None = None


async def hold(bot: Bot, customer: Customer, need: Need, run: int, reader: Reader, phraser: Phraser) -> Dialogue:
    """One conversation, until a target is offered or the customer's patience ends.

    Raises:
        BadRequest: the bot cannot be reached.
    """
    tally, talk, act = _Tally(reader), _Talk(), customer.opens()
    while talk.success is None and len(talk.acts) < need.patience:
        text = await phraser.phrase(act)
        talk.acts.append(act.kind)
        talk.phrasable += bool(act.keep)
        talk.phrased += text != act.text
        reply = await _answered(bot, text, talk, tally)
        if reply is None:
            break
        turn, seen = len(talk.acts), reader.read(reply)
        tally.add(text, reply, seen, customer)
        talk.success = turn if customer.accepts(seen) else None
        if talk.success is None and turn < need.patience:
            act = customer.goes_on(seen, turn)
    return Dialogue(
        need.number,
        run,
        len(talk.acts),
        talk.success,
        tally.found(),
        tuple(talk.acts),
        talk.phrasable,
        talk.phrased,
        tuple(talk.turn_ms),
        talk.linked,
        tuple(talk.history),
    )


async def _answered(bot: Bot, text: str, talk: _Talk, tally: _Tally) -> Reply | None:
    """The bot's reply, written down with its time; None where it failed."""
    started = time.perf_counter()
    try:
        reply = await bot.reply(text, talk.history, talk.session_id)
    except BadRequest:
        raise
    except ChatalogueError as error:
        tally.note("turn failed", [str(error)])
        talk.history.append(PastMessage("user", text))
        return None
    talk.turn_ms.append(round((time.perf_counter() - started) * 1e3, 1))
    talk.history += [PastMessage("user", text), PastMessage("assistant", reply.text)]
    talk.session_id = reply.answer.session_id if reply.answer else None
    talk.linked |= reply.answer is None
    return reply


class _Tally:
    """What was wrong so far in one conversation."""

    def __init__(self, reader: Reader) -> None:
        self._table = reader.table
        self._check = ClaimCheck(reader)
        self._asked: set[tuple[str, str]] = set()
        self._sentences: set[str] = set()
        self._replies: set[str] = set()
        self._shown: set[str] = set()
        self._heard = ""
        self._found: dict[Fault, list[str]] = {}

    def found(self) -> dict[Fault, tuple[str, ...]]:
        """The faults that there were."""
        return {fault: tuple(many) for fault, many in self._found.items()}

    def note(self, fault: Fault, many: Iterable[str]) -> None:
        """Count each of them."""
        if said := list(many):
            self._found.setdefault(fault, []).extend(said)

    def add(self, said: str, reply: Reply, seen: Seen, customer: Customer) -> None:
        """Count one turn; before the customer says anything more."""
        self._heard += f" {said}"
        self._shown.update(seen.offered, seen.near)
        broken = ((self._table.get(item_id).title, wish) for wish, item_id in customer.broken(seen))
        self.note("hard wish broken", (f"{title} is not {w.attribute} {w.op} {w.value}" for title, w in broken))
        self.note("title not in the catalogue", seen.invented)
        heard = Heard(self._heard, words_of(customer.said), self._shown)
        self.note("claim unsupported", self._check.unsupported(reply, seen.offered, heard))
        if reply.answer is not None:  # else whatever is named is taken for offered
            self.note("item named that was not shown", self._check.not_shown(reply, heard))
        self._note_repeated(reply, seen)

    def _note_repeated(self, reply: Reply, seen: Seen) -> None:
        if seen.question is not None:
            key = (seen.question.attribute, seen.question.text)
            self.note("question repeated", [seen.question.text] if key in self._asked else [])
            self._asked.add(key)
        sentences = set(sentences_of(reply.text))
        self.note("sentence repeated word for word", sorted(sentences & self._sentences))
        self._sentences |= sentences
        self.note("whole reply repeated", [reply.text] if reply.text in self._replies else [])
        self._replies |= {reply.text} - {""}
