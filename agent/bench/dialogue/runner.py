"""Holds the conversations of simulated customers with a bot, and counts what went wrong in each.

Knows nothing of how the bot is reached and how figures are made of the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.bench.dialogue.bots import Bot
from agent.bench.dialogue.customer import Customer, words_of
from agent.bench.dialogue.needs import Need
from agent.bench.dialogue.reading import Reader, Reply, Seen
from agent.services import PastMessage
from retrieval.errors import BadRequest, ChatalogueError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation: `success` is the turn in which a target was offered, None where the customer left without.

    `broken`, `invented`, `repeated`, `unsupported` say what was wrong, once for each offered item, line, question or
    sentence; `failed` is the error that ended it.
    """

    need: int
    run: int
    turns: int
    success: int | None
    broken: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    failed: str = ""
    lines: tuple[PastMessage, ...] = field(default=(), repr=False)


async def hold_all(bot: Bot, needs: Sequence[Need], runs: int, seed: int, reader: Reader, say: Say) -> list[Dialogue]:
    """Every need `runs` times, with other words each time; `say` hears how far it is and every fault.

    Raises:
        BadRequest: the bot cannot be reached.
    """
    dialogues: list[Dialogue] = []
    for need in needs:
        for run in range(runs):
            random = np.random.default_rng([seed, need.number, run])
            done = await hold(bot, Customer(need, reader.table, random), need, run, reader)
            dialogues.append(done)
            for line in _faults(done):
                say(f"need {need.number}, run {run}: {line}")
        if (need.number + 1) % 10 == 0:
            say(f"{need.number + 1} of {len(needs)} needs, {sum(d.success is not None for d in dialogues)} successes")
    return dialogues


async def hold(bot: Bot, customer: Customer, need: Need, run: int, reader: Reader) -> Dialogue:
    """One conversation, until a target is offered or the customer's patience ends.

    Raises:
        BadRequest: the bot cannot be reached.
    """
    tally = _Tally(reader)
    history: list[PastMessage] = []
    session_id: str | None = None
    success: int | None = None
    text, turn, failed = customer.opens(), 0, ""
    while success is None and turn < need.patience:
        turn += 1
        try:
            reply = await bot.reply(text, history, session_id)
        except BadRequest:
            raise
        except ChatalogueError as error:
            failed = str(error)
            break
        history += [PastMessage("user", text), PastMessage("assistant", reply.text)]
        session_id = reply.answer.session_id if reply.answer else None
        seen = reader.read(reply)
        tally.add(reply, seen, customer)
        success = turn if customer.accepts(seen) else None
        if success is None:
            text = customer.goes_on(seen, turn)
    faults = (tuple(tally.broken), tuple(tally.invented), tuple(tally.repeated), tuple(tally.unsupported))
    return Dialogue(need.number, run, turn, success, *faults, failed, tuple(history))


class _Tally:
    """What was wrong so far in one conversation."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: set[tuple[str, str]] = set()
        self.broken: list[str] = []
        self.invented: list[str] = []
        self.repeated: list[str] = []
        self.unsupported: list[str] = []

    def add(self, reply: Reply, seen: Seen, customer: Customer) -> None:
        """Count one turn; before the customer says anything more."""
        table = self._reader.table
        for wish, item_id in customer.broken(seen):
            self.broken.append(f"{table.get(item_id).title} is not {wish.attribute} {wish.op} {wish.value}")
        self.invented += seen.invented
        self.unsupported += self._reader.unsupported(reply, seen.offered, words_of(customer.said))
        if seen.question is not None:
            key = (seen.question.attribute, seen.question.text)
            if key in self._asked:
                self.repeated.append(seen.question.text)
            self._asked.add(key)


def _faults(done: Dialogue) -> list[str]:
    named = (
        ("broken wish", done.broken),
        ("invented", done.invented),
        ("asked again", done.repeated),
        ("unsupported", done.unsupported),
    )
    faults = [f"{name}: {one}" for name, many in named for one in many]
    return [*faults, f"failed: {done.failed}"] if done.failed else faults
