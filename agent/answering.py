"""Everything that is not a list of recommendations: facts, counts, superlatives, "why not?", small talk.

Numbers come from the whole catalogue by code, never from the model. Each function takes a
`Situation` and gives an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.answer import Citation
from agent.preferences import Preference
from agent.querying import filters_of
from agent.ranking import WishMasks, matched_slate, value_of
from agent.recommending import more, no_match, recommend, search_and_rank
from agent.support.articles import Passage
from agent.support.chinese import english_question
from agent.turn import Outcome, Situation
from agent.understand.types import Intent
from retrieval.items import Item

MAX_COMPARED = 4
COMPARED_ATTRIBUTES = 6


def decide(view: Situation) -> Outcome:
    """The outcome of this turn, by its intent."""
    return _BY_INTENT[view.understanding.intent](view)


def _superlative(view: Situation) -> Outcome:
    """The extreme of a number over the whole catalogue, under the hard wishes."""
    attribute, descending = view.understanding.attribute or "popularity", view.understanding.descending
    wishes = _scope(view)
    filters = filters_of(wishes)
    ordered = view.shop.table.order_by(attribute, descending=descending, filters=filters)
    items = [item for item in ordered if item.id not in view.rejected][: view.size]
    wording, words = view.wording, view.wording.words
    label = wording.superlative(attribute, descending=descending)
    if not items:
        if view.shop.table.count(filters) == 0:
            return no_match(view)
        return Outcome("answer", opening=words.text("reply.superlative_unknown", label=label))
    hard = [wish for wish in wishes if wish.as_filter() is not None]
    opening = words.text(
        "reply.superlative_high" if descending else "reply.superlative_low",
        label=label,
        scope=words.text("reply.scope", wishes=wording.wishes(hard)) if hard else "",
        title=items[0].title,
        value=wording.value(attribute, value_of(items[0], attribute) or 0.0, items[0].currency),
    )
    slate = matched_slate(items, view.wishes, view.shop.table)
    return Outcome("answer", opening=opening, slate=slate, focus=tuple(item.id for item in items))


def _scope(view: Situation) -> tuple[Preference, ...]:
    """The wishes in force; where nothing fits them all, those of this message: "the cheapest western" of all."""
    if view.shop.table.count(filters_of(view.wishes)):
        return view.wishes
    own = tuple(wish for wish in view.wishes if wish.turn == view.context.turn)
    return own if view.shop.table.count(filters_of(own)) else view.wishes


def _count(view: Situation) -> Outcome:
    """How many fit: a question, so what it names is not wished for afterwards."""
    wishes, words = _scope(view), view.wording.words
    n = view.shop.table.count(filters_of(wishes))
    if n == 0:
        return no_match(view)
    hard = [wish for wish in wishes if wish.as_filter() is not None]
    if not hard:
        return Outcome("answer", opening=words.text("reply.count_all_one" if n == 1 else "reply.count_all", n=n))
    searched = search_and_rank(view, wishes, explore=False)
    return Outcome(
        "answer",
        opening=words.text("reply.count_one" if n == 1 else "reply.count", n=n, wishes=view.wording.wishes(hard)),
        slate=searched.slate,
        focus=tuple(entry.item.id for entry in searched.slate.entries),
        timings=searched.timings,
    )


def _item_question(view: Situation) -> Outcome:
    """A field of an item, read out; without a named field, its description."""
    items = _items(view)
    if not items:
        return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)
    attribute = view.understanding.attribute or "text"
    lines = [view.wording.fact(item, attribute) for item in items[:MAX_COMPARED]]
    return Outcome("answer", opening="\n".join(lines), focus=tuple(item.id for item in items))


def _compare(view: Situation) -> Outcome:
    """Two to four items field by field, or all of them by the one number that was asked for."""
    items = _items(view)
    if len(items) < 2:
        return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)
    shape = view.shop.table.shape.attributes.get(view.understanding.attribute or "")
    if shape is not None and shape.kind == "number":
        return _most_of(view, items, shape.name)
    return _side_by_side(view, items[:MAX_COMPARED])


def _most_of(view: Situation, items: Sequence[Item], attribute: str) -> Outcome:
    """The items by one number, the first one named: "which of these is the longest?"."""
    wording, descending = view.wording, view.understanding.descending
    known = [item for item in items if value_of(item, attribute) is not None]
    if not known:
        label = wording.superlative(attribute, descending=descending)
        return Outcome("answer", opening=wording.words.text("reply.superlative_unknown", label=label))
    known.sort(key=lambda item: float(value_of(item, attribute)), reverse=descending)  # type: ignore[arg-type]  # a number
    opening = wording.words.text(
        "reply.most_of",
        label=wording.superlative(attribute, descending=descending),
        title=known[0].title,
        value=wording.value(attribute, value_of(known[0], attribute) or 0.0, known[0].currency),
    )
    slate = matched_slate(known, view.wishes, view.shop.table)
    return Outcome("answer", opening=opening, slate=slate, focus=tuple(item.id for item in known))


def _side_by_side(view: Situation, items: Sequence[Item]) -> Outcome:
    wished = [wish.attribute for wish in view.wishes if wish.attribute]
    named = [view.understanding.attribute] if view.understanding.attribute else []
    common = [name for name in view.shop.table.shape.attributes if any(value_of(i, name) is not None for i in items)]
    attributes = list(dict.fromkeys([*named, "price", *wished, *common]))[:COMPARED_ATTRIBUTES]
    wording = view.wording
    lines = [wording.words.text("reply.compare_intro")]
    for name in attributes:
        values = [value_of(item, name) for item in items]
        if all(value is None for value in values):
            continue
        said = [
            f"{item.title}: {wording.value(name, value, item.currency) if value is not None else '-'}"
            for item, value in zip(items, values, strict=True)
        ]
        lines.append(wording.words.text("reply.compare_row", label=wording.words.label(name), values="; ".join(said)))
    slate = matched_slate(items, view.wishes, view.shop.table)
    return Outcome("answer", opening="\n".join(lines), slate=slate, focus=tuple(item.id for item in items))


def _why_not(view: Situation) -> Outcome:
    """From the trace: the wish that the item breaks, or where it ranked and why."""
    items = _items(view)
    if not items:
        if view.understanding.said:
            return recommend(view)
        return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)
    return Outcome("answer", opening=_reason_against(view, items[0]), focus=(items[0].id,))


def _reason_against(view: Situation, item: Item) -> str:
    words, wishes = view.wording.words, view.wishes
    if item.id in view.rejected:
        return words.text("reply.why_not_rejected", title=item.title)
    last = view.context.shown[-1] if view.context.shown else ()
    if item.id in last:
        return words.text("reply.why_not_shown", title=item.title, rank=last.index(item.id) + 1)
    broken = [w for w in WishMasks.of(wishes, view.shop.table).broken(view.shop.table.row_of(item.id)) if _hard(w)]
    if broken:
        return words.text("reply.why_not_breaks", title=item.title, breaks=view.wording.broken(broken))
    if not wishes:
        return words.text("reply.why_not_nowish", title=item.title)
    considered = search_and_rank(view, wishes, explore=False).slate.considered
    place = next((i for i, entry in enumerate(considered, 1) if entry.item.id == item.id), None)
    if place is None:
        return words.text("reply.why_not_far", title=item.title, n=len(considered), k=view.size)
    if item.in_stock is False:
        return words.text("reply.why_not_breaks_stock", title=item.title)
    first, mine = considered[0], considered[place - 1]
    reason = max(first.contributions, key=lambda name: first.contributions[name] - mine.contributions[name])
    return words.text(
        "reply.why_not_rank",
        title=item.title,
        rank=place,
        n=len(considered),
        first=first.item.title,
        reason=words.text(f"feature.{reason}"),
    )


def _hard(wish: Preference) -> bool:
    return wish.as_filter() is not None


def _accept(view: Situation) -> Outcome:
    items, words = _items(view), view.wording.words
    if not items:
        return Outcome("answer", opening=words.text("reply.which_item"), focus=view.context.focus)
    item = items[0]
    how = words.text("reply.accept_link", url=item.url) if item.url else words.text("reply.accept_plain")
    return Outcome("answer", opening=words.text("reply.accept", title=item.title, how=how), focus=(item.id,))


def _reject(view: Situation) -> Outcome:
    """The rejected item is gone from the next list, which follows at once."""
    items, words = _items(view), view.wording.words
    if not items:
        return more(view)
    outcome = recommend(view) if view.wishes else more(view)
    noted = words.text("reply.reject", title=view.wording.join([item.title for item in items]))
    return replace(outcome, opening=f"{noted} {outcome.opening}".strip())


def _support(view: Situation) -> Outcome:
    """The help articles, quoted and cited; says so when they do not answer."""
    words, question = view.wording.words, view.understanding.support_text or view.text
    if view.understanding.language == "zh":
        question = english_question(question) or question
    passages = view.shop.articles.answer(question) if view.shop.articles else ()
    focus = view.understanding.item_ids or view.context.focus
    if not passages:
        return Outcome("answer", opening=words.text("reply.article_none"), focus=focus)
    citations = tuple(_citation(n, passage) for n, passage in enumerate(passages, 1))
    quotes = [words.text("reply.article", quote=citation.quote, n=citation.n) for citation in citations]
    return Outcome("answer", opening=" ".join(quotes), citations=citations, focus=focus)


def _citation(n: int, passage: Passage) -> Citation:
    return Citation(n=n, title=passage.section, url=passage.url, quote=passage.quote)


def _greeting(view: Situation) -> Outcome:
    words = view.wording.words
    if view.shop_name:
        return Outcome("chat", opening=words.text("reply.greeting_shop", shop=view.shop_name))
    return Outcome("chat", opening=words.text("reply.greeting"))


def _reset(view: Situation) -> Outcome:
    return Outcome("chat", opening=view.wording.words.text("reply.reset"))


def _undo(view: Situation) -> Outcome:
    """The turn before was taken back by the conversation; shows what the wishes left give."""
    words = view.wording.words
    if not view.undone_something:
        return Outcome("chat", opening=words.text("reply.undo_nothing"))
    if not view.wishes:
        return Outcome("chat", opening=words.text("reply.undo"))
    outcome = recommend(view)
    return replace(outcome, opening=f"{words.text('reply.undo')} {outcome.opening}")


def _says(key: str) -> Callable[[Situation], Outcome]:
    return lambda view: Outcome("chat", opening=view.wording.words.text(key), focus=view.context.focus)


def _too_long(view: Situation) -> Outcome:
    text = view.wording.words.text("reply.too_long", n=len(view.text), limit=view.message_limit)
    return Outcome("chat", opening=text, focus=view.context.focus)


def _handoff(view: Situation) -> Outcome:
    return Outcome("handoff", opening=view.wording.words.text("reply.handoff_unavailable"), focus=view.context.focus)


def _decline(view: Situation) -> Outcome:
    return Outcome("decline", opening=view.wording.words.text("reply.decline"), focus=view.context.focus)


def _items(view: Situation) -> tuple[Item, ...]:
    return tuple(view.shop.table.get(i) for i in view.understanding.item_ids if i in view.shop.table)


_BY_INTENT: Mapping[Intent, Callable[[Situation], Outcome]] = {
    "recommend": recommend,
    "more": more,
    "show_anyway": recommend,
    "why_not": _why_not,
    "superlative": _superlative,
    "count": _count,
    "item_question": _item_question,
    "compare": _compare,
    "support": _support,
    "handoff": _handoff,
    "unknown_item": recommend,
    "undo": _undo,
    "reset": _reset,
    "accept": _accept,
    "reject": _reject,
    "greeting": _greeting,
    "thanks": _says("reply.thanks"),
    "out_of_scope": _decline,
    "empty": _says("reply.empty"),
    "too_long": _too_long,
}
