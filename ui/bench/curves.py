"""Curves with bands as one SVG picture, panels side by side: for pages that show no scripts.

Knows nothing of what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#000000", "#999999", "#d55e00", "#56b4e9", "#0072b2", "#e69f00", "#009e73")
"""Okabe and Ito, told apart by the colour-blind too; a further curve begins again."""
PANEL_WIDTH, PANEL_HEIGHT = 320, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 26, 34
_LEGEND_ROW, _LEGEND_COLUMN = 18, 240


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one curve in the order of `x`, with the lower and upper edge of its band."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over the same axes, which begin at 0; curves of one place have one colour in all panels."""

    title: str
    x_label: str
    curves: tuple[Curve, ...]


def picture(panels: Sequence[Panel]) -> str:
    """An SVG file, white behind everything; the names of the first panel's curves stand below all."""
    names = [curve.name for curve in panels[0].curves] if panels else []
    width = max(1, len(panels)) * PANEL_WIDTH
    columns = max(1, width // _LEGEND_COLUMN)
    rows = -(-len(names) // columns)
    height = PANEL_HEIGHT + rows * _LEGEND_ROW + 8
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        body += [f'<g transform="translate({number * PANEL_WIDTH},0)">', *_panel(panel), "</g>"]
    for number, name in enumerate(names):
        x, y = 12 + number % columns * _LEGEND_COLUMN, PANEL_HEIGHT + 12 + number // columns * _LEGEND_ROW
        body.append(f'<rect x="{x}" y="{y - 6}" width="18" height="4" fill="{_colour(number)}"/>')
        body.append(f'<text x="{x + 24}" y="{y}">{escape(name)}</text>')
    return "\n".join([*body, "</svg>", ""])


def _panel(panel: Panel) -> Iterable[str]:
    right = max((max(curve.x) for curve in panel.curves), default=1.0) or 1.0
    top = max((max(curve.high) for curve in panel.curves), default=1.0) or 1.0
    inner_width, inner_height = PANEL_WIDTH - _LEFT - _RIGHT, PANEL_HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> str:
        return f"{_LEFT + x / right * inner_width:.1f},{_TOP + (1 - y / top) * inner_height:.1f}"

    yield f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(panel.title)}</text>'
    for share in (0.0, 0.5, 1.0):
        y, x = _TOP + (1 - share) * inner_height, _LEFT + share * inner_width
        yield f'<line x1="{_LEFT}" x2="{PANEL_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{share * top:,.0f}</text>'
        yield f'<text x="{x:.1f}" y="{PANEL_HEIGHT - 18}" text-anchor="middle">{share * right:,.0f}</text>'
    middle = _LEFT + inner_width / 2
    yield f'<text x="{middle:.1f}" y="{PANEL_HEIGHT - 4}" text-anchor="middle">{escape(panel.x_label)}</text>'
    for number, curve in enumerate(panel.curves):
        edge = [at(x, y) for x, y in zip(curve.x, curve.high, strict=True)]
        edge += [at(x, y) for x, y in zip(reversed(curve.x), reversed(curve.low), strict=True)]
        line = " ".join(at(x, y) for x, y in zip(curve.x, curve.y, strict=True))
        yield f'<polygon points="{" ".join(edge)}" fill="{_colour(number)}" fill-opacity="0.15"/>'
        yield f'<polyline points="{line}" fill="none" stroke="{_colour(number)}" stroke-width="1.6"/>'


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
