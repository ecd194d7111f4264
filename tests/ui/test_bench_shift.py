"""The shift's checks can fail: each kind of expectation is broken once by a door that says what it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.bench.shift.script import Shift, Step, Talk, read_shift
from agent.bench.shift.working import ShiftRecord, work
from agent.log.records import ConversationStatus
from retrieval.errors import BadRequest, ChatalogueError
from ui.bench.render_shift import shift_lines


class Door:
    """Answers everything with one reply and object; `status` is who has the talk."""

    def __init__(self, reply: str = "", told: Mapping[str, Any] | None = None) -> None:
        self.reply, self.told = reply, told or {}
        self.deeds: list[tuple[str, str, str]] = []

    def say(self, session: str | None, text: str) -> tuple[str, str, Mapping[str, Any]]:
        if text == "break":
            raise ChatalogueError("POST was answered with 500")
        return session or "s_1", self.reply, self.told

    def press(self, session: str | None) -> tuple[str, str]:
        return session or "s_1", self.reply

    def team(self, session: str, deed: str, text: str) -> None:
        self.deeds.append((session, deed, text))

    def status(self, session: str) -> ConversationStatus:
        return "bot"


def held(door: Door, *steps: Step, orders: list[dict[str, str]] | None = None, **changed: str) -> ShiftRecord:
    states = iter(orders or [{}, {}])
    talk = Talk(name="a talk", kind="test", steps=steps, changed=changed)
    return work(Shift(talks=(talk,)), door, lambda: next(states), "off", lambda _: None)


ITEM = {"title": "Heat", "attributes": {"genre": ["Crime"], "year": 1995}}


@pytest.mark.parametrize(
    ("step", "told", "reply", "unmet"),
    [
        (Step(say="x", action="answer"), {"action": "chat"}, "", "the action is 'chat'"),
        (Step(say="x", has=("30 days",)), {}, "20 days", "lacks '30 days'"),
        (Step(say="x", lacks=("secret",)), {}, "the SECRET", "has 'secret'"),
        (Step(say="x", cites="Returns"), {"citations": [{"title": "Delivery"}]}, "", "no citation of 'Returns'"),
        (Step(say="x", silent=True), {}, "hello", "must be empty"),
        (Step(say="x", status="waiting"), {}, "", "must be with 'waiting'"),
        (Step(say="x", offers=("genre", "comedy")), {"items": [ITEM]}, "", "'Heat' is not of genre 'comedy'"),
        (Step(say="x", offers=("genre", "comedy")), {"items": []}, "", "no item is offered"),
    ],
)
def test_each_expectation_can_fail(step: Step, told: dict[str, Any], reply: str, unmet: str) -> None:
    record = held(Door(reply, told), step)
    assert record.expectations_failed == 1
    assert unmet in record.talks[0].steps[0].failed[0]
    assert any(unmet in line for line in shift_lines(record.model_dump(mode="json")))


def test_what_is_met_passes() -> None:
    told = {"action": "recommend", "items": [ITEM], "citations": [{"title": "Returns: 30 days"}]}
    step = Step(say="x", action="recommend", has=("heat",), lacks=("cold",), cites="returns", offers=("genre", "crime"))
    door = Door("1. HEAT", told)
    record = held(door, step, Step(team="reply", say="hi", status="bot"), Step(press=True))
    assert record.talks[0].passed
    assert door.deeds == [("s_1", "reply", "hi")]


@pytest.mark.parametrize(
    ("before", "after", "changed", "unmet"),
    [
        ("placed", "cancelled", {}, "nobody asked for it"),
        ("placed", "placed", {"a": "cancelled"}, "was not changed"),
        ("placed", "returned", {"a": "cancelled"}, "must be 'cancelled'"),
        ("placed", "cancelled", {"a": "cancelled"}, ""),
    ],
)
def test_orders_change_as_asked_and_not_else(before: str, after: str, changed: dict[str, str], unmet: str) -> None:
    record = held(Door(), Step(say="x"), orders=[{"a": before}, {"a": after}], **changed)
    assert [unmet in sentence for sentence in record.talks[0].failed] == ([True] if unmet else [])


def test_an_error_fails_its_talk_and_not_the_shift() -> None:
    shift = Shift(talks=tuple(Talk(name=say, kind="test", steps=(Step(say=say),)) for say in ("break", "x")))
    record = work(shift, Door(), dict, "off", lambda _: None)
    assert [talk.passed for talk in record.talks] == [False, True]


def test_the_shipped_shift_has_what_was_asked_for() -> None:
    shift = read_shift()
    kinds = {talk.kind for talk in shift.talks}
    assert len(shift.talks) == 20
    assert {"delivery", "return", "angry customer", "out of scope", "order change", "handoff and return"} < kinds
    assert "injection attempt" in kinds


def test_a_script_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "shift.toml"
    file.write_text('[[talks]]\nname = "a"\nkind = "b"\nsteps = [{ has = ["x"] }]\n', encoding="utf-8")
    with pytest.raises(BadRequest, match="a step needs say, press or team"):
        read_shift(file)
