"""What a conversation about orders stands at between two messages. Knows nothing of how it is kept or reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from agent.support.actions.orders import Change, Order

AskKind: TypeAlias = Literal["status", "cancel", "return", "address", "undo"]
"""What can be asked for; "undo" takes back the change made last."""

CONFIRM_WITHIN = timedelta(minutes=10)
"""A question that waits longer is not answered by a "yes" any more."""
PROOF_HOLDS = timedelta(minutes=30)
"""Since it was used last: somebody who left the page open must prove themselves again."""

_Change: TypeAlias = Annotated[Change, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the customer asked for while something is missing: the number, the e-mail address, the new address.

    `words` are the message's, to find the films in them. `turn` is the number of the last message about it.
    """

    kind: AskKind
    turn: int
    at: datetime
    order_id: str = ""
    email: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    words: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """Whose order it is has been proven in this conversation."""

    order_id: str
    used: datetime

    def holds(self, now: datetime) -> bool:
        """Whether it still counts."""
        return now - self.used < PROOF_HOLDS


@dataclass(frozen=True, slots=True)
class Before:
    """Where an order went before its address was changed: what "undo" brings back."""

    address: str = field(repr=False)
    country: str

    @classmethod
    def of(cls, order: Order) -> Before:
        """Of the order as it is now."""
        return cls(order.address, order.country)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that was put into words in turn `turn` and waits for a "yes" in the very next message."""

    key: str
    change: _Change
    before: Before
    turn: int
    at: datetime

    def doing(self, now: datetime) -> Doing:
        """The change, confirmed."""
        return Doing(self.key, self.change, self.before, now)


@dataclass(frozen=True, slots=True)
class Doing:
    """A confirmed change that was sent; in the state only until it is known what became of it."""

    key: str
    change: _Change
    before: Before
    at: datetime

    def done(self, turn: int) -> Done:
        """The change, made; `turn` is the one that says so."""
        return Done(self.key, self.change, self.before, turn, self.at)


@dataclass(frozen=True, slots=True)
class Done:
    """The change made last, in turn `turn`."""

    key: str
    change: _Change
    before: Before
    turn: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DeskState:
    """All of it. `note` is what the answer of turn `note_turn` must say first, whoever gives it.

    `last_turn` is the last one that was about orders. `trail` is the version of what was between bot and people.
    """

    wanted: Wanted | None = None
    proofs: tuple[Proof, ...] = ()
    proposal: Proposal | None = None
    doing: Doing | None = None
    done: Done | None = None
    note: str = field(default="", repr=False)
    note_turn: int = 0
    last_turn: int = 0
    trail: int = 0

    def proven(self, now: datetime) -> tuple[str, ...]:
        """The orders whose proof holds, the one used last first."""
        return tuple(proof.order_id for proof in self.proofs if proof.holds(now))

    def with_proof(self, order_id: str, now: datetime) -> tuple[Proof, ...]:
        """The proofs with that of an order used now, first; those that do not hold are gone."""
        others = (proof for proof in self.proofs if proof.order_id != order_id and proof.holds(now))
        return (Proof(order_id, now), *others)


@cache
def _codec() -> TypeAdapter[DeskState]:
    return TypeAdapter(DeskState)


def to_bytes(state: DeskState) -> bytes:
    """JSON."""
    return _codec().dump_json(state)


def from_bytes(stored: bytes | None) -> DeskState:
    """What `to_bytes` was given; the empty state where nothing is stored, or what another version wrote."""
    if stored is None:
        return DeskState()
    try:
        return _codec().validate_json(stored)
    except ValueError:
        return DeskState()
