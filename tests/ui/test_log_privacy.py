"""Nothing that people send stands in a log line, whatever route it comes by and whatever goes wrong with it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from wired_shop import served, use_word_encoder

from agent.observe.masking import for_logs
from agent.settings import TelemetrySettings
from ui.logs import OUR_ROOMS, configure_logs

PERSONAL = {
    "mail": "anna.karenina@private.example",
    "phone": "+49 171 2345678",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "key": "sk-4f9d2c7be1a83056aa77",
    "name": "Xenophonverysecret",
}
TOLD = ", ".join(PERSONAL.values())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loggers are put back afterwards."""
    use_word_encoder(monkeypatch)
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in OUR_ROOMS]
    before = root.handlers[:], root.level, [one.level for one in loggers]
    yield
    root.handlers[:], levels = before[0], before[2]
    root.setLevel(before[1])
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)
    structlog.reset_defaults()


def example(schema: dict[str, Any], whole: dict[str, Any], depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """A body in which every string is personal data; of choices the first."""
    if "$ref" in schema:
        return example(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole, depth + 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], whole, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return {name: example(one, whole, depth + 1) for name, one in schema.get("properties", {}).items()} | (
            {PERSONAL["mail"]: TOLD} if "additionalProperties" in schema and depth < 9 else {}
        )
    if kind == "array":
        return [example(schema.get("items", {}), whole, depth + 1)]
    return {"integer": 1, "number": 1.0, "boolean": False}.get(str(kind), TOLD)


def hits(said: str) -> list[str]:
    """Which of it is in the log: whole, percent-coded, or in part."""
    plain = said.replace("\\u00a0", " ")
    pieces = {name: [value, quote(value), value.replace(" ", "")] for name, value in PERSONAL.items()}
    pieces["mail"].append("karenina")
    pieces["card"].append("1111 1111")
    pieces["iban"].append("3704 0044")
    return [name for name, written in pieces.items() if any(one in plain for one in written)]


def test_no_route_writes_what_was_sent_into_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> int:
        asked = 0
        async with served(tmp_path) as (http, parts):
            configure_logs(logging.DEBUG)
            schema = (await http.get("/openapi.json")).json()
            started = await http.post("/v1/chat/completions", json=message(f"a western, {TOLD}"))
            ours = started.json()["chatalogue"]
            real = {"session_id": ours["session_id"], "turn_id": ours["turn_id"], "model_id": "chatalogue"}
            for path, methods in schema["paths"].items():
                for method, route in methods.items():
                    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
                    for ids in (real, {}):
                        filled = path
                        for part in [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]:
                            filled = filled.replace(f"{{{part}}}", ids.get(part, quote(TOLD, safe="")))
                        sent = {"json": example(body, schema)} if body else {}
                        answer = await http.request(method, f"{filled}?q={quote(TOLD)}", **sent)
                        asked += answer.status_code < 500
            for broken in (b"{", f'{{"x": "{TOLD}"'.encode(), TOLD.encode()):
                await http.post("/v1/chat/completions", content=broken, headers={"content-type": "application/json"})
            await http.post("/v1/chat/completions", json=message(f"{TOLD} ") | {"stream": True})
            parts.shops._shops.clear()  # a shop that vanished: the way of errors
            await http.post("/v1/chat/completions", json=message(TOLD), headers={"Authorization": f"Bearer {TOLD}"})
        return asked

    asked = asyncio.run(run())
    said = capfd.readouterr()
    assert asked > 30
    assert len([line for line in said.err.splitlines() if '"request"' in line]) > 30, "the log was written at all"
    assert hits(said.out + said.err) == []


def message(text: str) -> dict[str, Any]:
    return {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "user": PERSONAL["mail"]}


def test_with_text_in_the_log_what_names_a_person_is_masked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with served(tmp_path, telemetry=TelemetrySettings(log_text=True)) as (http, _parts):
            configure_logs(logging.DEBUG, log_text=True)
            await http.post("/v1/chat/completions", json=message(f"a western about boats, {TOLD}"))

    asyncio.run(run())
    said = capfd.readouterr().err
    assert "a western about boats" in said
    assert hits(said) == ["name"], "names that are merely said stay, which is why the setting is off"


def test_keys_and_numbers_go_and_words_stay() -> None:
    assert for_logs(f"a western, {TOLD}").split()[:2] == ["a", "western,"]
    assert hits(for_logs(TOLD)) == ["name"]
    said = for_logs("my name is Anna Karenina, and I like 2001 and Se7en for 12.90")
    assert said.endswith("and I like 2001 and Se7en for 12.90")
    assert "Anna" not in said
    assert json.dumps(for_logs("short-id-7 stays")) == '"short-id-7 stays"'
