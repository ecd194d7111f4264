"""What of a talk is meant as a wish: the customer's own words without what they deny, and the names that do not count.

Retrieval finds names wherever they are said; who said them, and whether for or against, is known only here. Knows
nothing of how names are found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from agent.log.records import TurnState
from agent.preferences import Preference
from agent.services import PastMessage
from agent.turn import lasting_facts
from agent.understand.message import Message
from agent.understand.negation import Stances
from agent.understand.types import Intent, Understanding
from retrieval.branches.linker import MAX_TURNS
from retrieval.text import fold

_WISHING: frozenset[Intent] = frozenset({"recommend", "reject"})
"""What is named in a mere question ("why not Alien?", "how many westerns?") is not wished for, and "more" or "next" is
no title."""

Titles: TypeAlias = Callable[[Message], Iterable[tuple[int, int]]]
"""Where a message names titles: `agent.understand.rules.Rules.titles`."""


def own_words(
    turns: Sequence[TurnState], history: Sequence[PastMessage], text: str, now: Understanding, titles: Titles
) -> tuple[str, ...]:
    """What the customer asked for in their own words, oldest first.

    Args:
        turns: the talk as it is stored; what was undone, or said before the customer last started over, is left out.
        history: the client's own copy, for a talk that is not stored.
        text: this message.
        now: how it was understood.
        titles: see `asserted`.
    """
    resets = [place for place, turn in enumerate(turns, 1) if turn.intent == "reset" and not turn.undone]
    stands = [turn for turn in turns[resets[-1] if resets else 0 :] if not turn.undone]
    said = [turn.message for turn in stands if turn.intent in _WISHING or turn.facts]
    if not turns:
        said = [message.text for message in history if message.role == "user"]
    if now.intent in _WISHING or lasting_facts(now):
        said.append(text)
    return tuple(asserted(one, titles) for one in said[-MAX_TURNS:])


def asserted(text: str, titles: Titles) -> str:
    """A message without what its negations reach: "a thriller" of "a thriller, but no horror".

    The "no" of a title ("No Country for Old Men") denies nothing.
    """
    message = Message(text)
    scopes = Stances(message).scopes
    if scopes:
        for span in titles(message):
            message.take(*span)
        scopes = Stances(message).scopes
    parts, end = [], 0
    for scope in scopes:
        parts.append(text[end : max(scope.start, end)])
        end = max(scope.end, end)
    return " ".join([*parts, text[end:]]).strip()


def unwanted_words(
    wishes: Sequence[Preference],
    taken_back: Iterable[Preference],
    rejected: Collection[str],
    title_of: Callable[[str], str],
) -> tuple[str, ...]:
    """The words for what is spoken against, was rejected or taken back, each once.

    What a wish in force asks for counts, whatever else was said of it.

    Args:
        wishes: those in force.
        taken_back: those that are not any more, see `agent.preferences.taken_back`.
        rejected: ids of items.
        title_of: the title of an item by its id.
    """
    wanted = [wish for wish in wishes if wish.polarity == "positive"]
    kept = {fold(str(value)) for wish in wanted for value in wish.values}
    quoted = {wish.evidence for wish in wanted}
    against = [wish for wish in wishes if wish.polarity == "negative"]
    titles = (title_of(item_id) for item_id in sorted(rejected) if fold(item_id) not in kept)
    named = (words for wish in chain(against, taken_back) for words in _words_of(wish, kept, quoted, title_of))
    return tuple(dict.fromkeys(words for words in chain(titles, named) if words.strip()))


def _words_of(
    wish: Preference, kept: Collection[str], quoted: Collection[str], title_of: Callable[[str], str]
) -> Iterator[str]:
    """The values that nothing else asks for, and the words that said them ("funny" for the genre comedy)."""
    values = [value for value in wish.values if isinstance(value, str) and fold(value) not in kept]
    yield from (title_of(value) if wish.op == "like" else value for value in values)
    if values and wish.op != "like" and wish.evidence not in quoted:  # of an item the whole message may be quoted
        yield wish.evidence
