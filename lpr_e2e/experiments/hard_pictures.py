"""Forty drawn pictures that are hard to read, of every kind: what statuses mean is best seen on them.

Clear plates, plates that are cut off, covered, mirrored, turned, blurred, in bad light, too small, in large photographs
and beside each other; and writing that is no plate. The name of each picture says what it shows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lpr_e2e.common.boxes import turn_box, turn_picture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import BOX_COLUMNS, DEMO_TWO_LINES, DEMO_WORN, Scene, draw_scene
from lpr_e2e.drawing.signs import SignPainter, Writing
from lpr_e2e.experiments import disturbances
from lpr_e2e.training.augmentation import write_on
from lpr_e2e.training.covers import cover
from lpr_e2e.training.light import harsh_light, motion_blur

# Sides of a large photograph, and how wide the part with its car is, pixels.
_LARGE, _LARGE_CAR = (2160, 3840), 700
# How far a car moves while it is photographed, in widths of its plate: little, and too much.
_LITTLE, _MUCH = 0.03, 0.14
_JPEG_QUALITY = 90
# What is tried until something fits, and how wide writing is at least, in widths of the photograph.
_TRIALS, _LEAST_WRITING = 40, 0.15


class _Hard(NamedTuple):
    """A picture with its plates' boxes (yxyx, pixels) and texts; of what nobody can read the text is empty."""

    picture: np.ndarray
    boxes: Sequence[Sequence[float]] = ()
    texts: Sequence[str] = ()


class _Artist:
    """Draws the pictures of each kind: methods that take a generator."""

    def __init__(self, like: Sequence[str]):
        self.painter = PlatePainter(like, DEMO_WORN, DEMO_TWO_LINES)
        if not self.painter.can_draw:
            raise UserError(f"like: no font on this machine has any of {''.join(sorted(self.painter.undrawable))!r}")
        drawn = [self.painter.sample_text(np.random.default_rng([7, number])) for number in range(500)]
        self.signs = SignPainter(TextForms.learned(drawn, Vocabulary.from_texts(drawn, unseen=True)))

    def car(self, rng) -> Scene:
        return draw_scene(self.painter, rng)

    def clear(self, rng) -> _Hard:
        """A car as it is."""
        scene = self.car(rng)
        return _Hard(scene.photograph, scene.boxes_px, scene.texts)

    def several(self, rng) -> _Hard:
        scene = draw_scene(self.painter, rng, 3)
        return _Hard(scene.photograph, scene.boxes_px, scene.texts)

    def large(self, rng) -> _Hard:
        """A car somewhere in a photograph that has many more pixels."""
        scene, street = self.car(rng), draw_scene(self.painter, rng, 0).photograph
        page = cv2.resize(street, _LARGE[::-1], interpolation=cv2.INTER_CUBIC)
        factor = _LARGE_CAR / scene.photograph.shape[1]
        car = cv2.resize(scene.photograph, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (int(rng.integers(side - own)) for side, own in zip(_LARGE, car.shape, strict=False))
        page[top : top + car.shape[0], left : left + car.shape[1]] = car
        return _Hard(page, scene.boxes_px * factor + np.tile([top, left], 2), scene.texts)

    def cut_off(self, rng) -> _Hard:
        """One end of the plate is beyond the edge of the photograph."""
        scene = self.car(rng)
        _, left, _, right = scene.boxes_px[0]
        if rng.random() < 0.5:
            line = round(left + rng.uniform(0.25, 0.45) * (right - left))
            picture, boxes = scene.photograph[:, line:], scene.boxes_px - np.array([0, line, 0, line])
        else:
            line = round(right - rng.uniform(0.25, 0.45) * (right - left))
            picture, boxes = scene.photograph[:, :line], scene.boxes_px
        boxes = np.clip(boxes, 0, np.tile(picture.shape[:2], 2))
        return _Hard(np.ascontiguousarray(picture), boxes, scene.texts)

    def covered(self, rng) -> _Hard:
        """A character is behind a bar, a hand, snow, mud, a sticker or glare."""
        scene = self.car(rng)
        top, left, bottom, right = scene.boxes_px[0]
        count = len(scene.texts[0])
        width, place = (right - left) / count, int(rng.integers(count))
        box = (top, left + place * width, bottom, left + (place + 1) * width)
        for _ in range(_TRIALS):
            found = cover(scene.photograph, box, rng)
            if found:
                return _Hard(found[0], scene.boxes_px, scene.texts)
        return self.covered(rng)

    def mirrored(self, rng) -> _Hard:
        return self._disturbed(disturbances.mirrored, rng, mirrored=True)

    def unfocused(self, rng) -> _Hard:
        return self._disturbed(disturbances.unfocused, rng)

    def small(self, rng) -> _Hard:
        return self._disturbed(disturbances.too_small, rng)

    def turned(self, rng) -> _Hard:
        """Upside down, or on its side; it can be read all the same."""
        scene, quarters = self.car(rng), int(rng.integers(1, 4))
        boxes = [turn_box(box, *scene.photograph.shape[:2], quarters) for box in scene.boxes_px]
        return _Hard(turn_picture(scene.photograph, quarters), boxes, scene.texts)

    def moved(self, rng) -> _Hard:
        return self._moved(rng, _LITTLE)

    def moved_far(self, rng) -> _Hard:
        return self._moved(rng, _MUCH)._replace(texts=[""])

    def light(self, rng) -> _Hard:
        scene = self.car(rng)
        return _Hard(harsh_light(scene.photograph, rng), scene.boxes_px, scene.texts)

    def sign(self, rng) -> _Hard:
        return self._written(rng, "sign", 0)

    def caption(self, rng) -> _Hard:
        return self._written(rng, "caption", 1)

    def foreign(self, rng) -> _Hard:
        return self._written(rng, "foreign", 0)

    def empty(self, rng) -> _Hard:
        return _Hard(draw_scene(self.painter, rng, 0).photograph)

    def _disturbed(self, change: disturbances.Disturbance, rng, mirrored: bool = False) -> _Hard:
        """Of this nobody can read the text."""
        scene = self.car(rng)
        picture = change(scene.photograph, scene.boxes_px[0], len(scene.texts[0]), rng)
        boxes, width = scene.boxes_px.copy(), scene.photograph.shape[1]
        if mirrored:
            boxes[:, [1, 3]] = width - boxes[:, [3, 1]]
        return _Hard(scene.photograph if picture is None else picture, boxes, [""])

    def _moved(self, rng, share: float) -> _Hard:
        scene = self.car(rng)
        pixels = max(3, round(share * float(scene.boxes_px[0, 3] - scene.boxes_px[0, 1])))
        return _Hard(motion_blur(scene.photograph, pixels, 0.0), scene.boxes_px, scene.texts)

    def _written(self, rng, kind: str, cars: int) -> _Hard:
        """A photograph with other writing."""
        scene = draw_scene(self.painter, rng, cars)
        for _ in range(_TRIALS):
            picture, box = write_on(scene.photograph, scene.boxes_px, self._writing(kind, rng), rng)
            if box is not None and box[3] - box[1] >= _LEAST_WRITING * picture.shape[1]:
                return _Hard(picture, scene.boxes_px, scene.texts)
        return self._written(rng, kind, cars)

    def _writing(self, kind: str, rng) -> Writing:
        while True:
            writing = self.signs.draw(rng)
            if writing.kind == kind:
                return writing


# What is drawn, and how many of each: forty.
_KINDS: tuple[tuple[str, int, Callable[[_Artist, np.random.Generator], _Hard]], ...] = (
    ("clear", 3, _Artist.clear),
    ("several cars", 2, _Artist.several),
    ("large photograph", 2, _Artist.large),
    ("turned", 2, _Artist.turned),
    ("moved a little", 2, _Artist.moved),
    ("bad light", 4, _Artist.light),
    ("cut off", 4, _Artist.cut_off),
    ("covered", 5, _Artist.covered),
    ("mirrored", 2, _Artist.mirrored),
    ("moved too far", 2, _Artist.moved_far),
    ("out of focus", 2, _Artist.unfocused),
    ("too small", 2, _Artist.small),
    ("sign", 2, _Artist.sign),
    ("caption of a camera", 2, _Artist.caption),
    ("plate of elsewhere", 2, _Artist.foreign),
    ("no plate", 2, _Artist.empty),
)


def write_hard_pictures(folder: Path | str, like: Sequence[str], seed: int = 0) -> int:
    """Write the pictures, and `truth.csv` with their plates; the same arguments write the same files.

    Args:
        folder: where to; it is made. Files of the same names are replaced.
        like: texts whose forms and characters the plates have, see `lpr_e2e.drawing.plates.PlatePainter`.
        seed: of everything random.

    Returns:
        how many pictures there are.

    Raises:
        UserError: no font has any of the characters of `like`.
    """
    folder, artist = Path(folder), _Artist(like)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[list[object]] = []
    number = 0
    for kind, count, draw in _KINDS:
        for _ in range(count):
            number += 1
            name = f"{number:02} {kind}.jpg"
            hard = draw(artist, np.random.default_rng([seed, number]))
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            (folder / name).write_bytes(cv2.imencode(".jpg", hard.picture[..., ::-1], quality)[1].tobytes())
            rows += [
                [name, *(round(float(side), 1) for side in box), text]
                for box, text in zip(hard.boxes, hard.texts, strict=True)
            ] or [[name, "", "", "", "", ""]]
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([[*BOX_COLUMNS, "text"], *rows])
    return number
