"""Talks with the real `Conversations`: a message in, everything that came out; and an engine that follows a script."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from small_shop import HashingEncoder

from agent.answer import Answer, Cards, Finished, PreferenceView, Text, Update, Waiting
from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.llm.off import NoEngine
from agent.llm.protocol import CURRENT, Chunk, Engine, EngineState, EngineStatus, Filled, Limits, Prompt
from agent.log.records import LoggedTurn
from agent.log.store import EventLog
from agent.preferences import Fact
from agent.services import PastMessage, TurnRequest
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from retrieval.errors import EngineError
from retrieval.items import Item

PLAIN = {"chat": {"exploration": 0.0, "diversity": 0.0}}
"""Settings without exploration and variety, so that lists are the ranker's."""


@dataclass(frozen=True)
class Turn:
    """One finished turn, as a client sees it."""

    updates: tuple[Update, ...]

    @property
    def finished(self) -> Finished:
        last = self.updates[-1]
        assert isinstance(last, Finished)
        return last

    @property
    def answer(self) -> Answer:
        return self.finished.answer

    @property
    def reply(self) -> str:
        return self.finished.reply

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.answer.items]

    @property
    def titles(self) -> list[str]:
        return [item.title for item in self.answer.items]

    @property
    def wishes(self) -> set[tuple[str | None, str, object, str]]:
        """The wishes in force: attribute, operator, value, polarity."""
        return {(p.attribute, p.op, _plain(p.value), p.polarity) for p in self.answer.preferences}


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def keeper_of(shop: Shop, log: EventLog, folder: Path, tenant: str = "default") -> ShopKeeper:
    """The real keeper, with a shop that is open already."""
    keeper = ShopKeeper(DataDirectory(folder), log, HashingEncoder())
    keeper._shops[tenant] = shop
    return keeper


@dataclass
class Talk:
    """One customer's conversation with a shop."""

    chat: Conversations
    log: EventLog
    user: str | None = None
    session_id: str | None = None
    turns: list[Turn] = field(default_factory=list)

    async def say(self, text: str, *, history: Sequence[PastMessage] = (), key_id: str = "") -> Turn:
        """Send a message and read the whole answer; the session goes on unless a history is given."""
        session_id = None if history else self.session_id
        turn = await heard(
            self.chat,
            TurnRequest(text, key_id=key_id, user=self.user, session_id=session_id, history=tuple(history)),
        )
        self.session_id = turn.answer.session_id
        self.turns.append(turn)
        self._check(turn)
        return turn

    def _check(self, turn: Turn) -> None:
        """What holds for every turn, whatever was said."""
        table = self.chat._shops.current("default").table
        first, *between, _ = itertools.dropwhile(lambda update: isinstance(update, Waiting), turn.updates)
        assert isinstance(first, Cards)
        assert not any(isinstance(update, Cards | Finished) for update in between)
        assert texts_of(between) == turn.reply
        assert [item.id for item in first.answer.items] == turn.ids
        hard = [wish for wish in turn.answer.preferences if wish.kind == "hard"]
        for item_id in turn.ids:
            assert all(meets(table.get(item_id), wish) for wish in hard), item_id
        for miss in turn.answer.alternatives:
            broken = {wish.id for wish in hard if not meets(table.get(miss.item.id), wish)}
            assert set(miss.breaks) == broken, miss.item.id

    async def drop(self, *facts: Fact) -> None:
        assert self.session_id is not None
        await self.chat.edit("default", self.session_id, facts)

    def logged(self, turn: Turn) -> LoggedTurn:
        return self.log.trace("default", turn.answer.turn_id)

    def messages(self) -> tuple[PastMessage, ...]:
        """The conversation as a stateless client would send it back."""
        assert self.session_id is not None
        turns = self.log.session_view("default", self.session_id).turns
        return tuple(m for t in turns for m in (PastMessage("user", t.message), PastMessage("assistant", t.reply)))


async def heard(chat: Conversations, request: TurnRequest) -> Turn:
    async with aclosing(chat.turn(request)) as updates:
        return Turn(tuple([update async for update in updates]))


def talk_over(
    shop: Shop, log: EventLog, folder: Path, engine: Engine | None = None, settings: Settings | None = None
) -> Talk:
    """A talk over `shop` and `log`; without an engine the language model is switched off."""
    settings = settings or Settings(**PLAIN)
    return Talk(Conversations(settings, log, keeper_of(shop, log, folder), engine or NoEngine()), log)


class ScriptedEngine:
    """Implements `Engine`: streams, chooses and fills what the script says; an error in it is raised.

    With `gate` set, `stream` waits for it before its first word.
    """

    def __init__(
        self,
        *script: str | Chunk | EngineError,
        state: EngineState = "ready",
        scores: Sequence[tuple[float, float]] = (),
        filled: Filled | EngineError | None = None,
        gate: asyncio.Event | None = None,
        last: Chunk | None = None,
    ) -> None:
        self.script = script
        self.state = state
        self.scores = list(scores)
        self.filled = filled
        self.gate = gate
        self.last = last or Chunk(finish="stop", prompt_tokens=100, completion_tokens=len(script))
        self.prompts: list[Prompt] = []
        self.chosen: list[Prompt] = []
        self.grammars: list[str] = []
        self.adapters: list[str | None] = []
        """What the calls named."""
        self.closed = 0

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        self.prompts.append(prompt)
        self.adapters.append(adapter)
        try:
            if self.gate is not None:
                await self.gate.wait()
            for step in self.script:
                if isinstance(step, EngineError):
                    raise step
                yield Chunk(step) if isinstance(step, str) else step
            yield self.last
        finally:
            self.closed += 1

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        self.chosen.append(prompt)
        self.adapters.append(adapter)
        if not self.scores:
            raise EngineError("The script has no more scores.")
        return self.scores.pop(0)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        raise EngineError("The script judges nothing.")

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        self.prompts.append(prompt)
        self.adapters.append(adapter)
        self.grammars.append(grammar)
        if self.filled is None or isinstance(self.filled, EngineError):
            raise self.filled or EngineError("The script fills nothing.")
        return self.filled

    async def load_adapter(self, name: str, path: Path) -> None:
        raise EngineError("The script has no adapters.")

    async def use_adapter(self, name: str | None) -> None:
        raise EngineError("The script has no adapters.")

    async def list_adapters(self) -> tuple[str, ...]:
        return ()

    def status(self) -> EngineStatus:
        return EngineStatus(self.state, "scripted", detail="" if self.state == "ready" else "As the script says.")

    async def close(self) -> None:
        self.state = "failed"


def texts_of(updates: Sequence[Update]) -> str:
    return "".join(update.delta for update in updates if isinstance(update, Text))


def cards_of(updates: Sequence[Update]) -> Answer:
    (cards,) = [update for update in updates if isinstance(update, Cards)]
    return cards.answer


def meets(item: Item, wish: PreferenceView) -> bool:
    """Whether an item meets a hard wish: by hand, on the item's own fields."""
    own: object
    if wish.attribute == "price":
        own = None if item.price is None else float(item.price)
    elif wish.attribute == "in_stock":
        own = None if item.in_stock is None else ("yes" if item.in_stock else "no")
    else:
        own = item.title if wish.attribute == "title" else item.attributes.get(str(wish.attribute))
    values = wish.value if isinstance(wish.value, list) else [wish.value]
    if wish.op == "eq":
        owned = own if isinstance(own, tuple) else (own,)
        return any(value in owned for value in values) == (wish.polarity == "positive")
    if not isinstance(own, float | int):
        return False
    bound = float(values[0])
    met = {"lt": own < bound, "le": own <= bound, "gt": own > bound, "ge": own >= bound}[wish.op]
    return met == (wish.polarity == "positive")


def genres_of(item: Item) -> set[str]:
    value = item.attributes.get("genre", ())
    return {value} if isinstance(value, str) else set(value)  # type: ignore[arg-type]  # a list of texts
