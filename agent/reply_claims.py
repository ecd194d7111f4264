"""Which claims about an item may be said, and whether a sentence is made of nothing else.

A sentence passes when it can be laid out, from its first word to its last, with claims that fields back and with
words that claim nothing. Every clause holds a claim; what is said to be wished for was wished for; what is said against
an item is a drawback that code found. Reads English. Not covered: style, and whether a claim is worth saying.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.reply_facts import ReplyFact
from agent.reply_neutral import (
    BOUNDARY,
    FILM_WORDS,
    GLUE,
    IS_ONE,
    LEAD,
    NEUTRAL,
    NEW,
    NOUNS,
    TURNS,
    WARNING,
    WARNING_PHRASE,
    WISHED,
)
from agent.reply_prompt import END_OF_SENTENCE
from agent.reply_reasons import reasons
from agent.reply_ways import Claim, Part, normal, one_of, ways
from agent.shortening import is_shortened
from agent.understand.roles import PERSON_ROLES, parts_of, role_of
from retrieval.items import Item

_PLAIN_TEXT = re.compile(r"[\w\s.,;:!?&/'’‘\"“”()\-–—€$£]*(?<!\?)")
"""Signs that a sentence may hold; markup, brackets and addresses have others."""
_STUCK = re.compile(r"\b(\w+(?: \w+){2,}) \1\b")
"""Words said again at once: how a small model gets stuck."""
_SORT_WORDS = frozenset({"category", "type", "subcategory"})
"""Attributes of goods whose values name the thing itself."""
_NOUN_WITHIN = 6
"""Words within which a text that says what the item is must name it."""
_AFTER_NOUN = frozenset("of for with that which about on by to from in at and taught made written led".split())


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an accepted sentence says, beside plain facts: why it fits, a drawback."""

    fits: bool = False
    but: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """What the clause so far holds, and what the clauses before it said."""

    fits: bool = False
    but: bool = False
    plain: bool = False
    wished: bool = False
    warns: bool = False
    said: Spoken = Spoken()

    def claim(self, part: Part) -> _State:
        return replace(
            self, fits=self.fits or part == "fits", but=self.but or part == "but", plain=self.plain or part == "plain"
        )

    def closed(self) -> Spoken | None:
        """What has been said when the clause ends here; None where it must not end so."""
        if not (self.fits or self.but or self.plain):
            return None
        if self.wished and (self.plain or self.but or self.warns):
            return None
        if self.warns and (not self.but or self.fits):
            return None
        return Spoken(self.said.fits or self.fits, self.said.but or self.but)


class Claims:
    """All that may be said of one item, beside the words of its own text."""

    def __init__(self, item: Item, facts: Sequence[ReplyFact] = (), shown: Sequence[Item] = ()) -> None:
        """`facts` are those that code found about `item`, `shown` the items of the list that it stands in."""
        self._item = item
        self._title = normal(item.title)
        self._nouns = _nouns(item)
        noun = rf"(?:{one_of(self._nouns)}|one|title)"
        fields = (one for name in (*item.attributes, "price") for one in ways(item, name, "plain"))
        self._claims = (*fields, *reasons(item, facts, shown, noun))

    def read(self, sentence: str) -> Spoken | None:
        """What `sentence` says; None where any of it is backed by nothing."""
        if not _PLAIN_TEXT.fullmatch(sentence) or _STUCK.search(normal(sentence)):
            return None
        closed = [one for state in self._laid_out(sentence, self._claims) if (one := state.closed()) is not None]
        return max(closed, key=lambda one: (one.fits, one.but), default=None)

    def shortens(self, sentence: str) -> bool:
        """Whether `sentence` is the item's text with parts left out; "Heat is a ..." may end where a part ends."""
        if (match := IS_ONE.match(sentence)) and not self._names_itself(sentence[match.end() :]):
            own = [one for one in END_OF_SENTENCE.split(self._item.text) if IS_ONE.match(one)]
            return any(is_shortened(sentence, one) for one in own)  # no film "is a detective"
        return is_shortened(sentence, self._item.text, led=normal(sentence).startswith(f"{self._title} is "))

    def body(self, sentence: str) -> str:
        """The item's own words that `sentence` goes on with after true claims ("This crime drama follows ...").

        The whole of `sentence` where it does not begin so.
        """
        if not _PLAIN_TEXT.fullmatch(sentence):
            return sentence
        if match := IS_ONE.match(sentence):
            rest = sentence[match.end() :]
            if self._names_itself(rest) and is_shortened(rest, self._item.text):
                return rest
        for match in LEAD.finditer(sentence):
            rest = sentence[match.end() :]
            before, link = sentence[: match.start()], match.group(0).strip()
            if is_shortened(rest, self._item.text, led=True) and self._leads(before, link):
                return rest
        return sentence

    def _leads(self, before: str, link: str) -> bool:
        """Whether what stands before `link` is true and lets what follows be said of the item, not of a person."""
        claims, before = self._claims, re.sub(r"^In (?=this )", "", before)
        last = normal(before).rsplit(" ", 1)[-1]
        if link.lower().startswith("in this"):
            return self._may_be_subject(normal(link).rsplit(" ", 1)[-1])
        if link in (",", ":"):
            claims = tuple(one for one in claims if role_of(one.field, number=False) not in PERSON_ROLES)
        elif link not in ("about", "in which", "where") and not self._may_be_subject(last):
            return False
        states = self._laid_out(before, claims)
        return any(not (one.warns or one.wished) and (link != "," or one.plain or one.fits) for one in states)

    def _may_be_subject(self, last: str) -> bool:
        kinds = (v for name, v in self._item.attributes.items() if role_of(name, number=False) == "kind")
        values = (one for v in kinds for one in ((v,) if isinstance(v, str) else v if isinstance(v, tuple) else ()))
        own = {normal(one).rsplit(" ", 1)[-1] for one in (*values, self._item.title)}
        return last in own or last in self._nouns or last in ("", "it", "this", "they", "these", "one", "and")

    def _names_itself(self, rest: str) -> bool:
        """Whether a text begins with what the item is: "a light head lamp for running", not "a detective who"."""
        words = normal(rest).split()
        return any(
            word in self._nouns and (n + 1 == len(words) or words[n + 1] in _AFTER_NOUN)
            for n, word in enumerate(words[:_NOUN_WITHIN])
        )

    def _laid_out(self, sentence: str, claims: Sequence[Claim]) -> set[_State]:
        """Every way in which `sentence` is made of claims and of words that claim nothing."""
        text = normal(sentence)
        able = [
            (re.compile(one.pattern), one.part)
            for one in claims
            if not one.needs or any(need in text for need in one.needs)
        ]
        titled = bool(self._title) and self._item.title in sentence
        states: dict[int, set[_State]] = {0: {_State()}}
        if self._title and f"{text} ".startswith(f"{self._title} "):
            states = {len(self._title) + 1: {_State()}}
        for place in range(len(text)):
            here = states.pop(place, set())
            if NEW.match(text, place):
                here |= {_State(said=said) for state in here if (said := state.closed()) is not None}
            for state in here:
                for end, following in self._steps(text, place, state, able, titled):
                    states.setdefault(end, set()).add(following)
        return states.get(len(text) + 1, set()) if text else {_State()}

    def _steps(
        self, text: str, place: int, state: _State, claims: Sequence[tuple[re.Pattern[str], Part]], titled: bool
    ) -> Iterator[tuple[int, _State]]:
        """Where the next piece may end, one past the space after it, and what is known then."""
        for pattern, part in claims:
            if match := pattern.match(text, place):
                yield match.end() + 1, state.claim(part)
        if titled and f"{text} ".startswith(f"{self._title} ", place):
            yield place + len(self._title) + 1, state
        if match := NEUTRAL.match(text, place):
            yield match.end() + 1, state
        if match := WARNING_PHRASE.match(text, place):
            yield match.end() + 1, replace(state, warns=True)
        if (match := BOUNDARY.match(text, place)) and (said := state.closed()) is not None:
            yield match.end(), _State(said=said)
        yield from self._word(text, place, state)

    def _word(self, text: str, place: int, state: _State) -> Iterator[tuple[int, _State]]:
        word = text[place:].split(" ", 1)[0]
        end = place + len(word) + 1
        if word in GLUE or word in self._nouns:
            yield end, state
        if word in WISHED:
            yield end, replace(state, wished=True)
        if word in WARNING or (word in TURNS and end > len(text)):
            yield end, replace(state, warns=True)
        if word in TURNS:
            if state in (_State(), _State(warns=True)):
                yield end, replace(state, warns=True)
            elif (said := state.closed()) is not None:
                yield end, _State(warns=True, said=said)


def _nouns(item: Item) -> frozenset[str]:
    """What the item may be called beside its title, in the singular and the plural."""
    own = set(normal(item.document()).split())
    found = {noun for noun in NOUNS if noun in own}
    if "director" in item.attributes:
        found |= set(FILM_WORDS)
    if "author" in item.attributes:
        found.add("book")
    for name, value in item.attributes.items():
        if set(parts_of(name)) & _SORT_WORDS:
            values = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
            found |= {normal(one).rsplit(" ", 1)[-1] for one in values} - {""}
    return frozenset(found | {f"{noun}s" for noun in found if not noun.endswith("s")})
