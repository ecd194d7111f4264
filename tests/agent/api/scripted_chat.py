"""A small real `Chat`: yields real updates, keeps conversations in the real log, remembers what it was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from agent.answer import Answer, Cards, Citation, Finished, Price, ShownItem, Text, Update, Usage, Waiting
from agent.llm.protocol import Engine, EngineState, EngineStatus
from agent.log.records import ShownRow, TurnRecord
from agent.log.store import EventLog
from agent.preferences import Fact, Preference
from agent.services import PartHealth, TurnRequest
from retrieval.errors import DataDirectoryError, IndexUnavailable

SHOP = "Items:\n1. Heat (1995), 9.90 EUR, https://shop.example/heat\nReturns take 30 days [1].\n"
SOURCES = "[1] Returns, https://shop.example/returns"

ITEM = ShownItem(
    id="heat",
    rank=1,
    title="Heat",
    price=Price(amount="9.90", currency="EUR"),
    in_stock=True,
    url="https://shop.example/heat",
    why="You asked for a heist.",
    matched=["genre: crime"],
    attributes={"year": 1995.0, "cast": ["Al Pacino"], "country": "US"},
)


class ScriptedChat:
    """Does what the message says ("noindex", "break", "hang" ...); any other message is answered with an echo."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.asked: list[TurnRequest] = []
        self.closed: list[str] = []
        """Messages of turns that were stopped before their end."""
        self.waiting: list[str] = []
        """Messages of turns that have come to where they wait."""
        self.go = threading.Event()
        """What a turn that is "held" waits for; set from any thread."""

    async def turn(self, request: TurnRequest) -> AsyncIterator[Update]:
        self.asked.append(request)
        word = request.text.split(" ")[0]
        if word == "noindex":
            raise IndexUnavailable("There is no index to search; run `chatalogue index`.")
        if word == "crash":
            raise RuntimeError("secret detail: /etc/shop.key")
        session_id = await asyncio.to_thread(self._session, request)
        turn_id = self._log.new_turn_id(request.tenant)
        item = ITEM.model_copy(update={"attributes": {"weight": float("nan")}}) if word == "nan" else ITEM
        citation = Citation(n=1, title="Returns", url="https://shop.example/returns", quote="within 30 days")
        answer = Answer(
            session_id=session_id, turn_id=turn_id, action="recommend", items=[item], citations=[citation], model="m"
        )
        try:
            async for update in self._updates(request, word, answer):
                yield update
        except BaseException:
            await asyncio.sleep(0)  # as a turn that writes to the log while it is closed
            self.closed.append(request.text)
            raise

    async def _updates(self, request: TurnRequest, word: str, answer: Answer) -> AsyncIterator[Update]:
        if word in ("queue", "slow", "held"):
            yield Waiting(3)
        await self._pause(request, word)
        yield Cards(answer)
        said = ""
        for piece in (SHOP, f"You said: {request.text}\n", SOURCES):
            said += piece
            yield Text(piece)
            if word == "queue":
                yield Waiting(1)
            if word == "break":
                raise DataDirectoryError("The disk is full; make room and try again.")
            if word == "explode":
                raise RuntimeError("secret detail: /etc/shop.key")
            if word == "stop":
                return
            if word == "hang":
                await asyncio.sleep(600)
        await asyncio.to_thread(self._record, request, answer, said)
        yield Finished(said, answer, Usage(40, 7))

    async def _pause(self, request: TurnRequest, word: str) -> None:
        if word == "slow":
            await asyncio.sleep(0.6)
        if word == "wait":  # says nothing at all
            self.waiting.append(request.text)
            await asyncio.sleep(600)
        while word == "held" and not self.go.is_set():
            await asyncio.sleep(0.01)

    async def edit(self, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> None:
        raise NotImplementedError

    async def standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        if user == "too-early":
            raise IndexUnavailable("There is no index to search; run `chatalogue index`.")
        return ()

    def _session(self, request: TurnRequest) -> str:
        if request.session_id is None:
            return self._log.start_conversation(request.tenant, request.key_id, request.user).id
        found = self._log.conversation(request.tenant, request.session_id, key_id=request.key_id, user=request.user)
        return found.id

    def _record(self, request: TurnRequest, answer: Answer, said: str) -> None:
        number = len(self._log.state(request.tenant, answer.session_id).turns) + 1
        self._log.record_turn(
            TurnRecord(
                tenant=request.tenant,
                session_id=answer.session_id,
                turn_id=answer.turn_id,
                number=number,
                message=request.text,
                reply=said,
                intent="recommend",
                action=answer.action,
                language="en",
                model=answer.model,
                shown=(ShownRow("heat", 1, score=0.5, log_propensity=-0.1, features={"dense": 0.4}),),
                answer=answer.model_dump(mode="json"),
            )
        )


@dataclass(frozen=True)
class Server:
    """The running server and the double behind it."""

    url: str
    chat: ScriptedChat
    log: EventLog


class StatusOnly:
    """The one method of an engine that the API calls."""

    def __init__(self, state: EngineState = "ready") -> None:
        self.state: EngineState = state

    def status(self) -> EngineStatus:
        return EngineStatus(self.state, "smollm2", queued=2)


class FixedHealth:
    """Says what it is told to; `proven` remembers whether a token was asked for."""

    def __init__(self, *parts: PartHealth) -> None:
        self.parts = parts or tuple(PartHealth(name, "ok") for name in ("index", "database", "engine"))
        self.proven: list[bool] = []

    async def check(self, *, prove_token: bool = False) -> tuple[PartHealth, ...]:
        self.proven.append(prove_token)
        return self.parts


def as_engine(engine: StatusOnly) -> Engine:
    return cast("Engine", engine)
