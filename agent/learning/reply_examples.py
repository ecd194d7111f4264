"""Replies that customers accepted, shown to the model before it writes the next one: what learns without training.

Off unless the setting `learning.examples` asks for some. As in the live lane (live.py) a reply counts where its item
was taken by `customers` distinct customers after the model wrote of it, with masked words, of those alone who may be
learned from. Worked out from the log beside the turns, and again when the log has something new. Knows no engines.

Measured with two of them on 40 held-out situations of the demo shop (`bench replies`, seed 0): the share of replies
that are wholly the model's own falls from .80 to .45 with the starter, which was trained without, and rises from .00 to
.03 for the bare 135M model. So none are shown by default; a larger model may have use for them.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from agent.adapters.voice import Voice, Voices
from agent.learning.experiences import WEIGHTS
from agent.learning.live import CUSTOMERS, NEVER
from agent.learning.masking import mask
from agent.llm.protocol import Engine
from agent.log.opinions import FeedbackTalk
from agent.log.records import Consent
from agent.log.store import EventLog
from agent.reply_prompt import AcceptedReply
from agent.settings import Settings

TALKS: Final = 200
"""Conversations, those in which an item was taken last, that are looked through."""
LOOK_SECONDS: Final = 10.0
"""Between two looks at the log. What was erased is out of the prompts so soon."""

log = structlog.get_logger(__name__)


class AcceptedReplies:
    """The examples of one process, by tenant. Thread-safe; `of` never waits for the database.

    Args:
        events: the log.
        count: how many are shown; 0: none, and nothing is read.
        customers: see above.
        consent: who may be learned from.
    """

    def __init__(
        self, events: EventLog, count: int = 0, *, customers: int = CUSTOMERS, consent: Consent = "opt_out"
    ) -> None:
        self._events, self._count = events, count
        self._customers, self._consent = customers, consent
        self._books: dict[str, _Book] = {}
        self._lock = threading.Lock()

    @classmethod
    def by(cls, events: EventLog, settings: Settings) -> AcceptedReplies:
        """As the operator set it."""
        learning = settings.learning
        return cls(events, learning.examples, customers=settings.retrieval.live_customers, consent=learning.consent)

    def of(self, tenant: str) -> tuple[AcceptedReply, ...]:
        """As they stood a look ago, the one that most customers took first; () at first, and where none are wanted."""
        if not self._count:
            return ()
        with self._lock:
            book = self._books.setdefault(tenant, _Book())
            if book.worker is None and time.monotonic() >= book.next_look:
                book.worker = threading.Thread(target=self._look, args=(tenant, book), name="examples", daemon=True)
                book.worker.start()
            return book.found

    def settle(self, tenant: str) -> None:
        """Wait for a look that is under way."""
        worker = self._books[tenant].worker if tenant in self._books else None
        if worker is not None:
            worker.join()

    def _look(self, tenant: str, book: _Book) -> None:
        found, newest = book.found, book.newest
        try:
            now = self._events.changes(tenant, NEVER).newest
            if now != newest:
                found, newest = self._read(tenant), now
        except Exception:  # whatever it was: replies go on, without examples that may be of somebody erased
            log.exception("examples_not_read", tenant=tenant)
            found, newest = (), -1
        with self._lock:
            book.found, book.newest, book.worker = found, newest, None
            book.next_look = time.monotonic() + LOOK_SECONDS

    def _read(self, tenant: str) -> tuple[AcceptedReply, ...]:
        talks = self._events.feedback_talks(tenant, self._events.fruitful(tenant, TALKS), self._consent)
        takers: dict[str, dict[str, AcceptedReply]] = defaultdict(dict)
        for talk in talks:
            state = talk.state.conversation
            for item_id, reply in _accepted(talk):
                takers[item_id][state.person_id or f"key:{state.key_id}"] = reply
        enough = [each for each in takers.values() if len(each) >= self._customers]
        enough.sort(key=len, reverse=True)
        return tuple(list(each.values())[-1] for each in enough[: self._count])


@dataclass(frozen=True, slots=True)
class ExampleVoices:
    """Implements `Voices`: those of `inner`, with the tenant's examples."""

    inner: Voices
    replies: AcceptedReplies
    tenant: str

    def voice(self, engine: Engine, session_id: str) -> Voice:
        """See `Voices.voice`."""
        return replace(self.inner.voice(engine, session_id), examples=self.replies.of(self.tenant))

    def strangers(self, engine: Engine) -> Voice:
        """See `Voices.strangers`."""
        return self.inner.strangers(engine)


@dataclass(slots=True)
class _Book:
    """One tenant's. `newest`: the number of the log's newest event when it was read; -1: not read."""

    found: tuple[AcceptedReply, ...] = ()
    newest: int = -1
    next_look: float = 0.0
    worker: threading.Thread | None = field(default=None)


def _accepted(talk: FeedbackTalk) -> list[tuple[str, AcceptedReply]]:
    """Item id and what the model alone said of it, where the customer took the item and disliked nothing of it."""
    found = []
    for turn in talk.state.turns:
        pitch: dict[str, Any] | None = None if turn.undone else talk.answered[turn.turn_id].trace.get("pitch")
        if not pitch or pitch["own"]:
            continue
        given = [one for one in talk.given if one.turn_id == turn.turn_id and one.item_id in (None, pitch["item_id"])]
        is_taken = any(one.item_id is not None and one.kind in WEIGHTS for one in given)
        if is_taken and not any(one.kind in ("thumb_down", "reject", "correct") for one in given):
            item, end, facts = str(pitch["asked"]).partition("</item>")  # what stands before is the catalogue's
            asked = f"{item}{end}{mask(facts)}"
            found.append((str(pitch["item_id"]), AcceptedReply(asked, mask(str(pitch["said"])))))
    return found
