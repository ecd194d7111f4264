"""The HTTP connector: what it sends and to whom, what it tries again, and what it makes of every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from agent.support.actions.http import ATTEMPTS, MAX_BYTES, HttpOrders
from agent.support.actions.orders import (
    Cancel,
    ChangeAddress,
    ChangeRefused,
    OrdersUnavailable,
    OutcomeUnknown,
    Return,
)
from retrieval.errors import SettingsError

URL = "https://orders.example/api"
ORDER = {
    "id": "RS-1", "email": "a@example.com", "status": "placed", "country": "DE", "shipping": "3.90", "currency": "EUR",
    "ordered": "2026-11-22", "version": "v7", "unknown": "ignored",
    "lines": [{"item_id": "a", "title": "Alien", "format": "DVD", "price": "9.90", "quantity": 2}],
}  # fmt: skip
Answer = httpx.Response | Exception


class Shop:
    """Answers as the script says, the last answer again and again; keeps what it was asked."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


def connector(*script: Answer, url: str = URL) -> tuple[HttpOrders, Shop]:
    shop = Shop(*script)
    return HttpOrders(url, SecretStr("secret-token"), httpx.MockTransport(shop), sleep=lambda _: None), shop


def status(code: int, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers=headers)


def test_an_order_is_read_with_exact_money() -> None:
    orders, shop = connector(httpx.Response(200, json=ORDER))
    order = orders.look_up("RS-1")
    assert order is not None
    assert (order.total, order.version, order.lines[0].title) == (Decimal("23.70"), "v7", "Alien")
    (asked,) = shop.asked
    assert str(asked.url) == f"{URL}/orders/RS-1"
    assert asked.headers["authorization"] == "Bearer secret-token"
    assert connector(status(404))[0].look_up("RS-1") is None


@pytest.mark.parametrize("order_id", ["../../admin", "x?y=1", "a/b", "x#y", "http://evil.example"])
def test_an_order_number_is_one_piece_of_the_path(order_id: str) -> None:
    orders, shop = connector(status(404))
    assert orders.look_up(order_id) is None
    (asked,) = shop.asked
    assert asked.url.host == "orders.example"
    assert asked.url.raw_path.decode().startswith("/api/orders/")
    assert asked.url.raw_path.count(b"/") == 3
    assert not asked.url.query


@pytest.mark.parametrize("passing", [httpx.ReadTimeout("slow"), httpx.ConnectError("down"), status(503), status(500)])
def test_a_look_up_is_tried_again(passing: Answer) -> None:
    orders, shop = connector(passing, httpx.Response(200, json=ORDER))
    assert orders.look_up("RS-1") is not None
    assert len(shop.asked) == 2
    orders, shop = connector(passing)
    with pytest.raises(OrdersUnavailable):
        orders.look_up("RS-1")
    assert len(shop.asked) == ATTEMPTS


@pytest.mark.parametrize(
    "broken",
    [b"", b"[]", b"{}", json.dumps({**ORDER, "id": "RS-2"}).encode(), json.dumps({**ORDER, "status": "?"}).encode(),
     json.dumps({**ORDER, "shipping": "1.234"}).encode(), json.dumps({**ORDER, "shipping": "NaN"}).encode(),
     json.dumps({**ORDER, "payment": "x" * MAX_BYTES}).encode()],
)  # fmt: skip
def test_an_answer_in_another_form_is_no_order(broken: bytes) -> None:
    with pytest.raises(OrdersUnavailable):
        connector(httpx.Response(200, content=broken))[0].look_up("RS-1")


def test_nobody_is_sent_elsewhere() -> None:
    orders, shop = connector(status(302, Location="http://evil.example/steal"))
    with pytest.raises(OrdersUnavailable):
        orders.look_up("RS-1")
    with pytest.raises(OrdersUnavailable):
        orders.change(Cancel("RS-1", "v7"), "k")
    assert {asked.url.host for asked in shop.asked} == {"orders.example"}


def test_a_change_goes_with_its_key_each_time() -> None:
    orders, shop = connector(httpx.ReadTimeout("slow"), status(200))
    orders.change(ChangeAddress("RS-1", "v7", "x 1, y", "FR", Decimal("5.9")), "key-1")
    assert [asked.headers["idempotency-key"] for asked in shop.asked] == ["key-1", "key-1"]
    told = json.loads(shop.asked[0].content)
    assert told == {"kind": "address", "seen": "v7", "address": "x 1, y", "country": "FR", "shipping": "5.90"}
    orders, shop = connector(status(204))
    orders.change(Return("RS-1", "v7", ("a", "b")), "key-2")
    assert json.loads(shop.asked[0].content) == {"kind": "return", "seen": "v7", "item_ids": ["a", "b"]}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([httpx.ConnectError("down")], OrdersUnavailable),
        ([status(503)], OrdersUnavailable),
        ([status(401)], OrdersUnavailable),
        ([status(409)], ChangeRefused),
        ([status(412)], ChangeRefused),
        ([httpx.ReadTimeout("slow")], OutcomeUnknown),
        ([httpx.RemoteProtocolError("cut")], OutcomeUnknown),
        ([status(502)], OutcomeUnknown),
        ([httpx.ReadTimeout("slow"), status(409)], OutcomeUnknown),
        ([httpx.ReadTimeout("slow"), httpx.ConnectError("down")], OutcomeUnknown),
        ([status(504), status(503)], OutcomeUnknown),
        ([httpx.ConnectError("down"), status(409)], ChangeRefused),
    ],
)
def test_what_is_known_of_a_change(script: list[Answer], error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        connector(*script)[0].change(Cancel("RS-1", "v7"), "k")
    assert "RS-1" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["", "orders.example", "ftp://orders.example", "http://orders.example", "https://user:pw@orders.example",
            "https://orders.example?x=1", "http://127.0.0.1.evil.example", "https://orders.example:port"],
)  # fmt: skip
def test_an_address_that_would_give_the_credential_away_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"support\.orders\.url"):
        connector(status(200), url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://localhost/api", "http://[::1]:80"])
def test_this_machine_needs_no_tls(url: str) -> None:
    assert connector(status(404), url=url)[0].look_up("RS-1") is None


def test_the_credential_is_in_no_representation() -> None:
    make: Callable[[], tuple[HttpOrders, Shop]] = lambda: connector(status(404))  # noqa: E731
    assert "secret-token" not in repr(vars(make()[0]))
