"""Texts of any script on pictures: with fonts that have their letters, right-to-left texts as they are read.

Pillow shapes and orders letters with raqm, where it has that; without it Arabic letters stand apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from lpr_e2e.common.fonts import Face, brought_along, system_faces
from lpr_e2e.common.scripts import clusters, reads_from_the_right, right_to_left, visual_order

# The families that come along and what they are for: Latin letters are Pillow's own font's.
_FAMILIES = (
    "roboto-condensed",
    "noto-sans-arabic",
    "noto-sans-devanagari",
    "noto-sans-thai",
    "heebo",
)
_WEIGHT = 500

Colour = tuple[int, int, int]


def write_text(
    picture: ImageDraw.ImageDraw | np.ndarray,
    text: str | Sequence[str],
    xy: tuple[float, float],
    size: float,
    colour: Colour,
    outline: Colour | None = None,
) -> None:
    """Write a text into a picture, in place.

    Args:
        picture: uint8 RGB `(h, w, 3)`, or Pillow's drawing of one.
        text: in logical order. Several texts stand one behind the other from left to right, each in its own order.
        xy: left end of the text, and the middle between the top of its capitals and its baseline, pixels.
        size: of the font, pixels.
        colour: RGB.
        outline: colour of an edge round the letters, to be read on light and dark; None: no edge.
    """
    if isinstance(picture, np.ndarray):
        page = Image.fromarray(picture)
        write_text(ImageDraw.Draw(page), text, xy, size, colour, outline)
        picture[:] = np.asarray(page)
        return
    left = xy[0]
    baseline = xy[1] + _capital_height(size) / 2
    edge = max(1, round(size / 12)) if outline else 0
    for part, font, direction in _parts(text, size):
        picture.text(
            (left, baseline),
            part,
            font=font,
            fill=colour,
            anchor="ls",
            stroke_width=edge,
            stroke_fill=outline,
            direction=direction,
        )
        left += font.getlength(part, direction=direction)


def text_size(text: str | Sequence[str], size: float) -> tuple[float, float, float]:
    """Width of a text at a font size, and how far it reaches above and below the middle that `write_text` takes."""
    width, above, below = 0.0, _capital_height(size) / 2, _capital_height(size) / 2
    for part, font, direction in _parts(text, size):
        _, top, _, bottom = font.getbbox(part, anchor="ls", direction=direction)
        above, below = max(above, -top - _capital_height(size) / 2), max(below, bottom + _capital_height(size) / 2)
        width += font.getlength(part, direction=direction)
    return width, above, below


def _parts(text: str | Sequence[str], size: float) -> Iterator[tuple[str, ImageFont.FreeTypeFont, str | None]]:
    """What is drawn in one go, from left to right: letters of one direction and font."""
    for one in [text] if isinstance(text, str) else text:
        runs = [
            (from_the_right, "".join(run))
            for from_the_right, run in groupby(clusters(one), lambda part: right_to_left(part[0]))
        ]
        for from_the_right, run in runs[::-1] if reads_from_the_right(one) else runs:
            parts = [(face, "".join(part)) for face, part in groupby(clusters(run), _face_of)]
            for face, part in parts[::-1] if from_the_right else parts:
                if not face.path or not _raqm():  # Pillow's own font is never shaped.
                    yield "".join(visual_order(part)), _font(face, size), None
                else:
                    yield part, _font(face, size), "rtl" if from_the_right else "ltr"


@lru_cache(maxsize=1)
def _raqm() -> bool:
    return bool(features.check("raqm"))


@lru_cache(maxsize=4096)
def _face_of(part: str) -> Face:
    """The first font that has a character with its marks; Pillow's own if none has it."""
    own = Face("")
    if own.has(part):  # Nearly always: no other font is looked for then.
        return own
    brought = (brought_along(family, _WEIGHT) for family in _FAMILIES)
    faces = itertools.chain((face for face in brought if face), _system_faces())
    return next((face for face in faces if face.has(part)), own)


def _system_faces() -> Iterator[Face]:
    """The machine's fonts, looked for only when they are needed."""
    yield from system_faces()


def font_families(text: str) -> list[str]:
    """Names of the font families that show a text, for programs that take a list of them, after their default."""
    names = []
    for part in clusters(text):
        face = _face_of(part)
        if face.path and (name := face.font(16).getname()[0]) and name not in names:
            names.append(name)
    return names


def font_files(text: str) -> list[str]:
    """The files of the fonts that show a text, Pillow's own left out."""
    return list(dict.fromkeys(face.path for part in clusters(text) if (face := _face_of(part)).path))


@lru_cache(maxsize=64)
def _font(face: Face, size: float) -> ImageFont.FreeTypeFont:
    return face.font(size)


@lru_cache(maxsize=64)
def _capital_height(size: float) -> float:
    return -_font(Face(""), size).getbbox("H", anchor="ls")[1]
