"""API keys: who calls. Without keys everybody is the local caller (whoever serves checks for loopback)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from agent.settings import ServerSettings
from retrieval.errors import SettingsError

KEY_ID_CHARS: Final = 12
"""Hex digits of the key's SHA-256 that name it in the log; they do not give the key away."""


def key_id_of(key: str) -> str:
    """The public id of `key`."""
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_ID_CHARS]


class KeyRing:
    """The keys that open this server."""

    def __init__(self, server: ServerSettings) -> None:
        """Take the keys of `server`.

        Raises:
            SettingsError: a key is empty.
        """
        keys = [key.get_secret_value() for key in server.api_keys]
        if any(not key.strip() for key in keys):
            raise SettingsError("An entry of 'server.api_keys' is empty; remove it or write a key there.")
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def caller(self, authorization: str | None) -> str | None:
        """The key id of a request with this Authorization header; "" where no key is needed; None: refused."""
        if not self._digests:
            return ""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = key.strip()
        digest = hashlib.sha256(key.encode()).digest()
        # Every key is compared, in constant time, so that the time taken tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return key_id_of(key) if any(matches) else None
