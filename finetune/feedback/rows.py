"""Rows of one turn: what each signal teaches, in the prompts that serving uses.

- Items taken and refused: `sft` and `dpo` in the prompt that names a title (agent/rank way "titles"), `kto` and `rank`
  in the one that asks of each item whether it fits ("verdicts"). What was shown and ignored teaches nothing.
- A turn whose items or reply were liked: its facts as what should be read from its message.
- The words about the first item: liked or not where all of them were the model's own (code's are no answer of a model);
  a correction that somebody wrote against them. A correction of anything else has no prompt in serving.
- The same message answered again: the first answer is worse than the second, if that one stood.

Knows nothing of caps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Final, Literal, TypeAlias

from agent.learning.experiences import WEIGHTS
from agent.llm.protocol import Message, Prompt
from agent.log.opinions import FeedbackTalk, Given
from agent.log.records import FeedbackKind
from agent.preferences import Added, Fact
from agent.rank.prompts import ANSWERS, judging_ending, judging_prompt, title_option, title_prompt
from agent.reply_prompt import SYSTEM
from agent.understand.reading import reading_prompt, spoken
from finetune.feedback.talks import AGAINST, Told, View, told_turns
from finetune.feedback.types import FeedbackRow, Place, RowKind, RowSkill, Signal, period_of
from retrieval.items import Item

Doubt: TypeAlias = Literal["", "edit", "contradiction", "pushed"]
"""Why a human should look first: words somebody else wants the model to say, yes and no to one item, a campaign."""

LABELLED: Final = 1.0
EDITED: Final = 1.0
AGAIN: Final = 0.25
"""Weights: a human's word, a correction, and an answer that was asked for again, which may have been curiosity."""
LISTED: Final = 1.0
MAX_PAIRS: Final = 4
"""Pairs of one list: more say the same of the same items."""
_END_OF_ITEM = "</item>"


@dataclass(frozen=True, slots=True)
class Draft:
    """A row before it is weighed.

    Attributes:
        row: with the weight of its signal alone.
        words: the customer's message, for finding those that say the same.
        at: of its newest event.
        owner: the person's or conversation's own id; never stored.
        session_id: of the conversation, "" for none; never stored.
        doubt: why a human should look first.
        verdict: a human's word on it; None where nobody looked.
    """

    row: FeedbackRow
    words: str
    at: datetime
    owner: str
    session_id: str
    doubt: Doubt = ""
    verdict: bool | None = None

    @property
    def is_nameless(self) -> bool:
        """Whether its customer has no name."""
        return self.owner == self.session_id


@dataclass(frozen=True)
class Whose:
    """Whose rows they are. `pseudonym` makes a customer's id one that says nothing."""

    tenant: str
    domain: str
    pseudonym: Callable[[str], str]


def drafts(talk: FeedbackTalk, view: View, whose: Whose) -> Iterator[Draft]:
    """Every row of a conversation, by turn."""
    for told in told_turns(talk, view):
        maker = _Maker(told, whose)
        yield from maker.of_items()
        yield from maker.of_list()
        yield from maker.of_turn()
        yield from maker.of_reply()
        yield from maker.of_edits()
        yield from maker.of_another_answer()


@dataclass(frozen=True, slots=True)
class _Taught:
    """What a row says, without where it is from; the fields are those of `FeedbackRow`."""

    kind: RowKind
    skill: RowSkill
    signal: Signal
    weight: float
    prompt: Prompt
    answers: tuple[str, ...]
    good: tuple[int, ...] = (0,)
    items: tuple[str, ...] = ()
    slate: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class _Liked:
    """The best that was said of a turn."""

    signal: Signal
    weight: float
    event_id: str
    at: datetime


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one turn."""

    told: Told
    whose: Whose

    # --- items ---

    def of_items(self) -> Iterator[Draft]:
        """One item said yes or no to, and pairs of them."""
        told = self.told
        if told.turn.language != "en":  # the language model reads no other
            return
        liked = {item_id: given for item_id in told.items if (given := told.liked(item_id)) is not None}
        refused = {item_id: given for item_id in told.items if (given := told.refused(item_id)) is not None}
        for item_id, item in told.items.items():
            yes, no = liked.get(item_id), refused.get(item_id)
            if yes is not None and no is not None:
                yield replace(self._verdict(item, max(yes, no, key=lambda one: one.at)), doubt="contradiction")
            elif yes is not None:
                yield self._verdict(item, yes)
                yield self._named(item, yes)
            elif no is not None:
                yield self._verdict(item, no)
        better = sorted(liked.keys() - refused.keys(), key=lambda one: (-WEIGHTS[liked[one].kind], one))
        worse = sorted(refused.keys() - liked.keys(), key=lambda one: (-AGAINST[refused[one].kind], one))
        for better_id, worse_id in list(product(better, worse))[:MAX_PAIRS]:
            yield self._pair(better_id, worse_id, liked[better_id], refused[worse_id])

    def of_list(self) -> Iterator[Draft]:
        """The slate with what was said of it; nothing where nothing was said and nothing explored."""
        told = self.told
        reacted = {item_id: given for item_id in told.items if (given := _outcome_of(told, item_id)) is not None}
        if not reacted and all(one.log_propensity is None for one in told.answered.offered):
            return
        judged = [item_id for item_id in told.items if item_id in reacted and reacted[item_id].kind != "click"]
        kinds = {item_id: given.kind for item_id, given in reacted.items()}
        taught = _Taught(
            "rank",
            "rank",
            "list",
            LISTED,
            judging_prompt(told.turns),
            tuple(judging_ending(told.items[item_id]) for item_id in judged),
            tuple(place for place, item_id in enumerate(judged) if kinds[item_id] in WEIGHTS),
            tuple(judged),
            tuple(
                Place(one.item_id, one.position, one.score, one.log_propensity, kinds.get(one.item_id))
                for one in told.answered.offered
            ),
        )
        yield self._draft(taught, *reacted.values())

    def _verdict(self, item: Item, given: Given) -> Draft:
        good = given.kind in WEIGHTS
        weight = WEIGHTS[given.kind] if good else AGAINST[given.kind]
        prompt = replace(judging_prompt(self.told.turns), prefill=judging_ending(item))
        taught = _Taught(
            "kto", "rank", _signal(given.kind), weight, prompt, ANSWERS[:1], (0,) if good else (), (item.id,)
        )
        return self._draft(taught, given)

    def _named(self, item: Item, given: Given) -> Draft:
        signal, weight = _signal(given.kind), WEIGHTS[given.kind]
        prompt, answers = title_prompt(self.told.turns), (title_option(item),)
        return self._draft(_Taught("sft", "rank", signal, weight, prompt, answers, items=(item.id,)), given)

    def _pair(self, better_id: str, worse_id: str, liked: Given, refused: Given) -> Draft:
        items = (better_id, worse_id)
        answers = tuple(title_option(self.told.items[item_id]) for item_id in items)
        weight, signal = min(WEIGHTS[liked.kind], AGAINST[refused.kind]), _signal(refused.kind)
        taught = _Taught("dpo", "rank", signal, weight, title_prompt(self.told.turns), answers, items=items)
        return self._draft(taught, liked, refused)

    # --- what was read ---

    def of_turn(self) -> Iterator[Draft]:
        """What should be read from the message of a turn that was liked."""
        told, table = self.told, self.told.view.table
        liked = self._liked_turn()
        if liked is None or table is None or told.turn.language != "en" or not told.turn.facts:
            return
        trace = told.answered.trace
        facts = tuple(self._masked(fact) for fact in told.turn.facts)
        answer = spoken(facts, told.context, tuple(trace.get("item_ids") or ()), trace.get("attribute"), table)
        if answer == "none":  # the language has no word for these facts
            return
        prompt = reading_prompt(told.view.mask(told.turn.message), told.context, table)
        taught = _Taught("sft", "understand", liked.signal, liked.weight, prompt, (answer,))
        yield self._made(taught, (liked.event_id,), liked.at)

    def _masked(self, fact: Fact) -> Fact:
        return Added(self.told.masked(fact.preference)) if isinstance(fact, Added) else fact

    def _liked_turn(self) -> _Liked | None:
        """None where nobody liked it, or its reply or the turn was found bad."""
        told, label = self.told, self.told.label
        if label is not None:
            return _Liked("label", LABELLED, label[0], told.answered.at) if label[1] else None
        if told.of_reply("thumb_down") is not None:
            return None
        likes = [one for item_id in told.items if (one := told.liked(item_id)) and not told.refused(item_id)]
        if (thumb := told.of_reply("thumb_up")) is not None:
            likes.append(thumb)
        best = max(likes, key=lambda one: (WEIGHTS[one.kind], one.event_id), default=None)
        return None if best is None else _Liked(_signal(best.kind), WEIGHTS[best.kind], best.event_id, best.at)

    # --- what was written ---

    def of_reply(self) -> Iterator[Draft]:
        """The model's own words about the first item, liked or not."""
        told, pitch = self.told, _pitch_of(self.told)
        thumbs = [one for one in (told.of_reply("thumb_up"), told.of_reply("thumb_down")) if one is not None]
        if pitch is None or not (thumbs or told.label):
            return
        if pitch.own:
            told.view.left_out["opinions of words that were not the model's"] += 1
            return
        for given in thumbs:
            good = given.kind == "thumb_up"
            weight = WEIGHTS["thumb_up"] if good else AGAINST["thumb_down"]
            taught = self._reply("kto", _signal(given.kind), weight, pitch, pitch.answer)
            yield self._draft(taught if good else replace(taught, good=()), given)
        if told.label is not None:
            event_id, good = told.label
            taught = self._reply("kto", "label", LABELLED, pitch, pitch.answer)
            yield self._made(taught if good else replace(taught, good=()), (event_id,), told.answered.at)
        liked = self._liked_turn()
        if liked is not None and (liked.signal in ("thumb_up", "label") or told.liked(pitch.item_id) is not None):
            taught = self._reply("sft", liked.signal, liked.weight, pitch, pitch.answer)
            yield self._made(taught, (liked.event_id,), liked.at)

    def of_edits(self) -> Iterator[Draft]:
        """What somebody wrote in the place of the words about the first item, and against them."""
        told, pitch = self.told, _pitch_of(self.told)
        given = told.given_correction
        if given is None:
            return
        answer = None if pitch is None else _edited(given, pitch, told.view)
        if pitch is None or answer is None:
            told.view.left_out["corrections of what the model does not write"] += 1
        elif answer != pitch.answer:
            edit = self._reply("sft", "edit", EDITED, pitch, answer)
            against = self._reply("dpo", "edit", EDITED, pitch, answer, pitch.answer)
            for taught in (edit, against):
                yield self._corrected(self._draft(taught, given), given)

    def _corrected(self, draft: Draft, given: Given) -> Draft:
        """A support agent's words are trusted until a human says otherwise; anybody else's wait for a human."""
        if not given.by_agent:
            return replace(draft, doubt="edit")
        # An agent who corrects many customers' replies is nobody's campaign: each correction counts by itself.
        row = replace(draft.row, counts_as=self.whose.pseudonym(given.event_id))
        return replace(draft, row=row, verdict=draft.verdict is not False)

    def of_another_answer(self) -> Iterator[Draft]:
        """The answer before this one to the same message, which was asked for again."""
        told = self.told
        before = _answer_before(told)
        if before is None or any(one.kind in AGAINST or one.kind == "correct" for one in told.given):
            return
        earlier, event_id = before
        new, old = _pitch_of(told), _pitch_of(earlier)
        if new is not None and old is not None and new.prompt == old.prompt:
            if new.answer != old.answer:
                taught = self._reply("dpo", "regenerate", AGAIN, new, new.answer, old.answer)
                yield self._made(taught, (event_id,), told.answered.at)
            return
        first, was = next(iter(told.items.values()), None), next(iter(earlier.items.values()), None)
        if first is not None and was is not None and first.id != was.id and told.turn.language == "en":
            both, items = (title_option(first), title_option(was)), (first.id, was.id)
            taught = _Taught("dpo", "rank", "regenerate", AGAIN, title_prompt(told.turns), both, items=items)
            yield self._made(taught, (event_id,), told.answered.at)

    def _reply(self, kind: RowKind, signal: Signal, weight: float, pitch: _Pitch, *answers: str) -> _Taught:
        return _Taught(kind, "reply", signal, weight, pitch.prompt, answers, items=(pitch.item_id,))

    # --- a row ---

    def _draft(self, taught: _Taught, *given: Given) -> Draft:
        at = max((one.at for one in given), default=self.told.answered.at)
        return self._made(taught, tuple(one.event_id for one in given), at)

    def _made(self, taught: _Taught, events: tuple[str, ...], at: datetime) -> Draft:
        told, whose = self.told, self.whose
        row = FeedbackRow(
            kind=taught.kind,
            skill=taught.skill,
            signal=taught.signal,
            prompt=taught.prompt,
            answers=taught.answers,
            good=taught.good,
            weight=taught.weight,
            user=whose.pseudonym(told.owner),
            counts_as=whose.pseudonym(told.counts_as),
            tenant=whose.tenant,
            domain=whose.domain,
            period=period_of(told.answered.at),
            at=told.answered.at,
            turn_id=told.turn.turn_id,
            events=events,
            items=taught.items,
            slate=taught.slate,
            exploration=told.answered.exploration,
        )
        session_id, verdict = told.talk.state.conversation.id, _verdict_on(told.talk, events)
        return Draft(row, told.words, at, told.owner, session_id, verdict=verdict)


@dataclass(frozen=True, slots=True)
class _Pitch:
    """The prompt for the words about one item, and those words behind its prefill. `own`: code said some of them."""

    item_id: str
    prompt: Prompt
    answer: str
    own: bool


def _pitch_of(told: Told) -> _Pitch | None:
    stored = told.answered.trace.get("pitch")
    if not stored:
        return None
    asked, prefill, said = str(stored["asked"]), str(stored["prefill"]), str(stored["said"])
    answer = _behind(said, prefill)
    if answer is None:
        return None
    # What stands before is the catalogue's own text, whose heroes have names.
    item, end, facts = asked.partition(_END_OF_ITEM)
    prompt = Prompt(
        (Message("system", SYSTEM), Message("user", f"{item}{end}{told.view.mask(facts) if end else ''}")), prefill
    )
    return _Pitch(str(stored["item_id"]), prompt, answer, bool(stored["own"]))


def _behind(text: str, prefill: str) -> str | None:
    """What stands in `text` behind the beginning that the model continues; None where it has none."""
    _, found, rest = text.partition(prefill)
    return f" {rest.strip()}" if found and rest.strip() else None


def _edited(given: Given, pitch: _Pitch, view: View) -> str | None:
    """The correction as an answer to the pitch's prompt; None where it is of something else."""
    text, title = (given.text or "").strip(), pitch.prompt.prefill.rstrip(":")
    for paragraph in text.split("\n\n"):
        if (answer := _behind(paragraph, pitch.prompt.prefill)) is not None:
            return _spaced(view.mask(answer))
        if paragraph.startswith(title) and len(paragraph) > len(title):
            return _spaced(view.mask(paragraph.removeprefix(title)))
    return _spaced(view.mask(text)) if given.item_id == pitch.item_id else None


def _spaced(text: str) -> str:
    return f" {' '.join(text.split())}"


def _answer_before(told: Told) -> tuple[Told, str] | None:
    """The turn just before this one where that was the same message and was undone for it; and the undoing's id."""
    earlier = [turn for turn in told.talk.state.turns if turn.number < told.turn.number]
    last = earlier[-1] if earlier else None
    if last is None or not last.undone or last.message != told.turn.message:
        return None
    event_id, answered = told.talk.undone.get(last.turn_id), told.talk.answered.get(last.turn_id)
    if event_id is None or answered is None:
        return None
    return Told(told.talk, last, answered, (), told.view), event_id


def _outcome_of(told: Told, item_id: str) -> Given | None:
    """The strongest thing that was said of an item; None where nothing was, or both yes and no."""
    liked, refused = told.liked(item_id), told.refused(item_id)
    if liked is not None or refused is not None:
        return None if liked and refused else liked or refused
    return next((one for one in told.given if one.item_id == item_id and one.kind == "click"), None)


def _verdict_on(talk: FeedbackTalk, events: Sequence[str]) -> bool | None:
    words = [label.good for label in talk.labels if label.of in events]
    return all(words) if words else None


def _signal(kind: FeedbackKind) -> Signal:
    """Of the kinds that teach."""
    signal: Signal = kind  # type: ignore[assignment]  # only those of WEIGHTS and AGAINST come here
    return signal
