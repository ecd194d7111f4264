"""The OpenAPI document is complete: names, words, examples that fit, every error with its body, links that lead on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from real_shop import KEY, real_app

from agent.log.store import EventLog
from agent.shop import Shop

COMMON = {"400", "401", "403", "408", "413", "421", "429", "500", "503", "504"}
"""What the border and what happens to every server may answer, whatever was asked under /v1."""


@pytest.fixture(scope="module")
def document(film_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    log = EventLog.open(None, folder)
    yield real_app(film_shop, log, folder, KEY).openapi()
    log.close()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names))
    assert {"createCompletion", "recordFeedback", "eraseUser", "takeHandoff"} <= set(names)
    for path, method, one in operations(document):
        assert one["description"], (path, method)
        assert set(one["tags"]) <= tags, (path, method)
        for parameter in one.get("parameters", ()):
            assert parameter["schema"], (path, parameter["name"])
        assert all(part["description"] for part in one["responses"].values()), (path, method)


def test_every_answer_has_its_status_and_its_body(document: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        assert all("x-request-id" in part["headers"] for part in one["responses"].values()), (path, method)
        if not path.startswith("/v1"):
            continue
        assert one["responses"].keys() >= COMMON | {"200"}, (path, method)
        assert "422" not in one["responses"]
        assert "409" in one["responses"] or method != "post"
        assert one["security"] == [{"HTTPBearer": []}]
        assert "Retry-After" in one["responses"]["429"]["headers"]
        for status, part in one["responses"].items():
            content = part["content"]["application/json"]
            if status != "200":
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}, (path, status)
                check(document, content["schema"], content["example"])


def test_every_request_has_examples_that_fit(document: dict[str, Any]) -> None:
    bodies = [
        one["requestBody"]["content"]["application/json"] for *_, one in operations(document) if "requestBody" in one
    ]
    assert len(bodies) >= 5
    for name in (
        "ChatRequest",
        "FeedbackRequest",
        "EventRequest",
        "PreferencesEdit",
        "ConsentEdit",
        "RatingRequest",
        "RasaMessage",
    ):
        schema = document["components"]["schemas"][name]
        assert schema["examples"]
        for example in schema["examples"]:
            check(document, {"$ref": f"#/components/schemas/{name}"}, example)


def test_what_does_not_fit_is_said(document: dict[str, Any]) -> None:
    for name, body in (
        ("FeedbackRequest", {"turn_id": "t", "kind": "withdraw"}),
        ("FeedbackRequest", {"turn_id": "t", "kind": "accept", "of": "accept"}),
        ("PreferencesEdit", {"add": [{"op": "about", "attribute": "genre", "value": "x"}]}),
        ("PreferencesEdit", {"add": [{"op": "lt", "attribute": "price", "value": ["1", 2]}]}),
        ("EventRequest", {"kind": "buy", "value": "12"}),
        ("ChatRequest", {"model": "gpt-4", "messages": [{"role": "user", "content": "x"}]}),
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(document, {"$ref": f"#/components/schemas/{name}"}, body)


def test_links_lead_to_operations(document: dict[str, Any]) -> None:
    known = {one["operationId"] for *_, one in operations(document)}
    links = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["links"]
    assert {link["operationId"] for link in links.values()} <= known
    assert len(links) == 4


def check(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)
