"""What a job says while it runs, and two ways to show it: a picture that is drawn again, and TensorBoard.

Knows nothing of what is computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from retrieval.errors import ModelUnavailable

HELD_OUT = "held out"
"""The set of rows of this cycle that are not learned from."""
WIDTH, HEIGHT, EDGE = 640, 240, 34
"""Of the picture, in its own units."""
COLOURS = ("#1f6feb", "#bf3989", "#2da44e", "#d4a72c", "#8250df", "#57606a")


@dataclass(frozen=True, slots=True)
class Look:
    """Losses of the watched sets after a step.

    `moved`: squared distance from the champion, in squares of its own way from the base; None without a champion.
    `forgot`: whether an anchor set is worse than allowed.
    """

    step: int
    losses: Mapping[str, float]
    moved: float | None
    forgot: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Look:
        return cls(fields["step"], fields["losses"], fields["moved"], fields["forgot"])


@dataclass(frozen=True, slots=True)
class Progress:
    """After each step: its loss of rows, its penalty, tokens a second, and the last look."""

    step: int
    steps: int
    loss: float
    penalty: float
    tokens_per_s: float
    look: Look | None


Told: TypeAlias = Callable[[Progress], None]


class Picture:
    """The losses so far as an SVG file, written again at each look and complete at every moment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._losses: list[tuple[int, float]] = []
        self._looks: list[Look] = []

    def told(self, now: Progress) -> None:
        """A `Told`."""
        self._losses.append((now.step, now.loss))
        new = now.look is not None and (not self._looks or now.look != self._looks[-1])
        if now.look is not None and new:
            self._looks.append(now.look)
        if new or now.step == now.steps:
            part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            part.write_text(drawing(self._losses, self._looks), encoding="utf-8")
            os.replace(part, self._file)


def drawing(losses: Sequence[tuple[int, float]], looks: Sequence[Look]) -> str:
    """An SVG of the loss of each step and of the watched sets."""
    curves: dict[str, list[tuple[int, float]]] = {"step": list(losses)}
    for look in looks:
        for name, loss in look.losses.items():
            curves.setdefault(name, []).append((look.step, loss))
    points = [point for curve in curves.values() for point in curve] or [(0, 0.0)]
    last, low, high = max(x for x, _ in points), min(y for _, y in points), max(y for _, y in points)

    def place(x: float, y: float) -> str:
        right = EDGE + (WIDTH - 2 * EDGE) * x / max(1, last)
        down = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (y - low) / ((high - low) or 1.0)
        return f"{right:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><title>Loss by step</title><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="4" y="{EDGE}">{high:.2f}</text><text x="4" y="{HEIGHT - EDGE}">{low:.2f}</text>'
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 8}" text-anchor="end">step {last}</text>',
    ]
    for number, (name, curve) in enumerate(sorted(curves.items(), key=lambda one: one[0] != "step")):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in curve)
        parts.append(f'<polyline fill="none" stroke="{colour}" points="{path}"/>')
        parts.append(f'<text x="{EDGE + 100 * number}" y="16" fill="{colour}">{escape(name)}</text>')
    return "".join(parts) + "</svg>\n"


@contextmanager
def tensorboard(folder: Path) -> Iterator[Told]:
    """Scalars for TensorBoard.

    Raises:
        ModelUnavailable: it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModelUnavailable("Scalars for TensorBoard need it: pip install tensorboard.") from error
    writer: Any = SummaryWriter(str(folder))
    seen: list[Look | None] = [None]

    def told(now: Progress) -> None:
        writer.add_scalar("loss/step", now.loss, now.step)
        writer.add_scalar("loss/penalty", now.penalty, now.step)
        writer.add_scalar("speed/tokens_per_s", now.tokens_per_s, now.step)
        if now.look is not None and now.look != seen[0]:
            seen[0] = now.look
            for name, loss in now.look.losses.items():
                writer.add_scalar(f"loss/{name}", loss, now.look.step)

    try:
        yield told
    finally:
        writer.close()
