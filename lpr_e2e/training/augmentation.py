"""Random changes to training pictures: geometry that a camera makes, other characters, another plate.

What light and a camera's sensor do is in `light`.

Everything works on uint8 RGB pictures and takes its randomness from a `numpy.random.Generator`, so that a batch is a
function of its seed alone. Points are `(x, y)` here, as OpenCV wants them; boxes stay yxyx.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from lpr_e2e.common.boxes import intersection_over_union, rectangle_corners, turn_picture
from lpr_e2e.drawing.signs import Writing
from lpr_e2e.training.light import Light, change_sharpness

# Least side of a box that another plate is pasted into, pixels: on less nothing can be read.
SMALLEST_PASTED = 10
# The least height and width of what a glimpse is enlarged from, pixels: of a plate less wide nothing can be read.
_LEAST_SIDES = 9, 27
# How wide writing is shown, in widths of the photograph: captions of cameras, along its edges, and other writing; and
# high at most, in heights of it. Its tilt, a standard deviation in degrees. Its least side, pixels.
_CAPTION_WIDTHS, _WRITING_WIDTHS, _WRITING_HEIGHT, _WRITING_TILT, _LEAST_WRITING = (0.2, 0.8), (0.05, 0.5), 0.3, 4.0, 6
# Windows tried until one misses the plates.
_TRIALS = 20


def glimpse_of_plate(
    picture, corners, size, margin, light: Light, rng, tilt: float, detail: float, behind=None
) -> tuple[np.ndarray, np.ndarray]:
    """A plate as a glimpse would show it: moved, tilted and in perspective, in a slightly wrong box.

    Args:
        picture: uint8 `(h, w, 3)` that holds the plate upright; with `behind`, uint8 `(h, w, 4)`, see `cut_out`.
        corners: `(4, 2)` xy of the plate (or of its box) in the picture, clockwise from the top left.
        size: `(height, width)` of the glimpse, pixels.
        margin: `Procedure.margin` of the model.
        light: what light and the camera do to it.
        rng: source of randomness.
        tilt: standard deviation of the rotation, degrees.
        detail: least share of the glimpse's resolution that is left; 1 keeps all.
        behind: uint8 `(any, any, 3)` to show around a drawn plate; None: what surrounds the corners in `picture`.

    Returns:
        uint8 `(height, width, 3)`, and the homography `(3, 3)` that takes xy of the picture to shares of the glimpse.
    """
    corners = np.asarray(corners, "float32")
    left_top, right_bottom = corners.min(0), corners.max(0)
    plate_height = right_bottom[1] - left_top[1]
    angle = np.deg2rad(rng.normal(0, tilt))
    cosine, sine = np.cos(angle), np.sin(angle)
    # A plate seen from its side rises or falls along its width while its characters stand straight.
    rise = rng.normal(0, 0.2 if rng.random() < 0.2 * light.hardness else 0.03)
    lean, squeeze = rng.normal(0, 0.08), rng.uniform(0.8, 1.1)
    # A rotation of the leaning, rising and squeezed plate.
    change = np.array(
        [
            [(cosine - sine * rise) * squeeze, cosine * lean - sine],
            [(sine + cosine * rise) * squeeze, sine * lean + cosine],
        ]
    )
    moved = (corners - (left_top + right_bottom) / 2) @ change.T
    moved += rng.normal(0, 0.035 * plate_height, (4, 2))

    low, high = moved.min(0), moved.max(0)
    error = (0.04 if rng.random() < 0.8 else 0.09) * (high - low) * (0.6, 1.0)
    low, high = low + rng.normal(0, 1, 2) * error, high + rng.normal(0, 1, 2) * error
    around = (high - low) * margin[::-1]
    low, high = low - around, high + around

    share = 1.0 if rng.random() < 0.4 else rng.uniform(detail, 1.0)
    height, width = (max(least, round(side * share)) for least, side in zip(_LEAST_SIDES, size, strict=True))
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
    to_shares = np.diag([1 / width, 1 / height, 1]) @ warp @ np.diag([1 / times, 1 / times, 1])
    return light.on_glimpse(glimpse, rng, width / (1 + 2 * margin[1]), size), to_shares


def boxes_around(boxes: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """The upright boxes, float `(n, 4)` yxyx, around boxes `(n, 4)` yxyx that a homography `(3, 3)` of xy moves."""
    corners = boxes[:, (1, 0, 3, 0, 3, 2, 1, 2)].reshape(1, -1, 2)
    moved = cv2.perspectiveTransform(corners.astype("float64"), homography).reshape(-1, 4, 2)[..., ::-1]
    return np.concatenate([moved.min(1), moved.max(1)], axis=1)


def cut_out(plate: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """A drawn plate with its outline as the fourth channel, uint8 `(h, w, 4)`.

    It is black outside the outline: what a warp mixes at the edge is then the plate's share of the colour.

    Args:
        plate: uint8 `(h, w, 3)`.
        outline: uint8 `(h, w)`, 255 on the plate.
    """
    cut = cv2.cvtColor(cv2.bitwise_and(plate, plate, mask=outline), cv2.COLOR_RGB2RGBA)
    cut[..., 3] = outline
    return cut


def no_higher(plate: np.ndarray, height: int) -> np.ndarray:
    """A picture of a plate `(h, w, any)`, shrunk to so many pixels in height if it is higher."""
    if plate.shape[0] <= height:
        return plate
    width = max(1, round(plate.shape[1] * height / plate.shape[0]))
    plate = _shrunk(plate, _times_too_large(plate.shape[0] / height))
    return cv2.resize(plate, (width, height), interpolation=cv2.INTER_LINEAR)


def _times_too_large(shrink: float) -> int:
    """By what whole number to shrink a picture before a linear warp shrinks it to `1 / shrink` of its size in all.

    The warp makes up for the rest. Averages over whole pixels take a tenth of the time of others.
    """
    return max(1, int(shrink + 0.3))


def _shrunk(picture: np.ndarray, times: int) -> np.ndarray:
    if times == 1:
        return picture
    return cv2.resize(picture, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)


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
        if np.diff(lines).min() < 2 or (_is_zero(text[start + order[0]]) and not _is_zero(text[start])):
            continue
        strips = [picture[top:bottom, lines[index] : lines[index + 1]] for index in order]
        changed[top:bottom, lines[0] : lines[-1]] = np.concatenate(strips, axis=1)
        characters[start : start + len(order)] = [text[start + index] for index in order]
    return changed, "".join(characters)


def _is_zero(character: str) -> bool:
    """Whether a character is the zero of any digits, such as the Arabic ones."""
    return unicodedata.digit(character, None) == 0


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


def window_of(picture: np.ndarray, rng) -> np.ndarray:
    """A random window of a picture `(h, w, 3)`, such as could be around a plate."""
    height = max(8, int(picture.shape[0] * rng.uniform(0.05, 0.2)))
    width = min(picture.shape[1], 3 * height)
    top = int(rng.integers(max(1, picture.shape[0] - height)))
    left = int(rng.integers(max(1, picture.shape[1] - width)))
    return picture[top : top + height, left : left + width]


def beside_plates(picture: np.ndarray, boxes_px, rng) -> tuple[np.ndarray, np.ndarray]:
    """A window of a photograph, uint8 `(h, w, 3)`, around a box as large as a plate could be that misses its plates.

    Args:
        picture: the photograph.
        boxes_px: `(n, 4)` yxyx of its plates.
        rng: source of randomness.

    Returns:
        the window, and the box in it, yxyx.
    """
    sides = np.array(picture.shape[:2])
    box_sides = np.minimum(sides.max() * rng.uniform(0.02, 0.1) * np.array([1.0, rng.uniform(2.5, 5.0)]), sides)
    for _ in range(_TRIALS):
        corner = rng.uniform(0, sides - box_sides)
        box = np.concatenate([corner, corner + box_sides])
        if not any(intersection_over_union(box, plate_box) for plate_box in boxes_px):
            break
    else:  # Where the plate fills its photograph, the sky is as good: no characters.
        box, picture = np.array([0.0, 0.0, *box_sides]), np.full_like(picture, picture.mean((0, 1)))
    low = np.maximum(box[:2] - 0.5 * box_sides, 0).astype(int)
    high = np.ceil(box[2:] + 0.5 * box_sides).astype(int)
    return np.ascontiguousarray(picture[low[0] : high[0], low[1] : high[1]]), box - np.tile(low, 2)


def write_on(picture: np.ndarray, boxes_px, writing: Writing, rng) -> tuple[np.ndarray, np.ndarray | None]:
    """A photograph, uint8 `(h, w, 3)`, with writing on it, beside all of its plates, and the box around that, yxyx.

    Where that has no room, it is the photograph itself, and None.

    Args:
        picture: the photograph; it is not changed.
        boxes_px: `(n, 4)` yxyx of its plates.
        writing: what is written.
        rng: source of randomness.
    """
    sides = np.array(picture.shape[:2])
    caption = writing.kind == "caption"
    scale = sides[1] * np.exp(rng.uniform(*np.log(_CAPTION_WIDTHS if caption else _WRITING_WIDTHS)))
    scale = min(scale, _WRITING_HEIGHT * sides[0] * writing.cover.shape[1] / writing.cover.shape[0])
    own = np.maximum(1, np.round(np.array(writing.cover.shape) * scale / writing.cover.shape[1])).astype(int)
    matrix, size = _turned(own, 0.0 if caption else rng.normal(0, _WRITING_TILT))
    if min(size) < _LEAST_WRITING or (np.array(size) >= sides).any():
        return picture, None
    kept = np.array(boxes_px, "float64").reshape(-1, 4)
    grown = kept + 0.15 * np.tile(kept[:, 2:] - kept[:, :2], 2) * np.array([-1, -1, 1, 1])
    for _ in range(_TRIALS):
        corner = rng.integers(0, sides - size)
        if caption:  # Along the upper or the lower edge.
            corner[0] = rng.choice([0.02, 0.97]) * (sides[0] - size[0])
        box = np.concatenate([corner, corner + size])
        if not (np.minimum(box[2:], grown[:, 2:]) > np.maximum(box[:2], grown[:, :2])).all(1).any():
            break
    else:
        return picture, None
    top, left, bottom, right = box
    place = picture[top:bottom, left:right]
    letters, cover = (cv2.resize(one, tuple(own[::-1]), interpolation=cv2.INTER_AREA) for one in writing[:2])
    letters = cv2.warpAffine(letters, matrix, size[::-1], borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(cover, matrix, size[::-1])
    if not caption:  # It stands in the same light as what is around it.
        letters = cv2.convertScaleAbs(letters, alpha=float(np.clip((place.mean() + 90) / 200, 0.4, 1.15)))
    share = cover.astype("float32") / 255
    picture = picture.copy()
    picture[top:bottom, left:right] = cv2.blendLinear(letters, place, share, 1 - share)
    return picture, box


def _turned(sides: np.ndarray, degrees: float) -> tuple[np.ndarray, tuple[int, int]]:
    """The affine matrix that turns a picture of this `(height, width)`, and the `(height, width)` afterwards."""
    height, width = (float(side) for side in sides)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    high, wide = abs(cosine) * height + abs(sine) * width, abs(cosine) * width + abs(sine) * height
    matrix = np.array([[cosine, -sine, wide / 2], [sine, cosine, high / 2]])
    matrix[:, 2] -= matrix[:, :2] @ np.array([width / 2, height / 2])
    return matrix, (max(1, round(high)), max(1, round(wide)))
