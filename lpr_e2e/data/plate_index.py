"""The plates that a crop may show, out of any number of them: nearest neighbours of small descriptors.

A descriptor holds the lowest frequencies of a plate that is brought to one size, without those of light from one side.
A crop is cut more loosely or more tightly than a box, or beside it, so a plate has a descriptor for several such cuts.
All pairs of descriptors are multiplied in blocks of a matrix product: for ten thousand plates that is quicker than a
tree, which gains nothing in so many dimensions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

# A plate's height and width for its descriptor, in pixels, and how many frequencies are kept of each.
SIDES, FREQUENCIES = (16, 32), (8, 10)
# How crops are cut: further out than the box at the top, at the bottom and at either end, by its shorter side.
CUTS = tuple(
    (top, bottom, end)
    for top, bottom in ((0.0, 0.0), (0.1, 0.1), (0.22, 0.22), (0.0, 0.12), (0.12, 0.0), (-0.1, -0.1))
    for end in (0.0, 0.2)
)
# Descriptors as they are of which none can be told from the other.
ALIKE = 0.98
# Of the mean variance of a frequency, what is added to each: frequencies in which plates hardly differ are noise.
_SHRINKAGE = 0.05
# Products that are in memory at once.
_BLOCK = 8_000_000


class Candidate(NamedTuple):
    """A plate that may be what is looked for, if that is cut like `CUTS[cut]`."""

    plate: int
    cut: int
    similarity: float


def cut_boxes(box: Sequence[float]) -> np.ndarray:
    """The boxes, yxyx float `(cuts, 4)`, along which crops of a plate with this box may be cut."""
    ymin, xmin, ymax, xmax = box
    top, bottom, end = min(ymax - ymin, xmax - xmin) * np.array(CUTS).T
    return np.stack([ymin - top, xmin - end, ymax + bottom, xmax + end], axis=1)


def plate_descriptors(grey: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Float32 `(cuts, length)` of a plate, wider than high, in uint8 greys `(h, w)`."""
    # Shrunk at once for all cuts, to twice the size, so that little is lost between the pixels.
    doubled = 2 * SIDES[0], 2 * SIDES[1]
    scales = doubled[0] / (box[2] - box[0]), doubled[1] / (box[3] - box[1])
    sides = max(1, round(grey.shape[1] * scales[1])), max(1, round(grey.shape[0] * scales[0]))
    small = cv2.resize(grey, sides, interpolation=cv2.INTER_AREA)
    scales = small.shape[0] / grey.shape[0], small.shape[1] / grey.shape[1]
    windows = []
    for ymin, xmin, ymax, xmax in cut_boxes(box):
        step_y, step_x = (ymax - ymin) * scales[0] / doubled[0], (xmax - xmin) * scales[1] / doubled[1]
        place = np.array(
            [[step_x, 0, xmin * scales[1] + step_x / 2 - 0.5], [0, step_y, ymin * scales[0] + step_y / 2 - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        window = cv2.warpAffine(small, place, doubled[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        windows.append(cv2.resize(window, SIDES[::-1], interpolation=cv2.INTER_AREA))
    return _descriptors(np.stack(windows))


def crop_descriptor(grey: np.ndarray) -> np.ndarray:
    """Float32 `(length,)` of a crop, wider than high, uint8 greys `(h, w)`."""
    return _descriptors(cv2.resize(grey, SIDES[::-1], interpolation=cv2.INTER_AREA)[None])[0]


def scene_descriptors(wholes: np.ndarray) -> np.ndarray:
    """Float32 `(n, length)` of whole photographs, uint8 greys `(n, side, side)`."""
    return _descriptors(np.stack([cv2.resize(whole, SIDES[::-1], interpolation=cv2.INTER_AREA) for whole in wholes]))


def nearest(queries: np.ndarray, plates: np.ndarray, count: int, least: float) -> list[list[Candidate]]:
    """For each query its nearest plates, nearest first.

    What all plates share, such as a band or a frame, tells nothing: descriptors are compared by what is left without
    their mean, all directions in which they vary weighing the same (whitening).

    Args:
        queries: float32 `(n, length)`.
        plates: float32 `(m, cuts, length)`.
        count: how many at most.
        least: the least similarity, from -1 to 1. Where there are no more plates than `count`, all are near.
    """
    if not len(queries) or not len(plates):
        return [[] for _ in queries]
    if len(plates) <= count:
        count, least = len(plates), -np.inf
    whiten = _whitening(plates.reshape(-1, plates.shape[2]))
    white, columns = whiten(queries), whiten(plates.reshape(-1, plates.shape[2])).T
    rows = max(1, _BLOCK // columns.shape[1])
    found = []
    for start in range(0, len(queries), rows):
        products = (white[start : start + rows] @ columns).reshape(-1, *plates.shape[:2])
        best = products.max(2)
        chosen = np.argpartition(-best, count - 1, axis=1)[:, :count]
        for row, numbers in enumerate(chosen):
            candidates = [
                Candidate(int(one), int(products[row, one].argmax()), float(best[row, one])) for one in numbers
            ]
            # Near the mean of all plates directions mean little: there what is alike with all that is shared counts.
            found.append(
                [
                    one
                    for one in sorted(candidates, key=lambda one: (-one.similarity, one.plate))
                    if one.similarity >= least or queries[start + row] @ plates[one.plate, one.cut] >= ALIKE
                ]
            )
    return found


def _whitening(vectors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What takes the mean of some vectors `(n, length)` from others, evens out directions, and makes lengths 1."""
    mean = vectors.mean(0)
    covariance = vectors.T @ vectors / len(vectors) - np.outer(mean, mean)
    length = len(covariance)
    covariance += np.eye(length, dtype="float32") * (_SHRINKAGE * np.trace(covariance) / length + 1e-9)
    variances, directions = np.linalg.eigh(covariance.astype("float64"))
    weights = (directions / np.sqrt(variances)).astype("float32")

    def whiten(others: np.ndarray) -> np.ndarray:
        white = (others - mean) @ weights
        return white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-6)

    return whiten


def _descriptors(windows: np.ndarray) -> np.ndarray:
    """Float32 unit vectors `(n, length)` of windows of `SIDES`, uint8 `(n, h, w)`; of zeros for those of one grey."""
    down, across = (_cosines(side, kept) for side, kept in zip(SIDES, FREQUENCIES, strict=True))
    waves = down @ windows.astype("float32") @ across.T
    # Mean grey, and light that comes from one side.
    waves[:, 0, :2] = waves[:, 1, 0] = 0
    vectors = waves.reshape(len(windows), -1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-3)


@functools.cache
def _cosines(side: int, kept: int) -> np.ndarray:
    """The lowest rows, float32 `(kept, side)`, of the discrete cosine transform."""
    waves = np.cos(np.pi / side * np.outer(np.arange(kept), np.arange(side) + 0.5)) * np.sqrt(2 / side)
    waves[0] /= np.sqrt(2)
    return waves.astype("float32")
