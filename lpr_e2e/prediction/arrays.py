"""The reading procedure's operations on arrays of numpy: what `lpr_e2e.prediction.driver.Arrays` asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from lpr_e2e.common.boxes import Letterbox, letterbox
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import tilted_sides

# Parts of a photograph that are looked at in one call: their canvases of three megabytes each, and what the network
# makes of them, are in memory together.
AT_ONCE = 4


class NumpyArrays:
    """See `lpr_e2e.prediction.driver.Arrays`. Nothing is computed for places that are not there."""

    xp, pixels = np, "uint8"

    def choose(self, mask):
        return np.flatnonzero(mask)

    def none(self, places) -> bool:
        return not len(places)

    def put(self, values, places, new):
        values = values.copy()
        values[places] = new
        return values

    def zeros(self, shape: tuple[int, ...], dtype: str = "float32"):
        return np.zeros(shape, dtype)

    def scenes(self, canvases, shrink: int):
        return np.stack([shrunk(canvas, shrink) for canvas in canvases])

    def cut(self, canvases, images, boxes_rel, quarters, tilts, size, margin, samples: int, procedure: Procedure):
        tilts = [0.0] * len(images) if tilts is None else tilts
        places = zip(images, boxes_rel, quarters, tilts, strict=True)
        return np.stack(
            [cut_window(canvases[image], *place, size, margin, samples, procedure) for image, *place in places]
        )

    def letterbox(self, photograph, size: int, grey: int) -> tuple[np.ndarray, Letterbox]:
        canvas, frame = letterbox(photograph, size, grey=grey)
        return canvas[None], frame

    def sides(self, photograph):
        return np.array(photograph.shape[:2], "int64")

    def crop(self, photograph, part):
        top, left, bottom, right = part
        return photograph[top:bottom, left:right]

    def each(self, places, work: Callable[[Any], dict], nothing: dict) -> dict:
        done = [work(places[start : start + AT_ONCE]) for start in range(0, len(places), AT_ONCE)]
        return {name: np.concatenate([one[name] for one in done] or [empty[:0]]) for name, empty in nothing.items()}

    def when(self, condition, then: Callable[[], dict], otherwise: Callable[[], dict]) -> dict:
        return then() if condition else otherwise()

    def select(self, values: dict, kept) -> dict:
        return {name: one[kept] for name, one in values.items()}


def shrunk(canvas: np.ndarray, factor: int) -> np.ndarray:
    """The scene `(side / factor, side / factor, 3)` of a canvas `(side, side, 3)`, both uint8: means of squares.

    A blur of which every pixel that is wanted is taken is twice as fast as a resize by area.
    """
    side = len(canvas) // factor
    return cv2.resize(cv2.blur(canvas, (factor, factor), anchor=(0, 0)), (side, side), interpolation=cv2.INTER_NEAREST)


def cut_window(
    canvas: np.ndarray,
    box_rel: np.ndarray,
    quarters: int,
    tilt: float,
    size: tuple[int, int],
    margin: tuple[float, float],
    samples: int,
    procedure: Procedure,
) -> np.ndarray:
    """One upright window, see `lpr_e2e.model.glimpse.cut_glimpses`, which does the same, differentiably.

    Args:
        canvas: uint8 `(side, side, 3)`.
        box_rel: `(4,)` yxyx, 0..1 of the canvas.
        quarters: `numpy.rot90(canvas, quarters)` puts the plate upright.
        tilt: as there.
        size: height and width of the window, pixels.
        margin, samples, procedure: as there.

    Returns:
        uint8 `(height, width, 3)`.
    """
    height, width = size
    cosine, sine = round(np.cos(quarters * np.pi / 2)), round(np.sin(quarters * np.pi / 2))
    sides = box_rel[2:] - box_rel[:2]
    high, wide = (sides[1], sides[0]) if quarters % 2 else (sides[0], sides[1])
    high, wide = tilted_sides(high, wide, max(abs(tilt) - procedure.tilt_slack, 0.0), np)
    # From the window's pixel (column, row) to the plate's frame, to the tilted, to the lying one, to canvas pixels.
    rows, columns = height * samples, width * samples
    across, down = wide * (1 + 2 * margin[1]) / columns, high * (1 + 2 * margin[0]) / rows
    to_plate = np.array(
        [[across, 0, across * (0.5 - columns / 2)], [0, down, down * (0.5 - rows / 2)], [0, 0, 1]], "float64"
    )
    tilted = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    lying = np.array([[cosine, -sine], [sine, cosine]])
    matrix = len(canvas) * (lying @ tilted @ to_plate[:2])
    centre = (box_rel[:2] + box_rel[2:])[::-1] / 2
    matrix[:, 2] += len(canvas) * centre - 0.5
    window = cv2.warpAffine(
        canvas, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    # By whole factors, this is the mean.
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA) if samples > 1 else window
