"""Photographs as a page shows them: upright, scaled down, and plates cut out of them at their own size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common.images import read_picture

# Decoded photographs that are kept, in bytes: six of 12 megapixels. One that is larger alone is decoded each time.
MOST_BYTES = 256_000_000
# Longer side of a photograph on the page, pixels; looked at from near; and of a plate that is cut out of it.
SIDE, NEAR_SIDE, CUT_SIDE = 1600, 4096, 640
# What is shown around a plate, as a share of its height.
AROUND = 0.35
JPEG_QUALITY = 88


class Pictures:
    """Decoded photographs, the ones used last within `MOST_BYTES`; may be used by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, np.ndarray] = OrderedDict()
        self._mutex = threading.Lock()

    def photograph(self, path: Path) -> np.ndarray:
        """A photograph, see `read_picture`; not to be changed.

        Raises:
            PictureError: it cannot be read.
        """
        with self._mutex:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
            photograph = read_picture(path)
            self._kept[path] = photograph
            while sum(one.nbytes for one in self._kept.values()) > MOST_BYTES:
                self._kept.popitem(last=False)
            return photograph

    def whole(self, path: Path, side: int = SIDE) -> bytes:
        """A JPEG of a photograph whose longer side has at most `side` pixels.

        Raises:
            PictureError: it cannot be read.
        """
        return _jpeg(self.photograph(path), side)

    def cut(self, path: Path, box_px: Sequence[float]) -> bytes:
        """A JPEG of the part of a photograph around a box, yxyx in its pixels, as far as that lies within it.

        Raises:
            PictureError: it cannot be read.
        """
        photograph = self.photograph(path)
        height, width = photograph.shape[:2]
        around = AROUND * (box_px[2] - box_px[0])
        top, left = (int(np.clip(box_px[side] - around, 0, most - 1)) for side, most in ((0, height), (1, width)))
        bottom, right = (
            int(np.clip(np.ceil(box_px[side] + around), least + 1, most))
            for side, least, most in ((2, top, height), (3, left, width))
        )
        return _jpeg(photograph[top:bottom, left:right], CUT_SIDE)


def _jpeg(picture: np.ndarray, side: int) -> bytes:
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
