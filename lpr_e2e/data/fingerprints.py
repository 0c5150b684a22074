"""Fingerprints of pictures: what is kept of each, once it was decoded, to compare it with others.

Greys give red and blue the same weight, so a crop with swapped channels still fits its photograph. Miniatures are
square, so a quarter turn of a picture is a quarter turn of its miniature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row

# Changes with whatever is kept of a picture: fingerprints that another version kept are made anew.
VERSION = 1
# Sides of the square miniatures, in pixels: of a whole photograph in grey, and of a plate in colour.
PHOTOGRAPH_SIDE, COLOUR_SIDE = 48, 16
# The longer side of a plate that is kept in grey, in pixels; larger plates are scaled down.
KEPT_SIDE = 192
# What is kept around a plate: a share of its shorter side, and pixels. People cut crops more loosely than boxes.
KEPT_AROUND, KEPT_AROUND_PX = 0.4, 4
# A box that is less than half inside its photograph, or thinner than this in pixels, is no longer the plate's.
SHARE_INSIDE, THINNEST_BOX = 0.5, 2

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class PlateFingerprint:
    """What is kept of a plate on a photograph.

    Attributes:
        grey: uint8 `(h, w)` of the plate and what is around it.
        box: the plate in `grey`, yxyx, whole pixels of `grey`.
        colours: uint8 RGB `(16, 16, 3)` of the box.
        scale: pixels of `grey` per pixel of the photograph, at most 1.
        shape: (height, width) of the box, photograph pixels.
    """

    grey: np.ndarray
    box: tuple[int, int, int, int]
    colours: np.ndarray
    scale: float
    shape: tuple[int, int]

    @property
    def plate(self) -> np.ndarray:
        """uint8 `(h, w)`: the plate without what is around it."""
        ymin, xmin, ymax, xmax = self.box
        return self.grey[ymin:ymax, xmin:xmax]


@dataclass(frozen=True)
class PhotographFingerprint:
    """What is kept of a photograph: its plates, and uint8 greys `(48, 48)` and (height, width) of the whole."""

    plates: tuple[PlateFingerprint, ...]
    whole: np.ndarray
    shape: tuple[int, int]


@dataclass(frozen=True)
class CropFingerprint:
    """What is kept of a crop: as of a plate on a photograph, with nothing around it."""

    grey: np.ndarray
    colours: np.ndarray
    scale: float
    shape: tuple[int, int]


def photograph_fingerprint(photograph: np.ndarray, boxes_px: Sequence[Sequence[float]]) -> PhotographFingerprint:
    """The fingerprint of a uint8 RGB photograph `(h, w, 3)` and its plates' boxes, yxyx, inside the photograph."""
    plates = tuple(_plate_fingerprint(photograph, box_px) for box_px in boxes_px)
    small = cv2.resize(photograph, (PHOTOGRAPH_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    height, width = photograph.shape[:2]
    return PhotographFingerprint(plates, to_grey(small), (height, width))


def crop_fingerprint(crop: np.ndarray) -> CropFingerprint:
    """The fingerprint of a uint8 RGB crop `(h, w, 3)`."""
    height, width = crop.shape[:2]
    scale = min(1.0, KEPT_SIDE / max(height, width))
    colours = cv2.resize(crop, (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return CropFingerprint(scaled(to_grey(crop), scale), colours, scale, (height, width))


def _plate_fingerprint(photograph: np.ndarray, box_px: Sequence[float]) -> PlateFingerprint:
    ymin, xmin = (int(np.floor(value)) for value in box_px[:2])
    ymax, xmax = (int(np.ceil(value)) for value in box_px[2:])
    height, width = ymax - ymin, xmax - xmin
    margin = round(KEPT_AROUND * min(height, width)) + KEPT_AROUND_PX
    top, left = max(0, ymin - margin), max(0, xmin - margin)
    around = photograph[top : ymax + margin, left : xmax + margin]
    scale = min(1.0, KEPT_SIDE / max(height, width))
    grey = scaled(to_grey(around), scale)
    # The sides that are left after rounding, whatever the scale.
    fy, fx = grey.shape[0] / around.shape[0], grey.shape[1] / around.shape[1]
    box = [round((ymin - top) * fy), round((xmin - left) * fx), round((ymax - top) * fy), round((xmax - left) * fx)]
    box[2], box[3] = max(box[2], box[0] + 1), max(box[3], box[1] + 1)
    colours = cv2.resize(photograph[ymin:ymax, xmin:xmax], (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return PlateFingerprint(grey, (box[0], box[1], box[2], box[3]), colours, scale, (height, width))


def to_grey(picture: np.ndarray) -> np.ndarray:
    """uint8 `(h, w)` of uint8 RGB `(h, w, 3)`; red and blue weigh the same."""
    return cv2.transform(np.ascontiguousarray(picture), np.array([[0.25, 0.5, 0.25]], "float32"))


def scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    """A uint8 grey picture with its sides multiplied by `scale`, at least one pixel each."""
    if scale == 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def scene_vector(grey: np.ndarray) -> np.ndarray:
    """Zero-mean float32 vector `(48 * 48,)` of length 1 (or 0 for a picture of one colour) of a grey picture."""
    # Pillow: OpenCV's area interpolation gives another result for a turned picture where one side grows.
    small = Image.fromarray(grey).resize((PHOTOGRAPH_SIDE,) * 2, Image.Resampling.BILINEAR)
    vector = np.asarray(small, "float32").ravel()
    vector = vector - vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def clip_box(row: Row, height: int, width: int) -> tuple[Row | None, Problem | None]:
    """The row with its box clipped to its photograph of `height` x `width` pixels, and what was wrong with the box.

    There is no row if hardly any of the box is inside, and no problem if all of it is.
    """
    box_px, inside = clipped(row.box_px, height, width)
    if box_px == row.box_px:
        return row, None
    kind = "box partly outside" if box_px else "box outside the picture" if inside < 1 else "box too thin"
    expected = f"expected a box of at least {THINNEST_BOX} px in the {width} x {height} px of {row.img_id}"
    done = "clipped to them" if box_px else "skipped, correct it"
    problem = row.problem(",".join(f"{value:g}" for value in row.box_px), kind, f"{expected}; {done}")
    return replace(row, box_px=box_px) if box_px else None, problem


def clipped(box_px: Box, height: int, width: int) -> tuple[Box | None, float]:
    """A box, yxyx, clipped to `height` x `width` pixels, None if it is not usable; and the share of it inside them."""
    ymin, xmin, ymax, xmax = box_px
    inner = (max(0.0, ymin), max(0.0, xmin), min(float(height), ymax), min(float(width), xmax))
    sides = max(0.0, inner[2] - inner[0]), max(0.0, inner[3] - inner[1])
    area = (ymax - ymin) * (xmax - xmin)
    inside = sides[0] * sides[1] / area if area else 0.0
    return inner if min(sides) >= THINNEST_BOX and inside >= SHARE_INSIDE else None, inside
