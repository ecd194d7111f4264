"""Wishes to a retrieval query. The only place where the conversation's words become search terms."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from agent.learning.attitudes import attitudes
from agent.log.records import FeedbackKind
from agent.preferences import Preference
from retrieval.query import Filter, Query, SeedItem, WeightedText
from retrieval.text import fold

ATTRIBUTE_WORDS_WEIGHT = 0.5
"""Values of soft attribute wishes also search the texts, at half the weight of the customer's own words."""
TALK_WEIGHT = 0.5
"""What the whole talk counts beside the words that were understood as wishes, which then count the rest.

Half and half finds more than the wishes alone on two sets of dialogues: the rules miss words, and what is wanted is
said again and again."""
MAX_TALK_CHARS = 600
"""The newest words of the talk: half the encoder's window, and half the time of all of it."""


_SEQUEL_WORD = re.compile(r"\b(?:sequel|prequel|part two|part 2|follow-?up|franchise)s?\b|续集")
_NUMBERED = re.compile(
    r"(?P<base>.+?)[\s:,-]+(?P<part>(?:part|chapter|episode|vol\.?|volume) )?"
    r"(?P<n>[2-9]|1\d|ii|iii|iv|v|vi|vii|viii|ix|x|two|three|four|five)(?=$|\s*[:-]|\s)"
)
_FEW = frozenset("2 3 4 ii iii iv".split())
"""Numbers behind a title that count its parts, whether or not the catalogue has the first."""


def disliked(wishes: Iterable[Preference], ids_by_title: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Items that must not come: those spoken against, and their series ("no Star Trek" means every Star Trek).

    "Not a sequel" speaks against every title that says that it is one.
    """
    wishes = tuple(wishes)
    denied = [(wish.op, str(value)) for wish in wishes if wish.polarity == "negative" for value in wish.values]
    against = frozenset(item_id for op, item_id in denied if op == "like")
    against = against.union(*(ids_by_title.get(fold(said), ()) for op, said in denied if op == "about"))
    sequels: Iterable[tuple[str, ...]] = ()
    if any(op == "about" and _SEQUEL_WORD.search(said.lower()) for op, said in denied):
        sequels = (ids for title, ids in ids_by_title.items() if _is_sequel(title, ids_by_title))
    if not against:
        return against.union(*sequels)
    names = [title.split(":")[0].strip() for title, ids in ids_by_title.items() if not against.isdisjoint(ids)]
    plain = ((title.replace(":", " ") + " ", ids) for title, ids in ids_by_title.items())
    series = (ids for title, ids in plain if any(title.startswith(f"{name} ") for name in names))
    return against.union(*series, *sequels)


def _is_sequel(title: str, titles: Collection[str]) -> bool:
    """Whether a folded title says that it is one: "Alien 3", "The Godfather Part II", and not "Apollo 13"."""
    match = _NUMBERED.match(title)
    if match is None:
        return False
    return bool(match["part"]) or match["n"] in _FEW or match["base"].strip(" :,-") in titles


def filters_of(wishes: Iterable[Preference]) -> tuple[Filter, ...]:
    """The exact conditions of the hard wishes."""
    return tuple(condition for wish in wishes if (condition := wish.as_filter()) is not None)


def build_query(
    wishes: Sequence[Preference],
    *,
    k: int,
    exclude: frozenset[str] = frozenset(),
    accepted: Sequence[str] = (),
    rejected: frozenset[str] = frozenset(),
    extra_text: str = "",
    said: tuple[str, ...] = (),
    own: tuple[str, ...] | None = None,
    unwanted: tuple[str, ...] = (),
) -> Query:
    """Everything that retrieval may know of `wishes`, reactions and what was `said`, oldest first.

    `own` and `unwanted` as in `Situation`.
    """
    return Query(
        texts=_texts(wishes, extra_text, _talk(own or (), unwanted)),
        turns=said,
        own=own,
        unwanted=unwanted,
        seeds=_seeds(wishes, accepted, rejected),
        filters=filters_of(wishes),
        exclude=exclude | rejected,
        k=k,
    )


def _texts(wishes: Sequence[Preference], extra_text: str, talk: str) -> tuple[WeightedText, ...]:
    positive = [wish for wish in wishes if wish.polarity == "positive"]
    own_words = " ".join(str(value) for wish in positive if wish.op == "about" for value in wish.values)
    values = [str(v) for w in positive if w.kind == "soft" and w.op == "eq" and w.attribute for v in w.values]
    talk_weight = TALK_WEIGHT if own_words.strip() and talk not in ("", own_words) else 0.0
    parts = ((own_words, 1 - talk_weight), (talk, talk_weight), (extra_text, 1.0))
    texts = [WeightedText(text, weight) for text, weight in parts if weight and text.strip()]
    if values:
        texts.append(WeightedText(" ".join(values), ATTRIBUTE_WORDS_WEIGHT))
    return tuple(texts)


def _talk(own: Sequence[str], unwanted: Sequence[str]) -> str:
    """The newest of the customer's own words, without those for what is not wanted."""
    talk = " ".join(own)
    if unwanted:
        phrases = "|".join(re.escape(words) for words in sorted(unwanted, key=len, reverse=True))
        talk = re.sub(rf"(?<!\w)(?:{phrases})(?!\w)", " ", talk, flags=re.IGNORECASE)
    return talk[-MAX_TALK_CHARS:].strip()


def _seeds(wishes: Sequence[Preference], accepted: Sequence[str], rejected: frozenset[str]) -> tuple[SeedItem, ...]:
    reactions: list[tuple[str, FeedbackKind]] = [(item_id, "reject") for item_id in sorted(rejected)]
    reactions += [(item_id, "accept") for item_id in accepted]
    spoken = attitudes(wishes, reactions)
    if not any(attitude > 0 for attitude in spoken.values()):
        return ()  # a dislike alone says nothing of what to look for
    return tuple(SeedItem(item_id, attitude) for item_id, attitude in spoken.items())
