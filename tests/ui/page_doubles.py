"""A conversation that answers from a script and keeps real turns in a real log; hostile titles included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import httpx
import uvicorn
from fastapi import FastAPI

from agent.answer import (
    Answer,
    Blocking,
    Cards,
    Citation,
    Finished,
    NoMatch,
    PreferenceView,
    Question,
    ShownItem,
    Text,
    Timings,
    Update,
    Usage,
    Waiting,
    shown_item,
)
from agent.log.records import ShownRow, TurnRecord
from agent.log.store import EventLog
from agent.preferences import Added, Fact, Preference
from agent.services import TurnRequest
from retrieval.items import Item

HOSTILE = (
    '<img src=x onerror="window.pwned=1">',
    "${window.pwned=2} {{constructor.constructor('window.pwned=3')()}}",
    "\"Quotes\" 'and' `backticks` \\ </script><script>window.pwned=4</script>",
    "**Not bold** [link](javascript:alert(1)) $$x^2$$",
    "مرحبا <b>bold?</b> &amp; &lt;",
)
"""Titles that a catalogue may hold; each must be on screen letter by letter."""

COMEDY = Preference("p1", "hard", "genre", "eq", ("comedy",), "positive", "a funny one", 1)
CHEAP = Preference("p2", "soft", "price", "le", (20.0,), "positive", "not too dear", 1)
WISHES = (COMEDY, CHEAP)


def item(n: int, title: str, **more: object) -> Item:
    """A film with everything that a card can show."""
    fields: dict[str, object] = {
        "text": "A film.",
        "attributes": {"year": 1970.0 + n, "runtime_min": 90.0 + n, "genre": ("comedy",), "director": "Ann Example"},
        "price": Decimal("12.90") + n,
        "currency": "EUR",
        "in_stock": n % 3 != 0,
        "url": f"https://shop.example/film/{n}",
        "image_url": f"https://elsewhere.example/{n}.jpg",
    }
    return Item(f"film-{n}", title, **(fields | more))  # type: ignore[arg-type]


def cards(titles: tuple[str, ...]) -> list[ShownItem]:
    """Cards of made-up films with these titles."""
    return [
        shown_item(
            item(n, title),
            n,
            why="A light comedy, as you asked, and under 20 EUR.",
            matched=("genre: comedy", "price: under 20 EUR"),
            trade_off="The longest of this list." if n == 2 else None,
        )
        for n, title in enumerate(titles, 1)
    ]


@dataclass
class Reply:
    """One scripted answer. `before` runs after the cards: a test may wait there, or raise."""

    text: str = "Here are some."
    titles: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    wishes: tuple[Preference, ...] = ()
    citations: tuple[Citation, ...] = ()
    question: Question | None = None
    no_match: NoMatch | None = None
    degraded: bool = False
    ahead: int = 0
    pause_s: float = 0.0
    error: Exception | None = None


@dataclass
class ScriptedChat:
    """Gives the replies in turn (the last one again and again) and remembers what it was asked."""

    log: EventLog
    script: Callable[[TurnRequest], Reply]
    asked: list[TurnRequest] = field(default_factory=list)
    edits: list[tuple[str, tuple[Fact, ...]]] = field(default_factory=list)
    closed_early: int = 0

    async def turn(self, request: TurnRequest) -> AsyncGenerator[Update, None]:
        """Waiting, cards, the text word by word, the end; recorded like a real turn."""
        self.asked.append(request)
        reply = self.script(request)
        if request.session_id:
            session_id = self.log.conversation(
                request.tenant, request.session_id, key_id=request.key_id, user=request.user
            ).id
        else:
            session_id = self.log.start_conversation(request.tenant, request.key_id, request.user).id
        number = len(self.log.state(request.tenant, session_id).turns) + 1
        answer = self._answer(request, reply, session_id)
        done = False
        try:
            if reply.ahead:
                yield Waiting(reply.ahead)
                await asyncio.sleep(reply.pause_s * 5)
            yield Cards(answer)
            if reply.error:
                raise reply.error
            for word in reply.text.split(" "):
                await asyncio.sleep(reply.pause_s)
                yield Text(word + " ")
            self._record(request, reply, answer, number)
            yield Finished(reply.text, answer, Usage(1, 1))
            done = True
        finally:
            if not done:
                self.closed_early += 1

    async def edit(self, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> None:
        """Remember the edit, and store it as the real one does."""
        self.edits.append((session_id, facts))
        self.log.record_edit(tenant, session_id, facts)

    async def standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        """Nothing lasts."""
        return ()

    def _answer(self, request: TurnRequest, reply: Reply, session_id: str) -> Answer:
        near = [{"item": shown, "breaks": [wish.id for wish in reply.wishes[:1]]} for shown in cards(reply.near)]
        return Answer(
            session_id=session_id,
            turn_id=self.log.new_turn_id(request.tenant),
            action="recommend",
            items=cards(reply.titles),
            alternatives=near,  # type: ignore[arg-type]  # pydantic reads the dicts
            citations=list(reply.citations),
            preferences=[PreferenceView.of(wish) for wish in reply.wishes],
            no_match=reply.no_match,
            question=reply.question,
            model="scripted",
            degraded=reply.degraded,
            timings_ms=Timings(),
        )

    def _record(self, request: TurnRequest, reply: Reply, answer: Answer, number: int) -> None:
        shown = [ShownRow(entry.id, entry.rank) for entry in answer.items]
        shown += [ShownRow(near.item.id, near.item.rank, list="alternative") for near in answer.alternatives]
        self.log.record_turn(
            TurnRecord(
                tenant=request.tenant,
                session_id=answer.session_id,
                turn_id=answer.turn_id,
                number=number,
                message=request.text,
                reply=reply.text,
                intent="recommend",
                action="recommend",
                language="en",
                model="scripted",
                facts=tuple(Added(wish) for wish in reply.wishes),
                shown=tuple(shown),
                answer=answer.model_dump(mode="json"),
            )
        )


ARTICLE = Citation(n=1, title="Delivery <i>times</i>", url="https://shop.example/help", quote="Two to four days.")
QUESTION = Question(attribute="mood", text="Which mood?", options=["Something light", "Something dark"])
NO_MATCH = NoMatch(kind="filtered_out", said="comedy", blocking=[Blocking(preference_id="p1", relaxed_count=12)])


def answer_by_words(request: TurnRequest) -> Reply:
    """What the double says: chosen by a word of the message, so that a test reads like a conversation."""
    text = request.text.casefold()
    if "hostile" in text:
        lines = "\n".join(f"{n}. {title} https://shop.example/{n}" for n, title in enumerate(HOSTILE, 1))
        return Reply(f"Here:\n{lines}", titles=HOSTILE, wishes=WISHES, pause_s=0.01)
    if "delivery" in text:
        return Reply("It takes two to four days [1].", citations=(ARTICLE,), degraded=True)
    if "break" in text:
        return Reply(error=RuntimeError("secret detail"))
    if "impossible" in text:
        return Reply("Nothing fits all of that.", near=("Near One",), wishes=WISHES, no_match=NO_MATCH)
    if "slow" in text:
        return Reply("one two three four five six seven eight nine ten " * 10, titles=("Slow",), ahead=2, pause_s=0.1)
    if "which" in text:
        return Reply("Which mood would you like?", question=QUESTION, wishes=WISHES)
    if "suggest now" in text:
        return Reply("These are left.", titles=("Stalker",), wishes=(CHEAP,))
    titles = ("Alien", "The Red Balloon", "Playtime", "Bringing Up Baby", "Big Deal on Madonna Street")
    text_out = "12 items fit comedy and under 20.00 EUR. These come first:\n\n" + "\n".join(
        f"{n}. {title}, {12.9 + n:.2f} EUR\n   https://shop.example/film/{n}" for n, title in enumerate(titles, 1)
    )
    return Reply(text_out, titles=titles, wishes=WISHES, pause_s=0.005)


class _Server(uvicorn.Server):
    """Tells when it is ready, without a thread that polls a file."""


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve `app` on a free port of this machine; gives its address."""
    import threading
    import time

    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the test server did not start")
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def get(url: str, **headers: str) -> httpx.Response:
    """One request without the environment's proxies."""
    with httpx.Client(trust_env=False) as client:
        return client.get(url, headers=headers)
