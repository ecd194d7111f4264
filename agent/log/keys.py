"""Keys of the API, one team's beside another's: made, listed, rotated, revoked. What is kept of a key is its SHA-256.

A plain hash and not a slow one: a key is 256 random bits, which nobody tries out, while a slow hash would have to be
worked out at each request, by everybody who sends any word at all as a key. The public id stands in the key itself
(`ctl_<id>_<secret>`): scanners of repositories know it by its beginning, and an operator finds the row of a key that
was leaked. Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.api_models import ApiKeyRow
from agent.log.database import Database
from retrieval.errors import BadRequest, NotFound

Scope: TypeAlias = Literal["chat", "feedback", "users", "sessions", "handoff", "admin"]
"""chat: conversations; feedback: reactions and events; users: named customers' wishes, consent, export, erasure;
sessions: conversations read again, traces; handoff: what support agents may; admin: metrics and details of health."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

PREFIX: Final = "ctl_"
KEY_PATTERN: Final = re.compile(r"ctl_([0-9A-Za-z]{12})_[0-9A-Za-z]{43}")
"""What scanners may look for; 43 characters of 62 are 256 bits."""
TEAM_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARS, _SECRET_CHARS = 12, 43


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may use; None: as the settings say, 0: as much as it likes. `streams` are answers made at once."""

    requests_per_minute: int | None = None
    turns_per_day: int | None = None
    streams: int | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key without its secret. `owner` is whose customers it speaks for; `last_used_at` is exact to an hour."""

    id: str
    tenant: str
    team: str
    owner: str
    scopes: tuple[Scope, ...]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    successor: str | None
    last_used_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Whether requests with it are answered."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, repr=False)
class NewKey:
    """A key that was just made, with the one copy of its secret there will ever be; without a repr for that reason."""

    key: StoredKey
    secret: str


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The keys that may be used now, by id, each with its digest. `ever`: there has been one, so requests need one."""

    keys: dict[str, tuple[StoredKey, bytes]]
    ever: bool


class KeyStore:
    """The keys of one database. Synchronous; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        tenant: str,
        team: str,
        scopes: Collection[Scope],
        *,
        days: float | None = None,
        limits: KeyLimits = KeyLimits(),
        takes_over: str | None = None,
    ) -> NewKey:
        """A new key. All keys of a team speak for the same customers.

        Args:
            tenant: whose catalogue and conversations it opens.
            team: its name, as TEAM_PATTERN.
            scopes: what it may do; in any order.
            days: until it ends; None: never.
            limits: where they differ from the settings.
            takes_over: whose customers this team has from now on: the id of a key of the settings; "" for those who
                came while nobody needed a key.

        Raises:
            BadRequest: the name, the days or the scopes do not fit, or the team has customers of its own already.
        """
        _check(team, scopes, days)
        now = events.now()
        expires_at = None if days is None else now + timedelta(days=days)

        def work(session: Session) -> NewKey:
            owner = _owner(session, tenant, team, takes_over)
            return _add(session, (tenant, team, owner), [one for one in SCOPES if one in scopes], expires_at, limits)

        return self._database.write(work)

    def rotate(self, tenant: str, key_id: str, *, grace_hours: float) -> NewKey:
        """A successor with the same team, scopes, limits and lifetime; the old key lives for `grace_hours` more.

        Raises:
            NotFound: the tenant has no key of this id.
            BadRequest: it was revoked, is over, or has a successor.
        """

        def work(session: Session) -> NewKey:
            row, now = _find(session, tenant, key_id), events.now()
            old = _stored(row)
            if not old.is_live(now) or old.successor is not None:
                raise BadRequest(
                    f"The key {key_id!r} {_why_not(old)}; make another one with `chatalogue keys create {old.team}`."
                )
            expires_at = None if old.expires_at is None else now + (old.expires_at - old.created_at)
            made = _add(session, (old.tenant, old.team, old.owner), old.scopes, expires_at, old.limits)
            ends = now + timedelta(hours=grace_hours)
            row.expires_at = ends if old.expires_at is None else min(ends, old.expires_at)
            row.successor = made.key.id
            return made

        return self._database.write(work)

    def revoke(self, tenant: str, key_id: str) -> StoredKey:
        """Refuse it from now on: a running server within seconds. Once more changes nothing.

        Raises:
            NotFound: the tenant has no key of this id.
        """

        def work(session: Session) -> StoredKey:
            row = _find(session, tenant, key_id)
            row.revoked_at = row.revoked_at or events.now()
            return _stored(row)

        return self._database.write(work)

    def all(self, tenant: str) -> tuple[StoredKey, ...]:
        """Every key that the tenant ever had, the oldest first."""
        wanted = select(ApiKeyRow).where(ApiKeyRow.tenant == tenant).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        return self._database.read(lambda session: tuple(_stored(row) for row in session.scalars(wanted)))

    def tenants(self) -> tuple[str, ...]:
        """Those for which a key may be used now."""
        return tuple(dict.fromkeys(key.tenant for key, _ in self.table().keys.values()))

    def table(self, used: Collection[str] = ()) -> KeyTable:
        """What a server looks keys up in; notes the use of those named in `used`."""
        if used:
            note = (
                update(ApiKeyRow)
                .where(ApiKeyRow.id.in_(used))
                .values(last_used_at=events.now().replace(minute=0, second=0, microsecond=0))
                .execution_options(synchronize_session=False)
            )
            self._database.write(lambda session: session.execute(note))

        def look(session: Session) -> KeyTable:
            now, rows = events.now(), session.scalars(select(ApiKeyRow)).all()
            found = [(_stored(row), row.digest) for row in rows]
            return KeyTable({key.id: (key, digest) for key, digest in found if key.is_live(now)}, bool(rows))

        return self._database.read(look)


def digest_of(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _check(team: str, scopes: Collection[Scope], days: float | None) -> None:
    if not TEAM_PATTERN.fullmatch(team):
        raise BadRequest(f"{team!r} is no name for a team; use small letters, digits, '-' and '_', 63 at most.")
    wrong = [one for one in scopes if one not in SCOPES]
    if wrong or not scopes:
        raise BadRequest(f"{wrong[0] if wrong else ''!r} is no scope; name one or more of {', '.join(SCOPES)}.")
    if days is not None and not 0 < days <= 36_500:
        raise BadRequest(f"A key cannot live for {days:g} days; give more than 0 and at most 36500, or none for ever.")


def _owner(session: Session, tenant: str, team: str, takes_over: str | None) -> str:
    """The team's as it is; a new team's is its own name, or the key of the settings whose customers it takes over.

    The log knows a customer by a hash over the owner and the name, so an owner cannot be changed afterwards.
    """
    theirs = select(ApiKeyRow.owner).where(ApiKeyRow.tenant == tenant, ApiKeyRow.team == team).limit(1)
    has = session.scalar(theirs)
    if has is None:
        return f"team:{team}" if takes_over is None else takes_over
    if takes_over not in (None, has):
        raise BadRequest(
            f"The team {team!r} has customers of its own, which those of another key would not find; give the new team "
            "another name."
        )
    return has


def _add(
    session: Session,
    whose: tuple[str, str, str],
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    limits: KeyLimits,
) -> NewKey:
    key_id = _random(_ID_CHARS)
    secret = f"{PREFIX}{key_id}_{_random(_SECRET_CHARS)}"
    tenant, team, owner = whose
    row = ApiKeyRow(
        id=key_id,
        tenant=tenant,
        team=team,
        owner=owner,
        digest=digest_of(secret),
        scopes=list(scopes),
        created_at=events.now(),
        expires_at=expires_at,
        requests_per_minute=limits.requests_per_minute,
        turns_per_day=limits.turns_per_day,
        streams=limits.streams,
    )
    session.add(row)
    session.flush()
    return NewKey(_stored(row), secret)


def _find(session: Session, tenant: str, key_id: str) -> ApiKeyRow:
    row = session.get(ApiKeyRow, key_id, with_for_update=True)  # two at once would give it two successors
    if row is None or row.tenant != tenant:
        raise NotFound(f"The tenant {tenant!r} has no key {key_id!r}; `chatalogue keys list` shows them.")
    return row


def _why_not(key: StoredKey) -> str:
    if key.revoked_at is not None:
        return "was revoked"
    return f"has a successor, {key.successor}," if key.successor else "is over"


def _stored(row: ApiKeyRow) -> StoredKey:
    return StoredKey(
        row.id,
        row.tenant,
        row.team,
        row.owner,
        tuple(row.scopes),
        KeyLimits(row.requests_per_minute, row.turns_per_day, row.streams),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.successor,
        row.last_used_at,
    )


def _random(n_chars: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(n_chars))
