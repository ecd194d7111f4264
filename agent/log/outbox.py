"""The outbox of webhooks: what goes out stands in SQL first, in the transaction of what caused it, then is sent.

    outbox = Outbox(log.database)
    outbox.enqueue("default", "handoff.requested", {"session_id": ...}, conversation_id=session_id)

Inside a transaction of one's own: `outbox.add(session, ...)`. Each address of the tenant that wants the kind gets a
delivery, at least once, in no promised order; who is told twice knows it by the delivery's id. Knows nothing of HTTP
(agent/webhooks sends).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias, cast, get_args

from sqlalchemy import ColumnElement, CursorResult, Select, delete, insert, select, update
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.api_models import WebhookDeliveryRow, WebhookEndpointRow, WebhookPayloadRow
from agent.log.codec import clean_json
from agent.log.database import Database
from agent.log.sealing import WEBHOOK_BODY, WEBHOOK_SECRET, WEBHOOK_URL
from retrieval.errors import ChatalogueError, NotFound

WebhookKind: TypeAlias = Literal[
    "handoff.requested", "handoff.message", "handoff.note", "handoff.returned", "feedback.stored"
]
WEBHOOK_KINDS: Final[tuple[WebhookKind, ...]] = get_args(WebhookKind)

DeliveryState: TypeAlias = Literal["pending", "delivered", "dead", "erased"]

PAUSES_SECONDS: Final = (10, 60, 300, 1_800, 7_200, 21_600, 43_200)
"""After each attempt that failed; after the last of them a delivery is dead: the first day of an outage is survived."""
CLAIM_SECONDS: Final = 60
"""How long a delivery belongs to the process that sends it; one that dies meanwhile leaves it to the others."""
ENDED_DAYS: Final = 30
"""How long it is known how a delivery ended; of one that was given up the words are kept as long, for a second try."""


_NOT_OPENED: Final = "it cannot be opened with this server's keys"


class Enqueue(Protocol):
    """What those are given that cause events; `Outbox.enqueue` is one."""

    def __call__(
        self,
        tenant: str,
        kind: WebhookKind,
        payload: Mapping[str, Any],
        *,
        conversation_id: str | None = None,
        person_id: str | None = None,
    ) -> int:
        """How many addresses will be told; 0 where nobody wants it."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of a tenant; `secret` signs what goes there."""

    id: str
    tenant: str
    host: str
    kinds: tuple[WebhookKind, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class DueDelivery:
    """One delivery to be sent now, opened; without a repr, for it holds a secret and words of customers."""

    id: str
    tenant: str
    endpoint_id: str
    kind: str
    attempts: int
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery as an operator sees it: no words."""

    id: str
    endpoint_id: str
    host: str
    kind: str
    created_at: datetime
    state: DeliveryState
    attempts: int
    next_at: datetime
    last_problem: str | None


class Outbox:
    """The webhooks of one database. Synchronous; every public method but `add` is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what goes out ---

    def enqueue(
        self,
        tenant: str,
        kind: WebhookKind,
        payload: Mapping[str, Any],
        *,
        conversation_id: str | None = None,
        person_id: str | None = None,
    ) -> int:
        """See `Enqueue`; stored when this returns."""
        if not self._database.read(lambda session: _wanting(session, tenant, kind)):
            return 0  # the usual case, and one that takes no lock
        return self._database.write(
            lambda session: self.add(
                session, tenant, kind, payload, conversation_id=conversation_id, person_id=person_id
            )
        )

    def add(
        self,
        session: Session,
        tenant: str,
        kind: WebhookKind,
        payload: Mapping[str, Any],
        *,
        conversation_id: str | None = None,
        person_id: str | None = None,
    ) -> int:
        """`enqueue` inside a transaction of the caller's: both or neither is stored.

        `conversation_id` and `person_id` are what an erasure finds the words by: give what is known.
        """
        wanting, now = _wanting(session, tenant, kind), events.now()
        for endpoint_id in wanting:
            delivery_id = f"whd_{secrets.token_hex(12)}"
            body = {
                "id": delivery_id,
                "kind": kind,
                "tenant": tenant,
                "created_at": now.isoformat(),
                "data": clean_json(dict(payload)),
            }
            session.execute(
                insert(WebhookDeliveryRow).values(
                    id=delivery_id,
                    tenant=tenant,
                    endpoint_id=endpoint_id,
                    kind=kind,
                    created_at=now,
                    state="pending",
                    attempts=0,
                    next_at=now,
                    last_problem=None,
                    conversation_id=conversation_id,
                    person_id=person_id,
                )
            )
            plain = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            sealed = WEBHOOK_BODY.seal(session, plain, tenant, delivery_id)
            session.execute(
                insert(WebhookPayloadRow).values(delivery_id=delivery_id, tenant=tenant, sealed_body=sealed)
            )
        return len(wanting)

    # --- addresses ---

    def add_endpoint(self, tenant: str, url: str, host: str, secret: str, kinds: Sequence[WebhookKind]) -> Endpoint:
        """Tell `url` from now on; whoever calls has checked that it may be told."""
        found = Endpoint(f"wh_{secrets.token_hex(6)}", tenant, host, tuple(kinds), events.now())

        def work(session: Session) -> None:
            session.add(
                WebhookEndpointRow(
                    id=found.id,
                    tenant=tenant,
                    host=host,
                    sealed_url=WEBHOOK_URL.seal(session, url.encode(), tenant, found.id),
                    sealed_secret=WEBHOOK_SECRET.seal(session, secret.encode(), tenant, found.id),
                    kinds=list(kinds),
                    created_at=found.created_at,
                    removed_at=None,
                )
            )

        self._database.write(work)
        return found

    def endpoints(self, tenant: str) -> tuple[Endpoint, ...]:
        """Those that are told, the oldest first."""
        wanted = select(WebhookEndpointRow).where(_in_use(tenant)).order_by(WebhookEndpointRow.created_at)
        return self._database.read(lambda session: tuple(_endpoint(row) for row in session.scalars(wanted)))

    def remove_endpoint(self, tenant: str, endpoint_id: str) -> None:
        """Tell it nothing any more; its secret, its address and what was on its way are gone.

        Raises:
            NotFound: the tenant has none of this id.
        """
        self._database.write(lambda session: _remove(session, tenant, endpoint_id))

    # --- sending ---

    def claim(self, limit: int) -> list[DueDelivery]:
        """Up to `limit` deliveries whose time has come, ours for `CLAIM_SECONDS`."""
        if not self._database.read(lambda session: _due(session, 1)):
            return []  # the usual case, and one that takes no lock
        return self._database.write(lambda session: _claim(session, limit))

    def delivered(self, delivery: DueDelivery) -> None:
        """It arrived: its words are not needed any more."""
        self._database.write(lambda session: _end(session, delivery.id, "delivered", None))

    def failed(self, delivery: DueDelivery, problem: str) -> DeliveryState:
        """It did not arrive (`problem`: one short sentence without words of its own): later again, or dead now."""
        return self._database.write(lambda session: _failed(session, delivery.id, delivery.attempts, problem))

    # --- for operators ---

    def deliveries(self, tenant: str, state: DeliveryState = "dead", limit: int = 100) -> tuple[DeliveryView, ...]:
        """The newest of one state."""
        wanted = (
            select(WebhookDeliveryRow, WebhookEndpointRow.host)
            .join(WebhookEndpointRow, WebhookEndpointRow.id == WebhookDeliveryRow.endpoint_id)
            .where(WebhookDeliveryRow.tenant == tenant, WebhookDeliveryRow.state == state)
            .order_by(WebhookDeliveryRow.seq.desc())
            .limit(limit)
        )
        return self._database.read(lambda session: tuple(_view(row, host) for row, host in session.execute(wanted)))

    def retry(self, tenant: str, delivery_id: str) -> None:
        """Send a dead delivery again, from the first attempt on.

        Raises:
            NotFound: the tenant has no dead delivery of this id whose words are still there.
        """

        def work(session: Session) -> None:
            here = (WebhookDeliveryRow.id == delivery_id, WebhookDeliveryRow.tenant == tenant)
            found = session.scalar(
                select(WebhookDeliveryRow.id)
                .join(WebhookPayloadRow, WebhookPayloadRow.delivery_id == WebhookDeliveryRow.id)
                .where(*here, WebhookDeliveryRow.state == "dead")
            )
            if found is None:
                raise NotFound(f"There is no dead delivery {delivery_id!r}; `chatalogue webhooks dead` lists them.")
            _set(session, delivery_id, state="pending", attempts=0, next_at=events.now())

        self._database.write(work)

    def prune(self) -> int:
        """Delete deliveries that ended more than `ENDED_DAYS` days ago, with their words; how many there were."""
        before = events.now() - timedelta(days=ENDED_DAYS)
        ended = (WebhookDeliveryRow.state != "pending") & (WebhookDeliveryRow.next_at < before)
        return self._database.write(lambda session: _delete(session, ended))


def forget_conversation(session: Session, session_id: str) -> None:
    """Delete the words of what was to be told of a conversation; what was still on its way is not sent."""
    _forget(session, WebhookDeliveryRow.conversation_id == session_id)


def forget_person(session: Session, person_id: str) -> None:
    """Likewise of a person; the deliveries do not say any more whose they were."""
    _forget(session, WebhookDeliveryRow.person_id == person_id)
    session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.person_id == person_id)
        .values(person_id=None)
        .execution_options(synchronize_session=False)
    )


_Due: TypeAlias = Any
"""A row with id, tenant, endpoint_id, kind and attempts."""


def _due(session: Session, limit: int) -> Sequence[_Due]:
    row = WebhookDeliveryRow
    return session.execute(
        select(row.id, row.tenant, row.endpoint_id, row.kind, row.attempts)
        .where(row.state == "pending", row.next_at <= events.now())
        .order_by(row.next_at)
        .limit(limit)
    ).all()


def _claim(session: Session, limit: int) -> list[DueDelivery]:
    until = events.now() + timedelta(seconds=CLAIM_SECONDS)
    found: list[DueDelivery] = []
    for row in _due(session, limit):
        changed = session.execute(
            update(WebhookDeliveryRow)
            .where(
                WebhookDeliveryRow.id == row.id,
                WebhookDeliveryRow.state == "pending",
                WebhookDeliveryRow.attempts == row.attempts,  # whoever else saw it as due changes this first
            )
            .values(next_at=until, attempts=row.attempts + 1)
            .execution_options(synchronize_session=False)
        )
        if cast("CursorResult[Any]", changed).rowcount == 1:
            found += _opened_or_failed(session, row)
    return found


def _opened_or_failed(session: Session, row: _Due) -> list[DueDelivery]:
    """One that cannot be opened is a failure of its own: the others, of other tenants too, are sent."""
    try:
        return _opened(session, row)
    except (ChatalogueError, ValueError):  # another key, or what was sealed is damaged
        _failed(session, row.id, row.attempts + 1, _NOT_OPENED)
        return []


def _failed(session: Session, delivery_id: str, attempts: int, problem: str) -> DeliveryState:
    if attempts > len(PAUSES_SECONDS):
        _set(session, delivery_id, state="dead", last_problem=problem)
        return "dead"
    next_at = events.now() + timedelta(seconds=PAUSES_SECONDS[attempts - 1])
    _set(session, delivery_id, next_at=next_at, last_problem=problem)
    return "pending"


def _opened(session: Session, row: _Due) -> list[DueDelivery]:
    endpoint = session.get(WebhookEndpointRow, row.endpoint_id)
    payload = session.get(WebhookPayloadRow, row.id)
    if endpoint is None or endpoint.sealed_url is None or endpoint.sealed_secret is None or payload is None:
        _end(session, row.id, "erased", None)
        return []
    tenant = row.tenant
    return [
        DueDelivery(
            id=row.id,
            tenant=tenant,
            endpoint_id=endpoint.id,
            kind=row.kind,
            attempts=row.attempts + 1,
            url=WEBHOOK_URL.open(session, endpoint.sealed_url, tenant, endpoint.id).decode(),
            secret=WEBHOOK_SECRET.open(session, endpoint.sealed_secret, tenant, endpoint.id).decode(),
            body=WEBHOOK_BODY.open(session, payload.sealed_body, tenant, row.id),
        )
    ]


def _in_use(tenant: str) -> ColumnElement[bool]:
    return (WebhookEndpointRow.tenant == tenant) & WebhookEndpointRow.removed_at.is_(None)


def _wanting(session: Session, tenant: str, kind: str) -> list[str]:
    rows = session.execute(select(WebhookEndpointRow.id, WebhookEndpointRow.kinds).where(_in_use(tenant)))
    return [endpoint_id for endpoint_id, kinds in rows if kind in kinds]


def _endpoint(row: WebhookEndpointRow) -> Endpoint:
    return Endpoint(row.id, row.tenant, row.host, tuple(row.kinds), row.created_at)


def _view(row: WebhookDeliveryRow, host: str) -> DeliveryView:
    return DeliveryView(
        row.id,
        row.endpoint_id,
        host,
        row.kind,
        row.created_at,
        cast("DeliveryState", row.state),
        row.attempts,
        row.next_at,
        row.last_problem,
    )


def _remove(session: Session, tenant: str, endpoint_id: str) -> None:
    row = session.get(WebhookEndpointRow, endpoint_id)
    if row is None or row.tenant != tenant or row.removed_at is not None:
        raise NotFound(f"There is no webhook {endpoint_id!r}; `chatalogue webhooks list` lists them.")
    row.removed_at, row.sealed_url, row.sealed_secret = events.now(), None, None
    session.flush()
    _forget(session, WebhookDeliveryRow.endpoint_id == endpoint_id)


def _set(session: Session, delivery_id: str, **values: Any) -> None:  # noqa: ANN401 - columns of several kinds
    session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.id == delivery_id, WebhookDeliveryRow.state != "erased")
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _end(session: Session, delivery_id: str, state: DeliveryState, problem: str | None) -> None:
    _set(session, delivery_id, state=state, last_problem=problem)
    session.execute(delete(WebhookPayloadRow).where(WebhookPayloadRow.delivery_id == delivery_id))


def _forget(session: Session, which: ColumnElement[bool]) -> None:
    _delete_words(session, select(WebhookDeliveryRow.id).where(which))
    session.execute(
        update(WebhookDeliveryRow)
        .where(which, WebhookDeliveryRow.state.in_(("pending", "dead")))
        .values(state="erased")
        .execution_options(synchronize_session=False)
    )


def _delete(session: Session, which: ColumnElement[bool]) -> int:
    _delete_words(session, select(WebhookDeliveryRow.id).where(which))
    done = session.execute(delete(WebhookDeliveryRow).where(which).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", done).rowcount


def _delete_words(session: Session, deliveries: Select[str]) -> None:
    session.execute(
        delete(WebhookPayloadRow)
        .where(WebhookPayloadRow.delivery_id.in_(deliveries))
        .execution_options(synchronize_session=False)
    )
