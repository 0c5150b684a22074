"""Small prints of pictures: each picture is decoded once, checked, and leaves what is needed to compare it.

Greys give red and blue the same weight, so a crop with swapped channels still fits its photograph. Vectors come from
square miniatures, so a quarter turn of a picture is a quarter turn of its miniature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from PIL import Image

from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.data.tables import Problem, Row

# Sides of the square miniatures, in pixels: of a plate, of a whole photograph, and of a plate's colours.
PLATE_SIDE, PHOTOGRAPH_SIDE, COLOUR_SIDE = 40, 32, 16
# The longer side of a plate that is kept in grey, in pixels; larger plates are scaled down.
KEPT_SIDE = 192
# A box that is less than half inside its photograph, or thinner than this in pixels, is no longer the plate's.
SHARE_INSIDE, THINNEST_BOX = 0.5, 2


@dataclass(frozen=True)
class PhotographPrint:
    """What is kept of a photograph and its plate.

    Attributes:
        plate: float32 unit vector `(40 * 40,)` of the box.
        whole: float32 unit vector `(32 * 32,)` of the whole photograph.
        colours: uint8 RGB `(16, 16, 3)` of the box.
        grey: uint8 `(h, w)` of the box with a quarter of its shorter side around it.
        scale: pixels of `grey` per pixel of the photograph, at most 1.
        shape: (height, width) of the box, photograph pixels.
    """

    plate: np.ndarray
    whole: np.ndarray
    colours: np.ndarray
    grey: np.ndarray
    scale: float
    shape: tuple[int, int]


@dataclass(frozen=True)
class CropPrint:
    """What is kept of a crop: as in `PhotographPrint`, with the crop in place of the box and nothing around it."""

    plate: np.ndarray
    colours: np.ndarray
    grey: np.ndarray
    scale: float
    shape: tuple[int, int]


Print = TypeVar("Print", PhotographPrint, CropPrint)


@dataclass
class Pictures(Generic[Print]):
    """The rows whose pictures can be used, with path and print of each: three lists in step."""

    rows: list[Row]
    paths: list[Path]
    prints: list[Print]

    def __len__(self) -> int:
        return len(self.rows)


def print_photographs(rows: Iterable[Row], folder: Path, problems: list[Problem]) -> Pictures[PhotographPrint]:
    """Decode the photographs of detection or validation rows; boxes are clipped to them. Appends to `problems`."""
    pictures: Pictures[PhotographPrint] = Pictures([], [], [])
    for row, path, picture in _decoded(rows, folder, problems):
        clipped = _clipped(row, *picture.shape[:2], problems)
        if clipped is not None:
            pictures.rows.append(clipped)
            pictures.paths.append(path)
            pictures.prints.append(photograph_print(picture, clipped.box_px))
    return pictures


def print_crops(rows: Iterable[Row], folder: Path, problems: list[Problem]) -> Pictures[CropPrint]:
    """Decode the crops of recognition rows. Appends to `problems`."""
    pictures: Pictures[CropPrint] = Pictures([], [], [])
    for row, path, picture in _decoded(rows, folder, problems):
        pictures.rows.append(row)
        pictures.paths.append(path)
        pictures.prints.append(crop_print(picture))
    return pictures


def photograph_print(photograph: np.ndarray, box_px: Sequence[float]) -> PhotographPrint:
    """The print of a uint8 RGB photograph `(h, w, 3)` and its plate's box, yxyx, inside the photograph."""
    ymin, xmin = (int(np.floor(value)) for value in box_px[:2])
    ymax, xmax = (int(np.ceil(value)) for value in box_px[2:])
    plate = crop_print(photograph[ymin:ymax, xmin:xmax])
    margin = min(plate.shape) // 4 + 4
    around = photograph[max(0, ymin - margin) : ymax + margin, max(0, xmin - margin) : xmax + margin]
    small = cv2.resize(photograph, (PHOTOGRAPH_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    whole = _unit(to_grey(small), PHOTOGRAPH_SIDE)
    return PhotographPrint(
        plate.plate, whole, plate.colours, scaled(to_grey(around), plate.scale), plate.scale, plate.shape
    )


def crop_print(crop: np.ndarray) -> CropPrint:
    """The print of a uint8 RGB crop `(h, w, 3)`."""
    grey = to_grey(crop)
    scale = min(1.0, KEPT_SIDE / max(grey.shape))
    colours = cv2.resize(crop, (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return CropPrint(_unit(grey, PLATE_SIDE), colours, scaled(grey, scale), scale, grey.shape)


def to_grey(picture: np.ndarray) -> np.ndarray:
    """uint8 `(h, w)` of uint8 RGB `(h, w, 3)`; red and blue weigh the same."""
    return cv2.transform(np.ascontiguousarray(picture), np.array([[0.25, 0.5, 0.25]], "float32"))


def scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    """A uint8 grey picture with its sides multiplied by `scale`, at least one pixel each."""
    if scale == 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _decoded(rows: Iterable[Row], folder: Path, problems: list[Problem]) -> Iterable[tuple[Row, Path, np.ndarray]]:
    """Each row's picture, one at a time; pictures that cannot be used are named in `problems`."""
    for row in rows:
        path = folder / row.img_id
        try:
            picture = read_picture(path)
        except PictureError as error:
            kind = {"missing file": "missing picture", "empty file (0 bytes)": "empty picture"}.get(str(error))
            message = f"{folder.name}/{row.img_id}: {error}; skipped, replace the picture or remove the row"
            problems.append(row.problem(row.img_id, kind or "unusable picture", message))
            continue
        yield row, path, picture


def _clipped(row: Row, height: int, width: int, problems: list[Problem]) -> Row | None:
    """The row with its box clipped to the photograph; None if hardly any of it is inside."""
    ymin, xmin, ymax, xmax = row.box_px
    box_px = (max(0.0, ymin), max(0.0, xmin), min(float(height), ymax), min(float(width), xmax))
    sides = max(0.0, box_px[2] - box_px[0]), max(0.0, box_px[3] - box_px[1])
    inside = sides[0] * sides[1] / ((ymax - ymin) * (xmax - xmin))
    usable = min(sides) >= THINNEST_BOX and inside >= SHARE_INSIDE
    if usable and box_px == row.box_px:
        return row
    kind = "box partly outside" if usable else "box outside the picture" if inside < 1 else "box too thin"
    expected = f"expected a box of at least {THINNEST_BOX} px in the {width} x {height} px of {row.img_id}"
    done = "clipped to them" if usable else "skipped, correct it"
    problems.append(row.problem(",".join(f"{value:g}" for value in row.box_px), kind, f"{expected}; {done}"))
    return replace(row, box_px=box_px) if usable else None


def _unit(grey: np.ndarray, side: int) -> np.ndarray:
    """Zero-mean float32 vector `(side * side,)` of length 1 (or 0 for a picture of one colour)."""
    # Pillow: OpenCV's area interpolation gives another result for a turned picture where one side grows.
    small = Image.fromarray(grey).resize((side, side), Image.Resampling.BILINEAR)
    vector = np.asarray(small, "float32").ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
