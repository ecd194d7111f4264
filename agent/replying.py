"""An outcome to a streamed text: finished words first, then what is said of the first item.

The model's text goes out sentence by sentence, each only after the check (agent/reply_pitch.py);
where one is refused code says the rest itself, before anything of it is shown. Everything else of
a reply comes from code, so a reply is complete without the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from agent.answer import Text, Update, Usage, Waiting
from agent.llm.protocol import Chunk, Engine, Limits, Prompt
from agent.observe.observer import without
from agent.preferences import Preference
from agent.ranking import Ranked, WishMasks
from agent.reply_facts import facts_of
from agent.reply_pitch import PARTS, Pitch, PitchPart
from agent.reply_prompt import END_OF_SENTENCE, AcceptedReply, reply_prompt
from agent.taming import hosts_of, tamed
from agent.turn import NearMiss, Outcome
from agent.wording import Wording
from retrieval.errors import EngineError, EngineTimeout
from retrieval.table import ItemTable

PITCH_SENTENCES = 3
"""The model's: what it is, why it fits, what speaks against it."""
MAX_SENTENCE_WORDS = 60
"""A longer sentence is not waited for."""


@dataclass(frozen=True, slots=True)
class Pitched:
    """What the model was asked of one item, or would have been, and what was said; `own`: code said some of it."""

    item_id: str
    prompt: Prompt
    text: str
    own: bool


@dataclass(slots=True)
class ReplyState:
    """What the reply has come to: filled while it streams, read when the turn is logged.

    `degraded`: written without the model; `failed`: and not because it is switched off, so it is said. `hosts` are
    those that it may link to.
    """

    parts: list[str] = field(default_factory=list)
    degraded: bool = False
    failed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    pitch: Pitched | None = None
    hosts: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The whole reply so far."""
        return "".join(self.parts)

    @property
    def usage(self) -> Usage:
        """Tokens spent so far."""
        return Usage(self.prompt_tokens, self.completion_tokens)

    def spend(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count a call of the model's for this turn."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def say(self, text: str) -> Text:
        """Append `text`, without what strangers could have put into it, and make the update that carries it."""
        text = tamed(text, self.hosts)
        self.parts.append(text)
        return Text(text)


@dataclass(frozen=True, slots=True)
class Replier:
    """Writes replies for one turn. `engine` None: templates only, and that is what was asked for.

    `before` are the earlier replies of this conversation: what they said of an item is not said of it again.
    `examples` are shown to the model before it writes.
    """

    wording: Wording
    table: ItemTable
    engine: Engine | None
    limits: Limits
    before: Sequence[str] = ()
    examples: Sequence[AcceptedReply] = ()

    async def reply(
        self, outcome: Outcome, wishes: Sequence[Preference], state: ReplyState
    ) -> AsyncGenerator[Update, None]:
        """Opening and list at once, then the pitch as it is written, then the closing words."""
        pitch = None if outcome.pitch is None else self.pitch(outcome.pitch, outcome, wishes)
        state.hosts = self._hosts(outcome)
        opening = "\n\n".join(part for part in (self._opening(outcome), self._listed(outcome, wishes, pitch)) if part)
        if opening:  # none where people have the conversation
            yield state.say(opening)
        if pitch is not None:
            begun = len(state.parts)
            async with aclosing(self.pitched(pitch, state)) as said:
                async for update in said:
                    yield update
            text = "".join(state.parts[begun:]).strip()
            own = any(words in text for part in PARTS if (words := pitch.own_words(part)))
            state.pitch = Pitched(pitch.item.id, reply_prompt(pitch.item, pitch.facts, self.wording), text, own)
        closing = self._closing(outcome, state)
        if closing:
            yield state.say(f"\n\n{closing}")

    def _hosts(self, outcome: Outcome) -> frozenset[str]:
        """Of the items and articles that the reply is about, and those that the operator's own words lead to."""
        entries = (*outcome.slate.entries, *(miss.entry for miss in outcome.near))
        items = [entry.item for entry in entries] + [self.table.get(i) for i in outcome.focus if i in self.table]
        addresses = [address for item in items for address in (item.url, item.image_url)]
        return outcome.hosts | hosts_of([*addresses, *(citation.url for citation in outcome.citations)])

    def _opening(self, outcome: Outcome) -> str:
        """The finished words; "here are some others" is said once in a conversation."""
        words, entries = self.wording.words, outcome.slate.entries
        others = words.text("reply.more")
        if not outcome.opening.endswith(others) or not entries:
            return outcome.opening
        again = any(others in reply for reply in self.before)
        key = "reply.more_one" if len(entries) == 1 else "reply.more_again" if again else "reply.more"
        return outcome.opening.removesuffix(others) + words.text(key, title=entries[0].item.title)

    def pitch(self, entry: Ranked, outcome: Outcome, wishes: Sequence[Preference]) -> Pitch:
        """What there is to say of an item of the list."""
        masks = WishMasks.of(wishes, self.table)
        missed = masks.broken(self.table.row_of(entry.item.id)) if masks.wishes else ()
        entries = outcome.slate.entries
        return Pitch(
            entry.item,
            facts_of(entry, entries, wishes, missed, self.wording, self.table),
            self.wording,
            self.table.shape,
            tuple(one.item for one in entries),
            self.before,
            self.wording.wishes(wishes) if wishes else "",
        )

    def _listed(self, outcome: Outcome, wishes: Sequence[Preference], pitch: Pitch | None) -> str:
        """The numbered lines; why the first one is there is not said twice."""
        told = outcome.pitch if pitch is not None and "fits" in pitch.pending else None
        lines = [
            self._line(n, entry, "") if entry is told else self.line(n, entry, wishes, outcome.slate.entries)
            for n, entry in enumerate(outcome.slate.entries, 1)
        ]
        lines += [self._near_line(n, miss) for n, miss in enumerate(outcome.near, 1)]
        return "\n".join(lines)

    def line(self, n: int, entry: Ranked, wishes: Sequence[Preference], slate: Sequence[Ranked] = ()) -> str:
        """One numbered line: title, year, price, stock, why, link. Enough for a client without cards."""
        return self._line(n, entry, self.wording.why(entry, wishes, slate))

    def _near_line(self, n: int, miss: NearMiss) -> str:
        broken = self.wording.broken(miss.breaks)
        return self._line(n, miss.entry, f"({broken})" if broken else "")

    def _line(self, n: int, entry: Ranked, note: str) -> str:
        item, wording = entry.item, self.wording
        year = item.attributes.get("year")
        title = f"{item.title} ({year:g})" if isinstance(year, float | int) else item.title
        facts = [title]
        if item.price is not None:
            facts.append(wording.value("price", float(item.price), item.currency))
        if item.in_stock is False:
            facts.append(wording.words.text("reply.out_of_stock"))
        lines = [f"{n}. {' · '.join(facts)}", note, item.url or ""]
        return "\n   ".join(line for line in lines if line)

    def _closing(self, outcome: Outcome, state: ReplyState) -> str:
        words, parts = self.wording.words, [outcome.closing] if outcome.closing else []
        sources = [
            words.text(
                "reply.article_source",
                n=c.n,
                title=c.title,
                link=f" · {c.url}" if c.url else "",
                date=f" · {c.updated}" if c.updated else "",
            )
            for c in outcome.citations
        ]
        if sources:
            parts.append("\n".join(sources))
        if state.failed and outcome.pitch is not None:
            parts.append(words.text("reply.degraded"))
        if outcome.degraded:
            parts.append(words.text("reply.search_degraded"))
        return "\n\n".join(parts)

    async def pitched(self, pitch: Pitch, state: ReplyState) -> AsyncGenerator[Update, None]:
        """The model's sentences, checked one by one; code's own for every part that they do not tell."""
        said = _Said(state, " " if self.wording.words.language == "en" else "")
        if self.engine is not None and self.wording.words.language == "en" and "what" in pitch.pending:
            try:
                async with aclosing(self._sentences(self.engine, pitch, state)) as sentences:
                    async for update in sentences:
                        if isinstance(update, Waiting):
                            yield update
                            continue
                        judged = pitch.judge(update)
                        if judged.objection:
                            state.refused.append((update, judged.objection))
                            break
                        for text in _due(pitch, judged.tells, update):
                            yield said.next(text)
                        if not pitch.pending:
                            break
            except EngineError:
                state.degraded = state.failed = True
                without("engine")
        for part in tuple(pitch.pending):
            yield said.next(pitch.own_words(part))

    async def _sentences(self, engine: Engine, pitch: Pitch, state: ReplyState) -> AsyncGenerator[str | Waiting, None]:
        prompt = reply_prompt(pitch.item, pitch.facts, self.wording, self.examples)
        pending, n_sentences, before = prompt.prefill, 0, state.usage
        deadline = asyncio.get_running_loop().time() + self.limits.seconds  # the wait in the queue counts, too
        async with aclosing(engine.stream(prompt, self.limits)) as chunks:
            while (chunk := await _next_before(deadline, chunks)) is not None:
                if chunk.finish == "timeout":
                    raise EngineTimeout(f"The model wrote no whole sentence in {self.limits.seconds:g} s.")
                if chunk.ahead:
                    yield Waiting(chunk.ahead)
                pending += chunk.text
                # Counts are of the call so far.
                state.prompt_tokens = max(state.prompt_tokens, before.prompt_tokens + chunk.prompt_tokens)
                state.completion_tokens = max(
                    state.completion_tokens, before.completion_tokens + chunk.completion_tokens
                )
                *whole, pending = END_OF_SENTENCE.split(pending)
                if chunk.finish == "stop" and pending.strip().endswith((".", "!", "?")):
                    whole, pending = [*whole, pending], ""
                for sentence in whole:
                    n_sentences += 1
                    yield sentence.strip()
                    if n_sentences == PITCH_SENTENCES:
                        return
                if "\n" in pending or len(pending.split()) > MAX_SENTENCE_WORDS:
                    return  # it went astray: nothing that follows is worth the wait


@dataclass(slots=True)
class _Said:
    """Puts sentences into one paragraph of the reply."""

    state: ReplyState
    between: str
    begun: bool = False

    def next(self, sentence: str) -> Text:
        text = f"{self.between}{sentence}" if self.begun else f"\n\n{sentence}"
        self.begun = True
        return self.state.say(text)


def _due(pitch: Pitch, tells: frozenset[PitchPart], sentence: str) -> list[str]:
    """`sentence` where it tells something new, before it code's own for the parts that it skips; marks them as told."""
    if not tells & set(pitch.pending):
        return []
    first = min(pitch.pending.index(part) for part in tells if part in pitch.pending)
    skipped = [pitch.own_words(part) for part in pitch.pending[:first]]
    pitch.pending = [part for part in pitch.pending[first:] if part not in tells]
    return [*skipped, sentence]


async def _next_before(deadline: float, chunks: AsyncGenerator[Chunk, None]) -> Chunk | None:
    """The next chunk, None at the end.

    Raises:
        EngineTimeout: it did not come in time.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await anext(chunks, None)
    except TimeoutError:
        raise EngineTimeout("The model was too slow for this reply.") from None
