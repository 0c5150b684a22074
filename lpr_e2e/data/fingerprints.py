"""Fingerprints of pictures: each picture is decoded once, checked, and leaves what is needed to compare it.

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
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row

# Sides of the square miniatures, in pixels: of a plate, of a whole photograph, and of a plate's colours.
PLATE_SIDE, PHOTOGRAPH_SIDE, COLOUR_SIDE = 40, 32, 16
# The longer side of a plate that is kept in grey, in pixels; larger plates are scaled down.
KEPT_SIDE = 192
# A box that is less than half inside its photograph, or thinner than this in pixels, is no longer the plate's.
SHARE_INSIDE, THINNEST_BOX = 0.5, 2


@dataclass(frozen=True)
class PhotographFingerprint:
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
class CropFingerprint:
    """What is kept of a crop: as of a photograph, with the crop in place of the box and nothing around it."""

    plate: np.ndarray
    colours: np.ndarray
    grey: np.ndarray
    scale: float
    shape: tuple[int, int]


Fingerprint = TypeVar("Fingerprint", PhotographFingerprint, CropFingerprint)


@dataclass(frozen=True)
class Picture(Generic[Fingerprint]):
    """A row whose picture can be used (its box is inside the picture), the picture's file, and its fingerprint."""

    row: Row
    path: Path
    fingerprint: Fingerprint


def usable_photographs(rows: Iterable[Row], folder: Path) -> tuple[list[Picture[PhotographFingerprint]], list[Problem]]:
    """Decode the photographs of detection or validation rows, and clip their boxes to them.

    Returns:
        The rows with a usable photograph and box, and what is wrong with others or was mended.
    """
    pictures: list[Picture[PhotographFingerprint]] = []
    problems: list[Problem] = []
    for row in rows:
        photograph = _decoded(row, folder)
        if isinstance(photograph, Problem):
            problems.append(photograph)
            continue
        clipped, problem = clip_box(row, *photograph.shape[:2])
        if problem is not None:
            problems.append(problem)
        if clipped is not None:
            fingerprint = photograph_fingerprint(photograph, clipped.box_px)
            pictures.append(Picture(clipped, folder / row.img_id, fingerprint))
    return pictures, problems


def usable_crops(rows: Iterable[Row], folder: Path) -> tuple[list[Picture[CropFingerprint]], list[Problem]]:
    """Decode the crops of recognition rows: the rows with a usable crop, and what is wrong with the others."""
    pictures: list[Picture[CropFingerprint]] = []
    problems: list[Problem] = []
    for row in rows:
        crop = _decoded(row, folder)
        if isinstance(crop, Problem):
            problems.append(crop)
        else:
            pictures.append(Picture(row, folder / row.img_id, crop_fingerprint(crop)))
    return pictures, problems


def photograph_fingerprint(photograph: np.ndarray, box_px: Sequence[float]) -> PhotographFingerprint:
    """The fingerprint of a uint8 RGB photograph `(h, w, 3)` and its plate's box, yxyx, inside the photograph."""
    ymin, xmin = (int(np.floor(value)) for value in box_px[:2])
    ymax, xmax = (int(np.ceil(value)) for value in box_px[2:])
    plate = crop_fingerprint(photograph[ymin:ymax, xmin:xmax])
    margin = min(plate.shape) // 4 + 4
    around = photograph[max(0, ymin - margin) : ymax + margin, max(0, xmin - margin) : xmax + margin]
    small = cv2.resize(photograph, (PHOTOGRAPH_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    whole = _unit(to_grey(small), PHOTOGRAPH_SIDE)
    return PhotographFingerprint(
        plate.plate, whole, plate.colours, scaled(to_grey(around), plate.scale), plate.scale, plate.shape
    )


def crop_fingerprint(crop: np.ndarray) -> CropFingerprint:
    """The fingerprint of a uint8 RGB crop `(h, w, 3)`."""
    grey = to_grey(crop)
    scale = min(1.0, KEPT_SIDE / max(grey.shape))
    colours = cv2.resize(crop, (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return CropFingerprint(_unit(grey, PLATE_SIDE), colours, scaled(grey, scale), scale, grey.shape)


def to_grey(picture: np.ndarray) -> np.ndarray:
    """uint8 `(h, w)` of uint8 RGB `(h, w, 3)`; red and blue weigh the same."""
    return cv2.transform(np.ascontiguousarray(picture), np.array([[0.25, 0.5, 0.25]], "float32"))


def scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    """A uint8 grey picture with its sides multiplied by `scale`, at least one pixel each."""
    if scale == 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _decoded(row: Row, folder: Path) -> np.ndarray | Problem:
    """The row's picture, uint8 RGB `(h, w, 3)`, or why it cannot be used."""
    try:
        return read_picture(folder / row.img_id)
    except PictureError as error:
        kind = {"missing file": "missing picture", "empty file (0 bytes)": "empty picture"}.get(str(error))
        message = f"{folder.name}/{row.img_id}: {error}; skipped, replace the picture or remove the row"
        return row.problem(row.img_id, kind or "unusable picture", message)


def clip_box(row: Row, height: int, width: int) -> tuple[Row | None, Problem | None]:
    """The row with its box clipped to its photograph of `height` x `width` pixels, and what was wrong with the box.

    There is no row if hardly any of the box is inside, and no problem if all of it is.
    """
    ymin, xmin, ymax, xmax = row.box_px
    box_px = (max(0.0, ymin), max(0.0, xmin), min(float(height), ymax), min(float(width), xmax))
    sides = max(0.0, box_px[2] - box_px[0]), max(0.0, box_px[3] - box_px[1])
    inside = sides[0] * sides[1] / ((ymax - ymin) * (xmax - xmin))
    usable = min(sides) >= THINNEST_BOX and inside >= SHARE_INSIDE
    if usable and box_px == row.box_px:
        return row, None
    kind = "box partly outside" if usable else "box outside the picture" if inside < 1 else "box too thin"
    expected = f"expected a box of at least {THINNEST_BOX} px in the {width} x {height} px of {row.img_id}"
    done = "clipped to them" if usable else "skipped, correct it"
    problem = row.problem(",".join(f"{value:g}" for value in row.box_px), kind, f"{expected}; {done}")
    return replace(row, box_px=box_px) if usable else None, problem


def _unit(grey: np.ndarray, side: int) -> np.ndarray:
    """Zero-mean float32 vector `(side * side,)` of length 1 (or 0 for a picture of one colour)."""
    # Pillow: OpenCV's area interpolation gives another result for a turned picture where one side grows.
    small = Image.fromarray(grey).resize((side, side), Image.Resampling.BILINEAR)
    vector = np.asarray(small, "float32").ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
