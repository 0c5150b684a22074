"""Decoded pictures, kept in memory as long as they fit: decoding takes longer than most changes to a picture."""

from __future__ import annotations

import numpy as np

from lpr_e2e.common.images import PictureError, read_picture

# Room for the decoded pictures of one process that trains, all its workers together, bytes; what does not fit is
# decoded again each time.
CACHE_BYTES = 4 << 30


class PictureCache:
    """Decoded pictures, uint8 RGB.

    Args:
        most_bytes: keeps no more than this.
    """

    def __init__(self, most_bytes: int = CACHE_BYTES):
        self._pictures: dict = {}
        self._room = most_bytes

    def read(self, path) -> np.ndarray:
        """The picture of a file, uint8 `(h, w, 3)`; shared: do not write into it.

        Raises:
            PictureError: see `read_picture`; the message names the file.
        """
        picture = self._pictures.get(path)
        if picture is None:
            try:
                picture = read_picture(path)
            except PictureError as error:
                raise PictureError(f"{path}: {error}") from error
            if picture.nbytes <= self._room:
                self._room -= picture.nbytes
                self._pictures[path] = picture
        return picture
