"""Rows of past tickets: what the team answered, in words to learn from.

One `sft` row for each: the customer's question, the best answer. What they count is bounded as everything is
(finetune/feedback/trust.py): all tickets without a customer share one bound, so that ten years of tickets do not drown
a month of chats. No skill of serving asks so yet, whose support answers are quotes; the gate says whether an adapter
that learned them does its other work as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from agent.llm.protocol import Message, Prompt
from agent.log.opinions import ticket_source
from agent.log.tickets import LoggedTicket
from finetune.feedback.rows import Draft, Whose
from finetune.feedback.talks import View
from finetune.feedback.types import FeedbackRow, period_of
from retrieval.text import fold

SYSTEM: Final = "Answer the customer's question as the shop's support team does, briefly and politely."
WEIGHT: Final = 0.5
"""An agent's words, which nobody has rated here: less than a correction, as much as a thumb. Not tuned."""
NOBODYS: Final = "tickets"
"""Under which those without a customer are counted together."""


def ticket_drafts(tickets: Iterable[LoggedTicket], view: View, whose: Whose) -> Iterator[Draft]:
    """A row of each ticket in a language that the model reads, masked once more: the catalogue may have grown."""
    for ticket in tickets:
        if ticket.language not in ("en", ""):
            view.left_out["tickets in a language that the model does not read"] += 1
            continue
        source = ticket_source(ticket.event_id, ticket.person_id)
        question, answer = view.mask(ticket.question).strip(), view.mask(ticket.answer).strip()
        if not question or not answer:
            view.left_out["tickets that were personal data alone"] += 1
            continue
        row = FeedbackRow(
            kind="sft",
            skill="support",
            signal="ticket",
            prompt=Prompt((Message("system", SYSTEM), Message("user", question)), ""),
            answers=(answer,),
            good=(0,),
            weight=WEIGHT,
            user=whose.pseudonym(source.customer),
            counts_as=whose.pseudonym(NOBODYS if ticket.person_id is None else source.customer),
            tenant=whose.tenant,
            domain=whose.domain,
            period=period_of(ticket.at),
            at=ticket.at,
            turn_id="",
            events=(ticket.event_id,),
        )
        words = " ".join(fold(question).split())
        yield Draft(row, words, ticket.at, source.customer, source.session_id or "")
