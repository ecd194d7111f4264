"""The demo shop's invented orders, kept to the rules that its help articles state.

Knows nothing of files. Working days are Monday to Friday; public holidays are not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from retrieval.demo.delivery import ZONES, shipping_cost, zone_of
from retrieval.demo.seeded import between, pick, share_of

OrderStatus: TypeAlias = Literal["placed", "packed", "shipped", "delivered", "cancelled", "returned"]

N_ORDERS = 60
FIRST_NUMBER = 10_001
LAST_DAY = date(2026, 11, 13)
"""The newest orders were placed on this Friday; nothing in the file happens after it."""

PRICE_RANGE_EUR = {
    "DVD": (Decimal("4.90"), Decimal("12.90")),
    "Blu-ray": (Decimal("8.90"), Decimal("19.90")),
    "4K Ultra HD": (Decimal("19.90"), Decimal("34.90")),
}
"""What a disc costs, lowest and highest; the help article on formats quotes these numbers."""


STATUS_PLAN: tuple[tuple[OrderStatus, int], ...] = (
    ("delivered", 30),
    ("returned", 6),
    ("cancelled", 5),
    ("shipped", 9),
    ("packed", 5),
    ("placed", 5),
)
"""How many orders of each kind; they add up to N_ORDERS."""


@dataclass(frozen=True, slots=True)
class FilmOffer:
    """What an order needs of a film: its id, the disc's format, today's price in EUR."""

    film_id: str
    disc_format: str
    price: Decimal


def make_orders(offers: Sequence[FilmOffer]) -> list[dict[str, Any]]:
    """N_ORDERS orders, oldest first, numbered in that order."""
    statuses = [status for status, count in STATUS_PLAN for _ in range(count)]
    drafts = []
    for index, status in enumerate(statuses):
        key = f"order {index}"
        drafts.append((_ordered_on(key, status), index, status))
    drafts.sort()
    return [
        _order(f"RS-{FIRST_NUMBER + number}", f"order {index}", status, ordered, offers)
        for number, (ordered, index, status) in enumerate(drafts)
    ]


def add_working_days(day: date, count: int) -> date:
    """`count` working days after `day`; a weekend start counts from the next Monday."""
    while count > 0 or day.weekday() >= 5:
        day += timedelta(days=1)
        if day.weekday() < 5 and count > 0:
            count -= 1
    return day


def _order(order_id: str, key: str, status: OrderStatus, ordered: date, offers: Sequence[FilmOffer]) -> dict[str, Any]:
    country = _country(key)
    # An express parcel arrives the next day: none is still on its way.
    express = country == "DE" and status != "shipped" and share_of(key, "express") < 0.3
    delivery = "express" if express else "standard"
    items = _items(key, offers)
    subtotal = sum((Decimal(item["price"]) * item["quantity"] for item in items), Decimal("0.00"))
    shipping = shipping_cost(country, delivery, subtotal)
    days = _dates(key, status, ordered, (1, 1) if express else zone_of(country).days)
    return {
        "id": order_id,
        "email": f"{pick(key, 'handle', _HANDLES)}{between(key, 'number', 10, 99)}@example.com",
        "status": status,
        "country": country,
        "delivery": delivery,
        "items": items,
        "subtotal": str(subtotal),
        "shipping": str(shipping),
        "total": str(subtotal + shipping),
        "currency": "EUR",
        "payment": pick(key, "payment", ("card", "PayPal", "direct debit", "gift card")),
        **{name: day.isoformat() if day else None for name, day in days.items()},
    }


_HANDLES = ("filmfan", "matinee", "popcorn", "nightowl", "cinephile", "backrow", "doublebill", "reelmail")


def _ordered_on(key: str, status: OrderStatus) -> date:
    """Recent enough for the status to be plausible on LAST_DAY."""
    ages = {"placed": (0, 0), "packed": (1, 2), "shipped": (2, 5), "cancelled": (5, 200), "returned": (50, 230)}
    low, high = ages.get(status, (18, 280))
    return LAST_DAY - timedelta(days=between(key, "age", low, high))


def _country(key: str) -> str:
    zone = ZONES[(0, 0, 0, 1, 1, 2, 3)[between(key, "zone", 0, 6)]]
    return pick(key, "country", zone.countries)


def _items(key: str, offers: Sequence[FilmOffer]) -> list[dict[str, Any]]:
    """One to four different films; one in five had another price then, a euro up or down."""
    chosen: dict[str, FilmOffer] = {}
    for slot in range(between(key, "count", 1, 4)):
        # The most wanted films come first in `offers`: squaring the share favours them.
        offer = offers[int(share_of(key, f"film {slot}") ** 2 * len(offers))]
        chosen[offer.film_id] = offer
    items = []
    for offer in chosen.values():
        change = Decimal(pick(key + offer.film_id, "price then", (0, 0, 0, 0, 0, 0, 0, 0, 1, -1)))
        low, high = PRICE_RANGE_EUR[offer.disc_format]
        price = offer.price + change if low <= offer.price + change <= high else offer.price
        quantity = 2 if share_of(key + offer.film_id, "quantity") < 0.08 else 1
        items.append(
            {"id": offer.film_id, "format": offer.disc_format, "price": str(price), "quantity": quantity},
        )
    return items


def _dates(key: str, status: OrderStatus, ordered: date, days: tuple[int, int]) -> dict[str, date | None]:
    """The days that an order of this status has behind it; None for what did not happen."""
    dates: dict[str, date | None] = dict.fromkeys(("shipped", "delivered", "cancelled", "returned"))
    if status == "cancelled":
        dates["cancelled"] = ordered  # only possible until the parcel is packed
    if status in ("shipped", "delivered", "returned"):
        shipped = add_working_days(ordered, between(key, "packing", 0, 1))
        dates["shipped"] = shipped
        if status != "shipped":
            delivered = add_working_days(shipped, between(key, "transit", *days))
            dates["delivered"] = delivered
            if status == "returned":
                dates["returned"] = delivered + timedelta(days=between(key, "return", 3, 26))
    return {"ordered": ordered, **dates}
