"""The simulated customer: pursues a need by an agenda, reads what is shown, answers what is asked, and loses patience.

After agenda-based user simulation (Schatzmann et al., NAACL 2007), without a language model. Knows nothing of bots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.answer import Question
from agent.bench.dialogue.needs import Need, Wish
from agent.bench.dialogue.reading import Seen
from agent.bench.dialogue.words import ANY, ELSE, Act, ActKind, Words
from retrieval.table import ItemTable
from retrieval.text import fold


class Customer:
    """One run of one need. `said` are the wishes that a bot may know, as they stand now.

    `words` None: those of everybody, picked by `random`.
    """

    def __init__(self, need: Need, table: ItemTable, random: np.random.Generator, words: Words | None = None) -> None:
        self._need = need
        self._table = table
        self._words = words or Words(table.shape, random)
        self._mistaken = need.mistaken
        self._unsaid = [wish for wish in need.wishes if wish.told != "first"]
        self.said = [wish for wish in need.wishes if wish.told == "first"]
        if need.mistaken is not None:
            self.said[0] = need.mistaken

    def opens(self) -> Act:
        """The first message."""
        return self._words.opening(self.said)

    def accepts(self, seen: Seen) -> bool:
        """Whether an item that is offered is what they want."""
        return seen.listed and any(item_id in self._need.targets for item_id in seen.offered)

    def broken(self, seen: Seen) -> list[tuple[Wish, str]]:
        """Hard wishes that were said, each with an offered item that does not meet it."""
        rows = [(item_id, self._table.row_of(item_id)) for item_id in seen.offered] if seen.listed else []
        found = []
        for wish in self.said:
            mask = wish.mask(self._table) if wish.hard and rows else None
            found += [(wish, item_id) for item_id, row in rows if mask is not None and not mask[row]]
        return found

    def goes_on(self, seen: Seen, turn: int) -> Act:
        """What they say after turn `turn`, in which nothing was right: the first of these that applies."""
        if self._mistaken is not None and turn + 1 >= self._need.changes_at:
            old, new = self._mistaken, self._need.wishes[0]
            self.said[0], self._mistaken = new, None
            return self._words.instead(old, new)
        if seen.question is not None:
            return self._replies(seen.question, nothing_shown=not seen.offered)
        if broken := self.broken(seen):
            return self._words.again(broken[0][0])
        if (wish := next((one for one in self._unsaid if one.told == "later"), None)) is not None:
            self._say(wish)
            return self._words.more(wish)
        return Act("wants others", self._words.pick(ELSE)) if seen.offered else self._over_again()

    def _over_again(self) -> Act:
        return self._words.opening(self.said, "repeats all")

    def _replies(self, question: Question, *, nothing_shown: bool) -> Act:
        """Taps the option that fits or says the wish; taps the way out (the last option) or does not mind otherwise."""
        options = question.options
        if nothing_shown and options and not self._offers_values(question):
            return self._over_again()  # asked which wish to drop: none
        known = [one for one in (*self.said, *self._unsaid) if one.attribute == question.attribute]
        if not known:
            if nothing_shown and not options:
                return self._over_again()
            return Act("has no preference", options[-1] if options else self._words.pick(ANY))
        wish = known[0]
        kind: ActKind = "reveals" if wish in self._unsaid and wish.told == "asked" else "answers"
        self._say(wish)
        tapped = next((one for one in options if wish.op == "eq" and fold(one) == fold(str(wish.value))), None)
        return Act(kind, tapped) if tapped else self._words.answer(wish, kind)

    def _offers_values(self, question: Question) -> bool:
        """Whether the options are values or numbers of the attribute, and not what else to do."""
        shape = self._table.shape.attributes.get(question.attribute)
        values = {fold(value) for value in (shape.values if shape and shape.values else {})}
        return any(fold(one) in values or any(char.isdigit() for char in one) for one in question.options)

    def _say(self, wish: Wish) -> None:
        if wish in self._unsaid:
            self._unsaid.remove(wish)
            self.said.append(wish)


def words_of(wishes: Sequence[Wish]) -> str:
    """The values that were wished, which a bot may repeat."""
    return " ".join(f"{wish.attribute} {wish.value}" for wish in wishes)
