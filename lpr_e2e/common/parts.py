"""Which parts of a photograph are looked at more closely: where they lie.

Pure functions over a namespace `xp`, `numpy` or `keras.ops`, as those of `lpr_e2e.common.steps`. Parts are int64
`(n, 4)`, yxyx in pixels of the photograph, whose `sides` `(2,)` are its height and its width, int64 as well. How many
there are follows the photograph's size; in a graph, that is known when it runs.
"""

from __future__ import annotations

import numpy as np

from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import cast

# Side of the squares of the canvas over which texture is averaged, pixels: about as high as the smallest plate that is
# looked for in a frame of 3840 pixels, and half as wide.
_CELL = 8


def is_large(sides, procedure: Procedure, xp):
    """Whether a photograph has so many pixels that parts of one size, `part_pixels`, are smaller than its quarters."""
    smallest = min(procedure.part_pixels)
    return xp.logical_and(smallest > 0, smallest < procedure.closer_part * cast(xp.max(sides), "float64", xp))


def all_parts(sides, worth, procedure: Procedure, xp):
    """Four overlapping parts in the corners, and of a large photograph also its tiles of each size.

    Args:
        sides: of the photograph.
        worth: gives the places `(m,)` of those of the tiles `(n, 4)` that are worth a look.
        procedure: whose `closer_part`, `part_pixels` and `part_overlap` count.
        xp: the namespace.
    """
    part = cast(xp.ceil(procedure.closer_part * cast(sides, "float64", xp)), "int64", xp)
    corners = [_boxes(*(xp.stack([0 * free, free]) for free in (sides - part)), part, xp)]
    if not any(procedure.part_pixels):
        return corners[0]
    found = xp.concatenate([tiles(sides, pixels, procedure, xp) for pixels in procedure.part_pixels])
    return xp.concatenate([*corners, xp.take(found, worth(found), axis=0)])


def tiles(sides, pixels: float, procedure: Procedure, xp):
    """Squares of one size that cover a photograph, the last ones ending with it; none unless it is large for them.

    Neighbours share `part_overlap` of their side at least: what is no larger is whole in one of them.
    """
    part = xp.minimum(sides, int(pixels))
    overlap, sides_, part_ = procedure.part_overlap, cast(sides, "float64", xp), cast(part, "float64", xp)
    counts = cast(xp.ceil((sides_ / part_ - overlap) / (1 - overlap)), "int64", xp)
    counts = xp.where(pixels < procedure.closer_part * xp.max(sides_), counts, 0 * counts)
    starts = []
    for axis in range(2):
        steps = xp.arange(counts[axis], dtype="int64")
        starts.append(steps * (sides[axis] - part[axis]) // xp.maximum(counts[axis] - 1, 1))
    return _boxes(*starts, part, xp)


def around(boxes_px, sides, share: float, procedure: Procedure, xp):
    """The part around each plate `(n, 4)` in which the plate takes this share of the side, or less where it is small.

    They end with the photograph; the smallest of `part_pixels` is their least side.
    """
    longer = xp.max(boxes_px[:, 2:] - boxes_px[:, :2], axis=-1, keepdims=True)
    wanted = cast(xp.ceil(xp.maximum(longer / share, min(procedure.part_pixels))), "int64", xp)
    part = xp.minimum(wanted, sides[None])
    centres = cast((boxes_px[:, :2] + boxes_px[:, 2:]) / 2, "int64", xp)
    start = xp.minimum(xp.maximum(centres - part // 2, 0), sides[None] - part)
    return xp.concatenate([start, start + part], axis=-1)


def texture(canvas, boxes_rel, xp):
    """How much there is to see in tiles: the mean change from pixel to pixel in the square where it is largest.

    Args:
        canvas: `(side, side, 3)`, 0..255: the whole photograph.
        boxes_rel: `(n, 4)`, where the tiles lie on it.
        xp: the namespace.

    Returns:
        grey levels `(n,)`.
    """
    grey = xp.mean(cast(canvas, "float32", xp), axis=-1)
    change = xp.abs(grey[1:, :-1] - grey[:-1, :-1]) + xp.abs(grey[:-1, 1:] - grey[:-1, :-1])
    count = change.shape[0] // _CELL
    cells = xp.reshape(change[: count * _CELL, : count * _CELL], (count, _CELL, count, _CELL))
    cells = xp.mean(cells, axis=(1, 3))
    centres = (np.arange(count, dtype="float32") + 0.5) * (_CELL / canvas.shape[0])
    down, across = (
        xp.logical_and(boxes_rel[:, side, None] <= centres, centres <= boxes_rel[:, side + 2, None]) for side in (0, 1)
    )
    inside = xp.logical_and(down[:, :, None], across[:, None, :])
    return xp.max(xp.where(inside, cells, 0.0), axis=(1, 2))


def _boxes(tops, lefts, part, xp):
    """Parts at each of the `tops` `(r,)` and `lefts` `(c,)`, row by row: `(r * c, 4)`."""
    corners = xp.stack([tops[:, None] + 0 * lefts[None], 0 * tops[:, None] + lefts[None]], axis=-1)
    corners = xp.reshape(corners, (-1, 2))
    return xp.concatenate([corners, corners + part], axis=-1)
