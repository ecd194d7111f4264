"""Orders, the changes that can be made to them, and the protocol of a shop's order system.

    orders: OrderConnector = SqlOrders(...) | HttpOrders(...)
    order = orders.look_up("RS-10056")
    orders.change(Cancel("RS-10056", order.version), key="one key for one confirmed change")

Everything that a connector gives is data: shown after `clean`, never read for what to do. Knows nothing of
conversations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

from retrieval.errors import ChatalogueError
from retrieval.loading.clean import clean_line, truncate

OrderStatus: TypeAlias = Literal["placed", "packed", "shipped", "delivered", "cancelled", "returned"]
ChangeKind: TypeAlias = Literal["cancel", "reinstate", "return", "withdraw", "address"]

MAX_TITLE_CHARS = 120
MAX_ADDRESS_CHARS = 240
_MARKUP = str.maketrans({"[": "(", "]": ")", "<": "‹", ">": "›", "`": "'", "*": "", "_": " ", "|": "/", "#": ""})
"""What would make a link, a picture, a tag or a heading of an order's field on a page that draws Markdown."""


def clean(text: str, limit: int = MAX_TITLE_CHARS) -> str:
    """A field of an order, fit to be shown: one line without hidden characters, markup and links, cut at `limit`."""
    line = clean_line(text).translate(_MARKUP).replace("://", " ")
    return truncate(" ".join(line.split()), limit)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One film of an order; `price` of one piece. `returning` pieces of it are on their way back."""

    item_id: str
    title: str
    format: str
    price: Decimal
    quantity: int = 1
    returning: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the shop's system has it now; `version` changes whenever anything of it does.

    `address` is "" where the system does not tell it; `country` is an ISO 3166 code. Days are the shop's.
    """

    id: str
    email: str = field(repr=False)
    status: OrderStatus
    country: str
    lines: tuple[OrderLine, ...]
    shipping: Decimal
    currency: str
    ordered: date
    delivery: str = "standard"
    payment: str = ""
    address: str = field(default="", repr=False)
    shipped: date | None = None
    delivered: date | None = None
    cancelled: date | None = None
    returned: date | None = None
    version: str = ""

    @property
    def subtotal(self) -> Decimal:
        """What its films cost."""
        return sum((line.price * line.quantity for line in self.lines), Decimal("0.00"))

    @property
    def total(self) -> Decimal:
        """What its films and the delivery cost."""
        return self.subtotal + self.shipping

    @property
    def is_going_back(self) -> bool:
        """Whether a return of some of it was asked for and has not arrived."""
        return self.status == "delivered" and any(line.returning for line in self.lines)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Do not send the order; `seen` is the version that the customer was told of, as in every change."""

    order_id: str
    seen: str
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Reinstate:
    """Take a cancellation back."""

    order_id: str
    seen: str
    kind: Literal["reinstate"] = "reinstate"


@dataclass(frozen=True, slots=True)
class Return:
    """Take these lines back, each with all its pieces; `item_ids` are never empty."""

    order_id: str
    seen: str
    item_ids: tuple[str, ...]
    kind: Literal["return"] = "return"


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget the return of these lines, which has not been sent."""

    order_id: str
    seen: str
    item_ids: tuple[str, ...]
    kind: Literal["withdraw"] = "withdraw"


@dataclass(frozen=True, slots=True)
class ChangeAddress:
    """Send the order there instead, for that delivery charge."""

    order_id: str
    seen: str
    address: str = field(repr=False)
    country: str
    shipping: Decimal
    kind: Literal["address"] = "address"


Change: TypeAlias = Cancel | Reinstate | Return | Withdraw | ChangeAddress


class OrdersError(ChatalogueError):
    """Base of what goes wrong with a shop's order system."""


class OrdersUnavailable(OrdersError):
    """The system does not answer, or not in its form; nothing was changed. The customer is told to come again."""


class OutcomeUnknown(OrdersError):
    """A change was sent and no answer came: it may have been made or not. Look it up before anything else."""


class ChangeRefused(OrdersError):
    """The system made no change: by its own rules, or because the order is no longer the one that was `seen`."""


class OrderConnector(Protocol):
    """A shop's order system. Synchronous: called in a thread; every call ends within seconds."""

    def look_up(self, order_id: str) -> Order | None:
        """The order; None where there is none of that number.

        Raises:
            OrdersUnavailable: nobody knows.
        """
        ...

    def change(self, change: Change, key: str) -> None:
        """Make a change that a customer has confirmed: once for a `key`, however often it is asked for.

        Raises:
            ChangeRefused: nothing was changed, for a reason.
            OrdersUnavailable: nothing was changed, the system is down.
            OutcomeUnknown: it may have been changed.
        """
        ...


def is_made(change: Change, order: Order) -> bool:
    """Whether the order looks as the change wanted it: what became of one whose outcome is unknown."""
    match change:
        case Cancel():
            return order.status == "cancelled"
        case Reinstate():
            return order.status != "cancelled"
        case Return(item_ids=ids):
            return order.status == "returned" or all(line.returning for line in lines_of(order, ids))
        case Withdraw(item_ids=ids):
            return not any(line.returning for line in lines_of(order, ids))
        case ChangeAddress():
            return (order.address, order.country) == (change.address, change.country)


def lines_of(order: Order, item_ids: Sequence[str]) -> tuple[OrderLine, ...]:
    """The lines with these items, in the order's order."""
    return tuple(line for line in order.lines if line.item_id in item_ids)
