"""Wishes by comparison: "cheaper", "like X but shorter", "less violent", "something funnier".

A comparison of a number is a bound at the value of the item compared with; of a quality, a soft wish.
Knows nothing of how the items were found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from agent.preferences import PreferenceOperator
from agent.understand.about import in_request
from agent.understand.lexicon import Entry, Lexicon
from agent.understand.message import Message, stem, words_of
from agent.understand.references import ItemOf
from agent.understand.roles import Role
from agent.understand.wishes import Wish
from retrieval.items import Item
from retrieval.words import function_words

# role, operator, pattern; the longer phrases first
_NUMBERS: tuple[tuple[Role, PreferenceOperator, str], ...] = (
    (
        "price",
        "lt",
        r"cheaper|less (?:expensive|pricey|costly|money)|more affordable|lower(?: in)? price[ds]?|(?:way "
        r"|far |a bit |much )?too (?:expensive|pricey|dear|costly)"
        r"|costs? too much|not (?:so|as|that) expensive|更便宜一?点?|便宜一?[点些]的?|太贵了?",
    ),
    ("price", "gt", r"pricier|more expensive|dearer|higher[- ]end|更贵"),
    ("duration", "lt", r"shorter|less long|too long|not (?:so|as|that) long|更短一?点?|短一?[点些]的?|太长了?"),
    ("duration", "gt", r"longer|too short|not (?:so|as|that) short|更长一?点?|长一?[点些]的?|太短了?"),
    (
        "year",
        "gt",
        r"newer|more (?:recent|modern|contemporary|up to date)|too old|less old"
        r"|更新一?点?|新一?[点些]的?|太老了?|太旧了?",
    ),
    (
        "year",
        "lt",
        r"older|(?:(?<=but )|(?<=only )|(?<=something ))earlier|more (?:classic|vintage)|too (?:new|modern|recent)"
        r"|更老|更旧|老一?[点些]的?",
    ),
    ("rating", "gt", r"(?:better|higher)[- ](?:rated|reviewed|ratings?|reviews?)|评分更高"),
    ("popularity", "gt", r"more popular|better known|more famous|更热门|更有名"),
    ("popularity", "lt", r"less (?:popular|famous|known|mainstream)|lesser[- ]known|more obscure|冷门一?点?"),
    ("weight", "lt", r"lighter|less heavy|too heavy|更轻一?点?"),
    ("weight", "gt", r"heavier"),
    ("size", "gt", r"bigger|larger|too small|更大一?点?|大一?[点些]的?"),
    ("size", "lt", r"smaller|too (?:big|large)|more compact|更小一?点?|小一?[点些]的?"),
)
_NUMBER_PATTERNS = tuple((role, op, re.compile(rf"(?<![a-z])(?:{words})(?![a-z])")) for role, op, words in _NUMBERS)
_DENIED = re.compile(
    r"\b(?:not?|nothing|isn'?t|aren'?t|without|anything|never|n't(?: be)?)\s+(?:\w+\s+)?$|不(?:要)?$|别$"
)
_QUALITY = re.compile(
    r"\b(?P<how>more|less|too|not (?:so|as|that)|fewer)\s+(?P<word>[a-z-]{3,}(?:\s(?:fi|com)\b)?)|(?:更"
    r"|比较)(?P<more>[\u4e00-\u9fff]{2})|(?P<bit>[\u4e00-\u9fff]{2})一[点些]"
    r"|不那么(?P<less>[\u4e00-\u9fff]{2})"
)
_ER = re.compile(r"\b(?P<word>[a-z]{2,}er)\b(?!\s+than\s+\d)")
_ADJECTIVES = frozenset(
    "funny scary dark light quiet slow fast happy sad weird smart calm warm silly tense cozy cosy gentle"
    " soft deep gory bloody strange "
    "creepy spooky witty dumb clever sweet gritty tough wild loud fun grim moody mellow violent romantic"
    " serious exciting uplifting "
    "thoughtful lighthearted intense emotional suspenseful realistic artistic mainstream obscure graphic"
    " heartwarming original complex".split()
)
_NO_QUALITY = frozenset(
    "than of like please information info details about or and time options results questions i to in on for".split()
)


def critiques(message: Message, lexicon: Lexicon, anchors: Sequence[str], item_of: ItemOf) -> list[Wish]:
    """Wishes relative to `anchors` (item ids: the one compared with, or the last list), soft without any."""
    items = [item for item_id in anchors if (item := item_of(item_id)) is not None]
    wishes = _numbers(message, lexicon, items)
    for wish in wishes:
        message.take(wish.start, wish.end)
    return wishes + _qualities(message, lexicon) + _comparatives(message, lexicon)


def comparative(words: str) -> bool:
    """Whether a wish's own words compare ("cheaper", "not so long") and name no number ("under 20")."""
    low = words.lower()
    named = any(char.isdigit() for char in low)
    return not named and any(pattern.search(low) for _, _, pattern in _NUMBER_PATTERNS)


def compared_number(low: str, lexicon: Lexicon) -> tuple[str, PreferenceOperator] | None:
    """The attribute and direction of a comparison in lower-case text: "which is longer?" -> (runtime, gt)."""
    for role, op, pattern in _NUMBER_PATTERNS:
        attribute = lexicon.attributes.of(role)
        if attribute is not None and pattern.search(low):
            return attribute, op
    return None


def _numbers(message: Message, lexicon: Lexicon, items: Sequence[Item]) -> list[Wish]:
    wishes: list[Wish] = []
    for role, op, pattern in _NUMBER_PATTERNS:
        attribute = lexicon.attributes.of(role) or (
            "popularity" if role == "popularity" and "popularity" in lexicon.numbers else None
        )
        match = pattern.search(message.low)
        if attribute is None or match is None or not message.free(match.start(), match.end()):
            continue
        if _DENIED.search(message.left(match.start(), 25)) and not match.group().startswith("not"):
            continue
        values = [value for item in items if (value := number_of(item, attribute)) is not None]
        if values:
            wishes.append(Wish(attribute, op, (median(values),), match.start(), match.end()))
        elif in_request(message, *match.span()) and (wish := _without_anchor(lexicon, attribute, op, match)):
            wishes.append(wish)
    return wishes


def _without_anchor(lexicon: Lexicon, attribute: str, op: PreferenceOperator, match: re.Match[str]) -> Wish | None:
    """Read "something shorter" with nothing to compare to: the shorter third, softly."""
    bound = lexicon.quantile(attribute, 0.33 if op == "lt" else 0.66)
    if bound is None:
        return None
    return Wish(attribute, "le" if op == "lt" else "ge", (bound,), match.start(), match.end(), kind="soft")


def number_of(item: Item, attribute: str) -> float | None:
    """The item's number, also for its own fields."""
    if attribute == "price":
        return None if item.price is None else float(item.price)
    if attribute == "popularity" and "popularity" not in item.attributes:
        return item.popularity
    value = item.attributes.get(attribute)
    return float(value) if isinstance(value, int | float) else None


def _qualities(message: Message, lexicon: Lexicon) -> list[Wish]:
    wishes = []
    for match in _QUALITY.finditer(message.low):
        word = match["word"] or match["more"] or match["bit"] or match["less"]
        if not message.free(match.start(), match.end()) or word in _NO_QUALITY or word in function_words():
            continue
        how = match["how"] or ("less" if match["less"] else "more")
        if how == "too" and _DENIED.search(message.left(match.start(), 25)):
            continue
        entry = _quality(lexicon, word)
        if entry is None and word not in _ADJECTIVES:
            continue
        if how == "more" and entry is not None and not entry.soft and word != stem(word):
            continue  # "more comedies": more of them, not funnier ones
        wishes.append(_wish(entry, word, match.start(), match.end(), positive=how == "more"))
    for wish in wishes:
        message.take(wish.start, wish.end)
    return wishes


def _comparatives(message: Message, lexicon: Lexicon) -> list[Wish]:
    wishes = []
    for match in _ER.finditer(message.low):
        if not message.free(match.start(), match.end()):
            continue
        base = next((base for base in _bases(match["word"]) if base in _ADJECTIVES), None)
        if base:
            wishes.append(_wish(_quality(lexicon, base), base, match.start(), match.end(), positive=True))
            message.take(match.start(), match.end())
    return wishes


def _quality(lexicon: Lexicon, word: str) -> Entry | None:
    entries = lexicon.values_like(words_of(word))
    return next((entry for entry in entries if entry.soft), entries[0] if entries else None)


def _wish(entry: Entry | None, word: str, start: int, end: int, *, positive: bool) -> Wish:
    polarity = "positive" if positive else "negative"
    if entry is None:
        return Wish(None, "about", (word,), start, end, kind="soft", polarity=polarity)  # type: ignore[arg-type]
    return Wish(entry.attribute, "eq", entry.values, start, end, kind="soft", polarity=polarity)  # type: ignore[arg-type]


def _bases(word: str) -> list[str]:
    bases = [word[:-2], word[:-1]]
    if word.endswith("ier"):
        bases.append(word[:-3] + "y")
    if len(word) > 4 and word[-3] == word[-4]:
        bases.append(word[:-3])
    return bases
