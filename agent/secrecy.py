"""Sealing at rest: what the database keeps of secrets and contact data is ciphertext, bound to its place.

AES-256-GCM. The keys come from the setting `server.sealing_keys` (the first seals, all open), else from the file
`sealing.key` in the data directory, which is made at first use. What each protects from:

- Keys in the setting: whoever gets the database, the data directory or a backup of them has ciphertext.
- The key file: whoever gets the database alone (a dump, a stolen SQL file, another tenant's view, an administrator of
  the PostgreSQL server) has ciphertext. Whoever reads the whole data directory has the key, too, and
  `chatalogue backup` copies the file, because a copy without it could not be used: keep backups as safe as the shop.

Nothing here protects from somebody who is on the server while it runs. Knows nothing of tables.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from retrieval.errors import DataDirectoryError, SettingsError

if TYPE_CHECKING:
    from agent.settings import Settings

KEY_FILE: Final = "sealing.key"
"""In the data directory; 32 random bytes as base64, readable by its owner alone."""
MIN_KEY_CHARS: Final = 32
"""Of a key in the settings: fewer can be guessed; `openssl rand -base64 32` gives 44."""
MAGIC: Final = b"chs1"
"""What every sealed value begins with: who meets a value without it has an old row in plain form."""
PREFIX_BYTES: Final = 8
"""`MAGIC` and the key's own four bytes: enough to tell which key sealed a value without opening it."""
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeyState:
    """What `doctor` tells of the keys: where the one that seals is from, and how many open."""

    source: Literal["settings", "file", "none yet"]
    n_keys: int
    file: Path
    readable_by_others: bool


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    prefix: bytes
    value: bytes

    @classmethod
    def of(cls, secret: bytes) -> _Key:
        """Two independent values out of one secret: what names the key must not say anything about it."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        def derive(length: int, purpose: bytes) -> bytes:
            return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(secret)

        name = derive(PREFIX_BYTES - len(MAGIC), b"chatalogue sealing key name")
        return cls(MAGIC + name, derive(_KEY_BYTES, b"chatalogue sealing key"))


class Sealer:
    """Seals bytes for one purpose and place, and opens them there and nowhere else. Safe to use from any thread.

    `bound` is what a value belongs to, the tenant first and then what finds its row: a sealed value that somebody
    copied to another row or another tenant does not open there.
    """

    def __init__(self, data_dir: Path, keys: Sequence[str] = ()) -> None:
        """`keys` are those of the settings. Nothing is read or made before the first use.

        Raises:
            SettingsError: a key is too short.
        """
        if any(len(key) < MIN_KEY_CHARS for key in keys):
            raise SettingsError(
                f"A key in the setting 'server.sealing_keys' is shorter than {MIN_KEY_CHARS} characters; make one with "
                "`openssl rand -base64 32`."
            )
        self._file = data_dir / KEY_FILE
        self._given = tuple(keys)

    @property
    def prefix(self) -> bytes:
        """What everything begins with that is sealed from now on; an older value has another one: seal it anew."""
        return self._keys[0].prefix

    def seal(self, plain: bytes, purpose: str, *bound: str) -> bytes:
        """Ciphertext of `plain`, 36 bytes longer; another one each time.

        Raises:
            DataDirectoryError: the key file cannot be read or made.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, nonce = self._keys[0], secrets.token_bytes(_NONCE_BYTES)
        return key.prefix + nonce + AESGCM(key.value).encrypt(nonce, plain, _place(purpose, bound))

    def open(self, sealed: bytes, purpose: str, *bound: str) -> bytes:
        """What `seal` was given with the same purpose and place.

        Raises:
            DataDirectoryError: no key of ours sealed it, or it was changed or moved; or the key file cannot be read.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = next((key for key in self._keys if sealed.startswith(key.prefix)), None)
        if key is None:
            raise DataDirectoryError(
                f"A value in the database ({purpose}) is sealed with a key that is not among yours; put the file "
                f"{str(self._file)!r} back that belongs to it, or add its key to CHATALOGUE_SERVER__SEALING_KEYS."
            )
        nonce, rest = sealed[PREFIX_BYTES : PREFIX_BYTES + _NONCE_BYTES], sealed[PREFIX_BYTES + _NONCE_BYTES :]
        try:
            return AESGCM(key.value).decrypt(nonce, rest, _place(purpose, bound))
        except (InvalidTag, ValueError):
            raise DataDirectoryError(
                f"A sealed value in the database ({purpose}) was changed, or moved from where it belongs; restore the "
                "database from a backup."
            ) from None

    def state(self) -> KeyState:
        """Where the keys are from; makes none.

        Raises:
            DataDirectoryError: the key file is there and cannot be read.
        """
        kept = self._read()
        others = kept is not None and bool(self._file.stat().st_mode & 0o077)
        source: Literal["settings", "file", "none yet"] = "settings" if self._given else "file" if kept else "none yet"
        return KeyState(source, len(self._given) + (kept is not None), self._file, others)

    @cached_property
    def _keys(self) -> tuple[_Key, ...]:
        """Those of the settings, then that of the file, so that a shop can move from the one to the other."""
        kept = self._read()
        if kept is None and not self._given:
            kept = self._make()
        given = [key.encode() for key in self._given]
        return tuple(_Key.of(secret) for secret in (*given, *([kept] if kept is not None else [])))

    def _read(self) -> bytes | None:
        """The file's key; None where there is no file."""
        try:
            secret = base64.b64decode(self._file.read_bytes().strip(), validate=True)
        except FileNotFoundError:
            return None
        except (OSError, binascii.Error) as error:
            raise self._unusable(str(error)) from None
        if len(secret) < _KEY_BYTES:
            raise self._unusable("it is too short")
        return secret

    def _make(self) -> bytes:
        """A new key's file, whole or not at all; of two processes that make one at once, both take the first's."""
        fresh = self._file.with_name(f"{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, self._file)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        made = self._read()
        if made is None:
            raise self._unusable("it vanished")
        return made

    def _unusable(self, why: str) -> DataDirectoryError:
        return DataDirectoryError(
            f"The key file {str(self._file)!r} cannot be used ({why}); put back the one that belongs to the database, "
            "or set CHATALOGUE_SERVER__SEALING_KEYS."
        )


def make_sealer(settings: Settings) -> Sealer:
    """The sealer of the settings.

    Raises:
        SettingsError: a key is too short.
    """
    return Sealer(settings.data_dir, [key.get_secret_value() for key in settings.server.sealing_keys])


def _place(purpose: str, bound: Sequence[str]) -> bytes:
    """Each part with its length: ("ab", "c") and ("a", "bc") are two places."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (purpose, *bound)]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
