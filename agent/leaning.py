"""What a customer leans to in general words: "something popular", "a hidden gem", "price matters most".

Such words name no value and no bound, so they are no wishes; they move what is believed of a customer's taste before
any reaction (`Situation.adjustments`). A language model that reads them gives the same mapping. Knows nothing of
rankers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agent.rank.axes import Axes, Axis

LEAN = 0.2
"""How far a prior is moved, of at most 1: it turns the order of items that are otherwise alike. Not fitted: no
simulated customer speaks so."""

POPULAR = Axis("feature", "popularity")
PRICE = Axis("number", "price")
YEAR = Axis("number", "year")

_THING = r"(?:something|anything|ones?|films?|movies?|titles?|items?|things?|products?|books?|games?|courses?|picks?)"
_KNOWN = r"(?:popular|well[- ]known|famous|mainstream)"
_HIT = r"(?:crowd[- ]?pleasers?|blockbusters?)"
_UNKNOWN = r"(?:underrated|little[- ]known|lesser[- ]known|overlooked|under the radar|off the beaten (?:track|path))"

_LEANINGS: tuple[tuple[Axis, float, str], ...] = (
    # With a thing beside it: a story about a famous painter is no bestseller.
    (
        POPULAR,
        LEAN,
        rf"\b{_THING} (?:very |really |quite )?{_KNOWN}\b|\b{_KNOWN} {_THING}\b|\b{_HIT}\b"
        r"|热门|有名的",
    ),
    (
        POPULAR,
        -LEAN,
        rf"\bhidden (?:gem|treasure)s?\b|\b{_THING} (?:that is |a bit )?{_UNKNOWN}\b|\b{_UNKNOWN} {_THING}\b|冷门|小众",
    ),
    (
        PRICE,
        -LEAN,
        r"\bprice (?:matters|counts|comes first|is (?:what (?:matters|counts)|(?:most |very |really )?important))"
        r"|\bas cheap(?:ly)? as possible|\bthe cheaper the better|\bmoney is tight|价格最重要|越便宜越好",
    ),
    (YEAR, LEAN, r"\bas (?:new|recent) as possible|\bthe newer the better|越新越好"),
    (YEAR, -LEAN, r"\bas old as possible|\bthe older the better|越老越好"),
)
_PATTERNS = tuple((axis, mean, re.compile(pattern)) for axis, mean, pattern in _LEANINGS)


def leanings(said: Sequence[str], axes: Axes) -> Mapping[Axis, float]:
    """Prior means by axis; of two on one axis the later message's counts.

    Args:
        said: the customer's own messages, oldest first, without what they deny.
        axes: the catalogue's; what it has no number of is left out.
    """
    found: dict[Axis, float] = {}
    for text in said:
        low = text.lower()
        for axis, mean, pattern in _PATTERNS:
            if pattern.search(low) and axes.knows(axis):
                found[axis] = mean
    return found
