"""Decoding photographs within a TensorFlow graph, as `lpr_e2e.common.images.read_picture` does it with Pillow.

JPEG, PNG, GIF and BMP are read: to the same pixels, turned as EXIF says, with white behind what is transparent. Broken
files are told apart from pictures, and raise nothing. What differs from Pillow: a PNG with a wrong checksum is broken;
transparent parts of a GIF are black, because its decoder does not tell where they are; an orientation that stands in
XMP alone is not looked for. TensorFlow 2.21 also decodes WebP, but an animated one spoils its memory: none is read.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lpr_e2e.common.images import MAX_PIXELS

# The most parts of a file that are skipped on the way to its EXIF.
_PARTS = 1000
# From the TIFF format: the tag of the orientation, types of its value; and the most tags that are looked at.
_ORIENTATION, _SHORT, _LONG, _TAGS = 0x0112, 3, 4, 1000
_EXIF, _PNG = b"Exif\0\0", b"\x89PNG\r\n\x1a\n"


def decoded(encoded) -> tuple[tf.Tensor, tf.Tensor]:
    """The picture in the bytes of a file.

    Args:
        encoded: string `()`, what the file holds.

    Returns:
        uint8 RGB `(height, width, 3)`, as it is meant to be seen, and bool `()`: whether there is one. If not, the
        picture is one black pixel.
    """
    # Only a data set goes on after an operation that fails.
    pictures = tf.data.Dataset.from_tensors(encoded).map(lambda one: (_decode(one), True)).ignore_errors()
    nothing = tf.data.Dataset.from_tensors((tf.zeros((1, 1, 3), tf.uint8), False))
    picture, readable = pictures.concatenate(nothing).take(1).get_single_element()
    return tf.ensure_shape(picture, (None, None, 3)), readable


def _decode(encoded) -> tf.Tensor:
    """The picture in the bytes of a file, uint8 RGB `(height, width, 3)`; an operation fails if there is none."""
    return tf.case(
        [
            (tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded)),
            (_says(encoded, 0, _PNG), lambda: _decode_png(encoded)),
            (_says(encoded, 0, b"BM"), lambda: _decode_bmp(encoded)),
        ],
        default=lambda: _decode_gif(encoded),
    )


def _decode_jpeg(encoded) -> tf.Tensor:
    shape = tf.image.extract_jpeg_shape(encoded)
    # By default TensorFlow decodes faster, and less exactly than Pillow.
    picture = tf.io.decode_jpeg(_of_size(encoded, shape[0], shape[1]), channels=3, dct_method="INTEGER_ACCURATE")

    def following(place):
        first, marker = tf.unstack(_bytes(encoded, place, 2))
        length = 2 + _number(encoded, place + 2, 2, little=False)
        length = tf.where(marker == 0xDA, _length(encoded), length)  # What follows is the picture.
        is_filling = (first != 0xFF) | (marker == 0xFF) | (marker == 0)
        return place + tf.where(is_filling, tf.ones_like(length), length)

    def is_exif(place):
        return _says(encoded, place, b"\xff\xe1") & _says(encoded, place + 4, _EXIF)

    return _turned(picture, _orientation(encoded, _found(encoded, 2, following, is_exif) + 4))


def _decode_png(encoded) -> tf.Tensor:
    width, height = (_number(encoded, place, 4, little=False) for place in (16, 20))
    bits, colour = _number(encoded, 24, 1), _number(encoded, 25, 1)
    encoded = _of_size(encoded, height, width)

    def deep_grey():
        """16 bits; Pillow scales what needs more than 8."""
        grey = tf.io.decode_png(encoded, channels=1, dtype=tf.uint16)
        grey = tf.cond(tf.reduce_max(grey) > 255, lambda: grey // 256, lambda: grey)
        return tf.repeat(tf.cast(grey, tf.uint8), 3, axis=2)

    # Where nothing is transparent, a picture of less than 8 bits gets the largest number of its bits.
    most = tf.cast(2 ** tf.minimum(bits, 8) - 1, tf.uint8)
    picture = tf.cond(
        (bits == 16) & (colour == 0), deep_grey, lambda: _on_white(tf.io.decode_png(encoded, channels=4), most)
    )

    def following(place):
        return place + 12 + _number(encoded, place, 4, little=False)

    def is_exif(place):
        return _says(encoded, place + 4, b"eXIf")

    return _turned(picture, _orientation(encoded, _found(encoded, len(_PNG), following, is_exif) + 8))


def _on_white(picture, most) -> tf.Tensor:
    """RGBA uint8 `(h, w, 4)` as RGB on white, rounded as Pillow does; if it hides all by 255 or `most`, as it is."""
    colours, opaque = picture[..., :3], picture[..., 3:]

    def mixed():
        ink, hides = tf.cast(colours, tf.uint16), tf.cast(opaque, tf.uint16)  # 255 * 255 fits.
        return tf.cast((ink * hides + 255 * (255 - hides) + 127) // 255, tf.uint8)

    hides_all = tf.reduce_all(opaque == 255) | tf.reduce_all(opaque == most)
    return tf.cond(hides_all, lambda: colours, mixed)


def _decode_bmp(encoded) -> tf.Tensor:
    """TensorFlow takes any BMP for one without palette, without compression and with today's header."""
    header, width, height = (_number(encoded, place, 4) for place in (14, 18, 22))
    height = tf.minimum(height, (1 << 32) - height)  # Negative if the first row is the upper one.
    bits, compression = _number(encoded, 28, 2), _number(encoded, 30, 4)
    plain = (header >= 40) & (compression == 0) & ((bits == 8) | (bits == 24) | (bits == 32))
    encoded = _of_size(_only_if(plain, "a BMP of a form that is not read", encoded), height, width)

    def coloured():
        palette = tf.reshape(_bytes(encoded, 14 + header, 1024), (256, 4))[:, 2::-1]
        return tf.cast(tf.gather(palette, tf.cast(tf.io.decode_bmp(encoded)[..., 0], tf.int32)), tf.uint8)

    return tf.cond(bits == 8, coloured, lambda: tf.io.decode_bmp(encoded)[..., :3])


def _decode_gif(encoded) -> tf.Tensor:
    """The first frame; what is no picture at all fails here, too."""
    encoded = _only_if(_says(encoded, 0, b"GIF8"), "not a picture", encoded)
    encoded = _of_size(encoded, _number(encoded, 8, 2), _number(encoded, 6, 2))
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _of_size(encoded, height, width) -> tf.Tensor:
    """The same bytes; the operation fails if they would unpack to more than `MAX_PIXELS`."""
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    return _only_if(height * width <= MAX_PIXELS, "a picture too large", encoded)


def _only_if(right, reason: str, encoded) -> tf.Tensor:
    """The same bytes; the operation fails unless this is right."""
    with tf.control_dependencies([tf.debugging.Assert(right, [reason])]):
        return tf.identity(encoded)


def _length(encoded) -> tf.Tensor:
    return tf.cast(tf.strings.length(encoded), tf.int64)


def _bytes(encoded, place, count: int) -> tf.Tensor:
    """int64 `(count,)`: the bytes from a place on, and zeros behind the end."""
    place = tf.clip_by_value(tf.cast(place, tf.int64), 0, _length(encoded))
    part = tf.strings.substr(encoded, place, tf.constant(count, tf.int64))
    return tf.ensure_shape(tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int64), (count,))


def _says(encoded, place, text: bytes) -> tf.Tensor:
    """Whether these bytes stand at a place."""
    return tf.reduce_all(_bytes(encoded, place, len(text)) == list(text))


def _number(encoded, place, count: int, little: bool | tf.Tensor = True) -> tf.Tensor:
    """The number, int64, that some bytes from a place on stand for, with the lowest byte first or last."""
    return _numbers(_bytes(encoded, place, count), little)


def _numbers(values, little: bool | tf.Tensor) -> tf.Tensor:
    """The numbers `(...)` that bytes `(..., n)` stand for, both int64."""
    weights = 256 ** tf.range(values.shape[-1], dtype=tf.int64)
    return tf.reduce_sum(values * tf.where(little, weights, weights[::-1]), axis=-1)


def _found(encoded, start: int, following: Callable, is_exif: Callable) -> tf.Tensor:
    """The place of the EXIF among the parts of a file, from `start` on; the end of the file if there is none."""
    end = _length(encoded)
    (place,) = tf.while_loop(
        lambda place: (place < end) & ~is_exif(place),
        lambda place: (following(place),),
        (tf.constant(start, tf.int64),),
        maximum_iterations=_PARTS,
    )
    return tf.where(is_exif(place), place, end)


def _orientation(encoded, start) -> tf.Tensor:
    """The orientation, 1 to 8, that EXIF from a place on tells; 1 if it tells none."""
    start = tf.where(_says(encoded, start, _EXIF), start + len(_EXIF), start)
    order = _bytes(encoded, start, 2)
    little = order[0] == ord("I")
    is_tiff = (order[0] == order[1]) & (little | (order[0] == ord("M")))
    is_tiff &= _number(encoded, start + 2, 2, little) == 42
    place = start + _number(encoded, start + 4, 4, little)
    tags = tf.reshape(_bytes(encoded, place + 2, 12 * _TAGS), (_TAGS, 12))
    kind, values = _numbers(tags[:, 2:4], little), _numbers(tags[:, 4:8], little)
    short = (kind == _SHORT) & (values >= 1) & (values <= 2)
    long = (kind == _LONG) & (values == 1)
    value = tf.where(short, _numbers(tags[:, 8:10], little), _numbers(tags[:, 8:12], little))
    is_orientation = (_numbers(tags[:, :2], little) == _ORIENTATION) & (short | long)
    is_orientation &= tf.range(_TAGS, dtype=tf.int64) < _number(encoded, place, 2, little)
    orientation = tf.reduce_sum(tf.boolean_mask(value, is_orientation)[:1])
    return tf.where(is_tiff & (orientation >= 1) & (orientation <= 8), orientation, 1)


def _turned(picture, orientation) -> tf.Tensor:
    """The picture `(h, w, 3)` as it is meant to be seen."""

    def changed_at(orientations, change, picture):
        return tf.cond(tf.reduce_any(orientation == orientations), lambda: change(picture), lambda: picture)

    picture = changed_at((5, 6, 7, 8), lambda one: tf.transpose(one, (1, 0, 2)), picture)
    picture = changed_at((3, 4, 7, 8), lambda one: one[::-1], picture)
    return changed_at((2, 3, 6, 7), lambda one: one[:, ::-1], picture)
