"""Answers what waits in the inbox: a turn for each message that is the bot's, then our words over there.

One conversation's webhooks are answered in their order, one at a time. What is to be done is stored before it is begun,
so that another try after a crash says nothing twice. People have a conversation as soon as it is not "pending" over
there, somebody of them wrote in it, or the bot handed it over; it is the bot's again when it is pending again.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import structlog

from agent.answer import Finished
from agent.doors.chatwoot import PENDING, Chatwoot, Told
from agent.doors.note import note_of
from agent.log.inbox import Inbox, InboxItem, Talk
from agent.messages import messages
from agent.polling import poll
from agent.services import Services, TurnRequest
from agent.support.handoff import keeping
from agent.support.handoff.keeping import Trail, handoffs_of
from agent.support.handoff.machine import Happening
from agent.support.handoff.taking_back import takes_back
from agent.understand.types import Language
from retrieval.errors import ChatalogueError, NotFound

POLL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 100.0
"""For one item, its turn and all calls; below `inbox.CLAIM_SECONDS`."""
AT_ONCE: Final = 8
DOOR_KEY: Final = "chatwoot"
"""`key_id` of customers who come by this door."""
CUSTOMER: Final = "chatwoot:"
"""What their names begin with: then account and contact over there."""
_TEAM: Final = "chatwoot"

Step: TypeAlias = tuple[Literal["say", "note", "open", "pending"], str]
"""What is to be done over there, and its words."""

_log = structlog.get_logger(__name__)


def customer_of(account: int, contact: int) -> str:
    """How a contact of Chatwoot's is called here, in `/v1/users/{id}` too."""
    return f"{CUSTOMER}{account}-{contact}"


class InboxAnswerer:
    """Answers the inbox of one log; any number of processes may, each item belongs to one at a time."""

    def __init__(self, services: Services, chatwoot: Chatwoot) -> None:
        self._services, self._chatwoot = services, chatwoot
        self._inbox, self._handoffs = Inbox(services.log), handoffs_of(services)
        self._language: Language = "zh" if services.settings.language == "zh" else "en"

    async def run(self) -> None:
        """Answer for ever; run as a task of the server."""
        await poll(self.answer_due, POLL_SECONDS, "inbox_not_answered")

    async def answer_due(self) -> int:
        """Answer what is due now, some at once; how many those were."""
        due = await asyncio.to_thread(self._inbox.claim, AT_ONCE)
        done = await asyncio.gather(*(self._answer(item) for item in due), return_exceptions=True)
        for failed in done:
            if failed is not None:  # each has had its turn
                raise failed
        return len(due)

    async def _answer(self, item: InboxItem) -> None:
        told = Told(**item.body["told"])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._do(item, told)
        except (ChatalogueError, TimeoutError) as error:
            await self._failed(item, told, type(error).__name__)
        except Exception as error:  # no message: it may quote a customer
            await self._failed(item, told, type(error).__name__)
        else:
            await asyncio.to_thread(self._inbox.done, item)

    async def _failed(self, item: InboxItem, told: Told, problem: str) -> None:
        state = await asyncio.to_thread(self._inbox.failed, item, problem)
        tell = _log.error if state == "dead" else _log.warning
        tell("webhook_not_answered", delivery=item.id, attempt=item.attempts, reason=problem, state=state)
        if state == "dead":  # a customer without an answer is people's business
            try:
                await self._chatwoot.give(told, "open")
            except ChatalogueError as error:
                _log.error("chatwoot_not_opened", delivery=item.id, reason=str(error))

    async def _do(self, item: InboxItem, told: Told) -> None:
        steps: list[Step] | None = item.body.get("steps")
        if steps is None:
            steps = await self._decided(item, told)
            await self._keep(item, told, steps)
        hands_over = any(kind == "open" for kind, _ in steps)
        while steps:
            (kind, text), *steps = steps
            if kind in ("open", "pending"):
                await self._chatwoot.give(told, "open" if kind == "open" else "pending")
                await asyncio.to_thread(partial(self._inbox.opened, item, by_people=kind == "open"))
            elif kind == "note":
                await self._chatwoot.say(told, text, private=True)
            elif await self._is_ours(item, told):
                await self._chatwoot.say(told, text)
            elif not hands_over:
                await self._people_have_it(item, told)
            await self._keep(item, told, steps)

    async def _keep(self, item: InboxItem, told: Told, steps: list[Step]) -> None:
        await asyncio.to_thread(self._inbox.keep, item, {"told": asdict(told), "steps": steps})

    async def _is_ours(self, item: InboxItem, told: Told) -> bool:
        """Looked at just before our words go out: people may have taken it while the bot thought."""
        if await self._chatwoot.status(told) not in (PENDING, None):
            return False
        return not await asyncio.to_thread(self._inbox.taken_since, item)

    # --- what is to be done ---

    async def _decided(self, item: InboxItem, told: Told) -> list[Step]:
        talk = await asyncio.to_thread(self._inbox.talk, item.tenant, told.place)
        if told.means != "said":
            return [] if talk is None else await self._of_the_team(item, told, talk)
        if talk is None:
            return await self._turn(item, told, await self._begun(item, told)) if told.status == PENDING else []
        trail = await asyncio.to_thread(self._handoffs.trail, item.tenant, talk.session_id)
        if trail.state.phase == "bot":
            if told.status == PENDING:
                return await self._turn(item, told, talk.session_id)
            await self._people_have_it(item, told)
            return []
        if talk.opened_at is None:  # handed over, and a crash or an error kept the team from being told
            return await self._handing_over(item.tenant, talk.session_id, trail)
        if trail.state.phase == "waiting" and takes_back(told.text):
            return [("pending", ""), *await self._turn(item, told, talk.session_id)]
        if told.status != PENDING or item.received_at <= talk.opened_at:  # the latter: sent before it was opened
            return []
        await self._apply(item, talk.session_id, "returned")
        await asyncio.to_thread(partial(self._inbox.opened, item, by_people=False))
        return await self._turn(item, told, talk.session_id)

    async def _of_the_team(self, item: InboxItem, told: Told, talk: Talk) -> list[Step]:
        """Somebody of the team replied, opened it or resolved it."""
        trail = await asyncio.to_thread(self._handoffs.trail, item.tenant, talk.session_id)
        if told.means == "resolved":
            if trail.state.phase != "bot":
                await self._apply(item, talk.session_id, "closed")
            return []
        if trail.state.phase == "bot":
            await self._people_have_it(item, told)
        if told.means == "opened":
            return []
        words = keeping.Words(text=told.text, data={"agent": told.agent} if told.agent else None)
        await self._apply(item, talk.session_id, "replied", words)
        return [("open", "")] if told.status == PENDING else []  # else its next message would count as the bot's again

    async def _begun(self, item: InboxItem, told: Told) -> str:
        log, user = self._services.log, self._user(told)
        talk = await asyncio.to_thread(log.start_conversation, item.tenant, DOOR_KEY, user, self._language)
        return await asyncio.to_thread(self._inbox.bind, item.tenant, told.place, talk.id)

    async def _turn(self, item: InboxItem, told: Told, session_id: str) -> list[Step]:
        asked = TurnRequest(told.text, item.tenant, DOOR_KEY, self._user(told), session_id)
        finished: Finished | None = None
        async for update in self._services.chat.turn(asked):
            if isinstance(update, Finished):
                finished = update
        if finished is None or not finished.reply:
            return []
        if finished.answer.handoff is None:
            return [("say", finished.reply)]
        trail = await asyncio.to_thread(self._handoffs.trail, item.tenant, session_id)
        return await self._handing_over(item.tenant, session_id, trail, finished.reply)

    async def _handing_over(self, tenant: str, session_id: str, trail: Trail, said: str = "") -> list[Step]:
        """The closing line, the packet as a private note, and the conversation is people's."""
        view = await asyncio.to_thread(self._services.log.session_view, tenant, session_id)
        packet, line = self._handoffs.packet(trail, view.turns), trail.begun.text if trail.begun else None
        steps: list[Step] = [("say", said or line or "")]
        if packet is not None:
            steps.append(("note", note_of(packet, messages(self._language))))
        return [*(step for step in steps if step[1]), ("open", "")]

    async def _people_have_it(self, item: InboxItem, told: Told) -> None:
        """Note that the team took it without us: the bot is silent from now on, and says nothing of it."""
        talk = await asyncio.to_thread(self._inbox.talk, item.tenant, told.place)
        if talk is None:
            raise NotFound("The conversation was erased meanwhile.")
        event = Happening("taken_over", f"taken_over/{item.id}", by=_TEAM)
        async with self._handoffs.between_turns(item.tenant, talk.session_id):
            await asyncio.to_thread(
                lambda: self._handoffs.hand_over(item.tenant, talk.session_id, event, self._language, spoken=False)
            )
        await asyncio.to_thread(self._inbox.opened, item)

    async def _apply(
        self,
        item: InboxItem,
        session_id: str,
        kind: Literal["returned", "closed", "replied"],
        words: keeping.Words = keeping.NO_WORDS,
    ) -> None:
        event = Happening(kind, f"{kind}/{item.id}", by=_TEAM)
        await asyncio.to_thread(self._handoffs.apply, item.tenant, session_id, event, words)

    def _user(self, told: Told) -> str | None:
        return None if told.contact is None else customer_of(told.account, told.contact)


def item_body(told: Told) -> dict[str, Any]:
    """What the inbox keeps of a webhook."""
    return {"told": asdict(told)}
