"""Which plate crops were cut out of which photographs, and which photographs are near twins. Pictures only.

Few pairs are looked at closely: those that an index names (`plate_index`), so that the cost grows with the number of
pictures. What decides is the place where two plates agree least (`agreement`): plates of a fleet differ in a digit.
`python -m lpr_e2e check DIR` shows what this finds in a data set.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from lpr_e2e.common.boxes import turn_picture
from lpr_e2e.common.cores import available_cores
from lpr_e2e.data.agreement import PLAIN, Agreement, agreement, scene_agreement
from lpr_e2e.data.fingerprint_cache import FingerprintCache, digest
from lpr_e2e.data.fingerprints import CropFingerprint, PhotographFingerprint, scaled, to_grey
from lpr_e2e.data.groups import connected
from lpr_e2e.data.pictures import CropPicture, PhotographPicture
from lpr_e2e.data.plate_index import (
    Candidate,
    crop_descriptor,
    cut_boxes,
    nearest,
    plate_descriptors,
    scene_descriptors,
)

# Changes with whatever decides what is the same: what another version found is found anew.
_VERSION = 1
# The same plate agrees everywhere at least so far, and further by a clear margin than with any other plate. From the
# second bar on, nothing else is needed to know two pictures of one plate.
SAME_PLATE, CERTAINLY_SAME, MARGIN = 0.6, 0.8, 0.15
# Greys of near twins correlate so far as a whole; two photographs without a plate have nothing else to tell by.
SAME_SCENE, SAME_EMPTY_SCENE = 0.9, 0.95
# What the index names is looked at if it is at least so similar, and so many of a picture at most; of copies, which are
# more alike, the second of each. Once one agrees, only those that are nearly as similar: others do not come near.
SIMILAR, SIMILAR_COPY = 0.3, 0.6
CANDIDATES, CANDIDATES_COPY = 6, 3
NEARLY = 0.25
# A crop that is hardly wider than high, or higher than wide, may be either way up.
SQUARE = 1.5
# A crop at lower resolution falls between pixels, hence these low bars for a closer look.
QUARTER_RESOLUTION_BAR, FULL_RESOLUTION_BAR = 0.5, 0.9


class Match(NamedTuple):
    """Crop number `crop` is cut along plate number `plate` from `numpy.rot90(photograph number photograph, turns)`."""

    crop: int
    photograph: int
    plate: int
    turns: int
    correlation: float


@dataclass(frozen=True)
class Compared:
    """The usable pictures of a data set, known by their number from here on, and which of them show the same.

    Attributes:
        photographs, crops: the pictures.
        matches: which of `crops` are cut out of which of `photographs`, best first.
        twins: pairs of numbers of `photographs` that are near twins, the smaller number first.
        crop_twins: the same of `crops`.
    """

    photographs: list[PhotographPicture]
    crops: list[CropPicture]
    matches: list[Match]
    twins: list[tuple[int, int]]
    crop_twins: list[tuple[int, int]]

    def plates_of(self, crop: int) -> list[tuple[int, int]]:
        """(photograph, plate) of all that a crop is cut from."""
        return self._plates_by_crop.get(crop, [])

    @functools.cached_property
    def _plates_by_crop(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for match in self.matches:
            found[match.crop].append((match.photograph, match.plate))
        return found


class Colours(NamedTuple):
    """How many crops fit their photograph better with red and blue swapped, and how many could be compared."""

    swapped: int
    comparable: int

    @property
    def exchanged(self) -> bool:
        """Whether red and blue are exchanged in one of the two sets: most crops fit better when they are swapped."""
        return 2 * self.swapped > self.comparable


def compare(
    photographs: list[PhotographPicture], crops: list[CropPicture], cache: FingerprintCache | None = None
) -> Compared:
    """Which of these pictures show the same; there may be none of either kind.

    Args:
        photographs, crops: the pictures.
        cache: knows the answer if it was asked for the very same pictures before.
    """
    whole, cut = [one.fingerprint for one in photographs], [one.fingerprint for one in crops]
    key = f"{_VERSION} {digest([*whole, *cut])}"
    recalled = _recalled(photographs, crops, cache.comparison(key) if cache else None)
    if recalled is not None:
        return recalled
    plates = _plates(whole)
    same_plates = _same_plates(plates, whole)
    twins = {_pair(plates[one].photograph, plates[other].photograph) for one, other in same_plates}
    twins = {pair for pair in twins if pair[0] != pair[1]} | _twins_without_plates(whole)
    compared = Compared(photographs, crops, _matches(cut, plates, same_plates), sorted(twins), _crop_twins(cut))
    if cache:
        found = {"matches": compared.matches, "twins": compared.twins, "crop_twins": compared.crop_twins}
        cache.keep_comparison(key, found)
    return compared


def _recalled(
    photographs: list[PhotographPicture], crops: list[CropPicture], known: dict[str, list] | None
) -> Compared | None:
    """What a cache knows of these pictures; None if that is nothing, or makes no sense."""
    if known is None:
        return None
    try:
        matches = [Match(*match) for match in known["matches"]]
        twins, crop_twins = ([_pair(*pair) for pair in known[name]] for name in ("twins", "crop_twins"))
        for match in matches:
            photographs[match.photograph].plates[match.plate], crops[match.crop]
        for numbers, pictures in ((twins, photographs), (crop_twins, crops)):
            [pictures[number] for pair in numbers for number in pair]
    except (KeyError, IndexError, TypeError):
        return None
    return Compared(photographs, crops, matches, twins, crop_twins)


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)


class _Plate(NamedTuple):
    """A plate of a photograph, turned by `turns` so that it is wider than high: greys around it, and its box there."""

    photograph: int
    plate: int
    turns: int
    around: np.ndarray
    box: tuple[int, int, int, int]

    @property
    def cut(self) -> np.ndarray:
        ymin, xmin, ymax, xmax = self.box
        return self.around[ymin:ymax, xmin:xmax]


class _Look(NamedTuple):
    """A picture of a plate, by its number, turned by `turns` so that it is about wider than high."""

    number: int
    turns: int
    grey: np.ndarray


class _Fit(NamedTuple):
    """How far a picture agrees with a plate: `numpy.rot90(plate, turns)` is the picture."""

    plate: int
    turns: int
    agreement: Agreement


def _plates(photographs: Sequence[PhotographFingerprint]) -> list[_Plate]:
    plates = []
    for number, photograph in enumerate(photographs):
        for index, plate in enumerate(photograph.plates):
            turns = int(plate.shape[0] > plate.shape[1])
            around, box = plate.grey, plate.box
            if turns:
                width = around.shape[1]
                around, box = turn_picture(around, 1), (width - box[3], box[0], width - box[1], box[2])
            plates.append(_Plate(number, index, turns, np.ascontiguousarray(around), box))
    return plates


def _looks(number: int, grey: np.ndarray) -> list[_Look]:
    """A picture in every way up in which it may be a plate that is wider than high."""
    square = max(grey.shape) < SQUARE * min(grey.shape)
    turns = range(4) if square else (1, 3) if grey.shape[0] > grey.shape[1] else (0, 2)
    return [_Look(number, turn, np.ascontiguousarray(turn_picture(grey, turn))) for turn in turns]


def _fits(looks: Sequence[_Look], plates: Sequence[_Plate], copies: bool = False) -> dict[int, list[_Fit]]:
    """How far each picture agrees with the plates that it may be, by its number; best first.

    Args:
        looks: of pictures, see `_looks`.
        plates: what they may be.
        copies: whether the pictures are the plates themselves, by the same numbers, and copies of them are wanted.
    """
    looks = [look for look in looks if look.grey.std() >= PLAIN]
    if not looks or not plates:
        return {}
    queries = np.stack([crop_descriptor(look.grey) for look in looks])
    index = np.stack([plate_descriptors(plate.around, plate.box) for plate in plates])
    count, similar = (CANDIDATES_COPY, SIMILAR_COPY) if copies else (CANDIDATES, SIMILAR)
    possible: dict[int, list[tuple[_Look, Candidate]]] = defaultdict(list)
    for look, found in zip(looks, nearest(queries, index, count + copies, similar), strict=True):
        possible[look.number] += [(look, one) for one in found if not (copies and one.plate == look.number)]
    # OpenCV works without Python's lock.
    with ThreadPoolExecutor(available_cores()) as pool:
        fits = pool.map(lambda pairs: _fits_of_one(pairs, plates, count), possible.values())
        return {number: found for number, found in zip(possible, fits, strict=True) if found}


def _fits_of_one(pairs: list[tuple[_Look, Candidate]], plates: Sequence[_Plate], count: int) -> list[_Fit]:
    pairs = sorted(pairs, key=lambda pair: -pair[1].similarity)[:count]
    fits, least = [], -np.inf
    for look, candidate in pairs:
        if candidate.similarity < least:
            break
        plate = plates[candidate.plate]
        found = agreement(look.grey, plate.around, plate.box, cut_boxes(plate.box)[candidate.cut])
        fits.append(_Fit(candidate.plate, (plate.turns - look.turns) % 4, found))
        if found.worst >= CERTAINLY_SAME:
            least = max(least, candidate.similarity - NEARLY)
    return sorted(fits, key=lambda fit: (-fit.agreement.worst, fit.plate))


def _matches(
    crops: Sequence[CropFingerprint], plates: Sequence[_Plate], same_plates: Sequence[tuple[int, int]]
) -> list[Match]:
    """Each crop with the plate that it fits best by a clear margin, and with the same plate on near twins; best first.

    Of several crops that fit one plate, those stay that fit it about as well as the best of them.
    """
    looks = [look for number, crop in enumerate(crops) for look in _looks(number, crop.grey)]
    families = {}
    for number, family in enumerate(connected(range(len(plates)), same_plates)):
        families |= dict.fromkeys(family, number)
    chosen: dict[int, list[tuple[int, list[_Fit]]]] = defaultdict(list)
    for crop, fits in _fits(looks, plates).items():
        best = fits[0].agreement.worst
        family = families[fits[0].plate]
        rivals = [fit.agreement.worst for fit in fits if families[fit.plate] != family]
        if best >= SAME_PLATE and best - max(rivals, default=-1.0) >= MARGIN:
            same = [fit for fit in fits if families[fit.plate] == family and fit.agreement.worst >= SAME_PLATE]
            chosen[family].append((crop, same))
    matches = {}
    for claims in chosen.values():
        best = max(fits[0].agreement.worst for _, fits in claims)
        for crop, fits in claims:
            if fits[0].agreement.worst >= min(best - MARGIN, CERTAINLY_SAME):
                for fit in reversed(fits):  # The best of several ways up is left.
                    plate = plates[fit.plate]
                    found = Match(crop, plate.photograph, plate.plate, fit.turns, fit.agreement.correlation)
                    matches[crop, fit.plate] = found
    return sorted(matches.values(), key=lambda one: (-one.correlation, one.crop, one.photograph, one.plate))


def _same_plates(plates: Sequence[_Plate], photographs: Sequence[PhotographFingerprint]) -> list[tuple[int, int]]:
    """Pairs of numbers of plates that are the same one in the same moment: twice on a photograph, or on near twins.

    Near twins agree in a plate and in the scene, for before a fixed camera every scene is the same; or in a plate to
    the last pixel, as parts of one photograph do.
    """
    looks = [look for number, plate in enumerate(plates) for look in _looks(number, plate.cut)]
    pairs = set()
    for one, fits in _fits(looks, plates, copies=True).items():
        for fit in fits:
            first, second = plates[one], plates[fit.plate]
            if fit.agreement.worst < SAME_PLATE:
                break
            if first.photograph != second.photograph and fit.agreement.worst < CERTAINLY_SAME:
                # The first photograph, turned so that its plate lies as on the second.
                turned = np.rot90(photographs[first.photograph].whole, first.turns - fit.turns)
                if _correlation(turned, photographs[second.photograph].whole) < SAME_SCENE:
                    continue
            pairs.add(_pair(one, fit.plate))
    return sorted(pairs)


def _twins_without_plates(photographs: Sequence[PhotographFingerprint]) -> set[tuple[int, int]]:
    """Near twins of which at least one shows no plate: the scene alone tells, that of the other one's plates too."""
    empty = [number for number, one in enumerate(photographs) if not one.plates and one.whole.std() >= PLAIN]
    if not empty:
        return set()
    turned = [(number, turns) for number in empty for turns in range(4)]
    queries = scene_descriptors(np.stack([np.rot90(photographs[number].whole, turns) for number, turns in turned]))
    scenes = scene_descriptors(np.stack([one.whole for one in photographs]))
    pairs = set()
    for (number, turns), found in zip(
        turned, nearest(queries, scenes[:, None], CANDIDATES + 1, SIMILAR_COPY), strict=True
    ):
        whole = np.rot90(photographs[number].whole, turns)
        for one in found:
            other = photographs[one.plate]
            if one.plate == number or _correlation(whole, other.whole) < SAME_EMPTY_SCENE:
                continue
            if not other.plates or scene_agreement(whole, other.whole) >= SAME_PLATE:
                pairs.add(_pair(number, one.plate))
    return pairs


def _crop_twins(crops: Sequence[CropFingerprint]) -> list[tuple[int, int]]:
    """Pairs of numbers of crops that show the same plate in the same moment, cut along about the same box."""
    whole = []
    for number, crop in enumerate(crops):
        turns = int(crop.grey.shape[0] > crop.grey.shape[1])
        grey = turn_picture(crop.grey, turns)
        whole.append(_Plate(number, 0, turns, grey, (0, 0, *grey.shape)))
    looks = [look for one in whole for look in _looks(one.photograph, one.around)]
    pairs = set()
    for one, fits in _fits(looks, whole, copies=True).items():
        pairs |= {_pair(one, fit.plate) for fit in fits if fit.agreement.worst >= CERTAINLY_SAME}
    return sorted(pairs)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of two grey pictures of one size, -1 to 1; 0 where one has a single grey."""
    one, other = (values.astype("float64") - values.mean() for values in (first, second))
    return float((one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), 1e-6))


def count_swapped(
    crops: Sequence[CropFingerprint], photographs: Sequence[PhotographFingerprint], matches: Sequence[Match]
) -> Colours:
    """Compare the colours of crops with those of the photographs that they are cut out of.

    Only upright crops of about the box's shape are compared.
    """
    swapped = comparable = 0
    for match in matches:
        crop, plate = crops[match.crop], photographs[match.photograph].plates[match.plate]
        if match.turns == 0 and crop.shape == plate.shape:
            wanted, found = plate.colours.astype("int32"), crop.colours.astype("int32")
            comparable += 1
            swapped += int(np.abs(found[..., ::-1] - wanted).sum() < np.abs(found - wanted).sum())
    return Colours(swapped, comparable)


def find_anywhere(crops: Sequence[CropFingerprint], photograph: np.ndarray, number: int = 0) -> list[Match]:
    """The crops that are cut from anywhere in a uint8 RGB photograph `(h, w, 3)`, upright or on either side.

    Only crops that their fingerprints keep at their own size can be found. `Match.plate` is -1: no box is known.
    """
    grey = to_grey(photograph)
    coarse = scaled(grey, 0.25)
    matches = []
    for index, crop in enumerate(crops):
        for turns in (0, 1, 3) if crop.scale == 1 and crop.grey.std() >= PLAIN else ():
            wanted = turn_picture(crop.grey, -turns)
            rough, (top, left) = _best_place(coarse, scaled(wanted, 0.25))
            if rough > QUARTER_RESOLUTION_BAR:
                top, left = max(0, 4 * top - 8), max(0, 4 * left - 8)
                near = grey[top : top + wanted.shape[0] + 16, left : left + wanted.shape[1] + 16]
                correlation, (down, right) = _best_place(near, wanted)
                if correlation > FULL_RESOLUTION_BAR:
                    box = (down, right, down + wanted.shape[0], right + wanted.shape[1])
                    if agreement(wanted, near, box, box).worst >= SAME_PLATE:
                        matches.append(Match(index, number, -1, turns, correlation))
    return matches


def _best_place(grey: np.ndarray, wanted: np.ndarray) -> tuple[float, tuple[int, int]]:
    """The highest correlation of a grey picture with a larger one, and its place (top, left); -1 if it cannot fit."""
    if wanted.shape[0] > grey.shape[0] or wanted.shape[1] > grey.shape[1] or min(wanted.shape) < 4:
        return -1.0, (0, 0)
    _, correlation, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(grey, wanted, cv2.TM_CCOEFF_NORMED))
    return correlation, (top, left)
