"""Orders in a SQL database: the Reel Shop's, and an example that a shop with other tables adapts.

    orders = SqlOrders("sqlite:///var/demo/default-orders.sqlite3", title_of)

Each change is one transaction with its key in `shop_order_change`, which is unique: the same one again does nothing.
Money is kept as decimal text. Knows nothing of conversations and policies.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from sqlalchemy import (
    Column,
    Connection,
    CursorResult,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from agent.log import postgres
from agent.support.actions.orders import (
    Cancel,
    Change,
    ChangeAddress,
    ChangeRefused,
    Order,
    OrderLine,
    OrderStatus,
    OrdersUnavailable,
    OutcomeUnknown,
    Reinstate,
    Return,
    Withdraw,
)
from retrieval.errors import SettingsError

TIMEOUT_SECONDS = 5.0
"""For a connection, and for a lock that another one holds."""

TABLES = MetaData()
ORDERS = Table(
    "shop_order",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("shipping", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment", Text, nullable=False),
    Column("ordered", Date, nullable=False),
    Column("shipped", Date),
    Column("delivered", Date),
    Column("cancelled", Date),
    Column("returned", Date),
    Column("version", Integer, nullable=False),
)
LINES = Table(
    "shop_order_line",
    TABLES,
    Column("order_id", Text, ForeignKey("shop_order.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("item_id", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("price", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("going_back", Integer, nullable=False),
)
CHANGES = Table(
    "shop_order_change",
    TABLES,
    Column("key", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("shop_order.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


class SqlOrders:
    """Implements `agent.support.actions.orders.OrderConnector` over these tables."""

    def __init__(
        self,
        url: str,
        title_of: Callable[[str], str] = lambda item_id: item_id,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`title_of` names an item for people. Nothing is opened before the first use.

        Raises:
            SettingsError: the URL is none, or its driver is missing.
        """
        try:
            place = make_url(url)
            if place.drivername in postgres.SPELLINGS:
                place = postgres.read_url(place)
            sqlite = place.get_backend_name() == "sqlite"
            waits = {"timeout": TIMEOUT_SECONDS} if sqlite else {"connect_timeout": int(TIMEOUT_SECONDS)}
            # The parameters of a statement are customers' data: they must not reach tracebacks and logs.
            self._engine = create_engine(place, hide_parameters=True, connect_args=waits, pool_timeout=TIMEOUT_SECONDS)
        except (ArgumentError, ValueError, ModuleNotFoundError):
            raise SettingsError(
                "The setting 'support.orders.url' is not a database URL; write postgresql://user:password@host/database."
            ) from None
        self._title_of = title_of
        self._clock = clock

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def look_up(self, order_id: str) -> Order | None:
        """See `OrderConnector.look_up`."""
        try:
            with self._engine.connect() as connection:
                row = connection.execute(select(ORDERS).where(ORDERS.c.id == order_id)).one_or_none()
                lines = connection.execute(
                    select(LINES).where(LINES.c.order_id == order_id).order_by(LINES.c.position)
                ).all()
            return None if row is None else self._order(row, [self._line(line) for line in lines])
        except (SQLAlchemyError, InvalidOperation, ValueError) as error:
            raise OrdersUnavailable("The order database cannot be read; check that it runs.") from error

    def change(self, change: Change, key: str) -> None:
        """See `OrderConnector.change`."""
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as error:
            raise OrdersUnavailable("The order database cannot be reached; check that it runs.") from error
        with connection:
            transaction = connection.begin()
            try:
                if not self._claim(connection, change, key):
                    return  # made before
                self._make(connection, change)
            except SQLAlchemyError as error:
                raise OrdersUnavailable("The order database did not take a change; check that it runs.") from error
            try:
                transaction.commit()
            except DBAPIError as error:
                raise OutcomeUnknown("The order database did not say whether a change was stored.") from error

    def _claim(self, connection: Connection, change: Change, key: str) -> bool:
        """Insert the key first: that also takes SQLite's lock before anything is read."""
        if connection.execute(select(CHANGES.c.key).where(CHANGES.c.key == key)).one_or_none() is not None:
            return False
        row = {"key": key, "order_id": change.order_id, "kind": change.kind, "at": self._clock()}
        try:
            connection.execute(insert(CHANGES).values(row))
        except IntegrityError as error:
            connection.rollback()
            if connection.execute(select(CHANGES.c.key).where(CHANGES.c.key == key)).one_or_none() is not None:
                return False  # another process with the same key was faster
            raise ChangeRefused("The order database refuses to note the change.") from error
        return True

    def _make(self, connection: Connection, change: Change) -> None:
        today = self._clock().date()
        match change:
            case Cancel():
                self._set(connection, change, status="cancelled", cancelled=today)
            case Reinstate():
                self._set(connection, change, status="placed", cancelled=None)
            case ChangeAddress():
                shipping = f"{change.shipping:.2f}"
                self._set(connection, change, address=change.address, country=change.country, shipping=shipping)
            case Return() | Withdraw():
                self._set(connection, change)
                going = LINES.c.quantity if isinstance(change, Return) else 0
                these = LINES.c.order_id == change.order_id, LINES.c.item_id.in_(change.item_ids)
                connection.execute(update(LINES).where(*these).values(going_back=going))

    def _set(self, connection: Connection, change: Change, **values: str | date | None) -> None:
        """Where the order is still the one that was seen."""
        seen = ORDERS.c.id == change.order_id, ORDERS.c.version == int(change.seen)
        made = connection.execute(update(ORDERS).where(*seen).values(version=ORDERS.c.version + 1, **values))
        assert isinstance(made, CursorResult)  # noqa: S101 - narrows for mypy: an UPDATE gives no other
        if made.rowcount != 1:
            raise ChangeRefused("The order is no longer as it was.")

    def _order(self, row: Row[Any], lines: list[OrderLine]) -> Order:
        if row.status not in get_args(OrderStatus):
            raise ValueError("unknown status")
        days: dict[str, date | None] = {
            name: getattr(row, name) for name in ("shipped", "delivered", "cancelled", "returned")
        }
        return Order(
            id=row.id, email=row.email, status=row.status, country=row.country, lines=tuple(lines),
            shipping=Decimal(row.shipping), currency=row.currency, ordered=row.ordered, delivery=row.delivery,
            payment=row.payment, address=row.address, version=str(row.version), **days,
        )  # fmt: skip

    def _line(self, row: Row[Any]) -> OrderLine:
        return OrderLine(
            row.item_id, self._title_of(row.item_id), row.format, Decimal(row.price), row.quantity, row.going_back
        )
