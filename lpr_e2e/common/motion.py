"""Undoing motion: a plate that moved along its rows while the shutter was open, as if it had stood still.

Motion of constant speed averages each row over a line of pixels. That is a matrix, and its regularised inverse
(Tikhonov 1963; in the frequency domain, the Wiener filter) is another one: it brings back what the average has left of
the strokes, and leaves out what is only noise by then. How far the plate moved is not known, so several are tried.
"""

from __future__ import annotations

import functools

import numpy as np

from lpr_e2e.common import steps


@functools.lru_cache(128)
def undoing(moved: tuple[float, ...], width: int, noise: float) -> np.ndarray:
    """The matrices that undo motion along the rows of a picture.

    Args:
        moved: by how much the picture moved, each in shares of its width, above 0.
        width: of the picture, pixels; beyond it, the outermost pixels repeat.
        noise: variance of the noise against that of the picture: what is weaker is not brought back. Above 0.

    Returns:
        float32 `(len(moved), width, width)`: times a row's pixels `(width,)` it gives the row as if nothing had moved.
        Shared: do not write into it.
    """
    matrices = np.stack([_undoing(share * width, width, noise) for share in moved]).astype("float32")
    matrices.flags.writeable = False
    return matrices


def _undoing(length_px: float, width: int, noise: float) -> np.ndarray:
    reach = int(np.ceil(length_px / 2))
    offsets = np.arange(-reach, reach + 1)
    # Of each pixel the part that lies within the line.
    weights = np.clip(length_px / 2 + 0.5 - np.abs(offsets), 0, 1)
    blur = np.zeros((width, width))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        np.add.at(blur, (np.arange(width), np.clip(np.arange(width) + offset, 0, width - 1)), weight)
    return np.linalg.solve(blur.T @ blur + noise * np.eye(width), blur.T)


def undone(pictures, matrices, xp):
    """Pictures as if they had not moved, by each of several matrices.

    Args:
        pictures: `(n, height, width, 3)`, 0..255, uint8 or float32.
        matrices: `(k, width, width)`, as `undoing` gives them.
        xp: the namespace: `numpy` or `keras.ops`.

    Returns:
        float32 `(n, k, height, width, 3)`, whole numbers of 0..255.
    """
    height, width = pictures.shape[1:3]
    pictures = xp.round(steps.cast(pictures, "float32", xp))
    columns = xp.reshape(xp.transpose(pictures, (0, 2, 1, 3)), (-1, 1, width, height * 3))
    rows = xp.reshape(xp.matmul(matrices[None], columns), (-1, len(matrices), width, height, 3))
    return xp.transpose(xp.round(xp.clip(rows, 0.0, 255.0)), (0, 1, 3, 2, 4))
