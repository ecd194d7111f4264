"""Whether an order is the customer's: its number and its e-mail address together, a few times an hour.

Wrong tries are counted for the conversation, the customer where they have a name, the order and the e-mail address,
each before it is looked at, so that many at once are no way around. Those for an order, which anybody can make, lock it
for its owner too: hence so many, and a day. A wrong number and a wrong address get one answer, and
addresses are compared in constant time. Not covered: who else reads the customer's mail.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from agent.log.actions import LONGEST_WINDOW, ActionLog, Place
from agent.support.actions.orders import Order, OrderConnector

LIMITS: Final[Mapping[str, int]] = {"talk": 5, "person": 5, "order": 50, "email": 10}
"""Wrong tries within an hour, those for an order within a day."""
WINDOWS: Final[Mapping[str, timedelta]] = {"order": LONGEST_WINDOW}

Verdict: TypeAlias = Literal["right", "wrong", "locked"]


@dataclass(frozen=True, slots=True)
class Proven:
    """`order` is None unless the verdict is "right"."""

    verdict: Verdict
    order: Order | None = None


def prove(log: ActionLog, orders: OrderConnector, place: Place, order_id: str, email: str, now: datetime) -> Proven:
    """Look the order up for somebody who says that it was placed with `email`.

    Raises:
        OrdersUnavailable: nobody knows; that counts as no try.
    """
    subjects = {"talk": place.session_id, "order": order_id, "email": _normal(email)}
    if place.person_id is not None:
        subjects["person"] = place.person_id
    noted = log.note_wrong(place.tenant, subjects, now)
    counts = log.wrong_proofs(place.tenant, subjects, now, WINDOWS)
    if any(n > LIMITS[kind] for kind, n in counts.items()):
        log.forgive(place.tenant, noted)  # a lock that grew with each try would never end
        return Proven("locked")
    try:
        order = orders.look_up(order_id)
    except BaseException:
        log.forgive(place.tenant, noted)
        raise
    owner = order.email if order is not None and order.id == order_id else secrets.token_hex(16)
    if not hmac.compare_digest(_digest(owner), _digest(email)) or order is None:
        return Proven("wrong")
    log.forgive(place.tenant, noted)
    return Proven("right", order)


def _normal(email: str) -> str:
    return email.strip().casefold()


def _digest(email: str) -> bytes:
    """Of one length, whatever the address: lengths are compared at once."""
    return hashlib.sha256(_normal(email).encode("utf-8", "replace")).digest()
