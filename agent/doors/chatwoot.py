"""Chatwoot's side: what its agent bots' webhooks say, their signature, and the three calls that a bot may make there.

Its contract (as of 4.13): a webhook must be answered within 5 s, is signed with `sha256=HMAC(secret, timestamp.body)`,
and only conversations with the status "pending" are the bot's. Knows nothing of conversations of ours.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field

from agent.settings import ChatwootSettings
from retrieval.errors import ChatalogueError, SettingsError

MAX_AGE_SECONDS: Final = 300
"""Of a signature; an older one is a repeat by somebody else."""
CALL_SECONDS: Final = 10.0
PENDING: Final = "pending"
"""The status of a conversation that is the bot's."""

Meaning: TypeAlias = Literal["said", "replied", "opened", "resolved"]
"""`said` by the customer, `replied` by somebody of the team; a conversation is `opened` for people, or `resolved`."""

_log = structlog.get_logger(__name__)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Account(_Part):
    id: int


class _Who(_Part):
    id: int | None = None
    name: str | None = None
    type: str | None = None


class _Meta(_Part):
    sender: _Who | None = None


class _Talk(_Part):
    id: int
    status: str = ""
    meta: _Meta | None = None


class ChatwootEvent(_Part):
    """The fields of a webhook that we read; `id` is that of the message, or of the conversation itself."""

    event: str = Field(description="message_created, conversation_opened, conversation_resolved; others are ignored")
    id: int | str | None = None
    content: str | None = None
    message_type: int | str | None = None
    private: bool | None = None
    status: str | None = None
    account: _Account | None = None
    conversation: _Talk | None = None
    sender: _Who | None = None
    meta: _Meta | None = None
    messages: list[dict[str, Any]] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Told:
    """What a webhook means to us. `contact` is the customer's number over there, `agent` who of the team replied."""

    means: Meaning
    account: int
    conversation: int
    status: str
    text: str = ""
    message: str = ""
    contact: int | None = None
    agent: str = ""

    @property
    def place(self) -> str:
        """Which conversation over there."""
        return f"chatwoot/{self.account}/{self.conversation}"


def told_by(event: ChatwootEvent) -> Told | None:
    """What `event` means; None where it is none of our business: our own replies, notes, events of other kinds."""
    if event.event == "message_created":
        return _message(event)
    means: Meaning | None = {"conversation_opened": "opened", "conversation_resolved": "resolved"}.get(event.event)  # type: ignore[assignment]  # the values are two of them
    account = _account(event)
    if means is None or account is None or not isinstance(event.id, int):
        return None
    return Told(means, account, event.id, event.status or "")


def _message(event: ChatwootEvent) -> Told | None:
    talk, account, who = event.conversation, _account(event), event.sender or _Who()
    if talk is None or account is None or event.private or event.id is None:
        return None
    here = {"account": account, "conversation": talk.id, "status": talk.status, "message": str(event.id)}
    if event.message_type in ("incoming", 0):
        contact = (talk.meta.sender.id if talk.meta and talk.meta.sender else None) or who.id
        return Told("said", **here, text=event.content or "", contact=contact)  # type: ignore[arg-type]  # as named
    if event.message_type in ("outgoing", 1) and who.type == "user":
        return Told("replied", **here, text=event.content or "", agent=who.name or "")  # type: ignore[arg-type]
    return None


def _account(event: ChatwootEvent) -> int | None:
    """A conversation's own events name it in their last message alone."""
    if event.account is not None:
        return event.account.id
    named = [one.get("account_id") for one in event.messages]
    return next((one for one in named if isinstance(one, int)), None)


def is_signed(secret: str, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether Chatwoot sent `body`, and lately."""
    if not timestamp.isdecimal() or len(timestamp) > 12 or abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={signed}".encode(), signature.encode())


class DeskRefused(ChatalogueError):
    """Chatwoot did not take a call; tell the operator."""


class Chatwoot:
    """The API of one Chatwoot, with the access token of an agent bot."""

    def __init__(self, settings: ChatwootSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Look at the address; nothing is called.

        Raises:
            SettingsError: the address is none or would send words in the open, or token or secret are missing.
        """
        token = settings.token.get_secret_value()
        if not token or not (settings.secret.get_secret_value() or settings.unsigned):
            raise SettingsError(
                "The setting 'support.chatwoot.url' needs 'support.chatwoot.token', the access token of the agent bot, "
                "and 'support.chatwoot.secret', which signs its webhooks."
            )
        self._client = httpx.AsyncClient(
            base_url=_checked(settings.url),
            headers={"api_access_token": token},
            timeout=CALL_SECONDS,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def status(self, told: Told) -> str | None:
        """The status of the conversation at this moment; None where that cannot be read: tokens of bots may not."""
        try:
            answer = await self._client.get(self._at(told))
            found = answer.json().get("status") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    async def say(self, told: Told, text: str, *, private: bool = False) -> None:
        """Write into the conversation; `private`: a note that the customer never sees.

        A call without an answer counts as made: what was said twice is worse.

        Raises:
            DeskRefused: it was not taken.
        """
        body = {"content": text, "message_type": "outgoing", "private": private}
        await self._post(f"{self._at(told)}/messages", body)

    async def give(self, told: Told, status: Literal["open", "pending"]) -> None:
        """Give the conversation to people (open) or back to the bot.

        Raises:
            DeskRefused: it was not taken.
        """
        await self._post(f"{self._at(told)}/toggle_status", {"status": status})

    def _at(self, told: Told) -> str:
        return f"/api/v1/accounts/{told.account}/conversations/{told.conversation}"

    async def _post(self, path: str, body: dict[str, object]) -> None:
        try:
            answer = await self._client.post(path, json=body)
        except (httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError) as error:
            _log.warning("chatwoot_gave_no_answer", error=type(error).__name__)
            return
        except httpx.HTTPError as error:
            raise DeskRefused(f"Chatwoot cannot be reached ({type(error).__name__}).") from None
        if not 200 <= answer.status_code < 300:
            raise DeskRefused(f"Chatwoot answered with HTTP {answer.status_code}.")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
        raise SettingsError("The setting 'support.chatwoot.url' is no URL; write https://desk.example.com.")
    if parts.scheme == "http" and not is_private(host):
        raise SettingsError("The setting 'support.chatwoot.url' would send customers' words in the open; use https://.")
    return url.rstrip("/")


def is_private(host: str) -> bool:
    """Whether a host is on one's own network: a private address, or a name without a dot."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and "." not in host
    return ip.is_private and not ip.is_unspecified
