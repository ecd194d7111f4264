"""The rules' reading of one message: from words to an `Understanding`, without a model.

Knows the catalogue's words and what was shown; not how items are found or answers are written. Not
covered: irony, wishes spread over several messages, languages other than English and Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.preferences import Dropped
from agent.understand import intents, talk
from agent.understand.about import about_wishes, leftover_wishes
from agent.understand.corrections import clarify, permit, replace_old, take_back
from agent.understand.critique import compared_number, critiques
from agent.understand.entities import Mention, mentions
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, part_around, words_of
from agent.understand.negation import Stances
from agent.understand.numbers import NumberReader
from agent.understand.references import ItemOf, Reference, References, asked_like
from agent.understand.superlatives import Superlative, read_superlative
from agent.understand.types import DialogueContext, Intent, Understanding
from agent.understand.unknown import unknown_name, unsold_thing
from agent.understand.values import title_wishes, value_wishes
from agent.understand.wishes import Reading, Wish
from retrieval.errors import ChatalogueError
from retrieval.items import Item

MAX_SUPPORT_CHARS = 400
MAX_BARE_TOKENS = 5
"""Longer questions name what they ask about."""
_ORDINALS = (r"(?:first|1st|1)", r"(?:second|2nd|2)", r"(?:third|3rd|3)", r"(?:fourth|4th|4)", r"(?:fifth|5th|5)")
_OF_MANY = re.compile(r"\b(?:films?|movies?|items?|ones?|any|some|something|you|we|i)\b|电影|片")
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
        self.references: list[Reference] = []
        self.found: list[Mention] = []
        self.support_text: str | None = None
        self.superlative: Superlative | None = None
        self.answered = False
        self.missed = ""

    def read(self) -> Understanding:
        """Commands first; then take words one kind of reading after the other; then say what it is for."""
        if command := self._command():
            return command
        resolver = References(self.message, self.context, self.lexicon, self.item_of)
        self.references = resolver.all()
        self.missed = resolver.missed
        for reference in self.references:
            if not reference.pronoun:
                self.message.take(reference.start, reference.end)
            if asked_like(self.message, reference):
                like = Wish(None, "like", reference.item_ids[:1], reference.start, reference.end, kind="soft")
                self.reading.add(like)
        self._read_wishes()
        return self._conclude(resolver.shown)

    # -- whole messages ------------------------------------------------------------------------

    def _command(self) -> Understanding | None:
        low, language = self.message.low.strip(), self.message.language
        if talk.distressed(low):
            return Understanding("distress", language)
        if intents.UNDO.match(low):
            return Understanding("undo", language)
        if reset := self._reset():
            return reset
        kinds = ("handoff", intents.HANDOFF), ("out_of_scope", intents.OUT_OF_SCOPE), ("out_of_scope", talk.INJECTED)
        for intent, pattern in kinds:
            for match in pattern.finditer(self.message.low):
                if not intents.about_a_film(self.message.low, match.start()):
                    return Understanding(intent, language, said=match.group().strip())  # type: ignore[arg-type]
        return self._small_talk(low)

    def _small_talk(self, low: str) -> Understanding | None:
        language = self.message.language
        if intents.GREETING.match(low):
            return Understanding("greeting", language)
        if intents.THANKS.match(low):
            return Understanding("thanks", language)
        if self.context.asked is None and (words := talk.small_talk(low)):
            return Understanding(words, language)
        if attribute := talk.asked_values(low, self.lexicon):
            return Understanding("values", language, attribute=attribute)
        return None

    def _reset(self) -> Understanding | None:
        """A fresh start; words after it are the first wish of the new search: "start over: a silent western"."""
        low = self.message.low
        match = intents.RESET.search(low)
        if match is None or (len(self.message.tokens) > 12 and match.start() > len(low) - len(low.lstrip()) + 12):
            return None
        evidence = self.message.quote(0, len(self.message.text))
        dropped = Dropped(self.context.turn, evidence, everything=True)
        if len(words_of(low[match.end() :])) < 2:
            return Understanding("reset", self.message.language, facts=(dropped,))
        self.message.take(*match.span())
        self.reading.dropped.append(dropped)
        return None

    # -- wishes --------------------------------------------------------------------------------

    def _read_wishes(self) -> None:
        message, context, lexicon, reading = self.message, self.context, self.lexicon, self.reading
        self._read_answer()
        clarify(message, context, lexicon, reading)
        permit(message, context, lexicon, reading)
        take_back(message, context, lexicon, reading)
        self._read_support()
        self.superlative = read_superlative(message, lexicon)
        reading.add(*about_wishes(message, lexicon, Stances(message)))
        self.found = [mention for mention in mentions(message, lexicon, message.free) if self._counts(mention)]
        for mention in self.found:
            if mention.entry.kind == "title" or not mention.entry.soft:
                message.take(mention.start, mention.end)
        asked = context.asked.attribute if context.asked else None
        numbers = NumberReader(message, lexicon, asked)
        reading.add(*numbers.bounds())
        reading.add(*critiques(message, lexicon, self._anchors(), self.item_of))
        self.found = [m for m in self.found if not m.entry.soft or message.free(m.start, m.end)]
        stances = Stances(message)
        reading.add(*value_wishes(message, lexicon, stances, self.found))
        self._read_titles(stances)
        self._read_stock(stances)
        reading.add(*numbers.vague(stances, lambda start, end: not message.free(start, end)))
        self._read_unknown()
        left, strange = leftover_wishes(message, lexicon, stances, others=bool(reading.wishes))
        reading.add(*left)
        if strange and not reading.wishes and not self.references and not reading.item_ids:
            reading.said = reading.said or strange
        replace_old(message, context, lexicon, reading)

    def _counts(self, mention: Mention) -> bool:
        """A value inside a comparison ("more violent") is left to the comparison."""
        return not self.superlative or not (self.superlative.start <= mention.start < self.superlative.end)

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
            self.references = [r for r in self.references if r.end <= start or r.start >= end]
            self.answered = True

    def _anchors(self) -> tuple[str, ...]:
        """What a comparison compares with: the item named, else the one in focus, else the last list."""
        named = [item_id for reference in self.references for item_id in reference.item_ids]
        if _THAN_TITLE.search(self.message.low):
            named += [mention.entry.values[0] for mention in self.found if mention.entry.kind == "title"]
        elif any(mention.entry.kind == "title" for mention in self.found):
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
            or self._question()
            or ("?" in low and intents.YES_NO.search(low))
        )
        shown = frozenset(item_id for ids in self.context.shown for item_id in ids)
        wishes, named = title_wishes(self.message, stances, self.found, shown, ask=ask)
        self.reading.add(*wishes)
        for item_id in named:
            self.reading.name_item(item_id)

    def _read_stock(self, stances: Stances) -> None:
        if not self.lexicon.stocked:
            return
        match = intents.STOCK.search(self.message.low)
        counted = intents.COUNT.search(self.message.low)
        if match and self.message.free(match.start(), match.end()) and (counted or not self._question()):
            self.reading.add(Wish("in_stock", "eq", ("yes",), match.start(), match.end()))

    def _read_unknown(self) -> None:
        found = unknown_name(self.message, self.lexicon) or unsold_thing(self.message, self.lexicon)
        if found:
            start, end = found
            self.reading.said = self.message.quote(start, end).strip("\"'*`“”《》")
            self.reading.add(Wish(None, "about", (self.reading.said,), start, end, "soft"))

    def _read_support(self) -> None:
        """Take the sentences about the service, so that their words are not read as wishes."""
        message = self.message
        spans = []
        for match in (*intents.SUPPORT.finditer(message.low), *intents.OPEN.finditer(message.low)):
            start, end = part_around(message, match.start())
            if any(match.start() >= r.start and match.end() <= r.end for r in self.references):
                continue
            if not intents.NOT_SUPPORT.search(message.low[start : match.end()]):
                spans.append((start, end))
        if spans:
            self.support_text = " ".join(dict.fromkeys(message.quote(*span) for span in spans))[:MAX_SUPPORT_CHARS]
            for span in spans:
                message.take(*span)

    # -- what it is for ------------------------------------------------------------------------

    def _conclude(self, shown: tuple[str, ...]) -> Understanding:
        items = self._items()
        if self.missed and not items and all(wish.op == "about" for wish in self.reading.wishes):
            self.reading.said = self.reading.said or self.missed
            return self._result("item_question", facts=False)
        for intent in (self._service, self._about_items, self._about_catalogue, self._about_list):
            if result := intent(items, shown):
                return result
        return self._wish_or_nothing(items)

    def _items(self) -> tuple[str, ...]:
        """Items pointed at, places and names before pronouns."""
        ids = [item_id for r in self.references if not r.pronoun for item_id in r.item_ids]
        ids += self.reading.item_ids
        if not ids:
            ids = [item_id for r in self.references for item_id in r.item_ids]
        return tuple(dict.fromkeys(ids))

    def _result(
        self,
        intent: Intent,
        items: tuple[str, ...] = (),
        *,
        attribute: str | None = None,
        facts: bool = True,
        descending: bool = True,
    ) -> Understanding:
        certain, doubtful = self.reading.facts(self.context.turn) if facts else ((), ())
        return Understanding(
            intent,
            self.message.language,
            certain,
            doubtful,
            items,
            attribute,
            descending,
            self.reading.said,
            self.support_text,
        )

    def _service(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        if self.support_text is None:
            return None
        wishes = [wish for wish in self.reading.wishes if wish.op != "about"]
        if wishes or (self.superlative and not items):
            return None  # a wish and a question of service: the list is shown, the articles answer besides
        return self._result("support", items, facts=False)

    def _about_items(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if intents.WHY_NOT.search(low) and (items or len(self.message.tokens) > 3 or shown):
            liked = tuple(str(w.values[0]) for w in self.reading.wishes if w.op == "like")
            if not items and not liked and (name := intents.WHY_NOT_NAMED.search(self.message.text)):
                self.reading.said = self.reading.said or name["name"].strip()
            return self._result("why_not", items or liked, facts=False)
        if intents.WHY.search(low) and (items or (shown and intents.WHY_ASKED.search(low))):
            return self._result("why", items or shown, facts=False)
        if result := self._comparison(items, shown):
            return result
        if intents.COUNT.search(low):
            return None
        if result := self._item_question(items):
            return result
        if items or (not self.missed and (self.context.focus or len(shown) == 1)):
            return self._reaction(items or self.context.focus[:1] or shown)
        return None

    def _comparison(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if not intents.COMPARE.search(low) and not (self.superlative and intents.OF_SHOWN.search(low) and shown):
            return None
        liked = tuple(str(w.values[0]) for w in self.reading.wishes if w.op == "like")
        items = items + tuple(item_id for item_id in liked if item_id not in items) or shown
        narrowed = any(wish.attribute and wish.op == "eq" for wish in self.reading.wishes)
        if self.superlative and narrowed and not self.references:
            return None  # "the longest film by Hitchcock" is asked of the catalogue, not of the list
        if len(items) < 2 or re.search(r"\bwhich (?:films?|movies?|items?|ones?) (?:do|are|have) you\b", low):
            return None
        attribute, descending = self._compared()
        return self._result("compare", items, attribute=attribute, facts=False, descending=descending)

    def _compared(self) -> tuple[str | None, bool]:
        if self.superlative:
            return self.superlative.attribute, self.superlative.descending
        if compared := compared_number(self.message.low, self.lexicon):
            return compared[0], compared[1] == "gt"
        names = [name for _, _, name in self.lexicon.attributes.named(self.message.low)]
        return (names[0] if names else None), True

    def _question(self) -> tuple[str | None] | None:
        """(attribute,) of a question about an item, or None where it is none."""
        low = self.message.low
        for role, pattern in intents.ITEM_QUESTIONS:
            if pattern.search(low):
                attribute = "in_stock" if role == "in_stock" else self.lexicon.attributes.of(role) if role else None  # type: ignore[arg-type]
                return (attribute,)
        return None

    def _item_question(self, items: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        question = self._question()
        pointed = items or tuple(str(w.values[0]) for w in self.reading.wishes if w.op == "like" and not w.doubtful)
        yes_no = bool(intents.YES_NO.search(low)) and ("?" in low or "吗" in low or len(self.message.tokens) <= 8)
        if not pointed and yes_no and intents.OF_IT.match(low):
            pointed = self.context.focus[:1]
        back = () if self.missed else self.context.focus[:1]
        if result := self._absent_field(pointed or back, asks=yes_no, named=bool(pointed)):
            return result
        if question is not None and (pointed or self._points_back() or self._bare()):
            return self._result("item_question", pointed or back, attribute=question[0], facts=False)
        if pointed and yes_no and not intents.MORE.search(low) and not self._denies(low):
            return self._yes_or_no(pointed)
        if items and re.search(
            r"\b(?:what|who|where|when|how|which) (?:\w+ )?(?:is|are|was|does|do|did)\b|\bwhat'?s\b", low
        ):
            named = [name for _, _, name in self.lexicon.attributes.named(low)]
            return self._result("item_question", items, attribute=named[0] if named else None, facts=False)
        return None

    def _yes_or_no(self, pointed: tuple[str, ...]) -> Understanding:
        """Whether an item has a value: "is it a comedy?"; `said` is then the value asked for."""
        asked = [wish for wish in self.reading.wishes if wish.attribute]
        named = [name for _, _, name in self.lexicon.attributes.named(self.message.low)]
        if asked and asked[0].op == "eq" and asked[0].attribute != "in_stock":
            self.reading.said = str(asked[0].values[0])
        attribute = asked[0].attribute if asked else next(iter(named), None)
        return self._result("item_question", pointed, attribute=attribute, facts=False)

    def _absent_field(self, items: tuple[str, ...], *, asks: bool, named: bool) -> Understanding | None:
        """A question after something that catalogues seldom have: the age rating, the subtitles, the ending."""
        low = self.message.low
        field = next((name for name, pattern in intents.ABSENT if pattern.search(low)), None)
        if field is None or not (asks or intents.BARE_QUESTION.match(low) or low.rstrip().endswith(("吗", "?"))):
            return None
        if not (named or self._points_back() or self._bare()):
            return None
        if not items and not self.missed:
            self.support_text = self.message.text.strip()[:MAX_SUPPORT_CHARS]
            return self._result("support", facts=False)
        known = [name for start, end, name in self.lexicon.attributes.named(field) if (start, end) == (0, len(field))]
        return self._result("item_question", items, attribute=known[0] if known else field, facts=False)

    def _bare(self) -> bool:
        """Whether it is a short question that names nothing: "and how long?"."""
        if len(self.message.tokens) > MAX_BARE_TOKENS or any(w.kind == "hard" for w in self.reading.wishes):
            return False
        return bool(intents.BARE_QUESTION.match(self.message.low)) and not _OF_MANY.search(self.message.low)

    def _points_back(self) -> bool:
        """Whether it asks of an "it", even of one that nobody knows: the answer then asks back."""
        hard = any(w.kind == "hard" and w.op != "like" for w in self.reading.wishes)
        return not hard and bool(
            re.search(
                r"\b(?:it|that|this|they|these|those|the (?:film|movie|\w+ one))\b|[它这那谁]|多少钱|多长",
                self.message.low,
            )
        )

    @staticmethod
    def _denies(low: str) -> bool:
        return bool(re.match(r"\W*(?:does not|do not|doesn't|don't)\b", low))

    def _reaction(self, items: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        pointed = bool(self.references)
        if intents.REJECT.search(low) and (pointed or not self.found):
            return self._result("reject", self._rejected(items))
        if pointed and intents.LIKES.search(low):
            for reference in self.references:
                for item_id in reference.item_ids[:1]:
                    self.reading.add(Wish(None, "like", (item_id,), reference.start, reference.end, kind="soft"))
            return self._result("recommend", items)
        if pointed and intents.REJECT_NAMED.search(low) and not self.reading.wishes:
            return self._result("reject", items, facts=False)
        wishes = [wish for wish in self.reading.wishes if wish.op not in ("about", "like")]
        if intents.TAKES.search(low) and (pointed or self.reading.item_ids) and not wishes:
            return self._result("accept", items, facts=False)
        if intents.PRAISE.match(low) and not wishes:
            return self._result("accept", items, facts=False)
        if re.search(r"\b(?:that|this) one\b", low) and pointed and not wishes and len(self.message.tokens) <= 6:
            return self._result("accept", items, facts=False)
        return None

    def _rejected(self, items: tuple[str, ...]) -> tuple[str, ...]:
        if re.search(r"\b(?:none|all|them|these|those)\b|这些|都看过", self.message.low) and not self.reading.item_ids:
            return next((ids for ids in reversed(self.context.shown) if ids), items)
        return items

    def _about_catalogue(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if intents.COUNT.search(low):
            return self._result("count", items)
        if self.superlative:
            return self._result(
                "superlative", attribute=self.superlative.attribute, descending=self.superlative.descending
            )
        if self.reading.said:
            return self._result("unknown_item", items)
        if items and not self.reading.wishes and intents.ASK_ITEM.search(low):
            return self._result("item_question", items)
        return None

    def _about_list(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        wishes = [wish for wish in self.reading.wishes if wish.op != "about"]
        if not wishes and not self.reading.dropped:
            anyway = intents.SHOW_ANYWAY.search(low)
            if anyway or (self.context.asked and intents.SHOW_ANYWAY_WHEN_ASKED.match(low)):
                return self._result("show_anyway", facts=False)
            if intents.MORE.search(low) and (not self.reading.wishes or len(self.message.tokens) <= 5):
                return self._result("more", items, facts=False)
        return None

    def _wish_or_nothing(self, items: tuple[str, ...]) -> Understanding:
        wishes = self.reading.wishes
        if wishes or self.reading.dropped or self.answered:
            return self._result("recommend", items)
        if items:
            return self._result("item_question", items)
        if intents.PRAISE.match(self.message.low):
            return self._result("thanks")
        asks = intents.ASK_ITEM.search(self.message.low) or re.search(
            r"\b(?:recommend|suggest|show|watch|film|movie|something)", self.message.low
        )
        return self._result("recommend" if asks or self.message.language == "zh" else "empty")
