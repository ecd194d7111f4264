"""Which adapter is what, told from the moves alone: one champion always, whoever died in the middle of what.

The champion is an adapter of the tenant's or None, the one of the settings (the starter), which is the first. A move is
one row, so there is no moment between two states. Knows no files, no engines and no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent.adapters.manifest import AdapterState
from agent.log.adapters import Move


@dataclass(frozen=True, slots=True)
class Canary:
    """An adapter on trial: it answers `share` of the conversations. The others say when its trial began."""

    adapter: str
    share: float
    version: int
    after_turn: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What all moves came to. `before`: the champions below this one, the last at the end; a rollback takes that.

    `states` are of the adapters that were ever moved; others have the gate's word alone. `version` is the last move's.
    """

    champion: str | None = None
    canary: Canary | None = None
    before: tuple[str | None, ...] = ()
    states: Mapping[str, AdapterState] = field(default_factory=dict)
    version: int = 0

    def state_of(self, adapter: str, *, passed: bool) -> AdapterState:
        """`passed`: whether the gate let it through."""
        return self.states.get(adapter, "candidate") if passed else "rejected"

    @property
    def in_use(self) -> frozenset[str]:
        """Whose files must stay: champion, canary, and the champion that a rollback takes."""
        names = {self.champion, self.canary.adapter if self.canary else None, *self.before[-1:]}
        return frozenset(name for name in names if name is not None)


def standing_after(moves: Iterable[Move]) -> Standing:
    """Fold the moves, oldest first."""
    now = Standing()
    for move in moves:
        now = replace(_after(now, move), version=move.version)
    return now


def is_canarys(canary: Canary, session_id: str) -> bool:
    """Whether a conversation is one of the canary's share: the same answer in every process, for its whole trial.

    By rank in [0, 1) of a hash, so that a larger share keeps those who are in. The canary's name is part of it: the
    same customers are not on trial every time.
    """
    digest = hashlib.sha256(f"{canary.adapter} {session_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < canary.share


def _after(now: Standing, move: Move) -> Standing:
    name = move.adapter
    match move.kind:
        case "begun":
            return now
        case "canary" if name is not None:
            told = _ended(now)
            trial = Canary(name, move.share, move.version, move.after_turn, move.at)
            return replace(told, canary=trial, states={**told.states, name: "canary"})
        case "withdrawn":
            return _ended(now)
        case "promoted":
            told = _succeeded(_ended(now), name)
            return replace(told, before=(*now.before, now.champion))
        case "rolled_back":
            told = _succeeded(_ended(now), name)
            below = list(now.before)
            while below and below.pop() != name:
                pass
            return replace(told, before=tuple(below))
        case "rejected" if name is not None:
            told = _ended(now) if now.canary is not None and now.canary.adapter == name else now
            return replace(told, states={**told.states, name: "rejected"})
    return now


def _ended(now: Standing) -> Standing:
    """A canary that runs is a candidate again: what it was compared with, or it itself, changes."""
    if now.canary is None:
        return now
    return replace(now, canary=None, states={**now.states, now.canary.adapter: "candidate"})


def _succeeded(now: Standing, champion: str | None) -> Standing:
    states = dict(now.states)
    if now.champion is not None:
        states[now.champion] = "retired"
    if champion is not None:
        states[champion] = "champion"
    return replace(now, champion=champion, states=states)
