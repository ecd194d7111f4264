"""Wishes to a slate: search, rank, and an honest answer when nothing fits.

Each function takes a `Situation` and gives an `Outcome`. Knows nothing of the model and of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from rapidfuzz.fuzz import token_set_ratio

from agent.answer import Blocking, NoMatch, Question
from agent.connecting import connected
from agent.leaning import leanings
from agent.learning.profile import Profile
from agent.learning.ranker import LINEAR_ID
from agent.nearness import is_number, nearest
from agent.observe.names import CANDIDATES
from agent.observe.observer import step, without
from agent.preferences import Added, Preference
from agent.querying import build_query, filters_of
from agent.questions import Moment, put, way_out
from agent.rank.axes import Axis
from agent.rank.judged import JudgedRanker
from agent.rank.session import SessionWeights
from agent.ranking import LINEAR, Diversity, Ranker, RankingOptions, Slate, Taste, WishMasks, matched_slate, rank
from agent.turn import NearMiss, Outcome, Situation
from retrieval.items import Item
from retrieval.query import Candidate, Query
from retrieval.search import SearchResult
from retrieval.text import tokens

log = structlog.get_logger(__name__)

NEAR_TITLE = 75
"""Token set ratio (0 to 100) from which a title is near enough to a name that we do not carry to be offered.

By whole words, and not the small ones: "The Room" is not near "The Relic", nor "There Will Be Popcorn" near "Her".
"""
_SMALL_WORDS = frozenset("the a an of in and to".split())
NEAR_MISSES = 3
"""Alternatives offered when nothing fits."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A ranked list with the time of its two steps."""

    slate: Slate
    degraded: bool
    retrieve_ms: float
    rank_ms: float

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds by step."""
        return {"retrieve": self.retrieve_ms, "rank": self.rank_ms}


def search_and_rank(
    view: Situation,
    wishes: Sequence[Preference],
    *,
    exclude: frozenset[str] = frozenset(),
    extra_text: str = "",
    explore: bool = True,
) -> Searched:
    """Candidates for `wishes`, ranked; everything that the customer rejected is left out.

    `explore` False is the ranker's own order: nothing is left to chance and nothing gives way for variety, nor is
    the language model asked about it.
    """
    started = time.perf_counter()
    query = build_query(
        wishes,
        k=view.candidates,
        exclude=exclude,
        accepted=view.accepted,
        rejected=view.rejected,
        extra_text=extra_text,
        said=view.said,
        own=view.own,
        unwanted=view.unwanted,
    )
    with step("retrieve") as span:
        profile = view.profile()
        searched, found = _found(view, query, profile)
        taste = None if profile is None else profile.similarity
        candidates, ranker, ranked_by = _to_rank(view, searched, wishes, found, taste)
        if explore and view.judge is not None:
            ranker = JudgedRanker(ranker, view.judge)
        span.set(CANDIDATES, len(candidates))
    if found.degraded:
        without("retrieval")
    retrieved = time.perf_counter()
    options = RankingOptions(
        size=view.size,
        temperature=view.temperature if explore else 0.0,
        seed=view.seed,
        stock_last=not any(wish.attribute == "in_stock" for wish in wishes),
        session=SessionWeights.of(view.evidence, view.shop.axes, adjustments=_believed(view)),
        taste=taste,
        diversity=Diversity(view.diversity, view.shop.axes.vectors) if explore and view.diversity else None,
        ranker=ranker,
    )
    with step("rank"):
        slate = _ranked(view, wishes, candidates, found.candidates, options, ranked_by)
        slate = connected(slate, candidates, query, view.shop.retriever)
    ranked = time.perf_counter()
    return Searched(slate, found.degraded, (retrieved - started) * 1e3, (ranked - retrieved) * 1e3)


def _believed(view: Situation) -> Mapping[Axis, float]:
    """What the customer's own words lean to; what somebody else has read from them counts before that."""
    return {**leanings(view.own or (), view.shop.axes), **view.adjustments}


def _to_rank(
    view: Situation, query: Query, wishes: Sequence[Preference], found: SearchResult, taste: Taste | None
) -> tuple[Sequence[Candidate], Ranker, str]:
    """The candidates, who ranks them, and what that ranker is called: the learned one where it is live and works."""
    learned = view.learned()
    if learned is not None:
        try:
            seen = learned.look(query, wishes, found.candidates, taste=taste, customer=view.customer)
            return seen.candidates, learned.ranker(seen), learned.id
        except Exception:  # whatever it was: a list by the stand-in is better than none
            log.exception("ranker_failed", ranker=learned.id)
            without("ranker")
    return found.candidates, LINEAR, LINEAR_ID


def _ranked(
    view: Situation,
    wishes: Sequence[Preference],
    candidates: Sequence[Candidate],
    found: Sequence[Candidate],
    options: RankingOptions,
    ranked_by: str,
) -> Slate:
    """The candidates in order; what was `found` in the stand-in's where another ranker fails."""
    table = view.shop.table
    try:
        return replace(rank(candidates, wishes, table, options), ranker=ranked_by)
    except Exception:  # as above: it scores and explains here
        if options.ranker is LINEAR:
            raise
        log.exception("ranker_failed", ranker=ranked_by)
        without("ranker")
    return replace(rank(found, wishes, table, replace(options, ranker=LINEAR)), ranker=LINEAR_ID)


def _found(view: Situation, query: Query, profile: Profile | None) -> tuple[Query, SearchResult]:
    """What was searched for, and the candidates.

    Where nothing says what to look for, a named customer's taste does ("something for me").
    """
    search, lanes = view.shop.retriever.search, view.lanes()
    if profile is not None and not (query.texts or query.seeds or query.filters):
        by_taste = replace(query, seeds=profile.seeds)
        found = search(by_taste, lanes)
        if len(found.candidates) >= view.size:  # else they are wanted that the taste is made of
            return by_taste, found
    return query, search(query, lanes)


def recommend(view: Situation) -> Outcome:
    """Items for the wishes in force; a question beside them when it pays."""
    if view.understanding.said:
        return _not_carried(view)
    table = view.shop.table
    matching = table.mask(filters_of(view.wishes))
    if not matching.any():
        return no_match(view)
    n_matching = int(matching.sum()) - int(matching[table.rows_of(view.rejected)].sum())
    searched, fresh = _for_wishes(view)
    slate, words = searched.slate, view.wording.words
    if not slate.entries:  # everything that fits was rejected
        return Outcome("answer", opening=words.text("reply.more_none", wishes=_said(view)), timings=searched.timings)
    question = _question(view, slate, n_matching)
    return Outcome(
        "ask" if question else "recommend",
        opening=_unmet(view, slate) + (_opening(view, n_matching) if not fresh else _opening_fresh(view, n_matching)),
        closing=question.text if question else "",
        slate=slate,
        pitch=slate.entries[0],
        question=question,
        focus=_ids(slate),
        n_matching=n_matching,
        degraded=searched.degraded,
        timings=searched.timings,
    )


def _for_wishes(view: Situation) -> tuple[Searched, bool]:
    """The list, and whether what was shown before is left out of it.

    It is after the answer to a question of ours: the list beside the question was not it. Where fewer are new than a
    list has, all stand in it.
    """
    asked = view.context.asked
    added = {fact.preference.attribute for fact in view.understanding.facts if isinstance(fact, Added)}
    if asked is not None and asked.attribute in added and view.context.shown:
        searched = search_and_rank(view, view.wishes, exclude=view.shown_before())
        if len(searched.slate.entries) >= view.size:
            return searched, True
    return search_and_rank(view, view.wishes), False


def _question(view: Situation, slate: Slate, n_matching: int) -> Question | None:
    """What to ask beside the list; nothing any more once somebody has said that they would rather be shown things."""
    if view.waved_off or view.understanding.intent == "show_anyway":
        return None
    asked = view.asked | ({view.context.asked.attribute} if view.context.asked else frozenset())
    told = bool(view.understanding.facts)
    choice = view.choose(Moment(view.wishes, slate, n_matching, view.shop.table, view.shown_before(), asked, told))
    return put(choice, view.wording) if choice else None


def _unmet(view: Situation, slate: Slate) -> str:
    """Soft wishes that nothing in the list meets are named: cards show it, but a client may have the text alone."""
    soft = [wish for wish in view.wishes if wish.kind == "soft" and wish.polarity == "positive"]
    masks = WishMasks.of(soft, view.shop.table)
    rows = [view.shop.table.row_of(entry.item.id) for entry in slate.entries]
    unmet = [wish for wish in masks.wishes if not any(masks.meets(row, wish) for row in rows)]
    return view.wording.words.text("reply.unmet", wishes=view.wording.wishes(unmet)) if unmet else ""


def more(view: Situation) -> Outcome:
    """Other items for the same wishes; a question beside them when it pays, since there is nothing more to be told."""
    searched = search_and_rank(view, view.wishes, exclude=view.shown_before().union(view.context.focus))
    words = view.wording.words
    if not searched.slate.entries:
        text = words.text("reply.more_none", wishes=_said(view))
        return Outcome("answer", opening=text, focus=view.context.focus, timings=searched.timings)
    slate, seen = searched.slate, view.shown_before()
    n_matching = max(len(slate.considered), view.shop.table.count(filters_of(view.wishes)) - len(seen))
    question = _question(view, slate, n_matching)
    return Outcome(
        "ask" if question else "recommend",
        opening=words.text("reply.more"),
        closing=question.text if question else "",
        slate=slate,
        pitch=slate.entries[0],
        question=question,
        focus=_ids(slate),
        n_matching=n_matching,
        degraded=searched.degraded,
        timings=searched.timings,
    )


def no_match(view: Situation) -> Outcome:
    """Which wish empties the set, what dropping each one gives, and the nearest misses."""
    table, words = view.shop.table, view.wording.words
    hard = tuple(wish for wish in view.wishes if wish.as_filter() is not None)
    counts = table.relaxed_counts(filters_of(hard))
    blocking = sorted((Blocking(preference_id=k, relaxed_count=n) for k, n in counts.items()), key=_most_first)
    helpful = [entry for entry in blocking if entry.relaxed_count > 0]
    lines = [words.text("reply.no_match", wishes=view.wording.wishes(hard))]
    by_id = {wish.id: wish for wish in hard}
    for entry in helpful[:NEAR_MISSES]:
        said = view.wording.wish(by_id[entry.preference_id])
        lines.append(words.text("reply.no_match_blocking", wish=said, n=entry.relaxed_count))
    if not helpful:
        lines.append(words.text("reply.no_match_conflict"))
    near, searched = _near_misses(view, hard, helpful)
    question = way_out([str(by_id[entry.preference_id].attribute) for entry in helpful], view.wording)
    if near:
        lines.append(words.text("reply.no_match_near"))
    return Outcome(
        "ask",
        opening=" ".join(lines),
        closing=question.text,
        near=near,
        question=question,
        no_match=NoMatch(kind="filtered_out", said=view.wording.wishes(hard), blocking=blocking),
        focus=tuple(miss.entry.item.id for miss in near),
        timings=searched.timings if searched else {},
    )


def _near_misses(
    view: Situation, hard: tuple[Preference, ...], helpful: Sequence[Blocking]
) -> tuple[tuple[NearMiss, ...], Searched | None]:
    """The best items when the wish that frees most is dropped; without any such wish, when all are."""
    dropped = {helpful[0].preference_id} if helpful else {wish.id for wish in hard}
    kept = tuple(
        replace(wish, kind="soft") if wish.id in dropped and wish.op != "about" else wish for wish in view.wishes
    )
    searched = search_and_rank(replace(view, size=NEAR_MISSES), kept, explore=False)
    entries, table = searched.slate.entries, view.shop.table
    bounds = [wish for wish in hard if wish.id in dropped]
    if helpful and all(map(is_number, bounds)):
        entries = matched_slate(_nearest(view, kept, bounds, searched.slate), kept, table).entries
    masks = WishMasks.of(hard, table)
    return tuple(NearMiss(entry, masks.broken(table.row_of(entry.item.id))) for entry in entries), searched


def _nearest(view: Situation, kept: Sequence[Preference], bounds: Sequence[Preference], found: Slate) -> Sequence[Item]:
    """The items nearest to the number: of those found, where words say what to look for, else of all that fit."""
    table = view.shop.table
    rows = [table.row_of(entry.item.id) for entry in found.considered]
    if not any(wish.op in ("about", "like") for wish in kept):
        allowed = table.mask(filters_of(kept))
        allowed[table.rows_of(view.rejected)] = False
        allowed[rows] = False  # they stand first already
        rows += table.by_popularity[allowed[table.by_popularity]].tolist()
    return [table.items[row] for row in nearest(table, rows, bounds, NEAR_MISSES)]


def _most_first(entry: Blocking) -> tuple[int, str]:
    return -entry.relaxed_count, entry.preference_id


def _not_carried(view: Situation) -> Outcome:
    """A name or value that the catalogue lacks: said plainly, with titles near it offered as different ones."""
    words, said = view.wording.words, view.understanding.said
    # Names of earlier wishes are no names of what is missing.
    searched = search_and_rank(replace(view, own=()), (), extra_text=said, explore=False)
    masks = WishMasks.of([wish for wish in view.lasting if wish.as_filter() is not None], view.shop.table)
    near = tuple(
        NearMiss(entry, masks.broken(view.shop.table.row_of(entry.item.id)))
        for entry in searched.slate.considered
        if token_set_ratio(_telling(said), _telling(entry.item.title)) >= NEAR_TITLE
    )[:NEAR_MISSES]
    unknown = view.understanding.intent == "unknown_item"
    key = "reply.unknown_item" if unknown else "reply.not_carried"
    return Outcome(
        "answer",
        opening=words.text(f"{key}_near" if near else key, said=f"“{said}”"),
        near=near,
        no_match=NoMatch(kind="unknown" if unknown else "not_carried", said=said),
        focus=tuple(miss.entry.item.id for miss in near),
        degraded=searched.degraded,
        timings=searched.timings,
    )


def _telling(name: str) -> str:
    words = tokens(name)
    return " ".join([word for word in words if word not in _SMALL_WORDS] or words)


def _opening(view: Situation, n_matching: int) -> str:
    words, wording = view.wording.words, view.wording
    liked = [w for w in view.wishes if w.op == "like" and w.polarity == "positive"]
    if liked:
        title = wording.title_of(str(liked[-1].values[0]))
        others = [wish for wish in view.wishes if wish.op != "like"]
        if others:
            return words.text("reply.found_like_wishes", title=title, wishes=wording.wishes(others))
        return words.text("reply.found_like", title=title)
    if not view.wishes:
        return words.text("reply.found_any")
    hard = [wish for wish in view.wishes if wish.as_filter() is not None]
    if not hard:
        return words.text("reply.found_soft", wishes=_said(view))
    if n_matching == 1:
        return words.text("reply.found_one", wishes=wording.wishes(hard))
    key = "reply.found" if n_matching > view.size else "reply.found_few"
    return words.text(key, n=n_matching, wishes=wording.wishes(hard))


def _opening_fresh(view: Situation, n_matching: int) -> str:
    """Before a list without what was shown already."""
    return view.wording.words.text("reply.found_fresh", n=n_matching, wishes=_said(view))


def _said(view: Situation) -> str:
    return view.wording.wishes(view.wishes)


def _ids(slate: Slate) -> tuple[str, ...]:
    return tuple(entry.item.id for entry in slate.entries)
