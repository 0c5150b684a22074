"""The glimpse: a differentiable, upright window cut from the full-resolution canvas around a box.

A spatial transformer (Jaderberg et al. 2015) reduced to what plates need: a box, a margin, a quarter turn and a tilt.
Pixels are gathered and blended bilinearly, so the gradient reaches box and tilt through the blending weights, on every
Keras backend and in every exporter.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import tilted_sides


def _grid(height: int, width: int, margin: tuple[float, float], samples: int) -> np.ndarray:
    """Sample points `(height * S * width * S, 2)` vu of the upright window, -0.5..0.5, the margin included."""
    v = ((np.arange(height * samples) + 0.5) / (height * samples) - 0.5) * (1 + 2 * margin[0])
    u = ((np.arange(width * samples) + 0.5) / (width * samples) - 0.5) * (1 + 2 * margin[1])
    return np.stack(np.meshgrid(v, u, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")


def cut_glimpses(
    canvases,
    boxes_rel,
    turns,
    size: tuple[int, int],
    margin: tuple[float, float],
    procedure: Procedure,
    samples: int,
    tilts=None,
):
    """Cut one upright window per box.

    Args:
        canvases: uint8 or float `(batch, size, size, 3)`, 0..255; a batch of one for several boxes on one photograph.
        boxes_rel: float `(batch, 4)` yxyx, 0..1 of the canvas; outside of it the edge pixels repeat.
        turns: int `(batch,)`: the `k` for which `numpy.rot90(canvas, k)` puts the plate upright.
        size: height and width of the window in pixels.
        margin: share of the upright (height, width) of the box that is added on each side.
        procedure: whose `tilt_slack` counts.
        samples: samples per window pixel and axis.
        tilts: float `(batch,)` or None: the plate, put upright by its turns, is turned clockwise by this angle, radians
            within +-`MOST_TILT`; the window is then the tilted rectangle that the box encloses.

    Returns:
        float32 `(batch, height, width, 3)`, 0..255, differentiable in `boxes_rel` and `tilts`.
    """
    side, (height, width) = canvases.shape[1], size
    grid = ops.convert_to_tensor(_grid(height, width, margin, samples))
    angle = ops.cast(turns, "float32")[:, None] * (np.pi / 2)
    cosine, sine = ops.round(ops.cos(angle)), ops.round(ops.sin(angle))
    centre = (boxes_rel[:, :2] + boxes_rel[:, 2:]) / 2
    sides = boxes_rel[:, 2:] - boxes_rel[:, :2]
    # The window's point (v, u) in widths of the canvas from the centre, with the plate upright.
    lying = ops.abs(sine)
    high = sides[:, :1] * (1 - lying) + sides[:, 1:] * lying
    wide = sides[:, 1:] * (1 - lying) + sides[:, :1] * lying
    if tilts is not None:
        tilts = ops.cast(tilts, "float32")[:, None]
        high, wide = tilted_sides(high, wide, ops.maximum(ops.abs(tilts) - procedure.tilt_slack, 0.0), ops)
    v, u = grid[None, :, 0] * high, grid[None, :, 1] * wide
    if tilts is not None:
        v, u = u * ops.sin(tilts) + v * ops.cos(tilts), u * ops.cos(tilts) - v * ops.sin(tilts)
    # Undo numpy.rot90: where on the lying plate is that?
    y = (centre[:, :1] + cosine * v + sine * u) * side - 0.5
    x = (centre[:, 1:] + cosine * u - sine * v) * side - 0.5
    blended = _sampled(canvases, ops.clip(y, 0.0, side - 1.001), ops.clip(x, 0.0, side - 1.001))
    return ops.mean(ops.reshape(blended, (-1, height, samples, width, samples, 3)), axis=(2, 4))


def _sampled(canvases, y, x):
    """Colours, float32 `(batch, points, 3)`, of points `(batch, points)` between the pixels of canvases, bilinear."""
    side = canvases.shape[1]
    top, left = ops.floor(ops.stop_gradient(y)), ops.floor(ops.stop_gradient(x))
    down, right = (y - top)[..., None], (x - left)[..., None]
    pixels = ops.reshape(canvases, (-1, 3))
    first_pixel = ops.arange(ops.shape(canvases)[0], dtype="int32")[:, None] * (side * side)
    index = first_pixel + ops.cast(top, "int32") * side + ops.cast(left, "int32")

    def take(offset: int):
        return ops.cast(ops.take(pixels, index + offset, axis=0), "float32")

    upper = take(0) * (1 - right) + take(1) * right
    lower = take(side) * (1 - right) + take(side + 1) * right
    return upper * (1 - down) + lower * down
