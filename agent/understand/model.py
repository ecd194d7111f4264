"""What the language model adds to the rules: it confirms doubtful facts and proposes soft ones.

The model only chooses: yes or no to a doubtful fact, or lines of a grammar whose every value stands
in the catalogue, so nothing that it says can name what the catalogue lacks. Its own proposals are
soft wishes. On only where `skills.toml` says that it beats the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.preferences import Added, Fact, Polarity, Preference
from agent.understand.types import Understanding
from agent.wording import Wording
from retrieval.errors import EngineError
from retrieval.shape import CatalogueShape
from retrieval.text import fold, visible

MAX_CONFIRMED = 3
"""Doubtful facts that one turn may ask the model about; the rest lapse."""
MAX_VALUES = 40
"""Attributes with more values are left to the rules: their grammar would be slow to compile."""
CONFIRM_MARGIN = 0.5
"""Nats by which "yes" must beat "no"."""
FILL_LIMITS = Limits(max_tokens=28, seconds=3.0)
_VERBS: Mapping[str, Polarity] = {"want": "positive", "avoid": "negative"}


@dataclass(frozen=True, slots=True)
class ModelUnderstanding:
    """The model's part of understanding, for one catalogue."""

    engine: Engine
    shape: CatalogueShape
    wording: Wording

    async def improve(self, text: str, understood: Understanding, turn: int) -> Understanding:
        """`understood` with the doubtful facts that the model confirms, and the soft ones that it adds.

        An engine that fails leaves the rules' reading as it is.
        """
        if understood.intent != "recommend" or understood.language != "en":
            return understood
        try:
            confirmed = await self._confirmed(text, understood.doubtful)
            proposed = await self.propose(text, turn)
        except EngineError:
            return understood
        known = {_key(fact.preference) for fact in (*understood.facts, *confirmed) if isinstance(fact, Added)}
        new = [fact for fact in proposed if _key(fact.preference) not in known]
        taken = len(understood.facts) + len(understood.doubtful)
        numbered = [Added(replace(f.preference, id=f"t{turn}-{taken + n}")) for n, f in enumerate(new, 1)]
        return replace(understood, facts=(*understood.facts, *confirmed, *numbered))

    async def _confirmed(self, text: str, doubtful: Sequence[Fact]) -> tuple[Fact, ...]:
        kept = []
        for fact in [fact for fact in doubtful if isinstance(fact, Added)][:MAX_CONFIRMED]:
            yes, no = await self.engine.choose(self._question(text, fact.preference), (" yes", " no"))
            if yes - no > CONFIRM_MARGIN:
                kept.append(fact)
        return tuple(kept)

    def _question(self, text: str, wish: Preference) -> Prompt:
        asked = f"A customer of a shop writes: {_quoted(text)}\nDoes the customer want {self.wording.wish(wish)}?"
        return Prompt((Message("user", asked),), prefill="Answer:")

    async def propose(self, text: str, turn: int) -> tuple[Added, ...]:
        """Soft wishes that the model reads out of `text`; () when its answer was cut off.

        Raises:
            EngineError: the model could not be asked.
        """
        grammar = self.grammar()
        if grammar is None:
            return ()
        asked = (
            f"A customer of a shop writes: {_quoted(text)}\n"
            "List what the customer wants or wants to avoid, one a line, or none."
        )
        filled = await self.engine.fill(Prompt((Message("user", asked),)), grammar, FILL_LIMITS)
        if not filled.complete:
            return ()
        return tuple(
            Added(
                Preference(
                    id=f"t{turn}-m{n}",
                    kind="soft",
                    attribute=attribute,
                    op="eq",
                    values=(value,),
                    polarity=polarity,
                    evidence=text,
                    turn=turn,
                )
            )
            for n, (polarity, attribute, value) in enumerate(self._lines(filled.text), 1)
        )

    def _lines(self, text: str) -> Iterator[tuple[Polarity, str, str]]:
        """Polarity, attribute and value of each line that says a value of the catalogue."""
        for line in text.split("\n"):
            verb, _, said = line.partition(" ")
            for name, values in self._small_attributes().items():
                value = said.removeprefix(f"{name}: ")
                if verb in _VERBS and value != said and value in values:
                    yield _VERBS[verb], name, value

    def _small_attributes(self) -> dict[str, Sequence[str]]:
        """Attributes with few enough values, by name; the values in order."""
        return {
            name: sorted(shape.values)
            for name, shape in sorted(self.shape.attributes.items())
            if shape.values is not None and 2 <= len(shape.values) <= MAX_VALUES
        }

    def grammar(self) -> str | None:
        """GBNF of at most two lines "want genre: Comedy"; None where no attribute is small enough."""
        rules = [
            f"{_literal(name + ': ')} ({' | '.join(map(_literal, values))})"
            for name, values in self._small_attributes().items()
        ]
        if not rules:
            return None
        return f'root ::= "none" | line ("\\n" line)?\nline ::= ("want " | "avoid ") ({" | ".join(rules)})'


def _literal(text: str) -> str:
    """A string of the grammar; in UTF-8, because GBNF knows no pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _quoted(text: str) -> str:
    return f"“{visible(text)[:500]}”"


def _key(wish: Preference) -> tuple[str | None, str, tuple[str, ...], str]:
    return wish.attribute, wish.op, tuple(fold(str(value)) for value in wish.values), wish.polarity
