"""A tab as HTML: transcript, running turn, wishes, cards, top bar. Knows nothing of events or of the log."""

from __future__ import annotations

from dataclasses import dataclass

from agent.answer import PreferenceView
from agent.llm.off import NO_MODEL
from agent.messages import messages
from agent.preferences import Preference
from agent.wording import Wording
from ui.cards import draw_cards, safe_link
from ui.page.tab import Entry, Tab
from ui.templates import render
from ui.words import Words, words_in

THUMB_REASONS = ("not_asked", "wrong_facts", "bad_items", "too_long")
MAX_CHAT_TITLE = 60
"""Characters of a first message in the list of earlier chats."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A wish whose removal alone would give items, as a button: `id` is the wish's."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry, ready to be drawn. `last` entries alone offer answers to tap; `links` go with the citations."""

    entry: Entry
    last: bool
    waiting: str
    thumb: str
    reason: str | None
    items: str
    options: tuple[str, ...]
    relaxed: tuple[Relaxed, ...]
    links: tuple[str | None, ...]
    degraded: bool


@dataclass(frozen=True, slots=True)
class WishView:
    """One chip; `evidence` is the tooltip: what it does and the words that caused it."""

    id: str
    kind: str
    words: str
    evidence: str


def draw_top(tab: Tab, shop_name: str, *, person: bool = False) -> str:
    """The bar with the shop's name, the new-chat button, earlier chats, and whether the shop learns from them.

    `person`: with the button for one, unless people have the chat already.
    """
    words = words_in(tab.language)
    return render(
        "top",
        name=shop_name or words("top.name"),
        earlier=tab.earlier,
        current=tab.session_id,
        learned_from=tab.learned_from,
        person=person and tab.handoff is None,
        w=words,
    )


def draw_log(tab: Tab, *, demo: bool) -> str:
    """Everything said but the running turn; where nothing was, starters, those about films for the demo shop."""
    words = words_in(tab.language)
    count = len(tab.entries)
    views = [_entry(tab, entry, words, last=i == count - 1 and not tab.live) for i, entry in enumerate(tab.entries)]
    return render(
        "transcript",
        entries=views,
        running=tab.live is not None,
        starters=words.section("demo_starters" if demo else "starters"),
        thumb_reasons=THUMB_REASONS,
        handoff=tab.handoff.state if tab.handoff else "",
        w=words,
    )


def draw_live(tab: Tab) -> str:
    """The running turn; empty where none is."""
    words = words_in(tab.language)
    view = _entry(tab, tab.live, words, last=False) if tab.live else None
    return render("live", view=view, thumb_reasons=THUMB_REASONS, w=words)


def draw_wishes(tab: Tab) -> str:
    """The row of chips."""
    words = words_in(tab.language)
    return render("wishes", wishes=[_wish(tab, wish, words) for wish in tab.wishes], w=words)


def draw_items(tab: Tab) -> str:
    """The panel of cards."""
    answer = tab.shown()
    # Breaks name wishes of their own turn; some of those may be gone from the tab's since then.
    known = {wish.id: wish for wish in [*(answer.preferences if answer else ()), *tab.wishes]}

    def wish_words(wish_id: str) -> str | None:
        return say_wish(tab, known[wish_id]) if wish_id in known else None

    return draw_cards(answer, tab.marks, words_in(tab.language), wish_words)


def say_wish(tab: Tab, wish: PreferenceView) -> str:
    """A wish as the answers say it, in the interface's language: "under 20.00 EUR", "not horror"."""
    values = tuple(wish.value) if isinstance(wish.value, list) else (wish.value,)
    if not values:
        return wish.evidence

    def title_of(item_id: str) -> str:
        # An item that this chat has not shown was named by the customer: their words say which.
        return tab.title_of(item_id) or wish.evidence or item_id

    preference = Preference(
        wish.id, wish.kind, wish.attribute, wish.op, values, wish.polarity, wish.evidence, wish.turn
    )
    return Wording(messages(tab.language), title_of, _currency(tab)).wish(preference)


def _currency(tab: Tab) -> str | None:
    answer = tab.shown()
    items = [*answer.items, *(near.item for near in answer.alternatives)] if answer else []
    return next((item.price.currency for item in items if item.price), None)


def _wish(tab: Tab, wish: PreferenceView, words: Words) -> WishView:
    parts = [words(f"wishes.because_{wish.kind}")]
    if wish.evidence:
        parts.append(words("wishes.evidence", evidence=wish.evidence))
    return WishView(wish.id, wish.kind, say_wish(tab, wish), " ".join(parts))


def _entry(tab: Tab, entry: Entry, words: Words, *, last: bool) -> EntryView:
    answer = entry.answer
    mark = tab.marks.get((answer.turn_id, None)) if answer else None
    current = answer is not None and tab.shown() is answer and entry.state != "running"
    return EntryView(
        entry=entry,
        last=last,
        waiting=_waiting(entry, words),
        thumb=mark.kind if mark else "",
        reason=mark.reason if mark else None,
        items=_see_items(entry, words) if current else "",
        options=_options(entry, words) if last else (),
        relaxed=_relaxed(tab, entry, words) if last else (),
        links=tuple(safe_link(citation.url) for citation in answer.citations) if answer else (),
        # A model that was switched off on purpose is missed by nobody: every answer is without it.
        degraded=answer is not None and answer.degraded and answer.model != NO_MODEL and not entry.is_silence,
    )


def _waiting(entry: Entry, words: Words) -> str:
    if not entry.ahead:
        return words("log.thinking")
    return words("log.ahead_one") if entry.ahead == 1 else words("log.ahead", n=entry.ahead)


def _see_items(entry: Entry, words: Words) -> str:
    if not entry.answer or not entry.has_items:
        return ""
    count = len(entry.answer.items) + len(entry.answer.alternatives)
    return words("log.see_items_one") if count == 1 else words("log.see_items", n=count)


def _options(entry: Entry, words: Words) -> tuple[str, ...]:
    """The question's answers, "show me anyway" always among them, each once."""
    question = entry.answer.question if entry.answer else None
    if not question:
        return ()
    ways_out = {words_in("en")("log.anyway").casefold(), words_in("zh")("log.anyway").casefold()}
    has_way_out = any(option.casefold() in ways_out for option in question.options)
    return tuple(dict.fromkeys([*question.options, *(() if has_way_out else (words("log.anyway"),))]))


def _relaxed(tab: Tab, entry: Entry, words: Words) -> tuple[Relaxed, ...]:
    no_match = entry.answer.no_match if entry.answer else None
    if not no_match:
        return ()
    wishes = {wish.id: wish for wish in tab.wishes}
    return tuple(
        Relaxed(block.preference_id, words("log.without", wish=say_wish(tab, wish), n=block.relaxed_count))
        for block in no_match.blocking
        if block.relaxed_count and (wish := wishes.get(block.preference_id))
    )
