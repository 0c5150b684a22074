"""What may keep a plate from being read: it is cut off or cut out, covered, mirrored, out of focus or too small.

Each disturbance changes a photograph with one plate. It is for measuring: training has disturbances of its own, with
other covers and other cuts, see `lpr_e2e.training.partly`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np

# A photograph, the box of its plate (yxyx, pixels), how many characters that has, a generator: the changed photograph,
# or None where it cannot be.
Disturbance = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray | None]

# Shares of a plate that are cut off, at one of its sides.
_CUTS = (0.1, 0.15, 0.25, 0.5)
# And at one of its ends, of a plate that is cut out.
_WITHOUT = 0.25
# The characters of most plates stand in this middle share of them, side by side.
_WRITTEN = 0.95
# A cover differs from its plate by so many grey levels at least: others hide nothing that anybody could notice.
_CONTRAST = 80
# Blur out of focus, standard deviation in heights of the plate; and how wide a plate is that is too small, pixels.
_UNFOCUSED, _TOO_SMALL = 0.22, 20
# What is left of a photograph must have as many pixels on each side, and of a plate that is cut out.
_LEAST_SIDE, _LEAST_CUT_OUT = 32, 8
# A plate that is cut out has each side off by up to this share of its height.
_CUT_OUT = 0.1


def cut_off(photograph, box, characters: int, rng, share: float) -> np.ndarray | None:
    """The photograph without what lies beyond a line through the plate, at any of its four sides."""
    side = int(rng.integers(4))
    line = round(box[side] + share * (box[side % 2 + 2] - box[side % 2]) * (1 if side < 2 else -1))
    rows = (slice(line, None), slice(None), slice(None, line), slice(None))[side]
    columns = (slice(None), slice(line, None), slice(None), slice(None, line))[side]
    left = photograph[rows, columns]
    return np.ascontiguousarray(left) if min(left.shape[:2]) >= _LEAST_SIDE else None


def cut_out(photograph, box, characters: int, rng, missing: float = 0.0) -> np.ndarray | None:
    """The plate alone, as a detector cuts it out: a little off at each side, or without a share of one of its ends."""
    box = np.asarray(box, "float64")
    height, width = box[2:] - box[:2]
    box = box + _CUT_OUT * height * rng.uniform(-1, 1, 4)
    box += missing * width * np.array([[0, 1, 0, 0], [0, 0, 0, -1]])[rng.integers(2)]
    top, left, bottom, right = np.clip(box, 0, np.tile(photograph.shape[:2], 2)).round().astype(int)
    plate = photograph[top:bottom, left:right]
    return np.ascontiguousarray(plate) if min(plate.shape[:2]) >= _LEAST_CUT_OUT else None


def covered(photograph, box, characters: int, rng) -> np.ndarray:
    """One character of the plate behind something of one colour that is as wide."""
    top, left, bottom, right = (float(side) for side in box)
    place = int(rng.integers(characters))
    width = _WRITTEN * (right - left) / characters
    start = round(left + (1 - _WRITTEN) / 2 * (right - left) + place * width)
    rows = slice(max(0, round(top - 2)), round(bottom + 2))
    plate = np.median(photograph[rows, max(0, round(left)) : round(right)], axis=(0, 1))
    colour = rng.integers(0, 256, 3)
    while np.abs(colour - plate).max() < _CONTRAST:
        colour = rng.integers(0, 256, 3)
    changed = photograph.copy()
    changed[rows, max(0, start) : max(start + 3, round(start + width))] = colour
    return changed


def mirrored(photograph, box, characters: int, rng) -> np.ndarray:
    """The photograph as a mirror, or the camera of a telephone, shows it."""
    return np.ascontiguousarray(photograph[:, ::-1])


def unfocused(photograph, box, characters: int, rng) -> np.ndarray:
    """The photograph so far out of focus that nothing can be read."""
    return cv2.GaussianBlur(photograph, (0, 0), _UNFOCUSED * float(min(box[2] - box[0], box[3] - box[1])))


def too_small(photograph, box, characters: int, rng) -> np.ndarray:
    """The photograph from so far away that nothing can be read; as large as it was."""
    height, width = photograph.shape[:2]
    scale = min(1.0, _TOO_SMALL / float(box[3] - box[1]))
    sides = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(photograph, sides, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


DISTURBANCES: dict[str, Disturbance] = {
    **{f"cut off by {share:.0%}": functools.partial(cut_off, share=share) for share in _CUTS},
    "cut out": cut_out,
    "cut out without an end": functools.partial(cut_out, missing=_WITHOUT),
    "a character covered": covered,
    "mirrored": mirrored,
    "out of focus": unfocused,
    "too small": too_small,
}
