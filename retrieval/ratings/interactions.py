"""Who had to do with what: the triples that item-item models learn from.

Knows nothing of where they come from: ratings, likes, purchases, what was accepted in a talk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.experience import Experience

IntArray: TypeAlias = NDArray[np.int32]
FloatArray: TypeAlias = NDArray[np.float32]

LIKED, DISLIKED = 1.0, -1.0
"""Values of a like without a grade, on the scale of `SeedItem.attitude`: -2 (hated) .. 2 (loved)."""


@dataclass(frozen=True, slots=True)
class Interactions:
    """Distinct (user, item) pairs, each with an attitude -2 .. 2; 0 is "took note of it, no opinion".

    `users` and `items` are names, each once. `user` and `item` are positions in them, int32 (n,); `value` float32 (n,).
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: IntArray
    item: IntArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def of(cls, triples: Iterable[tuple[str, str, float]]) -> Interactions:
        """From (user, item id, attitude); of a pair that comes twice the last attitude counts."""
        users: dict[str, int] = {}
        items: dict[str, int] = {}
        pairs: dict[tuple[int, int], float] = {}
        for user, item, value in triples:
            pairs[users.setdefault(user, len(users)), items.setdefault(item, len(items))] = value
        codes = np.array(list(pairs), dtype=np.int32).reshape(-1, 2)
        values = np.clip(np.array(list(pairs.values()), dtype=np.float32), -2, 2)
        return cls(tuple(users), tuple(items), codes[:, 0].copy(), codes[:, 1].copy(), values)

    @classmethod
    def of_experience(cls, experiences: Iterable[Experience]) -> Interactions:
        """Items spoken of and items accepted by one group go together; what was accepted was liked."""
        return cls.of(
            (one.group, item, value)
            for one in experiences
            for item, value in (
                *((seed.item_id, seed.attitude) for seed in one.spoken),
                *((item, LIKED) for item in one.accepted),
            )
        )

    def triples(self) -> Iterable[tuple[str, str, float]]:
        """What `of` was given, in its order."""
        for user, item, value in zip(self.user.tolist(), self.item.tolist(), self.value.tolist(), strict=True):
            yield self.users[user], self.items[item], value

    def without(self, users: Collection[str]) -> Interactions:
        """Those of everybody else: cross-fitting never lets a user see itself."""
        return Interactions.of(triple for triple in self.triples() if triple[0] not in users)

    def merged(self, *others: Interactions) -> Interactions:
        """All of them; a user of the same name is the same user."""
        return Interactions.of(triple for part in (self, *others) for triple in part.triples())
