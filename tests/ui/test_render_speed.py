"""The speeds of several ways as a page."""

from __future__ import annotations

from agent.bench.engine_speed import EngineSpeeds, WaySpeed
from agent.bench.engine_switch import SwitchPauses
from agent.bench.spread import Quartiles
from ui.bench.render_speed import speed_lines


def spread(median: float) -> Quartiles:
    return Quartiles.of([median - 1, median, median + 1])


def way(name: str, writes: float, turn: float, four: float | None = None) -> WaySpeed:
    fours = None if four is None else spread(four)
    return WaySpeed(
        way=name, read_per_s=spread(800), written_per_s=spread(writes), turn_ms=spread(turn), four_over_one=fours,
        of_the_limit=0.5,
    )  # fmt: skip


def page(*ways: WaySpeed) -> str:
    pauses = SwitchPauses(
        writing=2, prepared_s=spread(2), longest_gap=spread(80), longest_gap_switching=spread(105),
        arriving=spread(110), arriving_switched=spread(120), pause_writing=25, pause_arriving=10,
    )  # fmt: skip
    speeds = EngineSpeeds(
        model="a-model", threads=2, prompt_tokens=600, answer_tokens=60, memory_gb_per_s=40, ways=ways,
        left_out=("vLLM is not installed.",), switch=pauses,
    )  # fmt: skip
    return "\n".join(speed_lines(speeds.model_dump(mode="json")))


def test_each_way_stands_against_generate_and_llama_cpp() -> None:
    told = page(way("transformers generate", 20, 4000), way("ours", 50, 1000, 3), way("llama.cpp, Q4_1", 60, 3000))
    (ours,) = [line for line in told.splitlines() if line.startswith("| ours ")]
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[3:] == ["1,000 [1,000 – 1,000]", "2.5", "3.00", "3.00 [2.50 – 3.50]; 3,000 ms", "50%"]
    assert "Not here: vLLM is not installed." in told
    assert "the change adds 25 and 10 ms" in told


def test_without_llama_cpp_nothing_is_said_of_it() -> None:
    (plain,) = [line for line in page(way("transformers generate", 20, 4000)).splitlines() if line.startswith("| tr")]
    assert "| 1.0 | - | one after the other | 50% |" in plain
