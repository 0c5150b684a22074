"""Boxes and the frames they live in. Every conversion between frames is here and nowhere else.

A box is `yxyx`: `(ymin, xmin, ymax, xmax)`, float, the same order as in the CSV files. Two frames exist:

* `boxes_px`: pixels of the photograph as it is decoded (after EXIF rotation);
* `boxes_rel`: 0..1 of the square letterboxed canvas, the frame of everything inside the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lpr_e2e.common.procedure import TODAY

_ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True)
class Letterbox:
    """How a photograph of `height` x `width` pixels is laid into a square canvas of `size` pixels.

    The photograph is scaled by one factor so that its longer side fills the canvas, and centred.
    """

    height: int
    width: int
    size: int

    @property
    def scale(self) -> float:
        """Canvas pixels per photograph pixel."""
        return self.size / max(self.height, self.width)

    @property
    def offset(self) -> tuple[float, float]:
        """Canvas coordinates `(y, x)` of the photograph's top left corner, in canvas pixels."""
        return (self.size - self.height * self.scale) / 2, (self.size - self.width * self.scale) / 2

    def to_rel(self, boxes_px: np.ndarray) -> np.ndarray:
        """Photograph pixels `(..., 4)` yxyx to 0..1 of the canvas, float32."""
        shift = np.array(self.offset * 2, "float32")
        return (np.asarray(boxes_px, "float32") * self.scale + shift) / self.size

    def to_px(self, boxes_rel: np.ndarray) -> np.ndarray:
        """0..1 of the canvas `(..., 4)` yxyx to photograph pixels, clipped to the photograph, float32."""
        shift = np.array(self.offset * 2, "float32")
        boxes_px = (np.asarray(boxes_rel, "float32") * self.size - shift) / self.scale
        return np.clip(boxes_px, 0, np.array([self.height, self.width] * 2, "float32"))

    def draw(
        self, photograph: np.ndarray, out: np.ndarray | None = None, grey: int = TODAY.letterbox_grey
    ) -> np.ndarray:
        """The canvas: uint8 RGB `(size, size, 3)`, `out` if given, from a uint8 RGB photograph `(height, width, 3)`.

        What the photograph leaves free is `grey`.
        """
        interpolation = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        inner = (max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale)))
        canvas = np.empty((self.size, self.size, 3), "uint8") if out is None else out
        top, left = (round(value) for value in self.offset)
        top, left = min(top, self.size - inner[1]), min(left, self.size - inner[0])
        bottom, right = top + inner[1], left + inner[0]
        for outside in (canvas[:top], canvas[bottom:], canvas[top:bottom, :left], canvas[top:bottom, right:]):
            outside[:] = grey
        cv2.resize(photograph, inner, canvas[top:bottom, left:right], interpolation=interpolation)
        return canvas


def letterbox(
    photograph: np.ndarray, size: int, out: np.ndarray | None = None, grey: int = TODAY.letterbox_grey
) -> tuple[np.ndarray, Letterbox]:
    """Lay a uint8 RGB photograph `(h, w, 3)` into a canvas `(size, size, 3)`, `out` if given; also return the frame."""
    frame = Letterbox(photograph.shape[0], photograph.shape[1], size)
    return frame.draw(photograph, out, grey), frame


def intersection_over_union(first, second, xp=np):
    """IoU of boxes `(..., 4)` yxyx with boxes `(..., 4)` of the same frame; shapes broadcast, result `(...)`.

    Args:
        first, second: arrays of numpy, computed in float64, or tensors of Keras.
        xp: `numpy`, or `keras.ops` for tensors: differentiable then.
    """
    if xp is np:
        first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    # Side by side in memory or not, columns are computed several times as fast as rows of two.
    bottom, right = (xp.minimum(first[..., side], second[..., side]) for side in (2, 3))
    top, left = (xp.maximum(first[..., side], second[..., side]) for side in (0, 1))
    overlap = xp.maximum(bottom - top, 0.0) * xp.maximum(right - left, 0.0)
    areas = [
        xp.maximum(box[..., 2] - box[..., 0], 0.0) * xp.maximum(box[..., 3] - box[..., 1], 0.0)
        for box in (first, second)
    ]
    return overlap / xp.maximum(areas[0] + areas[1] - overlap, 1e-12)


def turn_picture(picture: np.ndarray, turns: int) -> np.ndarray:
    """The same as `numpy.rot90(picture, turns)`, contiguous, and ten times as fast on a large picture.

    Args:
        picture: `(h, w)` or `(h, w, 3)`, any type; without a turn it is not copied.
        turns: counter-clockwise quarter turns, any whole number.
    """
    rotation = _ROTATIONS.get(int(turns) % 4)
    return np.ascontiguousarray(picture) if rotation is None else cv2.rotate(picture, rotation)


def turn_box(box_px: np.ndarray, height: int, width: int, turns: int) -> np.ndarray:
    """The box `(4,)` yxyx after `numpy.rot90(photograph, turns)` of a `height` x `width` photograph."""
    box = np.asarray(box_px, "float32")
    for _ in range(turns % 4):  # One counter-clockwise quarter: y' = width - x, x' = y.
        box = np.array([width - box[3], box[0], width - box[1], box[2]], "float32")
        height, width = width, height
    return box


def rectangle_corners(box_px) -> np.ndarray:
    """Corners `(4, 2)` xy, float32, clockwise from the top left, of a box `(4,)` yxyx."""
    ymin, xmin, ymax, xmax = box_px
    return np.array([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]], "float32")


def aspect(box_px) -> float:
    """Longer by shorter side of a box `(4,)` yxyx."""
    sides = abs(box_px[2] - box_px[0]), abs(box_px[3] - box_px[1])
    return float(max(sides) / max(min(sides), 1e-9))


def upright_glimpse(
    picture: np.ndarray, box_px, turns: int, size: tuple[int, int], margin: tuple[float, float]
) -> np.ndarray:
    """A plate as the model sees it, without augmentation.

    Args:
        picture: uint8 `(h, w, 3)`.
        box_px: yxyx of the plate in it.
        turns: `numpy.rot90(picture, turns)` puts the plate upright.
        size: `(height, width)` of the glimpse, pixels.
        margin: share of the plate's upright (height, width) that is added on each side, as
            `Procedure.window_margin` gives it.

    Returns:
        uint8 `(height, width, 3)`.
    """
    height, width = picture.shape[:2]
    ymin, xmin, ymax, xmax = turn_box(box_px, height, width, turns)
    picture = turn_picture(picture, turns)
    pad_y, pad_x = margin[0] * (ymax - ymin), margin[1] * (xmax - xmin)
    corners = rectangle_corners((ymin - pad_y, xmin - pad_x, ymax + pad_y, xmax + pad_x))
    warp = cv2.getPerspectiveTransform(corners, rectangle_corners((0, 0, *size)))
    return cv2.warpPerspective(picture, warp, size[::-1], borderMode=cv2.BORDER_REPLICATE)
