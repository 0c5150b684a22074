"""What a plate looks like on its photograph, by which figures are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Appearance:
    """What a plate looks like on its photograph.

    Attributes:
        width: longer side of its box, photograph pixels.
        aspect: longer by shorter side of its box; a tilted plate's box is nearly square, and so is a two-line plate's.
        brightness: mean grey of the box, 0..255; None if the photograph is not at hand.
    """

    width: float
    aspect: float
    brightness: float | None = None


def appearance_of(box_px: Sequence[float], photograph: np.ndarray | None = None) -> Appearance:
    """The appearance of the plate in a box.

    Args:
        box_px: `(4,)` yxyx, pixels of the photograph.
        photograph: uint8 RGB `(h, w, 3)`, if it is at hand; what of the box lies outside it does not count.
    """
    height, width = box_px[2] - box_px[0], box_px[3] - box_px[1]
    longer, shorter = float(max(height, width)), float(max(1.0, min(height, width)))
    brightness = None
    if photograph is not None:
        ymin, xmin = (int(max(0, np.floor(value))) for value in box_px[:2])
        part = photograph[ymin : int(np.ceil(box_px[2])), xmin : int(np.ceil(box_px[3]))]
        brightness = float(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY).mean()) if part.size else 0.0
    return Appearance(longer, longer / shorter, brightness)
