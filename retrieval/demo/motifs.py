"""Geometric drawings for covers: each takes a seed and a palette and gives SVG elements.

The upper two thirds of the sheet are theirs; the foot is shaded afterwards for the title.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from retrieval.demo.seeded import between, pick, share_of

WIDTH, HEIGHT = 400, 600

TILES_TOP = 62
"""The patchwork leaves room above it, where the category is written."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Five colours as #rrggbb: sky from `deep` to `mid`, shapes in `main` and `bright`, letters in `ink`."""

    deep: str
    mid: str
    main: str
    bright: str
    ink: str


def horizon(seed: str, palette: Palette) -> str:
    """A low sun behind four ranges of hills."""
    x, y, r = between(seed, "x", 110, 290), between(seed, "y", 175, 225), between(seed, "r", 78, 108)
    parts = [
        f'<circle cx="{x}" cy="{y}" r="{r + 46}" fill="{palette.bright}" fill-opacity="0.10"/>',
        f'<circle cx="{x}" cy="{y}" r="{r + 20}" fill="{palette.bright}" fill-opacity="0.16"/>',
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="{palette.bright}"/>',
    ]
    fills = (palette.main, palette.main, palette.mid, palette.deep)
    for layer, (fill, opacity) in enumerate(zip(fills, (0.45, 0.85, 1.0, 1.0), strict=True)):
        base = 250 + layer * 42
        points = [f"0,{HEIGHT}"]
        steps = 5 + layer
        for step in range(steps + 1):
            rise = between(seed, f"hill {layer} {step}", -34, 30)
            points.append(f"{WIDTH * step / steps:.0f},{base + rise}")
        points.append(f"{WIDTH},{HEIGHT}")
        parts.append(f'<polygon points="{" ".join(points)}" fill="{fill}" fill-opacity="{opacity}"/>')
    return "".join(parts)


def orbits(seed: str, palette: Palette) -> str:
    """A planet with a ring, moons on their paths, and stars."""
    parts = [_stars(seed, palette, 46)]
    x, y, r = between(seed, "x", 150, 250), between(seed, "y", 190, 240), between(seed, "r", 70, 100)
    tilt = between(seed, "tilt", -28, 28)
    for ring in range(1, 4):
        rx = r + 34 * ring
        parts.append(
            f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{rx * 0.36:.1f}" transform="rotate({tilt} {x} {y})" fill="none" '
            f'stroke="{palette.main}" stroke-opacity="{0.8 - 0.2 * ring:.2f}" stroke-width="{5 - ring}"/>'
        )
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r}" fill="{palette.main}"/>')
    # The shadowed side: the same disc moved, in the sky's colour, kept inside by drawing the lit crescent over it.
    parts.append(
        f'<path d="M {x} {y - r} A {r} {r} 0 0 1 {x} {y + r} A {r * 1.5:.1f} {r * 1.5:.1f} 0 0 0 {x} {y - r} Z" '
        f'transform="rotate({tilt + 20} {x} {y})" fill="{palette.deep}" fill-opacity="0.42"/>'
    )
    rx = r + 34
    parts.append(
        f'<path d="M {x - rx} {y} A {rx} {rx * 0.36:.1f} 0 0 0 {x + rx} {y}" transform="rotate({tilt} {x} {y})" '
        f'fill="none" stroke="{palette.bright}" stroke-width="5"/>'
    )
    for moon in range(between(seed, "moons", 1, 3)):
        angle = math.tau * share_of(seed, f"moon {moon}")
        distance = r + 58 + 24 * moon
        mx, my = x + distance * math.cos(angle), y + distance * 0.8 * math.sin(angle)
        parts.append(
            f'<circle cx="{mx:.1f}" cy="{my:.1f}" r="{between(seed, f"mr {moon}", 6, 15)}" fill="{palette.bright}"/>'
        )
    return "".join(parts)


def skyline(seed: str, palette: Palette) -> str:
    """Towers at night before a large moon; a few windows are lit."""
    x, y = between(seed, "x", 90, 310), between(seed, "y", 135, 190)
    r = between(seed, "r", 58, 88)
    parts = [
        f'<circle cx="{x}" cy="{y}" r="{r + 30}" fill="{palette.bright}" fill-opacity="0.10"/>',
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="{palette.bright}"/>',
    ]
    for row, (fill, top, opacity) in enumerate(((palette.main, 190, 0.55), (palette.deep, 255, 1.0))):
        left, tower = -10, 0
        while left < WIDTH:
            key = f"tower {row} {tower}"
            width, height = between(seed, key, 34, 70), between(seed, key + "h", 0, 120)
            parts.append(
                f'<rect x="{left}" y="{top + height}" width="{width}" height="{HEIGHT}" fill="{fill}" '
                f'fill-opacity="{opacity}"/>'
            )
            if row:
                parts.append(_windows(f"{seed} {key}", palette, left, top + height, width))
            left += width + between(seed, key + "gap", 0, 7)
            tower += 1
    return "".join(parts)


def rays(seed: str, palette: Palette) -> str:
    """Beams from one point, with a disc and a hard diagonal."""
    x, y = between(seed, "x", 130, 270), between(seed, "y", 210, 270)
    count, turn = between(seed, "count", 11, 16), share_of(seed, "turn")
    parts = []
    for beam in range(count):
        start, end = (math.tau * (beam + turn + part) / count for part in (0.0, 0.5))
        points = " ".join(f"{x + 720 * math.cos(a):.1f},{y + 720 * math.sin(a):.1f}" for a in (start, end))
        parts.append(f'<polygon points="{x},{y} {points}" fill="{palette.main}" fill-opacity="0.34"/>')
    r = between(seed, "r", 74, 104)
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r}" fill="{palette.bright}"/>')
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r * 0.62:.1f}" fill="{palette.main}"/>')
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r * 0.26:.1f}" fill="{palette.ink}"/>')
    slope = pick(seed, "slope", (-1, 1))
    left, right = 330 + 52 * slope, 330 - 52 * slope
    parts.append(
        f'<polygon points="0,{left} {WIDTH},{right} {WIDTH},{right + 24} 0,{left + 24}" fill="{palette.ink}"/>'
    )
    below = f"0,{left + 24} {WIDTH},{right + 24} {WIDTH},{HEIGHT} 0,{HEIGHT}"
    return "".join(parts) + f'<polygon points="{below}" fill="{palette.deep}"/>'


def circles(seed: str, palette: Palette) -> str:
    """Two large discs that meet, and thin rings around them."""
    y, r = between(seed, "y", 195, 235), between(seed, "r", 92, 118)
    apart, lift = between(seed, "apart", 44, 72), between(seed, "lift", -34, 34)
    left, right = (200 - apart, y + lift), (200 + apart, y - lift)
    parts = []
    for extra in (26, 54, 84, 118):
        for cx, cy in (left, right):
            parts.append(
                f'<circle cx="{cx}" cy="{cy}" r="{r + extra}" fill="none" stroke="{palette.ink}" '
                f'stroke-opacity="{0.30 - extra / 500:.2f}" stroke-width="1.5"/>'
            )
    parts.append(f'<circle cx="{left[0]}" cy="{left[1]}" r="{r}" fill="{palette.main}" fill-opacity="0.92"/>')
    parts.append(f'<circle cx="{right[0]}" cy="{right[1]}" r="{r}" fill="{palette.bright}" fill-opacity="0.78"/>')
    return "".join(parts)


def radial(seed: str, palette: Palette) -> str:
    """Bars around a record, as long as the beats of an unheard song."""
    x, y, inner = 200, between(seed, "y", 205, 230), between(seed, "inner", 70, 88)
    count = pick(seed, "count", (36, 44, 52))
    parts = []
    for bar in range(count):
        angle = 360 * bar / count
        swell = 0.5 + 0.5 * math.sin(math.tau * bar / count * between(seed, "waves", 3, 5))
        length = 18 + 62 * swell * (0.5 + 0.5 * share_of(seed, f"bar {bar}"))
        fill = palette.bright if bar % 4 == 0 else palette.main
        parts.append(
            f'<rect x="{x - 3}" y="{y - inner - length:.1f}" width="6" height="{length:.1f}" rx="3" fill="{fill}" '
            f'transform="rotate({angle:.2f} {x} {y})"/>'
        )
    parts.append(f'<circle cx="{x}" cy="{y}" r="{inner - 10}" fill="{palette.deep}"/>')
    for groove in range(1, 5):
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="{inner - 10 - groove * 9}" fill="none" stroke="{palette.ink}" '
            f'stroke-opacity="0.22"/>'
        )
    return "".join(parts) + f'<circle cx="{x}" cy="{y}" r="22" fill="{palette.bright}"/>'


def tunnel(seed: str, palette: Palette) -> str:
    """Rings that close in on a small bright eye, not quite in the middle."""
    x, y = between(seed, "x", 170, 230), between(seed, "y", 190, 240)
    shift_x, shift_y = between(seed, "sx", -34, 34), between(seed, "sy", -26, 26)
    squeeze = pick(seed, "squeeze", (0.62, 0.8, 1.0))
    parts = []
    rings = 9
    for ring in range(rings):
        inward = ring / (rings - 1)
        r = 250 * (1 - inward) ** 1.15 + 26
        fill, opacity = ((palette.main, 0.30 + 0.45 * inward), (palette.deep, 0.92))[ring % 2]
        parts.append(
            f'<ellipse cx="{x + shift_x * inward:.1f}" cy="{y + shift_y * inward:.1f}" rx="{r:.1f}" '
            f'ry="{r * squeeze:.1f}" fill="{fill}" fill-opacity="{opacity:.2f}"/>'
        )
    x, y = x + shift_x, y + shift_y
    parts.append(f'<circle cx="{x}" cy="{y}" r="30" fill="{palette.bright}"/>')
    return "".join(parts) + f'<circle cx="{x}" cy="{y}" r="11" fill="{palette.deep}"/>'


def tiles(seed: str, palette: Palette) -> str:
    """A patchwork of quarter circles, discs and triangles."""
    side = 80
    fills = (palette.main, palette.bright, palette.mid, palette.ink, palette.deep)
    parts = []
    for row in range(4):
        for column in range(5):
            key = f"tile {row} {column}"
            x, y = column * side, TILES_TOP + row * side
            ground = pick(seed, key + "ground", fills)
            shape = pick(seed, key + "shape", [fill for fill in fills if fill != ground])
            parts.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{ground}"/>')
            parts.append(_tile(pick(seed, key, range(4)), x, y, side, between(seed, key + "turn", 0, 3) * 90, shape))
    return "".join(parts)


def arches(seed: str, palette: Palette) -> str:
    """Arches within arches, with a light at the far end."""
    x, base = between(seed, "x", 170, 230), 440
    fills = (palette.main, palette.deep, palette.bright, palette.mid, palette.main, palette.deep)
    parts = [_stars(seed, palette, 26)]
    for layer, fill in enumerate(fills):
        half, top = 168 - layer * 26, 92 + layer * 31
        parts.append(
            f'<path d="M {x - half} {base + 160} V {top + half} A {half} {half} 0 0 1 {x + half} {top + half} '
            f'V {base + 160} Z" fill="{fill}" fill-opacity="{0.62 + 0.07 * layer:.2f}"/>'
        )
    return "".join(parts) + f'<circle cx="{x}" cy="{between(seed, "y", 318, 338)}" r="15" fill="{palette.ink}"/>'


def waves(seed: str, palette: Palette) -> str:
    """Bands of water or cloth under a pale disc."""
    x, y, r = between(seed, "x", 110, 290), between(seed, "y", 130, 180), between(seed, "r", 48, 76)
    parts = [f'<circle cx="{x}" cy="{y}" r="{r}" fill="{palette.bright}"/>']
    fills = (palette.main, palette.mid, palette.main, palette.mid, palette.deep)
    for band, fill in enumerate(fills):
        base, height = 208 + band * 46, between(seed, f"height {band}", 16, 34)
        phase, length = math.tau * share_of(seed, f"phase {band}"), between(seed, f"length {band}", 210, 420)
        points = [
            f"{px},{base + height * math.sin(phase + math.tau * px / length):.1f}" for px in range(0, WIDTH + 1, 10)
        ]
        edge = " ".join([*points, f"{WIDTH},{HEIGHT}", f"0,{HEIGHT}"])
        parts.append(f'<polygon points="{edge}" fill="{fill}" fill-opacity="{0.55 + 0.1 * band:.2f}"/>')
    return "".join(parts)


Motif = Callable[[str, Palette], str]

MOTIFS: dict[str, Motif] = {
    "arches": arches,
    "circles": circles,
    "horizon": horizon,
    "orbits": orbits,
    "radial": radial,
    "rays": rays,
    "skyline": skyline,
    "tiles": tiles,
    "tunnel": tunnel,
    "waves": waves,
}


def _stars(seed: str, palette: Palette, count: int) -> str:
    parts = []
    for star in range(count):
        x, y = between(seed, f"star x {star}", 8, WIDTH - 8), between(seed, f"star y {star}", 8, 380)
        r = 0.8 + 1.4 * share_of(seed, f"star r {star}")
        parts.append(f'<circle cx="{x}" cy="{y}" r="{r:.1f}" fill="{palette.ink}" fill-opacity="0.8"/>')
    return "".join(parts)


def _windows(key: str, palette: Palette, left: int, top: int, width: int) -> str:
    parts = []
    for row in range(9):
        for column in range((width - 12) // 11):
            if share_of(key, f"lit {row} {column}") < 0.28:
                parts.append(
                    f'<rect x="{left + 8 + column * 11}" y="{top + 12 + row * 17}" width="5" height="8" '
                    f'fill="{palette.bright}" fill-opacity="0.85"/>'
                )
    return "".join(parts)


def _tile(kind: int, x: int, y: int, side: int, turn: int, fill: str) -> str:
    """A quarter circle, a disc, a triangle or a half circle in the square at (x, y)."""
    middle = f"{x + side / 2:g} {y + side / 2:g}"
    shapes = (
        f"M {x} {y} H {x + side} A {side} {side} 0 0 1 {x} {y + side} Z",
        f"M {x + 10} {y + side / 2:g} a {side / 2 - 10:g} {side / 2 - 10:g} 0 1 0 {side - 20} 0 "
        f"a {side / 2 - 10:g} {side / 2 - 10:g} 0 1 0 {20 - side} 0 Z",
        f"M {x} {y} H {x + side} L {x} {y + side} Z",
        f"M {x} {y} H {x + side} A {side / 2:g} {side / 2:g} 0 0 1 {x} {y} Z",
    )
    return f'<path d="{shapes[kind]}" transform="rotate({turn} {middle})" fill="{fill}"/>'
