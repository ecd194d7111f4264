"""One turn, top to bottom: message -> understand -> retrieve -> rank -> reply -> log.

Each step is one call into one module. Items are decided before a word is written, so a reply can
name only items of the catalogue. Knows nothing of HTTP and of pages.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import structlog

from agent.adapters.voice import OneVoice, Voice, Voices
from agent.answer import Answer, Cards, Finished, Text, Timings, Update
from agent.confidence import lost_turns
from agent.evidence import KNOWN_REASON, evidence_of, is_known
from agent.history import (
    asked_in,
    context_of,
    facts_in_force,
    messages_of,
    next_number,
    prefix_hash,
    reactions_of,
    said_before,
    still_carried,
    turn_that_showed,
    waved_off,
)
from agent.learning.experiences import said
from agent.learning.standing import overruled
from agent.llm.protocol import Engine, Limits
from agent.log.records import ConversationState, Feedback, TurnConflict, TurnInput, TurnState
from agent.log.store import EventLog
from agent.meant import own_words, unwanted_words
from agent.messages import messages
from agent.observe.observer import identify, step, without
from agent.placing import Place, check_place, find_place, with_history
from agent.preferences import Fact, Preference, fold, taken_back
from agent.presenting import answer_of, trace_of, turn_record
from agent.querying import disliked
from agent.questions import Chooser, choose
from agent.rank.judged import asking
from agent.rank.llm import rank_skill
from agent.ranking import Slate
from agent.replying import Replier, ReplyState
from agent.services import PastMessage, TurnRequest
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from agent.skills import is_on
from agent.support.helpdesk import HelpDesk
from agent.turn import Outcome, Situation, Visit, lasting_facts
from agent.turnlocks import TurnLocks
from agent.understand.model import ModelUnderstanding
from agent.understand.types import DialogueContext, Intent, Language, Understanding
from agent.understood import found_after_all, with_unlisted
from agent.wording import Wording

log = structlog.get_logger(__name__)

RECORD_ATTEMPTS = 5
"""A process that overslept its lease may find a turn's number taken; so many numbers are tried."""


@dataclass(slots=True)
class _Turn:
    """One turn under way; filled step by step, logged at the end whatever happened."""

    request: TurnRequest
    shop: Shop
    state: ConversationState
    context: DialogueContext
    voice: Voice
    imported: tuple[Fact, ...] = ()
    started: float = field(default_factory=time.perf_counter)
    turn_id: str = ""
    temperature: float | None = None
    seed: int = field(default_factory=lambda: secrets.randbits(32))
    timings: dict[str, float] = field(default_factory=dict)
    reply: ReplyState = field(default_factory=ReplyState)

    def mark(self, step: str) -> None:
        self.timings[step] = round((time.perf_counter() - self.started) * 1e3, 1)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a stored turn gives now; `slate` has what the items were drawn from."""

    answer: Answer
    reply: str
    intent: Intent
    slate: Slate


class Conversations:
    """All conversations of one process; implements `agent.services.Chat`."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        shops: ShopKeeper,
        engine: Engine,
        choose: Chooser = choose,
        voices: Voices | None = None,
        desk: HelpDesk | None = None,
    ) -> None:
        """`voices` says which adapter answers whom. Another `choose` is for measuring what questions are worth."""
        self._settings = settings
        self._log = log
        self._shops = shops
        self._engine = engine
        self._choose = choose
        self._locks = TurnLocks(log)
        self._voices = voices or OneVoice()
        self._desk = desk or HelpDesk()

    async def turn(self, request: TurnRequest) -> AsyncGenerator[Update, None]:
        """See `agent.services.Chat.turn`."""
        arrived = time.perf_counter()
        shop = self._shops.current(request.tenant)
        place = await find_place(request, self._log, self._shops, self._settings)
        claim = self._locks.claim(request.tenant, place.session_id)
        try:
            async with aclosing(claim.wait()) as waits:
                async for waiting in waits:
                    yield waiting
            async with aclosing(self._serialised(request, shop, place, arrived)) as updates:
                async for update in updates:
                    yield update
        finally:
            await claim.release()

    async def edit(self, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> None:
        """See `agent.services.Chat.edit`."""
        await asyncio.to_thread(self._log.record_edit, tenant, session_id, facts)

    async def standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        """See `agent.services.Chat.standing`."""
        return await asyncio.to_thread(self._standing, tenant, key_id, user)

    def _standing(self, tenant: str, key_id: str, user: str) -> tuple[Preference, ...]:
        shape = self._shops.current(tenant).table.shape
        person, stored = self._log.person_id(tenant, key_id, user), fold(self._log.user_facts(tenant, key_id, user))
        return tuple(fact.preference for fact in self._shops.profiles.lasting(tenant, person, shape, stored))

    async def _serialised(
        self, request: TurnRequest, shop: Shop, place: Place, arrived: float
    ) -> AsyncGenerator[Update, None]:
        await asyncio.to_thread(check_place, request, place, self._log)
        if place.repeated is not None:  # the same message again: the client wants another answer
            await asyncio.to_thread(self._log.undo_turn, request.tenant, place.repeated)
        state = await asyncio.to_thread(self._log.state, request.tenant, place.session_id)
        voice = self._voice(request.tenant, place.session_id)  # to the end of the turn, whatever is promoted
        turn = _Turn(request, shop, state, context_of(state), voice, started=arrived)
        turn.turn_id = await asyncio.to_thread(self._log.new_turn_id, request.tenant)
        identify(session_id=place.session_id, turn_id=turn.turn_id, adapter=turn.voice.engine.status().adapter)
        if request.history:
            turn.context, turn.imported = await asyncio.to_thread(
                with_history, turn.context, request, state, place, shop
            )
        with step("understand"):
            understanding = await self._understand(turn) if state.conversation.status == "bot" else self._unread(turn)
        turn.mark("understand")
        undone = await self._undo_last(turn) if understanding.intent == "undo" else False
        understanding = with_unlisted(understanding, turn.state, request.text)
        await self._note_reactions(turn, understanding)
        situation = await self._whole_situation(turn, understanding, undone)
        outcome = await asyncio.to_thread(self._desk.decide, situation)
        if not outcome.is_wish:
            situation = self._situation(turn, replace(understanding, facts=()), undone)
        async with aclosing(self._speak(turn, situation, outcome)) as updates:
            async for update in updates:
                yield update

    def _voice(self, tenant: str, session_id: str) -> Voice:
        """The server's other tenants get nothing that its own one's customers taught."""
        if tenant == self._settings.tenant:
            return self._voices.voice(self._engine, session_id)
        return self._voices.strangers(self._engine)

    async def again(self, stored: TurnInput) -> Replay:
        """Run a stored turn through what is live now, with its seed; nothing is stored.

        Nor is anything done: the parts of the help desk are told of no visit, so orders and handoffs are left alone.
        """
        record = stored.logged.record
        shop = self._shops.current(record.tenant)
        request = TurnRequest(record.message, tenant=record.tenant)
        voice = self._voice(record.tenant, record.session_id)
        turn = _Turn(request, shop, stored.before, context_of(stored.before), voice)
        turn.turn_id, turn.seed, turn.temperature = record.turn_id, record.seed, record.exploration
        understanding = with_unlisted(await self._understand(turn), turn.state, request.text)
        situation = await self._whole_situation(turn, understanding, undone=understanding.intent == "undo")
        situation = replace(situation, visit=None)
        outcome = await asyncio.to_thread(self._desk.decide, situation)
        answer = self._answer(turn, situation, outcome)
        async with aclosing(self._replier(turn, situation).reply(outcome, situation.wishes, turn.reply)) as updates:
            async for _ in updates:
                pass
        return Replay(answer, turn.reply.text, understanding.intent, outcome.slate)

    async def _understand(self, turn: _Turn) -> Understanding:
        text, limit = turn.request.text, self._settings.chat.max_message_chars
        if len(text) > limit:
            return Understanding("too_long", language=self._language(None, turn))
        understood = await asyncio.to_thread(turn.shop.rules.understand, text, turn.context)
        understood = found_after_all(understood, turn.shop)
        understood = replace(understood, language=self._language(understood.language, turn))
        engine, skills = turn.voice.engine, turn.voice.skills
        setting, status = self._settings.llm.understand, engine.status()
        # A model that was never taught the language of readings answers in prose, for seconds.
        taught = status.adapter is not None or setting == "on"
        if taught and status.state == "ready" and is_on("understand", setting, skills):
            model = ModelUnderstanding(engine, turn.shop.table, spent=turn.reply.spend)
            understood = await model.improve(text, understood, turn.context)
        return understood

    def _unread(self, turn: _Turn) -> Understanding:
        """What is said to people: nothing is read out of it, and nothing undone or taken for a wish."""
        return Understanding("handoff", language=self._language(None, turn))

    def _language(self, read: Language | None, turn: _Turn) -> Language:
        """The setting decides; else the message's letters, where it has any; else the turn before."""
        if self._settings.language != "auto":
            return self._settings.language
        if read and any(char.isalpha() for char in turn.request.text):
            return read
        return turn.state.turns[-1].language if turn.state.turns else "en"

    def _last_ranking(self, turn: _Turn) -> tuple[tuple[str, dict[str, float]], ...]:
        """How the candidates of the list shown last were ranked, from the log."""
        for past in reversed(turn.state.turns):
            if past.shown and not past.undone:
                trace = self._log.trace(turn.request.tenant, past.turn_id).record.trace
                ranked = ((row["item_id"], row["contributions"]) for row in trace.get("considered", ()))
                return tuple((item_id, parts) for item_id, parts in ranked if item_id in turn.shop.table)
        return ()

    async def _undo_last(self, turn: _Turn) -> bool:
        last = next((t for t in reversed(turn.state.turns) if not t.undone and t.intent != "undo"), None)
        if last is None:
            return False
        await asyncio.to_thread(self._log.undo_turn, turn.request.tenant, last.turn_id)
        await self._withdraw_reactions(turn, last)
        turn.state = await asyncio.to_thread(self._log.state, turn.request.tenant, turn.state.conversation.id)
        turn.context = context_of(turn.state)
        return True

    async def _withdraw_reactions(self, turn: _Turn, undone: TurnState) -> None:
        """What the undone message said of items ("not that one") is taken back with it."""
        if undone.intent not in ("accept", "reject"):
            return
        logged = await asyncio.to_thread(self._log.trace, turn.request.tenant, undone.turn_id)
        for item_id in logged.record.trace.get("item_ids", ()):
            shown_by = turn_that_showed(turn.state, item_id)
            if shown_by is not None:
                feedback = Feedback(shown_by, "withdraw", item_id, of=undone.intent)
                await asyncio.to_thread(self._log.record_feedback, turn.request.tenant, turn.request.key_id, feedback)

    async def _note_reactions(self, turn: _Turn, understanding: Understanding) -> None:
        """Said in words ("not that one"), stored like a tap on the card of the turn that showed it."""
        if understanding.intent not in ("accept", "reject"):
            return
        tenant, key = turn.request.tenant, turn.request.key_id
        known = understanding.intent == "reject" and is_known(turn.request.text)
        for item_id in understanding.item_ids:
            shown_by = turn_that_showed(turn.state, item_id)
            if shown_by is not None:
                reason = KNOWN_REASON if known else None
                feedback = Feedback(shown_by, understanding.intent, item_id, reason=reason)
                await asyncio.to_thread(self._log.record_feedback, tenant, key, feedback)

    async def _whole_situation(self, turn: _Turn, understanding: Understanding, undone: bool) -> Situation:
        """With what the log has to be asked for, where the message takes it."""
        situation = self._situation(turn, understanding, undone)
        if understanding.intent != "why_not":
            return situation
        return replace(situation, last_ranking=await asyncio.to_thread(self._last_ranking, turn))

    def _situation(self, turn: _Turn, understanding: Understanding, undone: bool) -> Situation:
        before = (*turn.imported, *facts_in_force(turn.state))
        table, chat = turn.shop.table, self._settings.chat
        wishes = overruled(still_carried(fold((*before, *understanding.facts)), table))
        rejected = {*reactions_of(turn.state, "reject"), *disliked(wishes, turn.shop.ids_by_title)}
        accepted = [*reactions_of(turn.state, "accept")]
        if understanding.intent == "reject":
            rejected.update(understanding.item_ids)
        talk = (*(said(turn.state.turns) or said_before(turn.request.history)), turn.request.text)
        rank = None
        if understanding.language == "en":  # the language model reads no other
            rank = rank_skill(turn.voice.engine, self._settings.llm, turn.voice.skills)
        gone = still_carried(taken_back((*before, *understanding.facts)), table)
        return Situation(
            text=turn.request.text,
            shop=turn.shop,
            context=turn.context,
            understanding=understanding,
            wishes=wishes,
            lasting=overruled(still_carried(fold((*before, *lasting_facts(understanding))), table)),
            wording=Wording(messages(understanding.language), lambda i: table.get(i).title, table.shape.currency),
            said=talk,
            own=own_words(
                turn.state.turns, turn.request.history, turn.request.text, understanding, turn.shop.rules.titles
            ),
            unwanted=unwanted_words(wishes, gone, [i for i in rejected if i in table], lambda i: table.get(i).title),
            rejected=frozenset(i for i in rejected if i in table),
            accepted=tuple(i for i in accepted if i in table and i not in rejected),
            evidence=evidence_of(turn.state, understanding, turn.request.text, wishes, table.shape),
            lanes=partial(self._shops.lessons.branches, table, turn.state),
            profile=cache(partial(self._shops.profiles.of, table, turn.shop.retriever.dense.vectors, turn.state)),
            learned=partial(self._shops.rankers.ranking, turn.request.tenant, table),
            customer=turn.state.conversation.person_id,
            visit=_visit(turn),
            judge=asking(rank, talk) if rank is not None else None,
            asked=asked_in(turn.state),
            waved_off=waved_off(turn.state),
            choose=self._choose,
            lost=partial(lost_turns, self._log, turn.request.tenant, turn.state),
            size=chat.items,
            candidates=self._settings.retrieval.candidates,
            temperature=chat.exploration if turn.temperature is None else turn.temperature,
            diversity=chat.diversity,
            seed=turn.seed,
            shop_name=chat.shop_name or turn.shop.name,
            undone_something=undone,
            message_limit=chat.max_message_chars,
        )

    def _answer(self, turn: _Turn, situation: Situation, outcome: Outcome) -> Answer:
        status = turn.voice.engine.status()
        turn.timings |= {name: round(ms, 1) for name, ms in outcome.timings.items()}
        turn.reply.degraded = status.state != "ready"
        turn.reply.failed = status.state in ("starting", "failed")
        if turn.reply.failed:
            without("engine")  # nobody calls it, so nobody else would say so
        session_id = turn.state.conversation.id
        answer = answer_of(session_id, turn.turn_id, situation, outcome, status, turn.reply.degraded)
        turn.mark("cards")
        return answer.model_copy(update={"timings_ms": Timings(**turn.timings)})

    def _replier(self, turn: _Turn, situation: Situation) -> Replier:
        llm, voice = self._settings.llm, turn.voice
        writes = is_on("reply", llm.reply, voice.skills) and voice.engine.status().state == "ready"
        pen = voice.engine if writes else None
        limits = Limits(max_tokens=llm.reply_tokens, seconds=llm.reply_timeout_s)
        before = [past.reply for past in turn.state.turns if not past.undone]
        before += [message.text for message in turn.request.history if message.role == "assistant"]
        return Replier(situation.wording, turn.shop.table, pen, limits, before, voice.examples)

    async def _speak(self, turn: _Turn, situation: Situation, outcome: Outcome) -> AsyncGenerator[Update, None]:
        """Cards, then the reply as it comes, then the log: also when the listener has gone."""
        answer = self._answer(turn, situation, outcome)
        replier = self._replier(turn, situation)
        recorded = False
        try:
            yield Cards(answer)
            replied = replier.reply(outcome, situation.wishes, turn.reply)
            with step("reply"):
                async with aclosing(replied) as updates:
                    async for update in updates:
                        if isinstance(update, Text) and "first_token" not in turn.timings:
                            turn.mark("first_token")
                        yield update
            turn.mark("total")
            answer = answer.model_copy(
                update={"timings_ms": Timings(**turn.timings), "degraded": answer.degraded or turn.reply.degraded}
            )
            recorded = True
            await _to_its_end(self._record(turn, situation, outcome, answer))
            yield Finished(turn.reply.text, answer, turn.reply.usage)
        finally:
            if not recorded:  # the listener left or something broke: what was said still counts
                await _to_its_end(self._record(turn, situation, outcome, answer))

    async def _record(self, turn: _Turn, situation: Situation, outcome: Outcome, answer: Answer) -> None:
        request = turn.request
        if turn.imported:
            await asyncio.to_thread(self._log.record_edit, request.tenant, turn.state.conversation.id, turn.imported)
        past = request.history or messages_of(turn.state)
        said = (*past, PastMessage("user", request.text), PastMessage("assistant", turn.reply.text))
        record = turn_record(situation, outcome, answer, turn.reply, trace_of(situation, outcome, turn.reply))
        record = replace(
            record,
            tenant=request.tenant,
            number=next_number(turn.state),
            message=request.text,
            seed=turn.seed,
            prefix_hash=prefix_hash(said),
        )
        for attempt in range(RECORD_ATTEMPTS):
            try:
                with step("log.record"):
                    await asyncio.to_thread(self._log.record_turn, replace(record, number=record.number + attempt))
                return
            except TurnConflict:
                if attempt == RECORD_ATTEMPTS - 1:
                    raise


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work` also when cancelled meanwhile: the next turn must not begin before this one is stored."""
    task = asyncio.ensure_future(work)
    cut: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("turn_not_stored", error=type(failure).__name__)  # nobody is left who could be told
        raise cut
    task.result()


def _visit(turn: _Turn) -> Visit:
    """Whose turn this is."""
    request, talk = turn.request, turn.state.conversation
    return Visit(request.tenant, talk.id, turn.turn_id, request.key_id, request.user, talk.person_id, talk.status)
