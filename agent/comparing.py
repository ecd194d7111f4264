"""Answers that come from the whole catalogue by code: superlatives, counts, comparisons, "why?", "why not?".

Each function takes a `Situation` and gives an `Outcome`. Knows nothing of the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.messages import Messages
from agent.preferences import Preference
from agent.querying import filters_of
from agent.rank.session import PREFIX, SESSION
from agent.ranking import Ranked, Slate, WishMasks, matched_slate, value_of
from agent.recommending import no_match, recommend, search_and_rank
from agent.turn import NearMiss, Outcome, Situation
from retrieval.items import Item

MAX_COMPARED = 4
COMPARED_ATTRIBUTES = 6
MAX_EXPLAINED = 5
"""Items whose reasons one answer gives."""
MAX_VALUES_SAID = 20
"""Values of an attribute that one answer lists."""


def superlative(view: Situation) -> Outcome:
    """The extreme of a number over the whole catalogue, under the hard wishes; what can be bought comes first."""
    attribute, descending = view.understanding.attribute or "popularity", view.understanding.descending
    wishes, wording, words = _scope(view), view.wording, view.wording.words
    filters = filters_of(wishes)
    found = view.shop.table.order_by(attribute, descending=descending, filters=filters)
    found = [item for item in found if item.id not in view.rejected]
    label = wording.superlative(attribute, descending=descending)
    if not found:
        if view.shop.table.count(filters) == 0:
            return no_match(view)
        return Outcome("answer", opening=words.text("reply.superlative_unknown", label=label))
    items = sorted(found[: 10 * view.size], key=lambda item: item.in_stock is False)[: view.size]
    hard = [wish for wish in wishes if wish.as_filter() is not None]
    opening = words.text(
        "reply.superlative_high" if descending else "reply.superlative_low",
        label=label,
        scope=words.text("reply.scope", wishes=wording.wishes(hard)) if hard else "",
        title=items[0].title,
        value=_said(view, items[0], attribute),
    )
    if found[0].in_stock is False and items[0].id != found[0].id:
        value = _said(view, found[0], attribute)
        opening += " " + words.text("reply.superlative_sold_out", title=found[0].title, value=value)
    return replace(_listing(view, items), opening=opening)


def _said(view: Situation, item: Item, attribute: str) -> str:
    return view.wording.value(attribute, value_of(item, attribute) or 0.0, item.currency)


def _scope(view: Situation) -> tuple[Preference, ...]:
    """The wishes in force; where nothing fits them all, those of this message: "the cheapest western" of all."""
    if view.shop.table.count(filters_of(view.wishes)):
        return view.wishes
    own = tuple(wish for wish in view.wishes if wish.turn == view.context.turn)
    return own if view.shop.table.count(filters_of(own)) else view.wishes


def _listing(view: Situation, items: Sequence[Item]) -> Outcome:
    """Items in the order given; when one breaks a hard wish that stays in force, all are near misses, not offers."""
    slate = matched_slate(items, view.wishes, view.shop.table)
    focus = tuple(item.id for item in items)
    near = _with_breaks(view, slate)
    if any(miss.breaks for miss in near):
        return Outcome("answer", near=near, focus=focus)
    return Outcome("answer", slate=slate, focus=focus)


def _with_breaks(view: Situation, slate: Slate) -> tuple[NearMiss, ...]:
    masks = WishMasks.of([wish for wish in view.lasting if _is_hard(wish)], view.shop.table)
    return tuple(NearMiss(entry, masks.broken(view.shop.table.row_of(entry.item.id))) for entry in slate.entries)


def count(view: Situation) -> Outcome:
    """How many fit: a question, so what it names is not wished for afterwards."""
    wishes, words = _scope(view), view.wording.words
    n = view.shop.table.count(filters_of(wishes))
    if n == 0:
        return no_match(view)
    hard = [wish for wish in wishes if _is_hard(wish)]
    if not hard:
        return Outcome("answer", opening=words.text("reply.count_all_one" if n == 1 else "reply.count_all", n=n))
    searched = search_and_rank(view, wishes, explore=False)
    key = "reply.count_one" if n == 1 else "reply.count"
    listed = _listing(view, [entry.item for entry in searched.slate.entries])
    opening = words.text(key, n=n, wishes=view.wording.wishes(hard))
    return replace(listed, opening=opening, degraded=searched.degraded, timings=searched.timings)


def compare(view: Situation) -> Outcome:
    """Two to four items field by field, or all of them by the one number that was asked for."""
    items = named_items(view)
    if len(items) < 2:
        return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)
    shape = view.shop.table.shape.attributes.get(view.understanding.attribute or "")
    if shape is not None and shape.kind == "number":
        return _most_of(view, items, shape.name)
    return _side_by_side(view, items[:MAX_COMPARED])


def _most_of(view: Situation, items: Sequence[Item], attribute: str) -> Outcome:
    """The items by one number, the first one named: "which of these is the longest?"."""
    wording, descending = view.wording, view.understanding.descending
    label = wording.superlative(attribute, descending=descending)
    numbers = {item.id: value for item in items if isinstance(value := value_of(item, attribute), float | int)}
    if not numbers:
        return Outcome("answer", opening=wording.words.text("reply.superlative_unknown", label=label))
    known = sorted((item for item in items if item.id in numbers), key=lambda i: numbers[i.id], reverse=descending)
    value = _said(view, known[0], attribute)
    opening = wording.words.text("reply.most_of", label=label, title=known[0].title, value=value)
    return replace(_listing(view, known), opening=opening)


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
    return replace(_listing(view, items), opening="\n".join(lines))


def why(view: Situation) -> Outcome:
    """For each item that was shown, or that is named: the wishes it meets, and one disadvantage where it has one."""
    shown = view.context.shown[-1] if view.context.shown else ()
    items = named_items(view) or tuple(view.shop.table.get(i) for i in shown if i in view.shop.table)
    words, wording = view.wording.words, view.wording
    if not items:
        return Outcome("answer", opening=words.text("reply.which_item"), focus=view.context.focus)
    slate = matched_slate(items[:MAX_EXPLAINED], view.wishes, view.shop.table)
    masks = WishMasks.of([wish for wish in view.wishes if _is_hard(wish)], view.shop.table)
    lines = []
    for entry in slate.entries:
        reason = wording.why(entry, view.wishes) or words.text("reply.why_plain")
        broken = masks.broken(view.shop.table.row_of(entry.item.id))
        drawback = wording.trade_off(entry, slate.entries, broken)
        lines.append(" ".join(part for part in (f"{entry.item.title}:", reason, drawback) if part))
    return Outcome("answer", opening="\n".join(lines), focus=tuple(entry.item.id for entry in slate.entries))


def values(view: Situation) -> Outcome:
    """The values that an attribute has in this catalogue, the most frequent first; of a number the range."""
    shape = view.shop.table.shape.attributes.get(view.understanding.attribute or "")
    words, wording = view.wording.words, view.wording
    if shape is None:
        return Outcome("chat", opening=words.text("reply.help"), focus=view.context.focus)
    label = words.label(shape.name)
    if shape.values is None:
        low, high = (wording.value(shape.name, bound or 0.0) for bound in (shape.minimum, shape.maximum))
        text = words.text("reply.values_range", label=label, low=low, high=high)
    else:
        said = words.text("wish.join").join(f"{name} ({n})" for name, n in list(shape.values.items())[:MAX_VALUES_SAID])
        rest = len(shape.values) - MAX_VALUES_SAID
        text = words.text("reply.values", label=label, values=said)
        text += " " + words.text("reply.values_rest", n=rest) if rest > 0 else ""
    return Outcome("answer", opening=text, focus=view.context.focus)


def wishes(view: Situation) -> Outcome:
    """What the customer has asked for so far, in words."""
    words = view.wording.words
    if not view.wishes:
        return Outcome("chat", opening=words.text("reply.wishes_none"), focus=view.context.focus)
    text = words.text("reply.wishes", wishes=view.wording.wishes(view.wishes))
    return Outcome("chat", opening=text, focus=view.context.focus)


def why_not(view: Situation) -> Outcome:
    """From the trace: the wish that the item breaks, or where it ranked and why."""
    items = named_items(view)
    if items:
        return Outcome("answer", opening=_reason_against(view, items[0]), focus=(items[0].id,))
    if view.understanding.said:
        return recommend(view)
    return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)


def _reason_against(view: Situation, item: Item) -> str:
    words, wishes = view.wording.words, view.wishes
    if item.id in view.rejected:
        return words.text("reply.why_not_rejected", title=item.title)
    last = view.context.shown[-1] if view.context.shown else ()
    if item.id in last:
        return words.text("reply.why_not_shown", title=item.title, rank=last.index(item.id) + 1)
    masks = WishMasks.of([wish for wish in wishes if _is_hard(wish)], view.shop.table)
    if broken := masks.broken(view.shop.table.row_of(item.id)):
        return words.text("reply.why_not_breaks", title=item.title, breaks=view.wording.broken(broken))
    if not wishes:
        return words.text("reply.why_not_nowish", title=item.title)
    return _place_in(view, view.last_ranking or _ranking_now(view), item)


def _ranking_now(view: Situation) -> tuple[tuple[str, dict[str, float]], ...]:
    """The ranking of these wishes, where no list was shown whose trace could be read."""
    considered: Sequence[Ranked] = search_and_rank(view, view.wishes, explore=False).slate.considered
    return tuple((entry.item.id, dict(entry.contributions)) for entry in considered if entry.contributions)


def _place_in(view: Situation, ranking: Sequence[tuple[str, dict[str, float]]], item: Item) -> str:
    """Where the item stood, and the feature that made the greatest difference to the first one."""
    words = view.wording.words
    place = next((n for n, (item_id, _) in enumerate(ranking, 1) if item_id == item.id), None)
    if place is None:
        return words.text("reply.why_not_far", title=item.title, n=len(ranking), k=view.size)
    if item.in_stock is False:
        return words.text("reply.why_not_breaks_stock", title=item.title)
    if place <= view.size:  # Plackett-Luce put another one there this time
        return words.text("reply.why_not_varied", title=item.title, rank=place, n=len(ranking))
    (first_id, first), (_, mine) = ranking[0], ranking[place - 1]
    return words.text(
        "reply.why_not_rank",
        title=item.title,
        rank=place,
        n=len(ranking),
        first=view.wording.title_of(first_id),
        reason=words.text(f"feature.{_difference(first, mine, words)}"),
    )


def _difference(first: Mapping[str, float], mine: Mapping[str, float], words: Messages) -> str:
    """What speaks most for the first one: a feature, all that the session learned as one, or all that has no words."""
    more: defaultdict[str, float] = defaultdict(float)
    for name in first.keys() | mine.keys():
        reason = SESSION if name.startswith(PREFIX) else name if words.has(f"feature.{name}") else "other"
        more[reason] += first.get(name, 0.0) - mine.get(name, 0.0)
    return max(sorted(more), key=lambda name: more[name])


def _is_hard(wish: Preference) -> bool:
    return wish.as_filter() is not None


def named_items(view: Situation) -> tuple[Item, ...]:
    """The items that the words point at, those that the live catalogue has."""
    return tuple(view.shop.table.get(i) for i in view.understanding.item_ids if i in view.shop.table)
