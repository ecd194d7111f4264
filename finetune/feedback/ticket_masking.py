"""Personal data out of past tickets: what every text is masked of, and what letters have besides.

The names that somebody is greeted by or signs with, whoever answered, and order numbers. Too eager rather than too
lazy: "hi quickly," is a name. Not covered: what finetune/feedback/masking.py does not cover either.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from agent.log.tickets import PastTicket
from finetune.feedback.masking import NAMES, Mask

PERSON: Final = NAMES["PERSON"]
ORDER: Final = "[order]"
_NOBODY = (
    "(?i:there|again|all|both|team|everyone|everybody|folks|guys|support|service|customers?|sirs?|madam|ladies|shop|"
    "please|thanks|good|how|what|where|when|why|can|could|i|we|you|my|the)"
)
_NAME = rf"(?:(?:Mr|Mrs|Ms|Dr)\.?[ \t]+)?(?!{_NOBODY}\b)[A-Z][\w'\u2019-]+(?:[ \t]+[A-Z][\w'\u2019-]+)?"
_SMALL = rf"(?:(?:mr|mrs|ms|dr)\.?[ \t]+)?(?!{_NOBODY}\b)[a-z][\w'\u2019-]+"
_GREETED = re.compile(
    rf"\b((?:(?i:dear|hi|hello|hey|good (?:morning|afternoon|evening)|thank you|thanks)[ ,]+)(?={_NAME})"
    rf"|(?i:dear|hi|hello|hey) +)(?:{_NAME}|{_SMALL}(?:[ \t]+(?!{_NOBODY}\b)[a-z][\w'\u2019-]+)?)"
    r"(?=[ \t]*(?:[,!.:;\n\u2013-]|$))"
)
_INTRODUCED = re.compile(
    r"\b((?:i['\u2019]?m|i am|this is)\s+)([a-z][\w'\u2019-]+)(?:(\s+)([a-z][\w'\u2019-]+))?", re.IGNORECASE
)
_SIGNED = re.compile(
    rf"\b((?:[Rr]egards|[Ww]ishes|[Ss]incerely|[Cc]heers|[Bb]est|[Tt]ruly)\s*[,!]?\s+){_NAME}(?=\s*(?:[,!.\n]|$))"
)
_ORDER = re.compile(
    r"(\border\s+(?:no\.?\s*|nr\.?\s*|number\s+|id\s+)?(?:is\s+|was\s+)?:?\s*#?)\d{4,}\b|\b[a-z]{1,4}-?\d{4,}\b|#\d{4,}\b",
    re.IGNORECASE,
)
_TWICE = re.compile(rf"{re.escape(PERSON)}(?:\s+{re.escape(PERSON)})+")
_MIN_LETTERS = 3


def masked_ticket(ticket: PastTicket, mask: Mask, number: re.Pattern[str] | None = None) -> PastTicket:
    """The ticket with question and answer masked; the rest is not shown to anybody.

    `number` is the form of the shop's order numbers, beside the usual ones.
    """
    agent = [word for word in re.findall(r"[^\W\d_]+", ticket.agent) if len(word) >= _MIN_LETTERS]
    answered_by = re.compile(rf"\b(?:{'|'.join(map(re.escape, agent))})\b") if agent else None

    def clean(text: str) -> str:
        text = _SIGNED.sub(rf"\1{PERSON}", _GREETED.sub(rf"\1{PERSON}", text))
        text = _INTRODUCED.sub(lambda said: _introduced(said, mask), text)
        text = _ORDER.sub(lambda found: f"{found[1] or ''}{ORDER}", text if number is None else number.sub(ORDER, text))
        text = mask(text if answered_by is None else answered_by.sub(PERSON, text))
        return _TWICE.sub(PERSON, text).strip()

    return replace(ticket, question=clean(ticket.question), answer=clean(ticket.answer))


def _introduced(said: re.Match[str], mask: Mask) -> str:
    """Of "i'm anna schmidt": a name where the mask takes the same words for one that begin with capitals."""
    before, first, between, second = said.groups()
    for words, rest in ((f"{first} {second}", ""), (first, f"{between}{second}")) if second else ((first, ""),):
        if PERSON in mask(f"We met {words.title()} today."):
            return f"{before}{PERSON}{rest}"
    return said[0]
