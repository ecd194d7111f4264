"""What customers did with items as attitudes: the triples of collaborative filtering, and what a taste is made of.

Knows nothing of words said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from agent.evidence import KNOWN_REASON
from agent.learning.attitudes import OF_REACTION, stronger
from agent.log.records import Consent, Deed
from agent.log.store import EventLog
from retrieval.ratings.interactions import Interactions

Range: TypeAlias = tuple[float, float]
"""The lowest and the highest rating of a shop."""

NO_OPINION = 0.0
"""Of a view, a click, or a stay on a page: took note of it."""
_LIKE = 1.0


def interactions(log: EventLog, tenant: str, consent: Consent = "opt_out") -> Interactions:
    """Everything that the log knows of customers and items; all of it is held in memory."""
    ratings = log.rating_range(tenant)
    by_customer: dict[str, dict[str, float]] = {}
    for deed in log.deeds(tenant, consent):
        _note(by_customer.setdefault(deed.customer, {}), deed, ratings)
    return Interactions.of(
        (customer, item_id, value) for customer, items in by_customer.items() for item_id, value in items.items()
    )


def attitudes_of(deeds: Iterable[Deed], ratings: Range | None) -> dict[str, float]:
    """One customer's attitude towards each item, -2 .. 2: a no over a yes, the stronger over the weaker."""
    found: dict[str, float] = {}
    for deed in deeds:
        _note(found, deed, ratings)
    return found


def _note(known: dict[str, float], deed: Deed, ratings: Range | None) -> None:
    known[deed.item_id] = stronger(known.get(deed.item_id, NO_OPINION), attitude(deed, ratings))


def attitude(deed: Deed, ratings: Range | None) -> float:
    """Towards the deed's item, -2 .. 2, by this deed alone."""
    if deed.reason == KNOWN_REASON:
        return NO_OPINION
    if deed.kind == "rating":
        low, high = ratings or (0.0, 0.0)
        return 4 * (deed.value - low) / (high - low) - 2 if deed.value is not None and high > low else NO_OPINION
    if deed.kind == "like":
        return _LIKE if deed.value is None or deed.value > 0 else -_LIKE
    return _OF_DEED.get(deed.kind, NO_OPINION)


_OF_DEED: Mapping[str, float] = {str(kind): value for kind, value in OF_REACTION.items()}
