"""Orders behind an HTTP API of the shop's own: an example that a shop implements or adapts.

    GET  {url}/orders/{id}           -> 200 the order as `_Order` | 404
    POST {url}/orders/{id}/changes   {"kind": "cancel" | "reinstate" | "return" | "withdraw" | "address",
                                      "seen": version, "item_ids"?: [...], "address"?, "country"?, "shipping"?: "3.90"}
         Idempotency-Key: <key>      -> 2xx made, or made before | 4xx not made

Only the host of `url` is ever called, over https unless it is this machine; redirects are not followed. A look-up is
tried again, and so is a change, with its key: the shop must make a key's change once. Knows nothing of conversations.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from agent.support.actions.orders import (
    Change,
    ChangeAddress,
    ChangeRefused,
    Order,
    OrderLine,
    OrderStatus,
    OrdersUnavailable,
    OutcomeUnknown,
    Return,
    Withdraw,
)
from retrieval.errors import SettingsError

TIMEOUT = httpx.Timeout(4.0, connect=2.0)
ATTEMPTS = 2
PAUSE_SECONDS = 0.3
MAX_BYTES = 256 * 1024
"""Of an answer; more is not read."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = frozenset({429, 502, 503, 504})
_NOBODY_KNOWS = frozenset({408, 500, 502, 504})
"""After a change: a server or a gateway that failed on the way may have made it all the same."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True)

    item_id: str
    title: str
    format: str = ""
    price: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    quantity: int = Field(1, ge=1)
    returning: int = Field(0, ge=0)


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    email: str
    status: OrderStatus
    country: str
    lines: tuple[_Line, ...] = Field(max_length=200)
    shipping: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    currency: str
    ordered: date
    delivery: str = "standard"
    payment: str = ""
    address: str = ""
    shipped: date | None = None
    delivered: date | None = None
    cancelled: date | None = None
    returned: date | None = None
    version: str

    def order(self) -> Order:
        """In our own form."""
        lines = tuple(OrderLine(**dict(line)) for line in self.lines)
        return Order(**{**dict(self), "lines": lines})


class HttpOrders:
    """Implements `agent.support.actions.orders.OrderConnector` over HTTP."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`token` goes as a bearer credential where it is not empty.

        Raises:
            SettingsError: the URL is none, or would send the credential in the open.
        """
        self._url = _checked(url)
        self._token = token
        self._sleep = sleep
        self._client = httpx.Client(
            transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False,
            limits=httpx.Limits(max_connections=8),
        )  # fmt: skip

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def look_up(self, order_id: str) -> Order | None:
        """See `OrderConnector.look_up`."""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(PAUSE_SECONDS)
            try:
                status, body = self._call("GET", self._place(order_id))
            except httpx.HTTPError:
                continue
            if status == 404:
                return None
            if status == 200:
                return _read(body, order_id)
            if status not in _PASSING and status != 500:
                break
        raise OrdersUnavailable("The order system gives no answer that can be used; check its address and credential.")

    def change(self, change: Change, key: str) -> None:
        """See `OrderConnector.change`."""
        body, uncertain = _body(change), False
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(PAUSE_SECONDS)
            try:
                status, _ = self._call("POST", f"{self._place(change.order_id)}/changes", body, key)
            except _NOT_SENT:
                continue
            except httpx.HTTPError:
                uncertain = True
                continue
            if 200 <= status < 300:
                return
            uncertain = uncertain or status in _NOBODY_KNOWS
            if status not in _PASSING | _NOBODY_KNOWS:
                break
        else:
            status = 0
        self._give_up(status, uncertain=uncertain)

    @staticmethod
    def _give_up(status: int, *, uncertain: bool) -> None:
        if uncertain:
            raise OutcomeUnknown("The order system did not say whether a change was made.")
        if 400 <= status < 500 and status not in (401, 403):
            raise ChangeRefused("The order system made no change.")
        raise OrdersUnavailable("The order system takes no changes; check its address and credential.")

    def _place(self, order_id: str) -> str:
        return f"{self._url}/orders/{quote(order_id, safe='')}"

    def _call(self, method: str, url: str, body: dict[str, object] | None = None, key: str = "") -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if token := self._token.get_secret_value():
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        with self._client.stream(method, url, json=body, headers=headers) as response:
            read = bytearray()
            for chunk in response.iter_bytes():
                read += chunk
                if len(read) > MAX_BYTES:
                    break
            return response.status_code, bytes(read[:MAX_BYTES])


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        ok = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.query)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        ok, host, parts = False, "", urlsplit("")
    if not ok:
        raise SettingsError("The setting 'support.orders.url' is no URL; write https://orders.example/api.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise SettingsError("The setting 'support.orders.url' would send customers' data in the open; write https://.")
    return url.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(body: bytes, order_id: str) -> Order:
    try:
        order = _Order.model_validate_json(body).order()
    except (ValidationError, ValueError):
        order = None
    if order is None or order.id != order_id:
        raise OrdersUnavailable("The order system sent an order in another form; see the connector's description.")
    return order


def _body(change: Change) -> dict[str, object]:
    told: dict[str, object] = {"kind": change.kind, "seen": change.seen}
    if isinstance(change, Return | Withdraw):
        told["item_ids"] = list(change.item_ids)
    if isinstance(change, ChangeAddress):
        told |= {"address": change.address, "country": change.country, "shipping": f"{change.shipping:.2f}"}
    return told
