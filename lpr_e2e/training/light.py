"""What light and a camera's sensor do to training pictures: exposure, colour, glare, blur, noise, compression.

Everything works on uint8 RGB pictures and takes its randomness from a `numpy.random.Generator`, so that a batch is a
function of its seed alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from lpr_e2e.common import contrast
from lpr_e2e.common.motion import undoing, undone

# Of the stored sensor noise, grey levels.
_NOISE_MEAN, _NOISE_DEVIATION = 128, 32
# Rows and columns of the grid on which uneven light is computed.
_LIGHT_GRID = (48, 96)
_ACROSS_GRID = [np.linspace(-1, 1, side) for side in _LIGHT_GRID]
_LEVELS = np.linspace(0, 1, 256, dtype="float32")[:, None]
# By how much a plate moves while the shutter is open, in widths of it: from what is seen to what can just be read.
_MOVED = (0.02, 0.13)
# Up to this angle, radians, a glimpse is blurred along its rows. How far off the length is taken by which its motion is
# undone, in shares of it.
_ALONG, _LENGTH_ERROR = 0.2, 0.12
# Share of the glimpses with mud or glare on some characters.
_SMEARED = 0.15
# Strength of light, of harsh light, of motion, and of blur, noise and compression, on a canvas.
_LIGHT_ON_CANVAS, _HARSH_ON_CANVAS, _MOVED_ON_CANVAS, _SHARPNESS_ON_CANVAS = 0.6, 0.5, 0.5, 0.25
# How far around a plate that light goes, in shares of its height and width, and how softly it ends; and the shortest
# side of a plate that is worth it, pixels.
_LIT_AROUND, _LIT_EDGE, _LEAST_LIT = (0.12, 0.04), 0.08, 6


@dataclass(frozen=True)
class Light:
    """How much light and the camera do to training pictures.

    Attributes:
        hardness: strength of all changes; 1 is what real photographs need.
        harsh: share of the glimpses in light that leaves little to read.
        moved: share of the glimpses that are blurred because the plate, or the camera, moved.
        undone: of those that are blurred along their rows, the share whose motion is undone again.
        moved_noise: that of the procedure, by which it is.
        equalised: share of the glimpses whose contrast is evened out, with `limit`, that of the procedure.
    """

    hardness: float
    harsh: float
    moved: float
    undone: float
    moved_noise: float
    equalised: float
    limit: float

    def on_glimpse(self, glimpse: np.ndarray, rng, plate_width: float, size: tuple[int, int]) -> np.ndarray:
        """A glimpse, uint8 `(h, w, 3)`, whose plate is so many pixels wide, in some light, as it is read: of `size`."""
        if rng.random() < _SMEARED * self.hardness:
            glimpse = smear(glimpse, rng)
        glimpse = change_light(glimpse, rng, self.hardness)
        if rng.random() < self.harsh * self.hardness:
            glimpse = harsh_light(glimpse, rng)
        motion = _motion(rng, plate_width) if rng.random() < self.moved * self.hardness else None
        if motion:
            glimpse = motion_blur(glimpse, *motion)
        glimpse = change_sharpness(glimpse, rng, self.hardness)
        share = motion[0] / glimpse.shape[1] if motion else 0.0
        if glimpse.shape[:2] != tuple(size):
            glimpse = cv2.resize(glimpse, size[::-1], interpolation=cv2.INTER_LINEAR)
        if motion and abs(motion[1]) < _ALONG and rng.random() < self.undone:
            return _as_if_still(glimpse, share * rng.uniform(1 - _LENGTH_ERROR, 1 + _LENGTH_ERROR), self.moved_noise)
        if self.limit and rng.random() < self.equalised:
            glimpse = contrast.equalised(glimpse[None], self.limit, np)[0].astype("uint8")
        return glimpse

    def on_canvas(self, canvas: np.ndarray, rng, plate_width: float, boxes_px=()) -> np.ndarray:
        """A canvas, uint8 `(h, w, 3)`, whose plate is so many pixels wide (0: there is none), in some light.

        A photograph has its own light and blur already: less is done. The plates, boxes `(n, 4)` yxyx, are now and then
        in harsh light, which spoils a plate and hardly the car.
        """
        canvas = change_light(canvas, rng, _LIGHT_ON_CANVAS * self.hardness)
        if len(boxes_px) and rng.random() < _HARSH_ON_CANVAS * self.harsh * self.hardness:
            for box in boxes_px:
                canvas = _harshly_lit(canvas, box, rng)
        if plate_width and rng.random() < _MOVED_ON_CANVAS * self.moved * self.hardness:
            canvas = moved(canvas, rng, plate_width)
        return change_sharpness(canvas, rng, _SHARPNESS_ON_CANVAS * self.hardness)


def change_light(picture: np.ndarray, rng, strength: float = 1.0) -> np.ndarray:
    """Random exposure, contrast, gamma, colour cast, channel order, polarity and unevenness, uint8 `(h, w, 3)`.

    Channels are permuted because data sets disagree about red and blue; the polarity is turned over because plates do.
    """
    if rng.random() < 0.3 * strength:
        pairs = [number for pair in enumerate(rng.permutation(3).tolist()) for number in reversed(pair)]
        picture = cv2.mixChannels([picture], [np.empty_like(picture)], pairs)[0]
    if rng.random() < 0.08 * strength:
        picture = 255 - picture
    if rng.random() < 0.15 * strength:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = _LEVELS ** np.exp(rng.normal(0, 0.3 * strength))
    gain = np.exp(rng.normal(-0.1, 0.3 * strength)) * np.exp(rng.normal(0, 0.08 * strength, 3))
    levels = (levels - 0.5) * (255 * gain) + 255 * (0.5 + rng.normal(-0.03, 0.08 * strength))
    picture = cv2.LUT(picture, levels.clip(0, 255).astype("uint8")[None])
    if rng.random() < 0.25 * strength:  # A shadow or a lamp on one side.
        down, across = (grid * rng.normal() for grid in _ACROSS_GRID)
        ramp = np.add.outer(down, across)
        sharp = rng.uniform(0.5, 6)
        factor = 1 + rng.uniform(-0.5, 0.5) * np.tanh(sharp * (ramp + rng.uniform(-0.7, 0.7)))
        factor = cv2.resize(factor.astype("float32"), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        picture = cv2.multiply(picture, cv2.merge([factor] * 3), dtype=cv2.CV_8U)
    if rng.random() < 0.05 * strength:  # Night: few grey levels are left.
        picture = cv2.convertScaleAbs(picture, alpha=rng.uniform(0.1, 0.35))
    return picture


def harsh_light(picture: np.ndarray, rng) -> np.ndarray:
    """A plate, uint8 `(h, w, 3)`, in light that leaves little to read: one of `_HARSH_LIGHTS`, now and then two."""
    for _ in range(1 if rng.random() < 0.8 else 2):
        picture = _HARSH_LIGHTS[int(rng.integers(len(_HARSH_LIGHTS)))](picture, rng)
    return picture


def _harshly_lit(canvas: np.ndarray, box_px, rng) -> np.ndarray:
    """A canvas, uint8 `(h, w, 3)`, with harsh light on one plate, box yxyx, that ends softly around it."""
    sides = np.array(canvas.shape[:2])
    low, high = np.asarray(box_px[:2], "float32"), np.asarray(box_px[2:], "float32")
    around = np.array(_LIT_AROUND) * (high - low)
    (top, left), (bottom, right) = (np.clip(end, 0, sides).astype(int) for end in (low - around, high + around))
    window = canvas[top:bottom, left:right]
    height, width = window.shape[:2]
    if min(height, width) < _LEAST_LIT:
        return canvas
    far = [np.minimum(np.arange(side), np.arange(side)[::-1]) / (_LIT_EDGE * side) for side in (height, width)]
    share = np.clip(np.minimum.outer(*far), 0, 1).astype("float32")
    lit = cv2.blendLinear(np.ascontiguousarray(window), harsh_light(window.copy(), rng), 1 - share, share)
    canvas = canvas.copy()
    canvas[top:bottom, left:right] = lit
    return canvas


def _brightness(picture: np.ndarray) -> float:
    """The mean of all channels, grey levels."""
    return sum(cv2.mean(picture)[:3]) / 3


def _softened(picture: np.ndarray, deviation: float) -> np.ndarray:
    """A picture blurred by many pixels: so much that a quarter of its size is enough to compute it on."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), deviation / 4), (width, height), interpolation=cv2.INTER_LINEAR)


def _flat(picture: np.ndarray, rng) -> np.ndarray:
    """Hardly any contrast: bleached by the sun or washed out, or as dark as the car in the shade."""
    share, level = rng.uniform(0.08, 0.4), rng.uniform(140, 245) if rng.random() < 0.6 else rng.uniform(10, 70)
    return cv2.convertScaleAbs(picture, alpha=share, beta=max(0.0, level - share * _brightness(picture)))


def _glare(picture: np.ndarray, rng) -> np.ndarray:
    """The sun, or a lamp, mirrored in a part of the plate: a soft spot or a streak."""
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), "float32")
    middle = (int(rng.uniform(0, 1) * width), int(rng.uniform(0, 1) * height))
    axes = (max(2, int(width * rng.uniform(0.08, 0.5))), max(2, int(height * rng.uniform(0.15, 0.9))))
    cv2.ellipse(cover, middle, axes, float(rng.uniform(-30, 30)), 0, 360, 1.0, -1)
    cover = _softened(cover, height * rng.uniform(0.05, 0.35)) * np.float32(rng.uniform(0.4, 0.92))
    tint = np.array([255, rng.uniform(235, 255), rng.uniform(200, 255)])
    return cv2.blendLinear(picture, np.full_like(picture, tint), 1 - cover, cover)


def _half_in_the_shade(picture: np.ndarray, rng) -> np.ndarray:
    """A hard shadow over a part of the plate, such as a bumper's at noon."""
    height, width = picture.shape[:2]
    angle = rng.normal(0, 0.4) + (np.pi / 2 if rng.random() < 0.5 else 0.0)
    across = np.add.outer(
        (np.arange(height) / height - 0.5) * np.cos(angle), (np.arange(width) / width - 0.5) * np.sin(angle)
    )
    lit = np.tanh((across - rng.uniform(-0.3, 0.3)) * rng.uniform(8, 60)).astype("float32")
    factor = 1 - rng.uniform(0.5, 0.9) * (lit * rng.choice([-1, 1]) + 1) / 2
    # The camera exposes for the shade, or for the sun.
    factor = (factor * rng.uniform(1.0, 2.2)).astype("float32")
    return cv2.multiply(picture, cv2.merge([factor] * 3), dtype=cv2.CV_8U)


def _headlights(picture: np.ndarray, rng) -> np.ndarray:
    """At night in a lamp's light: overexposed, and the bright parts bloom over the dark ones."""
    most = 230 / max(1.0, float(np.percentile(picture[::4, ::4], 10)))  # What is dark is not blown out, too.
    bright = cv2.convertScaleAbs(picture, alpha=min(rng.uniform(1.3, 2.6), max(1.0, most)))
    bloom = _softened(bright, picture.shape[0] * rng.uniform(0.04, 0.15))
    return cv2.addWeighted(bright, 1.0, bloom, rng.uniform(0.15, 0.5), 0)


def _overexposed(picture: np.ndarray, rng) -> np.ndarray:
    """In the glaring sun: a bright plate is blown out, and its light spreads over thin strokes until little is left."""
    height, width = picture.shape[:2]
    seen = cv2.GaussianBlur(picture, (0, 0), height * rng.uniform(0.008, 0.025))
    flare = _softened(picture, height * rng.uniform(0.1, 0.3))
    inner = slice(height // 4, height - height // 4), slice(width // 8, width - width // 8)
    gain, left = rng.uniform(1.0, 2.0), rng.uniform(90, 225)  # The level of the strokes, of 255.
    dark, spread = float(np.percentile(seen[inner][::3, ::3], 8)), _brightness(flare[inner])
    return cv2.addWeighted(seen, gain, flare, float(np.clip((left - gain * dark) / max(spread, 1.0), 0, 4)), 0)


def _rain(picture: np.ndarray, rng) -> np.ndarray:
    """Streaks of rain, and drops on the lens that blur what is behind them."""
    height, width = picture.shape[:2]
    streaks = np.zeros((height, width), "uint8")
    slope = rng.normal(0, 0.3)
    for _ in range(int(rng.integers(4, 25))):
        x, y, length = rng.uniform(0, width), rng.uniform(-0.3, 1) * height, height * rng.uniform(0.1, 0.5)
        ends = [(int(x), int(y)), (int(x + slope * length), int(y + length))]
        cv2.line(streaks, *ends, int(rng.uniform(30, 110)), 1, cv2.LINE_AA)
    wet = cv2.add(picture, cv2.merge([cv2.GaussianBlur(streaks, (3, 3), 0)] * 3))
    drops = np.zeros((height, width), "float32")
    for _ in range(int(rng.integers(0, 4))):
        middle = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(drops, middle, max(2, int(height * rng.uniform(0.08, 0.3))), 1.0, -1, cv2.LINE_AA)
    return cv2.blendLinear(wet, _softened(wet, height * 0.06), 1 - drops, drops)


_HARSH_LIGHTS = (_flat, _glare, _half_in_the_shade, _headlights, _overexposed, _rain)


def motion_blur(picture: np.ndarray, length: int, angle: float) -> np.ndarray:
    """A picture, uint8 `(h, w, 3)`, that moved by `length` pixels in a direction, radians, while it was taken.

    The average over a line of so many pixels, at most 256, from sums over lines of 1, 2, 4, ... pixels: on a canvas a
    filter takes ten times as long.
    """
    down, across = np.sin(angle), np.cos(angle)
    if down < 0:
        down, across = -down, -across
    if across < 0:
        return cv2.flip(motion_blur(cv2.flip(picture, 1), length, np.pi - angle), 1)
    # The lines that make up this one: how long each is, where it begins, and how far its last pixel is from there.
    lines, start, reach, size = [], (0, 0), (0, 0), 1
    while size <= length:
        step = round(down * size), round(across * size)
        if length & size:
            lines.append((size, start, reach))
            start = start[0] + step[0], start[1] + step[1]
        reach, size = (reach[0] + step[0], reach[1] + step[1]), 2 * size
    whole = [max(begin[axis] + last[axis] for _, begin, last in lines) for axis in (0, 1)]
    before = [side // 2 for side in whole]
    borders = before[0], whole[0] - before[0], before[1], whole[1] - before[1]
    sums = cv2.copyMakeBorder(picture, *borders, cv2.BORDER_REPLICATE).astype("uint16")
    (height, width), total, made = picture.shape[:2], None, 1
    for size, (top, left), _ in lines:
        while made < size:
            row, column = round(down * made), round(across * made)
            rows, columns = sums.shape[0] - row, sums.shape[1] - column
            sums, made = cv2.add(sums[:rows, :columns], sums[row:, column:]), 2 * made
        part = sums[top : top + height, left : left + width]
        total = part if total is None else cv2.add(total, part)
    return cv2.convertScaleAbs(total, alpha=1 / length)


def smear(glimpse: np.ndarray, rng) -> np.ndarray:
    """Some soft blobs of mud or glare that cover parts of characters, on a glimpse uint8 `(h, w, 3)`."""
    height, width = glimpse.shape[:2]
    cover = np.zeros((height, width), "uint8")
    for _ in range(rng.integers(1, 4)):
        middle = (int(rng.uniform(0, 1) * width), int(rng.uniform(0.2, 0.8) * height))
        axes = tuple(max(1, int(height * rng.uniform(0.04, 0.2))) for _ in range(2))
        cv2.ellipse(cover, middle, axes, rng.uniform(0, 180), 0, 360, int(rng.uniform(90, 255)), -1)
    cover = cv2.GaussianBlur(cover, (0, 0), height * rng.uniform(0.01, 0.05)) / np.float32(255)
    shades = glimpse[::3, ::3].reshape(-1, 3)
    place = int(len(shades) * rng.uniform(0.02, 0.98))
    shade = np.partition(shades, place, axis=0)[place]
    return cv2.blendLinear(glimpse, np.full_like(glimpse, shade), 1 - cover, cover)


@functools.cache
def _noise() -> np.ndarray:
    """Sensor noise, uint8 `(2 ** 22,)`, made once: as many normal numbers for each canvas took longer than all else."""
    noise = np.random.default_rng(0).normal(_NOISE_MEAN, _NOISE_DEVIATION, 1 << 22)
    return np.clip(noise, 0, 255).astype("uint8")


def _motion(rng, plate_width: float) -> tuple[int, float]:
    """By how many pixels, and in which direction, radians, a plate so many pixels wide moved while it was taken."""
    # Most cars drive past the camera; some come towards it, and the camera shakes.
    angle = rng.normal(0, 0.15) if rng.random() < 0.6 else rng.uniform(0, np.pi)
    return max(3, round(rng.uniform(*_MOVED) * plate_width)), angle


def moved(picture: np.ndarray, rng, plate_width: float) -> np.ndarray:
    """A picture, uint8 `(h, w, 3)`, of a plate so many pixels wide that moved while it was taken."""
    return motion_blur(picture, *_motion(rng, plate_width))


def _as_if_still(glimpse: np.ndarray, moved: float, noise: float) -> np.ndarray:
    """A glimpse, uint8 `(h, w, 3)`, whose motion along its rows, by this share of its width, is undone."""
    matrices = undoing((round(moved, 3),), glimpse.shape[1], noise)
    return undone(glimpse[None], matrices, np)[0, 0].astype("uint8")


def change_sharpness(picture: np.ndarray, rng, strength: float = 1.0) -> np.ndarray:
    """Random blur (lens or a little motion), sensor noise and JPEG compression, uint8 `(h, w, 3)`."""
    kind = rng.random()
    if kind < 0.25 * strength:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    elif kind < 0.4 * strength:
        picture = motion_blur(picture, int(rng.integers(3, 7)), rng.uniform(0, np.pi))
    if rng.random() < 0.5 * strength:
        # In the dark the noise is less too; more of it would leave nothing to read.
        level = rng.uniform(2, 14) * min(1.0, 0.1 + _brightness(picture) / 80)
        stored, share = _noise(), level / _NOISE_DEVIATION
        start = int(rng.integers(max(1, stored.size - picture.size)))
        noise = np.resize(stored[start : start + picture.size], picture.shape)
        picture = cv2.addWeighted(picture, 1, noise, share, -_NOISE_MEAN * share)
    if rng.random() < 0.3 * strength:
        quality = int(rng.integers(25, 85))
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return picture
