"""Whether two small grey pictures show the same plate in the same moment, pixel for pixel.

Plates of one fleet differ in a single digit, so what decides is the place where two pictures agree least. First they
are laid on one another (S. Baker, I. Matthews: Lucas-Kanade 20 years on; G. Evangelidis, E. Psarakis: ECC, TPAMI 2008),
as crops are cut along other boxes, and photographs resized. Then what varies slowly, such as light from one side, is
taken out of both, contrast is made the same everywhere, and windows smaller than a character are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Sides of a plate's box, in pixels, at which pictures are laid on one another, coarsely and finely. Smaller ones stay
# as they are, and what has a shorter side below the least shows nothing that could be told from another plate.
COARSE_SIDE, FINE_SIDE, LEAST_SIDE = 12, 32, 7
# Standard deviation of the greys, of 255, below which a picture shows nothing.
PLAIN = 4.0
# Shares of the plate's shorter side: what is coarser than this is light, what is compared at once, and what contrast is
# measured over.
LIGHT, WINDOW, CONTRAST = 0.35, 0.22, 0.6
# Contrast that counts as none, by that of the whole plate.
FAINT = 0.35
# Of the first picture, how much must lie on the second; and of the plate's box, how much must be seen.
SHARE_COMPARED = 0.7
# How far the sides may be stretched on the way from the first guess.
STRETCH = 1.6
_STEPS = 20


@dataclass(frozen=True)
class Agreement:
    """How far two pictures agree once they lie on one another.

    Attributes:
        worst: where they agree least: about 1 for the same pixels, 0 and below where one has a stroke the other lacks.
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
    if min(cut.shape) < LEAST_SIDE or cut.std() < PLAIN or around.std() < PLAIN:
        return NONE
    height, width = guess[2] - guess[0], guess[3] - guess[1]
    # Pixels of the second picture for one of the first: the place of (x, y) of `cut` in `around`, pixel centres whole.
    place = np.array([[width / cut.shape[1], 0, guess[1]], [0, height / cut.shape[0], guess[0]]])
    shorter = min(box[2] - box[0], box[3] - box[1])
    density = min(1.0, cut.shape[0] / height, cut.shape[1] / width)
    for side in (COARSE_SIDE, FINE_SIDE):
        scale = min(density, side / shorter)
        first, second = _sized(cut, place, scale), _shrunk(around, scale)
        if min(first.shape) < LEAST_SIDE:
            return NONE
        placed = _laid(first, second, _at_scale(place, cut, first, around, second))
        if placed is None:
            return NONE
        place = _at_scale(placed, first, cut, second, around)
    return _compared(first, second, placed, box, second.shape[0] / around.shape[0])


def scene_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Where two small whole photographs, uint8 grey of one size, agree least; as `Agreement.worst`."""
    seen = np.ones(first.shape, bool)
    flat = (_flat(grey.astype("float32"), seen, min(first.shape)) for grey in (first, second))
    return 1.0 - float(_disagreement(*flat, min(first.shape)).max())


def _sized(cut: np.ndarray, place: np.ndarray, scale: float) -> np.ndarray:
    """`cut` with as many pixels as the place where it lies has at this scale."""
    sides = max(1, round(cut.shape[1] * place[0, 0] * scale)), max(1, round(cut.shape[0] * place[1, 1] * scale))
    shrinks = sides[0] <= cut.shape[1] and sides[1] <= cut.shape[0]
    return cv2.resize(cut, sides, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _shrunk(grey: np.ndarray, scale: float) -> np.ndarray:
    sides = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    return grey if sides == grey.shape[::-1] else cv2.resize(grey, sides, interpolation=cv2.INTER_AREA)


def _at_scale(
    place: np.ndarray, first: np.ndarray, new_first: np.ndarray, second: np.ndarray, new_second: np.ndarray
) -> np.ndarray:
    """The place, float `(2, 3)` from (x, y) of pixels' corners to corners, for other sizes of the two pictures."""
    into = np.array([new_second.shape[1] / second.shape[1], new_second.shape[0] / second.shape[0]])
    out_of = np.array([first.shape[1] / new_first.shape[1], first.shape[0] / new_first.shape[0], 1.0])
    return place * into[:, None] * out_of


def _laid(first: np.ndarray, second: np.ndarray, place: np.ndarray) -> np.ndarray | None:
    """The place where `first` fits `second` best, from near `place` on; None if there is none."""
    warp = _centres(place, 1).astype("float32")
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-3)
    try:
        _, warp = cv2.findTransformECC(first, second, warp, cv2.MOTION_AFFINE, criteria, None, 3)
    except cv2.error:  # It runs away from where they do not fit.
        return None
    placed = _centres(warp.astype("float64"), -1)
    stretch = np.abs(np.array([placed[0, 0] / place[0, 0], placed[1, 1] / place[1, 1]]))
    sheared = np.abs([placed[0, 1], placed[1, 0]]).max()
    # NaN is no place either.
    if not (stretch.max() < STRETCH and stretch.min() > 1 / STRETCH and sheared < 0.3):
        return None
    return placed


def _centres(place: np.ndarray, sign: int) -> np.ndarray:
    """From corners of pixels to their centres (`sign` 1), or back (-1): half a pixel on either side."""
    half = 0.5 * sign
    shifted = place.copy()
    shifted[:, 2] += place[:, :2] @ np.array([half, half]) - half
    return shifted


def _compared(
    first: np.ndarray, second: np.ndarray, place: np.ndarray, box: tuple[int, int, int, int], scale: float
) -> Agreement:
    """The agreement of two pictures that lie on one another at `place`; `scale`: from the box to `second`."""
    sides = first.shape[::-1]
    warp = _centres(place, 1).astype("float32")
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second.astype("float32"), warp, sides, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.ones(second.shape, "float32"), warp, sides, flags=flags) > 0.99
    boxes = np.zeros(second.shape, "float32")
    ymin, xmin, ymax, xmax = (round(side * scale) for side in box)
    boxes[ymin:ymax, xmin:xmax] = 1
    plate = cv2.warpAffine(boxes, warp, sides, flags=flags)
    whole = boxes.sum() / max(abs(float(np.linalg.det(place[:, :2]))), 1e-6)
    if seen.mean() < SHARE_COMPARED or plate[seen].sum() < SHARE_COMPARED * whole:
        return NONE
    shorter = min(ymax - ymin, xmax - xmin)
    one, other = _flat(first.astype("float32"), seen, shorter), _flat(moved, seen, shorter)
    places = seen & (plate > 0.5)
    greys = first.astype("float32")[seen], moved[seen]
    correlation = float(np.corrcoef(*greys)[0, 1]) if min(greys[0].std(), greys[1].std()) > 1e-3 else -1.0
    return Agreement(1.0 - float(_disagreement(one, other, shorter)[places].max()), correlation)


def _disagreement(one: np.ndarray, other: np.ndarray, shorter: float) -> np.ndarray:
    """Around each pixel: how much of what two pictures show there differs, 0 to 2; see `_flat` and `WINDOW`."""
    window = (max(3, round(WINDOW * shorter)),) * 2
    energy = cv2.blur((one**2 + other**2) / 2, window, borderType=cv2.BORDER_CONSTANT)
    residual = cv2.blur((one - other) ** 2 / 2, window, borderType=cv2.BORDER_CONSTANT)
    return residual / np.maximum(energy, 1.0)


def _flat(grey: np.ndarray, seen: np.ndarray, shorter: float) -> np.ndarray:
    """The picture without light and with the same contrast everywhere: mean square 1 where it is seen, 0 elsewhere."""
    shown = seen.astype("float32")

    def mean(values: np.ndarray, share: float) -> np.ndarray:
        """Around each pixel, of what is seen."""
        blurred = cv2.GaussianBlur(values * shown, (0, 0), share * shorter)
        return blurred / np.maximum(cv2.GaussianBlur(shown, (0, 0), share * shorter), 1e-3)

    detail = (grey - mean(grey, LIGHT)) * shown
    power = mean(detail**2, CONTRAST)
    floor = FAINT**2 * float(power[seen].mean())
    flat = detail / np.sqrt(power + floor + 1e-6)
    return flat / max(float(np.sqrt((flat[seen] ** 2).mean())), 1e-6)
