"""Lists of the event log that were shown under chance, and what whatever is live now would do in their place.

One turn at a time: everything before it is as it was, so an estimate is of the next list and not of the whole
conversation that another list would have led to. A candidate must not have learned from the turns it is judged by:
take turns that are newer than it. Knows nothing of how an estimate is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.conversation import Conversations
from agent.learning.experiences import read_talks
from agent.log.learning import TAKEN
from agent.log.records import Consent, FeedbackKind, Reaction, ShownRow, TurnInput
from agent.log.store import EventLog
from agent.offpolicy.estimators import Sample
from agent.offpolicy.rewards import RewardModels, fit_rewards
from agent.offpolicy.slates import Pool, weights_of
from agent.ranking import POOL, Slate
from agent.shop import Shop

Array: TypeAlias = NDArray[np.float64]

REFUSED: tuple[FeedbackKind, ...] = ("reject", "thumb_down")
OWN_LISTS = 20
"""Lists of the candidate's own that are drawn for what a model expects of it."""


@dataclass(frozen=True, slots=True)
class ExploredTurn:
    """A turn whose list was left to chance: items in order, log-propensities and rewards, each (items,).

    A reward is 1 for an item that was taken (accepted, bought, thumbed up) and not refused after that, else 0: what was
    shown and ignored earned nothing, which is not to say that it was disliked. `customer` owns all their turns.
    """

    stored: TurnInput
    items: tuple[str, ...]
    log_propensities: Array
    rewards: Array
    customer: str


Candidate: TypeAlias = Callable[[ExploredTurn], Awaitable[Pool]]
"""What the candidate would have drawn the list of a turn from; an empty pool where it would have shown none."""


def explored_turns(log: EventLog, tenant: str, ids: Sequence[str], consent: Consent) -> tuple[ExploredTurn, ...]:
    """Those of the turns (`EventLog.turns_since`) that stand, of customers who may be learned from, in their order."""
    stored = [log.turn_input(tenant, turn_id) for turn_id in ids]
    explored = [one for one in stored if not one.logged.undone and _propensities(one) is not None]
    sessions = list(dict.fromkeys(one.logged.record.session_id for one in explored))
    reactions: dict[str, tuple[Reaction, ...]] = {}
    for _, states in read_talks(log, tenant, sessions, consent):
        reactions.update((turn.turn_id, turn.reactions) for state in states for turn in state.turns)
    return tuple(_explored(one, reactions[turn_id]) for one in explored if (turn_id := _turn_id(one)) in reactions)


def _turn_id(stored: TurnInput) -> str:
    return stored.logged.record.turn_id


def _slate(stored: TurnInput) -> list[ShownRow]:
    return sorted((row for row in stored.logged.record.shown if row.list == "slate"), key=lambda row: row.position)


def _propensities(stored: TurnInput) -> Array | None:
    """None where a place, or the whole list, was not left to chance."""
    logs = [row.log_propensity for row in _slate(stored)]
    known = [one for one in logs if one is not None]
    return np.array(known) if known and len(known) == len(logs) else None


def _explored(stored: TurnInput, reactions: Sequence[Reaction]) -> ExploredTurn:
    items = tuple(row.item_id for row in _slate(stored))
    conversation = stored.before.conversation
    logs = _propensities(stored)
    return ExploredTurn(
        stored,
        items,
        np.zeros(len(items)) if logs is None else logs,
        np.array([_reward(item_id, reactions) for item_id in items]),
        conversation.person_id or conversation.id,
    )


def _reward(item_id: str, reactions: Sequence[Reaction]) -> float:
    decisive = [one.kind for one in reactions if one.item_id == item_id and one.kind in (*TAKEN, *REFUSED)]
    return float(bool(decisive) and decisive[-1] in TAKEN)


def pool_of(slate: Slate, shop: Shop, diversity: float, temperature: float | None = None) -> Pool:
    """What a slate was drawn from; `temperature` None is the slate's own, in units of the ranker's spread.

    `diversity`: the setting in force, see `agent.ranking.Diversity`. Where a list was not drawn (the cheapest, a
    comparison) it is the only one possible.
    """
    entries = slate.considered[:POOL] or slate.entries
    given = slate.temperature if temperature is None else temperature
    drawn = bool(slate.considered) and slate.temperature > 0
    vectors = None
    if drawn and diversity:
        vectors = shop.axes.vectors[shop.table.rows_of(entry.item.id for entry in entries)]
    scores = [entry.score for entry in entries] if drawn else [-float(place) for place in range(len(entries))]
    return Pool(
        tuple(entry.item.id for entry in entries),
        np.array(scores, dtype=np.float64),
        given * slate.spread if drawn else 0.0,
        vectors,
        diversity * slate.spread,
        tuple(entry.features for entry in entries),
    )


def live_candidate(chat: Conversations, shop: Shop, diversity: float, temperature: float | None = None) -> Candidate:
    """Whatever is live now: ranker, adapter, index and settings of `chat`; see `pool_of` for the others."""

    async def pool(turn: ExploredTurn) -> Pool:
        replayed = await chat.again(turn.stored)
        return pool_of(replayed.slate, shop, diversity, temperature)

    return pool


async def sample_of(turns: Sequence[ExploredTurn], candidate: Candidate, places: int) -> Sample:
    """The explored turns that showed at least `places` items, as the estimators take them.

    Only the candidate's probabilities and its features of items are read, never what the log says of its own ranker.
    """
    long_enough = [turn for turn in turns if len(turn.items) >= places]
    pools = [await candidate(turn) for turn in long_enough]
    weights = [
        weights_of(pool.log_propensities(turn.items[:places]), turn.log_propensities[:places])
        for turn, pool in zip(long_enough, pools, strict=True)
    ]
    shape = (len(long_enough), places)
    rewards = np.array([turn.rewards[:places] for turn in long_enough]).reshape(shape)
    _, groups = np.unique([turn.customer for turn in long_enough], return_inverse=True)
    owners = groups.astype(np.int64)
    predicted, expected = _modelled(long_enough, pools, rewards, owners)
    return Sample(rewards, np.array(weights).reshape(shape), predicted, expected, owners)


def _modelled(
    turns: Sequence[ExploredTurn], pools: Sequence[Pool], rewards: Array, groups: NDArray[np.int64]
) -> tuple[Array, Array]:
    """What a model of rewards expects of what was shown, and of the candidate's own lists; both (lists, places)."""
    lists, places = rewards.shape
    predicted, expected = np.zeros(rewards.shape), np.zeros(rewards.shape)
    if not lists:
        return predicted, expected
    names = sorted({name for pool in pools for features in pool.features for name in features})
    matrices = [_matrix(pool.features, names) for pool in pools]
    shown = np.zeros((lists, places, len(names)))
    for row, (turn, pool, matrix) in enumerate(zip(turns, pools, matrices, strict=True)):
        place_of = {item_id: place for place, item_id in enumerate(pool.ids)}
        for place, item_id in enumerate(turn.items[:places]):
            if item_id in place_of:  # else the weight is 0, and whatever is predicted counts for nothing
                shown[row, place] = matrix[place_of[item_id]]
    models = fit_rewards(shown, rewards, groups)
    for row, (pool, matrix) in enumerate(zip(pools, matrices, strict=True)):
        for place in range(places):
            predicted[row, place] = models.predict(row, shown[row, [place]], place)[0]
        expected[row] = _expected(models, row, pool, matrix, places)
    return predicted, expected


def _expected(models: RewardModels, row: int, pool: Pool, matrix: Array, places: int) -> Array:
    """At each place the mean over the candidate's own lists; 0 below the end of a list."""
    told = np.zeros(places)
    if pool.ids:
        lists = pool.lists(places, OWN_LISTS, seed=row * OWN_LISTS)
        for place in range(lists.shape[1]):
            told[place] = models.predict(row, matrix, place)[lists[:, place]].mean()
    return told


def _matrix(features: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array:
    return np.array([[one.get(name) or 0.0 for name in names] for one in features]).reshape(-1, len(names))
