"""What a message is for, once its wishes, names and references have been read: from `Heard` to an `Understanding`.

Knows what the words ask of items, of the catalogue and of the list; not how names and wishes are found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from agent.understand import intents
from agent.understand.critique import compared_number
from agent.understand.entities import Mention
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message
from agent.understand.references import Reference
from agent.understand.superlatives import Superlative
from agent.understand.types import DialogueContext, Intent, Understanding
from agent.understand.wishes import Reading, Wish

MAX_SUPPORT_CHARS = 400
MAX_BARE_TOKENS = 5
"""Longer questions name what they ask about."""
_FURTHER = re.compile(r"\b(?:more|another|others?|else|different)\b")
_AND_THAT = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|but|and|what about|how about|for|of|with)\W+)*(?:and|what about|how about)\b"
)
_BESIDE_SERVICE: frozenset[Intent] = frozenset(
    {"item_question", "compare", "why", "why_not", "count", "superlative", "more", "accept", "reject"}
)
"""What a message can be for besides a question of service; the articles answer that half of it."""
_JOINS = frozenset(
    "and also but or so plus then well ok okay please hi hello thanks 还 有 另 外 那 请 你 好 谢".split()
)
"""Words that are left of a question of service and ask for nothing."""
MAX_ELLIPSIS_TOKENS = 8
"""Longer messages say themselves what they ask."""
_OF_MANY = re.compile(r"\b(?:films?|movies?|items?|ones?|any|some|something|you|we|i)\b|电影|片")


@dataclass(slots=True)
class Heard:
    """What has been read of a message so far; the steps of reading fill it, `Purposes` says what it is for.

    `found` are the names in it, `missed` is a place that no list has, `answered` an offered answer that was repeated,
    `person` tells that "him" or "her" was read. `support_spans` are where `support_text` stands.
    """

    message: Message
    context: DialogueContext
    lexicon: Lexicon
    reading: Reading
    references: list[Reference] = field(default_factory=list)
    found: list[Mention] = field(default_factory=list)
    support_text: str | None = None
    superlative: Superlative | None = None
    answered: bool = False
    missed: str = ""
    person: bool = False
    support_spans: tuple[tuple[int, int], ...] = ()


def asked_field(low: str, lexicon: Lexicon) -> tuple[str | None] | None:
    """(attribute,) of a question about an item in lower-case text, or None where it asks nothing of one."""
    for role, pattern in intents.ITEM_QUESTIONS:
        if pattern.search(low):
            attribute = "in_stock" if role == "in_stock" else lexicon.attributes.of(role) if role else None  # type: ignore[arg-type]
            return (attribute,)
    return None


class Purposes:
    """Says what one message is for; `shown` is the list shown last."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.message, self.context = heard.message, heard.context
        self.lexicon, self.reading = heard.lexicon, heard.reading

    def conclude(self, shown: tuple[str, ...]) -> Understanding:
        items = self._items()
        if self.heard.missed and not items and all(wish.op == "about" for wish in self.reading.wishes):
            self.reading.said = self.reading.said or self.heard.missed
            return self._result("item_question", facts=False)
        for intent in (self._service, self._about_items, self._about_catalogue, self._about_list):
            if result := intent(items, shown):
                return result
        return self._wish_or_nothing(items)

    def _items(self) -> tuple[str, ...]:
        """Items pointed at, places and names before pronouns."""
        ids = [item_id for r in self.heard.references if not r.pronoun for item_id in r.item_ids]
        ids += self.reading.item_ids
        if not ids:
            ids = [item_id for r in self.heard.references for item_id in r.item_ids]
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
            self.heard.support_text,
        )

    def _service(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        if self.heard.support_text is None:
            return None
        wishes = [wish for wish in self.reading.wishes if wish.op != "about"]
        if wishes or (self.heard.superlative and not items):
            return None  # a wish and a question of service: the list is shown, the articles answer besides
        return self._beside(items, shown) or self._result("support", items, facts=False)

    def _beside(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        """What the rest of the message is for, where that is of items: "who made it? can I return it?"."""
        text = self.message.text
        for start, end in self.heard.support_spans:
            text = text[:start] + " " * (end - start) + text[end:]
        message = Message(text)
        if all(token.norm in _JOINS for token in message.tokens):
            return None
        context = replace(self.context, questions=())  # the question of service is what "and" leads to
        rest = Purposes(replace(self.heard, message=message, context=context, support_text=None))
        found = (intent(items, shown) for intent in (rest._about_items, rest._about_catalogue, rest._about_list))
        result = next((one for one in found if one is not None and one.intent in _BESIDE_SERVICE), None)
        if result is None:
            return None
        return replace(result, language=self.message.language, support_text=self.heard.support_text)

    def _about_items(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if shown and intents.NONE_OF_ALL.search(low):
            return self._result("reject", self._rejected(items))
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
        if items or (not self.heard.missed and (self.context.focus or len(shown) == 1)):
            return self._reaction(items or self.context.focus[:1] or shown)
        return None

    def _comparison(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if not intents.COMPARE.search(low) and not (self.heard.superlative and intents.OF_SHOWN.search(low) and shown):
            return None
        liked = tuple(str(w.values[0]) for w in self.reading.wishes if w.op == "like")
        items = items + tuple(item_id for item_id in liked if item_id not in items) or shown
        narrowed = any(wish.attribute and wish.op == "eq" for wish in self.reading.wishes)
        if self.heard.superlative and narrowed and not self.heard.references:
            return None  # "the longest film by Hitchcock" is asked of the catalogue, not of the list
        if len(items) < 2 or re.search(r"\bwhich (?:films?|movies?|items?|ones?) (?:do|are|have) you\b", low):
            return None
        attribute, descending = self._compared()
        return self._result("compare", items, attribute=attribute, facts=False, descending=descending)

    def _compared(self) -> tuple[str | None, bool]:
        if self.heard.superlative:
            return self.heard.superlative.attribute, self.heard.superlative.descending
        if compared := compared_number(self.message.low, self.lexicon):
            return compared[0], compared[1] == "gt"
        names = [name for _, _, name in self.lexicon.attributes.named(self.message.low)]
        return (names[0] if names else None), True

    def _item_question(self, items: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        question = asked_field(low, self.lexicon)
        pointed = items or tuple(str(w.values[0]) for w in self.reading.wishes if w.op == "like" and not w.doubtful)
        yes_no = bool(intents.YES_NO.search(low)) and ("?" in low or "吗" in low or len(self.message.tokens) <= 8)
        if not pointed and yes_no and intents.OF_IT.match(low):
            pointed = self.context.focus[:1]
        if question is None and pointed:
            question = self._asked_again()
        back = () if self.heard.missed else self.context.focus[:1]
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

    def _asked_again(self) -> tuple[str | None] | None:
        """The question put last, of "and Jaws?"; None where the message asks something of its own."""
        if len(self.message.tokens) > MAX_ELLIPSIS_TOKENS or not _AND_THAT.match(self.message.low):
            return None
        if any(wish.op != "like" for wish in self.reading.wishes):
            return None
        asked = (asked_field(said.lower(), self.lexicon) for said in self.context.questions)
        return next((field for field in asked if field is not None), None)

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
        if not items and not self.heard.missed:
            self.heard.support_text = self.message.text.strip()[:MAX_SUPPORT_CHARS]
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
        pointed = bool(self.heard.references)
        if pointed and intents.LIKE_IT.search(low) and intents.KNOWN.search(low):
            self._like_pointed()
            return self._result("recommend")
        if intents.REJECT.search(low) and (pointed or not self.heard.found):
            return self._result("reject", self._rejected(items))
        if pointed and intents.LIKES.search(low):
            self._like_pointed()
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

    def _like_pointed(self) -> None:
        for reference in self.heard.references:
            for item_id in reference.item_ids[:1]:
                self.reading.add(Wish(None, "like", (item_id,), reference.start, reference.end, kind="soft"))

    def _rejected(self, items: tuple[str, ...]) -> tuple[str, ...]:
        if re.search(r"\b(?:none|all|them|these|those)\b|这些|都看过", self.message.low) and not self.reading.item_ids:
            return next((ids for ids in reversed(self.context.shown) if ids), items)
        return items

    def _about_catalogue(self, items: tuple[str, ...], shown: tuple[str, ...]) -> Understanding | None:
        low = self.message.low
        if intents.COUNT.search(low):
            return self._result("count", items)
        if self.heard.superlative:
            return self._result(
                "superlative", attribute=self.heard.superlative.attribute, descending=self.heard.superlative.descending
            )
        if self.reading.said:
            return self._result("unknown_item", items)
        if items and not self.reading.wishes and intents.ASK_ITEM.search(low):
            return self._result("item_question", items, attribute=self._named_field())
        return None

    def _named_field(self) -> str | None:
        """The attribute that is called by name: "and the year of the fifth one?"."""
        spans = [(r.start, r.end) for r in self.heard.references if not r.pronoun]
        named = self.lexicon.attributes.named(self.message.low)
        apart = (name for start, end, name in named if all(end <= left or start >= right for left, right in spans))
        return next(apart, None)

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
        if self.heard.person and _FURTHER.search(self.message.low):
            return self._result("more")
        if wishes or self.reading.dropped or self.heard.answered:
            return self._result("recommend", items)
        if items:
            return self._result("item_question", items, attribute=self._named_field())
        if intents.PRAISE.match(self.message.low):
            return self._result("thanks")
        asks = intents.ASK_ITEM.search(self.message.low) or re.search(
            r"\b(?:recommend|suggest|show|watch|film|movie|something)", self.message.low
        )
        return self._result("recommend" if asks or self.message.language == "zh" else "empty")
