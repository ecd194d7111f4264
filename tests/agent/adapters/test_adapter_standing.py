"""What the moves come to: one champion at every moment, and conversations that stay where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.standing import Canary, Standing, is_canarys, standing_after
from agent.log.adapters import Move, MoveKind

A, B, C = "ada-000001", "ada-000002", "ada-000003"
SESSIONS = [f"s_{n}" for n in range(4_000)]


def after(*moves: tuple[MoveKind, str | None]) -> Standing:
    return standing_after(
        Move(kind, adapter, share=0.2 if kind == "canary" else 0.0, version=n, after_turn=10 * n)
        for n, (kind, adapter) in enumerate(moves, 1)
    )


def test_the_adapter_of_the_settings_is_the_first_champion() -> None:
    now = after(("begun", A))
    assert (now.champion, now.canary, now.before, now.version) == (None, None, (), 1)
    assert now.state_of(A, passed=True) == "candidate"
    assert now.state_of(B, passed=False) == "rejected"


def test_a_whole_life() -> None:
    now = after(("begun", A), ("canary", A))
    assert now.canary == Canary(A, 0.2, 2, 20)
    assert now.state_of(A, passed=True) == "canary"
    now = after(("canary", A), ("promoted", A), ("promoted", B), ("canary", C))
    assert (now.champion, now.before, now.canary is not None) == (B, (None, A), True)
    assert now.states == {A: "retired", B: "champion", C: "canary"}
    assert now.in_use == {A, B, C}


def test_a_canary_ends_with_what_it_was_compared_to() -> None:
    for last in (("promoted", B), ("withdrawn", A), ("canary", B)):
        now = after(("canary", A), last)  # type: ignore[arg-type]
        assert now.state_of(A, passed=True) == "candidate"
        assert (now.canary is None) == (last[0] != "canary")
    now = after(("canary", A), ("rejected", A))
    assert (now.canary, now.state_of(A, passed=True)) == (None, "rejected")
    assert after(("canary", A), ("rejected", B)).canary is not None


def test_a_rollback_goes_on_from_where_it_came() -> None:
    promoted = (("promoted", A), ("promoted", B), ("promoted", C))
    now = after(*promoted, ("rolled_back", B))
    assert (now.champion, now.before, now.states[C]) == (B, (None, A), "retired")
    now = after(*promoted, ("rolled_back", A))  # B is gone
    assert (now.champion, now.before) == (A, (None,))
    now = after(*promoted, ("rolled_back", B), ("promoted", C), ("rolled_back", B), ("rolled_back", A))
    assert (now.champion, now.before) == (A, (None,))
    assert after(("promoted", A), ("rolled_back", None)).champion is None


KINDS: list[MoveKind] = ["begun", "canary", "withdrawn", "promoted", "rolled_back", "rejected"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([A, B, C, None]))))
def test_whatever_was_done_there_is_one_champion_at_most_one_canary_and_no_doubt(
    moves: list[tuple[MoveKind, str | None]],
) -> None:
    now = after(*moves)
    champions = [name for name, state in now.states.items() if state == "champion"]
    assert champions in ([], [now.champion]) or now.states.get(str(now.champion)) == "rejected"
    canaries = [name for name, state in now.states.items() if state == "canary"]
    assert canaries == ([now.canary.adapter] if now.canary else [])
    assert now.version == len(moves)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_canary_gets_its_share_of_the_conversations(share: float) -> None:
    mine = sum(is_canarys(Canary(A, share, 1, 0), one) for one in SESSIONS)
    assert abs(mine / len(SESSIONS) - share) < 4 * (share * (1 - share) / len(SESSIONS)) ** 0.5


def test_conversations_stay_with_it_and_a_larger_share_adds_others() -> None:
    small, large = Canary(A, 0.1, 1, 0), Canary(A, 0.3, 5, 50)
    assert all(is_canarys(large, one) for one in SESSIONS if is_canarys(small, one))
    other = Canary(B, 0.1, 1, 0)
    both = sum(is_canarys(small, one) and is_canarys(other, one) for one in SESSIONS)
    assert both / len(SESSIONS) < 0.03  # about 0.1 * 0.1: not the same customers every time
