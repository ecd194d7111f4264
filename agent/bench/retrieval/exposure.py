"""Who is shown: exposure by popularity and by provider, Gini and coverage of the first places of many lists.

Every place of a list counts the same. Knows nothing of whether what is shown is right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.rank.axes import values_of
from retrieval.errors import BadRequest
from retrieval.items import Item

LIST_LENGTH = 10
"""Places of a list that are looked at: further down few people see."""
DECILES = 10
TOP_PROVIDERS = 5
"""Providers that are named."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderShare(_Frozen):
    """One provider: its share of all places, and of the catalogue's items."""

    name: str
    exposure: float
    items: float


class ProviderExposure(_Frozen):
    """Exposure by the values of one attribute; an item with several values divides its places among them.

    `gini` is over the providers, `nameless` the share of places with items that have no provider, `largest` those with
    the most exposure.
    """

    attribute: str
    n: int
    gini: float
    nameless: float
    largest: tuple[ProviderShare, ...]


class Exposure(_Frozen):
    """What the first `length` places of `n_lists` lists show.

    `coverage`: share of the catalogue that is shown at least once. `gini`: 0 when every item is shown equally often,
    near 1 when one has it all. `deciles`: share of places by tenths of the catalogue, the most popular first; () where
    no item is more popular than another.
    """

    length: int
    n_lists: int
    coverage: float
    gini: float
    deciles: tuple[float, ...]
    provider: ProviderExposure | None = None


def measure_exposure(
    lists: Sequence[Ranked],
    items: Sequence[Item],
    popularity: Mapping[str, float],
    *,
    provider: str | None = None,
    length: int = LIST_LENGTH,
) -> Exposure:
    """Count the first `length` places of each list.

    Args:
        lists: ids that are not among `items` are left out.
        items: the catalogue.
        popularity: by item id, 0 where missing.
        provider: an attribute by whose values exposure is counted, too.
        length: places of a list that count.
    """
    shown = Counter(item_id for one in lists for item_id in one.ranked[:length])
    places = np.array([shown[item.id] for item in items], dtype=np.float64)
    liked = np.array([popularity.get(item.id, 0.0) for item in items], dtype=np.float64)
    return Exposure(
        length=length,
        n_lists=len(lists),
        coverage=_short(float((places > 0).mean())) if len(places) else 0.0,
        gini=_short(gini(places)),
        deciles=tuple(_short(share) for share in decile_shares(places, liked)),
        provider=_by_provider(provider, items, places) if provider else None,
    )


def known_provider(attribute: str | None, items: Sequence[Item]) -> None:
    """Refuse an attribute that no item has, before anything takes minutes.

    Raises:
        BadRequest: names those that there are.
    """
    known = sorted({name for item in items for name in item.attributes})
    if attribute is not None and attribute not in known:
        raise BadRequest(f"No item has the attribute {attribute!r}; --provider is one of {', '.join(known)}.")


def popularity_of(train: Sequence[Row], items: Sequence[Item]) -> dict[str, float]:
    """How often each item was accepted in train; what the catalogue itself says where there is no train."""
    accepted = Counter(target for row in train for target in row.targets)
    return dict(accepted) if accepted else {item.id: item.popularity for item in items}


def gini(amounts: NDArray[np.float64]) -> float:
    """Gini coefficient of amounts >= 0, (n,): sum((2i - n - 1) * x_i) / (n * sum(x)), ascending; 0 of nothing."""
    total = float(amounts.sum())
    n = len(amounts)
    if total <= 0:
        return 0.0
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(amounts)) / (n * total)


def decile_shares(places: NDArray[np.float64], popularity: NDArray[np.float64]) -> list[float]:
    """Share of `places` by tenths of the items, the most popular first; [] where all are equally popular.

    Equally popular items share the places of their group evenly, so no order among them is made up; a tenth that cuts
    through an item takes its part of it.
    """
    total = float(places.sum())
    if total <= 0 or popularity.min() == popularity.max():
        return []
    _, group = np.unique(-popularity, return_inverse=True)
    per_group = np.bincount(group, weights=places) / np.bincount(group)
    even = per_group[np.sort(group)]  # most popular first
    up_to = np.concatenate([[0.0], np.cumsum(even)])
    edges = np.interp(np.linspace(0, len(places), DECILES + 1), np.arange(len(places) + 1), up_to)
    return [float(share) for share in np.diff(edges) / total]


def _by_provider(attribute: str, items: Sequence[Item], places: NDArray[np.float64]) -> ProviderExposure:
    exposure: defaultdict[str, float] = defaultdict(float)
    stock: defaultdict[str, float] = defaultdict(float)
    nameless = 0.0
    for item, shown in zip(items, places, strict=True):
        names = values_of(item, attribute)
        nameless += 0.0 if names else float(shown)
        for name in names:
            exposure[name] += float(shown) / len(names)
            stock[name] += 1 / len(names)
    total = float(places.sum()) or 1.0
    largest = sorted(exposure, key=lambda name: (-exposure[name], name))[:TOP_PROVIDERS]
    return ProviderExposure(
        attribute=attribute,
        n=len(exposure),
        gini=_short(gini(np.array(list(exposure.values())))),
        nameless=_short(nameless / total),
        largest=tuple(
            ProviderShare(name=name, exposure=_short(exposure[name] / total), items=_short(stock[name] / len(items)))
            for name in largest
        ),
    )


def _short(value: float) -> float:
    return round(value, 4)
