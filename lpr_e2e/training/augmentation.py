"""Random changes to training pictures: geometry that a camera makes, light, colour, blur, noise, compression.

Everything works on uint8 RGB pictures and takes its randomness from a `numpy.random.Generator`, so that a batch is a
function of its seed alone. Points are `(x, y)` here, as OpenCV wants them; boxes stay yxyx.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from lpr_e2e.common.boxes import rectangle_corners, turn_picture

# Least side of a box that another plate is pasted into, pixels: on less nothing can be read.
SMALLEST_PASTED = 10
# Of the stored sensor noise, grey levels.
_NOISE_MEAN, _NOISE_DEVIATION = 128, 32
# Rows and columns of the grid on which uneven light is computed.
_LIGHT_GRID = (48, 96)
_LEVELS = np.linspace(0, 1, 256)[:, None]


def glimpse_of_plate(picture, corners, size, margin, rng, tilt: float, detail: float, hardness: float, behind=None):
    """A plate as a glimpse would show it: moved, tilted and in perspective, in a slightly wrong box.

    Args:
        picture: uint8 `(h, w, 3)` that holds the plate upright; with `behind`, uint8 `(h, w, 4)`, see `cut_out`.
        corners: `(4, 2)` xy of the plate (or of its box) in the picture, clockwise from the top left.
        size: `(height, width)` of the glimpse, pixels.
        margin: `Procedure.margin` of the model.
        rng: source of randomness.
        tilt: standard deviation of the rotation, degrees.
        detail: least share of the glimpse's resolution that is left; 1 keeps all.
        hardness: strength of the changes of light and sharpness.
        behind: uint8 `(any, any, 3)` to show around a drawn plate; None: what surrounds the corners in `picture`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    corners = np.asarray(corners, "float32")
    left_top, right_bottom = corners.min(0), corners.max(0)
    plate_height = right_bottom[1] - left_top[1]
    angle = np.deg2rad(rng.normal(0, tilt))
    cosine, sine = np.cos(angle), np.sin(angle)
    # A plate seen from its side rises or falls along its width while its characters stand straight.
    rise = rng.normal(0, 0.2 if rng.random() < 0.2 * hardness else 0.03)
    shear = np.array([[1.0, rng.normal(0, 0.08)], [rise, 1.0]])
    squeeze = np.array([rng.uniform(0.8, 1.1), 1.0])
    change = np.array([[cosine, -sine], [sine, cosine]]) @ shear * squeeze
    moved = (corners - (left_top + right_bottom) / 2) @ change.T
    moved += rng.normal(0, 0.035 * plate_height, (4, 2))

    low, high = moved.min(0), moved.max(0)
    error = (0.04 if rng.random() < 0.8 else 0.09) * (high - low) * (0.6, 1.0)
    low, high = low + rng.normal(0, 1, 2) * error, high + rng.normal(0, 1, 2) * error
    around = (high - low) * margin[::-1]
    low, high = low - around, high + around

    share = 1.0 if rng.random() < 0.4 else rng.uniform(detail, 1.0)
    height, width = max(14, round(size[0] * share)), max(42, round(size[1] * share))
    target = (moved - low) / (high - low) * (width, height)
    # A linear warp skips pixels when it shrinks: average them first.
    times = _times_too_large(plate_height / max(1.0, np.hypot(*(target[3] - target[0]))))
    warp = cv2.getPerspectiveTransform(corners / np.float32(times), target.astype("float32"))
    picture = _shrunk(picture, times)
    if behind is None:
        glimpse = cv2.warpPerspective(picture, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
    else:
        plate = cv2.warpPerspective(picture, warp, (width, height))
        free = cv2.merge([255 - plate[..., 3]] * 3)
        glimpse = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
        glimpse = cv2.add(cv2.multiply(glimpse, free, scale=1 / 255), cv2.cvtColor(plate, cv2.COLOR_RGBA2RGB))
    if rng.random() < 0.15 * hardness:
        glimpse = smear(glimpse, rng)
    glimpse = change_light(glimpse, rng, hardness)
    glimpse = change_sharpness(glimpse, rng, hardness)
    return cv2.resize(glimpse, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def cut_out(plate: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """A drawn plate with its outline as the fourth channel, uint8 `(h, w, 4)`.

    It is black outside the outline: what a warp mixes at the edge is then the plate's share of the colour.

    Args:
        plate: uint8 `(h, w, 3)`.
        outline: uint8 `(h, w)`, 255 on the plate.
    """
    return cv2.merge([*cv2.split(cv2.bitwise_and(plate, plate, mask=outline)), outline])


def _times_too_large(shrink: float) -> int:
    """By what whole number to shrink a picture before a linear warp shrinks it to `1 / shrink` of its size in all.

    The warp makes up for the rest. Averages over whole pixels take a tenth of the time of others.
    """
    return max(1, int(shrink + 0.3))


def _shrunk(picture: np.ndarray, times: int) -> np.ndarray:
    if times == 1:
        return picture
    return cv2.resize(picture, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)


def change_light(picture: np.ndarray, rng, strength: float = 1.0) -> np.ndarray:
    """Random exposure, contrast, gamma, colour cast, channel order, polarity and unevenness, uint8 `(h, w, 3)`.

    Channels are permuted because data sets disagree about red and blue; the polarity is turned over because plates do.
    """
    if rng.random() < 0.3 * strength:
        channels = cv2.split(picture)
        picture = cv2.merge([channels[channel] for channel in rng.permutation(3)])
    if rng.random() < 0.08 * strength:
        picture = 255 - picture
    if rng.random() < 0.15 * strength:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = _LEVELS ** np.exp(rng.normal(0, 0.3 * strength))
    gain = np.exp(rng.normal(-0.1, 0.3 * strength)) * np.exp(rng.normal(0, 0.08 * strength, 3))
    levels = (levels - 0.5) * gain + 0.5 + rng.normal(-0.03, 0.08 * strength)
    table = np.clip(levels * 255, 0, 255).T.astype("uint8")
    picture = cv2.merge([cv2.LUT(channel, levels) for channel, levels in zip(cv2.split(picture), table, strict=True)])
    if rng.random() < 0.25 * strength:  # A shadow or a lamp on one side.
        down, across = (np.linspace(-1, 1, side) * rng.normal() for side in _LIGHT_GRID)
        ramp = np.add.outer(down, across)
        sharp = rng.uniform(0.5, 6)
        factor = 1 + rng.uniform(-0.5, 0.5) * np.tanh(sharp * (ramp + rng.uniform(-0.7, 0.7)))
        factor = cv2.resize(factor.astype("float32"), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        picture = cv2.multiply(picture, cv2.merge([factor] * 3), dtype=cv2.CV_8U)
    if rng.random() < 0.05 * strength:  # Night: few grey levels are left.
        picture = cv2.convertScaleAbs(picture, alpha=rng.uniform(0.1, 0.35))
    return picture


def smear(glimpse: np.ndarray, rng) -> np.ndarray:
    """Some soft blobs of mud or glare that cover parts of characters, on a glimpse uint8 `(h, w, 3)`."""
    height, width = glimpse.shape[:2]
    cover = np.zeros((height, width), "uint8")
    for _ in range(rng.integers(1, 4)):
        middle = (int(rng.uniform(0, 1) * width), int(rng.uniform(0.2, 0.8) * height))
        axes = tuple(max(1, int(height * rng.uniform(0.04, 0.2))) for _ in range(2))
        cv2.ellipse(cover, middle, axes, rng.uniform(0, 180), 0, 360, int(rng.uniform(90, 255)), -1)
    cover = cv2.GaussianBlur(cover, (0, 0), height * rng.uniform(0.01, 0.05)) / np.float32(255)
    shades = np.sort(glimpse[::3, ::3].reshape(-1, 3), axis=0)
    shade = shades[int(len(shades) * rng.uniform(0.02, 0.98))]
    return cv2.blendLinear(glimpse, np.full_like(glimpse, shade), 1 - cover, cover)


@functools.cache
def _noise() -> np.ndarray:
    """Sensor noise, uint8 `(2 ** 22,)`, made once: as many normal numbers for each canvas took longer than all else."""
    noise = np.random.default_rng(0).normal(_NOISE_MEAN, _NOISE_DEVIATION, 1 << 22)
    return np.clip(noise, 0, 255).astype("uint8")


def change_sharpness(picture: np.ndarray, rng, strength: float = 1.0) -> np.ndarray:
    """Random blur (lens or motion), sensor noise and JPEG compression, uint8 `(h, w, 3)`."""
    kind = rng.random()
    if kind < 0.25 * strength:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    elif kind < 0.4 * strength:
        length = int(rng.integers(3, 7))
        kernel = np.zeros((length, length), "float32")
        angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
        reach = middle * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(int(round(value)) for value in middle + sign * reach) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    if rng.random() < 0.5 * strength:
        # In the dark the noise is less too; more of it would leave nothing to read.
        level = rng.uniform(2, 14) * min(1.0, 0.1 + np.mean(cv2.mean(picture)[:3]) / 80)
        stored, share = _noise(), level / _NOISE_DEVIATION
        start = int(rng.integers(max(1, stored.size - picture.size)))
        noise = np.resize(stored[start : start + picture.size], picture.shape)
        picture = cv2.addWeighted(picture, 1, noise, share, -_NOISE_MEAN * share)
    if rng.random() < 0.3 * strength:
        quality = int(rng.integers(25, 85))
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return picture


def rearranged(
    picture: np.ndarray, box, groups: Sequence[tuple[int, np.ndarray]], text: str, rng
) -> tuple[np.ndarray, str]:
    """The same plate with the digits of each number, or the letters of each word, in another order.

    Args:
        picture: uint8 `(h, w, 3)`, the plate upright; it is not changed.
        box: yxyx of the plate in it.
        groups: see `lpr_e2e.training.pseudo_labels.PseudoLabels.cuts`.
        text: what the plate says.
        rng: source of randomness.

    Returns:
        the picture and its text; a number that does not start with a zero still does not.
    """
    ymin, xmin, ymax, xmax = box
    top, bottom = max(0, round(ymin)), min(picture.shape[0], round(ymax))
    changed, characters = picture.copy(), list(text)
    for start, cuts in groups:
        order = rng.permutation(len(cuts) - 1)
        lines = np.clip(np.round(xmin + cuts * (xmax - xmin)), 0, picture.shape[1]).astype(int)
        if np.diff(lines).min() < 2 or (text[start + order[0]] == "0" and text[start] != "0"):
            continue
        strips = [picture[top:bottom, lines[index] : lines[index + 1]] for index in order]
        changed[top:bottom, lines[0] : lines[-1]] = np.concatenate(strips, axis=1)
        characters[start : start + len(order)] = [text[start + index] for index in order]
    return changed, "".join(characters)


def paste_plate(
    photograph, box_px, turns: int, plate: np.ndarray, outline: np.ndarray, rng
) -> tuple[np.ndarray, float]:
    """The photograph with another plate over its own, spanning exactly the same box, in its light.

    Args:
        photograph: uint8 `(h, w, 3)`; it is not changed.
        box_px: `(4,)` yxyx of the plate that is covered, at least `SMALLEST_PASTED` pixels high and wide.
        turns: `numpy.rot90(photograph, turns)` puts that plate upright.
        plate: uint8 `(h, w, 3)`, the new plate, upright and frontal.
        outline: uint8 `(h, w)`, 255 on the new plate.
        rng: source of randomness.

    Returns:
        uint8 `(h, w, 3)`, a copy; by how much the upright plate is turned clockwise, radians.
    """
    ymin, xmin, ymax, xmax = (int(round(float(value))) for value in box_px)
    ymin, xmin = max(ymin, 0), max(xmin, 0)
    region = photograph[ymin:ymax, xmin:xmax]
    upright = turn_picture(region, turns)
    height, width = upright.shape[:2]
    # A tilted plate's box is higher than the plate: tilt the new one by as much as its box leaves room for.
    plate_height = min(height, width * plate.shape[0] / plate.shape[1] * rng.uniform(0.95, 1.15))
    rise = height - plate_height
    if rise > 0.5 * width:
        plate_height, rise = height, 0.0
    left, right = (rise, 0.0) if rng.random() < 0.5 else (0.0, rise)
    target = np.array([[0, left], [width, right], [width, right + plate_height], [0, left + plate_height]], "float32")

    times = _times_too_large(plate.shape[0] / plate_height)
    plate, outline = _shrunk(plate, times), _shrunk(outline, times)
    warp = cv2.getPerspectiveTransform(rectangle_corners((0, 0, *plate.shape[:2])), target)
    drawn = cv2.warpPerspective(plate, warp, (width, height), borderMode=cv2.BORDER_REPLICATE).astype("float32")
    mask = cv2.warpPerspective(outline, warp, (width, height))
    mask = (cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 1.0)) / 255.0)[..., None].astype("float32")
    # Take over the old plate's darkest and brightest levels.
    old_dark, old_bright = np.percentile(upright, (8, 92), axis=(0, 1))
    new_dark, new_bright = np.percentile(drawn, (8, 92))
    contrast = np.maximum(old_bright - old_dark, 35) / max(new_bright - new_dark, 20) * rng.uniform(0.8, 1.2)
    drawn = np.clip((drawn - new_dark) * contrast + old_dark + rng.normal(0, 6), 0, 255)
    mixed = (drawn * mask + upright * (1 - mask)).astype("uint8")
    mixed = change_sharpness(mixed, rng, strength=0.6)
    changed = photograph.copy()
    changed[ymin:ymax, xmin:xmax] = np.rot90(mixed, -turns)
    return changed, float(np.arctan2(right - left, width))
