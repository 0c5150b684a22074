"""What is written on photographs and is no plate of the country: signs, adverts, phone numbers, captions of cameras.

A piece of writing has a text that is of none of the forms of the country's plates, see
`lpr_e2e.common.text_forms.TextForms`. Some look like plates of other countries.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lpr_e2e.common.fonts import Face, brought_along, system_faces
from lpr_e2e.common.scripts import is_digit, is_letter, script
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.drawing.faces import FACES, SCRIPT_FACES
from lpr_e2e.drawing.glyphs import REFERENCES

# Shares of the kinds of writing.
_KINDS, _ODDS = ("sign", "letters", "caption", "foreign"), (0.35, 0.2, 0.15, 0.3)
# Letters of scripts, some of which plates of other countries have.
_LETTERS = {
    "LATIN": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "CYRILLIC": "АБВГДЕЖЗИКЛМНОПРСТУХЦЧШЭЮЯ",
    "GREEK": "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
    "ARABIC": "ابتجحدرسشصطعفقكلمنهوي",
    "HEBREW": "אבגדהוזחטיכלמנסעפצקרשת",
}
_LOWER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
# How the groups of foreign plates are joined.
_JOINTS = ("", " ", " ", "-", " · ")
# Colours, RGB, of plates of elsewhere that are neither light nor dark, and of captions.
_GROUNDS = ((240, 200, 30), (20, 60, 160), (200, 30, 30), (20, 120, 60))
_CAPTION_COLOURS = ((255, 255, 0), (0, 255, 0), (255, 140, 0))
_PIXELS = 40  # height of the letters that are drawn; what is shown is smaller, mostly
_TRIALS = 20
_SYSTEM_FACES = 3  # of the machine, for a script that the project brings none for


class Writing(NamedTuple):
    """A piece of writing.

    Attributes:
        picture: uint8 RGB `(h, w, 3)`.
        cover: how much of what is behind is hidden, uint8 `(h, w)`.
        kind: of the kinds above.
    """

    picture: np.ndarray
    cover: np.ndarray
    kind: str


class SignPainter:
    """Draws writing that is no plate.

    Args:
        forms: of the country's plates. Where these are not known, nothing that looks like a plate is drawn, and no
            short text.
    """

    def __init__(self, forms: TextForms):
        self.forms = forms
        own = sorted(one for one in forms.vocabulary.characters if is_letter(one))
        self._own = [one for one in own if _faces_of(script(one))]
        self._own_digits = "".join(one for one in forms.vocabulary.characters if is_digit(one)) or _DIGITS

    def draw(self, rng: np.random.Generator) -> Writing:
        """A piece of writing of any kind."""
        kind = str(rng.choice(_KINDS, p=_ODDS))
        if kind == "foreign" and not self.forms.examples:
            kind = "sign"
        text = self._text(kind, rng)
        if kind == "foreign":
            return self._plate(text, rng)
        lines = text.split("\n")
        face = _face_for(text, rng)
        masks = [_written(line, face) for line in lines]
        if kind == "sign":
            return _on_board(masks, rng)
        mask = _stacked(masks, int(0.25 * _PIXELS))
        mask = cv2.copyMakeBorder(mask, 4, 4, 4, 4, cv2.BORDER_CONSTANT)
        light = rng.random() < 0.75
        colour = rng.uniform(190, 255, 3) if light else rng.uniform(0, 80, 3)
        if kind == "caption" and light and rng.random() < 0.4:
            colour = np.array(_CAPTION_COLOURS[int(rng.integers(len(_CAPTION_COLOURS)))], "float64")
        return _bare(mask, colour, kind, rng)

    def _text(self, kind: str, rng) -> str:
        """A text of a kind that no plate could have."""
        make = {"sign": self._words, "letters": self._words, "caption": _caption, "foreign": self._foreign}[kind]
        for _ in range(_TRIALS):
            text = make(rng)
            if self._is_none(text):
                return text
        return _caption(rng)

    def _is_none(self, text: str) -> bool:
        """Whether no plate could have a text, or a line of it."""
        for line in text.split("\n"):
            # The model would read what it knows, joined.
            read = "".join(one for one in line.upper() if one in self.forms.vocabulary.characters and one != UNSEEN)
            if self.forms.examples and read and self.forms.fits(read):
                return False
            if not self.forms.examples and len(read) <= self.forms.vocabulary.slots + 1:
                return False
        return True

    def _words(self, rng) -> str:
        """One or two words, prices, phone numbers; one or two lines."""
        parts = []
        for _ in range(int(rng.integers(1, 4))):
            kind = rng.random()
            if kind < 0.2:
                parts.append(_drawn(_DIGITS, int(rng.integers(2, 5)), rng))
            elif kind < 0.3:
                groups = [_drawn(self._own_digits, int(count), rng) for count in rng.integers(2, 5, 3)]
                parts.append(str(rng.choice(["-", " ", "."])).join(groups))
            elif kind < 0.55 and self._own:
                parts.append(_drawn(self._own, int(rng.integers(2, 9)), rng))
            elif kind < 0.8:
                parts.append(_drawn(_LETTERS["LATIN"], int(rng.integers(2, 10)), rng))
            else:
                parts.append(_drawn(_LETTERS["LATIN"], 1, rng) + _drawn(_LOWER, int(rng.integers(2, 9)), rng))
        return ("\n" if rng.random() < 0.4 else " ").join(parts)

    def _foreign(self, rng) -> str:
        """What could stand on a plate of another country."""
        known = script(self._own[0]) if self._own else ""
        other = str(rng.choice([name for name in _LETTERS if _faces_of(name)]))
        letters = self._own if known == other and self._own else _LETTERS[other]
        groups = [
            _drawn(letters if number % 2 == int(rng.random() < 0.5) else _DIGITS, int(rng.integers(1, 5)), rng)
            for number in range(int(rng.integers(2, 4)))
        ]
        return str(rng.choice(_JOINTS)).join(groups)

    def _plate(self, text: str, rng) -> Writing:
        """A plate of nowhere: dark on light or light on dark, with an edge."""
        mask = _written(text, _face_for(text, rng))
        mask = cv2.resize(mask, (max(8, int(mask.shape[1] * rng.uniform(0.75, 1.15))), mask.shape[0]))
        high, wide = mask.shape
        pads = (int(high * rng.uniform(0.15, 0.4)), int(high * rng.uniform(0.2, 0.8)))
        mask = cv2.copyMakeBorder(mask, pads[0], pads[0], pads[1], pads[1], cv2.BORDER_CONSTANT)
        light = rng.random() < 0.7
        ground = rng.uniform(190, 250, 3) if light else rng.uniform(5, 90, 3)
        if rng.random() < 0.3:
            ground = np.array(_GROUNDS[int(rng.integers(len(_GROUNDS)))], "float64")
        ink = rng.uniform(0, 60, 3) if ground.mean() > 120 else rng.uniform(190, 255, 3)
        picture = _mixed(mask, ink, ground)
        if rng.random() < 0.6:
            cv2.rectangle(picture, (1, 1), (picture.shape[1] - 2, picture.shape[0] - 2), ink.tolist(), 2)
        return Writing(picture, np.full(picture.shape[:2], 255, "uint8"), "foreign")


@lru_cache(maxsize=32)
def _faces_of(name: str) -> list[tuple[Face, float]]:
    """The faces for a script, and how often each is drawn: those that the project brings, else some of the machine."""
    faces = FACES if name in ("", "LATIN") else SCRIPT_FACES.get(name, ())
    brought = [(brought_along(family, weight), share) for family, weight, share in faces]
    found = [(face, share) for face, share in brought if face]
    reference = REFERENCES.get(name, "A")
    return found or [(face, 1.0) for face in system_faces() if face.has(reference)][:_SYSTEM_FACES]


def _face_for(text: str, rng) -> Face:
    """A face that has the letters of a text, as far as one has."""
    scripts = [script(one) for one in text if is_letter(one) and script(one) != "LATIN"]
    faces = _faces_of(scripts[0] if scripts else "") or [(Face(""), 1.0)]
    odds = np.array([share for _, share in faces])
    return faces[int(rng.choice(len(faces), p=odds / odds.sum()))][0]


def _drawn(letters, count: int, rng) -> str:
    return "".join(letters[index] for index in rng.integers(0, len(letters), count))


def _caption(rng) -> str:
    """What a camera writes into its pictures: date, time, place, speed."""
    year, month, day = int(rng.integers(2005, 2027)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    hour, minute, second = (int(rng.integers(limit)) for limit in (24, 60, 60))
    dates = (f"{year}-{month:02}-{day:02}", f"{day:02}/{month:02}/{year}", f"{day:02}.{month:02}.{year}")
    place = ["", f"CAM {int(rng.integers(1, 99)):02}", f"{int(rng.integers(20, 180))} km/h", "Front Gate", "LANE 2"]
    parts = [str(rng.choice(dates)), f"{hour:02}:{minute:02}:{second:02}", str(rng.choice(place))]
    order = rng.permutation(3) if rng.random() < 0.3 else range(3)
    return "  ".join(parts[index] for index in order if parts[index])


def _written(text: str, face: Face) -> np.ndarray:
    """A line of text, cut to its ink: uint8 mask `(h, w)`, 255 where there is ink; at least one pixel."""
    font = _font(face)
    left, top, right, bottom = font.getbbox(text)
    page = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
    ImageDraw.Draw(page).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(page)


@lru_cache(maxsize=64)
def _font(face: Face) -> ImageFont.FreeTypeFont:
    return face.font(_PIXELS * 1.35)


def _stacked(masks: list[np.ndarray], gap: int) -> np.ndarray:
    """Lines below each other, in the middle: uint8 mask."""
    wide = max(mask.shape[1] for mask in masks)
    rows: list[np.ndarray] = []
    for mask in masks:
        free = wide - mask.shape[1]
        rows += [np.pad(mask, ((gap if rows else 0, 0), (free // 2, free - free // 2)))]
    return np.concatenate(rows)


def _mixed(mask: np.ndarray, ink: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Ink of a colour `(3,)` on a ground of another one: uint8 RGB."""
    share = mask[..., None].astype("float32") / 255
    return np.ascontiguousarray((ground + share * (ink - ground)).clip(0, 255).astype("uint8"))


def _on_board(masks: list[np.ndarray], rng) -> Writing:
    """Writing on a board of any colour, which some have round corners."""
    mask = _stacked(masks, int(0.3 * _PIXELS))
    pad = int(_PIXELS * rng.uniform(0.2, 1.0))
    mask = cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    ground = rng.uniform(0, 255, 3)
    ink = rng.uniform(200, 255, 3) if ground.mean() < 140 else rng.uniform(0, 70, 3)
    cover = np.full(mask.shape, 255, "uint8")
    if rng.random() < 0.4:
        radius = max(2, min(mask.shape) // 4)
        cover = cv2.dilate(
            np.pad(np.full(np.subtract(mask.shape, 2 * radius), 255, "uint8"), radius),
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2),
        )
    return Writing(_mixed(mask, ink, ground), cover, "sign")


def _bare(mask: np.ndarray, colour: np.ndarray, kind: str, rng) -> Writing:
    """Writing straight on what is behind; captions often have a dark edge or a strip."""
    other = np.full(3, 255.0 if colour.mean() < 128 else 0.0)
    cover = mask
    if kind == "caption" and rng.random() < 0.7:
        strip = rng.random() < 0.4
        cover = np.full_like(mask, 255) if strip else cv2.dilate(mask, np.ones((3, 3), "uint8"))
    return Writing(_mixed(mask, colour, other), cover, kind)
