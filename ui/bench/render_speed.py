"""Ways to run one model as Markdown: how fast each is, against transformers, llama.cpp and the memory's limit.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from agent.bench.engine_speed import EngineSpeeds, WaySpeed
from agent.bench.engine_switch import SwitchPauses
from agent.bench.spread import Quartiles
from ui.bench.render_talk import escaped, table

SECTION = "speed"
SWITCH = "switch"
TITLE = "One model by several ways, side by side"
_HEADER = (
    "way", "reads, tokens/s", "writes, tokens/s", "a turn, ms", "writing against generate",
    "turn: llama.cpp's time over it", "four at once over one", "share of the memory's limit",
)  # fmt: skip


def speed_lines(result: JsonValue) -> list[str]:
    """The page of `EngineSpeeds`."""
    speeds = EngineSpeeds.model_validate(result)
    rounds = speeds.ways[0].turn_ms.n
    lines = [
        f"{escaped(speeds.model)}, {speeds.threads} threads, {rounds} rounds in which the ways take turns; median and "
        f"quartiles. A turn is {speeds.prompt_tokens} tokens read and {speeds.answer_tokens} written. The limit: what "
        f"the memory gives ({speeds.memory_gb_per_s:g} GB/s, the best that was seen in this run; it varies from run to "
        "run on a shared machine) over the bytes of weights that a token needs; drafts write several tokens for one "
        "reading of them.",
        "",
        *table(_HEADER, _rows(speeds)),
    ]
    lines += [f"\nNot here: {escaped(why)}" for why in speeds.left_out]
    return [*lines, "", *_pauses(speeds.switch)] if speeds.switch else lines


def _rows(speeds: EngineSpeeds) -> Iterator[tuple[str, ...]]:
    plain = speeds.ways[0]
    peer = next((way for way in speeds.ways if way.way.startswith("llama.cpp")), None)
    for way in speeds.ways:
        yield (
            escaped(way.way),
            _spread(way.read_per_s),
            _spread(way.written_per_s),
            _spread(way.turn_ms),
            f"{way.written_per_s.median / plain.written_per_s.median:.1f}",
            "-" if peer is None else f"{peer.turn_ms.median / way.turn_ms.median:.2f}",
            _four(way),
            f"{way.of_the_limit:.0%}",
        )


def _four(way: WaySpeed) -> str:
    if way.four_over_one is None:
        return "one after the other"
    return f"{_spread(way.four_over_one, 2)}; {way.four_over_one.median * way.turn_ms.median:,.0f} ms"


def _spread(one: Quartiles, digits: int = 0) -> str:
    return f"{one.median:,.{digits}f} [{one.q1:,.{digits}f} – {one.q3:,.{digits}f}]"


def switch_title(name: str) -> str:
    """The heading of a section "switch,WAY"."""
    return f"A change of the adapter: {name.partition(',')[2]}"


def switch_lines(result: JsonValue) -> list[str]:
    """The page of `SwitchPauses`."""
    return _pauses(SwitchPauses.model_validate(result))


def _pauses(pauses: SwitchPauses) -> list[str]:
    return [
        f"A change of the adapter while {pauses.writing} chats write, milliseconds: the longest gap between two pieces "
        f"of a text {_spread(pauses.longest_gap_switching)} (without a change {_spread(pauses.longest_gap)}), first "
        f"piece for a chat that arrives {_spread(pauses.arriving_switched)} (without {_spread(pauses.arriving)}): the "
        f"change adds {pauses.pause_writing:.0f} and {pauses.pause_arriving:.0f} ms. It was ready in the background "
        f"after {pauses.prepared_s.median:.1f} s."
    ]
