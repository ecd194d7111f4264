"""The help desk's part that knows who has a conversation: silence while people do, and the ways to them.

Asked first of all parts. Looks again before an answer goes out, so that nobody is answered whom people have taken over
meanwhile. Knows nothing of SQL.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Final

from agent.answer import HandoffReason
from agent.confidence import PERSON
from agent.support.desk import action_of
from agent.support.handoff.keeping import BOT, CUSTOMER, Handoffs, Trail, Words
from agent.support.handoff.lines import notice_of_return
from agent.support.handoff.machine import Happening
from agent.support.handoff.mood import mood_of
from agent.support.handoff.taking_back import takes_back
from agent.thresholds import thresholds
from agent.turn import Outcome, Situation, Visit
from agent.understand.types import Intent, Understanding

ACTION: Final = "handoff"
"""What an intent of the shop's does (`action = "handoff"`) whose messages people should answer."""
OFFERS: Final = 2
"""So many times the turns after which a person is offered: then one is called without asking again."""
_NOT_ANGER: Final[frozenset[Intent]] = frozenset({"distress", "too_long", "more", "show_anyway"})


class HandoffPart:
    """Implements `agent.support.helpdesk.DeskPart`; decisions outside of a stored conversation are left alone."""

    def __init__(self, handoffs: Handoffs) -> None:
        self._handoffs = handoffs

    def before(self, view: Situation) -> Outcome | None:
        """Silence, the closing line, or the sentence that nobody can be called."""
        visit = view.visit
        if visit is None:
            return None
        trail = self._handoffs.trail(visit.tenant, visit.session_id)
        if trail.state.phase == "waiting" and takes_back(view.text):
            return self._taken_back(view, visit)
        if trail.state.phase != "bot" or visit.status != "bot":  # the latter: given back since the message came
            return self._silence(view, visit)
        reason = self._reason(view)
        if reason is None:
            return None
        if self._handoffs.possible:
            return self._hand_over(view, visit, reason)
        if reason != "asked":
            return None
        line = self._handoffs.impossible_line(view.wording.words)
        return self._told(view, visit, trail, Outcome("handoff", opening=line, focus=view.context.focus))

    def after(self, view: Situation, outcome: Outcome) -> Outcome:
        """A handoff where the bot gave up or another part asks for one; else the notice, where one is due."""
        visit = view.visit
        if visit is None:
            return outcome
        trail = self._handoffs.trail(visit.tenant, visit.session_id)
        if trail.state.phase != "bot":
            return self._silence(view, visit, unsaid=outcome)
        wanted = outcome.action == "handoff" and outcome.handoff is None
        if self._handoffs.possible:
            if wanted:
                return self._hand_over(view, visit, "policy", outcome.opening)
            if _gave_up(view, outcome):
                return self._hand_over(view, visit, "doubt")
        elif wanted:
            line = self._handoffs.impossible_line(view.wording.words)
            outcome = replace(outcome, opening=f"{outcome.opening} {line}".strip())
        return self._told(view, visit, trail, outcome)

    def _reason(self, view: Situation) -> HandoffReason | None:
        intent = view.understanding.intent
        if intent == "handoff":
            return "asked"
        if action_of(view, view.shop.intents) == ACTION:
            return "policy"
        if intent in _NOT_ANGER or _is_wish(view.understanding):
            return None
        return "anger" if mood_of(view.text) == "angry" else None

    def _hand_over(self, view: Situation, visit: Visit, reason: HandoffReason, opening: str = "") -> Outcome:
        event = Happening("asked", visit.turn_id, reason=reason)
        applied = self._handoffs.hand_over(
            visit.tenant, visit.session_id, event, view.understanding.language, view.text, visit.turn_id
        )
        if "closing_line" not in applied.effects or applied.entry is None:  # another replica was first
            return self._silence(view, visit)
        parts = [opening, applied.entry.text or ""]
        if "notice_of_return" in applied.effects:
            parts.insert(0, notice_of_return(None, view.wording.words))
        return self._quiet(view, visit, " ".join(part for part in parts if part))

    def _taken_back(self, view: Situation, visit: Visit) -> Outcome:
        """The customer goes on with the bot; silence where somebody of the team was faster."""
        event = Happening("withdrawn", f"withdrawn/{visit.turn_id}", by=CUSTOMER)
        if self._handoffs.apply(visit.tenant, visit.session_id, event).state.phase != "bot":
            return self._silence(view, visit)
        trail = self._handoffs.trail(visit.tenant, visit.session_id)
        return self._told(view, visit, trail, Outcome("chat", focus=view.context.focus))

    def _silence(self, view: Situation, visit: Visit, unsaid: Outcome | None = None) -> Outcome:
        """No word; the team hears what was said. Where they gave it back this very moment, only that is told.

        `unsaid` is what was decided before they took it: the team reads it, for an order may have been changed.
        """
        event, words = Happening("said", visit.turn_id), Words(view.text, turn_id=visit.turn_id)
        applied = self._handoffs.apply(visit.tenant, visit.session_id, event, words)
        if "silence" not in applied.effects:
            notice = notice_of_return(applied.state.ended, view.wording.words)
            return Outcome("chat", opening=notice, focus=view.context.focus)
        if unsaid is not None and not unsaid.is_wish:  # the desk of orders had something to say
            note = Happening("noted", f"unsaid/{visit.turn_id}", by=BOT)
            text = view.wording.words.text("packet.unsaid", text=f"{unsaid.opening} {unsaid.closing}".strip())
            self._handoffs.apply(visit.tenant, visit.session_id, note, Words(text, turn_id=visit.turn_id))
        return self._quiet(view, visit, "")

    def _quiet(self, view: Situation, visit: Visit, text: str) -> Outcome:
        public = self._handoffs.view(self._handoffs.trail(visit.tenant, visit.session_id))
        return Outcome("handoff", opening=text, focus=view.context.focus, handoff=public)

    def _told(self, view: Situation, visit: Visit, trail: Trail, outcome: Outcome) -> Outcome:
        """With the notice that the bot answers again, on the first message after people had the conversation."""
        if not trail.state.notice_due:
            return outcome
        applied = self._handoffs.apply(visit.tenant, visit.session_id, Happening("said", visit.turn_id))
        if "silence" in applied.effects:
            return self._silence(view, visit)
        if "notice_of_return" not in applied.effects:
            return outcome
        notice = notice_of_return(trail.state.ended, view.wording.words)
        return replace(outcome, opening=f"{notice} {outcome.opening}".strip())


def _is_wish(understanding: Understanding) -> bool:
    """Whether something is wished for: whoever swears and asks for items is shown items."""
    return bool(understanding.facts or understanding.doubtful or understanding.item_ids)


def _gave_up(view: Situation, outcome: Outcome) -> bool:
    """Whether a person was offered and the turns go on being lost: this one and those before it."""
    confidence = outcome.confidence
    if confidence is None or not confidence.lost or PERSON not in view.asked:
        return False
    needed = OFFERS * thresholds().handing_over.turns - 1
    before = list(islice(view.lost(), needed))
    return len(before) == needed and all(before)
