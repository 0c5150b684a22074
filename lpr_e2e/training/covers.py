"""What can hide a character of a plate: a bar, a hand, snow, mud, a sticker, glare.

Each kind is a function of the sides `(height, width)` of a picture, the box `(4,)` yxyx in it that is to be hidden, and
a generator. It gives how much is hidden, uint8 `(height, width)`, 255 where nothing shines through, and by what, uint8
RGB `(height, width, 3)`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# What hides well enough not to guess what is behind it, and what hides too little to matter, of 255.
OPAQUE, CLEAR = 235, 50
# Cover and what is around it differ by this much at least, in grey levels: else it could be a gap between characters.
_CONTRAST = 30
# Share of the bars that are flat. Share of their ends that can be seen, and how far above or below the character these
# are, in heights of it: beyond the plate's edge, and on plates with two lines over the other line.
_FLAT, _ENDING, _BEYOND = 0.4, 0.4, (0.05, 1.0)
_SKIN = np.array([(241, 194, 160), (224, 172, 125), (198, 134, 95), (141, 85, 54), (90, 58, 40)], "float64")

Cover = tuple[np.ndarray, np.ndarray]


def cover(picture: np.ndarray, box, rng) -> tuple[np.ndarray, np.ndarray] | None:
    """Hide a box `(4,)` yxyx of a picture, uint8 RGB `(h, w, 3)`, by something.

    Returns:
        the picture, a copy, and how much of each pixel is hidden, uint8 `(h, w)`; None if the cover would be of the
        same colour as the plate.
    """
    make = _KINDS[int(rng.integers(len(_KINDS)))]
    top, left, bottom, right = np.asarray(box, "float64")
    # No cover reaches further along the plate than this: the rest of the picture is left alone.
    reach = 0.8 * (right - left) + 0.5 * (bottom - top)
    columns = slice(max(0, int(left - reach)), int(np.ceil(right + reach)))
    part = picture[:, columns]
    mask, paint = make(part.shape[:2], np.array([top, left - columns.start, bottom, right - columns.start]), rng)
    around = picture[max(0, int(top)) : int(bottom) + 1 : 2, max(0, int(left)) : int(right) + 1 : 2]
    if make is not _glare:
        colour = paint[mask >= OPAQUE].mean(0)
        if np.abs(np.median(around, (0, 1)) - colour).max() < _CONTRAST:
            return None
    share = mask.astype("float32") / np.float32(255)
    shown, hidden = picture.copy(), np.zeros(picture.shape[:2], "uint8")
    shown[:, columns] = cv2.blendLinear(part, paint, 1 - share, share)
    hidden[:, columns] = mask
    return shown, hidden


def _painted(sides, colour, rng, grain: float = 0.0) -> np.ndarray:
    """A surface of one colour `(3,)`, uneven by so many grey levels, uint8 RGB `(height, width, 3)`."""
    height, width = sides
    light = rng.normal(0, 12, (3, 4)).astype("float32")
    light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    if grain:
        rough = rng.normal(0, grain, (height // 2 + 1, width // 2 + 1)).astype("float32")
        light = light + cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.asarray(colour, "float32") + light[..., None], 0, 255).astype("uint8")


def _grey(rng, low: float, high: float) -> np.ndarray:
    return rng.uniform(low, high) * rng.uniform(0.93, 1.0, 3)


def _bar(sides, box, rng) -> Cover:
    """A post, a tow bar or a cable from top to bottom, round and therefore lit on one side; or a flat lath, some of
    them hardly longer than the plate is high."""
    height, width = sides
    top, left, bottom, right = box
    middle, half = (left + right) / 2, (right - left) / 2 * rng.uniform(1.05, 1.35)
    slope = rng.normal(0, 0.06)
    beyond = rng.uniform(*_BEYOND, 2) * (bottom - top)
    ends = [
        near if rng.random() < _ENDING else far
        for near, far in ((top - beyond[0], -height), (bottom + beyond[1], 2 * height))
    ]
    upper, lower = (middle + slope * (row - (top + bottom) / 2) for row in ends)
    points = np.array(
        [(upper - half, ends[0]), (upper + half, ends[0]), (lower + half, ends[1]), (lower - half, ends[1])]
    )
    mask = np.zeros(sides, "uint8")
    cv2.fillConvexPoly(mask, np.round(points * 8).astype("int32"), 255, cv2.LINE_AA, shift=3)
    across = np.clip((np.arange(width) - middle) / max(half, 1), -1.2, 1.2)
    lit = np.cos((across - rng.uniform(-0.6, 0.6)) * rng.uniform(0.6, 1.5))[None, :, None]
    colour = _grey(rng, 25, 230) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
    paint = _painted(sides, colour, rng)
    if rng.random() < _FLAT:
        return mask, paint
    shaded = paint.astype("float32") * np.float32(0.45 + 0.6 * np.clip(lit, 0, 1))
    return mask, np.clip(shaded, 0, 255).astype("uint8")


def _hand(sides, box, rng) -> Cover:
    """Fingers side by side, from above or below."""
    height, _ = sides
    top, left, bottom, right = box
    count = max(2, round((right - left) / max(4.0, 0.3 * (bottom - top)) + rng.uniform(0, 1)))
    wide = (right - left) / count * rng.uniform(1.1, 1.3)
    from_below = rng.random() < 0.6
    mask, shade = np.zeros(sides, "uint8"), np.ones(sides, "float32")
    paint = _painted(sides, _SKIN[rng.integers(len(_SKIN))], rng, 3)
    lean = rng.normal(0, 0.12) * (bottom - top)
    for number in range(count):
        x = left + (number + 0.5) * (right - left) / count
        end = (top if from_below else bottom) + (-1 if from_below else 1) * rng.uniform(0.0, 0.3) * (bottom - top)
        start = 2 * height if from_below else -height
        finger = np.zeros(sides, "uint8")
        ends = [(int(x + lean), int(start)), (int(x), int(end))]
        cv2.line(finger, *ends, 255, max(2, int(np.ceil(wide))), cv2.LINE_AA)
        # Towards its edge a finger is darker: so one is told from the next.
        depth = cv2.distanceTransform((finger > 127).astype("uint8"), cv2.DIST_L2, 3) / max(1.0, wide / 2)
        shade = np.where(finger > 127, np.float32(0.65) + np.float32(0.4) * np.minimum(depth, 1), shade)
        mask = np.maximum(mask, finger)
    return mask, cv2.multiply(paint, cv2.merge([shade] * 3), dtype=cv2.CV_8U)


def _heap(sides, box, rng, reach: float) -> np.ndarray:
    """Lumps over the box, some of them around it: what sticks to a plate."""
    top, left, bottom, right = box
    high, wide = bottom - top, right - left
    mask = np.zeros(sides, "uint8")
    middle = (int((left + right) / 2), int((top + bottom) / 2))
    cv2.ellipse(mask, middle, (int(0.6 * wide) + 1, int(0.65 * high) + 1), 0, 0, 360, 255, -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(6, 14))):
        spot = (int(rng.uniform(left, right)), int(rng.uniform(top - 0.1 * high, bottom + reach * high)))
        cv2.circle(mask, spot, max(2, int(high * rng.uniform(0.08, 0.22))), 255, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.02 * high))


def _snow(sides, box, rng) -> Cover:
    return _heap(sides, box, rng, 0.5), _painted(sides, rng.uniform(195, 250) * np.array([0.97, 0.99, 1.0]), rng, 6)


def _mud(sides, box, rng) -> Cover:
    colour = rng.uniform(45, 150) * np.array([1.0, rng.uniform(0.75, 0.92), rng.uniform(0.5, 0.8)])
    return _heap(sides, box, rng, 0.3), _painted(sides, colour, rng, 10)


def _sticker(sides, box, rng) -> Cover:
    """A sticker, a tape or a piece of paper, a little crooked; some with a pattern."""
    top, left, bottom, right = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    wide, high = (right - left) * rng.uniform(1.08, 1.3), (bottom - top) * rng.uniform(1.0, 1.3)
    angle = float(rng.normal(0, 5))
    corners = cv2.boxPoints((middle, (float(wide), float(high)), angle))
    mask = np.zeros(sides, "uint8")
    cv2.fillConvexPoly(mask, np.round(corners * 8).astype("int32"), 255, cv2.LINE_AA, shift=3)
    colour = rng.uniform(20, 240, 3) if rng.random() < 0.6 else _grey(rng, 15, 245)
    paint = _painted(sides, colour, rng)
    if rng.random() < 0.5:
        inner, other = rng.uniform(0.3, 0.7), np.clip(255 - colour + rng.normal(0, 30, 3), 0, 255).tolist()
        axes = (max(1, int(inner * wide / 2)), max(1, int(inner * high / 2)))
        cv2.ellipse(paint, tuple(int(one) for one in middle), axes, angle, 0, 360, other, -1, cv2.LINE_AA)
    return mask, paint


def _glare(sides, box, rng) -> Cover:
    """A lamp or the sun mirrored in the plate: all white in its middle, fading around it."""
    height, width = sides
    top, left, bottom, right = box
    rows = (np.arange(height) - (top + bottom) / 2) / max(1.0, (bottom - top) / 2 * rng.uniform(1.1, 1.6))
    columns = (np.arange(width) - (left + right) / 2) / max(1.0, (right - left) / 2 * rng.uniform(1.1, 1.4))
    far = np.sqrt(np.add.outer(rows**2, columns**2))
    mask = np.clip(1 - (far - 1) / rng.uniform(0.3, 0.8), 0, 1)
    tint = np.array([255, rng.uniform(240, 255), rng.uniform(215, 255)])
    return (255 * mask).astype("uint8"), np.full((*sides, 3), tint.astype("uint8"), "uint8")


_KINDS: tuple[Callable[..., Cover], ...] = (_bar, _bar, _hand, _snow, _mud, _sticker, _sticker, _glare)
