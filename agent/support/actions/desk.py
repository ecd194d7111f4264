r"""Orders in a conversation: what is asked, by whom, what would be done, the "yes", and what came of it.

    desk = ActionDesk(orders, policy, ActionLog(log), number=r"RS-\d{5}")      a `DeskPart`

One message is one step: it answers the question that waits, adds what was missing, or asks for something new. Nothing
is changed but by a "yes" in the message after the one that said what would be done. State is in SQL, between a claim
and its outcome too: a process that dies leaves a change whose outcome is looked up. No word of it reaches a model.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from agent.answer import Action
from agent.log.actions import ActionLog, Deed, Place
from agent.preferences import Added
from agent.support.actions.addresses import whole_address
from agent.support.actions.carrying import Carrier
from agent.support.actions.identity import prove
from agent.support.actions.orders import Change, Order, OrderConnector, OrdersUnavailable
from agent.support.actions.policy import Policy, Refusal
from agent.support.actions.proposing import Proposer, says_lines
from agent.support.actions.reading import Heard, PlainAnswer, hear, plain_answer
from agent.support.actions.state import (
    CONFIRM_WITHIN,
    AskKind,
    Before,
    DeskState,
    Doing,
    Proposal,
    Wanted,
    from_bytes,
    to_bytes,
)
from agent.support.actions.telling import Telling
from agent.support.actions.watching import NOBODY, OrdersWatcher
from agent.support.desk import action_of
from agent.turn import Outcome, Situation, Visit
from agent.understand.types import Intent
from retrieval.errors import SettingsError

log = structlog.get_logger(__name__)

KEY_BYTES = 16
_SERVICE: frozenset[Intent] = frozenset({"support", "empty", "out_of_scope", "acknowledge", "undo"})
"""What the rules of the language read in a message that may be about an order; a film's plot is not."""
_OTHERS: frozenset[Intent] = frozenset({"distress", "handoff", "too_long"})
"""Never ours, whatever words are in it."""
_PLACES = frozenset({"country"})
"""Attributes that an address may speak of."""
_ACTIONS: dict[str, AskKind] = {
    "order_status": "status",
    "cancel_order": "cancel",
    "return_order": "return",
    "change_address": "address",
    "undo_change": "undo",
}
"""The names of actions in an `intents.toml`."""


@dataclass(slots=True)
class _Step:
    """One message under way; `state` and `deeds` are stored at its end, `said` goes before what is answered.

    `was_away`: people had the conversation, or were asked for, since the state was stored.
    """

    view: Situation
    place: Place
    tell: Telling
    now: datetime
    seen: int
    state: DeskState
    was_away: bool = False
    deeds: list[Deed] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def turn(self) -> int:
        return self.view.context.turn

    def answer(self, text: str) -> Outcome:
        """Finished text about an order."""
        self.state = replace(self.state, last_turn=self.turn)
        opening = " ".join((*self.said, text))
        action: Action = "ask" if self.state.wanted or self.state.proposal else "answer"
        return Outcome(action, opening=opening, focus=self.view.context.focus, is_wish=False)


class ActionDesk:
    """The part of the help desk that has the orders; implements `agent.support.helpdesk.DeskPart`."""

    def __init__(
        self,
        orders: OrderConnector,
        policy: Policy,
        states: ActionLog,
        *,
        number: str,
        tenant: str = "",
        only_shop: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        watcher: OrdersWatcher = NOBODY,
    ) -> None:
        """`number` is the form of an order number, a regular expression.

        `tenant` and `only_shop` say whose orders they are: nobody else is served; "" serves all.

        Raises:
            SettingsError: `number` is no regular expression.
        """
        self._orders = orders
        self._policy = policy
        self._states = states
        self._number = order_number(number)
        self._tenant, self._only_shop = tenant, only_shop
        self._clock = clock
        self._proposer = Proposer(policy)
        self._carrier = Carrier(orders, watcher)
        self._watcher = watcher

    def before(self, view: Situation) -> Outcome | None:
        """See `DeskPart.before`."""
        if view.visit is None or not self._is_open(view, view.visit):
            return None
        step = self._begin(view, view.visit)
        begun = step.state
        outcome = self._one_step(step)
        if outcome is None and step.said:  # somebody else answers: what became of the question is said all the same
            step.state = replace(step.state, note=" ".join(step.said), note_turn=step.turn)
        if (step.state != begun or step.deeds) and not self._save(step):
            return step.answer(step.tell.say("busy"))
        return outcome

    def after(self, view: Situation, outcome: Outcome) -> Outcome:
        """See `DeskPart.after`: says what lapsed, and offers to look at an order where one was asked about."""
        silent = outcome.action == "handoff" and not outcome.opening  # people have it: not a word of ours
        if silent or view.visit is None or not self._is_open(view, view.visit):
            return outcome
        step = self._begin(view, view.visit)
        if step.state.note_turn == step.turn and step.state.note and view.understanding.intent != "distress":
            outcome = replace(outcome, opening=f"{step.state.note} {outcome.opening}".strip())
        heard = self._hear(view)
        if heard.kind in (None, "undo") or heard.faulty or not _is_help(view, outcome):
            return outcome
        wanted = _wanted(replace(heard, kind="status") if heard.general else heard, step)
        step.state = replace(step.state, wanted=wanted, last_turn=step.turn)
        if not self._save(step):
            return outcome
        return replace(outcome, closing=f"{outcome.closing} {step.tell.say('offer')}".strip())

    def _is_open(self, view: Situation, visit: Visit) -> bool:
        """Not while people have the conversation or the assistant is paused, nor for another tenant or shop."""
        ours = self._tenant in ("", visit.tenant) and self._only_shop in ("", view.shop.name)
        return ours and visit.status == "bot" and not view.shop.paused

    def _begin(self, view: Situation, visit: Visit) -> _Step:
        tell = Telling(view.wording.words, self._policy)
        place = Place(visit.tenant, visit.session_id, visit.turn_id, visit.person_id)
        stored = self._states.load(place)
        state, trail = from_bytes(stored.plain), self._states.handed_over(place)
        was_away = trail != state.trail
        state = replace(state, trail=trail, wanted=None if was_away else state.wanted)
        return _Step(view, place, tell, self._clock(), stored.version, state, was_away)

    def _save(self, step: _Step) -> bool:
        if not self._states.save(step.place, step.seen, to_bytes(step.state), step.deeds):
            return False
        step.seen, step.deeds = step.seen + 1, []
        return True

    def _hear(self, view: Situation) -> Heard:
        """The rules, then the shop's own examples."""
        heard = hear(view.text, self._number)
        if heard.kind is None and not heard.negated:
            kind = _ACTIONS.get(action_of(view, view.shop.intents))
            heard = replace(heard, kind=kind) if kind else heard
        return heard

    def _one_step(self, step: _Step) -> Outcome | None:
        said = plain_answer(step.view.text)
        heard = Heard(None) if said else self._hear(step.view)
        if step.view.understanding.intent in _OTHERS:
            said, heard = None, Heard(None)
        open_ = self._settle(step)
        if open_ and (said or self._is_ours(step, heard)):
            return step.answer(step.tell.say("unknown", order=open_))
        if step.state.proposal is not None and (outcome := self._answered(step, step.state.proposal, said, heard)):
            return outcome
        if said:
            return self._after_all(step, said)
        return self._asked(step, heard)

    def _settle(self, step: _Step) -> str:
        """Find out what became of a change without an answer; the order's number while nobody knows."""
        doing = step.state.doing
        if doing is None:
            return ""
        settled = self._carrier.settle(doing, step.now)
        if settled is None:
            return doing.change.order_id
        done = doing.done(step.turn) if settled.made else step.state.done
        step.state = replace(step.state, doing=None, done=done)
        step.deeds.append(settled.deed)
        step.said.append(step.tell.say("made_after_all" if settled.made else "not_made", order=doing.change.order_id))
        return ""

    def _answered(self, step: _Step, asked: Proposal, said: PlainAnswer | None, heard: Heard) -> Outcome | None:
        """What the message makes of the question before it; None: it speaks of something else, which is answered."""
        step.state = replace(step.state, proposal=None)
        in_time = not step.was_away and asked.turn == step.turn - 1 and step.now - asked.at < CONFIRM_WITHIN
        if said == "yes" and in_time and asked.change.order_id in step.state.proven(step.now):
            return self._confirmed(step, asked)
        step.deeds.append(Deed(asked.change.kind, "declined", asked.change.order_id, asked.key))
        if said == "yes":
            return step.answer(step.tell.say("expired"))
        not_done = step.tell.not_done(asked.change)
        if said == "no" or heard.kind == "undo" or step.view.understanding.intent == "undo":
            return step.answer(not_done)
        if heard.kind != asked.change.kind:
            step.said.append(not_done)
        return None

    def _confirmed(self, step: _Step, asked: Proposal) -> Outcome:
        """The change, if it is still the one that was put into words."""
        try:
            order = self._orders.look_up(asked.change.order_id)
        except OrdersUnavailable as error:
            return self._down(step, error)
        if order is None:
            return step.answer(step.tell.say("refused_by_shop", order=asked.change.order_id))
        fresh = self._proposer.again(asked, order, step.now)
        if isinstance(fresh, Refusal):
            return step.answer(step.tell.refusal(fresh, order))
        if fresh != asked.change:
            step.said.append(step.tell.say("changed_meanwhile", order=order.id))
            return self._propose(step, fresh, order)
        doing, proofs = asked.doing(step.now), step.state.with_proof(order.id, step.now)
        step.state = replace(step.state, doing=doing, proofs=proofs, wanted=None)
        step.deeds.append(Deed(fresh.kind, "started", order.id, asked.key))
        if not self._save(step):  # the claim: of two that come this far with one question, one goes on
            return Outcome("answer", opening=step.tell.say("busy"), focus=step.view.context.focus, is_wish=False)
        return self._carry_out(step, doing)

    def _carry_out(self, step: _Step, doing: Doing) -> Outcome:
        result = self._carrier.carry_out(doing)
        step.deeds.append(result.deed)
        if result.is_open:
            return step.answer(step.tell.say("unknown", order=doing.change.order_id))
        step.state = replace(step.state, doing=None, done=doing.done(step.turn) if result.made else step.state.done)
        if result.made:
            return step.answer(step.tell.done(doing.change))
        key = "down" if result.deed.result == "failed" else "refused_by_shop"
        return step.answer(step.tell.say(key, order=doing.change.order_id))

    def _after_all(self, step: _Step, said: PlainAnswer) -> Outcome | None:
        """A plain yes or no to no question of ours: a yes again, or no to what we asked for; else not our business."""
        state = step.state
        if said == "yes" and state.done is not None and state.done.turn == state.last_turn == step.turn - 1:
            step.state = replace(state, done=replace(state.done, turn=step.turn))
            return step.answer(step.tell.say("already_done"))
        if said == "no" and state.wanted is not None and state.last_turn == step.turn - 1:
            step.state = replace(state, wanted=None)
            return step.answer(step.tell.say("left"))
        step.state = replace(state, wanted=None)
        return None

    def _asked(self, step: _Step, heard: Heard) -> Outcome | None:
        """An ask, or what was missing of one."""
        wanted = self._waiting(step)
        address = whole_address(step.view.text) if wanted is not None and wanted.kind == "address" else ""
        address = "" if _is_wish(step.view, _PLACES) else address
        films = wanted is not None and heard.kind is None and self._names_films(step, wanted, heard)
        if wanted is not None and (heard.names_order or films or (address and heard.kind is None)):
            kind = heard.kind or wanted.kind
            same = kind == wanted.kind
            merged = replace(
                wanted,
                kind=kind,
                turn=step.turn,
                at=step.now,
                order_id=heard.order_id or wanted.order_id,
                email=heard.email or wanted.email,
                address=heard.address or ("" if heard.names_order else address) or (wanted.address if same else ""),
                words=wanted.words if same and heard.kind is None and not films else heard.words,
            )
            return self._pursue(step, merged)
        step.state = replace(step.state, wanted=None)
        if not self._is_ours(step, heard):
            return None
        return self._pursue(step, _wanted(heard, step), heard)

    def _waiting(self, step: _Step) -> Wanted | None:
        """What was asked for in the message before and still misses something."""
        wanted = step.state.wanted
        if wanted is None or wanted.turn != step.turn - 1 or step.now - wanted.at >= CONFIRM_WITHIN:
            return None
        return wanted

    def _names_films(self, step: _Step, wanted: Wanted, heard: Heard) -> bool:
        """Whether the message answers which films of a proven order are to go back."""
        if wanted.kind != "return" or wanted.order_id not in step.state.proven(step.now):
            return False
        try:
            order = self._orders.look_up(wanted.order_id)
        except OrdersUnavailable:
            return False
        return order is not None and says_lines(order, heard.words)

    def _is_ours(self, step: _Step, heard: Heard) -> bool:
        """Whether the message asks for something to be done with an order, or just names one."""
        if heard.order_id or heard.kind is None or heard.faulty:  # what becomes of a faulty disc the articles tell
            return bool(heard.order_id) and not heard.faulty
        done, just_before = step.state.done is not None, step.state.last_turn == step.turn - 1
        is_service = step.view.understanding.intent in _SERVICE
        if heard.kind == "undo":  # no more than "undo that" may be of a search since then
            return done and (just_before or heard.of_order)
        if just_before and (done or step.state.proven(step.now)):
            meant = heard.plain or (not _is_wish(step.view) and (is_service or heard.of_order))
            return meant and (heard.points or not heard.general)
        if heard.general or heard.kind == "status":  # the articles answer, and `after` offers to look
            return False
        if heard.kind == "cancel" and not heard.of_order:  # "cancel that" is of the search
            return False
        return heard.plain or is_service

    def _pursue(self, step: _Step, wanted: Wanted, heard: Heard | None = None) -> Outcome:
        """Ask for what is missing, prove whose order it is, then the ask itself."""
        state, tell = step.state, step.tell
        if wanted.kind == "undo" and state.done is None:
            return step.answer(tell.say("no_undo"))
        proven = state.proven(step.now)
        if not wanted.order_id and not wanted.email:
            own = state.done.change.order_id if wanted.kind == "undo" and state.done is not None else None
            wanted = replace(wanted, order_id=own or (proven[0] if proven else ""))
        if not wanted.order_id or (wanted.order_id not in proven and not wanted.email):
            step.state = replace(state, wanted=wanted)
            if wanted.order_id:
                return step.answer(tell.say("ask_email", order=wanted.order_id))
            return step.answer(tell.say("ask_number" if wanted.email else "ask_both"))
        try:
            order = self._order_of(step, wanted, known=wanted.order_id in proven)
        except OrdersUnavailable as error:
            return self._down(step, error)
        if isinstance(order, str):
            return step.answer(tell.say(order))
        step.state = replace(step.state, proofs=step.state.with_proof(order.id, step.now), wanted=None)
        return self._serve(step, wanted, order, opened=heard is not None and heard.opened)

    def _order_of(self, step: _Step, wanted: Wanted, *, known: bool) -> Order | str:
        """The order, or the key of why it is not shown."""
        if known:
            return self._orders.look_up(wanted.order_id) or "not_proven"
        proven = prove(self._states, self._orders, step.place, wanted.order_id, wanted.email, step.now)
        if proven.order is not None:
            return proven.order
        self._watcher.proof_failed(proven.verdict)
        keep = replace(wanted, order_id="", email="")
        step.state = replace(step.state, wanted=None if proven.verdict == "locked" else keep)
        return "locked" if proven.verdict == "locked" else "not_proven"

    def _serve(self, step: _Step, wanted: Wanted, order: Order, *, opened: bool) -> Outcome:
        """What is asked for, with an order that is the customer's."""
        if wanted.kind == "status":
            return step.answer(step.tell.status(order, step.now.date()))
        if wanted.kind == "return" and opened and self._policy.sealed_only:
            return step.answer(step.tell.refusal(Refusal("no_return_opened"), order))
        found = self._proposer.change(wanted, order, step.state.done, step.now)
        if found is None:
            step.state = replace(step.state, wanted=replace(wanted, order_id=order.id, turn=step.turn, at=step.now))
            if wanted.kind == "return":
                return step.answer(step.tell.which_films(order))
            return step.answer(step.tell.say("ask_address", order=order.id))
        if isinstance(found, Refusal):
            return step.answer(step.tell.refusal(found, order))
        return self._propose(step, found, order)

    def _propose(self, step: _Step, change: Change, order: Order) -> Outcome:
        """Put the change into words; only the very next message can confirm it."""
        proposal = Proposal(secrets.token_hex(KEY_BYTES), change, Before.of(order), step.turn, step.now)
        step.state = replace(step.state, proposal=proposal, wanted=None)
        step.deeds.append(Deed(change.kind, "asked", order.id, proposal.key))
        return step.answer(step.tell.proposal(change, order))

    def _down(self, step: _Step, error: OrdersUnavailable) -> Outcome:
        """The system does not answer: what was asked for is kept for the next message."""
        self._watcher.connector_failed(type(error).__name__)
        log.warning("orders_unavailable", error=type(error).__name__)
        return step.answer(step.tell.say("down"))


def order_number(form: str) -> re.Pattern[str]:
    """The shop's order numbers as they are found in words.

    Raises:
        SettingsError: `form` is no regular expression.
    """
    try:
        return re.compile(rf"(?<![A-Za-z0-9])(?:{form})(?![A-Za-z0-9])", re.IGNORECASE)
    except re.error as error:
        raise SettingsError(f"The setting 'support.orders.number' is no regular expression ({error}).") from None


def _is_wish(view: Situation, but: frozenset[str] = frozenset()) -> bool:
    """Whether the message tells what films are wanted: it names one, or what they should be."""
    understood = view.understanding
    told = [fact for fact in understood.facts if not (isinstance(fact, Added) and fact.preference.attribute in but)]
    return understood.intent not in _SERVICE and bool(told or understood.item_ids)


def _is_help(view: Situation, outcome: Outcome) -> bool:
    """Whether the articles answered, or could not, a question about the service."""
    return outcome.action == "answer" and view.understanding.intent == "support"


def _wanted(heard: Heard, step: _Step) -> Wanted:
    return Wanted(heard.kind or "status", step.turn, step.now, heard.order_id, heard.email, heard.address, heard.words)
