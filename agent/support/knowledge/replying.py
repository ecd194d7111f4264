"""What the articles have to say in a turn: all of the answer, or the half of it that is about the service.

The words are the article's own. An item that "it" stands for is named, an article in another language is said to be in
one, and what the articles do not say is said not to be in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.answer import Citation
from agent.item_questions import is_question
from agent.support.chinese import english_question
from agent.support.knowledge.languages import language_of
from agent.support.knowledge.search import Passage
from agent.taming import hosts_in
from agent.turn import Outcome, Situation
from retrieval.text import fold

MAX_NAMED = 4
"""Items that an answer names; of more than these "they" is clear enough."""
SURELY = 0.55
"""What the articles must reach where nobody said that it is about the service (`search.MIN_SCORE` where it is).

Of the demo's questions in both files, all halves: 173 of 204 that an article answers reach it, 9 of 83 that a shop is
asked besides, 1 of 43 others.
"""
NEARLY_ITS_TITLE = 0.8
"""The same where a thing was named that the catalogue does not have: that it does not is then the better answer."""
_POINTS = re.compile(r"\b(?:it|this|that|these|those|them|they|ones?|both)\b|[它这那]")


def unasked(view: Situation) -> Outcome | None:
    """The articles' answer to a question of which the rules read nothing else; None where they do not surely answer.

    What a team writes of is not only what shops are asked everywhere: a film club, repairs.
    """
    least = _least(view)
    passages = _passages(view, least) if least is not None else ()
    return _answered(view, passages) if passages else None


def _least(view: Situation) -> float | None:
    """How sure the articles must be to be heard; None where the message is none of theirs."""
    understood = view.understanding
    if understood.intent == "unknown_item":
        return NEARLY_ITS_TITLE
    nothing_read = understood.intent in ("empty", "out_of_scope") or (
        understood.intent in ("recommend", "item_question") and not (understood.facts or understood.item_ids)
    )
    return SURELY if nothing_read and is_question(view.text) else None


def support(view: Situation) -> Outcome:
    """The articles, quoted and cited; says so when they do not answer."""
    passages = _passages(view)
    if not passages:
        focus = view.understanding.item_ids or view.context.focus
        return Outcome("answer", opening=view.wording.words.text("reply.article_none"), focus=focus)
    return _answered(view, passages)


def _answered(view: Situation, passages: Sequence[Passage]) -> Outcome:
    focus = view.understanding.item_ids or view.context.focus
    return Outcome(
        "answer",
        opening=_told(view, passages),
        citations=_citations(passages, 0),
        focus=focus,
        hosts=_hosts(passages),
        article_score=None if passages[0].exact else passages[0].score,  # nothing is said before words that must stay
    )


def with_support(view: Situation, outcome: Outcome) -> Outcome:
    """`outcome` for the rest of the message, with what the articles say to the part of it that is about the service."""
    asked, words = view.understanding.support_text, view.wording.words
    if not asked or view.understanding.intent == "support":
        return outcome
    passages = _passages(view)
    if passages:
        said = _told(view, passages, before=len(outcome.citations))
    else:
        said = words.text("reply.article_none_of", question=asked.strip())
    if outcome.slate.entries or outcome.near or outcome.pitch is not None:  # what is last is read last: our question
        outcome = replace(outcome, closing="\n\n".join(filter(None, (said, outcome.closing))))
    else:
        outcome = replace(outcome, opening="\n\n".join(filter(None, (outcome.opening, said))))
    citations = (*outcome.citations, *_citations(passages, len(outcome.citations)))
    return replace(outcome, citations=citations, hosts=outcome.hosts | _hosts(passages))


def _passages(view: Situation, least: float | None = None) -> tuple[Passage, ...]:
    if view.shop.articles is None:
        return ()
    question, language = view.understanding.support_text or view.text, view.understanding.language
    english = english_question(question) if language == "zh" else ""
    table = view.shop.table
    titles = " ".join(table.get(item_id).title for item_id in view.understanding.item_ids if item_id in table)
    return view.shop.articles.answer(question, language, english, least, beside=titles)


def _told(view: Situation, passages: Sequence[Passage], before: int = 0) -> str:
    """The quotes with their marks; words that must stay as they are have nothing but the mark behind them."""
    words = view.wording.words
    quotes = " ".join(
        words.text("reply.article", quote=passage.quote, n=n) for n, passage in enumerate(passages, before + 1)
    )
    named = passages[0].language
    if named and named != view.understanding.language and not _is_asked_in(view, named):
        intro = words.text("reply.article_language", language=words.language_name(named))
        quotes = f"{intro}\n\n{quotes}" if passages[0].exact else f"{intro} {quotes}"
    titles = "" if passages[0].exact else view.wording.join(_items_meant(view))
    return words.text("reply.article_about", titles=titles, quotes=quotes) if titles else quotes


def _is_asked_in(view: Situation, language: str) -> bool:
    """Whether the customer writes the language of the article, which is none of ours."""
    return language_of(view.text) == language


def _items_meant(view: Situation) -> list[str]:
    """Titles of the items that the question is about."""
    understood, table = view.understanding, view.shop.table
    asked = understood.support_text or view.text
    titles = [table.get(item_id).title for item_id in understood.item_ids if item_id in table]
    if len(titles) > MAX_NAMED:
        return []
    return titles if _POINTS.search(asked.lower()) else [title for title in titles if fold(title) in fold(asked)]


def _hosts(passages: Sequence[Passage]) -> frozenset[str]:
    """Those that words lead to which are used as they are."""
    return hosts_in("\n".join(passage.quote for passage in passages if passage.exact))


def _citations(passages: Sequence[Passage], before: int) -> tuple[Citation, ...]:
    return tuple(
        Citation(n=n, title=passage.section, url=passage.url, quote=passage.quote, updated=passage.updated or None)
        for n, passage in enumerate(passages, before + 1)
    )
