"""Personal data out of past tickets: what every text is masked of, and what letters have besides.

The names that somebody is greeted by or signs with, whoever answered, and order numbers. Not covered: what
finetune/feedback/masking.py does not cover either.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from agent.log.tickets import PastTicket
from finetune.feedback.masking import NAMES, Mask

PERSON: Final = NAMES["PERSON"]
ORDER: Final = "[order]"
_NOBODY = "There|All|Team|Customer|Sir|Madam"
_NAME = rf"(?:(?:Mr|Mrs|Ms|Dr)\.?\s+)?(?!(?:{_NOBODY})\b)[A-Z][\w'\u2019-]+(?:\s+[A-Z][\w'\u2019-]+)?"
_GREETED = re.compile(
    rf"\b((?:[Dd]ear|[Hh]i|[Hh]ello|[Hh]ey|[Gg]ood (?:morning|afternoon|evening)|[Tt]hank you|[Tt]hanks)[ ,]+){_NAME}"
    r"(?=\s*(?:[,!.:;\u2013-]|$))"
)
_SIGNED = re.compile(
    rf"\b((?:[Rr]egards|[Ww]ishes|[Ss]incerely|[Cc]heers|[Bb]est|[Tt]ruly)\s*[,!]?\s+){_NAME}(?=\s*(?:[,!.\n]|$))"
)
_ORDER = re.compile(r"\b[A-Z]{1,4}-?\d{4,}\b|#\d{4,}\b")
_TWICE = re.compile(rf"{re.escape(PERSON)}(?:\s+{re.escape(PERSON)})+")
_MIN_LETTERS = 3


def masked_ticket(ticket: PastTicket, mask: Mask) -> PastTicket:
    """The ticket with question and answer masked; the rest is not shown to anybody."""
    agent = [word for word in re.findall(r"[^\W\d_]+", ticket.agent) if len(word) >= _MIN_LETTERS]
    answered_by = re.compile(rf"\b(?:{'|'.join(map(re.escape, agent))})\b") if agent else None

    def clean(text: str) -> str:
        text = _ORDER.sub(ORDER, _SIGNED.sub(rf"\1{PERSON}", _GREETED.sub(rf"\1{PERSON}", text)))
        text = mask(text if answered_by is None else answered_by.sub(PERSON, text))
        return _TWICE.sub(PERSON, text).strip()

    return replace(ticket, question=clean(ticket.question), answer=clean(ticket.answer))
