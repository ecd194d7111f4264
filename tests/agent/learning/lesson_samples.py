"""Talks in a real log: somebody says something, items are shown, and one of them is taken."""

from __future__ import annotations

from dataclasses import dataclass

from agent.log.records import Conversation, Feedback, ShownRow, TurnRecord
from agent.log.store import EventLog
from agent.preferences import Added, Fact, Preference


def likes(item_id: str, *, turn: int = 1, polarity: str = "positive") -> Added:
    return Added(Preference(f"t{turn}-{item_id}", "soft", None, "like", (item_id,), polarity, "said", turn))  # type: ignore[arg-type]


@dataclass
class Customer:
    """Talks and reacts; `talk` is the conversation that goes on."""

    log: EventLog
    name: str | None
    talk: Conversation
    turn_id: str = ""
    turns: int = 0

    @classmethod
    def arrives(cls, log: EventLog, name: str | None, *, tenant: str = "default", key_id: str = "") -> Customer:
        return cls(log, name, log.start_conversation(tenant, key_id, name))

    def says(self, message: str, *shown: str, reply: str = "Here you are.", facts: tuple[Fact, ...] = ()) -> str:
        """A turn that shows items; gives its id."""
        self.turns += 1
        self.turn_id = self.log.new_turn_id(self.talk.tenant)
        rows = tuple(ShownRow(item_id, position) for position, item_id in enumerate(shown, 1))
        self.log.record_turn(
            TurnRecord(
                self.talk.tenant,
                self.talk.id,
                self.turn_id,
                self.turns,
                message,
                reply,
                "recommend",
                "recommend",
                "en",
                "",
                facts=facts,
                shown=rows,
            )
        )
        return self.turn_id

    def does(self, kind: str, item_id: str | None, turn_id: str = "", of: str | None = None) -> None:
        feedback = Feedback(turn_id or self.turn_id, kind, item_id, of)
        assert self.log.record_feedback(self.talk.tenant, self.talk.key_id, feedback).stored

    def takes(self, message: str, item_id: str, kind: str = "accept") -> Customer:
        """Says something, is shown the item, and takes it."""
        self.says(message, item_id)
        self.does(kind, item_id)
        return self


def take(log: EventLog, name: str | None, message: str, item_id: str, **where: str) -> Customer:
    """In a conversation of its own."""
    return Customer.arrives(log, name, **where).takes(message, item_id)
