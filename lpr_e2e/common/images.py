"""Reading a picture file: one function for every photograph and crop, in training and in prediction."""

from __future__ import annotations

import io
import os
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lpr_e2e.common.errors import UserError

# A file that unpacks to more pixels than any camera makes is refused before it fills the memory.
MAX_PIXELS = 100_000_000


class PictureError(UserError):
    """A file that is not a usable picture; the message is the reason, without the file's name."""


def read_picture(source: str | PathLike | bytes) -> np.ndarray:
    """The picture as it is meant to be seen: uint8 RGB `(height, width, 3)`, EXIF orientation applied.

    Grey, palette, 16-bit, CMYK and transparent pictures are converted; transparent parts become white.
    Decoded with Pillow, which is as fast as OpenCV but reports a truncated file instead of filling it up with grey.

    Args:
        source: path of the file, or what it holds.

    Raises:
        PictureError: the file is missing, unreadable, empty, not a picture, damaged or truncated, or holds more
            than 100 megapixels.
    """
    try:
        if not isinstance(source, bytes) and os.path.exists(source) and not os.path.isfile(source):
            # Opening a pipe would wait for ever.
            raise PictureError("no regular file, or a folder that cannot be listed")
        if (len(source) if isinstance(source, bytes) else Path(source).stat().st_size) == 0:
            raise PictureError("empty file (0 bytes)")
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(_too_large(f"{image.width} x {image.height} pixels"))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # Not in place, it copies every picture that lies right.
            return _to_rgb(image)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("missing file") from None
    except UnidentifiedImageError:
        raise PictureError("not a picture") from None
    except Image.DecompressionBombError:
        raise PictureError(_too_large("far more")) from None
    except Exception as error:  # Damaged files make the decoders raise nearly anything.
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable or damaged"
        raise PictureError(f"{reason} ({type(error).__name__}: {error})") from error


def _too_large(found: str) -> str:
    return f"too large: expected at most {MAX_PIXELS // 1_000_000} megapixels, found {found}"


def _to_rgb(image: Image.Image) -> np.ndarray:
    """uint8 RGB `(height, width, 3)` of an image of any mode."""
    if image.mode.startswith("I"):  # 16 bits in 16 or 32: Pillow would clip at 255 instead of scaling.
        values = np.asarray(image).astype("int64")
        grey = np.clip(values // 256 if values.max() > 255 else values, 0, 255).astype("uint8")
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # np.array copies: the result must be writable, and must not keep the file's buffer alive.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
