"""Every intent to its answer; here those that need no search: facts, articles, reactions, small talk.

Each function takes a `Situation` and gives an `Outcome`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from agent.comparing import compare, count, named_items, superlative, values, why, why_not, wishes
from agent.confidence import with_confidence
from agent.item_questions import asks_what_is_not_said, field_named, is_question, measure_asked
from agent.ranking import value_of
from agent.recommending import more, recommend
from agent.support.desk import by_desk
from agent.support.knowledge.replying import support, unasked, with_support
from agent.turn import Outcome, Situation
from agent.understand.types import Intent, Understanding
from agent.wording import NO, YES, plain_number
from retrieval.items import Item

MAX_ANSWERED = 4
"""Items whose fields one answer reads out."""
_STOCK_WORDS = re.compile(
    r"\b(?:in stock|stock|sold out|available|availability|left|buy|order|still|now|today|you|ready|one|copies|copy)\b"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def decide(view: Situation) -> Outcome:
    """The outcome of this turn, by its intent, and how sure it is."""
    view = _about_focus(view)
    told = by_desk(view, view.shop.intents, paused=view.shop.paused)
    if told is not None and told.action == "decline" and _is_more_than_service(view.understanding):
        other = replace(view, understanding=replace(view.understanding, support_text=None))
        rest = by_desk(other, None, paused=view.shop.paused) or _by_rules(other)
        return replace(rest, opening=f"{told.opening} {rest.opening}")
    return _by_rules(view) if told is None else with_support(view, told)


def _is_more_than_service(understood: Understanding) -> bool:
    """Whether a question of service stands beside a wish: a refusal of the one leaves the other to be answered."""
    return understood.intent != "support" and bool(understood.support_text)


def _by_rules(view: Situation) -> Outcome:
    outcome = unasked(view) or _BY_INTENT[view.understanding.intent](view)
    return with_support(view, with_confidence(view, outcome))


def _about_focus(view: Situation) -> Situation:
    """A question that nothing could be read from is one about the items spoken of, where a field has a word of it."""
    understood, focus = view.understanding, view.context.focus
    if understood.intent != "empty" or not 0 < len(focus) <= MAX_ANSWERED or not is_question(view.text):
        return view
    attribute = measure_asked(view.text, view.shop.table.shape) or field_named(view.text, view.shop.table.shape)
    if attribute is None and len(focus) > 1:
        return view
    return replace(view, understanding=replace(understood, intent="item_question", item_ids=focus, attribute=attribute))


def _item_question(view: Situation) -> Outcome:
    """A field of an item, read out; without a named field, its description."""
    items = named_items(view)
    if not items:
        return Outcome("answer", opening=view.wording.words.text("reply.which_item"), focus=view.context.focus)
    measure = measure_asked(view.text, view.shop.table.shape)
    attribute = measure or view.understanding.attribute or "text"
    if attribute == "text":
        return Outcome("answer", opening=_described(view, items), focus=tuple(item.id for item in items))
    value = view.understanding.said if attribute in view.shop.table.shape.attributes else ""
    lines = [_listed(view, item, attribute, value) for item in items[:MAX_ANSWERED]]
    return Outcome("answer", opening="\n".join(lines), focus=tuple(item.id for item in items))


def _described(view: Situation, items: Sequence[Item]) -> str:
    """What the catalogue says of the items; before it, where it does not say what was asked, that it does not."""
    words, lines = view.wording.words, []
    for item in items[:MAX_ANSWERED]:
        fact = view.wording.fact(item, "text")
        unsaid = bool(item.text) and asks_what_is_not_said(view.text, item)
        lines.append(words.text("reply.unsaid", title=item.title, text=item.text) if unsaid else fact)
    return "\n".join(lines)


def _listed(view: Situation, item: Item, attribute: str, asked: str) -> str:
    """The field of an item; before it, where a value was asked for, whether the catalogue lists that value."""
    value, fact = value_of(item, attribute), view.wording.fact(item, attribute)
    shape = view.shop.table.shape.attributes.get(attribute)
    if value is None and shape is not None and {str(one).casefold() for one in shape.values or {"": 0}} <= YES | NO:
        return view.wording.words.text("fact.unknown_yes", title=item.title, label=view.wording.words.label(attribute))
    if attribute == "in_stock" and asks_what_is_not_said(_STOCK_WORDS.sub(" ", view.text.lower()), item):
        return view.wording.words.text("reply.unsaid", title=item.title, text=fact)  # "is it available on DVD?"
    if not asked or value is None:
        return fact
    if isinstance(value, float | int):
        asked = plain_number(float(asked)) if _NUMBER.fullmatch(asked) else asked
        own = {plain_number(value)}
    else:
        own = {str(v).casefold() for v in (value if isinstance(value, tuple) else (value,))}
    if asked.casefold() in YES:  # "is it waterproof?"
        own = {view.wording.words.label(attribute).casefold()} if own & YES else set()
        asked = view.wording.words.label(attribute)
    if asked.casefold() in own:
        return view.wording.words.text("reply.listed_yes", title=item.title, value=asked)
    no = view.wording.words.text("reply.listed_no", title=item.title, value=asked)
    return f"{no} {fact}"


def _accept(view: Situation) -> Outcome:
    items, words = named_items(view), view.wording.words
    if not items:
        return Outcome("answer", opening=words.text("reply.which_item"), focus=view.context.focus)
    item = items[0]
    how = words.text("reply.accept_link", url=item.url) if item.url else words.text("reply.accept_plain")
    return Outcome("answer", opening=words.text("reply.accept", title=item.title, how=how), focus=(item.id,))


def _reject(view: Situation) -> Outcome:
    """The rejected item is gone from the next list, which follows at once."""
    items, words = named_items(view), view.wording.words
    if not items:
        return more(view)
    outcome = recommend(view) if view.wishes else more(view)
    noted = words.text("reply.reject", title=view.wording.join([item.title for item in items]))
    return replace(outcome, opening=f"{noted} {outcome.opening}".strip())


def _greeting(view: Situation) -> Outcome:
    words = view.wording.words
    if view.shop_name:
        return Outcome("chat", opening=words.text("reply.greeting_shop", shop=view.shop_name))
    return Outcome("chat", opening=words.text("reply.greeting"))


def _reset(view: Situation) -> Outcome:
    return Outcome("chat", opening=view.wording.words.text("reply.reset"))


def _anyway(view: Situation) -> Outcome:
    """Items instead of an answer to our question: the next ones, because a list stood beside it."""
    return more(view) if view.context.shown else recommend(view)


def _undo(view: Situation) -> Outcome:
    """The turn before was taken back by the conversation; shows what the wishes left give."""
    words = view.wording.words
    if not view.undone_something:
        return Outcome("chat", opening=words.text("reply.undo_nothing"))
    if not view.wishes:
        return Outcome("chat", opening=words.text("reply.undo"))
    outcome = recommend(view)
    return replace(outcome, opening=f"{words.text('reply.undo')} {outcome.opening}")


def _distress(view: Situation) -> Outcome:
    """No items: somebody in need is shown where to find people who help."""
    return Outcome("chat", opening=view.wording.words.text("reply.distress"))


def _says(key: str) -> Callable[[Situation], Outcome]:
    return lambda view: Outcome("chat", opening=view.wording.words.text(key), focus=view.context.focus)


def _too_long(view: Situation) -> Outcome:
    text = view.wording.words.text("reply.too_long", n=len(view.text), limit=view.message_limit)
    return Outcome("chat", opening=text, focus=view.context.focus)


def _handoff(view: Situation) -> Outcome:
    words, hours = view.wording.words, view.shop.hours
    when = hours.sentence(datetime.now(UTC), words) if hours is not None else ""
    opening = words.text("reply.handoff_unavailable")
    return Outcome("handoff", opening=f"{opening} {when}".strip(), focus=view.context.focus)


def _decline(view: Situation) -> Outcome:
    return Outcome("decline", opening=view.wording.words.text("reply.decline"), focus=view.context.focus)


_BY_INTENT: Mapping[Intent, Callable[[Situation], Outcome]] = {
    "recommend": recommend,
    "more": more,
    "show_anyway": _anyway,
    "why": why,
    "why_not": why_not,
    "superlative": superlative,
    "count": count,
    "item_question": _item_question,
    "compare": compare,
    "support": support,
    "handoff": _handoff,
    "values": values,
    "wishes": wishes,
    "unknown_item": recommend,
    "undo": _undo,
    "reset": _reset,
    "accept": _accept,
    "reject": _reject,
    "greeting": _greeting,
    "thanks": _says("reply.thanks"),
    "help": _says("reply.help"),
    "identity": _says("reply.identity"),
    "acknowledge": _says("reply.acknowledge"),
    "distress": _distress,
    "out_of_scope": _decline,
    "empty": _says("reply.empty"),
    "too_long": _too_long,
}
