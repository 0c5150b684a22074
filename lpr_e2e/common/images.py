"""Pictures: one way to decode a file, for every photograph and crop, in training and in prediction."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from lpr_e2e.common import jpeg2000, tiff
from lpr_e2e.common.errors import UserError

# A file that unpacks to more pixels than any camera makes is refused before it fills the memory.
MAX_PIXELS = 100_000_000
# The formats that are decoded, whatever a file is called, by Pillow's names; MPO is a JPEG. It has forty more: one
# starts a program (EPS), some hold a picture of another format, of which no limit is asked (ICO, ICNS), and none is a
# camera's.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
# A progressive JPEG is decoded once for each of its scans; cameras and programs write about ten. So many are taken,
# times millions of pixels.
_MOST_SCANS = 2_000
# What opening a picture may cost, see `_Metered`; twenty megabytes of notes in three hundred parts cost less.
_MOST_OPENING = 30_000_000_000
# A PPM may have its pixels in digits, which are read at a hundredth of the usual speed: so many numbers at most.
_MOST_DIGITS = 3_000_000
# A BMP may have its pixels in runs, and what a line lacks is put there pixel by pixel: so many pixels in some ten
# seconds, and a file of a hundred bytes may have as many as any picture.
_MOST_IN_RUNS = 25_000_000
# Where Pillow decodes in Python, it reads a few bytes at a time (grey of odd depth in a PPM, runs of a BMP, parts of a
# PNG behind its pixels, strips of a TIFF): so many reads while a picture is decoded take some ten seconds.
_MOST_READS = 10_000_000
# Pillow makes an object of a third of a kilobyte of each strip or tile of a TIFF, before anything is decoded.
_MOST_PARTS = 500_000
# The tags of a TIFF that say how wide and how high a tile is. All tiles together hold so many pixels at most.
_TILE, _MOST_IN_TILES = (322, 323), 2 * MAX_PIXELS
# Pillow makes an object of each value of a note, too, but of bytes and letters; so many take a few seconds. EXIF that
# is no part of a TIFF has at most so many bytes: in a JPEG, cameras have room for 64 thousand.
_MOST_VALUES, _MOST_EXIF = 1_000_000, 2**20
# The beginning of EXIF in a JPEG; and what says in an AVIF which part of it is EXIF.
_EXIF = b"Exif\0\0"
_AVIF_EXIF = re.compile(rb"(infe[\2\3].{7}(?:..)?)Exif", re.DOTALL)
# The decoder of JPEG 2000 makes an object of a third of a kilobyte of each block, before it reads any.
_MOST_BLOCKS = 2_000_000
# A picture of the most pixels, of four numbers of 32 bits each, is smaller than a file of so many bytes; and one of a
# format that is not opened before all of it was read, twice, than one of so many.
MOST_BYTES, _MOST_BYTES_READ = 2 * 2**30, 2**29
# The marker of a scan. Within one, no byte 255 is followed by this one.
_SCAN = b"\xff\xda"
# Levels of white in whole numbers of 8, 10, 12, 14 and 16 bits, as cameras and scanners give them.
_WHITES = tuple((1 << bits) - 1 for bits in (8, 10, 12, 14, 16))
# Read at once where scans are counted, bytes.
_BLOCK = 2**20
# What `to_picture` takes.
ACCEPTED = (
    "a path, the bytes of a picture file, a file opened with 'rb', a Pillow picture, or a uint8 RGB array (h, w, 3)"
)


class PictureError(UserError):
    """A file that is not a usable picture; the message is the reason, without the file's name."""


def read_picture(source: str | PathLike | bytes) -> np.ndarray:
    """The picture as it is meant to be seen: uint8 RGB `(height, width, 3)`, EXIF orientation applied.

    Formats are told by content, see `FORMATS`. Grey, palette, 16-bit, floating-point, CMYK and transparent pictures are
    converted; transparent parts become white.
    Decoded with Pillow, which is as fast as OpenCV but reports a truncated file instead of filling it up with grey.

    Args:
        source: path of the file, or what it holds.

    Raises:
        PictureError: the file is missing, unreadable, empty, not a picture of these formats, damaged or truncated, has
            more than 2 GiB, or holds more than 100 megapixels.
    """
    file: io.BytesIO | str
    with _reasons():
        if isinstance(source, bytes):
            size, file = len(source), io.BytesIO(source)
        else:
            file = os.fsdecode(source)  # A path may hold bytes, such as those of `os.scandir(b".")`.
            if os.path.exists(file) and not os.path.isfile(file):
                # Opening a pipe would wait for ever.
                raise PictureError("no regular file, or a folder that cannot be listed")
            size = os.stat(file).st_size
        if size == 0:
            raise PictureError("empty file (0 bytes)")
        if size > MOST_BYTES:
            raise PictureError(f"too large: expected at most {MOST_BYTES // 2**30} GiB, found {size / 2**30:.1f}")
        with _opened(file) as image:
            if image.format in ("JPEG", "MPO"):
                _refuse_many_scans(image)
            elif image.format == "JPEG2000":
                _refuse_many_blocks(image)
            return _decoded(image)


@dataclass(frozen=True)
class PictureSize:
    """How large a picture is, in pixels.

    Attributes:
        height, width: as it is meant to be seen, and as `read_picture` gives it.
        orientation: of EXIF, 1 to 8: how it is stored; 1 as it is meant to be seen.
    """

    height: int
    width: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """(height, width) of the picture as it is stored."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_size(source: str | PathLike | bytes) -> PictureSize:
    """The size of a picture, from the beginning of its file; most of the file is neither read nor decoded.

    Args:
        source: path of the file, or what it holds.

    Raises:
        PictureError: as `read_picture`, as far as the beginning tells.
    """
    with _reasons():
        if (len(source) if isinstance(source, bytes) else Path(source).stat().st_size) == 0:
            raise PictureError("empty file (0 bytes)")
        with _opened(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PictureError(_too_large(f"{width} x {height} pixels"))
            _refuse_much_exif(image)
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            is_turned = image.format == "TIFF"  # Pillow has exchanged the sides already.
    if orientation not in range(1, 9):
        orientation = 1
    return PictureSize(*((width, height) if orientation >= 5 and not is_turned else (height, width)), orientation)


def to_picture(source) -> np.ndarray:
    """The picture that a program hands over, as `read_picture` gives it; arrays without a copy where that is possible.

    Args:
        source: one of `ACCEPTED`. Arrays may have any strides, and may be another library's that numpy understands.

    Raises:
        PictureError: as `read_picture`, or it is nothing of the kind; then the message names what is accepted.
    """
    if isinstance(source, (str, PathLike, bytes)):
        return read_picture(source)
    if isinstance(source, (bytearray, memoryview)):
        return read_picture(bytes(source))
    if isinstance(source, Image.Image):
        with _reasons():
            return _decoded(source.copy())  # It stays the caller's, as it is.
    if hasattr(source, "read") and not hasattr(source, "__array__"):
        with _reasons():
            try:
                data = source.read()
            except TypeError:  # An archive, whose `read` takes a name.
                raise PictureError(f"{type(source).__name__}: expected {ACCEPTED}") from None
        if not data:
            raise PictureError("a file with nothing left to read (0 bytes): is it empty, or was it read before?")
        if not isinstance(data, bytes):
            raise PictureError(f"a file that gives {type(data).__name__}; open it with 'rb': expected {ACCEPTED}")
        return read_picture(data)
    if not hasattr(source, "__array__"):
        raise PictureError(f"{type(source).__name__}: expected {ACCEPTED}")
    with _reasons():
        array = np.asarray(source)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise PictureError(f"array {array.shape} {array.dtype}: expected {ACCEPTED}")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise PictureError(_too_large(f"{array.shape[1]} x {array.shape[0]} pixels"))
    return np.ascontiguousarray(array)


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Whatever goes wrong within becomes a PictureError that says why."""
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("missing file") from None
    except UnidentifiedImageError:
        raise PictureError("not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow has a limit of its own, which a program may lower, or make an error where it is a warning.
        factor = 2 if isinstance(error, Image.DecompressionBombError) else 1
        if factor * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS) < MAX_PIXELS:
            raise PictureError(f"too large for PIL.Image.MAX_IMAGE_PIXELS of this program: {error}") from None
        raise PictureError(_too_large("far more")) from None
    except Exception as error:  # Damaged files make the decoders raise nearly anything.
        reason = "truncated" if "truncated" in str(error).lower() else "unreadable or damaged"
        raise PictureError(f"{reason} ({type(error).__name__}: {error})") from error


def _decoded(image: Image.Image) -> np.ndarray:
    """The pixels of an opened picture, which may be changed."""
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(_too_large(f"{image.width} x {image.height} pixels"))
    image.load()
    _refuse_much_exif(image)
    ImageOps.exif_transpose(image, in_place=True)  # Not in place, it copies every picture that lies right.
    return _to_rgb(image)


class _Metered:
    """A picture's file, which says when opening or decoding it costs more than any camera's.

    Before the pixels, a file may hold notes in any number of parts. Pillow puts some kinds together part by part, which
    takes minutes for a few megabytes of tiny ones: every read costs as many bytes as were read so far. After that, of
    the pixels and what follows them, only the number of reads counts.

    Attributes:
        counts: whether it still is being opened.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._bytes, self._exif, self._cost, self._reads, self.counts = file, 0, 0, 0, 0, True

    def read(self, size: int = -1) -> bytes:
        """As of the file.

        Raises:
            PictureError: it is enough.
        """
        data = self._file.read(size)
        if self.counts:
            self._bytes += len(data)
            self._cost += self._bytes
            self._exif += len(data) * data.startswith(_EXIF)
            if self._exif > _MOST_EXIF:
                raise PictureError(_much_exif(self._exif))
            if self._cost > _MOST_OPENING:
                raise PictureError("a picture whose notes have so many parts that opening it would take minutes")
        else:
            self._reads += 1
            if self._reads > _MOST_READS:
                raise PictureError("a picture in so many small parts that decoding it would take minutes; save it anew")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def _opened(source: str | PathLike | io.BytesIO) -> Iterator[ImageFile.ImageFile]:
    """A picture of one of `FORMATS`, opened and not yet decoded."""
    with contextlib.ExitStack() as stack:
        given = source if isinstance(source, io.BytesIO) else stack.enter_context(open(source, "rb"))
        _refuse_much_to_read(given)
        file = _without_exif_of_avif(given)
        _refuse_many_parts(file)
        metered = _Metered(file)
        image = stack.enter_context(Image.open(cast("BinaryIO", metered), formats=FORMATS))
        metered.counts = False
        decoder = image.tile[0][0] if image.tile else None
        numbers = image.width * image.height * len(image.getbands())
        if decoder == "ppm_plain" and numbers > _MOST_DIGITS:
            raise PictureError(f"a PPM of {numbers} numbers in digits, which would take minutes; save it as PNG")
        if decoder == "bmp_rle" and numbers > _MOST_IN_RUNS:
            raise PictureError(f"a BMP of {numbers} pixels in runs, which could take minutes; save it as PNG")
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _refuse_large_tiles(image)
        yield image


def _refuse_much_to_read(file: BinaryIO) -> None:
    """Raise for a WebP or AVIF that is larger than one of the most pixels."""
    head, size = file.read(12), file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > _MOST_BYTES_READ and (head[8:] == b"WEBP" or head[4:8] == b"ftyp"):
        raise PictureError(f"too large: expected at most {_MOST_BYTES_READ // 2**20} MiB, found {size // 2**20}")


def _without_exif_of_avif(file: BinaryIO) -> BinaryIO:
    """The same file; of an AVIF a copy in which no part is called EXIF. Its orientation is told elsewhere, and whoever
    opens it has Pillow unpack all of its EXIF, and pack it again."""
    head = file.read(12)
    file.seek(0)
    is_avif = head[4:8] == b"ftyp" and head[8:] in (b"avif", b"avis", b"mif1", b"msf1")
    return io.BytesIO(_AVIF_EXIF.sub(rb"\1skip", file.read())) if is_avif else file


def _refuse_much_exif(image: Image.Image) -> None:
    """Raise for more EXIF than Pillow can unpack in a few seconds; that of a PNG may follow its pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        image.load()
    for name in ("exif", "Raw profile type exif"):
        if len(image.info.get(name, "")) > _MOST_EXIF:
            raise PictureError(_much_exif(len(image.info[name])))


def _much_exif(found: int) -> str:
    return f"{found / 2**20:.1f} MiB of EXIF, which would take minutes: expected at most 1; save it without"


def _refuse_many_parts(file: BinaryIO) -> None:
    """Raise for a TIFF with more strips or tiles, or values of notes, than Pillow can list in a few seconds."""
    parts, values = tiff.listed(file)
    if parts > _MOST_PARTS:
        raise PictureError(f"a TIFF of {parts} strips or tiles, which would take minutes; save it anew")
    if values > _MOST_VALUES:
        raise PictureError(f"a TIFF with {values} values in its notes, which would take minutes; save it anew")


def _refuse_large_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    """Raise for a TIFF whose tiles, all of which are decoded whole, hold far more pixels than the picture shows."""
    covered = 1
    for side, tag in zip(image.size, _TILE, strict=True):
        tile = image.tag_v2.get(tag)
        if not isinstance(tile, int) or tile < 1:
            return  # It has strips, or cannot be decoded.
        covered *= -(-side // tile) * tile
    if covered > _MOST_IN_TILES:
        raise PictureError(
            f"a TIFF of {covered // 1_000_000} megapixels in its tiles, far more than it shows; save it anew"
        )


def _refuse_many_blocks(image: ImageFile.ImageFile) -> None:
    """Raise for a JPEG 2000, opened and not yet decoded, in so small blocks that they would fill the memory."""
    file = cast("BinaryIO", image.fp)
    place = file.tell()
    blocks = jpeg2000.blocks(file)
    file.seek(place)
    if blocks > _MOST_BLOCKS:
        raise PictureError(f"a JPEG 2000 in {blocks} blocks, which would take minutes; save it anew")


def _refuse_many_scans(image: ImageFile.ImageFile) -> None:
    """Raise for a JPEG, opened and not yet decoded, that would take minutes: half a megabyte can hold 2,500 scans."""
    file = cast("BinaryIO", image.fp)
    place = file.tell()
    file.seek(0)
    scans, last = 0, b""
    while block := file.read(_BLOCK):
        scans += (last + block).count(_SCAN)
        last = block[-1:]
    file.seek(place)
    if scans * image.width * image.height > _MOST_SCANS * 1_000_000:
        raise PictureError(
            f"a JPEG of {scans} scans and {image.width} x {image.height} pixels, which would take minutes"
        )


def _too_large(found: str) -> str:
    return f"too large: expected at most {MAX_PIXELS // 1_000_000} megapixels, found {found}"


def _to_rgb(image: Image.Image) -> np.ndarray:
    """uint8 RGB `(height, width, 3)` of an image of any mode."""
    if image.mode.startswith(("I", "F")):  # Pillow would clip at 255 instead of scaling.
        return np.repeat(_to_8_bits(np.asarray(image))[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # np.array copies: the result must be writable, and must not keep the file's buffer alive.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """uint8 of whole numbers or floats; the brightest says what is white: 1 (of floats), of `_WHITES`, else itself."""
    whole = values.dtype.kind in "iu"
    values = values.astype("int64") if whole else np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    brightest = values.max()
    if brightest <= 1 and not whole:
        values = values * 255
    elif brightest > _WHITES[-1]:
        values = values * (255 / brightest)
    elif brightest > _WHITES[0]:
        white = next(white for white in _WHITES if brightest <= white)
        values = values // ((white + 1) // 256)  # The bits that a sensor of 8 would have given.
    return np.clip(values, 0, 255).astype("uint8")
