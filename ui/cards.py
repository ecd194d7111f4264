"""Item cards as HTML: drawn cover, title, price, stock, why, trade-off, link, and the buttons of a critique.

Buttons carry what they mean in `data-*` attributes; the page's script sends them on. A button with
`data-say` posts those words as the customer's own. Knows nothing of Gradio.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from agent.answer import Answer, ShownItem
from retrieval.demo.covers import cover_svg
from ui.templates import render
from ui.words import Words

MarkKind: TypeAlias = Literal["thumb_up", "thumb_down", "accept", "reject"]

MAX_SAID_TITLE = 160
"""Characters of a title inside a posted sentence; the rest adds nothing to finding it."""

_GENRE_NAMES = ("genre", "genres", "category", "categories", "type")
_SUBTITLE_NAMES = ("year", "brand", "author", "director", "artist")
CARD_REASONS = ("known", "too_expensive", "taste", "too_long", "other")


@dataclass(frozen=True, slots=True)
class Mark:
    """A reaction in force, on a reply or on an item; `reason` is a code of the page's word catalogue."""

    kind: MarkKind
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CardView:
    """One card, ready to be drawn. `link` and `price` are None where the catalogue has none that can be shown."""

    item: ShownItem
    turn_id: str
    cover: str
    facts: str
    price: str | None
    link: str | None
    mark: Mark | None
    breaks: str
    reasons: tuple[str, ...]
    say_more: str
    say_cheaper: str | None
    say_accept: str


def draw_cards(
    answer: Answer | None,
    marks: Mapping[tuple[str, str | None], Mark],
    words: Words,
    wish_words: Callable[[str], str | None],
) -> str:
    """The panel's HTML for one answer; None draws the empty panel.

    Args:
        answer: the latest answer that has items.
        marks: reactions in force by (turn id, item id).
        words: interface words.
        wish_words: a preference id in words; None for one that is no longer known.
    """
    items: list[CardView] = []
    near: list[CardView] = []
    if answer:
        items = [_card(item, answer.turn_id, marks, words) for item in answer.items]
        for miss in answer.alternatives:
            said = [wish_words(wish_id) for wish_id in miss.breaks]
            breaks = ", ".join(wish for wish in said if wish)
            near.append(_card(miss.item, answer.turn_id, marks, words, breaks))
    return render("cards", items=items, near=near, w=words)


def _card(
    item: ShownItem, turn_id: str, marks: Mapping[tuple[str, str | None], Mark], words: Words, breaks: str = ""
) -> CardView:
    said_title = item.title if len(item.title) <= MAX_SAID_TITLE else item.title[: MAX_SAID_TITLE - 1] + "…"
    priced = item.price is not None
    timed = any(name.endswith("_min") for name in item.attributes)
    reasons = tuple(
        reason for reason in CARD_REASONS if (priced or reason != "too_expensive") and (timed or reason != "too_long")
    )
    return CardView(
        item=item,
        turn_id=turn_id,
        cover=_inline_cover(item),
        facts=_facts(item, words),
        price=f"{item.price.amount} {item.price.currency}" if item.price else None,
        link=safe_link(item.url),
        mark=marks.get((turn_id, item.id)),
        breaks=breaks,
        reasons=reasons,
        say_more=words("say.more", title=said_title),
        say_cheaper=words("say.cheaper", title=said_title) if priced else None,
        say_accept=words("say.accept", title=said_title),
    )


def safe_link(url: str | None) -> str | None:
    """`url` where it is an absolute http(s) address, else None: a catalogue may hold `javascript:`."""
    if not url:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def _facts(item: ShownItem, words: Words) -> str:
    """The one line below the title: year, runtime and the first maker or kind, where the catalogue has them."""
    found: list[str] = []
    year, minutes = item.attributes.get("year"), item.attributes.get("runtime_min")
    if isinstance(year, int | float):
        found.append(f"{year:g}")
    if isinstance(minutes, int | float):
        found.append(words("items.minutes", n=f"{minutes:g}"))
    for names in (("director", "brand", "author", "artist"), _GENRE_NAMES):
        if value := _first(item, names):
            found.append(value)
    return " · ".join(dict.fromkeys(found))


def _first(item: ShownItem, names: tuple[str, ...]) -> str:
    """The first of the named attributes that the item has, in a few words."""
    for name in names:
        value = item.attributes.get(name)
        if isinstance(value, list):
            value = ", ".join(value[:2])
        if isinstance(value, int | float):
            value = f"{value:g}"
        if value:
            return value
    return ""


def cover_of(item: ShownItem) -> str:
    """The drawn cover of any item, as SVG."""
    genres: list[str] = []
    for name in _GENRE_NAMES:
        value = item.attributes.get(name)
        genres += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return cover_svg(item.title, _first(item, _SUBTITLE_NAMES), item.id, tuple(genres))


def _inline_cover(item: ShownItem) -> str:
    """The cover as a data: address. A catalogue's picture is never fetched: the page asks no other host."""
    return f"data:image/svg+xml;base64,{base64.b64encode(cover_of(item).encode()).decode()}"
