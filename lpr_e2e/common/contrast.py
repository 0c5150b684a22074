"""Evening out contrast: of a plate in glaring sun, in haze or half in the shade, the strokes as clear as can be.

Contrast limited adaptive histogram equalisation (CLAHE; Zuiderveld 1994, Graphics Gems IV): in each tile of a picture
the levels are spread by how many pixels have them, by no more than a limit, so that noise stays noise; between the
middles of the tiles, what they say is interpolated. Here levels are shared out between the two nearest bins, so that a
pixel that differs by a hair gives an answer that differs by a hair, in every engine.
"""

from __future__ import annotations

import functools

import numpy as np

from lpr_e2e.common import steps

# Rows and columns of the tiles: strokes take about half the height of a tile's row, several characters its width.
_TILES = (4, 2)
# Levels between which is interpolated.
_LEVELS = 32
# Of brightness, as eyes weigh the colours: ITU-R BT.601.
_WEIGHTS = (0.299, 0.587, 0.114)


def equalised(pictures, limit: float, xp):
    """Pictures with their contrast evened out.

    Args:
        pictures: `(n, height, width, 3)` RGB, 0..255, uint8 or float32.
        limit: in no tile are the levels spread by much more than this factor. At least 1, which changes little.
        xp: the namespace: `numpy` or `keras.ops`.

    Returns:
        float32 `(n, height, width, 3)`, whole numbers of 0..255. The colours differ from what they were in brightness
        alone.
    """
    pictures = xp.round(steps.cast(pictures, "float32", xp))
    height, width = pictures.shape[1:3]
    brightness = xp.sum(pictures * np.array(_WEIGHTS, "float32"), axis=-1)
    share = xp.maximum(
        1 - xp.abs(brightness[..., None] * ((_LEVELS - 1) / 255) - np.arange(_LEVELS, dtype="float32")), 0.0
    )
    (rows, between_rows), (columns, between_columns) = _tiles(height, _TILES[0]), _tiles(width, _TILES[1])
    # (n, h, w, levels) -> (n, tile rows, tile columns, levels)
    counts = xp.reshape(
        xp.matmul(rows, xp.reshape(share, (-1, height, width * _LEVELS))), (-1, _TILES[0], width, _LEVELS)
    )
    counts = xp.matmul(columns, counts)
    counts = xp.minimum(counts, limit / _LEVELS)
    counts = counts + (1 - xp.sum(counts, axis=-1, keepdims=True)) / _LEVELS
    below = xp.cumsum(counts, axis=-1) - counts / 2
    below = xp.matmul(between_columns, below)
    below = xp.matmul(between_rows, xp.reshape(below, (-1, _TILES[0], width * _LEVELS)))
    below = xp.reshape(below, (-1, height, width, _LEVELS))
    change = 255 * xp.sum(share * below, axis=-1) - brightness
    return xp.round(xp.clip(pictures + change[..., None], 0.0, 255.0))


@functools.cache
def _tiles(side: int, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    """Of pixels along a side: the weights `(tiles, side)` by which a tile's mean is taken, and `(side, tiles)` by which
    is interpolated between the middles of the tiles. Shared: do not write into them."""
    place = (np.arange(side) + 0.5) * tiles / side - 0.5
    means = (np.abs(place - np.arange(tiles)[:, None]) < 0.5 + 1e-6).astype("float32")
    means /= np.maximum(means.sum(axis=1, keepdims=True), 1)
    between = np.maximum(1 - np.abs(np.clip(place, 0, tiles - 1)[:, None] - np.arange(tiles)), 0).astype("float32")
    return means, between
