"""Which parts of a photograph are looked at more closely: where they lie.

Pure functions over a namespace `xp`, `numpy` or `keras.ops`, as those of `lpr_e2e.common.steps`. Parts are int64
`(n, 4)`, yxyx in pixels of the photograph, whose `sides` `(2,)` are its height and its width, int64 as well. How many
there are follows the photograph's size; in a graph, that is known when it runs.
"""

from __future__ import annotations

from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.steps import cast


def is_large(sides, procedure: Procedure, xp):
    """Whether a photograph is large: True or False, or of a graph's sides, a tensor that is one of them."""
    return procedure.large_photograph > 0 and xp.max(sides) > procedure.large_photograph


def corners(sides, procedure: Procedure, xp):
    """Four overlapping parts in the corners of a photograph, of the share `closer_part` of each side: `(4, 4)`."""
    part = cast(xp.ceil(procedure.closer_part * cast(sides, "float64", xp)), "int64", xp)
    tops, lefts = (xp.stack([0 * free, free]) for free in (sides[0] - part[0], sides[1] - part[1]))
    return _boxes(tops, lefts, part, xp)


def all_tiles(sides, procedure: Procedure, xp):
    """The corners of a large photograph, and its tiles of each of the `part_pixels` that is smaller."""
    levels = [tiles(sides, pixels, procedure, xp) for pixels in procedure.part_pixels]
    return xp.concatenate([*levels, corners(sides, procedure, xp)])


def tiles(sides, pixels: float, procedure: Procedure, xp):
    """Squares of one size that cover a photograph, the last ones ending with it; none if its corners are smaller.

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
    tops, lefts = starts
    return _boxes(tops, lefts, part, xp)


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


def _boxes(tops, lefts, part, xp):
    """Parts at each of the `tops` `(r,)` and `lefts` `(c,)`, row by row: `(r * c, 4)`."""
    corners = xp.stack([tops[:, None] + 0 * lefts[None], 0 * tops[:, None] + lefts[None]], axis=-1)
    corners = xp.reshape(corners, (-1, 2))
    return xp.concatenate([corners, corners + part], axis=-1)
