"""Whether two small grey pictures show the same plate in the same moment, pixel for pixel.

Plates of one fleet differ in a single digit, so what decides is the place where two pictures agree least. First they
are laid on one another, as crops are cut along other boxes, and photographs resized (ECC: G. Evangelidis, E. Psarakis,
Parametric image alignment using enhanced correlation coefficient maximization, TPAMI 2008). Then what varies slowly,
such as light from one side, is taken out of both, contrast is made the same everywhere, and windows smaller than a
character are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# The shorter side of a plate's box, in pixels, at which pictures are compared. Smaller plates stay as they are; below
# the least nothing tells two of them apart.
SIDE, LEAST_SIDE = 32, 7
# Standard deviation of the greys, of 255, below which a picture shows nothing.
PLAIN = 4.0
# Correlation below which pictures that were laid on one another are different ones. The same reach 0.93, mostly 0.99.
LEAST_FIT = 0.8
# Shares of the plate's shorter side: windows over which light and contrast are measured, and those that are compared.
LIGHT, CONTRAST, WINDOW = 0.5, 0.9, 0.17
# Contrast that counts as none, by that of the whole plate.
FAINT = 0.35
# What a plate whose shorter side is below this loses at most: with fewer pixels, other characters look more alike.
SMALL_SIDE, SMALL_LOSS = 24, 0.45
# Of the first picture, how much must lie on the second; and of the plate's box, how much must be seen.
SHARE_COMPARED = 0.7
# How far the sides may be stretched on the way from the first guess, and the picture sheared.
STRETCH, SHEAR = 1.6, 0.3
# Steps on the way to the best place.
_STEPS = 12


@dataclass(frozen=True)
class Agreement:
    """How far two pictures agree once they lie on one another.

    Attributes:
        worst: where they agree least: about 1 for the same pixels, 0 and below where one has a stroke the other lacks;
            less for small plates, see `SMALL_SIDE`.
        correlation: of all their greys, -1 to 1.
    """

    worst: float
    correlation: float


NONE = Agreement(-1.0, -1.0)


def agreement(
    cut: np.ndarray, around: np.ndarray, box: tuple[int, int, int, int], guess: tuple[float, float, float, float]
) -> Agreement:
    """Compare a plate that was cut out with a plate and what is around it.

    Args:
        cut: uint8 grey `(h, w)`.
        around: uint8 grey `(h, w)`, the same way up.
        box: the plate in `around`, yxyx, pixels of `around`.
        guess: where about `cut` lies in `around`, yxyx, pixels of `around`; it may reach out of it.
    """
    height, width = guess[2] - guess[0], guess[3] - guess[1]
    # Where the corner (x, y) of a pixel of `cut` lies in `around`.
    place = np.array([[width / cut.shape[1], 0, guess[1]], [0, height / cut.shape[0], guess[0]]])
    shorter = min(box[2] - box[0], box[3] - box[1])
    density = min(1.0, cut.shape[0] / height, cut.shape[1] / width)
    if min(height, width, shorter) * density < LEAST_SIDE or cut.std() < PLAIN or around.std() < PLAIN:
        return NONE
    pair = _Pair(cut, around, place, min(density, SIDE / shorter))
    placed, fit = pair.laid(place)
    return NONE if placed is None or fit < LEAST_FIT else pair.compared(placed, box)


def scene_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Where two small whole photographs, uint8 grey of one size, agree least; as `Agreement.worst`."""
    shown = np.ones(first.shape, "float32")
    one, other = (_flat(grey.astype("float32"), shown, min(first.shape)) for grey in (first, second))
    return 1.0 - float(_disagreement(one, other, min(first.shape)).max())


class _Pair:
    """A picture, and one in which it lies about at `place`, both with `scale` pixels for one of the latter.

    Places, float64 `(2, 3)`, lead from (x, y) of the first to (x, y) of the second, as they were given, corner to
    corner of pixels.
    """

    def __init__(self, cut: np.ndarray, around: np.ndarray, place: np.ndarray, scale: float):
        self._first = _resized(cut, cut.shape[0] * place[1, 1] * scale, cut.shape[1] * place[0, 0] * scale)
        self._second = _resized(around, around.shape[0] * scale, around.shape[1] * scale)
        # Pixels, (x, y), that there are now for one that was given.
        self._of_first = np.array(self._first.shape[::-1]) / cut.shape[::-1]
        self._of_second = np.array(self._second.shape[::-1]) / around.shape[::-1]

    def laid(self, place: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Where the first fits the second best, from near `place` on, and the correlation there; None if nowhere."""
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-3)
        try:
            fit, warp = cv2.findTransformECC(
                self._first, self._second, self._warp(place), cv2.MOTION_AFFINE, criteria, None, 3
            )
        except cv2.error:  # It runs away from where they do not fit.
            return None, -1.0
        placed = warp.astype("float64")
        placed[:, 2] += 0.5 - placed[:, :2].sum(1) / 2  # From centres of pixels to their corners.
        placed = placed / self._of_second[:, None] * [*self._of_first, 1]
        stretch = placed[(0, 1), (0, 1)] / place[(0, 1), (0, 1)]
        sheared = np.abs(placed[(0, 1), (1, 0)]).max() / np.abs(placed[(0, 1), (0, 1)]).max()
        # Comparisons with NaN are false.
        sound = stretch.max() < STRETCH and stretch.min() > 1 / STRETCH and sheared < SHEAR
        return (placed, float(fit)) if sound else (None, -1.0)

    def compared(self, place: np.ndarray, box: tuple[int, int, int, int]) -> Agreement:
        """The agreement of the two where they lie on one another at `place`; `box` is the plate in the second."""
        warp, sides, flags = self._warp(place), self._first.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        second = self._second.astype("float32")
        moved = cv2.warpAffine(second, warp, sides, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        shown = (cv2.warpAffine(np.ones_like(second), warp, sides, flags=flags) > 0.99).astype("float32")
        plates = np.zeros_like(second)
        ymin, xmin, ymax, xmax = (round(side * self._of_second[1 - axis % 2]) for axis, side in enumerate(box))
        plates[ymin:ymax, xmin:xmax] = 1
        plate = cv2.warpAffine(plates, warp, sides, flags=flags)
        whole = plates.sum() / max(abs(float(np.linalg.det(warp[:, :2]))), 1e-6)
        if shown.mean() < SHARE_COMPARED or (plate * shown).sum() < SHARE_COMPARED * whole:
            return NONE
        shorter = min(ymax - ymin, xmax - xmin)
        first = self._first.astype("float32")
        places = (shown * plate) > 0.5
        worst = _disagreement(_flat(first, shown, shorter), _flat(moved, shown, shorter), shorter)[places].max()
        loss = SMALL_LOSS * max(0.0, 1 - shorter / SMALL_SIDE)
        return Agreement(1.0 - float(worst) - loss, _correlation(first[shown > 0], moved[shown > 0]))

    def _warp(self, place: np.ndarray) -> np.ndarray:
        """The place as OpenCV wants it: float32, in pixels as they are now, from centre to centre."""
        warp = place * self._of_second[:, None] / [*self._of_first, 1]
        warp[:, 2] += warp[:, :2].sum(1) / 2 - 0.5
        return warp.astype("float32")


def _resized(grey: np.ndarray, height: float, width: float) -> np.ndarray:
    sides = max(1, round(width)), max(1, round(height))
    if sides == grey.shape[::-1]:
        return grey
    grows = sides[0] > grey.shape[1] or sides[1] > grey.shape[0]
    return cv2.resize(grey, sides, interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)


def _flat(grey: np.ndarray, shown: np.ndarray, shorter: float) -> np.ndarray:
    """The picture without light and with the same contrast everywhere: mean square 1 where it is shown, 0 elsewhere.

    Args:
        grey: float32 `(h, w)`.
        shown: float32 `(h, w)`, 1 or 0.
        shorter: the plate's shorter side, pixels.
    """
    detail = (grey - _mean_around(grey, shown, LIGHT * shorter)) * shown
    power = _mean_around(detail**2, shown, CONTRAST * shorter)
    count = max(float(shown.sum()), 1.0)
    flat = detail / np.sqrt(power + FAINT**2 * float((power * shown).sum()) / count + 1e-6)
    return flat / max(float(np.sqrt((flat**2).sum() / count)), 1e-6)


def _mean_around(values: np.ndarray, shown: np.ndarray, side: float) -> np.ndarray:
    """The mean in the window around each pixel of what is shown there."""
    window = (2 * round(side / 2) + 1,) * 2
    sums, counts = (cv2.blur(one, window, borderType=cv2.BORDER_CONSTANT) for one in (values * shown, shown))
    return sums / np.maximum(counts, 1e-3)


def _disagreement(one: np.ndarray, other: np.ndarray, shorter: float) -> np.ndarray:
    """Around each pixel: how much of what two pictures show there differs, 0 to 2; see `_flat` and `WINDOW`."""
    window = (max(3, round(WINDOW * shorter)),) * 2
    energy, residual = (
        cv2.blur(power / 2, window, borderType=cv2.BORDER_CONSTANT) for power in (one**2 + other**2, (one - other) ** 2)
    )
    return residual / np.maximum(energy, 1.0)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.sqrt((one**2).sum() * (other**2).sum())), 1e-6))
