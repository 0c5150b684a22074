"""Synthetic licence plates: upright, frontal, tight to the plate's edge, with the wear of real ones.

`PlatePainter` learns from the training texts what numbers look like and which characters they use. Perspective, blur,
noise and light are not drawn here: the augmentation adds them to real and synthetic plates alike.

Every glyph is rendered once per font, as a mask (`glyphs`). A plate is composed from resized masks (here) and then
coloured and worn (`plate_surface`), which takes about one millisecond.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.drawing.glyphs import GLYPH_HEIGHT, alphabets, word_sets
from lpr_e2e.drawing.plate_surface import (
    Surface,
    draw_bolts,
    draw_end_dots,
    draw_frame,
    draw_sticker,
    outline,
    with_strip,
)

# Words that Tunisian plates show where the text has a mark, right to left as they are read.
TUNISIAN_WORDS = {"T": "تونس", "N": "ن ت"}
TUNISIAN_TEXT = re.compile(r"\d{1,3}T\d{1,4}|\d{6}N")

SHORTENED_SHARE = 0.08  # share of sampled texts whose numbers lose digits, where training numbers vary in length


class PlatePainter:
    """Draws plates like those of the training texts. Read-only after construction: threads may share it.

    If nearly all texts are Tunisian (`123T4567`, `123456N`), the plates are: light on black, the marks as Arabic
    words. Otherwise characters are drawn as they are.

    Args:
        texts: training texts; their patterns and characters decide what is sampled and drawn.
        worn: share of the plates that have seen the road: scratches, dirt, missing paint, bolts, stickers.
        two_lines: share of the plates with two lines, of those whose text has groups to part.

    Raises:
        ValueError: there is no text, or no font has one of the characters.
        RuntimeError: Pillow lacks raqm, without which Arabic letters are not joined.
    """

    def __init__(self, texts: Sequence[str], worn: float = 1.0, two_lines: float = 0.05):
        self._worn, self._two_lines = worn, two_lines
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise UserError("texts: expected at least one non-empty training text to learn what plates say")
        self.tunisian = sum(bool(TUNISIAN_TEXT.fullmatch(text)) for text in texts) >= 0.95 * len(texts)
        self._learn_patterns(texts)
        self._characters = set("".join(texts))
        words = TUNISIAN_WORDS if self.tunisian else {}
        drawn = [character for character in self._characters if character not in words and not character.isspace()]
        self._alphabets, self._alphabet_odds = alphabets(sorted(drawn))
        self._word_sets, self._word_odds = word_sets(words) if words else ([], [])
        self._surface = Surface()

    def _learn_patterns(self, texts: Sequence[str]) -> None:
        letters = sorted({character for character in "".join(texts) if character.isalpha()})
        # A few letters are series marks, which mean something where they stand; many letters are part of a number.
        self._letters = letters if len(letters) > 4 else []
        # Digits that no training text has are unknown to the vocabulary too.
        self._digits = sorted(set("".join(texts)) & set("0123456789"))
        self._first_digits = [digit for digit in self._digits if digit != "0"] or self._digits
        patterns = [re.sub("[0-9]", "0", text) for text in texts]
        counts = Counter(patterns)
        self._examples = {pattern: [] for pattern in counts}
        self._zero_starts = set()
        for text, pattern in zip(texts, patterns, strict=True):
            self._examples[pattern].append(text)
            starts = (match.start() for match in re.finditer("[0-9]+", text))
            self._zero_starts.update((pattern, start) for start in starts if text[start] == "0")
        self._patterns = list(counts)
        # The square root lets rare patterns be seen often enough to be learnt.
        self._pattern_odds = np.sqrt(list(counts.values())) / np.sqrt(list(counts.values())).sum()
        lengths = Counter(re.sub("[0-9]+", "0", pattern) for pattern in counts)
        self._varying = {pattern for pattern in counts if lengths[re.sub("[0-9]+", "0", pattern)] > 1}

    def sample_text(self, rng: np.random.Generator) -> str:
        """A text of a training text's pattern with evenly spread digits; rare patterns come more often than there.

        Half of the numbers keep the first digit of a training text: which numbers exist helps to read a faint digit.
        """
        pattern = self._patterns[rng.choice(len(self._patterns), p=self._pattern_odds)]
        examples = self._examples[pattern]
        text = list(examples[rng.integers(len(examples))])
        for index, character in enumerate(text):
            if pattern[index] == "0":
                if pattern[index - 1 : index] != "0" and rng.random() < 0.5:
                    continue
                starts = pattern[index - 1 : index] != "0" and pattern[index + 1 : index + 2] == "0"
                # No number starts with a zero unless training numbers do, at the same place.
                allowed = self._digits if not starts or (pattern, index) in self._zero_starts else self._first_digits
                text[index] = allowed[rng.integers(len(allowed))]
            elif self._letters and character.isalpha():
                text[index] = self._letters[rng.integers(len(self._letters))]
        text = "".join(text)
        if pattern in self._varying and rng.random() < SHORTENED_SHARE:
            text = re.sub("[0-9]+", lambda match: match[0][: rng.integers(1, len(match[0]) + 1)], text)
        return text

    def draw(self, text: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One plate with this text, upright and frontal, 60 to 120 px high (a dealer's strip adds to that).

        Returns:
            uint8 RGB plate `(height, width, 3)` and its uint8 outline `(height, width)`: 255 on the plate, 0 outside
            its rounded corners.

        Raises:
            ValueError: the text is empty, or has a character that no training text had.
        """
        unknown = "".join(sorted(set(text) - self._characters))
        if unknown or not text.strip():
            known = "".join(sorted(self._characters))
            raise UserError(f"text {text!r}: expected characters of the training texts ({known}), found {unknown!r}")
        lines = self._lines(text, rng)
        height = int(rng.integers(60, 97))
        if len(lines) == 2:
            height = int(height * 1.25)
            aspect = rng.uniform(1.15, 1.8)
        elif self.tunisian:
            aspect = float(np.clip(rng.normal(4.6, 0.25), 3.9, 5.3))
        else:
            aspect = rng.uniform(2.4, 5.2) if len(text) > 4 else rng.uniform(1.6, 3.6)
        ink = np.zeros((height, int(height * aspect)), "uint8")
        framed = rng.random() < 0.88
        rim = (rng.uniform(0.03, 0.1) if framed else rng.uniform(-0.02, 0.05)) * height
        if len(lines) == 2:
            centres, size = (0.3 + rng.uniform(-0.02, 0.02), 0.71 + rng.uniform(-0.02, 0.02)), rng.uniform(0.28, 0.37)
        else:
            centres, size = (0.5 + rng.normal(0, 0.015),), float(np.clip(rng.normal(0.61, 0.06), 0.47, 0.75))
        style = _Lettering(size * height, rng)
        for line, centre in zip(lines, centres, strict=True):
            style.draw(ink, line, centre * height, rim + rng.uniform(0.05, 0.16) * height, rng)
        if rng.random() < 0.12:
            ink = _slanted(ink, rng.uniform(-0.06, 0.22))
        # Paint and embossing round every corner; moving the threshold makes the strokes thinner or bolder.
        ink = _contrast(cv2.GaussianBlur(ink, (3, 3), 0.9), rng.uniform(0.3, 0.58))
        if framed:
            draw_frame(ink, rim, rng)
        if self.tunisian and rng.random() < 0.5:
            draw_end_dots(ink, rim, rng)
        worn = rng.random() < self._worn
        if worn:
            self._surface.wear(ink, rng)
        plate = self._surface.paint(ink, *_colours(self.tunisian, rng), rng)
        if worn:
            draw_bolts(plate, rng)
        if worn and rng.random() < 0.025:
            draw_sticker(plate, rng)
        if rng.random() < 0.07:
            plate = with_strip(plate, rng)
        return plate, outline(plate.shape[:2], rng.uniform(0.0, 0.12) * height)

    def _lines(self, text: str, rng: np.random.Generator) -> list[list[_Group]]:
        """The lines of a plate, each a list of groups of glyphs, left to right."""
        alphabet = self._alphabets[rng.choice(len(self._alphabets), p=self._alphabet_odds)]
        if self.tunisian:
            words = self._word_sets[rng.choice(len(self._word_sets), p=self._word_odds)]
            groups = [
                _Group([words[piece]], True) if piece in words else _Group([alphabet[digit] for digit in piece])
                for piece in re.findall(r"[0-9]+|[^0-9\s]", text)
            ]
            if len(groups) == 3 and rng.random() < self._two_lines:
                return [[groups[2]], groups[:2]]
            return [groups]
        groups = [
            _Group([alphabet[character] for character in piece]) for piece in re.findall(r"\d+|[^\W\d]+|[^\w\s]+", text)
        ]
        if len(groups) > 1 and rng.random() < self._two_lines:
            return [groups[: len(groups) // 2], groups[len(groups) // 2 :]]
        return [groups]


class _Group(list):
    """The glyph masks of one group of characters; a word's mask is higher than a digit's and keeps its own shape."""

    def __init__(self, glyphs: Sequence[np.ndarray], word: bool = False):
        super().__init__(glyphs)
        self.word = word


class _Lettering:
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

    def draw(self, ink: np.ndarray, groups: list[_Group], centre: float, margin: float, rng: np.random.Generator):
        """Draw one line of groups into the ink mask, in place, around this height, between these margins."""
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
            for glyph, (height, width, cell) in zip(group, row, strict=True):
                shift = rng.normal(0, self.uneven) * self.size
                x = left + squeeze * (cell / 2 + shift)
                _stamp(ink, glyph, centre + drop + shift * 0.4, x, height, squeeze * width)
                left += squeeze * (cell + self.tracking)
            left += squeeze * (gap - self.tracking)

    def _box(self, glyph: np.ndarray, word: bool, rng: np.random.Generator) -> tuple[float, float, float]:
        """Height and width of a glyph as drawn, and the width of the cell it stands in."""
        if word:
            width = glyph.shape[1] * self.word_size / glyph.shape[0] * self.word_stretch
            return self.word_size, width, width
        width = glyph.shape[1] * self.size / GLYPH_HEIGHT * self.stretch * (1 + rng.normal(0, self.uneven / 2))
        return self.size, width, max(width, 0.5 * self.size * self.stretch) if self.cells else width


def _stamp(ink: np.ndarray, glyph: np.ndarray, y: float, x: float, height: float, width: float) -> None:
    """Add a glyph, resized, around the point `(y, x)` of the ink mask, in place; what lies outside is cut off."""
    rows, columns = max(2, round(height)), max(2, round(width))
    top, left = round(y - height / 2), round(x - width / 2)
    resized = cv2.resize(glyph, (columns, rows), interpolation=cv2.INTER_AREA)
    clip_top, clip_left = max(0, -top), max(0, -left)
    part = ink[max(0, top) : top + rows, max(0, left) : left + columns]
    np.maximum(part, resized[clip_top : clip_top + part.shape[0], clip_left : clip_left + part.shape[1]], out=part)


def _slanted(ink: np.ndarray, shear: float) -> np.ndarray:
    matrix = np.array([[1, -shear, shear * ink.shape[0] / 2], [0, 1, 0]])
    return cv2.warpAffine(ink, matrix, ink.shape[::-1], flags=cv2.INTER_LINEAR)


def _contrast(ink: np.ndarray, threshold: float) -> np.ndarray:
    levels = np.clip((np.arange(256) / 255 - threshold) * 3 + 0.5, 0, 1)
    return cv2.LUT(ink, (levels * 255).astype("uint8"))


def _colours(tunisian: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the ground and of the paint, float `(3,)` RGB 0..255."""
    kind = rng.random()
    dark = rng.uniform(5, 48) * rng.uniform(0.85, 1.1, 3)
    light = rng.uniform(165, 256) * rng.uniform(0.92, 1.0, 3)
    if kind < 0.12:  # Faded black, dull paint.
        dark = rng.uniform(50, 95) * rng.uniform(0.9, 1.1, 3)
        light = dark + rng.uniform(60, 130)
    elif kind < 0.15:  # A coloured ground.
        dark = rng.permutation(np.array([rng.uniform(90, 170), rng.uniform(20, 90), rng.uniform(10, 50)]))
    light_ground = rng.random() < (0.04 if tunisian else 0.75)
    if light_ground and not tunisian and rng.random() < 0.2:
        light = light * np.array([1.0, rng.uniform(0.75, 0.95), rng.uniform(0.1, 0.6)])
    return (light, dark) if light_ground else (dark, light)
