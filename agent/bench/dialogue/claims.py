"""Whether what a reply says of items is true: the product's own claim check, and one that shares no code with it.

The first is `agent.grounding`, sentence by sentence, below the list, with the facts found again from the `chatalogue`
object. The second goes over the list, too: every number near an item must be a fact of it or the customer's own, every
address must be its own, a value of the catalogue must be the item's (or must not, where it is denied), and every title
that is named must belong to an item that was shown. Knows nothing of conversations. Not covered: whether an item that
is called close to words or to another item is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from agent.answer import Answer, PreferenceView
from agent.bench.dialogue.linking import plain
from agent.bench.dialogue.reading import NUMBERED, SENTENCE_END, Reader, Reply
from agent.grounding import Grounding
from agent.messages import messages
from agent.preferences import Preference
from agent.rank.axes import values_of
from agent.ranking import WishMasks, matched_slate
from agent.reply_claims import Claims
from agent.reply_facts import ReplyFact, facts_of
from agent.wording import Wording
from retrieval.items import Item
from retrieval.text import fold

_ITEM_START = re.compile(r"^\s*\d{1,2}[.)]\s+", re.MULTILINE)
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,3}(?:\.\d{3})+")
_DENIAL = re.compile(r"\b(?:not|no|without)(?: (?:a|an|listed as|listed with))? ?$")
_AVOIDED = re.compile(r"^ which you")
MAX_VALUES = 100
"""Attributes with more values (people, keywords) have too many ordinary words among them."""
MIN_VALUE_CHARS = 4
MIN_SENTENCE_WORDS = 4
"""A shorter sentence ("Of course.") may be said again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a bot may rest on besides the items of this reply.

    `words` are all the customer's messages, `wishes` the values that were wished, `shown` the ids of items that were
    shown in this conversation, those of this reply included.
    """

    words: str
    wishes: str
    shown: Collection[str]


class ClaimCheck:
    """Checks the replies of bots over one catalogue."""

    def __init__(self, reader: Reader) -> None:
        self._table = reader.table
        self._titles = reader.titles
        shapes = [one for one in reader.table.shape.attributes.values() if len(one.values or ()) <= MAX_VALUES]
        values = {plain(value) for shape in shapes for value in shape.values or ()}
        self._values = [one for one in values if len(one) >= MIN_VALUE_CHARS and not one.isdigit()]

    def unsupported(self, reply: Reply, offered: Sequence[str], heard: Heard) -> list[str]:
        """Claims about the `offered` items that no field backs, each with the reason in brackets."""
        items = [self._table.get(item_id) for item_id in offered]
        found = []
        for item, block in self._blocks(reply.text, items):
            found += _wrong_numbers(item, block, heard.words)
        for item, claims in _prose(reply.text, items):
            found += _wrong_numbers(item, claims, heard.words)
            check = Grounding(item, self._table.shape, heard.wishes, self._claims(item, items, reply.answer))
            for sentence in SENTENCE_END.split(claims):
                if sentence and fold(sentence) not in fold(item.text):
                    why = check.objection(sentence) or self._wrong_value(item, sentence)
                    found += [f"{sentence} ({why})"] if why else []
        return found

    def _claims(self, item: Item, items: Sequence[Item], answer: Answer | None) -> Claims | None:
        """What may be said of the item beside its own text; None where the bot does not say what it went by."""
        if answer is None:
            return None
        wishes = [_preference(one) for one in answer.preferences]
        entries = matched_slate(items, wishes, self._table).entries
        entry = next(one for one in entries if one.item.id == item.id)
        masks = WishMasks.of(wishes, self._table)
        missed = masks.broken(self._table.row_of(item.id)) if masks.wishes else ()
        title_of = self._title_of
        wording = Wording(messages("en"), title_of, self._table.shape.currency)
        facts = [*facts_of(entry, entries, wishes, missed, wording, self._table).all]
        liked = [str(one.values[0]) for one in wishes if one.op == "like" and one.polarity == "positive"]
        for like in liked:
            facts.append(ReplyFact("like", "text", other=title_of(like)))
            facts += self._shared(item, like)
        facts += [ReplyFact("words", "text")] if any(one.op == "about" for one in wishes) else []
        facts += [ReplyFact("popular", "popularity")] if self._is_popular(item) else []
        return Claims(item, facts, items)

    def _shared(self, item: Item, like: str) -> list[ReplyFact]:
        """Values that the item has in common with the one that was liked."""
        if like not in self._table:
            return []
        other = self._table.get(like)
        both = [(name, set(values_of(item, name)) & set(values_of(other, name))) for name in item.attributes]
        return [ReplyFact("shared", name, value, other.title) for name, values in both for value in values]

    def _is_popular(self, item: Item) -> bool:
        """Whether at most half of the catalogue is more in demand."""
        more = sum(other.popularity > item.popularity for other in self._table.items)
        return item.popularity > 0 and 2 * more <= len(self._table)

    def _title_of(self, item_id: str) -> str:
        return self._table.get(item_id).title if item_id in self._table else item_id

    def _wrong_value(self, item: Item, sentence: str) -> str | None:
        """A value of the catalogue that is said and not the item's, or denied and the item's."""
        said, own = plain(sentence), f" {plain(item.document())} "
        for value in self._values:
            for match in re.finditer(rf"(?<!\w){value}(?!\w)", said):
                denied = _DENIAL.search(said[: match.start()]) is not None
                has = f" {value} " in own
                if denied == has and not (denied and _AVOIDED.search(said[match.end() :])):
                    return f"{value!r} is {'' if has else 'not '}among its values"
        return None

    def not_shown(self, reply: Reply, heard: Heard) -> list[str]:
        """Titles outside of the list whose items were never shown, nor named by the customer or by a shown item."""
        spoken = f" {plain(heard.words)} "
        known = [plain(self._table.get(item_id).document()) for item_id in heard.shown]
        named = self._titles.mentions(_ITEM_START.sub("", outside_of_lists(reply.text)))
        titles = [item.title for item in named if item.id not in heard.shown]
        return [
            one for one in titles if f" {plain(one)} " not in spoken and not any(plain(one) in own for own in known)
        ]

    def _blocks(self, text: str, items: list[Item]) -> Iterator[tuple[Item, str]]:
        """Each numbered entry with the lines that belong to it, and its item where that is among `items`."""
        own = {item.id for item in items}
        for paragraph in text.split("\n\n"):
            if not NUMBERED.search(paragraph):
                continue
            for entry in _ITEM_START.split(paragraph)[1:]:
                exact = [one for one in items if entry.startswith(one.title)]  # two titles may differ by a sign
                item = max(exact, key=lambda one: len(one.title), default=None)
                item = item or self._titles.at_start(entry.split("\n", 1)[0])
                if item is not None and item.id in own:
                    yield item, entry


def outside_of_lists(text: str) -> str:
    """The paragraphs that hold no numbered list."""
    return "\n\n".join(one for one in text.split("\n\n") if not NUMBERED.search(one))


def sentences_of(text: str) -> list[str]:
    """Sentences outside of lists that say something and ask nothing."""
    found = [one.strip() for part in outside_of_lists(text).split("\n") for one in SENTENCE_END.split(part)]
    return [one for one in found if len(one.split()) >= MIN_SENTENCE_WORDS and not one.endswith("?")]


def _prose(text: str, items: list[Item]) -> Iterator[tuple[Item, str]]:
    """Each paragraph outside of the list that names an item, without the name and what leads to it."""
    for paragraph in outside_of_lists(text).split("\n\n"):
        if paragraph.strip().endswith("?"):
            continue
        named = [
            one for one in items if re.search(rf"(?<!\w){re.escape(one.title)}(?!\w)", paragraph)
        ]  # not "Her" in "Here"
        about = max(named, key=lambda one: len(one.title), default=None)
        if about is not None:
            yield about, paragraph.rsplit(f"{about.title}:", 1)[-1].strip()


def _wrong_numbers(item: Item, said: str, customer: str) -> list[str]:
    """Numbers that are no fact of the item and that the customer did not say; addresses that are not its own."""
    found = [f"{one} (not its address)" for one in _ADDRESS.findall(said) if item.url is None or item.url not in one]
    said = _ADDRESS.sub(" ", said)
    facts = " ".join(map(str, [item.title, item.text, item.price, *item.attributes.values(), customer]))
    known = {value for number in _NUMBER.findall(facts) for value in _readings(number)}
    wrong = [number for number in _NUMBER.findall(said) if not known & _readings(number)]
    return found + [f"{item.title}: {number} (a number that is no fact of it)" for number in wrong]


def _readings(number: str) -> set[float]:
    """What a number may mean: "12,90" is 12.9, "1,290" is 1290 or 1.29."""
    grouped = _GROUPED.fullmatch(number) is not None
    texts = {number.replace(",", ".")} | ({re.sub(r"[.,]", "", number)} if grouped else set())
    try:
        return {float(text) for text in texts}
    except ValueError:  # two points: a date or a version
        return {float(re.sub(r"[.,]", "", number))}


def _preference(view: PreferenceView) -> Preference:
    values = tuple(view.value) if isinstance(view.value, list) else (view.value,)
    return Preference(view.id, view.kind, view.attribute, view.op, values, view.polarity, view.evidence, view.turn)
