"""What keys have used: a token bucket for requests and a count of the day's turns, one row for each key.

In SQL, so that all replicas spend from one bucket and a restart gives nobody a new day: one small transaction for each
request of a key with limits. The bucket is kept as one number, the moment at which it would be full again (the
"theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371, which lets pass what a token bucket does):
there is nothing to fill up. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal, TypeAlias

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.api_models import ApiUsageRow
from agent.log.database import Database

WINDOW_SECONDS: Final = 60.0
"""What the bucket holds is used up at once or over a minute."""

Refusal: TypeAlias = Literal["rate", "quota"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: of which key, whether it is a turn, and its limits (0: none)."""

    tenant: str
    key_id: str
    is_turn: bool
    requests_per_minute: int
    turns_per_day: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of it. `left` requests may follow at once, all of them again in `full_in_s`; times in seconds."""

    refused: Refusal | None
    retry_in_s: float
    left: int
    full_in_s: float


class UsageCounter:
    """The counters of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend(self, ask: Ask) -> Spent:
        """Take one request, and one turn where it is one; a refused one takes nothing."""
        return self._database.write(lambda session: _spend(session, ask, events.now()))

    def give_back(self, ask: Ask) -> None:
        """Take one turn of today less, for one that came to nothing."""
        self._database.write(lambda session: _give_back(session, ask, events.now()))


def _spend(session: Session, ask: Ask, now: datetime) -> Spent:
    row = _row(session, ask)
    at, today = now.timestamp(), now.astimezone(UTC).date().isoformat()
    turns = row.turns if row.day == today else 0
    spent, arrival = _bucket(row.arrival, at, ask.requests_per_minute)
    if spent.refused is None and ask.is_turn and 0 < ask.turns_per_day <= turns:
        spent = Spent("quota", _until_midnight(now), spent.left, spent.full_in_s)
    if spent.refused is None:
        row.arrival, row.day, row.turns = arrival, today, turns + ask.is_turn
    return spent


def _give_back(session: Session, ask: Ask, now: datetime) -> None:
    row = _row(session, ask)
    if row.day == now.astimezone(UTC).date().isoformat():
        row.turns = max(0, row.turns - 1)


def _row(session: Session, ask: Ask) -> ApiUsageRow:
    wanted = select(ApiUsageRow).where(ApiUsageRow.key_id == ask.key_id).with_for_update()
    found = session.scalar(wanted)
    if found is None:
        try:
            with session.begin_nested():
                fresh = {"key_id": ask.key_id, "tenant": ask.tenant, "arrival": 0.0, "day": "", "turns": 0}
                session.execute(insert(ApiUsageRow).values(fresh))
        except IntegrityError:
            pass  # another replica was faster
        found = session.scalars(wanted).one()
    return found


def _bucket(arrival: float, at: float, limit: int) -> tuple[Spent, float]:
    """What taking one from the bucket gives, and when it will be full afterwards."""
    if not limit:
        return Spent(None, 0.0, 0, 0.0), arrival
    step = WINDOW_SECONDS / limit
    full_at = max(at, min(arrival, at + WINDOW_SECONDS))  # the latter: a clock was set back
    if full_at - at > WINDOW_SECONDS - step + 1e-6:
        return Spent("rate", full_at - at - WINDOW_SECONDS + step, 0, full_at - at), arrival
    after = full_at + step
    left = int((WINDOW_SECONDS - (after - at)) / step + 1e-6)
    return Spent(None, 0.0, left, after - at), after


def _until_midnight(now: datetime) -> float:
    utc = now.astimezone(UTC)
    return (datetime.combine(utc.date() + timedelta(days=1), time(), UTC) - utc).total_seconds()
