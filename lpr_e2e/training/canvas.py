"""A training photograph on the canvas: moved, scaled, tilted and turned, with the boxes of all of its plates.

Everything works on uint8 RGB pictures and takes its randomness from a `numpy.random.Generator`. Points are `(x, y)`
here, as OpenCV wants them; boxes stay yxyx.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lpr_e2e.common.architecture import MOST_TILT
from lpr_e2e.common.boxes import aspect, rectangle_corners, turn_box, turn_picture
from lpr_e2e.data.samples import Plate
from lpr_e2e.training.light import Light

# Width of the close views trained on, in windows of the second look. One training on exactly these windows, the plate
# in the middle (and with other batches), gave a mean IoU of 0.867 instead of 0.875.
CLOSE_VIEW = 1.3
# A band beside the plates that is thinner than this, in pixels, is no room for a window.
_LEAST_BAND = 16
# Photographs as if taken from further away: pixels of their first plate, at least, along its longer side.
_DISTANT_PLATE = 40.0


@dataclass(frozen=True)
class OnCanvas:
    """A photograph on the canvas.

    Attributes:
        canvas: uint8 `(size, size, 3)`.
        boxes_rel: float32 `(n, 4)` rel yxyx of the photograph's plates; parts may lie outside the canvas.
        quarters: counter-clockwise quarter turns that were made.
        angles: `(n,)` radians by which each plate was turned clockwise besides.
        hidden: whether the canvas shows a window without any part of a plate.
        written_rel: float32 `(m, 4)` rel yxyx of other writing.
    """

    canvas: np.ndarray
    boxes_rel: np.ndarray
    quarters: int
    angles: np.ndarray
    hidden: bool
    written_rel: np.ndarray

    def whole(self) -> np.ndarray:
        """bool `(n,)`: which plates lie wholly on the canvas."""
        return (self.boxes_rel >= 0).all(1) & (self.boxes_rel <= 1).all(1) & (not self.hidden)

    def cut(self) -> np.ndarray:
        """bool `(n,)`: which plates lie on the canvas in part."""
        low, high = self.boxes_rel[:, :2].clip(0, 1), self.boxes_rel[:, 2:].clip(0, 1)
        return (high > low).all(1) & ~self.whole() & (not self.hidden)


@dataclass(frozen=True)
class CanvasMotion:
    """How photographs are shown in training.

    Attributes:
        size: side of the canvas, pixels.
        grey: `Procedure.letterbox_grey` of the model.
        light: what light and the camera do to them.
        turned: odds of one to three quarter turns.
        tilted: odds of a tilt, or of a rise along the width, by some ten degrees, where the plate fills its box; else
            it is about one degree.
        close: odds of a close view, in which the canvas is about `close_side` longer sides of the box wide.
        close_side: see `close`.
        distant: odds of fewer pixels, as if the photograph had been taken from further away.
        straight_aspect: longer by shorter side from which on a plate fills its box.
    """

    size: int
    grey: int
    light: Light
    turned: float
    tilted: float
    close: float
    close_side: float
    distant: float
    straight_aspect: float


def photograph_on_canvas(
    photograph, boxes_px, motion: CanvasMotion, rng, hide: bool = False, written_px=()
) -> OnCanvas:
    """A photograph, moved, scaled, tilted and turned by quarters, on the canvas.

    Args:
        photograph: uint8 `(h, w, 3)`.
        boxes_px: `(n, 4)` yxyx; the first is the plate that is meant to be on the canvas. Without any, all of the
            photograph is, more or less.
        motion: how it is moved.
        rng: source of randomness.
        hide: choose a window without any part of a plate, if there is room for one.
        written_px: `(m, 4)` yxyx of other writing. Where it comes to lie in such a window is not told.
    """
    boxes_px = np.asarray(boxes_px, "float32").reshape(-1, 4)
    quarters = int(rng.integers(1, 4)) if rng.random() < motion.turned else 0
    band = _band_without_plate(photograph, boxes_px) if hide and len(boxes_px) else None
    hidden = band is not None
    if hidden:
        photograph = band
    if hidden or not len(boxes_px):
        scale, centre = _window_of_all(photograph.shape[:2], motion.size, rng)
    else:
        scale, centre = _window_with_plate(photograph.shape[:2], boxes_px[0], motion, rng)
    tilt = (
        len(boxes_px) > 0
        and not hidden
        and aspect(boxes_px[0]) > motion.straight_aspect
        and rng.random() < motion.tilted
    )
    matrix, angle, sheared = _motion(scale, tilt, rng)
    matrix[:, 2] = motion.size / 2 - matrix[:, :2] @ centre
    sides = photograph.shape[:2]
    if len(boxes_px) and not hidden and rng.random() < motion.distant:
        shrink = np.exp(rng.uniform(min(0.0, np.log(_DISTANT_PLATE / _longer(boxes_px[0]))), 0))
        photograph = cv2.resize(photograph, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    left = np.array(photograph.shape[1::-1]) / sides[::-1]  # Of the pixels, along x and y.
    if scale < 0.7 * left[0]:
        photograph = cv2.GaussianBlur(photograph, (0, 0), 0.4 * left[0] / scale)
    # With a fourth channel OpenCV takes half the time, for the same colours.
    layers = cv2.cvtColor(photograph, cv2.COLOR_RGB2RGBA)
    layers = cv2.warpAffine(layers, _of_shrunk(matrix, left), (motion.size,) * 2, borderValue=(motion.grey,) * 4)
    canvas = cv2.cvtColor(layers, cv2.COLOR_RGBA2RGB)
    width = scale * _longer(boxes_px[0]) if len(boxes_px) and not hidden else 0.0
    moved = [_moved_box(box, matrix, tilt) for box in boxes_px]
    canvas = motion.light.on_canvas(canvas, rng, width, [] if hidden else moved)
    boxes = [turn_box(box / motion.size, 1, 1, quarters) for box in moved]
    # Seen from one side, a plate that lies on its side keeps its direction.
    angles = [0.0 if sheared and box[2] - box[0] > box[3] - box[1] else angle for box in boxes_px]
    boxes_rel = np.array(boxes, "float32").reshape(-1, 4)
    written = [_moved_box(box, matrix, False) / motion.size for box in ([] if hidden else written_px)]
    written_rel = np.array([turn_box(box, 1, 1, quarters) for box in written], "float32").reshape(-1, 4)
    return OnCanvas(turn_picture(canvas, quarters), boxes_rel, quarters, np.array(angles), hidden, written_rel)


def _longer(box_px) -> float:
    """The longer side of a box `(4,)`."""
    return float(max(box_px[2] - box_px[0], box_px[3] - box_px[1]))


def _of_shrunk(matrix: np.ndarray, left: np.ndarray) -> np.ndarray:
    """What a matrix `(2, 3)` of xy is for a picture that has these shares `(2,)` of its pixels left along x and y.

    A pixel's place is that of its middle.
    """
    return np.column_stack([matrix[:, :2] / left, matrix[:, 2] + matrix[:, :2] @ ((1 / left - 1) / 2)])


def _band_without_plate(photograph, boxes_px) -> np.ndarray | None:
    """The largest band of the photograph above, below, left or right of all plates; None if there is hardly one."""
    height, width = photograph.shape[:2]
    top, left = np.floor(boxes_px[:, :2].min(0)).astype(int)
    bottom, right = np.ceil(boxes_px[:, 2:].max(0)).astype(int)
    bands = [photograph[: max(top, 0)], photograph[bottom:], photograph[:, : max(left, 0)], photograph[:, right:]]
    largest = max(bands, key=lambda band: band.shape[0] * band.shape[1])
    return np.ascontiguousarray(largest) if min(largest.shape[:2]) >= _LEAST_BAND else None


def _window_of_all(sides, size: int, rng) -> tuple[float, np.ndarray]:
    """How large a picture of these `(height, width)` is shown whole; as `_window_with_plate`."""
    height, width = sides
    scale = size / max(height, width) * np.exp(rng.uniform(np.log(0.6), np.log(1.5)))
    return scale, np.array([width / 2, height / 2])


def _window_with_plate(sides, box_px, motion: CanvasMotion, rng) -> tuple[float, np.ndarray]:
    """How large a photograph of these `(height, width)` is shown, and where, so that the plate is on the canvas.

    Returns:
        canvas pixels per photograph pixel; what of the photograph comes into the canvas's middle, xy.
    """
    (height, width), (ymin, xmin, ymax, xmax) = sides, (float(value) for value in box_px)
    size = motion.size
    fit = size / max(height, width)
    longer = max(xmax - xmin, ymax - ymin)
    if rng.random() < motion.close:
        scale = size / (fit * longer * motion.close_side) * np.exp(rng.uniform(-0.25, 0.4))
    else:
        largest = min(2.0, 0.7 * size / (fit * longer))
        scale = np.exp(rng.uniform(np.log(0.6), np.log(max(largest, 0.7))))
    # Between "photograph centred" and "plate anywhere inside".
    plate = np.array([(xmin + xmax) / 2, (ymin + ymax) / 2])
    reach = np.maximum(size / (2 * fit * scale) - np.array([xmax - xmin, ymax - ymin]) * 0.55, 0)
    centre = np.array([width / 2, height / 2]) + rng.normal(0, 0.06, 2) * max(height, width)
    return fit * scale, np.clip(centre, plate - reach, plate + reach)


def _motion(scale: float, tilt: bool, rng) -> tuple[np.ndarray, float, bool]:
    """Scaling and tilting as an affine matrix `(2, 3)` of xy, the clockwise tilt in it, radians, and whether it is
    one of the width alone."""
    angle = float(np.clip(np.deg2rad(rng.normal(0, 14.0 if tilt else 1.0)), -MOST_TILT, MOST_TILT))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    sheared = bool(tilt and rng.random() < 0.5)
    if sheared:  # As if seen from one side: uprights stay upright.
        matrix[:, 1] = 0.0, scale
    return matrix, angle, sheared


def _moved_box(box_px, matrix: np.ndarray, tilt: bool) -> np.ndarray:
    """The box around the moved plate, float32 `(4,)` yxyx, canvas pixels.

    A plate that fills its box takes the box's corners along. Of another, small tilts barely change the box: turn its
    edges' middles, not its corners, which would loosen it.
    """
    ymin, xmin, ymax, xmax = (float(value) for value in box_px)
    x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
    edges = rectangle_corners(box_px) if tilt else np.array([[x, ymin], [xmax, y], [x, ymax], [xmin, y]])
    moved = edges @ matrix[:, :2].T + matrix[:, 2]
    return np.array([*moved.min(0)[::-1], *moved.max(0)[::-1]], "float32")


def boxes_of(plates: Sequence[Plate], tilts: Sequence[float | None], shown: OnCanvas, count: int) -> dict:
    """What the box head learns of a photograph's plates: arrays `(count, ...)`, see `BatchMaker.joint_batch`."""
    sample = {
        "boxes_rel": np.zeros((count, 4), "float32"),
        "plate_visible": np.zeros(count, "float32"),
        "plate_cut": np.zeros(count, "float32"),
        "turns": np.zeros(count, "int32"),
        "turns_known": np.zeros(count, "float32"),
        "tilts": np.zeros(count, "float32"),
        "tilts_known": np.zeros(count, "float32"),
    }
    whole, cut = shown.whole(), shown.cut()
    for number, (plate, tilt) in enumerate(zip(plates, tilts, strict=True)):
        known_tilt = whole[number] and tilt is not None
        sample["boxes_rel"][number] = shown.boxes_rel[number]
        sample["plate_visible"][number] = whole[number]
        sample["plate_cut"][number] = cut[number]
        sample["turns"][number] = ((plate.turns or 0) - shown.quarters) % 4
        sample["turns_known"][number] = whole[number] and plate.turns is not None
        sample["tilts"][number] = np.clip((tilt or 0.0) + shown.angles[number], -MOST_TILT, MOST_TILT) * known_tilt
        sample["tilts_known"][number] = known_tilt
    return sample
