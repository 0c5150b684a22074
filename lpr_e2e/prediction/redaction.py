"""Copies of photographs on which no plate can be read, with nothing of what their files said besides the pixels.

A plate that stays readable is worse than something hidden that is none, a lamp, say: what only may be a plate is
hidden, too, from `HIDDEN_FROM` on, a bar of its own far below the one from which a plate is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common import parts
from lpr_e2e.common.boxes import intersection_over_union, letterbox
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import WholeLines, csv_lines, name_as_cell
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.outputs import REDACTED, REDACTED_CSV, PictureNames, own_file, refuse_over_photographs
from lpr_e2e.prediction.pictures import write_picture
from lpr_e2e.prediction.reading import Reading

# A first look believes in a plate there with at least this, and so many are hidden at most: of each look, one at the
# whole photograph, and one at each square tile of so many pixels.
HIDDEN_FROM, MOST_HIDDEN, TILE = 0.15, 50, 480
# What is added to a box on each side before it is hidden, in shares of its shorter side and at least so many pixels:
# no box is exact, those of the first look least.
_AROUND_READ, _AROUND_SEEN, _LEAST_AROUND = 0.15, 0.4, 2
# From this overlap (IoU) on, what the first look sees is the plate that is reported.
_SAME_IOU = 0.5
# A box of which so much is covered is of a cover, not of another plate; and so often it is looked again.
_COVERED, _LOOKS_AGAIN = 0.5, 3
# What is left of a plate is no finer than this: its box has so many cells of one colour, along its longer side and its
# shorter one. A digit of seven would need three of them and more.
_CELLS = (6, 2)
# The grey of a plate that is covered.
_COVER = 40
_JPEG_QUALITY = 92
COLUMNS = ("img_id", "picture", "ymin", "xmin", "ymax", "xmax", "box_confidence", "why")
# What the last column says.
PLATE, PERHAPS, NOTHING = "plate", "perhaps a plate", "nothing hidden"


def _cells(area: np.ndarray) -> np.ndarray:
    """The mean colours of a few cells of an area."""
    height, width = area.shape[:2]
    cells = _CELLS if width >= height else _CELLS[::-1]
    return cv2.resize(area, (min(cells[0], width), min(cells[1], height)), interpolation=cv2.INTER_AREA)


def _blurred(area: np.ndarray) -> np.ndarray:
    # Of a blur alone, a plate can be computed back: only what is left of its cells is spread out.
    return cv2.resize(_cells(area), area.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _in_pixels(area: np.ndarray) -> np.ndarray:
    return cv2.resize(_cells(area), area.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _covered(area: np.ndarray) -> np.ndarray:
    return np.full_like(area, _COVER)


# By the names that `--redact` takes.
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"blur": _blurred, "box": _covered, "pixels": _in_pixels}


def hidden(photograph: np.ndarray, boxes_px: Sequence[Sequence[float]], way: str) -> np.ndarray:
    """A copy of a photograph, uint8 RGB `(h, w, 3)`, on which nothing can be read within the boxes, yxyx in its pixels.

    Args:
        photograph: is not changed.
        boxes_px: `(n, 4)`; what lies outside the photograph does not matter.
        way: of `WAYS`.
    """
    copy = photograph.copy()
    boxes = np.asarray(boxes_px, "float64").reshape(-1, 4)
    # The largest first, each of what the others have left: where they overlap, no box shows what another one hides.
    for box in sorted(boxes, key=lambda one: -(one[2] - one[0]) * (one[3] - one[1])):
        area = _within(copy, box)
        if area.size:
            area[...] = WAYS[way](area)
    return copy


def _within(pixels: np.ndarray, box_px: Sequence[float] | np.ndarray) -> np.ndarray:
    """The pixels `(h, w, ...)` that a box, yxyx, touches, as a view; none if it lies outside."""
    sides = pixels.shape[:2]
    top, left = np.floor(np.clip(box_px[:2], 0, sides)).astype(int)
    bottom, right = np.ceil(np.clip(box_px[2:], 0, sides)).astype(int)
    return pixels[top:bottom, left:right]


def around(box_px: Sequence[float] | np.ndarray, share: float) -> tuple[float, float, float, float]:
    """A box, yxyx, larger by a share of its shorter side on each side."""
    top, left, bottom, right = box_px
    more = max(_LEAST_AROUND, share * min(bottom - top, right - left))
    return top - more, left - more, bottom + more, right + more


# A place to hide: its box, yxyx in pixels, how surely it is a plate, and `PLATE` or `PERHAPS`.
Place = tuple[tuple[float, float, float, float], float, str]


def places_to_hide(photograph: np.ndarray, readings: Sequence[Reading], driver: Driver) -> list[Place]:
    """What is to be hidden on a photograph, boxes enlarged: the plates that were read, and what else may be one.

    Beside a large plate a model may believe in no other one: it looks again without what has been found, until there is
    nothing more.

    Args:
        photograph: uint8 RGB `(h, w, 3)`.
        readings: of this photograph; none if it was not read.
        driver: finds what may be a plate; of no other thread.
    """
    plates = [(one.box_px, one.box_confidence) for one in readings if one.box_px is not None]
    found: list[Place] = [(around(box, _AROUND_READ), confidence, PLATE) for box, confidence in plates]
    found += [
        (around(box, _AROUND_SEEN), confidence, PERHAPS)
        for box, confidence in _candidates(photograph, driver)
        # Of one that is reported, the box is better known.
        if not any(intersection_over_union(box, plate) >= _SAME_IOU for plate, _ in plates)
    ]
    if not found:
        return found
    for _ in range(_LOOKS_AGAIN):
        further = _seen_without(photograph, [box for box, _, _ in found], driver)
        if not further:
            break
        found += [(around(box, _AROUND_READ), confidence, PLATE) for box, confidence in further]
    return found


def _seen_without(
    photograph: np.ndarray, boxes_px: Sequence[Sequence[float]], driver: Driver
) -> list[tuple[np.ndarray, float]]:
    """Boxes, yxyx in pixels, of what is surely enough a plate once others are covered, and how surely.

    It is seen from near, as in reading, but not read in doubt: covers would be, which takes long.
    """
    copy = hidden(photograph, boxes_px, "box")
    canvas, frame = letterbox(copy, driver.description.canvas_size, grey=driver.procedure.letterbox_grey)
    seen = driver.look(canvas[None])
    covered = np.zeros(photograph.shape[:2], bool)
    for box in boxes_px:
        _within(covered, box)[...] = True
    return [
        (box, float(confidence))
        for box, confidence in zip(frame.to_px(seen["boxes_rel"]), seen["box_confidence"], strict=True)
        if confidence >= driver.procedure.box_threshold
        and (area := _within(covered, box)).size
        and area.mean() < _COVERED
    ]


def _candidates(photograph: np.ndarray, driver: Driver) -> list[tuple[np.ndarray, float]]:
    """Boxes, yxyx in pixels, of all that is taken for a plate at all, on the whole or a tile, and how surely."""
    sides = np.array(photograph.shape[:2], "int64")
    tiles = parts.tiles(sides, TILE, driver.procedure, np)
    found = _seen(photograph, np.zeros(2), driver)
    for top, left, bottom, right in tiles:
        found += _seen(photograph[top:bottom, left:right], np.array((top, left), "float64"), driver)
    return found


def _seen(part: np.ndarray, corner: np.ndarray, driver: Driver) -> list[tuple[np.ndarray, float]]:
    """What one look at a part of a photograph, whose top left corner is there, takes for a plate."""
    sizes = driver.description
    canvas, frame = letterbox(part, sizes.canvas_size, grey=driver.procedure.letterbox_grey)
    scenes = driver.arrays.scenes(canvas[None], sizes.scene_shrink)
    seen = driver.find(scenes, MOST_HIDDEN)
    boxes_px, confidences = frame.to_px(seen["boxes_rel"]) + np.tile(corner, 2), np.asarray(seen["box_confidence"])
    return [
        (box, float(confidence))
        for box, confidence in zip(boxes_px, confidences, strict=True)
        if confidence >= HIDDEN_FROM
    ]


def refuse_unsafe(output: Path, photographs: Sequence[tuple[str, Path]]) -> None:
    """Make sure that copies can be written into a prediction's folder, before anything is.

    Raises:
        UserError: one could overwrite a photograph, or those of an earlier run are there, some of which would stay.
    """
    folder = output / REDACTED
    refuse_over_photographs(folder, "leave out --redact", photographs)
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: holds copies of an earlier run; remove it, or name another folder with --output")


class RedactionWriter:
    """Writes copies of photographs without readable plates, and a list of what was hidden; to be used in a `with`
    statement.

    `redacted/IMG_ID` is a JPEG, or a PNG for a PNG, made of the pixels alone: the camera's data, the place, previews
    and colour profiles are left out. An unreadable file has no copy. `redacted.csv` has a row for each box, and one for
    a photograph on which nothing was hidden, so that somebody can look at it.

    Args:
        output: the folder of the prediction.
        way: of `WAYS`.
        driver: finds what may be a plate; of no other thread.

    Raises:
        UserError: the list is a link to another file.
        OSError: the folder cannot be written.

    Attributes:
        boxes, untouched: how many boxes were hidden, and on how many photographs none was.
    """

    def __init__(self, output: Path, way: str, driver: Driver):
        self.folder, self._way, self._driver = output / REDACTED, way, driver
        self._names = PictureNames((".jpg", ".jpeg", ".png"))
        self.boxes = self.untouched = 0
        self._list = WholeLines(output / REDACTED_CSV)
        self._list.write(csv_lines([COLUMNS]))

    def __enter__(self) -> RedactionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._list.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's copy and its rows; nothing for an unreadable file."""
        if photograph is None:
            return
        found = places_to_hide(photograph, readings, self._driver)
        name = self._names.name(img_id)
        copy = hidden(photograph, [box for box, _, _ in found], self._way)
        write_picture(own_file(self.folder, name), copy, _JPEG_QUALITY)
        rows = [(*(f"{value:.1f}" for value in box), f"{confidence:.4f}", why) for box, confidence, why in found]
        rows = rows or [("", "", "", "", "", NOTHING)]
        self._list.write(csv_lines([[name_as_cell(img_id), name_as_cell(name), *row] for row in rows]))
        self.boxes, self.untouched = self.boxes + len(found), self.untouched + (not found)

    def summary(self) -> str:
        """What was done, for people."""
        untouched = f"; on {self.untouched} nothing was found to hide: look at them" if self.untouched else ""
        return f"{self.boxes} places hidden{untouched}; copies are in {self.folder}"
