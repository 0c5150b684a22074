"""Plates as a camera above a street shows them: few pixels wide, on a picture of eight megapixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from lpr_e2e.common.images import read_picture
from lpr_e2e.data.samples import Photograph
from lpr_e2e.drawing.backdrop import draw_backdrop
from lpr_e2e.evaluation.truth import TruePlate, Truth

# Height and width of a scene, pixels, and how many photographs stand on it, below and beside each other.
SCENE_SIZE, _ROWS, _COLUMNS = (2160, 3840), 2, 2
# How wide the plates are on it.
PLATE_WIDTHS_PX = (60, 90, 130)


def wide_scenes(
    photographs: Sequence[Photograph], plate_width_px: int, seed: int = 0
) -> Iterator[tuple[Truth, np.ndarray]]:
    """Photographs made so small that their plate has a given width, four of them on each drawn street.

    Only photographs count that show one plate, with a text, the right way up and at least as wide: none is enlarged.
    Of one that is still too large for its quarter of the scene, the part around the plate is shown.

    Args:
        photographs: those to show, each once.
        plate_width_px: width of their plates on the scenes, pixels.
        seed: of the streets, and of where on its quarter each photograph stands.

    Yields:
        what a scene shows, and the scene: uint8 RGB `(*SCENE_SIZE, 3)`.
    """
    shown = [one for one in photographs if _can_be_shown(one, plate_width_px)]
    cell, each = np.array(SCENE_SIZE) // (_ROWS, _COLUMNS), _ROWS * _COLUMNS
    for start in range(0, len(shown), each):
        rng = np.random.default_rng([seed, plate_width_px, start])
        scene, plates, together = draw_backdrop(*SCENE_SIZE, rng), [], shown[start : start + each]
        for number, one in enumerate(together):
            picture, box = _shrunken(one, plate_width_px, cell)
            corner = cell * divmod(number, _COLUMNS) + rng.integers(0, cell - picture.shape[:2] + 1)
            top, left = corner.tolist()
            scene[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            plates.append(TruePlate(tuple((box + np.tile(corner, 2)).tolist()), one.plates[0].text))
        complete = all(one.complete for one in together)
        yield Truth(f"scene {start // each + 1}", tuple(plates), complete), scene


def _can_be_shown(photograph: Photograph, plate_width_px: int) -> bool:
    if len(photograph.plates) != 1:
        return False
    (plate,) = photograph.plates
    return bool(plate.text) and plate.turns in (0, None) and plate.box_px[3] - plate.box_px[1] >= plate_width_px


def _shrunken(photograph: Photograph, plate_width_px: int, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photograph, or the part of it around its plate that is at most so large, and its plate's box there."""
    picture, box = read_picture(photograph.path), np.array(photograph.plates[0].box_px, "float64")
    sides = np.maximum(np.round(np.array(picture.shape[:2]) * plate_width_px / (box[3] - box[1])), 1).astype(int)
    box *= np.tile(sides / picture.shape[:2], 2)
    picture = cv2.resize(picture, sides[::-1].tolist(), interpolation=cv2.INTER_AREA)
    kept = np.minimum(sides, most)
    top, left = np.clip(np.round((box[:2] + box[2:] - kept) / 2), 0, sides - kept).astype(int).tolist()
    return picture[top : top + kept[0], left : left + kept[1]], box - np.tile([top, left], 2)
