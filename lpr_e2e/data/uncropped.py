"""Whole photographs in the place of plate crops: they teach reading nothing."""

from __future__ import annotations

import numpy as np

from lpr_e2e.data.fingerprints import scene_vector
from lpr_e2e.data.matching import SAME_EMPTY_SCENE, Compared

# So many times the pixels of the largest plate, and this share of a middling photograph's sides, is no plate any more.
TIMES_A_PLATE, SHARE_OF_PHOTOGRAPH = 4.0, 0.5
# A photograph that its plate fills so far is a crop as well.
SHARE_FILLED = 0.5
# Sides' ratios of one picture, kept in two sizes; and beyond those of the photographs that a whole one may be.
_SAME_RATIO, _BEYOND_RATIOS = 0.05, 0.1


def uncropped(compared: Compared) -> dict[int, str]:
    """Numbers of the crops that are whole photographs, and why each is taken for one; none that is cut from one."""
    photographs = [one.fingerprint for one in compared.photographs]
    if not photographs or not compared.crops:
        return {}
    found = {}
    largest = max((np.prod(plate.shape) for one in photographs for plate in one.plates), default=0)
    middling = SHARE_OF_PHOTOGRAPH * np.median([one.shape for one in photographs], axis=0)
    scenes = np.stack([scene_vector(one.whole) for one in photographs])
    ratios = np.array([one.shape[1] / one.shape[0] for one in photographs])
    filled = np.array([max((np.prod(plate.shape) for plate in one.plates), default=0) for one in photographs])
    room = np.array([np.prod(one.shape) for one in photographs])
    for number, crop in enumerate(compared.crops):
        shape = crop.fingerprint.shape
        if compared.plates_of(number):
            continue
        ratio = shape[1] / shape[0]
        # A plate from another camera may be as large, but hardly has a photograph's shape as well.
        # Nor that of one that was turned by a quarter.
        low, high = ratios.min() * (1 - _BEYOND_RATIOS), ratios.max() * (1 + _BEYOND_RATIOS)
        is_shaped_so = low <= ratio <= high or low <= 1 / ratio <= high
        if is_shaped_so and np.prod(shape) >= TIMES_A_PLATE * largest and np.all(np.sort(shape) >= np.sort(middling)):
            found[number] = f"{shape[1]} x {shape[0]} pixels, far larger than any plate on a photograph"
            continue
        possible = np.flatnonzero((np.abs(ratios / ratio - 1) < _SAME_RATIO) & (filled < SHARE_FILLED * room))
        if len(possible):
            likeness = scenes[possible] @ scene_vector(crop.fingerprint.grey)
            best = int(likeness.argmax())
            if likeness[best] >= SAME_EMPTY_SCENE:
                found[number] = f"shows all of {compared.photographs[possible[best]].img_id}"
    return found
