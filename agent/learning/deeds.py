"""Which deeds of the log count in what is learned for everybody, and as whose.

Caps against abuse: of one customer the first `PER_CUSTOMER` items count, and all customers without a name who come
through one API key count as one, for nobody can tell them apart. Knows nothing of what is made of deeds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from agent.evidence import KNOWN_REASON
from agent.learning.attitudes import OF_REACTION
from agent.learning.interactions import Range, attitude
from agent.log.records import Deed

PER_CUSTOMER = 200
"""Items of one customer that count, the first ones: who comes later with many pushes nobody out. Not tuned."""

_OPINIONS = frozenset({*OF_REACTION, "rating", "like"})


def counts_as(deed: Deed) -> str:
    """Whom it counts for among distinct customers."""
    return deed.customer if deed.key_id is None else f"key:{deed.key_id}"


def left_out(deeds: Iterable[Deed], without: Collection[str]) -> frozenset[str]:
    """The customers named in `without`, and those to whom a conversation named there belongs."""
    of_talks = {deed.customer for deed in deeds if deed.session_id in without}
    return frozenset({*without, *of_talks})


def counted(deeds: Iterable[Deed], items: Collection[str], out: Collection[str] = ()) -> tuple[Deed, ...]:
    """Deeds with these items, under the caps, oldest first; without the customers in `out`."""
    wanted = [deed for deed in deeds if deed.item_id in items and deed.customer not in out]
    seen: dict[str, set[str]] = {}
    found = []
    for deed in sorted(wanted, key=lambda deed: deed.at):
        theirs = seen.setdefault(counts_as(deed), set())
        if deed.item_id in theirs or len(theirs) < PER_CUSTOMER:
            theirs.add(deed.item_id)
            found.append(deed)
    return tuple(found)


def opinions(deeds: Iterable[Deed]) -> tuple[Deed, ...]:
    """Those that say what somebody thinks of an item: a view or a click does not, nor "I have seen it"."""
    return tuple(deed for deed in deeds if deed.kind in _OPINIONS and deed.reason != KNOWN_REASON)


def as_thumbs(deeds: Sequence[Deed], ratings: Range | None) -> Iterator[Deed]:
    """An imported rating or like becomes a thumb; one in the middle, and "I have seen it", becomes a look at the item.

    `ratings` is the shop's scale.
    """
    for deed in deeds:
        if deed.kind in ("rating", "like"):
            value = attitude(deed, ratings)
            yield replace(deed, kind="thumb_up" if value > 0 else "thumb_down" if value < 0 else "view", value=None)
        elif deed.reason == KNOWN_REASON:
            yield replace(deed, kind="view")
        else:
            yield deed
