"""One person's visit to a shop over HTTP: what was said, which lists were shown by whom, and how the person reacted.

Conversations are held and checked by agent/bench/dialogue. Reactions go through `POST /v1/feedback`, as a shop's page
would send them. Knows nothing of how the shop learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import numpy as np

from agent.answer import Answer
from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.phrasing import AsWritten
from agent.bench.dialogue.reading import Reader, Reply
from agent.bench.dialogue.runner import Dialogue, hold
from agent.bench.loop.town import Townsperson, TownWords
from agent.services import PastMessage
from retrieval.errors import BadRequest, EngineError

LOOKS_AT, TELLS_WHY_NOT, THANKS, COMPLAINS, BUYS = 0.8, 0.25, 0.6, 0.4, 0.3
"""Chances: that an item is looked at, that a bad one is rejected, of a thumb for a good and for a useless answer, and
that what is taken is bought at once."""
MAX_REJECTED = 1
"""Of one list: nobody clicks more."""
REASON = "not_my_taste"


class Shop(Protocol):
    """A served shop. `user` names the customer; None: nobody's name."""

    async def chat(self, text: str, user: str | None, session_id: str | None) -> Reply:
        """One turn.

        Raises:
            EngineError: this one cannot be answered.
            BadRequest: nothing answers any more.
        """
        ...

    async def react(self, turn_id: str, kind: str, item_id: str | None, reason: str | None) -> None:
        """One reaction. Raises as `chat`."""
        ...

    async def ranker(self, turn_id: str) -> str | None:
        """Which ranker made the list of a turn; "linear" is the one that learns nothing. Raises as `chat`."""
        ...


class ServedShop:
    """A `chatalogue serve`; `client` has its address."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def chat(self, text: str, user: str | None, session_id: str | None) -> Reply:
        """See `Shop.chat`."""
        body: dict[str, Any] = {"model": "chatalogue", "messages": [{"role": "user", "content": text}]}
        body |= {"user": user} if user else {}
        body |= {"metadata": {"session_id": session_id}} if session_id else {}
        said = await self._asked("POST", "/v1/chat/completions", body)
        return Reply(said["choices"][0]["message"]["content"], Answer.model_validate(said["chatalogue"]))

    async def react(self, turn_id: str, kind: str, item_id: str | None, reason: str | None) -> None:
        """See `Shop.react`."""
        body = {"turn_id": turn_id, "kind": kind, "item_id": item_id, "reason": reason}
        await self._asked("POST", "/v1/feedback", {name: value for name, value in body.items() if value is not None})

    async def ranker(self, turn_id: str) -> str | None:
        """See `Shop.ranker`."""
        found: str | None = (await self._asked("GET", f"/v1/turns/{turn_id}/trace", None))["trace"].get("ranker")
        return found

    async def _asked(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise BadRequest(f"The shop does not answer any more ({error!r}); see its log.") from None
        if response.status_code != httpx.codes.OK:
            raise EngineError(f"The shop answered with status {response.status_code}: {response.text[:200]}")
        found: dict[str, Any] = response.json()
        return found


@dataclass(frozen=True, slots=True)
class Visit:
    """What became of one person.

    Attributes:
        person: their number.
        dialogue: the conversation, with its faults.
        lists: the ids that each answer offered, in order.
        adapters: who answered, turn by turn; None: the base model, or rules alone.
        ranker: who made the first list; "linear" is the one that learns nothing, None: there was no list.
        reactions: how many of each kind were sent.
    """

    person: int
    dialogue: Dialogue
    lists: tuple[tuple[str, ...], ...]
    adapters: tuple[str | None, ...]
    ranker: str | None = None
    reactions: Mapping[str, int] = field(default_factory=dict)


async def visit(shop: Shop, person: Townsperson, reader: Reader, seed: int, user: str | None, *, reacts: bool) -> Visit:
    """One conversation.

    Args:
        shop: the bot.
        person: who comes.
        reader: of the catalogue.
        seed: of words and luck; with the person's number.
        user: their name at the shop.
        reacts: whether they tell the shop what they think of items and answers. Those who measure do not: nothing is
            learned from them.

    Raises:
        BadRequest: the shop is gone.
    """
    words = np.random.default_rng([seed, person.need.number, 1])
    door = _Door(shop, person, user, np.random.default_rng([seed, person.need.number, 2]) if reacts else None)
    customer = Customer(person.need, reader.table, words, TownWords(reader.table.shape, words, person))
    dialogue = await hold(door, customer, person.need, 0, reader, AsWritten())
    return Visit(
        person.need.number, dialogue, tuple(door.lists), tuple(door.adapters), door.ranker, dict(door.reactions)
    )


class _Door:
    """Between the customer and the shop: passes messages on, writes down what is shown, and reacts."""

    def __init__(self, shop: Shop, person: Townsperson, user: str | None, luck: np.random.Generator | None) -> None:
        self._shop = shop
        self._person = person
        self._user = user
        self._luck = luck
        self.lists: list[tuple[str, ...]] = []
        self.adapters: list[str | None] = []
        self.ranker: str | None = None
        self.reactions: Counter[str] = Counter()

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        """See `agent.bench.dialogue.bots.Bot`."""
        reply = await self._shop.chat(text, self._user, session_id)
        answer = reply.answer
        if answer is None:
            return reply
        offered = tuple(item.id for item in answer.items) if answer.action in ("recommend", "ask") else ()
        if offered and not any(self.lists):
            self.ranker = await self._shop.ranker(answer.turn_id)
        self.lists.append(offered)
        self.adapters.append(answer.adapter)
        for kind, item_id in [] if self._luck is None else reactions_to(offered, self._person, self._luck):
            await self._shop.react(answer.turn_id, kind, item_id, REASON if kind == "reject" else None)
            self.reactions[kind] += 1
        return reply


def reactions_to(
    offered: Sequence[str], person: Townsperson, luck: np.random.Generator
) -> list[tuple[str, str | None]]:
    """Kind and item (None: the whole answer) of what a person sends after one list.

    The first item that they would take is taken or bought, others of that kind get a thumb; some of those that do not
    meet the wishes or are in the worse half by taste are rejected. What is neither is passed over.
    """
    seen = [item_id for item_id in offered if luck.random() < LOOKS_AT or item_id in person.need.targets]
    good = [item_id for item_id in seen if item_id in person.need.targets]
    bad = [item_id for item_id in seen if person.gain(item_id) <= 0.5]
    found: list[tuple[str, str | None]] = []
    if good:
        found.append(("buy" if luck.random() < BUYS else "accept", good[0]))
        found += [("thumb_up", item_id) for item_id in good[1:]]
    found += [("reject", item_id) for item_id in bad if luck.random() < TELLS_WHY_NOT][:MAX_REJECTED]
    if good and luck.random() < THANKS:
        found.append(("thumb_up", None))
    if offered and not good and len(bad) == len(seen) and luck.random() < COMPLAINS:
        found.append(("thumb_down", None))
    return found
