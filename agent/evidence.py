"""What a conversation says of the customer's taste, from what is stored of it: the evidence that a session learns from.

A fold: never looks at anything but the turns, the wishes in force and this message. Knows nothing of how it is learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from agent.log.records import ConversationState, Reaction, TurnState
from agent.preferences import Preference, PreferenceOperator
from agent.rank.session import Critique, Evidence, Reacted, ReactionKind
from agent.understand.critique import comparative
from agent.understand.intents import KNOWN
from agent.understand.types import Understanding
from agent.wording import in_minutes
from retrieval.shape import CatalogueShape

KNOWN_REASON = "known"
"""The reason of a rejection that says nothing against the item: the customer has it."""
_BOUNDS: Mapping[PreferenceOperator, Literal[-1, 1]] = {"lt": -1, "le": -1, "gt": 1, "ge": 1}
_KINDS: tuple[ReactionKind, ...] = get_args(ReactionKind)


def is_known(text: str) -> bool:
    """Whether a rejection in these words says only that the customer knows the item."""
    return KNOWN.search(text.lower()) is not None


def evidence_of(
    state: ConversationState,
    understanding: Understanding,
    text: str,
    wishes: Sequence[Preference],
    shape: CatalogueShape,
) -> tuple[Evidence, ...]:
    """Reactions in force since the customer last started over, then what `wishes` and this message say of items."""
    past = (one for turn in _since_reset(state.turns) for one in turn.reactions)
    found = [evidence for reaction in past for evidence in _of_reaction(reaction, shape)]
    found += [evidence for wish in wishes for evidence in _of_wish(wish)]
    if understanding.intent == "accept" or (understanding.intent == "reject" and not is_known(text)):
        found += [Reacted(item_id, understanding.intent) for item_id in understanding.item_ids]
    return tuple(found)


def _since_reset(turns: Sequence[TurnState]) -> Sequence[TurnState]:
    resets = [n for n, turn in enumerate(turns, 1) if turn.intent == "reset" and not turn.undone]
    return turns[resets[-1] if resets else 0 :]


def _of_reaction(reaction: Reaction, shape: CatalogueShape) -> Iterator[Evidence]:
    if reaction.item_id is None or reaction.reason == KNOWN_REASON:
        return
    if reaction.reason == "too_expensive":
        yield Critique("price", -1)
    elif reaction.reason == "too_long":
        yield from (Critique(name, -1) for name in shape.attributes if in_minutes(name))
    elif reaction.kind in _KINDS:
        yield Reacted(reaction.item_id, reaction.kind, reaction.features)


def _of_wish(wish: Preference) -> Iterator[Evidence]:
    if wish.op == "like":
        # What is liked by name is a seed of the search, which goes by what it is about. It was not chosen here, so its
        # price and its format say nothing of this customer.
        if wish.polarity == "negative" and not is_known(wish.evidence):
            yield Reacted(str(wish.values[0]), "reject")
    elif wish.attribute and wish.polarity == "positive" and wish.op in _BOUNDS and comparative(wish.evidence):
        yield Critique(wish.attribute, _BOUNDS[wish.op], is_bound=True)
