"""The letters of a plate: how they are set in lines, groups and cells, and stamped into its ink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from lpr_e2e.drawing.glyphs import GLYPH_HEIGHT

# What characters look like on real plates: each has one mask, uint8 `(GLYPH_HEIGHT, width)`, or several, if plates are
# set in several typefaces.
Looks = Mapping[str, Sequence[np.ndarray]]
# The share of plates with a mark between two groups that is no part of the text; and what these marks are, how often.
SEPARATED = 0.35
_MARKS, _MARK_ODDS = ("dot", "bar", "dash", "seal"), (0.4, 0.2, 0.2, 0.2)


class Group(list):
    """The glyph masks of one group of characters; a word's mask is higher than a digit's and keeps its own shape.

    Args:
        glyphs: from left to right.
        places: of each glyph, which of the text's clusters it shows, by their numbers: several, if it is a word of
            joined letters, and none, if it is no part of the text.
        word: whether its one glyph is a word.
    """

    def __init__(self, glyphs: Iterable[np.ndarray], places: Iterable[tuple[int, ...]], word: bool = False):
        super().__init__(glyphs)
        self.places, self.word = tuple(places), word


class Lettering:
    """How one plate's characters are set: size, width, spacing. Lengths in plate pixels."""

    def __init__(self, size: float, rng: np.random.Generator):
        self.size = size
        self.stretch = float(np.clip(rng.normal(1.05, 0.13), 0.8, 1.5))
        self.tracking = size * (rng.uniform(0.06, 0.2) if rng.random() < 0.85 else rng.uniform(0.2, 0.5))
        self.gap = size * rng.uniform(0.08, 0.65)
        self.spread = rng.random() < 0.35  # Numbers near the plate's ends, instead of all packed in the middle.
        self.cells = rng.random() < 0.45  # Every character takes the same width, so a 1 stands alone.
        self.word_size = size * rng.uniform(0.82, 1.15)
        self.word_stretch = rng.uniform(0.8, 1.2)
        self.uneven = rng.uniform(0, 0.06) if rng.random() < 0.5 else 0.0

    def draw(
        self, ink: np.ndarray, groups: list[Group], centre: float, margin: float, rng: np.random.Generator
    ) -> list[tuple[tuple[int, ...], tuple[float, float, float, float]]]:
        """Draw one line of groups into the ink mask, in place, around this height, between these margins.

        Returns:
            of each glyph what it shows, see `Group`, and its box, yxyx.
        """
        drawn = []
        boxes = [[self._box(glyph, group.word, rng) for glyph in group] for group in groups]
        gaps = [self.gap * rng.uniform(0.7, 1.3) for _ in groups[1:]]
        lengths = [sum(cell for _, _, cell in group) + self.tracking * (len(group) - 1) for group in boxes]
        available = ink.shape[1] - 2 * margin
        squeeze = min(1.0, available / (sum(lengths) + sum(gaps)))
        free = available - squeeze * (sum(lengths) + sum(gaps))
        if self.spread and gaps:
            shares = rng.uniform(0.6, 1.0) * rng.dirichlet([12.0] * len(gaps))
            gaps = [gap + free * share for gap, share in zip(gaps, shares, strict=True)]
            free -= free * sum(shares)
        left = margin + free * (0.5 + rng.normal(0, 0.1))
        for group, row, gap in zip(groups, boxes, [*gaps, 0.0], strict=True):
            drop = self.size * (rng.uniform(-0.06, 0.12) if group.word else 0)
            for glyph, places, (height, width, cell) in zip(group, group.places, row, strict=True):
                shift = rng.normal(0, self.uneven) * self.size
                x, y, wide = left + squeeze * (cell / 2 + shift), centre + drop + shift * 0.4, squeeze * width
                _stamp(ink, glyph, y, x, height, wide)
                drawn.append((places, (y - height / 2, x - wide / 2, y + height / 2, x + wide / 2)))
                left += squeeze * (cell + self.tracking)
            left += squeeze * (gap - self.tracking)
        return drawn

    def _box(self, glyph: np.ndarray, word: bool, rng: np.random.Generator) -> tuple[float, float, float]:
        """Height and width of a glyph as drawn, and the width of the cell it stands in."""
        if word:
            width = glyph.shape[1] * self.word_size / glyph.shape[0] * self.word_stretch
            return self.word_size, width, width
        width = glyph.shape[1] * self.size / GLYPH_HEIGHT * self.stretch * (1 + rng.normal(0, self.uneven / 2))
        height = self.size * (glyph.shape[0] / GLYPH_HEIGHT)
        return height, width, max(width, 0.5 * self.size * self.stretch) if self.cells else width


def highest(groups: Sequence[Group]) -> float:
    """The height of the highest glyph of a line, words left out, in heights of a digit."""
    return max((glyph.shape[0] / GLYPH_HEIGHT for group in groups if not group.word for glyph in group), default=1.0)


def separated(groups: list[Group], rng: np.random.Generator) -> list[Group]:
    """The groups of a line, with a mark between two of them on some plates: a dot, a bar, a dash, a round seal."""
    if len(groups) < 2 or rng.random() >= SEPARATED:
        return groups
    kind = str(rng.choice(_MARKS, p=_MARK_ODDS))
    if kind == "bar":
        mark = np.full((int(GLYPH_HEIGHT * rng.uniform(1.2, 1.6)), int(rng.integers(3, 8))), 255, "uint8")
    elif kind == "dash":
        mark = np.zeros((GLYPH_HEIGHT, int(GLYPH_HEIGHT * rng.uniform(0.2, 0.4))), "uint8")
        thick = int(rng.integers(6, 12))
        mark[(GLYPH_HEIGHT - thick) // 2 :][:thick] = 255
    else:
        radius = int(GLYPH_HEIGHT * (rng.uniform(0.05, 0.1) if kind == "dot" else rng.uniform(0.2, 0.45)))
        mark = np.zeros((GLYPH_HEIGHT, 2 * radius + 2), "uint8")
        middle = (radius + 1, int(GLYPH_HEIGHT * rng.uniform(0.4, 0.6)))
        ring = kind == "seal" and rng.random() < 0.5
        shade = 255 if ring or kind == "dot" else int(rng.integers(80, 256))
        cv2.circle(mark, middle, radius, shade, 3 if ring else -1, cv2.LINE_AA)
    place = int(rng.integers(1, len(groups)))
    return [*groups[:place], Group([mark], [()], word=True), *groups[place:]]


def slanted(ink: np.ndarray, shear: float) -> np.ndarray:
    """The ink leaning to the right by so many pixels per pixel of height."""
    matrix = np.array([[1, -shear, shear * ink.shape[0] / 2], [0, 1, 0]])
    return cv2.warpAffine(ink, matrix, ink.shape[::-1], flags=cv2.INTER_LINEAR)


def contrast(ink: np.ndarray, threshold: float) -> np.ndarray:
    """The ink with steep edges at this share of full ink."""
    levels = np.clip((np.arange(256) / 255 - threshold) * 3 + 0.5, 0, 1)
    return cv2.LUT(ink, (levels * 255).astype("uint8"))


def _stamp(ink: np.ndarray, glyph: np.ndarray, y: float, x: float, height: float, width: float) -> None:
    """Add a glyph, resized, around the point `(y, x)` of the ink mask, in place; what lies outside is cut off."""
    rows, columns = max(2, round(height)), max(2, round(width))
    top, left = round(y - height / 2), round(x - width / 2)
    resized = cv2.resize(glyph, (columns, rows), interpolation=cv2.INTER_AREA)
    clip_top, clip_left = max(0, -top), max(0, -left)
    part = ink[max(0, top) : top + rows, max(0, left) : left + columns]
    np.maximum(part, resized[clip_top : clip_top + part.shape[0], clip_left : clip_left + part.shape[1]], out=part)
