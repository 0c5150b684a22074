"""What plates look like anywhere: shapes, lines, small print and bands of plates of no country in particular.

Where no crops, or few, tell what a country's plates look like, and in part where they do, plates are drawn with looks
of these. They vary in what the plates of the world vary in: a long plate with nothing but its number; a month, a
country or a slogan in small letters under, over or on both sides of it; a band along the upper edge; two lines as high
as each other, or the upper one smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lpr_e2e.drawing.plate_surface import any_colours
from lpr_e2e.drawing.style import Colour, PlateLook

# What stands beside a single line of characters, and how often.
_KINDS = ("nothing", "small print below", "small print above", "small print on both sides", "band above")
_ODDS = (0.5, 0.17, 0.11, 0.11, 0.11)
# Where characters part: as their kinds change, after any of them, nowhere.
_PARTED, _PARTED_ODDS = ("by kind", "anywhere", "nowhere"), (0.6, 0.25, 0.15)
_BANDS = ((20, 50, 150), (15, 35, 90), (180, 25, 30), (20, 110, 60), (240, 190, 30), (30, 30, 35), (235, 235, 235))


def any_look(length: int, breaks: Sequence[int], two_lines: float, rng: np.random.Generator) -> PlateLook:
    """A look of plates of no country in particular.

    Args:
        length: how many characters the plate has.
        breaks: after how many of them a line may end.
        two_lines: share of the looks with two lines, where there is such a place.
        rng: decides.
    """
    kind = str(rng.choice(_KINDS, p=_ODDS))
    pieces: tuple[int, ...] = (length,)
    if breaks and rng.random() < two_lines:
        kind = "nothing"
        first = int(breaks[rng.integers(len(breaks))])
        pieces, lines, aspect = (first, length - first), _two_lines(rng), rng.uniform(1.1, 2.0)
    else:
        lines = (_line(kind, rng),)
        most = 5.2 if kind == "nothing" else 4.0
        aspect = rng.uniform(1.8, most) if length > 4 else rng.uniform(1.4, 3.6)
    ground, paint = any_colours(False, rng)
    return PlateLook(
        ground=_colour(ground),
        paint=_colour(paint),
        aspect=float(aspect),
        lines=lines,
        above=_colour(_BANDS[rng.integers(len(_BANDS))]) if kind == "band above" else None,
        below=None,
        small_above=kind in ("small print above", "small print on both sides", "band above"),
        small_below=kind in ("small print below", "small print on both sides"),
        length=length,
        gaps=_gaps(length, pieces, rng),
        pieces=pieces,
    )


def line_breaks(length: int, look: PlateLook) -> list[int]:
    """Where the lines of a text of so many characters begin and end on a plate of this look."""
    if len(look.lines) < 2 or length < 2 or not sum(look.pieces):
        return [0, length]
    first = round(length * look.pieces[0] / sum(look.pieces))
    return [0, int(np.clip(first, 1, length - 1)), length]


def _line(kind: str, rng: np.random.Generator) -> tuple[float, float]:
    """Centre and height of the only line of characters, shares of the plate's height."""
    if kind == "nothing":
        return 0.5 + float(rng.normal(0, 0.015)), float(np.clip(rng.normal(0.62, 0.07), 0.45, 0.8))
    if kind == "small print on both sides":
        return float(rng.uniform(0.47, 0.53)), float(rng.uniform(0.38, 0.52))
    from_the_edge, height = float(rng.uniform(0.37, 0.45)), float(rng.uniform(0.42, 0.6))
    return (from_the_edge if kind == "small print below" else 1 - from_the_edge), height


def _two_lines(rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Centres and heights of two lines: as high as each other, or the upper one smaller."""
    letters, gap = rng.uniform(0.56, 0.72), rng.uniform(0.06, 0.12)
    upper = letters * (0.5 if rng.random() < 0.6 else rng.uniform(0.35, 0.48))
    lower, top = letters - upper, (1 - letters - gap) / 2 + rng.normal(0, 0.01)
    return (float(top + upper / 2), float(upper)), (float(top + upper + gap + lower / 2), float(lower))


def _gaps(length: int, pieces: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...] | None:
    """After how many characters there is a gap or the line ends; None: as their kinds change."""
    parted = str(rng.choice(_PARTED, p=_PARTED_ODDS))
    if parted == "by kind":
        return None
    ends = {pieces[0]} if len(pieces) > 1 else set()
    if parted == "anywhere" and length > 2:
        ends |= {int(rng.integers(1, length)) for _ in range(int(rng.integers(1, 3)))}
    return tuple(sorted(ends))


def _colour(colour: Sequence[float] | np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue
