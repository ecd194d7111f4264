"""`EventLog`: every method is one transaction; words are cleaned on their way in and tenants stay apart.

Synchronous: call it from a thread pool. Any number of threads and processes may share one database.
Knows nothing of HTTP, catalogues or models.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from agent.log import adapters, conversations, imports, learning, leases, opinions, people, reactions, system, turns
from agent.log.adapters import Move, SessionSigns, Source, SourceCounts
from agent.log.database import Database
from agent.log.erasing import erase_person, person_record
from agent.log.ids import is_ours, keyed_hash, new_turn_id
from agent.log.opinions import FeedbackTalk
from agent.log.outbox import Outbox
from agent.log.people import PersonKey
from agent.log.records import (
    Changes,
    Consent,
    Conversation,
    ConversationState,
    ConversationSummary,
    Deed,
    ErasedPerson,
    Feedback,
    LoggedTurn,
    OutsideEvent,
    PastDeed,
    PersonRecord,
    PrefixMatch,
    SessionView,
    StatedWishes,
    Stored,
    TurnInput,
    TurnRecord,
)
from agent.preferences import Fact
from agent.secrecy import Sealer
from agent.understand.types import Language
from retrieval.errors import NotFound

PSEUDONYM_CHARS = 20
"""80 bits of a keyed hash: no two customers of a shop share them."""


class LogWatcher(Protocol):
    """Who counts what happens to the log (agent/observe/metrics.py); called from any thread."""

    def feedback_stored(self, feedback: Feedback) -> None:
        """A reaction is in the log now that was not there before."""
        ...

    def database_failed(self) -> None:
        """The database refused a use of it."""
        ...


class EventLog:
    """The log of one database. `open` it once in a process; `close` it at the end.

    Every method raises `DataDirectoryError` when the database cannot be used (read-only, full, locked,
    gone for longer than `database.OUTAGE_SECONDS`). The ids of another tenant are `NotFound`, the same as
    ids that never were. `key_id` and `user` of a reader are checks: None checks nothing; a `user` may read
    what belongs to them or to nobody.
    """

    def __init__(self, database: Database) -> None:
        self._database = self.database = database  # the latter for stores with tables of their own
        self._secrets: dict[str, bytes] = {}
        self._secrets_lock = threading.Lock()
        self._watcher: LogWatcher | None = None

    def watch(self, watcher: LogWatcher) -> None:
        """Tell `watcher` from now on."""
        self._watcher = watcher
        self._database.on_failure = watcher.database_failed

    @classmethod
    def open(cls, url: str | None, data_dir: Path, sealer: Sealer | None = None) -> EventLog:
        """Open the database and bring its tables up to date, under a lock that other processes respect.

        Args:
            url: SQLAlchemy URL; None or empty: SQLite in `data_dir`.
            data_dir: made where it does not exist.
            sealer: of the settings; None: by the key file in `data_dir`.

        Raises:
            DataDirectoryError: folder or database cannot be used, or are sealed with a key that is not ours.
            SettingsError: the URL cannot be read, or its driver is not installed.
        """
        database = Database.open(url, data_dir, sealer)
        try:
            database.upgrade()
            database.ping()  # a read-only folder is found now and not with the first customer
            database.seal_anew()  # so is a wrong key
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Give the connections back; the log cannot be used afterwards."""
        self._database.close()

    # --- ids ---

    def secret(self, tenant: str) -> bytes:
        """The tenant's signing key: made at first use, then the same for every process."""
        with self._secrets_lock:
            if tenant not in self._secrets:
                self._secrets[tenant] = self._database.write(lambda session: system.secret(session, tenant, "signing"))
            return self._secrets[tenant]

    def new_turn_id(self, tenant: str) -> str:
        """A fresh signed turn id; the log knows it once its turn is recorded."""
        return new_turn_id(self.secret(tenant))

    # --- conversations ---

    def start_conversation(self, tenant: str, key_id: str, user: str | None, language: Language = "en") -> Conversation:
        """Begin one. A named user's starts from their stored wishes, as an edit after turn 0."""
        who = self._who(tenant, key_id, user)
        return self._database.write(lambda session: conversations.start(session, tenant, key_id, who, language))

    def conversation(
        self, tenant: str, session_id: str, *, key_id: str | None = None, user: str | None = None
    ) -> Conversation:
        """Look one up.

        Raises:
            NotFound: unknown, erased, of another tenant or key, or of another named user.
        """
        secret = self.secret(tenant)
        return self._database.read(
            lambda session: conversations.get(session, tenant, session_id, key_id=key_id, user=user, secret=secret)
        )

    def find_by_prefix(self, tenant: str, key_id: str, user: str | None, prefix_hash: str) -> PrefixMatch | None:
        """The latest turn, not undone, that ended with these messages; None for `user` finds unnamed ones only."""
        who = self._who(tenant, key_id, user)
        return self._database.read(
            lambda session: conversations.find_by_prefix(session, tenant, key_id, who, prefix_hash)
        )

    def list_conversations(
        self, tenant: str, key_id: str, user: str | None, limit: int = 50
    ) -> tuple[ConversationSummary, ...]:
        """A customer's conversations that have turns, the last used first; None for `user`: those of nobody."""
        who = self._who(tenant, key_id, user)
        return self._database.read(lambda session: conversations.history(session, tenant, key_id, who, limit))

    def state(self, tenant: str, session_id: str, *, before: int | None = None) -> ConversationState:
        """Everything that the next turn needs, oldest first, undone turns included with their flag.

        `before` leaves out the turn of that number and what came after it: a call that branches off earlier.

        Raises:
            NotFound: as `conversation`.
        """
        return self._database.read(lambda session: conversations.state(session, tenant, session_id, before=before))

    def session_view(
        self, tenant: str, session_id: str, *, key_id: str | None = None, user: str | None = None
    ) -> SessionView:
        """A conversation with its messages, items, answers and reactions.

        Raises:
            NotFound: as `conversation`.
        """
        secret = self.secret(tenant)

        def look(session: Session) -> SessionView:
            found = conversations.get(session, tenant, session_id, key_id=key_id, user=user, secret=secret)
            return conversations.view(session, found)

        return self._database.read(look)

    def delete_session(
        self, tenant: str, session_id: str, *, key_id: str | None = None, user: str | None = None
    ) -> None:
        """Erase the words of a conversation, on disk too; ids and numbers stay. It is `NotFound` from then on.

        Raises:
            NotFound: as `conversation`.
        """
        secret = self.secret(tenant)

        def erase(session: Session) -> None:
            found = conversations.get(session, tenant, session_id, key_id=key_id, user=user, secret=secret)
            conversations.erase(session, tenant, found.id)

        self._database.write(erase)
        self._database.forget_deleted()

    def record_edit(self, tenant: str, session_id: str, facts: Sequence[Fact]) -> str:
        """Facts from the customer's own hand, after the turns so far; gives the event id.

        Raises:
            NotFound: as `conversation`.
        """
        return self._database.write(
            lambda session: conversations.record_edit(session, tenant, session_id, tuple(facts))
        )

    # --- turns ---

    def take_lease(self, tenant: str, session_id: str, owner: str) -> bool:
        """Be the one who answers in this conversation for `leases.LEASE_SECONDS`, or stay it; False: another one is.

        `owner` is any name that nobody else has. A lease that ran out may be taken by others.

        Raises:
            NotFound: as `conversation`.
        """
        return self._database.write(lambda session: leases.take(session, tenant, session_id, owner))

    def drop_lease(self, session_id: str, owner: str) -> None:
        """Let others answer; nothing happens where `owner` has no lease."""
        self._database.write(lambda session: leases.drop(session, session_id, owner))

    def record_turn(self, record: TurnRecord) -> None:
        """Store a turn and what it showed, all or nothing; durable when this returns. The same one is stored once.

        Raises:
            TurnConflict: the conversation has a turn of this number.
            NotFound: the conversation is unknown or erased.
        """
        self._database.write(lambda session: turns.record(session, record))

    def undo_turn(self, tenant: str, turn_id: str) -> None:
        """Mark a turn as taken back; once more changes nothing.

        Raises:
            NotFound: unknown, erased, or of another tenant.
        """
        self._database.write(lambda session: turns.undo(session, tenant, turn_id))

    def trace(self, tenant: str, turn_id: str, *, key_id: str | None = None) -> LoggedTurn:
        """A turn as it was recorded, with what was shown and why.

        Raises:
            NotFound: unknown, erased, or of another tenant or key.
        """
        self._check_ours(tenant, turn_id)
        return self._database.read(lambda session: turns.logged(session, tenant, turn_id, key_id=key_id))

    def turns_since(self, tenant: str, since: datetime) -> tuple[str, ...]:
        """Ids of the turns of conversations that were not erased, in the order they were recorded."""
        return self._database.read(lambda session: turns.since(session, tenant, since))

    def turn_input(self, tenant: str, turn_id: str) -> TurnInput:
        """A turn and its conversation as it stood before: what `replay` runs again.

        Reactions, edits and undoings that came after the turn's recording do not show; those that the turn
        itself made (an undo takes the turn before it back) do.

        Raises:
            NotFound: unknown, erased, or of another tenant.
        """

        def look(session: Session) -> TurnInput:
            turn = turns.find(session, tenant, turn_id)
            return TurnInput(turns.logged(session, tenant, turn_id), conversations.state_at(session, turn))

        return self._database.read(look)

    # --- reactions ---

    def record_feedback(self, tenant: str, key_id: str, *given: Feedback) -> Stored:
        """Store a reaction once; after its withdrawal the same one may be stored again.

        Several are stored together or not at all, such as a withdrawal and what comes in its place; what is said of
        the last is returned.

        Raises:
            NotFound: the turn is unknown or of another tenant or key, or the item was not shown in it.
            BadRequest: the kind is unknown, or a withdrawal without a kind to withdraw.
        """
        for feedback in given:
            self._check_ours(tenant, feedback.turn_id)
        outbox = Outbox(self._database)
        stored = self._database.write(
            lambda session: [opinions.record_feedback(session, outbox, tenant, key_id, one) for one in given]
        )
        for feedback, one in zip(given, stored, strict=True):
            if one.stored and self._watcher is not None:
                self._watcher.feedback_stored(feedback)
        return stored[-1]

    def record_event(self, tenant: str, key_id: str, outside: OutsideEvent) -> str:
        """Store what happened outside the chat; gives the event id.

        Raises:
            NotFound: the turn or the conversation is unknown or of another tenant, key or named user.
            BadRequest: the kind is unknown, `value` is not a finite number, `at` has no time zone or is not
                between 2000 and tomorrow.
        """
        if outside.turn_id is not None:
            self._check_ours(tenant, outside.turn_id)
        who = self._who(tenant, key_id, outside.user)
        return self._database.write(lambda session: reactions.record_outside(session, tenant, key_id, who, outside))

    def record_past(self, tenant: str, key_id: str, past: Sequence[PastDeed]) -> int:
        """Store what a shop's customers did before there was a chat, each deed once; how many were not there yet.

        `key_id` is that of the API key whose requests name the same users, "" where there are no keys. One transaction:
        give some hundreds at a time.
        """
        who = [self._named(tenant, key_id, deed.user) for deed in past]
        return self._database.write(lambda session: imports.store(session, tenant, past, who))

    # --- for those that learn ---

    def changes(self, tenant: str, after: int) -> Changes:
        """What was reacted to, taken back or erased in events with a number above `after`.

        On PostgreSQL an event can become visible after one with a higher number: look again a little before the newest.
        """
        return self._database.read(lambda session: learning.changes(session, tenant, after))

    def fruitful(self, tenant: str, limit: int) -> tuple[str, ...]:
        """Ids of the `limit` conversations in which an item was taken last, the oldest of them first."""
        return self._database.read(lambda session: learning.fruitful(session, tenant, limit))

    def talks(self, tenant: str, session_ids: Sequence[str], consent: Consent) -> list[ConversationState]:
        """The named conversations as `state` gives them, without those erased or not to be learned from."""
        return self._database.read(lambda session: learning.talks(session, tenant, session_ids, consent))

    def stated(self, tenant: str, person_id: str, limit: int, consent: Consent) -> tuple[StatedWishes, ...]:
        """What the person wished for in their `limit` newest conversations and took back outside, oldest first."""
        return self._database.read(lambda session: learning.stated(session, tenant, person_id, limit, consent))

    def deeds(self, tenant: str, consent: Consent, person_id: str | None = None) -> tuple[Deed, ...]:
        """Who did what with which item, in order; of one person where `person_id` is given."""
        return self._database.read(lambda session: learning.deeds(session, tenant, consent, person_id))

    def rating_range(self, tenant: str) -> tuple[float, float] | None:
        """The lowest and the highest rating of the imported history: the scale of the shop; None without ratings."""
        return self._database.read(lambda session: learning.rating_range(session, tenant))

    def spoken_since(self, tenant: str, since: datetime | None) -> tuple[str, ...]:
        """Ids of the conversations with turns since then (None: ever), without those erased, the oldest first."""
        return self._database.read(lambda session: opinions.spoken_since(session, tenant, since))

    def feedback_talks(self, tenant: str, session_ids: Sequence[str], consent: Consent) -> list[FeedbackTalk]:
        """The named conversations with what was said of their answers; without those not to be learned from."""
        return self._database.read(lambda session: opinions.talks(session, tenant, session_ids, consent))

    def learnable(
        self, tenant: str, event_ids: Collection[str], consent: Consent, since: datetime | None = None
    ) -> dict[str, Source]:
        """Those of the events (some hundreds at a time) that may still be learned from, each with whose it is."""
        return self._database.read(lambda session: opinions.learnable(session, tenant, event_ids, consent, since))

    def record_label(self, tenant: str, target: str, *, good: bool) -> str:
        """A human's word on a reaction (its event id) or on a turn (its id); the newest counts. Gives the event id.

        Raises:
            NotFound: unknown, erased, or of another tenant.
        """
        if target.startswith("t_"):
            self._check_ours(tenant, target)
        return self._database.write(lambda session: opinions.record_label(session, tenant, target, good=good))

    def pseudonym(self, tenant: str, customer: str) -> str:
        """What stands for a person or a conversation in files: without the key nobody can find out whose it is."""
        return keyed_hash(self.secret(tenant), "pseudonym", customer)[:PSEUDONYM_CHARS]

    # --- named users ---

    def record_consent(self, tenant: str, key_id: str, user: str, *, consent: bool) -> str:
        """Whether the user may be learned from, from now on and as to what was said before; gives the event id."""
        who = self._named(tenant, key_id, user)
        return self._database.write(lambda session: people.set_consent(session, tenant, who, consent))

    def consent(self, tenant: str, key_id: str, user: str) -> bool | None:
        """What the user said last; None for one who said nothing."""
        who = self._named(tenant, key_id, user)
        return self._database.read(lambda session: people.consent_of(session, tenant, who))

    def person(self, tenant: str, key_id: str, user: str) -> PersonRecord | None:
        """What is stored of the user besides the words of conversations; None for one whom we do not know."""
        who = self._named(tenant, key_id, user)
        return self._database.read(lambda session: person_record(session, tenant, who))

    def erase_person(self, tenant: str, key_id: str, user: str) -> ErasedPerson | None:
        """Erase everything of the user, on disk too; None where nothing is known of them."""
        who = self._named(tenant, key_id, user)
        erased = self._database.write(lambda session: erase_person(session, tenant, who))
        self._database.forget_deleted()
        return erased

    def person_id(self, tenant: str, key_id: str, user: str) -> str | None:
        """Who the user is in conversations and events; None for one whom we do not know."""
        who = self._named(tenant, key_id, user)
        return self._database.read(lambda session: people.find(session, tenant, who))

    def user_facts(self, tenant: str, key_id: str, user: str) -> tuple[Fact, ...]:
        """What the user told us outside conversations, oldest first; `()` for a user whom we do not know."""
        who = self._named(tenant, key_id, user)
        return self._database.read(lambda session: people.facts(session, tenant, who))

    def record_user_edit(self, tenant: str, key_id: str, user: str, facts: Sequence[Fact]) -> str:
        """Add to the user's wishes; gives the event id. Conversations begun before do not change."""
        who = self._named(tenant, key_id, user)
        return self._database.write(lambda session: people.record_edit(session, tenant, who, tuple(facts)))

    def forget_user_preferences(self, tenant: str, key_id: str, user: str) -> None:
        """Erase the user's stored wishes, on disk too; conversations keep what was said in them."""
        who = self._named(tenant, key_id, user)
        self._database.write(lambda session: people.forget_facts(session, tenant, who))
        self._database.forget_deleted()

    # --- the server's own ---

    def live_index(self, tenant: str) -> str | None:
        """The folder activated last; None before the first one."""
        return self._database.read(lambda session: system.live_index(session, tenant))

    def activate_index(self, tenant: str, folder: str) -> None:
        """Make `folder` the live index; earlier rows stay as history."""
        self._database.write(lambda session: system.activate_index(session, tenant, folder))

    def live_ranker(self, tenant: str) -> str | None:
        """The id of the ranker activated last; None: the linear one ranks."""
        return self._database.read(lambda session: system.live_ranker(session, tenant))

    def activate_ranker(self, tenant: str, ranker: str | None) -> None:
        """Make `ranker` the live one, None the linear one; earlier rows stay as history."""
        self._database.write(lambda session: system.activate_ranker(session, tenant, ranker))

    # --- adapters ---

    def adapter_version(self, tenant: str) -> int:
        """The number of the last move; it changes whenever something about the tenant's adapters does."""
        return self._database.read(lambda session: adapters.newest_version(session, tenant))

    def adapter_moves(self, tenant: str) -> tuple[Move, ...]:
        """All that was done with the tenant's adapters, the oldest first."""
        return self._database.read(lambda session: adapters.moves(session, tenant))

    def move_adapter(self, tenant: str, seen: int, move: Move) -> int:
        """Add a move behind number `seen`; its own number.

        Raises:
            MoveConflict: there is a newer one than `seen`.
        """
        return self._database.write(lambda session: adapters.add_move(session, tenant, seen, move))

    def add_adapter_sources(self, tenant: str, adapter: str, sources: Collection[Source]) -> None:
        """Note whom an adapter is trained on; before it is: what was trained and not noted could not be found."""
        self._database.write(lambda session: adapters.add_sources(session, tenant, adapter, sources))

    def inherit_adapter_sources(self, tenant: str, adapter: str, other: str) -> None:
        """Note that an adapter begins with the weights of another one, and so with whom that one was trained on."""
        self._database.write(lambda session: adapters.inherit_sources(session, tenant, adapter, other))

    def adapter_sources(self, tenant: str) -> dict[str, SourceCounts]:
        """How many each adapter learned from, and how many of them were erased since."""
        return self._database.read(lambda session: adapters.source_counts(session, tenant))

    def adapters_trained_on(self, tenant: str, customer: str) -> tuple[str, ...]:
        """Ids of the adapters that learned from this person or conversation."""
        self.secret(tenant)  # made at first use, and a reader may not write
        return self._database.read(lambda session: adapters.trained_on(session, tenant, customer))

    def signs(self, tenant: str, after_turn: int) -> tuple[SessionSigns, ...]:
        """What went well or wrong in each conversation since turn number `after_turn`."""
        return self._database.read(lambda session: adapters.signs(session, tenant, after_turn))

    def ping(self) -> None:
        """Prove that the database takes writes: one that is rolled back."""
        self._database.ping()

    def backup(self, to: Path) -> None:
        """Write a consistent copy of the SQLite database to the file `to`, while others go on writing.

        Raises:
            BadRequest: the database is not SQLite; its own tool makes the copy.
        """
        self._database.backup(to)

    def _who(self, tenant: str, key_id: str, user: str | None) -> PersonKey | None:
        return None if user is None else self._named(tenant, key_id, user)

    def _named(self, tenant: str, key_id: str, user: str) -> PersonKey:
        return PersonKey.of(self.secret(tenant), key_id, user)

    def _check_ours(self, tenant: str, turn_id: str) -> None:
        if not is_ours(turn_id, self.secret(tenant)):
            raise NotFound(f"The turn {turn_id!r} is unknown; use a turn_id from an answer.")
