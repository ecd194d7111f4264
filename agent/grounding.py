"""Whether a sentence about an item is backed by the item's fields. Code, not a model, decides.

The check errs on the side of refusing: a sentence that it cannot follow is replaced by the
catalogue's own words. Sentences about why an item fits and what speaks against it pass where they
are made of claims that code knows to be true (agent/reply_claims.py) and of nothing else. Of all
others: numbers, names and who did what, values of the catalogue's attributes, claims of awards,
ratings, offers and relations between works, negations, talk of the assistant itself, and the share
of content words that the item's text supports. Not covered: who of the plot does what to whom ("the
shark hunts the chief").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

from agent.reply_claims import Claims, Spoken
from agent.wording import in_minutes
from retrieval.items import Item
from retrieval.shape import CatalogueShape
from retrieval.text import fold

MIN_SUPPORT = 1.0
"""Share of a sentence's content words that must stand in the item's fields or the customer's wishes.

All of them: at 0.9 the default model got through with "a cop who runs away with embezzled money", who is none.
"""
MAX_VALUES = 400
"""Attributes with more values than this (people) are covered by the check of names."""
STEM = 5
"""Words agree when their first five letters do: "haunting" and "haunted"."""
MAX_ENDING = 3
"""Letters by which two forms of one word may differ in length."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBER_WORDS = frozenset(
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million half dozen dozens hundreds thousands millions second third fourth fifth".split()
)
_LOADED = (
    r"\b(award|awards|oscar|oscars|academy|golden globe|nominat\w+|won|wins|winning|winner|prize|acclaim\w*|"
    r"critic\w*|best|greatest|favou?rite|famous|popular|rating|ratings|rated|review\w*|stars? out|score[sd]?|"
    r"box office|blockbuster|classic|masterpiece|hit|cult|true stor\w+|real events?|based on|adapt\w+|sequel|prequel|"
    r"remake|franchise|trilogy|series|free|shipping|delivery|discount\w*|sale|offer\w*|guarantee\w*|warranty|"
    r"limited|exclusive|bonus|extras?|stock|available|cheap\w*|price\w*|cost\w*|stream\w*|netflix|cinema|"
    r"soundtrack|first|last|only|never|always|most|least|debut|premier\w*|gross\w*|imdb|percent|perfect|amazing|"
    r"iconic|legendary|beloved|celebrated|renowned|acclaimed|edition|uncut|remaster\w*|subtitle\w*|dubbed|"
    r"recommend\w*|suitable|appropriate|safe|kids?|children|ages|refund\w*|gift\w*)\b"
)
_CLAIMS = re.compile(_LOADED)
_NEGATIONS = re.compile(r"\b(?:not|no|never|nothing|nobody|none|without|neither|nor|cannot|\w+n't)\b")
"""Said only where the item's text says it: "it is not violent" turns a supported word round."""
_SELF = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|me|my|we|our|us)\b")
_MACHINERY = re.compile(r"\b(?:assistant|ai|language model|prompt|system|instruction\w*|customer)\b")
"""Words of our own workings; an item may be about an assistant."""
_ODD = re.compile(r"[<>{}\[\]|\\`*#_=$€£¥%]|https?:|www\.|\w\.(?:com|net|org|io|example)\b")
_MINUTES = re.compile(r"(\d+)[\s-]*min(?:utes?|s)?\b")
_NAME = r"[A-Z][\w.'’-]*(?:\s+(?:[a-z]{2,3}\s+)?[A-Z][\w.'’-]*)*"
_NAMES = rf"{_NAME}(?:(?:,? and|,)\s+{_NAME})*"
_ROLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("director", re.compile(rf"\b(?:[Dd]irected by|[Dd]irectors?|[Ff]ilmmakers?)\s+({_NAMES})")),
    ("director", re.compile(rf"({_NAMES})\s+direct(?:s|ed)\b")),
    ("cast", re.compile(rf"\b(?:[Ss]tars?|[Ss]tarring|[Ff]eaturing|[Pp]layed by|with actors?)\s+({_NAMES})")),
    ("cast", re.compile(rf"({_NAMES})\s+(?:stars?|starred|plays?|appears?)\b")),
    ("author", re.compile(rf"\b(?:[Ww]ritten by|[Aa]uthors?|novel by|book by)\s+({_NAMES})")),
    ("composer", re.compile(rf"\b(?:[Cc]omposed by|[Mm]usic by|score by)\s+({_NAMES})")),
    ("producer", re.compile(rf"\b[Pp]roduced by\s+({_NAMES})")),
)
"""Who did what: the names must stand in the attribute of that name, or the same words in the item's text."""
_COMMON = frozenset(
    "a an the this that these those it its he she they them his her their who whom whose which what when where while "
    "as at by for from in into of off on onto out over to up with within without about after before between through "
    "and or but so yet if then than because though although both either not no nor is are was were be been being has "
    "have had do does did can could will would may might must shall should very more much many some any all each "
    "every other another such own same just also too even still there here how why you your yours if makes make "
    "made film films movie movies story stories tale plot title item product book course one ones set sets "
    "follows follow tells tell features feature takes take place shows show explores explore "
    "offers fits fit suits suit wish want "
    "wants looking look find finds gives give gets get goes go comes come sees see becomes become begins begin "
    "starring stars star directed director cast runs run running minutes minute long year released release".split()
)


@dataclass(frozen=True, slots=True)
class Grounding:
    """The check for one item; `wish_words` are the customer's own, which may be repeated.

    `claims` are what else may be said of it; without them only what its text and fields say in their own words.
    """

    item: Item
    shape: CatalogueShape
    wish_words: str = ""
    claims: Claims | None = None

    def claims_in(self, sentence: str) -> Spoken | None:
        """What a sentence of nothing but true claims says; None for any other sentence."""
        return self.claims.read(sentence) if self.claims is not None else None

    def body(self, sentence: str) -> str:
        """What is left to check of a sentence after true claims that lead to the item's own words."""
        return self.claims.body(sentence) if self.claims is not None else sentence

    def shortens(self, sentence: str) -> bool:
        """Whether a sentence is the item's text with parts left out."""
        return self.claims is not None and self.claims.shortens(sentence)

    def objection(self, sentence: str) -> str | None:
        """The first reason why `sentence` must not be shown; None when its claims are backed."""
        if self.claims_in(sentence) is not None:
            return None
        sentence = self.body(sentence)
        own = _words(self.item.document()) | _words(self.item.title)
        supported = own | _words(self.wish_words)
        lowered = fold(sentence)
        title = re.escape(self.item.title) or r"(?!)"
        untitled = re.sub(title, "it", sentence, flags=re.IGNORECASE)  # "I, Robot"
        if match := _ODD.search(sentence) or _SELF.search(fold(untitled)):
            return f"talk that is not about the item: {match.group(0)!r}"
        return (
            self._wrong_number(sentence, lowered)
            or self._wrong_role(untitled)
            or _unknown_name(sentence, own, frozenset(map(_plain, _WORD.findall(fold(self.item.document())))))
            or self._wrong_value(lowered)
            or _unbacked_claim(_CLAIMS, lowered, own)
            or _unbacked_claim(_MACHINERY, fold(untitled), own)
            or self._unbacked_negation(fold(untitled))
            or _repeats(lowered, fold(self.item.document()))
            or _thin(lowered, supported)
        )

    def _wrong_number(self, sentence: str, lowered: str) -> str | None:
        facts = self.item.document()
        known = {number.replace(",", ".") for number in _NUMBER.findall(facts)}  # without the price: code says prices
        minutes = {
            f"{v:g}" for name, v in self.item.attributes.items() if in_minutes(name) and isinstance(v, float | int)
        }
        for match in _MINUTES.finditer(lowered):
            if match.group(1) not in minutes and match.group(0) not in fold(facts):
                return f"{match.group(0)!r} is not its length"
        for number in _NUMBER.findall(sentence):
            if number.replace(",", ".") not in known:
                return f"the number {number!r} is in no field"
        fact_words = _words(facts)
        for word in _WORD.findall(lowered):
            if word in _NUMBER_WORDS and word not in fact_words:
                return f"the number {word!r} is in no field"
        return None

    def _wrong_role(self, sentence: str) -> str | None:
        """A director, actor, author ... that the item does not have in that role."""
        text = fold(self.item.text)
        for attribute, pattern in _ROLES:
            value = self.item.attributes.get(attribute, ())
            people = {fold(name) for name in ((value,) if isinstance(value, str) else value)}  # type: ignore[union-attr]
            for match in pattern.finditer(sentence):
                for name in re.split(r",? and |, ", match.group(1)):
                    said = fold(name).removesuffix("'s").rstrip(".,")
                    if said in _COMMON or any(f" {said} " in f" {person} " for person in people):
                        continue
                    if fold(match.group(0)).rstrip(".,'’-") not in text:  # the end of the sentence is no part of a name
                        return f"{said!r} is not its {attribute}"
        return None

    def _unbacked_negation(self, lowered: str) -> str | None:
        said = f" {fold(self.item.document())} "
        for match in _NEGATIONS.finditer(lowered):
            if not re.search(rf"\b{re.escape(match.group(0))}\b", said):
                return f"{match.group(0)!r} denies what no field denies"
        return None

    def _wrong_value(self, lowered: str) -> str | None:
        """A value of some attribute ("comedy") that this item does not have under any attribute."""
        document = f" {' '.join(_WORD.findall(fold(self.item.document())))} "
        words = _WORD.findall(lowered)
        said = f" {' '.join(words)} "
        own = _words(document)
        foreign = [word for word in words if len(word) >= STEM and not _known(word, own) and word not in _COMMON]
        for attribute in self.shape.attributes.values():
            if attribute.values is None or len(attribute.values) > MAX_VALUES:
                continue
            for value in attribute.values:
                phrase = f" {' '.join(_WORD.findall(fold(value)))} "
                if phrase.strip() and phrase in said and phrase not in document and phrase.strip() not in _COMMON:
                    return f"{value!r} is not among its values of {attribute.name}"
                for word in foreign:
                    if _inflected(word, fold(value)):
                        return f"{word!r} says {value!r}, which is not among its values of {attribute.name}"
        return None


def _unknown_name(sentence: str, own: frozenset[str], exact: frozenset[str]) -> str | None:
    """A capitalised word that no field has letter by letter; the first word of a sentence may be an ordinary one."""
    for position, match in enumerate(_WORD.finditer(sentence)):
        word = match.group(0)
        if not word[0].isupper() or _plain(fold(word)) in exact:
            continue
        if position == 0 and (fold(word) in _COMMON or _known(fold(word), own)):
            continue
        return f"the name {word!r} is in no field"
    return None


def _inflected(word: str, value: str) -> bool:
    """Whether `word` is a form of the one-word `value`: "comedic" of "comedy", but not "heart" of "heartwarming"."""
    return len(value) >= STEM and word[:STEM] == value[:STEM] and abs(len(word) - len(value)) <= MAX_ENDING


def _unbacked_claim(claims: re.Pattern[str], lowered: str, own: frozenset[str]) -> str | None:
    for match in claims.finditer(lowered):
        if not all(_known(word, own) for word in match.group(0).split()):
            return f"{match.group(0)!r} claims what no field says"
    return None


def _repeats(lowered: str, document: str) -> str | None:
    """A run of three words said twice, and not by the item's text: how a small model gets stuck."""
    words, own = _WORD.findall(lowered), _WORD.findall(document)
    runs = Counter(tuple(words[i : i + 3]) for i in range(len(words) - 2))
    own_runs = Counter(tuple(own[i : i + 3]) for i in range(len(own) - 2))
    stuck = any(n > 1 and n > own_runs[run] for run, n in runs.items())
    return "it says the same words twice" if stuck else None


def _thin(lowered: str, supported: frozenset[str]) -> str | None:
    content = [word for word in _WORD.findall(lowered) if word not in _COMMON and not word.isdigit()]
    if not content:  # "It runs 117 minutes" is checked already
        return None if _NUMBER.search(lowered) else "it says nothing"
    share = sum(_known(word, supported) for word in content) / len(content)
    return None if share >= MIN_SUPPORT else f"only {share:.0%} of its words stand in the item's fields"


def _words(text: str) -> frozenset[str]:
    words = {form for word in _WORD.findall(fold(text)) for form in (word, _plain(word))}
    return frozenset(words) | frozenset(word[:STEM] for word in words if len(word) >= STEM)


def _plain(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")


def _known(word: str, words: Container[str]) -> bool:
    plain = _plain(word)
    return plain in words or (len(plain) >= STEM and plain[:STEM] in words)
