"""API keys: who calls, for which tenant and team, and what they may.

Two kinds: those of the settings (`server.api_keys`, `server.agent_keys`), which need no database, and those that
`chatalogue keys create` makes, which expire, are rotated and revoked while the server runs. Without any key everybody
is the local caller (whoever serves checks for loopback).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from agent.log.keys import KEY_PATTERN, SCOPES, KeyLimits, KeyStore, KeyTable, Scope, StoredKey, digest_of
from agent.settings import ServerSettings
from retrieval.errors import DataDirectoryError, SettingsError

KEY_ID_CHARS: Final = 12
"""Hex digits of the SHA-256 of a settings' key that name it in the log; they do not give the key away."""

LOOK_SECONDS: Final = 2.0
"""How long keys read from the database are believed: a revoked one is refused after that; after twice as long at the
latest, where reading them again takes its time."""

USE_NOTED_SECONDS: Final = 3600.0
"""How often the use of a key is written down."""

_CUSTOMER_SCOPES: Final[frozenset[Scope]] = frozenset(SCOPES) - {"handoff"}


def key_id_of(key: str) -> str:
    """The public id of a key of the settings."""
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_ID_CHARS]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    `owner` is whose customers and conversations these are, the log's `key_id`: the team's, so that a rotated key keeps
    them; of a key of the settings its own id. `key_id` is the one key's, for limits and logs; "" where none was needed.
    `limits` are None for callers who have none. `local`: whoever is on this machine, where nobody needs a key.
    """

    tenant: str
    owner: str
    key_id: str
    team: str
    scopes: frozenset[Scope]
    limits: KeyLimits | None = None
    local: bool = False

    @property
    def by_agent(self) -> bool:
        """Whether it is a support agent's request."""
        return "handoff" in self.scopes and not self.local


class KeyRing:
    """The keys that open this server.

    Keys of the database are read in a thread and believed for `LOOK_SECONDS`; a database that cannot be asked refuses
    their requests (`DataDirectoryError`), and those with a key of the settings go on.
    """

    def __init__(self, server: ServerSettings, tenant: str = "default", stored: KeyStore | None = None) -> None:
        """Take the keys of `server`, which are `tenant`'s, and those of `stored`, which say whose they are.

        Raises:
            SettingsError: a key is empty, or one of customers' requests is a support agent's, too.
        """
        self._digests = _digests("api_keys", server.api_keys)
        self._agents = _digests("agent_keys", server.agent_keys)
        if set(self._digests) & set(self._agents):
            raise SettingsError(
                "A key stands in 'server.api_keys' and in 'server.agent_keys', so whoever sends customers' messages "
                "would be a support agent; give the agents a key of their own."
            )
        self._tenant, self._stored = tenant, stored
        self._table, self._problem = KeyTable({}, ever=False), ""
        self._read_at = self._looked_at = -math.inf  # as of when it is known, and when the last look ended
        self._reading = asyncio.Lock()
        self._used: dict[str, float] = {}
        self._noted: set[str] = set()

    async def is_needed(self) -> bool:
        """Whether requests need a key. Once there was one in the database they do, also after the last has ended.

        Raises:
            DataDirectoryError: the database cannot be asked, and had no key when it last could.
        """
        if self._digests:
            return True
        try:
            return (await self._current()).ever
        except DataDirectoryError:
            if self._table.ever:
                return True
            raise

    async def caller(self, authorization: str | None) -> Caller | None:
        """Who sent this Authorization header; None: refused.

        Raises:
            DataDirectoryError: the database cannot be asked, and the key is not one of the settings.
        """
        key = _key_of(authorization)
        if key is not None:
            found = await self._of_settings(key) or await self._of_database(key)
            if found is not None:
                return found
        return None if await self.is_needed() else self._local()

    def _local(self) -> Caller:
        scopes = _CUSTOMER_SCOPES if self._agents else frozenset(SCOPES)  # the desk is for whoever is here, or theirs
        return Caller(self._tenant, "", "", "", scopes, local=True)

    async def _of_settings(self, key: str) -> Caller | None:
        ours, agents = _is_among(key, self._digests), _is_among(key, self._agents)
        if not ours and not agents:
            return None
        # Where agents alone have keys, nobody needs one, and their requests are the local caller's.
        try:
            is_needed = await self.is_needed()
        except DataDirectoryError:  # there were none when it was last known
            is_needed = False
        owner = key_id_of(key) if is_needed else ""
        return Caller(self._tenant, owner, owner, "", frozenset(SCOPES) if agents else _CUSTOMER_SCOPES)

    async def _of_database(self, key: str) -> Caller | None:
        named = KEY_PATTERN.fullmatch(key)
        if named is None or self._stored is None:
            return None
        found = (await self._current()).keys.get(named[1])
        if found is None or not hmac.compare_digest(digest_of(key), found[1]):
            return None
        stored = found[0]
        self._note(stored)
        return Caller(
            stored.tenant, stored.owner, stored.id, stored.team, frozenset(stored.scopes), limits=stored.limits
        )

    def _note(self, key: StoredKey) -> None:
        now = time.monotonic()
        if now - self._used.get(key.id, -USE_NOTED_SECONDS) >= USE_NOTED_SECONDS:
            self._used[key.id] = now
            self._noted.add(key.id)

    async def _current(self) -> KeyTable:
        if self._stored is None:
            return self._table
        asked = time.monotonic()
        # While somebody looks, the others go on with what was known, though not for long.
        goes_on = self._reading.locked() and asked - self._read_at < 2 * LOOK_SECONDS
        if asked - self._read_at >= LOOK_SECONDS and not goes_on:
            async with self._reading:
                if self._looked_at < asked:  # else: one look for all who wait
                    await self._look(self._stored)
        if self._problem:
            raise DataDirectoryError(self._problem)
        return self._table

    async def _look(self, stored: KeyStore) -> None:
        """Read the keys, or remember that they cannot be read, for as long as it took: that may be seconds."""
        began, noted = time.monotonic(), tuple(self._noted)
        try:
            self._table = await asyncio.to_thread(_read, stored, noted)
        except DataDirectoryError as error:
            self._problem, self._looked_at = str(error), time.monotonic()
            self._read_at = self._looked_at - LOOK_SECONDS + min(LOOK_SECONDS, self._looked_at - began)
            return
        self._problem, self._read_at, self._looked_at = "", began, time.monotonic()
        self._noted.difference_update(noted)


def _read(stored: KeyStore, noted: Sequence[str]) -> KeyTable:
    try:
        return stored.table(noted)
    except DataDirectoryError:
        if not noted:
            raise
        return stored.table()  # a full disk takes no notes, and that is no reason to let nobody in


def _digests(name: str, keys: Sequence[SecretStr]) -> list[bytes]:
    secrets = [key.get_secret_value() for key in keys]
    if any(not key.strip() for key in secrets):
        raise SettingsError(f"An entry of 'server.{name}' is empty; remove it or write a key there.")
    return [hashlib.sha256(key.encode()).digest() for key in secrets]


def _key_of(authorization: str | None) -> str | None:
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _is_among(key: str, digests: Sequence[bytes]) -> bool:
    digest = hashlib.sha256(key.encode()).digest()
    # Every key is compared, in constant time, so that the time taken tells nothing.
    return any([hmac.compare_digest(digest, known) for known in digests])
