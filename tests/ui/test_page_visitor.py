from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from ui.page.visitor import COOKIE, PageHeaders, new_visitor_id, user_of, visitor_id


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.get("/")(lambda: HTMLResponse("<p>page"))
    app.get("/data")(lambda: {"a": 1})
    app.add_middleware(PageHeaders, root_path="/shop")
    return app


def test_the_first_page_gives_an_id_that_scripts_and_other_sites_cannot_use(app: FastAPI) -> None:
    answer = TestClient(app).get("/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/shop"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert visitor_id(cookie.partition(";")[0]) is not None
    assert "no-store" in answer.headers["cache-control"]


def test_it_is_secure_behind_tls(app: FastAPI) -> None:
    assert "Secure" in TestClient(app).get("/", headers={"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_a_known_browser_keeps_its_id(app: FastAPI) -> None:
    answer = TestClient(app).get("/", headers={"cookie": f"other=1; {COOKIE}={new_visitor_id()}"})
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["", "x", "admin", "a" * 44, "a" * 42 + "/"])
def test_an_id_that_we_never_made_is_replaced(app: FastAPI, value: str) -> None:
    assert visitor_id(f"{COOKIE}={value}") is None
    assert "set-cookie" in TestClient(app).get("/", headers={"cookie": f"{COOKIE}={value}"}).headers


def test_data_is_left_alone(app: FastAPI) -> None:
    headers = TestClient(app).get("/data").headers
    assert "set-cookie" not in headers


def test_the_log_never_sees_the_id() -> None:
    visitor = new_visitor_id()
    assert visitor not in user_of(visitor)
    assert user_of(visitor) == user_of(visitor) != user_of(new_visitor_id())
    assert user_of(visitor).startswith("visitor:")


def test_broken_cookie_headers_are_no_visitor() -> None:
    assert visitor_id('a="\x00; =;;;') is None
