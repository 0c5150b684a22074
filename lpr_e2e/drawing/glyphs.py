"""The shapes of characters: masks rendered once per font, from which plates are composed.

The fonts come from `fontpkg-*` packages, all under the SIL Open Font License 1.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from fontpkg.pil import truetype
from PIL import Image, ImageDraw, ImageFont, features

from lpr_e2e.common.errors import UserError

# Family, weight, how often it is drawn. Narrow, straight-sided faces near DIN 1451, which most plates use.
FACES = (
    ("barlow", 400, 1.0),
    ("barlow", 500, 2.0),
    ("barlow", 600, 2.5),
    ("barlow-condensed", 500, 2.0),
    ("barlow-condensed", 600, 3.0),
    ("barlow-condensed", 700, 1.5),
    ("saira-condensed", 500, 1.0),
    ("saira-condensed", 700, 1.0),
    ("rajdhani", 600, 0.7),
    ("rajdhani", 700, 1.0),
)
ARABIC_FACES = (
    ("amiri", 400, 3.0),
    ("amiri", 700, 4.0),
    ("noto-sans-arabic", 500, 0.8),
    ("noto-sans-arabic", 700, 0.8),
    ("noto-kufi-arabic", 500, 0.5),
)
# Digits drawn with round strokes as well, as cut and painted ones are: stroke per height, 6 and 9 with a straight stem.
STROKES = ((0.11, False), (0.13, True), (0.14, False), (0.16, True), (0.17, False), (0.2, False))
STROKE_SHARE = 0.35  # share of plates with these digits, where the texts have no letters to match
GLYPH_HEIGHT = 72  # pixels of a cached capital: more than most that are drawn, so that resizing mostly shrinks


def alphabets(characters: Sequence[str]) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Every way to draw these characters, and how often each is to be used, float `(ways,)` of sum 1.

    A way maps a character to its mask, uint8 `(GLYPH_HEIGHT, width)`, whose rows are the same for all characters.

    Raises:
        ValueError: no font has all of the characters.
    """
    drawn, odds = _font_alphabets(characters)
    if set(characters) <= set("0123456789"):
        drawn += [_stroke_digits(thickness, straight) for thickness, straight in STROKES]
        odds = np.concatenate([(1 - STROKE_SHARE) * odds, np.full(len(STROKES), STROKE_SHARE / len(STROKES))])
    return drawn, odds


def word_sets(words: dict[str, str]) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Per Arabic face, each mark's word as a uint8 mask of GLYPH_HEIGHT rows, cut to its ink; and the faces' odds.

    Args:
        words: mark in the text to the word on the plate, for example `{"T": "تونس"}`.

    Raises:
        UserError: Pillow lacks raqm, without which Arabic letters are not joined.
    """
    if not features.check("raqm"):
        raise UserError(
            "Pillow has no raqm, so Arabic letters would stand alone and in the wrong order. "
            "Pillow's wheels bring raqm, but need the system's FriBiDi: install libfribidi0 (Debian, Ubuntu) or fribidi"
        )
    sets = []
    for family, weight, _ in ARABIC_FACES:
        font = truetype(family, GLYPH_HEIGHT * 2, weight, nearest=True)
        pages = {mark: _mask(word, font, direction="rtl", language="ar") for mark, word in words.items()}
        rows = {mark: np.flatnonzero(page.max(1) > 127) for mark, page in pages.items()}
        sets.append({mark: _fitted(page[rows[mark][0] : rows[mark][-1] + 1]) for mark, page in pages.items()})
    return sets, _odds([share for _, _, share in ARABIC_FACES])


def _mask(text: str, font: ImageFont.FreeTypeFont, **shaping: str) -> np.ndarray:
    """The text as a uint8 mask on a page with room around; its baseline is at the same row for every text."""
    page = Image.new("L", (int(font.size * (len(text) + 2)), int(font.size * 3)), 0)
    ImageDraw.Draw(page).text((font.size, font.size * 2), text, font=font, fill=255, anchor="ls", **shaping)
    return np.asarray(page)


def _font_alphabets(characters: Sequence[str]) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Per face, the masks of the characters, uint8 `(GLYPH_HEIGHT, width)` from the baseline to a digit's top.

    Letters that reach higher or lower are fitted into the same rows together. A face that lacks a character is left
    out.
    """
    alphabets, weights, lacking = [], [], set(characters)
    for family, weight, share in FACES:
        font = truetype(family, GLYPH_HEIGHT * 2, weight, nearest=True)
        absent = _mask("\U000fffff", font)
        pages = {character: _mask(character, font) for character in characters}
        missing = {character for character, page in pages.items() if np.array_equal(page, absent) or not page.any()}
        lacking &= missing
        if missing:
            continue
        rows = np.flatnonzero(np.max([page.max(1) for page in pages.values()], 0) > 127)
        alphabets.append({character: _fitted(page[rows[0] : rows[-1] + 1]) for character, page in pages.items()})
        weights.append(share)
    if not alphabets:
        raise UserError(
            f"texts: no installed font has all characters of {''.join(characters)!r}; none at all has "
            f"{''.join(sorted(lacking))!r}. Install a font that has them and add it to FACES in glyphs.py"
        )
    return alphabets, _odds(weights)


def _stroke_digits(thickness: float, straight: bool) -> dict[str, np.ndarray]:
    """Digits as round strokes, uint8 `(GLYPH_HEIGHT, width)`; `thickness` per height, `straight` stems of 6 and 9."""

    def arc(y: float, radius_y: float, start: float, end: float, radius_x: float = 0.5) -> list[tuple[float, float]]:
        angles = np.deg2rad(np.linspace(start, end, 25))
        return list(zip(0.5 + radius_x * np.cos(angles), y + radius_y * np.sin(angles), strict=True))

    curved_six = [*arc(0.27, 0.27, 330, 180), *arc(0.69, 0.31, 180, -180)]
    six = [(0.78, 0.0), *arc(0.68, 0.32, 205, 565)] if straight else curved_six
    # Lines of points (x, y), from the top left corner (0, 0) to the bottom right one (1, 1).
    digits = {
        "0": [[*arc(0.27, 0.27, 180, 360), *arc(0.73, 0.27, 0, 180), (0.0, 0.27)]],
        "1": [[(0.0, 0.24), (1.0, 0.0), (1.0, 1.0)]],
        "2": [[*arc(0.27, 0.27, 185, 395), (0.0, 1.0), (1.0, 1.0)]],
        "3": [[*arc(0.25, 0.25, 195, 450, 0.47), *arc(0.74, 0.26, -90, 165)]],
        "4": [[(0.58, 0.0), (0.0, 0.74), (1.0, 0.74)], [(0.74, 0.48), (0.74, 1.0)]],
        "5": [[(0.93, 0.0), (0.14, 0.0), (0.06, 0.5), *arc(0.67, 0.33, 222, 510)]],
        "6": [six],
        "7": [[(0.0, 0.0), (1.0, 0.0), (0.35, 1.0)]],
        "8": [arc(0.24, 0.24, 0, 360, 0.44), arc(0.74, 0.26, 0, 360)],
        "9": [[(1 - x, 1 - y) for x, y in six]],
    }
    height = GLYPH_HEIGHT * 4
    stroke = thickness * height
    glyphs = {}
    for digit, lines in digits.items():
        width = height * (0.27 if digit == "1" else 0.52)
        page = np.zeros((height, round(width)), "uint8")
        scale, shift = np.array([width - stroke - 2, height - stroke - 2]), stroke / 2
        for line in lines:
            points = np.round(np.array(line) * scale + shift).astype("int32")[:, None]
            cv2.polylines(page, [points], False, 255, round(stroke), cv2.LINE_AA)
        glyphs[digit] = _fitted(page)
    return glyphs


def _fitted(page: np.ndarray) -> np.ndarray:
    """A page cut to its ink's columns and resized to GLYPH_HEIGHT rows."""
    columns = np.flatnonzero(page.max(0) > 127)
    page = page[:, columns[0] : columns[-1] + 1]
    width = max(2, round(page.shape[1] * GLYPH_HEIGHT / page.shape[0]))
    return cv2.resize(page, (width, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA)


def _odds(weights: Sequence[float]) -> np.ndarray:
    return np.array(weights, "float64") / sum(weights)
