"""Whole photographs in the place of plate crops: they teach reading nothing."""

from __future__ import annotations

import numpy as np

from lpr_e2e.data.fingerprints import scene_vector
from lpr_e2e.data.matching import SAME_EMPTY_SCENE, Compared

# So many times the sides of the largest plate, and this share of those of a middling photograph, is no plate any more.
TIMES_A_PLATE, SHARE_OF_PHOTOGRAPH = 3.0, 0.5
# A photograph that its plate fills so far is a crop as well.
SHARE_FILLED = 0.5
# Sides' ratios of one picture, kept in two sizes.
_SAME_RATIO = 0.05


def uncropped(compared: Compared) -> dict[int, str]:
    """Numbers of the crops that are whole photographs, and why each is taken for one."""
    photographs = [one.fingerprint for one in compared.photographs]
    if not photographs or not compared.crops:
        return {}
    found = {}
    plates = [plate.shape for one in photographs for plate in one.plates]
    largest = TIMES_A_PLATE * np.max(plates, axis=0) if plates else np.zeros(2)
    middling = SHARE_OF_PHOTOGRAPH * np.median([one.shape for one in photographs], axis=0)
    scenes = np.stack([scene_vector(one.whole) for one in photographs])
    ratios = np.array([one.shape[1] / one.shape[0] for one in photographs])
    filled = np.array([max((np.prod(plate.shape) for plate in one.plates), default=0) for one in photographs])
    room = np.array([np.prod(one.shape) for one in photographs])
    for number, crop in enumerate(compared.crops):
        shape = crop.fingerprint.shape
        if np.all(shape >= largest) and np.all(shape >= middling):
            found[number] = f"{shape[1]} x {shape[0]} pixels, far larger than any plate on a photograph"
            continue
        ratio = shape[1] / shape[0]
        possible = np.flatnonzero((np.abs(ratios / ratio - 1) < _SAME_RATIO) & (filled < SHARE_FILLED * room))
        if len(possible):
            likeness = scenes[possible] @ scene_vector(crop.fingerprint.grey)
            best = int(likeness.argmax())
            if likeness[best] >= SAME_EMPTY_SCENE:
                found[number] = f"shows all of {compared.photographs[possible[best]].img_id}"
    return found
