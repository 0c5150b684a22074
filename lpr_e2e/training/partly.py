"""Plates of which something cannot be seen: cut off by the photograph's edge, covered, mirrored.

Made from whole plates whose characters' places are known: drawn ones, and real ones that the model can cut between
their characters after stage one. What is hidden in part is shown only where it is clear whether it can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from lpr_e2e.common.places import Places, beyond
from lpr_e2e.data.samples import Plate
from lpr_e2e.training.covers import CLEAR, OPAQUE, cover

# Of the plates of which something cannot be seen, the shares that are cut off and covered; the others are mirrored.
_CUT, _COVERED = 0.42, 0.45
# The share of a plate that is cut off: at its left or right end; above or below, where then nothing is legible; and
# there, where all still is. Of the cuts, the share at the ends; of those above and below, the share of the deep ones.
_AT_ENDS, _DEEP, _SHALLOW = (0.08, 0.6), (0.25, 0.6), (0.03, 0.2)
_SHARE_AT_ENDS, _SHARE_DEEP = 0.7, 0.6
# Share of the covers that lie over two neighbours; of all, the share over an end of the plate, up to so many heights of
# it beyond: nothing tells then whether the text ends before.
_TWO, _OVER_AN_END, _PAST_THE_END = 0.4, 0.3, 0.4
# What is beyond the edge of a photograph: its last pixels again, as where it fills the canvas; the canvas's grey;
# black; or something that stands before the plate. Their odds.
_FILLINGS, _ODDS = ("edge", "grey", "black", "thing"), (0.5, 0.2, 0.1, 0.2)
# What is shown beyond, in heights of the plate; and around a drawn plate, in heights of it.
_BEYOND, _AROUND = 0.6, (0.4, 0.5)
# Higher plates are shrunk to this before they are covered, pixels: a glimpse shows no more.
_HIGHEST = 64
# Of a photograph, plates that are tilted by no more are cut off, radians.
_STRAIGHT = 0.08
# Places tried until one is found where it is clear what can be read.
_TRIALS = 8
# Characters that look in a mirror nearly as they are, or like another one.
_SYMMETRIC = frozenset("018AHIMOTUVWXY-٠٥٧٨١اОНМТАХШП中口日山" + "25SZ")
# So many others say that a plate is mirrored.
_TELLING = 2


class View(NamedTuple):
    """A plate as it is shown.

    Attributes:
        picture: uint8 RGB `(h, w, 3)`.
        box: yxyx of the plate in it, as far as it can be seen.
        text: what can be read of it, see `Places.text_seen`.
        source: what happened to it.
    """

    picture: np.ndarray
    box: np.ndarray
    text: str
    source: str


def partly_seen(picture, box, places: Places, thing: Callable[[], np.ndarray], grey: int, rng) -> View | None:
    """A plate of which something cannot be seen; None if no place was found where that is clear.

    Args:
        picture: uint8 RGB `(h, w, 3)`, the plate upright; it is not changed.
        box: yxyx of the plate in it.
        places: of its characters, in the picture's pixels.
        thing: gives what could stand before the plate, uint8 RGB.
        grey: `Procedure.letterbox_grey`.
        rng: source of randomness.
    """
    box = np.asarray(box, "float64")
    kind = rng.random()
    if kind < _CUT:
        return _cut_off(picture, box, places, thing, grey, rng)
    if kind < _CUT + _COVERED:
        return covered(picture, box, places, rng)
    if sum(character not in _SYMMETRIC for character in places.text) < _TELLING:
        return None
    width = picture.shape[1]
    mirrored = np.array([box[0], width - box[3], box[2], width - box[1]])
    return View(np.ascontiguousarray(picture[:, ::-1]), mirrored, "", "mirrored")


def cut_line(box: np.ndarray, places: Places, side: int, share: float) -> tuple[int, str] | None:
    """Where a picture ends that shows a plate without a share of it, and what can be read of it then.

    Args:
        box, places: of the plate.
        side: that is cut off, as `beyond` numbers them.
        share: of the box, 0..1.

    Returns:
        a row or a column of the picture, and the text; None if it is not clear what can be read, or if there is nothing
        left to see.
    """
    extent = box[side % 2 + 2] - box[side % 2]
    line = round(box[side] + share * extent * (1 if side < 2 else -1))
    hidden = beyond(places.boxes, side, line)
    text = places.text_seen(hidden, hidden, counted=False)
    return None if text is None or abs(line - box[(side + 2) % 4]) < 2 else (line, text)


def covered_drawn(plate, outline, places: Places, rng) -> tuple[np.ndarray, np.ndarray, str] | None:
    """As `covered`, of a drawn plate without anything around it: the plate, its outline and its text."""
    view = covered(plate, np.array([0.0, 0.0, *plate.shape[:2]]), places, rng)
    if view is None:
        return None
    return view.picture, cv2.resize(outline, view.picture.shape[1::-1], interpolation=cv2.INTER_AREA), view.text


def cut_photograph(
    photograph, plate: Plate, tilt: float | None, places: Places, rng
) -> tuple[np.ndarray, Plate] | None:
    """A photograph that ends within its plate, at the end that is nearer to its edge; None if that cannot be.

    Args:
        photograph: uint8 RGB `(h, w, 3)`.
        plate: on it.
        tilt: by how much the upright plate is turned clockwise, radians, if that is known.
        places: of its characters, in shares of the box.
        rng: source of randomness.

    Returns:
        the photograph, and what of the plate is left on it.
    """
    # Of a plate that does not lie straight, the box of what is left is not known.
    if plate.turns != 0 or abs(tilt or 0.0) > _STRAIGHT:
        return None
    box = np.asarray(plate.box_px, "float64")
    places = in_box(places, box)
    side = 1 if box[1] + box[3] < photograph.shape[1] else 3
    for _ in range(_TRIALS):
        found = cut_line(box, places, side, rng.uniform(*_AT_ENDS))
        if found is not None and found[1]:
            break
    else:
        return None
    line, text = found
    top, left, bottom, right = (float(one) for one in box)
    shown, seen = photograph[:, :line], (top, left, bottom, float(line))
    if side == 1:
        shown, seen = photograph[:, line:], (top, 0.0, bottom, right - line)
    return np.ascontiguousarray(shown), replace(plate, box_px=seen, text=text)


def _cut_off(picture, box, places: Places, thing: Callable[[], np.ndarray], grey: int, rng) -> View | None:
    """A plate at the edge of the photograph, or behind something, that hides one side of it."""
    for _ in range(_TRIALS):
        at_end = not places.rows_known or rng.random() < _SHARE_AT_ENDS
        side = int(rng.choice((1, 3) if at_end else (0, 2)))
        across = _DEEP if rng.random() < _SHARE_DEEP else _SHALLOW
        found = cut_line(box, places, side, rng.uniform(*(_AT_ENDS if at_end else across)))
        if found is not None:
            break
    else:
        return None
    line, text = found
    kept = [slice(None), slice(None)]
    kept[side % 2] = slice(line, None) if side < 2 else slice(None, line)
    shown = np.ascontiguousarray(picture[tuple(kept)])
    room = max(2, round(_BEYOND * (box[2] - box[0])))
    rooms = [room * (side == one) for one in (0, 2, 1, 3)]  # OpenCV's order: top, bottom, left, right.
    filling = _FILLINGS[rng.choice(len(_FILLINGS), p=_ODDS)]
    if filling == "edge":
        shown = cv2.copyMakeBorder(shown, *rooms, cv2.BORDER_REPLICATE)
    else:
        value = (grey if filling == "grey" else 0,) * 3
        shown = cv2.copyMakeBorder(shown, *rooms, cv2.BORDER_CONSTANT, value=value)
    shift = np.zeros(2)
    if side < 2:
        shift[side] = room - line
    seen = box + np.tile(shift, 2)
    seen[side] = room if side < 2 else line
    if filling == "thing":
        _put(shown, thing(), side, room)
    return View(shown, seen, text, "cut off")


def _put(picture: np.ndarray, thing: np.ndarray, side: int, room: int) -> None:
    """Show a thing in the outermost `room` rows or columns of one side, in place."""
    band = [slice(None), slice(None)]
    band[side % 2] = slice(0, room) if side < 2 else slice(picture.shape[side % 2] - room, None)
    part = picture[tuple(band)]
    part[:] = cv2.resize(thing, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def covered(picture, box, places: Places, rng) -> View | None:
    """A plate of which one or two neighbouring characters are covered, now and then with an end of the plate; as
    `partly_seen`."""
    shrink = _HIGHEST / max(1.0, box[2] - box[0])
    if shrink < 1:
        size = np.maximum(1, np.round(np.array(picture.shape[:2]) * shrink)).astype(int)
        factor = size / picture.shape[:2]
        picture = cv2.resize(picture, size[::-1].tolist(), interpolation=cv2.INTER_AREA)
        box, places = box * np.tile(factor, 2), places.moved(factor, (0, 0))
    for _ in range(_TRIALS):
        end = int(rng.choice((1, 3))) if rng.random() < _OVER_AN_END else None
        target = _neighbours(places, rng) if end is None else _outermost(places, end)
        if target is None:
            continue
        hidden_box = np.concatenate([places.boxes[target, :2].min(0), places.boxes[target, 2:].max(0)])
        seen = np.array(box)
        if end is not None:
            # Of a plate whose end is hidden, the box may hold all that it should, or only what is seen.
            seen[end] += rng.random() * (hidden_box[4 - end] - box[end])
            past = rng.uniform(0, _PAST_THE_END) * (box[2] - box[0])
            hidden_box[end] = box[end] + (past if end == 3 else -past)
        done = cover(picture, hidden_box, rng)
        if done is None:
            continue
        shown, mask = done
        least, most = (_shares(mask >= bar, places.boxes) for bar in (OPAQUE, CLEAR))
        text = places.text_seen(least, most, counted=end is None)
        if text and text != places.text:
            return View(shown, seen, text, "covered")
    return None


def _neighbours(places: Places, rng) -> Sequence[int] | None:
    """The numbers of one or two characters side by side, whose own places are known."""
    own = np.flatnonzero(places.apart)
    if not len(own):
        return None
    first = int(rng.choice(own))
    if rng.random() >= _TWO:
        return [first]
    top, left, bottom, _ = places.boxes[first]
    right_of = [
        number
        for number in own
        if places.boxes[number, 1] > left and top < (places.boxes[number, ::2].sum() / 2) < bottom
    ]
    return [first, min(right_of, key=lambda number: places.boxes[number, 1])] if right_of else [first]


def _outermost(places: Places, side: int) -> Sequence[int] | None:
    """The number of the character that stands next to a side of the plate, 1 left or 3 right, if its own place is
    known."""
    edges = places.boxes[:, side]
    number = int(edges.argmin() if side == 1 else edges.argmax())
    return [number] if places.apart[number] else None


def _shares(mask: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The share of each box `(n, 4)` yxyx that is in a mask `(h, w)`."""
    corners = np.round(boxes).astype(int).clip(0)
    return np.array(
        [mask[top : max(bottom, top + 1), left : max(right, left + 1)].mean() for top, left, bottom, right in corners]
    )


def on_background(plate: np.ndarray, places: Places, background: np.ndarray) -> tuple[np.ndarray, np.ndarray, Places]:
    """A drawn plate with something around it.

    Args:
        plate: uint8 `(h, w, 4)`, see `lpr_e2e.training.augmentation.cut_out`.
        places: of its characters.
        background: uint8 RGB.

    Returns:
        uint8 RGB picture, the plate's box in it, yxyx, and its places there.
    """
    height, width = plate.shape[:2]
    above, beside = (round(share * height) for share in _AROUND)
    picture = cv2.resize(background, (width + 2 * beside, height + 2 * above), interpolation=cv2.INTER_LINEAR)
    part = picture[above : above + height, beside : beside + width]
    free = cv2.merge([255 - plate[..., 3]] * 3)
    part[:] = cv2.add(cv2.multiply(part, free, scale=1 / 255), cv2.cvtColor(plate, cv2.COLOR_RGBA2RGB))
    box = np.array([above, beside, above + height, beside + width], "float64")
    return picture, box, places.moved((1, 1), (above, beside))


def in_box(places: Places, box) -> Places:
    """Places in shares of a plate's box, in the pixels of the picture with this box, yxyx."""
    top, left, bottom, right = (float(side) for side in box)
    return places.moved((bottom - top, right - left), (top, left))


def of_box(places: Places, sides: tuple[int, ...]) -> Places:
    """Places on a picture that is all plate, of these `(height, width)`, in shares of them."""
    return replace(places, boxes=places.boxes / np.tile(np.array(sides[:2], "float64"), 2))
