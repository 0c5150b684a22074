"""The shapes of characters: masks rendered once per font, from which plates are composed.

The fonts come from `fontpkg-*` packages, all under the SIL Open Font License 1.1, and where these lack a character,
from the machine. Characters of different scripts may come from different fonts: they are brought to one height.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from fontpkg.pil import truetype
from PIL import Image, ImageDraw, ImageFont, features

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.fonts import Face, brought_along, face_of_file, system_faces
from lpr_e2e.common.scripts import right_to_left, script
from lpr_e2e.drawing.faces import ANY_FACES, ARABIC_FACES, FACES, SCRIPT_FACES, Faces

# What is as high as a digit beside it: Chinese characters are drawn as high as digits, Arabic letters as their digits.
REFERENCES = {
    "ARABIC": "١1ا",
    "CJK": "国",
    "HANGUL": "한",
    "CYRILLIC": "Н",
    "GREEK": "Η",
    "HEBREW": "ה",
    "THAI": "ก",
    "DEVANAGARI": "क",
}
# Fonts draw these characters about as wide as high; on plates they stand in a letter's place, often half as wide.
SQUARE_SCRIPTS = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA")
SQUARE_WIDTHS = (0.5, 0.65, 0.8, 1.0)  # of the width in the font; each on as many plates
# Letters that half of the plates with letters apart show in another form than alone: heh as at the beginning of a word,
# because alone it is like the five. An invisible joiner behind it does that.
OTHER_FORMS = {"ه": "ه\u200d"}
MOST_SYSTEM_FACES = 6  # of the machine, for one script: more would take long to render
NAMED_SHARE = 0.5  # of plates drawn with a font that somebody named, where others have the characters as well
STROKE_LIKENESS = 0.15  # ratio of strokes, as a logarithm, at which two scripts' faces go together e times less often
# Digits drawn with round strokes as well, as cut and painted ones are: stroke per height, 6 and 9 with a straight stem.
STROKES = ((0.11, False), (0.13, True), (0.14, False), (0.16, True), (0.17, False), (0.2, False))
STROKE_SHARE = 0.35  # share of plates with these digits, where the texts have no letters to match
GLYPH_HEIGHT = 72  # pixels of a cached capital: more than most that are drawn, so that resizing mostly shrinks


class Alphabet(NamedTuple):
    """One way to draw characters.

    Attributes:
        masks: a character (with the marks that belong to it) to its mask, uint8 `(rows, width)`. A digit or capital has
            GLYPH_HEIGHT rows, from the baseline to its top; what reaches higher or lower has as many rows more above
            as below, so that the middle row is the same for all.
        face: the font of the right-to-left letters, to draw them joined; None if there are none.
    """

    masks: dict[str, np.ndarray]
    face: Face | None = None


@dataclass
class _Ways:
    """The ways to draw the characters of one script: how often each is used, and its stroke in character heights.

    `fonts` are the names of the first fonts that have the characters.
    """

    alphabets: list[Alphabet]
    odds: np.ndarray
    strokes: np.ndarray
    fonts: dict[str, str] = field(default_factory=dict)


class Alphabets:
    """Every way to draw these characters: each script by one of the fonts that have its letters.

    Args:
        characters: to be drawn; each may have marks that belong to it.
        fonts: files that come first: what they have, they draw on half of the plates, and on all if no other font
            draws that script.
        learned: what characters look like on real plates, see `lpr_e2e.drawing.letters.Looks`.
        learned_share: share of the plates that show these; a character without one is drawn by a font there, too.
        faces: what Latin letters and digits are drawn with, see `lpr_e2e.drawing.faces`.

    Attributes:
        undrawable: the characters that no font on this machine has.
        drawn_by: the others, each with the name of the first font that draws it.

    Raises:
        UserError: one of `fonts` cannot be read.
    """

    def __init__(
        self,
        characters: Sequence[str],
        fonts: Sequence[str | Path] = (),
        learned: Mapping[str, Sequence[np.ndarray]] | None = None,
        learned_share: float = 0.0,
        faces: Faces = ANY_FACES,
    ):
        named = [face for path in fonts for face in _weights(face_of_file(path))]
        scripts: dict[str, list[str]] = {"": []}
        for one in characters:
            scripts.setdefault(script(one[0]).replace("LATIN", ""), []).append(one)
        ways = {
            name: _ways_of(name, members, named, SCRIPT_FACES.get(name, FACES) if name else faces)
            for name, members in scripts.items()
            if members
        }
        drawn = {one for group in ways.values() for one in group.alphabets[0].masks} if ways else set()
        self.undrawable = frozenset(characters) - drawn
        self.drawn_by = {one: name for group in ways.values() for one, name in group.fonts.items() if one in drawn}
        if not named and set(characters) <= set("0123456789") and characters:
            shares = np.full(len(STROKES), STROKE_SHARE / len(STROKES))
            ways[""].alphabets += [Alphabet(_stroke_digits(thickness, straight)) for thickness, straight in STROKES]
            ways[""].odds = np.concatenate([(1 - STROKE_SHARE) * ways[""].odds, shares])
        self._ways = list(ways.values())
        self._learned = {one: masks for one, masks in (learned or {}).items() if one in drawn}
        self._learned_share = learned_share

    def choose(self, rng: np.random.Generator) -> Alphabet:
        """One way to draw all of the characters; the scripts' strokes are about as bold."""
        chosen, learned = self._of_fonts(rng), bool(self._learned) and rng.random() < self._learned_share
        looks = {one: masks[rng.integers(len(masks))] for one, masks in self._learned.items()} if learned else {}
        return chosen._replace(masks=chosen.masks | looks)

    def _of_fonts(self, rng: np.random.Generator) -> Alphabet:
        if not self._ways:
            return Alphabet({})
        first, *others = self._ways
        index = rng.choice(len(first.alphabets), p=first.odds)
        if not others:
            return first.alphabets[index]
        chosen, face = dict(first.alphabets[index].masks), first.alphabets[index].face
        for ways in others:
            bolder = np.abs(np.log(ways.strokes / first.strokes[index]))
            odds = ways.odds * np.exp(-bolder / STROKE_LIKENESS)
            alphabet = ways.alphabets[rng.choice(len(odds), p=odds / odds.sum())]
            chosen |= alphabet.masks
            face = alphabet.face or face
        return Alphabet(chosen, face)


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


@lru_cache(maxsize=4096)
def joined_word(letters: str, face: Face) -> np.ndarray:
    """Right-to-left letters joined into one mask, uint8 `(rows, width)`, its rows as in `Alphabet`."""
    font = face.font(GLYPH_HEIGHT * 2)
    page = _mask(letters, font, direction="rtl")
    return _cut(page, _reference_rows(font, face, script(letters[0]), [page]))


def joins_letters() -> bool:
    """Whether Pillow can join letters here."""
    return bool(features.check("raqm"))


def _weights(face: Face) -> list[Face]:
    """A face in the weights that plates have, if its font is variable."""
    try:
        axes = face.font(GLYPH_HEIGHT).get_variation_axes()
    except (OSError, NotImplementedError):
        return [face]
    return [replace(face, weight=weight) for weight in (500, 700)] if axes else [face]


def _ways_of(name: str, characters: list[str], named: Sequence[Face], usual: Faces) -> _Ways:
    """The ways to draw characters of one script, by named faces and the usual ones of this script.

    What a face lacks comes from another one. A character that none has is left out.
    """
    brought = [(brought_along(family, weight), share) for family, weight, share in usual]
    sources = [[(face, 1.0) for face in named], [(face, share) for face, share in brought if face]]
    lacking = [one for one in characters if not any(face.has(one) for source in sources for face, _ in source)]
    if lacking:
        system = [(face, 1.0) for face in system_faces() if any(face.has(one) for one in lacking)]
        # The fonts that have most; among them those most like plates.
        system.sort(key=lambda one: -sum(one[0].has(character) for character in lacking))
        sources.append(system[:MOST_SYSTEM_FACES])
    faces = [face for source in sources for face, _ in source]
    drawable = [one for one in characters if any(face.has(one) for face in faces)]
    if not drawable:
        return _Ways([Alphabet({})], np.ones(1), np.ones(1))
    leading = _leading(sources, drawable)
    alphabets = [_alphabet(face, faces, drawable, name) for face, _ in leading]
    # What one of them shows too faintly, another one lends it.
    any_of: dict[str, np.ndarray] = {}
    for alphabet in alphabets[::-1]:
        any_of |= alphabet.masks
    for alphabet in alphabets:
        alphabet.masks.update({one: mask for one, mask in any_of.items() if one not in alphabet.masks})
    shares = [share for _, share in leading]
    if set(OTHER_FORMS) & set(drawable) and joins_letters():
        alphabets += [_with_other_forms(one, face) for one, (face, _) in zip(alphabets, leading, strict=True)]
        shares = [*shares, *shares]
    if name in SQUARE_SCRIPTS:
        alphabets = [_narrowed(alphabet, width) for width in SQUARE_WIDTHS for alphabet in alphabets]
        shares = [*shares] * len(SQUARE_WIDTHS)
    strokes = np.array([_stroke(alphabet.masks.values()) for alphabet in alphabets])
    order = [*(face for face, _ in leading), *faces]
    fonts = {one: next(face.name for face in order if face.has(one)) for one in drawable}
    return _Ways(alphabets, _odds(shares), strokes, fonts)


def _with_other_forms(alphabet: Alphabet, face: Face) -> Alphabet:
    """The alphabet with the other forms of its letters, as far as the face has them."""
    font = face.font(GLYPH_HEIGHT * 2)
    pages = {one: _mask(form, font) for one, form in OTHER_FORMS.items() if one in alphabet.masks and face.has(one)}
    forms = {
        one: _cut(page, _reference_rows(font, face, script(one), [page])) for one, page in pages.items() if page.any()
    }
    return Alphabet(alphabet.masks | forms, alphabet.face)


def _narrowed(alphabet: Alphabet, width: float) -> Alphabet:
    """The alphabet with all characters this share as wide."""
    sizes = {one: (max(2, round(mask.shape[1] * width)), mask.shape[0]) for one, mask in alphabet.masks.items()}
    return Alphabet({one: cv2.resize(alphabet.masks[one], size) for one, size in sizes.items()}, alphabet.face)


def _leading(sources: list[list[tuple[Face, float]]], drawable: list[str]) -> list[tuple[Face, float]]:
    """The faces to begin with: named ones, half of the time, and of the first source that has some those with all of
    the characters; if no face has all, those that have most."""
    named = [(face, share) for face, share in sources[0] if any(face.has(one) for one in drawable)]
    complete: list[tuple[Face, float]] = []
    for source in sources[1:]:
        complete = complete or [(face, share) for face, share in source if all(face.has(one) for one in drawable)]
    if named and complete:
        per_share = NAMED_SHARE / (1 - NAMED_SHARE) * sum(share for _, share in complete) / len(named)
        return [(face, per_share) for face, _ in named] + complete
    if named or complete:
        return named or complete
    having = [(sum(face.has(one) for one in drawable), face, share) for source in sources for face, share in source]
    most = max(count for count, _, _ in having)
    return [(face, share) for count, face, share in having if count == most]


def _alphabet(leading: Face, faces: Sequence[Face], characters: Sequence[str], name: str) -> Alphabet:
    """The characters of one script drawn by a face, those it lacks by the first of the others that has them."""
    by_face: dict[Face, list[str]] = {}
    for character in characters:
        by_face.setdefault(next(face for face in (leading, *faces) if face.has(character)), []).append(character)
    masks: dict[str, np.ndarray] = {}
    for face, members in by_face.items():
        masks |= _masks(face, members, name)
    return Alphabet(masks, leading if any(right_to_left(one[0]) for one in characters) else None)


def _masks(face: Face, characters: Sequence[str], name: str) -> dict[str, np.ndarray]:
    """The masks of characters by one face.

    Latin letters and digits that reach higher or lower than others are fitted into the same rows together; in other
    scripts each character keeps its own height, as high as the reference character of its script or higher.
    """
    pages = {character: _page(character, face) for character in characters}
    pages = {character: page for character, page in pages.items() if page.max(initial=0) > 127}
    if not pages:
        return {}
    if not name and any(one.isalnum() for one in pages):
        rows = np.flatnonzero(np.max([page.max(1) for page in pages.values()], 0) > 127)
        return {character: _fitted(page[rows[0] : rows[-1] + 1]) for character, page in pages.items()}
    rows = _reference_rows(face.font(GLYPH_HEIGHT * 2), face, name, list(pages.values()))
    return {character: _cut(page, rows) for character, page in pages.items()}


@lru_cache(maxsize=4096)
def _page(character: str, face: Face) -> np.ndarray:
    """A character's page, see `_mask`, cut to its columns. Painters of many texts have most characters in common."""
    page = _mask(character, face.font(GLYPH_HEIGHT * 2))
    columns = np.flatnonzero(page.max(0))
    return page[:, columns[0] : columns[-1] + 1].copy() if columns.size else page[:, :0]


def _reference_rows(font: ImageFont.FreeTypeFont, face: Face, name: str, pages: list[np.ndarray]) -> tuple[int, int]:
    """The first row and the row behind the last one that stand for the height of a digit."""
    reference = next((one for one in (*REFERENCES.get(name, ()), "0") if face.has(one)), None)
    ink = _mask(reference, font).max(1) if reference else np.max([page.max(1) for page in pages], 0)
    rows = np.flatnonzero(ink > 127)
    return int(rows[0]), int(rows[-1]) + 1


def _cut(page: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
    """A page cut to its ink's columns and to these rows, with as much more above as below as the ink needs."""
    ink, columns = np.flatnonzero(page.max(1) > 127), np.flatnonzero(page.max(0) > 127)
    more = max(0, rows[0] - int(ink[0]), int(ink[-1]) + 1 - rows[1])
    page = np.pad(page[:, columns[0] : columns[-1] + 1], ((more, more), (0, 0)))[rows[0] : rows[1] + 2 * more]
    scale = GLYPH_HEIGHT / (rows[1] - rows[0])
    size = (max(2, round(page.shape[1] * scale)), max(2, round(page.shape[0] * scale)))
    return cv2.resize(page, size, interpolation=cv2.INTER_AREA)


def _stroke(masks: Iterable[np.ndarray]) -> float:
    """The mean width of the strokes, in heights of a digit: a strip's mean distance to its edge is a quarter of it."""
    widths = []
    for mask in masks:
        ink = np.pad((mask > 127).astype("uint8"), 1)
        distances = cv2.distanceTransform(ink, cv2.DIST_L2, 3)[ink > 0]
        widths.append(4 * float(distances.mean()) / GLYPH_HEIGHT if distances.size else 0.1)
    return float(np.mean(widths))


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
