"""How sure a turn may be of itself, and what follows: words that say so, and a person who is offered.

The probability that the turn serves the customer comes from features that are there anyway, by a small logistic model
whose coefficients stand in `thresholds.toml`. Only lists and help articles are judged: a field that is read out, a
count, a greeting are what they are. Knows nothing of how the model is fitted (`agent/bench/confidence.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from agent.answer import Question
from agent.chances import chances_of
from agent.log.records import ConversationState
from agent.log.store import EventLog
from agent.preferences import Added
from agent.thresholds import Step, Thresholds, thresholds
from agent.turn import Confidence, Outcome, Situation
from agent.understand.types import Intent
from retrieval.text import tokens
from retrieval.words import function_words

LEAST, MOST = 0.001, 0.999
"""Chances are kept within these before their log-odds are taken."""
MUCH_UNREAD = 0.5
"""Share of a message's words that were not read from which its understanding is doubted in words."""
_WISHING: frozenset[Intent] = frozenset({"recommend", "unknown_item"})


def with_confidence(view: Situation, outcome: Outcome) -> Outcome:
    """The outcome with its confidence; low, its words say so, and where it stays low a person is offered."""
    known = thresholds()
    confidence = confidence_of(view, outcome, known)
    if confidence is None:
        return outcome
    outcome = replace(outcome, confidence=confidence)
    if _is_unsure(confidence, known):
        key = "reply.unsure_answer" if confidence.step == "answer" else "reply.unsure"
        said = view.wording.words.text(key, wishes=view.wording.wishes(view.wishes))
        outcome = replace(outcome, opening=f"{said} {outcome.opening}".strip())
    return _with_person(view, outcome) if _stays_lost(view, confidence, known) else outcome


def confidence_of(view: Situation, outcome: Outcome, known: Thresholds) -> Confidence | None:
    """None for what is not judged; 0 where nothing could be read, or the articles were asked and do not say."""
    intent = view.understanding.intent
    if intent in ("empty", "support") and not outcome.citations:
        return Confidence("recommend" if intent == "empty" else "answer", 0.0, {}, lost=True)
    step: Step
    features: Mapping[str, float]
    if outcome.article_score is not None:
        step, features = "answer", {"score": outcome.article_score}
    elif outcome.slate.ranker or outcome.action == "ask":
        step = "ask" if outcome.action == "ask" else "recommend"
        features = list_features(view, outcome, known.asking.temperature)
    else:
        return None
    probability = known.steps[step].probability(features)
    return Confidence(step, probability, features, is_lost(step, probability, features, known))


def is_lost(step: Step, probability: float, features: Mapping[str, float], known: Thresholds) -> bool:
    """Whether the turn hardly serves anybody, and that is no wonder: an article beside the point, words not read.

    A broad wish has many lists; that the wanted item is hardly in this one is nobody's fault.
    """
    return probability < known.handing_over.threshold and (step == "answer" or _misread(features))


def _misread(features: Mapping[str, float]) -> bool:
    return features["unread"] >= MUCH_UNREAD or features["doubtful"] > 0


def lost_turns(log: EventLog, tenant: str, state: ConversationState) -> Iterator[bool]:
    """Whether each turn so far that stands was lost, the latest first; each is read when it is asked for."""
    for turn in reversed(state.turns):
        if not turn.undone:
            told = log.trace(tenant, turn.turn_id).record.trace.get("confidence")
            yield bool(told and told["lost"])


def list_features(view: Situation, outcome: Outcome, temperature: float) -> Mapping[str, float]:
    """What is known of a list: how its chances lie, how much fits, how well the message was read.

    `mass`: log-odds that the wanted item stands in the list. `margin`: the best item's chance less the next one's.
    `matching`: log of one plus the items that fit. `wishes` in force. `unread`: see `unread_share`. `doubtful`: whether
    rules proposed what was not taken.
    """
    slate = outcome.slate
    chances = chances_of(slate, outcome.n_matching, view.shown_before(), temperature)
    shown = {entry.item.id for entry in slate.entries}
    mass = sum(chance for chance, one in zip(chances, slate.considered, strict=True) if one.item.id in shown)
    best = sorted(chances.tolist(), reverse=True)[:2]
    mass = min(MOST, max(LEAST, float(mass)))
    return {
        "mass": math.log(mass / (1 - mass)),
        "margin": best[0] - best[1] if len(best) == 2 else 1.0,
        "matching": math.log1p(outcome.n_matching),
        "wishes": float(len(view.wishes)),
        "unread": unread_share(view),
        "doubtful": float(bool(view.understanding.doubtful)),
    }


def unread_share(view: Situation) -> float:
    """The share of a wish's telling words that no fact but free text rests on, 0 where nothing was wished for.

    English only: other languages are not cut into words here.
    """
    understood = view.understanding
    if understood.intent not in _WISHING or understood.language != "en":
        return 0.0
    telling = set(tokens(view.text)) - function_words()
    if not telling:
        return 0.0
    read: set[str] = set()
    for fact in understood.facts:
        if not (isinstance(fact, Added) and fact.preference.op == "about"):
            read.update(tokens(fact.preference.evidence if isinstance(fact, Added) else fact.evidence))
    return len(telling - read) / len(telling)


def _is_unsure(confidence: Confidence, known: Thresholds) -> bool:
    """As `is_lost`, by the threshold of the step; what says itself that it found nothing needs no such words."""
    features = confidence.features
    if not features or confidence.probability >= known.steps[confidence.step].threshold:
        return False
    return confidence.step == "answer" or _misread(features)


def _stays_lost(view: Situation, confidence: Confidence, known: Thresholds) -> bool:
    """Whether this turn and those before it, as many as it takes, were lost, for the first time."""
    if not confidence.lost or PERSON in view.asked:
        return False
    before = list(islice(view.lost(), known.handing_over.turns - 1))
    return len(before) == known.handing_over.turns - 1 and all(before)


PERSON = "handoff"
"""What a question is about that offers a person: no attribute of a catalogue (`agent.history.asked_in`)."""


def _with_person(view: Situation, outcome: Outcome) -> Outcome:
    """The question of the turn, if it has one, makes room: there is one at most."""
    words = view.wording.words
    text = words.text("question.person")
    options = [words.text("question.person_yes"), words.text("question.anyway")]
    question = Question(attribute=PERSON, text=text, options=options)
    action = "ask" if outcome.action == "recommend" else outcome.action
    return replace(outcome, action=action, closing=text, question=question)
