"""Drawn covers: an SVG poster for any item of any catalogue, so that no picture of others is needed.

Palette and motif follow the genre (or, where the genre is none that we know, a hash of the category's name, so that one
category looks alike); `seed` varies the drawing. The result refers to nothing outside itself and holds no script.
Knows nothing of items or files. The motifs live in `motifs`, the setting of the title in `lettering`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.demo.lettering import CLEAR, clean, fit_title, shorten, svg_text
from retrieval.demo.motifs import HEIGHT, MOTIFS, WIDTH, Palette
from retrieval.demo.seeded import pick

MARGIN = 34
TITLE_WIDTH = WIDTH - 2 * MARGIN

PALETTES: dict[str, tuple[Palette, ...]] = {
    "ember": (
        Palette("#1d0f14", "#7a1f1d", "#e4572e", "#f3a712", "#fbe9d0"),
        Palette("#170c10", "#5d1725", "#d1345b", "#f7b267", "#fdeedd"),
    ),
    "desert": (
        Palette("#3b1c1a", "#c8553d", "#f28f3b", "#ffd5a1", "#fff3e0"),
        Palette("#2d2a32", "#a44a3f", "#dd9787", "#f6e3c5", "#fff6e9"),
    ),
    "cosmos": (
        Palette("#0b1026", "#1f3a68", "#3fa7d6", "#f7d08a", "#eaf6ff"),
        Palette("#120b2e", "#3a2a78", "#8d6bff", "#5ce1e6", "#f0ecff"),
        Palette("#06171c", "#0f4c5c", "#2ec4b6", "#ff9f1c", "#e9fffb"),
    ),
    "noir": (
        Palette("#0c0f14", "#27313f", "#5b6b7f", "#e8c547", "#f4f1e8"),
        Palette("#101114", "#2f2f36", "#70757d", "#e4572e", "#f5f2ec"),
        Palette("#0a1417", "#17343a", "#4f8a8b", "#fbd46d", "#f2f7f4"),
    ),
    "blush": (
        Palette("#3d1635", "#a23e63", "#f08a8d", "#fcd5b5", "#fff1ea"),
        Palette("#2b1b3d", "#6c4a8f", "#e29bb5", "#ffd9a0", "#fff4ef"),
    ),
    "night": (
        Palette("#07080b", "#1b2a25", "#3f6b4f", "#c1121f", "#eef2e6"),
        Palette("#0a070d", "#2a1533", "#6a2c70", "#e23e57", "#f5e9f2"),
        Palette("#08090c", "#23242b", "#5c5f6b", "#d7263d", "#f2f2ee"),
    ),
    "sunny": (
        Palette("#10495a", "#1f7a8c", "#ffb703", "#fb6f5b", "#fffaf0"),
        Palette("#40215e", "#7b3fa0", "#ff6b8b", "#ffd23f", "#fff8ee"),
        Palette("#14532d", "#2f8f5b", "#f9c74f", "#f3722c", "#fbfff4"),
    ),
    "stage": (
        Palette("#1f0a2e", "#6a1b5d", "#f72585", "#ffd166", "#fff0f6"),
        Palette("#0d1b3d", "#27408b", "#f2b134", "#ef476f", "#fff8e7"),
    ),
    "archive": (
        Palette("#1e2a2f", "#4b5d57", "#a3b18a", "#e9d8a6", "#fbf8ec"),
        Palette("#2a1f1a", "#6b4f3a", "#c59b6d", "#eee0c4", "#fdf8ee"),
    ),
    "tide": (
        Palette("#2a1a2e", "#6b3f5e", "#c98b8b", "#f3c9a5", "#fdf3ee"),
        Palette("#0e1c2f", "#274c77", "#6096ba", "#f2cc8f", "#f1f6fb"),
        Palette("#18233b", "#4a4e69", "#9a8c98", "#f2e9e4", "#fbf7f4"),
        Palette("#0f2a2e", "#2b6777", "#7fb7be", "#f6bd60", "#f4fbfb"),
    ),
}
"""By name, each with variants. All inks reach at least 7:1 against the dark end, where the title stands."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one genre is drawn: a motif, a palette, letters with or without serifs."""

    motif: str
    palette: str
    serif: bool = False


LOOKS: dict[str, tuple[Look, ...]] = {
    "western": (Look("horizon", "desert", serif=True), Look("rays", "desert", serif=True)),
    "animation": (Look("tiles", "sunny"), Look("waves", "sunny")),
    "musical": (Look("radial", "stage"), Look("radial", "sunny"), Look("rays", "stage")),
    "horror": (
        Look("tunnel", "night", serif=True),
        Look("horizon", "night", serif=True),
        Look("arches", "night", serif=True),
    ),
    "sci-fi": (Look("orbits", "cosmos"), Look("horizon", "cosmos"), Look("tunnel", "cosmos")),
    "war": (Look("rays", "archive"), Look("horizon", "ember")),
    "sport": (Look("rays", "sunny"), Look("circles", "sunny")),
    "fantasy": (Look("arches", "cosmos", serif=True), Look("horizon", "blush", serif=True)),
    "romance": (Look("circles", "blush", serif=True), Look("waves", "blush", serif=True)),
    "mystery": (Look("tunnel", "noir", serif=True), Look("arches", "noir", serif=True)),
    "crime": (Look("skyline", "noir"), Look("skyline", "tide"), Look("tunnel", "noir")),
    "adventure": (Look("horizon", "cosmos"), Look("horizon", "tide"), Look("horizon", "desert")),
    "biography": (Look("arches", "archive", serif=True), Look("circles", "archive", serif=True)),
    "history": (Look("arches", "desert", serif=True), Look("waves", "archive", serif=True)),
    "thriller": (Look("skyline", "ember"), Look("tunnel", "ember"), Look("waves", "noir")),
    "family": (Look("tiles", "sunny"), Look("waves", "sunny")),
    "comedy": (Look("tiles", "sunny"), Look("tiles", "stage"), Look("circles", "sunny")),
    "documentary": (Look("waves", "archive"),),
    "action": (Look("rays", "ember"), Look("skyline", "ember")),
    "drama": (
        Look("waves", "tide", serif=True),
        Look("circles", "tide", serif=True),
        Look("horizon", "tide", serif=True),
    ),
}
"""In order of say: of an item's genres the one named first here decides ("Drama" says least)."""


def cover_svg(title: str, subtitle: str, seed: str, genres: Sequence[str]) -> str:
    """A poster as an SVG document, 400 by 600 units; the same arguments give the same text.

    Args:
        title: set large, wrapped and made smaller until it fits; any script, any length.
        subtitle: one small line below it ("Alfred Hitchcock · 1958"); may be empty.
        seed: the item's id, say; varies the drawing within the genre's look.
        genres: categories of the item, any words; may be empty.
    """
    label, subtitle = clean(title) or "?", clean(subtitle)
    category, look = _look(genres, seed)
    palette = pick(seed, "palette", PALETTES[look.palette])
    # Covers stand side by side in one page: names of gradients must differ from cover to cover.
    name = "c" + hashlib.sha256(f"{seed}\n{title}\n{subtitle}\n{category}".encode("utf-8", "replace")).hexdigest()[:10]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{svg_text(label)}</title>",
            _definitions(name, palette),
            f'<g clip-path="url(#{name}-clip)">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{name}-sky)"/>',
            MOTIFS[look.motif](seed, palette),
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{name}-shade)"/>',
            _words(label, subtitle, clean(category), look, palette),
            "</g>",
            "</svg>",
        )
    )


def _look(genres: Sequence[str], seed: str) -> tuple[str, Look]:
    """The deciding category as written, and its look."""
    known = {genre.casefold(): genre for genre in genres}
    for name, looks in LOOKS.items():
        if name in known:
            return known[name], pick(seed, "variant", looks)
    category = genres[0] if genres else ""
    key = category or seed
    return category, Look(pick(key, "motif", sorted(MOTIFS)), pick(key, "look", sorted(PALETTES)))


def _definitions(name: str, palette: Palette) -> str:
    return (
        "<defs>"
        f'<clipPath id="{name}-clip"><rect width="{WIDTH}" height="{HEIGHT}"/></clipPath>'
        f'<linearGradient id="{name}-sky" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{palette.deep}"/><stop offset="0.62" stop-color="{palette.mid}"/>'
        f'<stop offset="1" stop-color="{palette.deep}"/></linearGradient>'
        f'<linearGradient id="{name}-shade" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{palette.deep}" stop-opacity="0.55"/>'
        f'<stop offset="0.16" stop-color="{palette.deep}" stop-opacity="0"/>'
        f'<stop offset="0.46" stop-color="{palette.deep}" stop-opacity="0"/>'
        f'<stop offset="0.7" stop-color="{palette.deep}" stop-opacity="0.9"/>'
        f'<stop offset="1" stop-color="{palette.deep}"/></linearGradient>'
        "</defs>"
    )


def _words(title: str, subtitle: str, category: str, look: Look, palette: Palette) -> str:
    """Category at the top; title and subtitle at the foot, set upwards from the bottom margin."""
    family = "Georgia,'Times New Roman','Noto Serif CJK SC',serif" if look.serif else CLEAR
    lines, size = fit_title(title, TITLE_WIDTH)
    foot = HEIGHT - MARGIN - (26 if subtitle else 4)
    step = size * 1.12
    first = foot - step * (len(lines) - 1)
    parts = []
    if category:
        parts.append(
            f'<text x="{MARGIN}" y="{MARGIN + 10}" font-family="{CLEAR}" font-size="12.5" font-weight="600" '
            f'letter-spacing="3" fill="{palette.ink}" fill-opacity="0.85">'
            f"{svg_text(shorten(category.upper(), 24, 12.5, spacing=3, width=TITLE_WIDTH))}</text>"
        )
    parts.append(f'<rect x="{MARGIN}" y="{first - size - 14:.1f}" width="46" height="4" fill="{palette.bright}"/>')
    spans = "".join(
        f'<tspan x="{MARGIN}" y="{first + step * i:.1f}">{svg_text(line)}</tspan>' for i, line in enumerate(lines)
    )
    parts.append(
        f'<text font-family="{family}" font-size="{size}" font-weight="700" fill="{palette.ink}">{spans}</text>'
    )
    if subtitle:
        line = shorten(subtitle, 60, 15, spacing=0.4, width=TITLE_WIDTH)
        parts.append(
            f'<text x="{MARGIN}" y="{HEIGHT - MARGIN}" font-family="{CLEAR}" font-size="15" letter-spacing="0.4" '
            f'fill="{palette.ink}" fill-opacity="0.8">{svg_text(line)}</text>'
        )
    return "".join(parts)
