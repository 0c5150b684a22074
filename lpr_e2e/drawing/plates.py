"""Synthetic licence plates: upright, frontal, tight to the plate's edge, with the wear of real ones.

`PlatePainter` learns from the training texts what numbers look like and which characters they use (`texts`), and, given
a style, from crops how plates look (`style`). Perspective, blur, noise and light are not drawn here: the augmentation
adds them to real and synthetic plates alike.

Every glyph is rendered once per font, as a mask (`glyphs`). A plate is composed from resized masks (`letters`) and then
coloured and worn (`plate_surface`), which takes about one millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.places import Numbered, Places, numbered
from lpr_e2e.common.scripts import clusters, in_visual_order, is_digit, reads_from_the_right, right_to_left
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.drawing.faces import ANY_FACES, FACES
from lpr_e2e.drawing.foreign_letters import PLACEHOLDER, foreign_letters, one_of
from lpr_e2e.drawing.glyphs import Alphabet, Alphabets, joined_word, joins_letters, word_sets
from lpr_e2e.drawing.layouts import any_look, line_breaks
from lpr_e2e.drawing.letters import Group, Lettering, Looks, contrast, highest, separated, slanted
from lpr_e2e.drawing.plate_surface import (
    Surface,
    any_colours,
    colours_of_look,
    draw_bolts,
    draw_end_dots,
    draw_frame,
    draw_sticker,
    draw_surroundings,
    embossed,
    outline,
    with_band,
    with_strip,
)
from lpr_e2e.drawing.style import PlateLook, PlateStyle
from lpr_e2e.drawing.texts import TextSampler

# Words that Tunisian plates show where the text has a mark, right to left as they are read.
TUNISIAN_WORDS = {"T": "تونس", "N": "ن ت"}
TUNISIAN_TEXT = re.compile(r"\d{1,3}T\d{1,4}|\d{6}N")

STYLED_SHARE = 0.7  # share of plates that look like the crops of a style; the others keep all variety
EMBOSSED_SHARE, BAND_SHARE = 0.3, 0.15  # shares of plates with raised characters, and with a band at one end
APART = 0.17  # the least distance of Arabic letters that are not joined, in character heights
# A character's rows may reach this share of the room from the middle of its line to the plate's edge, both ways.
_ROOM = 1.9
# Where a glyph of a line of two may be no higher than this, in heights of the plate.
_ROOM_OF_TWO = 0.48


class PlatePainter:
    """Draws plates like those of the training texts. Read-only after construction: threads may share it.

    If nearly all texts are Tunisian (`123T4567`, `123456N`), the plates are: light on black, the marks as Arabic
    words. Otherwise characters are drawn as they are, each script's by fonts that have them, on plates that look like
    the crops of a style or like those of no country in particular (`layouts`).

    Args:
        texts: training texts; their patterns and characters decide what is sampled and drawn.
        worn: share of the plates that have seen the road: scratches, dirt, missing paint, bolts, stickers.
        two_lines: share of the plates with two lines, of those whose text has groups to part. Where a style is given,
            its looks decide.
        style: how real plates look, see `lpr_e2e.drawing.style.learn_style`; Tunisian plates do without.
        fonts: font files that come first, see `lpr_e2e.drawing.glyphs.Alphabets`.
        letters: what characters look like on real plates.
        letters_share: share of the plates that are set in these letters, as far as they go.
        characters: further characters, which no text has: they are sampled where characters of their kind stand.
        joined: whether right-to-left letters are joined; None: as the style says, else apart.

    Attributes:
        tunisian: whether the plates are Tunisian.
        undrawable: characters that no font has. They are not drawn: only real plates show them.
        drawn_by: the others, with the marks that belong to them, each with the name of the first font that draws it.
        can_draw: whether there is anything to draw; else `sample_text` and `draw` raise `UserError`.

    Raises:
        UserError: there is no text, a font file cannot be read, or, for Tunisian plates alone, Pillow lacks raqm,
            without which Arabic letters are not joined.
    """

    def __init__(
        self,
        texts: Sequence[str],
        worn: float = 1.0,
        two_lines: float = 0.05,
        *,
        style: PlateStyle | None = None,
        fonts: Sequence[str | Path] = (),
        characters: str = "",
        joined: bool | None = None,
        letters: Looks | None = None,
        letters_share: float = 0.0,
    ):
        self._worn, self._two_lines = worn, two_lines
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise UserError("texts: expected at least one non-empty training text to learn what plates say")
        self.tunisian = sum(bool(TUNISIAN_TEXT.fullmatch(text)) for text in texts) >= 0.95 * len(texts)
        words = TUNISIAN_WORDS if self.tunisian else {}
        drawn = {part for text in [*texts, *characters] for part in clusters(text)}
        drawn = {part for part in drawn if part not in words and not part.isspace()}
        faces = FACES if self.tunisian else ANY_FACES
        self._alphabets = Alphabets(sorted(drawn), fonts, letters, letters_share, faces)
        self.undrawable = self._alphabets.undrawable
        self.drawn_by = {**self._alphabets.drawn_by, **{mark: f"the word {word}" for mark, word in words.items()}}
        self._sampler = TextSampler(texts, characters, self.undrawable)
        self.can_draw = not self._sampler.is_empty
        self._characters = self._sampler.characters
        self._word_sets, self._word_odds = word_sets(words) if words else ([], [])
        self._looks = style.looks if style and not self.tunisian else ()
        self._gaps: dict[tuple[int, int], list[tuple[int, ...]]] = {}
        for look in self._looks:
            if look.gaps is not None:
                self._gaps.setdefault(look.form, []).append(look.gaps)
        self._joined = joined if joined is not None else bool(style and style.joined)
        self._joined = self._joined and joins_letters()
        self._surface = Surface()

    @cached_property
    def _foreign(self) -> Alphabets | None:
        """Letters of other scripts; rendered when they are first asked for."""
        return foreign_letters(self._characters)

    def sample_text(self, rng: np.random.Generator) -> str:
        """A text of a training text's form, see `lpr_e2e.drawing.texts.TextSampler`; all of it can be drawn.

        Raises:
            UserError: nothing can be drawn.
        """
        return self._sampler.sample(rng)

    def draw_sampled(
        self, rng: np.random.Generator, foreign: float = 0.0, longer: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, str, Places]:
        """A plate with a text of its own: picture and outline as from `draw`, the text, its characters' places.

        Args:
            rng: source of randomness.
            foreign: share of the plates one character of which is a letter of another script, where fonts have some:
                `UNSEEN` stands for it in the text.
            longer: share of the plates with one character more, where there is one of a kind that can be added.
        """
        text = self.sample_text(rng)
        if longer and rng.random() < longer:
            text = self._sampler.lengthened(text, rng)
        parts = clusters(text)
        able = [number for number, part in enumerate(parts) if not part.isspace()]
        if not foreign or rng.random() >= foreign or len(able) < 2 or not self._foreign:
            plate, outline, places = self.draw_placed(text, rng)
            return plate, outline, text, places
        place = able[int(rng.integers(len(able)))]
        shown = [*parts[:place], PLACEHOLDER, *parts[place + 1 :]]
        plate, outline, places = self._draw("".join(shown), one_of(self._foreign, rng), rng)
        read = [UNSEEN if part == PLACEHOLDER else part for part in shown]
        known = tuple(UNSEEN if part == PLACEHOLDER else part for part in places.parts)
        return plate, outline, "".join(read), replace(places, parts=known)

    def draw(self, text: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One plate with this text, upright and frontal, 60 to 145 px high (a dealer's strip adds to that).

        Returns:
            uint8 RGB plate `(height, width, 3)` and its uint8 outline `(height, width)`: 255 on the plate, 0 outside
            its rounded corners.

        Raises:
            UserError: the text is empty, or has a character that no training text had or that no font has.
        """
        plate, outline, _ = self.draw_placed(text, rng)
        return plate, outline

    def draw_placed(self, text: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Places]:
        """As `draw`, and where on the plate the characters stand, in its pixels; blanks have no place."""
        self._check(text)
        return self._draw(text, None, rng)

    def _draw(
        self, text: str, foreign: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, Places]:
        """As `draw_placed`, with the mask of what stands for `PLACEHOLDER`."""
        look = None if self.tunisian else self._look(_parts(text), rng)
        alphabet = self._alphabets.choose(rng)
        if foreign is not None:
            alphabet = alphabet._replace(masks={**alphabet.masks, PLACEHOLDER: foreign})
        lines = self._lines_of_look(text, look, alphabet, rng) if look else self._tunisian_lines(text, alphabet, rng)
        ink = np.zeros(_shape(len(lines), look, rng), "uint8")
        height = ink.shape[0]
        framed = rng.random() < 0.88
        rim = (rng.uniform(0.03, 0.1) if framed else rng.uniform(-0.02, 0.05)) * height
        apart = not self._joined and any(right_to_left(character) for character in text)
        rows, drawn = self._letter(ink, lines, rim, apart, look, rng)
        places = _places(text, drawn)
        if rng.random() < 0.12:
            shear = rng.uniform(-0.06, 0.22)
            ink = slanted(ink, shear)
            leans = shear * (height - places.boxes[:, ::2].sum(1)) / 2
            places = replace(places, boxes=places.boxes + leans[:, None] * (0, 1, 0, 1))
        # Paint and embossing round every corner; moving the threshold makes the strokes thinner or bolder.
        ink = contrast(cv2.GaussianBlur(ink, (3, 3), 0.9), rng.uniform(0.3, 0.58))
        if framed:
            draw_frame(ink, rim, rng)
        if self.tunisian and rng.random() < 0.5:
            draw_end_dots(ink, rim, rng)
        worn = rng.random() < self._worn
        if worn:
            self._surface.wear(ink, rng)
        ground, paint = colours_of_look(look, rng) if look else any_colours(True, rng)
        plate = self._surface.paint(ink, ground, paint, rng)
        if look:
            if rng.random() < EMBOSSED_SHARE:
                plate = embossed(plate, ink, rng)
            draw_surroundings(plate, look, rows, paint, list(alphabet.masks.values()), rng)
        if worn:
            draw_bolts(plate, rng)
        if worn and rng.random() < 0.025:
            draw_sticker(plate, rng)
        if look and len(lines) == 1 and rng.random() < BAND_SHARE:
            plate, left = with_band(plate, rng)
            places = places.moved((1, 1), (0, left))
        if rng.random() < 0.07:
            plate, above = with_strip(plate, rng)
            places = places.moved((1, 1), (above, 0))
        return plate, outline(plate.shape[:2], rng.uniform(0.0, 0.12) * height), places

    def _check(self, text: str) -> None:
        unknown = "".join(sorted(set(text) - self._characters))
        if unknown or not text.strip():
            known = "".join(sorted(self._characters))
            raise UserError(f"text {text!r}: expected characters of the training texts ({known}), found {unknown!r}")
        missing = sorted(set(clusters(text)) & self.undrawable)
        if missing:
            raise UserError(f"text {text!r}: no font on this machine has {''.join(missing)!r}; name one that has them")

    def _look(self, parts: Sequence[Numbered], rng: np.random.Generator) -> PlateLook:
        """What a plate with these characters looks like: like a real one, parted as those of as many characters and
        lines, or like one of no country in particular."""
        if not self._looks or rng.random() >= STYLED_SHARE:
            ends = np.cumsum([len(group) for group in _groups(parts)])[:-1]
            return any_look(len(parts), ends.tolist(), self._two_lines, rng)
        look = self._looks[rng.integers(len(self._looks))]
        known = self._gaps.get((len(parts), len(line_breaks(len(parts), look)) - 1))
        return replace(look, gaps=known[rng.integers(len(known))] if known else None)

    def _letter(
        self,
        ink: np.ndarray,
        lines: list[list[Group]],
        rim: float,
        apart: bool,
        look: PlateLook | None,
        rng: np.random.Generator,
    ) -> tuple[tuple[float, float], list]:
        """Set the lines into the ink, in place; the rows between which they stand, and what `Lettering.draw` gives."""
        height = ink.shape[0]
        sizes: Sequence[float]
        if look and len(look.lines) == len(lines):
            centres = tuple(centre + rng.normal(0, 0.015) for centre, _ in look.lines)
            sizes = [size * rng.uniform(0.85, 1.05) for _, size in look.lines]
        elif len(lines) == 2:
            centres = (0.3 + rng.uniform(-0.02, 0.02), 0.71 + rng.uniform(-0.02, 0.02))
            sizes = [rng.uniform(0.28, 0.37)] * 2
        else:
            centres, sizes = (0.5 + rng.normal(0, 0.015),), [float(np.clip(rng.normal(0.61, 0.06), 0.47, 0.75))]
        rooms = [_ROOM * min(centre, 1 - centre) for centre in centres]
        if len(lines) == 2:
            rooms = [min(room, _ROOM_OF_TWO) for room in rooms]
        # A letter that reaches far above or below its line makes all of them smaller: none is cut off.
        fits = min(room / (size * highest(line)) for room, size, line in zip(rooms, sizes, lines, strict=True))
        if fits < 1 and (look or max(map(highest, lines)) > 1):
            sizes = [size * fits for size in sizes]
        lettering = Lettering(sizes[0] * height, rng)
        if apart:
            lettering.tracking = max(lettering.tracking, APART * lettering.size)
        drawn = []
        for line, centre, size in zip(lines, centres, sizes, strict=True):
            lettering.size = size * height
            drawn += lettering.draw(ink, line, centre * height, rim + rng.uniform(0.05, 0.16) * height, rng)
        halves = [size * highest(line) / 2 for size, line in zip(sizes, lines, strict=True)]
        return ((centres[0] - halves[0]) * height, (centres[-1] + halves[-1]) * height), drawn

    def _tunisian_lines(self, text: str, alphabet: Alphabet, rng: np.random.Generator) -> list[list[Group]]:
        words = self._word_sets[rng.choice(len(self._word_sets), p=self._word_odds)]
        pieces = [
            list(run) for _, run in groupby(_parts(text), key=lambda part: -1 if is_digit(part[0]) else part.place)
        ]
        masks = alphabet.masks
        groups = [
            Group([words[piece[0]]], [(piece[0].place,)], word=True) if piece[0] in words else _group(piece, masks)
            for piece in pieces
        ]
        if len(groups) == 3 and rng.random() < self._two_lines:
            return [[groups[2]], groups[:2]]
        return [groups]

    def _lines_of_look(
        self, text: str, look: PlateLook, alphabet: Alphabet, rng: np.random.Generator
    ) -> list[list[Group]]:
        """Lines broken and groups parted as on the plate of the look."""
        parts, gaps = _parts(text), look.gaps
        breaks = line_breaks(len(parts), look)
        lines = []
        for first, last in zip(breaks, breaks[1:], strict=False):
            line = parts[first:last]
            if gaps is None or self._joins(line):
                groups = self._set(_groups(line), reads_from_the_right(text), alphabet)
            else:
                shown = in_visual_order(line)
                cuts = [0, *(gap - first for gap in gaps if first < gap < last), len(shown)]
                pieces = [shown[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
                groups = [_group(piece, alphabet.masks) for piece in pieces]
            lines.append(separated(groups, rng))
        return lines

    def _joins(self, parts: Sequence[str]) -> bool:
        return self._joined and any(right_to_left(part[0]) for part in parts)

    def _set(self, groups: Sequence[list[Numbered]], from_the_right: bool, alphabet: Alphabet) -> list[Group]:
        """Groups of characters as glyphs, left to right."""
        shown = []
        for group in groups[::-1] if from_the_right else groups:
            if alphabet.face and self._joins(group):
                shown.append(self._joined_group(group, alphabet))
            else:
                shown.append(_group(in_visual_order(group), alphabet.masks))
        return shown

    def _joined_group(self, group: list[Numbered], alphabet: Alphabet) -> Group:
        """A group whose right-to-left letters are joined, each run of them as one glyph."""
        glyphs: list[np.ndarray] = []
        places: list[tuple[int, ...]] = []
        for from_the_right, run in groupby(group, key=lambda part: right_to_left(part[0])):
            parts = list(run)
            if from_the_right and alphabet.face:
                glyphs.append(joined_word("".join(parts), alphabet.face))
                places.append(tuple(part.place for part in parts))
            else:
                glyphs += [alphabet.masks[part] for part in parts]
                places += [(part.place,) for part in parts]
        return Group(glyphs, places)


def _shape(lines: int, look: PlateLook | None, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a plate of this look, or of a Tunisian one, pixels."""
    height = int(rng.integers(60, 97))
    if look:
        # Where characters take little of the plate, it is drawn larger, so that they are as large as on others.
        height = int(height * np.clip(0.6 / max(line[1] for line in look.lines), 1.0, 1.5))
        aspect = float(np.clip(look.aspect * rng.uniform(0.93, 1.08), 1.0, 6.5))
    elif lines == 2:
        height = int(height * 1.25)
        aspect = rng.uniform(1.15, 1.8)
    else:
        aspect = float(np.clip(rng.normal(4.6, 0.25), 3.9, 5.3))
    return height, int(height * aspect)


def _parts(text: str) -> list[Numbered]:
    """The clusters of a text without its blanks, numbered."""
    return numbered([part for part in clusters(text) if not part.isspace()])


def _group(parts: Sequence[Numbered], masks: Mapping[str, np.ndarray]) -> Group:
    return Group((masks[part] for part in parts), [(part.place,) for part in parts])


def _places(text: str, drawn: Sequence[tuple[tuple[int, ...], tuple[float, ...]]]) -> Places:
    """The places of a text's characters, of what `Lettering.draw` gives of its glyphs."""
    parts = _parts(text)
    boxes, apart = np.zeros((len(parts), 4)), np.zeros(len(parts), bool)
    for places, box in drawn:
        for place in places:
            boxes[place], apart[place] = box, len(places) == 1
    return Places(tuple(map(str, parts)), boxes, apart)


def _groups(parts: list[Numbered]) -> list[list[Numbered]]:
    """The clusters of a text parted where digits, letters and other characters meet, and at blanks."""

    def sort_of(part: str) -> str:
        first = part[0]
        if is_digit(first):
            return "digit"
        return "blank" if first.isspace() else "letter" if first.isalnum() or first == "_" else "other"

    return [list(run) for sort, run in groupby(parts, key=sort_of) if sort != "blank"]
