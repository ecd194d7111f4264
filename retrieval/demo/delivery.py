"""Where the Reel Shop delivers to, for how much and how fast, as its help articles state it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

FREE_DELIVERY_FROM = Decimal("40.00")
EXPRESS_COST = Decimal("9.90")


@dataclass(frozen=True, slots=True)
class Zone:
    """Where a parcel goes: standard cost in EUR and working days from dispatch, lowest and highest."""

    countries: tuple[str, ...]
    cost: Decimal
    days: tuple[int, int]
    free_from: Decimal | None


ZONES = (
    Zone(("DE",), Decimal("3.90"), (2, 3), FREE_DELIVERY_FROM),
    Zone(("AT", "BE", "DK", "FR", "LU", "NL"), Decimal("5.90"), (3, 5), FREE_DELIVERY_FROM),
    Zone(("ES", "FI", "IE", "IT", "PL", "SE"), Decimal("7.90"), (4, 7), FREE_DELIVERY_FROM),
    Zone(("CH", "GB", "NO"), Decimal("11.90"), (5, 9), None),
)


def shipping_cost(country: str, delivery: str, subtotal: Decimal) -> Decimal:
    """EUR; express goes to Germany only and is never free."""
    if delivery == "express":
        return EXPRESS_COST
    zone = zone_of(country)
    if zone.free_from is not None and subtotal >= zone.free_from:
        return Decimal("0.00")
    return zone.cost


def zone_of(country: str) -> Zone:
    """The delivery zone of an ISO 3166 country code that the shop delivers to."""
    return next(zone for zone in ZONES if country in zone.countries)
