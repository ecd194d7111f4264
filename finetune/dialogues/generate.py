"""The grammar: a customer with an item in mind, turn by turn, what is said and what it means.

A wish is true of the item in mind, so hard wishes never contradict each other; a slip ("I meant ...") is put right in
the very next turn. Everything follows from the seed and the number of the dialogue. Lists are shown at random: the
grammar knows nothing of retrieval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from agent.preferences import Added, Dropped, Fact, Preference, fold
from agent.understand.types import DialogueContext, Intent
from finetune.dialogues.noise import Dice, Noise, disturb
from finetune.dialogues.sayings import KNOWN_VALUES, Meant, Piece, Sayer, Saying, filled, plain
from finetune.dialogues.types import Act, FactKind, GeneratedDialogue, GeneratedTurn, GoldFact, Half, Split
from finetune.dialogues.words import NUMBERS, Phrases, speakable
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.shape import CatalogueShape

SHOWN = 5
MIN_ITEMS = 2 * SHOWN
MAX_TURNS = 6
ORDINALS = ("first", "second", "third", "fourth", "fifth")
_STRIP = " ,.?!…:)"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the customers of a run speak: which phrases, how carelessly, and what they call what is sold."""

    split: Split = "train"
    noise: Noise = field(default_factory=Noise)
    noun: str = "item"
    plural: str = "items"
    half: Half = "all"


class DialogueGenerator:
    """Makes dialogues about one catalogue.

    Args:
        items: the catalogue.
        shape: its shape.
        manner: how customers speak.
        seed: same seed, same dialogues.

    Raises:
        BadRequest: fewer than ten items, or no attribute that customers could speak of.
    """

    def __init__(self, items: Sequence[Item], shape: CatalogueShape, manner: Manner = Manner(), seed: int = 0) -> None:
        self._items = tuple(items)
        attributes = speakable(self._items, shape)
        if len(self._items) < MIN_ITEMS or not attributes:
            raise BadRequest(f"Dialogues need {MIN_ITEMS} items with attributes or prices; add some to the catalogue.")
        self._manner = manner
        self._seed = seed
        self._sayer = Sayer(attributes, Phrases(manner.split, manner.half), shape.currency, manner.noun, manner.plural)

    def dialogue(self, number: int) -> GeneratedDialogue:
        """The dialogue of that number; the same whatever was made before."""
        dice = Dice((self._seed, self._manner.split == "held_out", number))  # the splits share no dialogue
        talk = _Talk(self._items, self._sayer, self._manner, dice)
        turns = tuple(talk.turns(int(dice.pick(range(2, MAX_TURNS + 1)))))
        return GeneratedDialogue(f"{self._seed}-{self._manner.split}-{number}", talk.target.id, turns)

    def turns(self, n: int) -> Iterator[GeneratedTurn]:
        """The first `n` turns of the dialogues 0, 1, 2 ..."""
        number = made = 0
        while made < n:
            for turn in self.dialogue(number).turns[: n - made]:
                made += 1
                yield turn
            number += 1


@dataclass(frozen=True, slots=True)
class _Draft:
    """A turn before noise: the pieces of its text, facts that no piece carries, and what it is for."""

    act: Act
    pieces: tuple[Piece, ...]
    phrase: str
    intent: Intent = "recommend"
    dropped: Dropped | None = None
    item_ids: tuple[str, ...] = ()
    attribute: str | None = None


class _Talk:
    """One customer: the item in mind, and what has been said and shown."""

    def __init__(self, items: tuple[Item, ...], sayer: Sayer, manner: Manner, dice: Dice) -> None:
        titles = Counter(item.title.casefold() for item in items)
        self._named = [item for item in items if titles[item.title.casefold()] == 1]
        self._items, self._sayer, self._manner, self._dice = items, sayer, manner, dice
        self.target = dice.pick(items)
        self._facts: list[Fact] = []
        self._shown: list[tuple[str, ...]] = []
        self._slip: Preference | None = None
        self._said: dict[str, str] = {}

    def turns(self, n: int) -> Iterator[GeneratedTurn]:
        """`n` turns, one more where the last would leave a slip; stops early where nothing more can be said."""
        number = 0
        while number < n or self._slip:
            number += 1
            draft = self._draft(number, last=number >= n)
            if draft is None:
                return
            yield self._typed(draft, number)
            self._shown.append(tuple(item.id for item in self._some_items()))

    # -- what to say ---------------------------------------------------------------------------

    def _draft(self, number: int, *, last: bool) -> _Draft | None:
        if self._slip:
            return self._correction(self._slip)
        if number == 1:
            ways: list[Callable[[], _Draft | None]] = [self._like, self._like_but, self._wish, self._wish, self._wish]
            if not last:
                ways.append(self._wrong_wish)
        else:
            ways = [self._more, self._more, self._refer, self._refer, self._like_but, self._topic, self._drop]
            if not last:
                ways += [self._wrong_wish, self._wrong_wish]
        while ways:
            way = self._dice.pick(ways)
            if draft := way():
                return draft
            ways = [other for other in ways if other != way]
        return None

    def _state(self) -> tuple[Preference, ...]:
        return fold(self._facts)

    def _taken(self) -> frozenset[str]:
        """Attributes that a new wish would have to replace."""
        return frozenset(wish.attribute for wish in self._state() if wish.attribute)

    def _sayings(self, n: int, taken: frozenset[str]) -> list[Saying]:
        """At most `n` wishes about different attributes, at most one of them as a head."""
        dice, found = self._dice, list[Saying]()
        if dice.chance(0.12) and not taken and (either := self._sayer.either(self.target, dice)):
            found.append(either)
        for _ in range(3 * n):
            used = taken | {meant.attribute for one in found for meant in one.meant if meant.attribute}
            against = dice.chance(0.25)
            sayer = self._sayer
            one = sayer.unwanted(self.target, dice) if against else sayer.wanted(self.target, dice, used)
            heads = any(other.form == "head" for other in found)
            clash = one is None or (one.form == "head" and heads) or any(m.attribute in used for m in one.meant)
            if one is not None and not clash and len(found) < n:
                found.append(one)
        return found

    def _wish(self) -> _Draft | None:
        found = self._sayings(self._dice.pick((1, 2, 2, 3)), self._taken())
        return self._composed(found, "wish") if found else None

    def _more(self) -> _Draft | None:
        """A later turn: one wish, as little as customers type then."""
        found = self._sayings(1, self._taken())
        if not found:
            return None
        if found[0].form != "tail":
            return self._composed(found, "wish")
        phrase = self._dice.pick(self._phrases("more"))
        slots: dict[str, str | Sequence[Piece]] = {"tail": [_piece(found[0])]}
        slots |= {"noun": self._manner.noun, "nouns": self._manner.plural}
        return _Draft("wish", tuple(filled(phrase, slots)), f"more: {phrase}")

    def _composed(
        self, found: Sequence[Saying], act: Act, frame: str = "open", dropped: Dropped | None = None
    ) -> _Draft:
        """Head and tails in one sentence, clauses behind it; clauses alone stand for themselves."""
        dice = self._dice
        tails = [Piece(" "), Piece("")]
        heads = [one for one in found if one.form == "head"]
        behind = [one for one in found if one.form == "tail"]
        clauses = [one for one in found if one.form == "clause"]
        if not heads and not behind and frame == "open":
            pieces = _joined(clauses, ". ")
            return _Draft(act, tuple(pieces), "alone", dropped=dropped)
        words = plain(dice.pick(self._phrases("head.none")), noun=self._manner.noun, nouns=self._manner.plural)
        wish = [_piece(heads[0]) if heads else Piece(words)]
        tails = [piece for one in behind for piece in (Piece(" "), _piece(one))]
        phrase = dice.pick(self._phrases(frame))
        pieces = filled(phrase, {"wish": [*wish, *tails]})
        if clauses:
            glue = dice.pick((", ", ". ", " - ")) if not phrase.endswith(("?", ".")) else " "
            pieces = [*pieces, Piece(glue), *_joined(clauses, ", ")]
        return _Draft(act, tuple(pieces), f"{frame}: {phrase}", dropped=dropped)

    def _wrong_wish(self) -> _Draft | None:
        """A wish for what the customer does not mean, to be put right in the next turn."""
        dice = self._dice
        usable = [one for one in self._sayer.attributes if one.sense not in NUMBERS and one.name not in self._taken()]
        usable = [
            one for one in usable if one.of(self.target) and set(one.values[:KNOWN_VALUES]) - set(one.of(self.target))
        ]
        if not usable:
            return None
        attribute = dice.pick(usable)
        wrong = dice.pick(
            [value for value in attribute.values[:KNOWN_VALUES] if value not in attribute.of(self.target)]
        )
        saying = self._sayer.value(attribute, wrong, dice, soft=False)
        (meant,) = saying.meant
        self._slip = Preference("", meant.kind, meant.attribute, "eq", meant.values, "positive", "", 0)
        self._said = {"old": saying.bare}
        return self._composed([saying], "wish")

    def _correction(self, slip: Preference) -> _Draft:
        """Puts right what the last turn said."""
        dice = self._dice
        attribute = next(one for one in self._sayer.attributes if one.name == slip.attribute)
        value = dice.pick(attribute.of(self.target))
        said = self._sayer.phrases.value(value, attribute.sense, dice)
        phrase = dice.pick(self._phrases("correct"))
        meant = Meant(slip.kind, slip.attribute, "eq", (value,))
        saying = Saying(said, (meant,), "clause", f"correct: {phrase}", "correction")
        pieces = filled(phrase, {"new": [_piece(saying)], "old": self._said["old"]})
        wrong = tuple(w.id for w in self._state() if (w.attribute, w.values) == (slip.attribute, slip.values))
        self._slip = None
        return _Draft("correction", tuple(pieces), f"correct: {phrase}", dropped=Dropped(0, "", preference_ids=wrong))

    def _drop(self) -> _Draft | None:
        """Takes back whatever was said of one attribute."""
        named = [one for one in self._sayer.attributes if one.name in self._taken()]
        if not named:
            return None
        attribute = self._dice.pick(named)
        phrase = self._dice.pick(self._phrases("drop"))
        text = plain(phrase, name=attribute.spoken)
        return _Draft("drop", (Piece(text),), f"drop: {phrase}", dropped=Dropped(0, "", attributes=(attribute.name,)))

    def _topic(self) -> _Draft | None:
        """Starts over with another item in mind."""
        before, self.target = self.target, self._dice.pick(self._items)
        found = self._sayings(2, frozenset())
        if not found:
            self.target = before
            return None
        return self._composed(found, "topic", "topic", Dropped(0, "", everything=True))

    # -- items ---------------------------------------------------------------------------------

    def _like(self) -> _Draft | None:
        if not self._named:
            return None
        item = self._dice.pick(self._named)
        phrase = self._dice.pick(self._phrases("like.title"))
        saying = _liked(item, item.title, f"like.title: {phrase}")
        pieces = filled(phrase, {"t": [_piece(saying)], "noun": self._manner.noun})
        return _Draft("like", tuple(pieces), f"like.title: {phrase}")

    def _like_but(self) -> _Draft | None:
        if not self._named:
            return None
        dice = self._dice
        item = dice.pick(self._named)
        but = self._sayer.but(item, self.target, dice)
        if but is None or any(meant.attribute in self._taken() for meant in but.meant):
            return None
        phrase = dice.pick(self._phrases("like.but"))
        title = _liked(item, item.title, f"like.but: {phrase}")
        return _Draft(
            "like_but", tuple(filled(phrase, {"t": [_piece(title)], "but": [_piece(but)]})), f"like.but: {phrase}"
        )

    def _refer(self) -> _Draft | None:
        """Points at an item of the last list by its place."""
        dice = self._dice
        place = int(dice.pick(range(SHOWN)))
        item_id = self._shown[-1][place]
        ref = plain(dice.pick(self._phrases("ref")), ordinal=ORDINALS[place], i=str(place + 1))
        intents: tuple[tuple[str, Intent], ...] = (
            ("question", "item_question"), ("about", "item_question"), ("accept", "accept"), ("reject", "reject"),
            ("like", "recommend"),
        )  # fmt: skip
        name, intent = dice.pick(intents)
        phrase = dice.pick(self._phrases(f"refer.{name}"))
        key = f"refer.{name}: {phrase}"
        if name == "like":
            item = next(item for item in self._items if item.id == item_id)
            return _Draft("like", tuple(filled(phrase, {"ref": [_piece(_liked(item, ref, key))]})), key)
        attribute = dice.pick(self._sayer.attributes) if name == "question" else None
        spoken = attribute.spoken if attribute else ""
        text = plain(phrase, ref=ref, name=spoken)
        asked = attribute.name if attribute else None
        return _Draft("reference", (Piece(text),), key, intent, item_ids=(item_id,), attribute=asked)

    def _some_items(self) -> list[Item]:
        picked = self._dice.random.choice(len(self._items), SHOWN, replace=False)
        return [self._items[int(at)] for at in picked]

    def _phrases(self, key: str) -> tuple[str, ...]:
        return self._sayer.phrases.all(key)

    # -- how it is typed -----------------------------------------------------------------------

    def _typed(self, draft: _Draft, number: int) -> GeneratedTurn:
        """The turn as typed; its facts join the state."""
        context = DialogueContext(number, self._state(), tuple(self._shown))
        pieces = [Piece(""), *draft.pieces, Piece("")]
        texts = disturb(_capital([piece.text for piece in pieces]), self._manner.noise, self._dice)
        text = "".join(texts)
        gold: list[GoldFact] = []
        if draft.dropped:
            of = draft.dropped
            dropped = Dropped(number, text, of.preference_ids, of.attributes, of.everything)
            kind: FactKind = "drop" if draft.act == "drop" else "topic" if of.everything else "correction"
            gold.append(GoldFact(dropped, kind, draft.phrase))
        carried = [(one.saying, typed) for one, typed in zip(pieces, texts, strict=True) if one.saying]
        for saying, typed in carried:
            for meant in saying.meant:
                wish = _preference(meant, f"t{number}-{len(gold) + 1}", typed.strip(_STRIP), number)
                gold.append(GoldFact(Added(wish), saying.kind, saying.phrase))
        self._facts += [one.fact for one in gold]
        return GeneratedTurn(
            text.strip(), draft.act, draft.intent, tuple(gold), context, draft.phrase, draft.item_ids, draft.attribute
        )


def _piece(saying: Saying) -> Piece:
    return Piece(saying.text, saying)


def _joined(sayings: Sequence[Saying], glue: str) -> list[Piece]:
    pieces = [piece for one in sayings for piece in (_piece(one), Piece(glue))]
    return pieces[:-1]


def _liked(item: Item, text: str, phrase: str) -> Saying:
    return Saying(text, (Meant("soft", None, "like", (item.id,)),), "clause", phrase, "like")


def _preference(meant: Meant, id_: str, evidence: str, turn: int) -> Preference:
    return Preference(id_, meant.kind, meant.attribute, meant.op, meant.values, meant.polarity, evidence, turn)


def _capital(texts: list[str]) -> list[str]:
    """The first letter of the message in upper case."""
    first = next((at for at, text in enumerate(texts) if text), 0)
    return [text[:1].upper() + text[1:] if at == first else text for at, text in enumerate(texts)]
