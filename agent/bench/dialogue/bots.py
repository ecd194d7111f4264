"""Who is measured: the conversation in this process, or any bot behind OpenAI's chat completions.

Knows nothing of customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from agent.answer import Answer, Finished
from agent.bench.dialogue.reading import Reply
from agent.services import Chat, PastMessage, TurnRequest
from retrieval.errors import BadRequest, EngineError

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageParam

TIMEOUT_S = 120.0
"""For one reply over HTTP."""


class Bot(Protocol):
    """One side of a conversation."""

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        """The answer to `text` after `history`; `session_id` is that of the bot's last answer, None at the start.

        Raises:
            ChatalogueError: there is no answer; `BadRequest` where there will never be one.
        """
        ...


class InProcess:
    """A `Chat` of this process; it keeps the conversation itself."""

    def __init__(self, chat: Chat, tenant: str = "default") -> None:
        self._chat = chat
        self._tenant = tenant

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        """See `Bot.reply`."""
        async with aclosing(self._chat.turn(TurnRequest(text, tenant=self._tenant, session_id=session_id))) as updates:
            async for update in updates:
                if isinstance(update, Finished):
                    return Reply(update.reply, update.answer)
        raise RuntimeError("a turn always ends with Finished")


class OverHttp:
    """A bot behind `POST URL/chat/completions`, which is sent the whole conversation each time."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client = client
        self._model = model

    @classmethod
    async def open(cls, url: str, api_key: str) -> OverHttp:
        """The bot at `url`, which ends in /v1; it speaks with the first model that the server lists.

        Raises:
            BadRequest: the client is not installed, or nothing answers there.
        """
        try:
            from openai import AsyncOpenAI, OpenAIError
        except ImportError:
            raise BadRequest("To measure a bot over HTTP, install OpenAI's client: pip install openai.") from None
        client = AsyncOpenAI(base_url=url, api_key=api_key or "none", timeout=TIMEOUT_S)
        try:
            models = (await client.models.list()).data
        except OpenAIError as error:
            await client.close()
            raise BadRequest(f"{url!r} lists no models ({error}); --url is an address that ends in /v1.") from None
        if not models:
            await client.close()
            raise BadRequest(f"{url!r} lists no models; start the bot first.")
        return cls(client, models[0].id)

    @property
    def model(self) -> str:
        """The name of the model that answers."""
        return self._model

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        """See `Bot.reply`."""
        from openai import APIConnectionError, OpenAIError

        messages: list[ChatCompletionMessageParam] = [
            {"role": "assistant", "content": past.text}
            if past.role == "assistant"
            else {"role": "user", "content": past.text}
            for past in history
        ]
        messages.append({"role": "user", "content": text})
        more = {"metadata": {"session_id": session_id}} if session_id else None
        try:
            done = await self._client.chat.completions.create(model=self._model, messages=messages, extra_body=more)
        except APIConnectionError as error:
            raise BadRequest(f"The bot does not answer any more ({error}); see its log.") from None
        except OpenAIError as error:
            raise EngineError(f"The bot answered with an error ({error}); see its log.") from None
        said = done.choices[0].message.content if done.choices else None
        return Reply(said or "", _answer_of((done.model_extra or {}).get("chatalogue")))


def _answer_of(value: object) -> Answer | None:
    """The `chatalogue` object; None for bots that have none, or one that we cannot read."""
    try:
        return None if value is None else Answer.model_validate(value)
    except ValidationError:
        return None
