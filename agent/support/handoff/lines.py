"""What is said to the customer when a conversation goes to people and when it is back. Knows nothing of who has it."""

from __future__ import annotations

from datetime import datetime

from agent.answer import HandoffReason
from agent.messages import Messages
from agent.support.handoff.machine import Kind
from agent.support.hours import OfficeHours


def closing_line(reason: HandoffReason, hours: OfficeHours | None, now: datetime, words: Messages) -> str:
    """The one line with which the bot falls silent: what happens next, and when."""
    if reason == "agent":
        return words.text("desk.taken_over")
    if hours is None or not hours.spans:
        when = words.text("desk.unknown")
    elif hours.is_open(now):
        when = words.text("desk.open")
    else:
        when = words.text("desk.closed", when=hours.sentence(now, words))
    line = words.text("desk.closing", when=when)
    sorry = f"desk.sorry_{reason}"
    return f"{words.text(sorry)} {line}" if words.has(sorry) else line


def notice_of_return(ended: Kind | None, words: Messages) -> str:
    """What the first message of the bot's begins with after people had the conversation."""
    keys = {"closed": "desk.ended", "withdrawn": "desk.withdrawn"}
    return words.text(keys.get(ended or "", "desk.returned"))
