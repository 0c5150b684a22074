"""The glimpse: a differentiable, upright window cut from the full-resolution canvas around a box.

A spatial transformer (Jaderberg et al. 2015) reduced to what plates need: a box, a margin, a quarter turn and a tilt.
Pixels are gathered and blended bilinearly, so the gradient reaches box and tilt through the blending weights, on every
Keras backend and in every exporter.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from lpr_e2e.common.procedure import MARGIN, TILT_SLACK


def _grid(height: int, width: int, margin: tuple[float, float], samples: int) -> np.ndarray:
    """Sample points `(height * S * width * S, 2)` vu of the upright window, -0.5..0.5, the margin included."""
    v = ((np.arange(height * samples) + 0.5) / (height * samples) - 0.5) * (1 + 2 * margin[0])
    u = ((np.arange(width * samples) + 0.5) / (width * samples) - 0.5) * (1 + 2 * margin[1])
    return np.stack(np.meshgrid(v, u, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")


def _tilted_sides(high, wide, tilt):
    """Height and width of the rectangle tilted by `tilt` >= 0 radians whose upright box is `high` by `wide`.

    The box is never exact, and near 45 degrees it says little about the rectangle: a tilted plate is at least a sixth
    of its width and a quarter of its box high.
    """
    sine, cosine = ops.sin(tilt), ops.cos(tilt)
    both = ops.cos(2 * tilt)
    plate_wide = ops.maximum((wide * cosine - high * sine) / both, wide / 2)
    plate_high = (high * cosine - wide * sine) / both
    least = ops.minimum(high, ops.maximum(plate_wide / 6, high / 4))
    return ops.maximum(plate_high, least), plate_wide


def cut_glimpses(canvases, boxes_rel, turns, height: int, width: int, margin=MARGIN, samples: int = 2, tilts=None):
    """Cut one upright window per box.

    Args:
        canvases: uint8 or float `(batch, size, size, 3)`, 0..255; a batch of one for several boxes on one photograph.
        boxes_rel: float `(batch, 4)` yxyx, 0..1 of the canvas; outside of it the edge pixels repeat.
        turns: int `(batch,)`: the `k` for which `numpy.rot90(canvas, k)` puts the plate upright.
        height, width: size of the window in pixels.
        margin: share of the upright (height, width) of the box that is added on each side.
        samples: samples per window pixel and axis: with two, large plates are averaged and not skipped through.
        tilts: float `(batch,)` or None: the plate, put upright by its turns, is turned clockwise by this angle, radians
            within +-`MOST_TILT`; the window is then the tilted rectangle that the box encloses.

    Returns:
        float32 `(batch, height, width, 3)`, 0..255, differentiable in `boxes_rel` and `tilts`.
    """
    size = canvases.shape[1]
    grid = ops.convert_to_tensor(_grid(height, width, margin, samples))
    v, u = grid[None, :, 0], grid[None, :, 1]
    angle = ops.cast(turns, "float32")[:, None] * (np.pi / 2)
    cosine, sine = ops.round(ops.cos(angle)), ops.round(ops.sin(angle))
    centre = (boxes_rel[:, :2] + boxes_rel[:, 2:]) / 2
    sides = boxes_rel[:, 2:] - boxes_rel[:, :2]
    # The window's point (v, u) in widths of the canvas from the centre, with the plate upright.
    lying = ops.abs(sine)
    high = sides[:, :1] * (1 - lying) + sides[:, 1:] * lying
    wide = sides[:, 1:] * (1 - lying) + sides[:, :1] * lying
    if tilts is None:
        v, u = v * high, u * wide
    else:
        tilts = ops.cast(tilts, "float32")[:, None]
        high, wide = _tilted_sides(high, wide, ops.maximum(ops.abs(tilts) - TILT_SLACK, 0.0))
        v, u = v * high, u * wide
        v, u = u * ops.sin(tilts) + v * ops.cos(tilts), u * ops.cos(tilts) - v * ops.sin(tilts)
    # Undo numpy.rot90: where on the lying plate is that?
    y = (centre[:, :1] + cosine * v + sine * u) * size - 0.5
    x = (centre[:, 1:] + cosine * u - sine * v) * size - 0.5
    y, x = ops.clip(y, 0.0, size - 1.001), ops.clip(x, 0.0, size - 1.001)
    top, left = ops.floor(ops.stop_gradient(y)), ops.floor(ops.stop_gradient(x))
    down, right = (y - top)[..., None], (x - left)[..., None]

    pixels = ops.reshape(canvases, (-1, 3))
    first_pixel = ops.arange(ops.shape(canvases)[0], dtype="int32")[:, None] * (size * size)
    index = first_pixel + ops.cast(top, "int32") * size + ops.cast(left, "int32")

    def take(offset: int):
        return ops.cast(ops.take(pixels, index + offset, axis=0), "float32")

    upper = take(0) * (1 - right) + take(1) * right
    lower = take(size) * (1 - right) + take(size + 1) * right
    blended = upper * (1 - down) + lower * down
    return ops.mean(ops.reshape(blended, (-1, height, samples, width, samples, 3)), axis=(2, 4))
