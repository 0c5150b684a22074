"""Which plate crops were cut out of which photographs, and which photographs are near twins. Pictures only.

`python -m lpr_e2e check DIR` shows what this finds in a data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from lpr_e2e.common.boxes import turn_picture
from lpr_e2e.data.fingerprints import CropFingerprint, PhotographFingerprint, Picture, scaled, to_grey

# Miniatures of a crop and of the box it was cut along correlate above 0.99, others below 0.9.
SAME_PLATE = 0.95
# A crop cut along another box correlates above 0.99 with its place at full resolution, below 0.85 elsewhere.
SAME_CUT = 0.9
# At lower resolution the true place falls between pixels, hence these lower bars for a closer look.
HALF_RESOLUTION_BAR, QUARTER_RESOLUTION_BAR = 0.6, 0.5
# Standard deviation of the greys, of 255, below which a crop shows nothing.
PLAIN = 4.0
# Near twins reach 0.99; different photographs stay below 0.9.
SAME_PHOTOGRAPH = 0.95


@dataclass(frozen=True)
class Match:
    """Crop number `crop` is cut from `numpy.rot90(photograph number photograph, turns)`."""

    crop: int
    photograph: int
    turns: int
    correlation: float


@dataclass(frozen=True)
class Compared:
    """The usable pictures of a data folder, known by their number from here on, and which of them show the same.

    Attributes:
        photographs, crops: the pictures.
        matches: which of `crops` are cut out of which of `photographs`, best first.
        twins: pairs of numbers of `photographs` that are near twins, the smaller number first.
    """

    photographs: list[Picture[PhotographFingerprint]]
    crops: list[Picture[CropFingerprint]]
    matches: list[Match]
    twins: list[tuple[int, int]]


class Colours(NamedTuple):
    """How many crops fit their photograph better with red and blue swapped, and how many could be compared."""

    swapped: int
    comparable: int

    @property
    def exchanged(self) -> bool:
        """Whether red and blue are exchanged in one of the two sets: most crops fit better when they are swapped."""
        return 2 * self.swapped > self.comparable


def compare(photographs: list[Picture[PhotographFingerprint]], crops: list[Picture[CropFingerprint]]) -> Compared:
    """Compare every picture with every other; there must be at least one photograph."""
    matches = match_crops([one.fingerprint for one in crops], [one.fingerprint for one in photographs])
    twins = near_twins(np.stack([one.fingerprint.whole for one in photographs]))
    return Compared(photographs, crops, matches, twins)


def match_crops(crops: Sequence[CropFingerprint], photographs: Sequence[PhotographFingerprint]) -> list[Match]:
    """Every crop with every photograph whose plate it shows pixel for pixel (twins give several), best first.

    First the miniatures are compared, at all four turns; crops that fit nowhere were perhaps cut along another box,
    so they are slid over each plate's surroundings.
    """
    if not crops or not photographs:
        return []
    plates = np.stack([photograph.plate for photograph in photographs])
    vectors = np.stack([crop.plate for crop in crops])
    # (4, crops, photographs): the crop turned back, against the plate as it lies in the photograph.
    correlations = np.stack([turned(vectors, -turns) @ plates.T for turns in range(4)])
    turns, best = correlations.argmax(0), correlations.max(0)
    matches = [
        Match(int(crop), int(photograph), int(turns[crop, photograph]), float(best[crop, photograph]))
        for crop, photograph in np.argwhere(best > SAME_PLATE)
    ]
    halves = [scaled(photograph.grey, 0.5) for photograph in photographs]
    for index in set(range(len(crops))) - {match.crop for match in matches}:
        matches += _slide(index, crops[index], photographs, halves)
    return sorted(matches, key=lambda match: (-match.correlation, match.crop, match.photograph))


def near_twins(vectors: np.ndarray) -> list[tuple[int, int]]:
    """Pairs `(i, j)`, i < j, of unit vectors `(n, side * side)` that are the same picture, at any quarter turn."""
    pairs = set()
    for turns in range(4):
        for start in range(0, len(vectors), 1024):  # In blocks: n x n correlations of a large set fill the memory.
            close = turned(vectors[start : start + 1024], turns) @ vectors.T > SAME_PHOTOGRAPH
            pairs |= {(int(i) + start, int(j)) for i, j in np.argwhere(close) if i + start < j}
    return sorted(pairs)


def turned(vectors: np.ndarray, turns: int) -> np.ndarray:
    """Unit vectors `(n, side * side)` of the pictures after `numpy.rot90(picture, turns)`."""
    side = int(np.sqrt(vectors.shape[1]))
    return np.rot90(vectors.reshape(-1, side, side), turns, axes=(1, 2)).reshape(len(vectors), -1)


def count_swapped(
    crops: Sequence[CropFingerprint], photographs: Sequence[PhotographFingerprint], matches: Sequence[Match]
) -> Colours:
    """Compare the colours of crops with those of the photographs that they are cut out of.

    Only upright crops cut along the box, of its very size, are compared.
    """
    swapped = comparable = 0
    for match in matches:
        crop, photograph = crops[match.crop], photographs[match.photograph]
        if match.turns == 0 and crop.shape == photograph.shape and crop.plate @ photograph.plate > SAME_PLATE:
            wanted, found = photograph.colours.astype("int32"), crop.colours.astype("int32")
            comparable += 1
            swapped += int(np.abs(found[..., ::-1] - wanted).sum() < np.abs(found - wanted).sum())
    return Colours(swapped, comparable)


def find_anywhere(crops: Sequence[CropFingerprint], photograph: np.ndarray, number: int = 0) -> list[Match]:
    """The crops that are cut from anywhere in a uint8 RGB photograph `(h, w, 3)`, upright or on either side.

    Only crops that their fingerprints keep at their own size can be found.
    """
    grey = to_grey(photograph)
    coarse = scaled(grey, 0.25)
    matches = []
    for index, crop in enumerate(crops):
        for turns in (0, 1, 3) if crop.scale == 1 and not _is_plain(crop) else ():
            wanted = turn_picture(crop.grey, -turns)
            rough, (top, left) = _best_place(coarse, scaled(wanted, 0.25))
            if rough > QUARTER_RESOLUTION_BAR:
                top, left = 4 * top, 4 * left
                near = grey[max(0, top - 8) : top + wanted.shape[0] + 8, max(0, left - 8) : left + wanted.shape[1] + 8]
                correlation, _ = _best_place(near, wanted)
                if correlation > SAME_CUT:
                    matches.append(Match(index, number, turns, correlation))
    return matches


def _slide(
    index: int, crop: CropFingerprint, photographs: Sequence[PhotographFingerprint], halves: Sequence[np.ndarray]
) -> list[Match]:
    """Matches of one crop slid over the plates' surroundings: at half resolution, then at full."""
    if _is_plain(crop):
        return []
    matches = []
    height, width = crop.shape
    sizes: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}  # Most photographs ask for the same two.
    for number, photograph in enumerate(photographs):
        if not 0.6 < height * width / (photograph.shape[0] * photograph.shape[1]) < 1.6:
            continue
        same_way = (height > width) == (photograph.shape[0] > photograph.shape[1])
        for turns in (0,) if same_way else (1, 3):
            asked = turns, photograph.scale / crop.scale
            if asked not in sizes:
                wanted = scaled(turn_picture(crop.grey, -turns), asked[1])
                sizes[asked] = wanted, scaled(wanted, 0.5)
            if _best_place(halves[number], sizes[asked][1])[0] > HALF_RESOLUTION_BAR:
                correlation, _ = _best_place(photograph.grey, sizes[asked][0])
                if correlation > SAME_CUT:
                    matches.append(Match(index, number, turns, correlation))
    return matches


def _is_plain(crop: CropFingerprint) -> bool:
    """Whether a crop has so little contrast that it fits everywhere."""
    return bool(crop.grey.std() < PLAIN)


def _best_place(grey: np.ndarray, wanted: np.ndarray) -> tuple[float, tuple[int, int]]:
    """The highest correlation of a grey picture with a larger one, and its place (top, left); -1 if it cannot fit."""
    if wanted.shape[0] > grey.shape[0] or wanted.shape[1] > grey.shape[1] or min(wanted.shape) < 4:
        return -1.0, (0, 0)
    _, correlation, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(grey, wanted, cv2.TM_CCOEFF_NORMED))
    return correlation, (top, left)
