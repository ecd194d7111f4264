"""What every face of the product (API, page, command line) is given. Wired together in `ui/serve.py`.

Knows nothing of how the parts are made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from agent.answer import Update
from agent.llm.protocol import Engine, Role
from agent.observe.observer import Observer
from agent.preferences import Fact, Preference
from agent.settings import Settings
from retrieval.errors import IndexUnavailable

if TYPE_CHECKING:
    from agent.conversation import Replay
    from agent.log.records import TurnInput
    from agent.log.store import EventLog
    from agent.shop import Shop
    from agent.support.handoff.keeping import Handoffs


@dataclass(frozen=True, slots=True)
class PastMessage:
    """An earlier message of a stateless call."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One message of a customer.

    `session_id` continues a conversation kept by the server (NotFound when it is not the caller's).
    Without it, `history` (oldest first, without the message itself) finds the conversation by the
    hash of its prefix; when that is unknown too, the history is read by rules alone.
    `key_id` is the API key's public id ("" for the local page and command line).
    """

    text: str
    tenant: str = "default"
    key_id: str = ""
    user: str | None = None
    session_id: str | None = None
    history: tuple[PastMessage, ...] = ()


class Chat(Protocol):
    """The conversation (agent/conversation.py)."""

    def turn(self, request: TurnRequest) -> AsyncGenerator[Update, None]:
        """Waiting*, Cards, (Text | Waiting)*, Finished. Closing it early logs what was said so far.

        Raises:
            NotFound: `session_id` is not a conversation of this tenant, key and user.
            IndexUnavailable: there is nothing to search.
            TurnConflict: earlier messages of the conversation are still being answered after a minute.
            DataDirectoryError: the database cannot be used; the turn is not stored.
        """
        ...

    async def edit(self, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> None:
        """Change the wishes of a conversation outside a turn (a chip was removed)."""
        ...

    async def standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        """What the user wishes again and again, which their next conversation begins with, besides stored wishes.

        Raises:
            IndexUnavailable: no catalogue is open, so nobody knows what of it lasts.
        """
        ...


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One line of `/readyz`: `detail` is one sentence when `state` is not "ok".

    "degraded": the part works with a stand-in for something that is missing.
    """

    name: Literal["index", "database", "engine", "learning"]
    state: Literal["ok", "degraded", "starting", "failed", "off"]
    detail: str = ""


class Health(Protocol):
    """What `/readyz` asks."""

    async def check(self, *, prove_token: bool = False) -> tuple[PartHealth, ...]:
        """Every part's state; `prove_token` has the engine make one token (at most 10 s)."""
        ...


def _no_shop(tenant: str) -> Shop:
    raise IndexUnavailable("This server shows no catalogue besides its chat; ask the chat.")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a running server has; `observer` listens to `chat` and `log` already.

    `shop` gives a tenant's open catalogue (IndexUnavailable where none is), for what is asked without a conversation.
    `handoffs` None: those of `log`, without office hours (`agent.support.handoff.keeping.handoffs_of`). `again` is
    `agent.conversation.Conversations.again`: what would be said to a stored message.
    """

    settings: Settings
    chat: Chat
    health: Health
    log: EventLog
    engine: Engine
    observer: Observer = field(default_factory=Observer)
    shop: Callable[[str], Shop] = _no_shop
    handoffs: Handoffs | None = None
    again: Callable[[TurnInput], Awaitable[Replay]] | None = None
