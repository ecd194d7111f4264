"""Ids that we give out. Turn ids are signed, so that a made-up one is refused before the database is asked.

Knows nothing of tables: a well signed id may still be of a turn that was never recorded.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARS = 22  # 131 bits: as unlikely to meet again as a UUID
_SIGNATURE_CHARS = 10  # 59 bits: not to be guessed over a network
_TURN = re.compile(rf"(t_[0-9A-Za-z]{{{_RANDOM_CHARS}}})_([0-9A-Za-z]{{{_SIGNATURE_CHARS}}})")
_SESSION = re.compile(rf"s_[0-9A-Za-z]{{{_RANDOM_CHARS}}}")

SECRET_BYTES = 32


def new_turn_id(secret: bytes) -> str:
    """`t_<22 base62>_<10 base62 of an HMAC over what stands before>`."""
    body = f"t_{_random()}"
    return f"{body}_{_signature(body, secret)}"


def is_ours(turn_id: str, secret: bytes) -> bool:
    """Whether `turn_id` was made with `secret`; takes the same time wherever the signatures differ."""
    match = _TURN.fullmatch(turn_id)
    return match is not None and hmac.compare_digest(_signature(match[1], secret), match[2])


def new_session_id() -> str:
    """`s_<22 base62>`: who has it may read the conversation, so it is not to be guessed."""
    return f"s_{_random()}"


def looks_like_session_id(session_id: str) -> bool:
    """Whether it has the form of ours; anything else need not reach the database."""
    return _SESSION.fullmatch(session_id) is not None


def new_event_id() -> str:
    """`e_<22 base62>`."""
    return f"e_{_random()}"


def new_person_id() -> str:
    """`p_<22 base62>`."""
    return f"p_{_random()}"


def keyed_hash(secret: bytes, *parts: str) -> str:
    """HMAC-SHA256 (hex) of `parts`; ("ab", "c") and ("a", "bc") differ."""
    message = b"".join(len(part).to_bytes(8, "big") + part for part in (p.encode("utf-8", "replace") for p in parts))
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _random() -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARS))


def _signature(body: str, secret: bytes) -> str:
    number = int.from_bytes(hmac.new(secret, body.encode(), hashlib.sha256).digest(), "big")
    digits = []
    for _ in range(_SIGNATURE_CHARS):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(digits)
