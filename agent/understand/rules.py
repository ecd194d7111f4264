"""The rules' reading of one message: from words to an `Understanding`, without a model.

Knows the catalogue's words and what was shown; not how items are found or answers are written. Not
covered: irony, wishes spread over several messages, languages other than English and Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from agent.understand import intents
from agent.understand.about import about_wishes, leftover_wishes
from agent.understand.commands import command
from agent.understand.corrections import clarify, permit, replace_old, take_back
from agent.understand.critique import critiques
from agent.understand.entities import Mention, mentions
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, part_around, words_of
from agent.understand.negation import Stances
from agent.understand.numbers import NumberReader
from agent.understand.people import people_meant
from agent.understand.purposes import MAX_SUPPORT_CHARS, Heard, Purposes, asked_field
from agent.understand.references import ItemOf, References, asked_like
from agent.understand.superlatives import read_superlative
from agent.understand.swaps import as_firm, swap
from agent.understand.types import DialogueContext, Understanding
from agent.understand.unknown import unknown_name, unsold_thing
from agent.understand.values import title_wishes, value_wishes
from agent.understand.wishes import Reading, Wish
from retrieval.errors import ChatalogueError
from retrieval.items import Item

_ORDINALS = (r"(?:first|1st|1)", r"(?:second|2nd|2)", r"(?:third|3rd|3)", r"(?:fourth|4th|4)", r"(?:fifth|5th|5)")
_THAN_TITLE = re.compile(r"\b(?:but|than|only|except|just)\b|但|比|不过|只是")


class Rules:
    """Reads messages for one catalogue; safe to share between conversations.

    Args:
        lexicon: the catalogue's words.
        item_of: an item by id; a `KeyError` or `NotFound` for an unknown id is taken as "gone".
    """

    def __init__(self, lexicon: Lexicon, item_of: Callable[[str], Item]) -> None:
        self._lexicon = lexicon
        self._item_of = _forgiving(item_of)

    def understand(self, text: str, context: DialogueContext) -> Understanding:
        """Read one message; never raises, whatever the text."""
        message = Message(text)
        if not message.tokens:
            return Understanding("empty", message.language)
        return _Pass(message, context, self._lexicon, self._item_of).read()

    def titles(self, message: Message) -> list[tuple[int, int]]:
        """Where the message names a title beyond doubt: start and end in characters."""
        named = mentions(message, self._lexicon, message.free)
        return [(one.start, one.end) for one in named if one.entry.kind == "title" and one.certainty == "sure"]


def _forgiving(item_of: Callable[[str], Item]) -> ItemOf:
    def find(item_id: str) -> Item | None:
        try:
            return item_of(item_id)
        except (LookupError, ChatalogueError):
            return None  # a list of an older index may show items that are gone

    return find


class _Pass:
    """One message on its way through the steps of `read`."""

    def __init__(self, message: Message, context: DialogueContext, lexicon: Lexicon, item_of: ItemOf) -> None:
        self.message = message
        self.context = context
        self.lexicon = lexicon
        self.item_of = item_of
        self.reading = Reading(message)
        self.heard = Heard(message, context, lexicon, self.reading)

    def read(self) -> Understanding:
        """Commands first; then take words one kind of reading after the other; then say what it is for."""
        if understood := command(self.message, self.context, self.lexicon, self.reading):
            return understood
        resolver = References(self.message, self.context, self.lexicon, self.item_of)
        self.heard.references = resolver.all()
        self.heard.missed = resolver.missed
        for reference in self.heard.references:
            if not reference.pronoun:
                self.message.take(reference.start, reference.end)
            if (since := asked_like(self.message, reference)) is not None:
                self.message.take(since, reference.start)
                like = Wish(None, "like", reference.item_ids[:1], reference.start, reference.end, kind="soft")
                self.reading.add(like)
        self._read_wishes()
        return Purposes(self.heard).conclude(resolver.shown)

    def _read_wishes(self) -> None:
        message, context, lexicon, reading = self.message, self.context, self.lexicon, self.reading
        self._read_answer()
        clarify(message, context, lexicon, reading)
        permit(message, context, lexicon, reading)
        take_back(message, context, lexicon, reading)
        swapped = swap(message, context, lexicon, reading)
        self._read_support()
        self.heard.superlative = read_superlative(message, lexicon)
        if people := people_meant(message, context, lexicon, self.item_of):
            reading.add(*people)
            self.heard.person = True
        reading.add(*about_wishes(message, lexicon, Stances(message)))
        self.heard.found = [mention for mention in mentions(message, lexicon, message.free) if self._counts(mention)]
        for mention in self.heard.found:
            if mention.entry.kind == "title" or not mention.entry.soft:
                message.take(mention.start, mention.end)
        asked = context.asked.attribute if context.asked else None
        numbers = NumberReader(message, lexicon, asked)
        reading.add(*numbers.bounds())
        reading.add(*critiques(message, lexicon, self._anchors(), self.item_of))
        self.heard.found = [m for m in self.heard.found if not m.entry.soft or message.free(m.start, m.end)]
        stances = Stances(message)
        reading.add(*value_wishes(message, lexicon, stances, self.heard.found))
        self._read_titles(stances)
        self._read_stock(stances)
        reading.add(*numbers.vague(stances, lambda start, end: not message.free(start, end)))
        self._read_unknown()
        left, strange = leftover_wishes(message, lexicon, stances, others=bool(reading.wishes))
        reading.add(*left)
        if strange and not reading.wishes and not self.heard.references and not reading.item_ids:
            reading.said = reading.said or strange
        as_firm(reading, swapped, lexicon)
        replace_old(message, context, lexicon, reading, {wish.attribute for wish in swapped})

    def _counts(self, mention: Mention) -> bool:
        """A value inside a comparison ("more violent") is left to the comparison."""
        superlative = self.heard.superlative
        return superlative is None or not (superlative.start <= mention.start < superlative.end)

    def _read_answer(self) -> None:
        """The customer repeats one of the answers that we offered."""
        asked = self.context.asked
        if (
            asked is None
            or asked.attribute not in self.lexicon.shape.attributes
            or asked.attribute in self.lexicon.attributes.numbers
        ):
            return
        said = words_of(self.message.text)
        noun = "option|answer|choice" if self.context.shown else "option|answer|choice|one"
        for option, ordinal in zip(asked.options, _ORDINALS, strict=False):
            place = re.search(rf"\b(?:the )?{ordinal} (?:{noun})\b", self.message.low)
            if place or said == words_of(option) != []:
                start, end = place.span() if place else (0, len(self.message.text))
                self._choose(asked.attribute, option, start, end)
                return

    def _choose(self, attribute: str, option: str, start: int, end: int) -> None:
        """A wish for an offered answer, where it is a value of the catalogue; other answers are read as words."""
        values = self.lexicon.shape.attributes[attribute].values or {}
        value = next((value for value in values if value.casefold() == option.casefold()), None)
        if value is not None:
            self.reading.add(Wish(attribute, "eq", (value,), start, end))
            self.heard.references = [r for r in self.heard.references if r.end <= start or r.start >= end]
            self.heard.answered = True

    def _anchors(self) -> tuple[str, ...]:
        """What a comparison compares with: the item named, else the one in focus, else the last list."""
        named = [item_id for reference in self.heard.references for item_id in reference.item_ids]
        if _THAN_TITLE.search(self.message.low):
            named += [mention.entry.values[0] for mention in self.heard.found if mention.entry.kind == "title"]
        elif any(mention.entry.kind == "title" for mention in self.heard.found):
            return tuple(named)  # "newer ones like Home Again": newer than what, nobody said
        if named:
            return tuple(named)
        if self.context.focus:
            return self.context.focus[:1]
        return next((ids for ids in reversed(self.context.shown) if ids), ())

    def _read_titles(self, stances: Stances) -> None:
        low = self.message.low
        ask = bool(
            intents.ASK_ITEM.search(low)
            or intents.WHY_NOT.search(low)
            or intents.WHY.search(low)
            or intents.COMPARE.search(low)
            or asked_field(low, self.lexicon)
            or ("?" in low and intents.YES_NO.search(low))
        )
        shown = frozenset(item_id for ids in self.context.shown for item_id in ids)
        wishes, named = title_wishes(self.message, stances, self.heard.found, shown, ask=ask)
        self.reading.add(*wishes)
        for item_id in named:
            self.reading.name_item(item_id)

    def _read_stock(self, stances: Stances) -> None:
        if not self.lexicon.stocked:
            return
        low = self.message.low
        match, counted = intents.STOCK.search(low), intents.COUNT.search(low)
        if match and self.message.free(*match.span()) and (counted or not asked_field(low, self.lexicon)):
            self.reading.add(Wish("in_stock", "eq", ("yes",), match.start(), match.end()))

    def _read_unknown(self) -> None:
        found = unknown_name(self.message, self.lexicon) or unsold_thing(self.message, self.lexicon)
        if found:
            start, end = found
            self.reading.said = self.message.quote(start, end).strip("\"'*`“”《》")
            self.reading.add(Wish(None, "about", (self.reading.said,), start, end, "soft"))

    def _sold(self) -> list[tuple[int, int]]:
        """Where words of service are about the items: "2 year warranty" is a value, "shipping time" is a field."""
        if not (intents.SUPPORT.search(self.message.low) or intents.OPEN.search(self.message.low)):
            return []
        pointed = any(not one.pronoun for one in self.heard.references)
        found = mentions(self.message, self.lexicon, self.message.free)
        values = [one for one in found if one.entry.kind == "value" and len(words_of(one.entry.values[0])) > 1]
        spans = [(one.start, one.end) for one in values if len(self.message.tokens_in(one.start, one.end)) > 1]
        known = {one.entry.attribute for one in values}
        named = self.lexicon.attributes.named(self.message.low)
        return spans + [(start, end) for start, end, name in named if pointed or name in known]

    def _read_support(self) -> None:
        """Take the sentences about the service, so that their words are not read as wishes."""
        message = self.message
        spans: list[tuple[int, int]] = []
        sold = self._sold()
        for match in (*intents.SUPPORT.finditer(message.low), *intents.OPEN.finditer(message.low)):
            start, end = part_around(message, match.start())
            if any(match.start() >= r.start and match.end() <= r.end for r in self.heard.references):
                continue
            # "return the second one": what is referred to has been taken, the words before it have not.
            pointed = (r.start for r in self.heard.references if match.start() < r.start < match.end())
            if not message.free(match.start(), min(pointed, default=match.end())):
                continue
            if any(match.start() < until and since < match.end() for since, until in sold):
                continue
            if intents.OF_A_TITLE.match(message.low, match.start()):
                continue
            if not intents.NOT_SUPPORT.search(message.low[start : match.end()]):
                spans.append((start, end))
        if spans:
            quotes = dict.fromkeys(message.quote(*span) for span in spans)
            self.heard.support_text = " ".join(quotes)[:MAX_SUPPORT_CHARS]
            self.heard.support_spans = tuple(spans)
            for item_id in self._titles_in(spans):
                self.reading.name_item(item_id)
            for span in spans:
                message.take(*span)

    def _titles_in(self, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
        """Items that a question of service calls by their title: "can I return Casablanca?"."""
        for one in mentions(self.message, self.lexicon, self.message.free):
            inside = any(start <= one.start and one.end <= end for start, end in spans)
            if inside and one.entry.kind == "title" and one.certainty == "sure":
                yield str(one.entry.values[0])
