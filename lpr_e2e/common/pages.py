"""Pictures inside a page of HTML."""

from __future__ import annotations

import base64

import cv2
import numpy as np

# Longer side of the small pictures inside a page, pixels, and the quality of all pictures there.
THUMBNAIL_SIDE, PAGE_QUALITY = 224, 65


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """A uint8 RGB picture `(h, w, 3)`, made smaller if its longer side has more than 224 pixels."""
    height, width = picture.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def page_jpeg(picture: np.ndarray) -> str:
    """A uint8 RGB picture as a page holds it: base64 of a JPEG."""
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, PAGE_QUALITY])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")
