"""API keys: who calls. Without keys everybody is the local caller (whoever serves checks for loopback)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

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
            SettingsError: a key is empty, or one of customers' requests is a support agent's, too.
        """
        self._digests = _digests("api_keys", server.api_keys)
        self._agents = _digests("agent_keys", server.agent_keys)
        if set(self._digests) & set(self._agents):
            raise SettingsError(
                "A key stands in 'server.api_keys' and in 'server.agent_keys', so whoever sends customers' messages "
                "would be a support agent; give the agents a key of their own."
            )

    def __bool__(self) -> bool:
        return bool(self._digests)

    def caller(self, authorization: str | None) -> str | None:
        """The key id of a request with this Authorization header; "" where no key is needed; None: refused."""
        if not self._digests:
            return ""
        key = _key_of(authorization)
        return key_id_of(key) if key is not None and _is_among(key, (*self._digests, *self._agents)) else None

    def is_agent(self, authorization: str | None) -> bool:
        """Whether a request with this Authorization header is a support agent's."""
        key = _key_of(authorization)
        return key is not None and _is_among(key, self._agents)


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
