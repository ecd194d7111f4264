"""The state machine of handoffs under random orders, repeats and delays."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answer import HandoffReason
from agent.support.handoff.machine import BEGINNING, Effect, HandoffState, Happening, Kind, refusal, step

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
AGENTS: Final = ("key:a", "key:b")


@st.composite
def schedules(draw: st.DrawFn) -> list[tuple[Kind, str, str, tuple[int, ...], bool]]:
    """What happens: kind, reason, who, after how many others it is told each time, whether it is numbered."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(KINDS),
                st.sampled_from(get_args(HandoffReason)),
                st.sampled_from(AGENTS),
                st.lists(st.integers(0, 6), min_size=1, max_size=3).map(tuple),
                st.booleans(),
            ),
            max_size=30,
        )
    )


class World:
    """Tells the machine what happens, in the order in which it arrives, and keeps what came of it."""

    def __init__(self) -> None:
        self.state: HandoffState = BEGINNING
        self.effects: Counter[tuple[int, Effect]] = Counter()
        self.answered_while_people_had_it = 0
        self.notice_owed = False

    def tell(self, event: Happening) -> tuple[Effect, ...]:
        before = self.state
        after, effects = step(before, event)
        self._check(before, after, event, effects)
        self.state = after
        self.effects.update((after.number, effect) for effect in effects)
        return effects

    def _check(self, before: HandoffState, after: HandoffState, event: Happening, effects: tuple[Effect, ...]) -> None:
        assert (after == before) or after.version == before.version + 1
        if after != before:
            assert event.name not in before.names
        if event.kind == "said":  # silence exactly while people have it, and it changes nothing about who does
            assert ("silence" in effects) == (before.phase != "bot")
            assert after.phase == before.phase
            if before.phase == "bot" and self.notice_owed and event.name not in before.names:
                assert effects == ("notice_of_return",)
        else:
            assert "silence" not in effects
        begins = after.number > before.number
        assert begins == ("closing_line" in effects) == ("private_note" in effects)
        assert after.number - before.number in (0, 1)
        if begins:
            assert before.phase == "bot"
            assert ("notice_of_return" in effects) == self.notice_owed  # both are told with the closing line
        if "notice_of_return" in effects:
            assert self.notice_owed  # never without an end before it, never twice
            self.notice_owed = False
        if before.phase != "bot" and after.phase == "bot":
            assert event.kind in ("returned", "closed", "withdrawn")
            assert event.number in (None, before.number)
            self.notice_owed = True
        if before.phase == "human" and after.phase != "human":
            assert event.kind in ("returned", "closed")  # the customer takes back only what waits
        assert after.notice_due == self.notice_owed


def arrivals(schedule: list[tuple[Kind, str, str, tuple[int, ...], bool]]) -> list[tuple[int, Happening, bool]]:
    """Every telling of every happening by the moment at which it arrives; who sent it saw the number at its own."""
    told = [
        (place + delay, Happening(kind, f"n{place}", None, reason, who), numbered)  # type: ignore[arg-type]
        for place, (kind, reason, who, delays, numbered) in enumerate(schedule)
        for delay in delays
    ]
    return sorted(told, key=lambda one: one[0])


@settings(max_examples=300, deadline=None)
@given(schedules())
def test_no_order_no_repeat_and_no_delay_breaks_it(
    schedule: list[tuple[Kind, str, str, tuple[int, ...], bool]],
) -> None:
    world = World()
    seen: dict[str, int] = {}
    for place, event, numbered in arrivals(schedule):
        begins = event.kind in ("asked", "taken_over")
        number = seen.setdefault(event.name, world.state.number + (begins and world.state.phase == "bot"))
        world.tell(replace(event, number=number) if numbered and number else event)
        assert place >= 0
    for number in range(1, world.state.number + 1):
        assert world.effects[number, "closing_line"] == 1
        assert world.effects[number, "private_note"] == 1
    # Whatever happened: the team can give it back, the bot speaks again, says so once, and goes on speaking.
    if world.state.phase != "bot":
        assert world.tell(Happening("said", "waiting")) == ("silence",)
        world.tell(Happening("returned", "back", world.state.number, by="key:c"))
    assert world.state.phase == "bot"
    owed = world.notice_owed
    assert world.tell(Happening("said", "first")) == (("notice_of_return",) if owed else ())
    assert world.tell(Happening("said", "second")) == ()
    # And it can be handed over anew.
    assert "closing_line" in world.tell(Happening("asked", "again", reason="asked"))
    assert world.tell(Happening("said", "third")) == ("silence",)


def test_what_comes_late_is_told_to_be_stale() -> None:
    state, _ = step(BEGINNING, Happening("asked", "1", reason="asked"))
    late = Happening("returned", "2", number=1)
    state, _ = step(state, late)
    state, _ = step(state, Happening("asked", "3", reason="button"))
    assert (state.phase, state.number) == ("waiting", 2)
    after, effects = step(state, Happening("returned", "4", number=1))
    assert (after, effects) == (state, ())
    assert refusal(state, Happening("returned", "4", number=1)) == "stale"
    assert refusal(state, late) is None  # told before: done, and no error
    assert step(state, Happening("asked", "5", number=1, reason="button"))[0] == state


def test_one_of_the_team_takes_it_and_another_one_is_told() -> None:
    state, _ = step(BEGINNING, Happening("asked", "1", reason="asked"))
    state, _ = step(state, Happening("taken", "2", by="key:a"))
    assert (state.phase, state.holder) == ("human", "key:a")
    assert refusal(state, Happening("taken", "3", by="key:b")) == "held_by_another"
    assert refusal(state, Happening("taken", "4", by="key:a")) is None
    assert refusal(state, Happening("taken_over", "5", by="key:b")) == "held"
    assert refusal(state, Happening("withdrawn", "6")) == "held"
    replied, effects = step(state, Happening("replied", "7", by="key:b"))
    assert (replied.phase, replied.holder, effects) == ("human", "key:a", ())


def test_the_bot_keeps_what_nobody_handed_over() -> None:
    for kind in ("taken", "replied", "noted", "returned", "closed", "withdrawn", "contact"):
        event = Happening(kind, "1", by="key:a")
        assert step(BEGINNING, event) == (BEGINNING, ())
        assert refusal(BEGINNING, event) == "not_handed_over"
    state, effects = step(BEGINNING, Happening("taken_over", "2", by="key:a"))
    assert (state.phase, state.reason, effects) == ("human", "agent", ("closing_line", "private_note"))
