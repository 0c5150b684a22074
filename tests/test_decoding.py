"""Decoding in a TensorFlow graph: the same pictures as with Pillow, and of a broken file nothing but the news."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.export.decoding import decoded

HEIGHT, WIDTH = 30, 44


@pytest.fixture(scope="module")
def decode():
    """The picture as a numpy array, or None."""
    graph = tf.function(decoded, input_signature=[tf.TensorSpec((), tf.string)])

    def decode(encoded):
        picture, readable = graph(encoded)
        assert readable or picture.shape == (1, 1, 3)
        return picture.numpy() if readable else None

    return decode


def smooth(seed=0, channels=3):
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, channels), dtype="uint8")
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


COLOUR, OTHER = Image.fromarray(smooth()), Image.fromarray(smooth(1))
SEE_THROUGH = Image.fromarray(smooth(2, 4), "RGBA")


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def with_orientation(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(COLOUR, form, exif=exif)


GREY_16 = smooth()[..., 0].astype("uint16")
PICTURES = {
    "JPEG": encoded(COLOUR, "JPEG", quality=90),
    "progressive": encoded(COLOUR, "JPEG", progressive=True, subsampling=0),
    "grey JPEG": encoded(COLOUR.convert("L"), "JPEG"),
    "CMYK": encoded(COLOUR.convert("CMYK"), "JPEG"),
    "PNG": encoded(COLOUR, "PNG"),
    "grey PNG": encoded(COLOUR.convert("L"), "PNG"),
    "black and white": encoded(COLOUR.convert("1"), "PNG"),
    "palette": encoded(COLOUR.quantize(200), "PNG"),
    "palette of 4 bits": encoded(COLOUR.quantize(16), "PNG"),
    "transparent": encoded(SEE_THROUGH, "PNG"),
    "transparent grey": encoded(SEE_THROUGH.convert("LA"), "PNG"),
    "transparent colour": encoded(COLOUR, "PNG", transparency=COLOUR.getpixel((3, 3))),
    "transparent entry": encoded(COLOUR.quantize(16), "PNG", transparency=3),
    "translucent entries": encoded(COLOUR.quantize(4), "PNG", transparency=bytes([0, 100, 255, 7])),
    "16 bits": encoded(Image.fromarray(GREY_16 * 250 + 7), "PNG"),
    "16 bits that are 8": encoded(Image.fromarray(GREY_16), "PNG"),
    "16 bits in colour": cv2.imencode(".png", smooth().astype("uint16") * 257 - 3)[1].tobytes(),
    "GIF": encoded(COLOUR.quantize(64), "GIF"),
    "animation": encoded(COLOUR.quantize(64), "GIF", save_all=True, append_images=[OTHER.quantize(64)]),
    "BMP": encoded(COLOUR, "BMP"),
    "grey BMP": encoded(COLOUR.convert("L"), "BMP"),
    "palette BMP": encoded(COLOUR.quantize(64), "BMP"),
    "transparent BMP": encoded(SEE_THROUGH, "BMP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_those_of_pillow(decode, name):
    np.testing.assert_array_equal(decode(PICTURES[name]), read_picture(PICTURES[name]))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_as_exif_says(decode, form, orientation):
    file = with_orientation(form, orientation)
    picture = decode(file)
    assert picture.shape[:2] == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))
    np.testing.assert_array_equal(picture, read_picture(file))


def tiff(order, *tags):
    """EXIF's TIFF with tags of `(tag, kind, count, value)`."""
    sign, codes = {"II": "<", "MM": ">"}[order], {1: "B", 3: "H", 4: "I"}
    entries = [
        struct.pack(f"{sign}HHI", tag, kind, count) + struct.pack(f"{sign}{codes[kind]}", value).ljust(4, b"\0")
        for tag, kind, count, value in tags
    ]
    start = order.encode() + struct.pack(f"{sign}HI", 42, 13) + b"other"
    return start + struct.pack(f"{sign}H", len(tags)) + b"".join(entries) + bytes(4)


def jpeg_with(exif, before=b""):
    segment = b"Exif\0\0" + exif
    plain = PICTURES["JPEG"]
    return plain[:2] + before + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


TURNED = tiff("MM", (0x0112, 3, 1, 6))


@pytest.mark.parametrize(
    "exif",
    [
        *(
            tiff(order, (0x010F, 4, 1, 9), (0x0112, kind, 1, value), (0x0131, 3, 1, 3))
            for order in ("II", "MM")
            for kind in (3, 4)
            for value in (0, 5, 8, 9, 300)
        ),
        tiff("II", (0x0112, 1, 1, 6)),
        tiff("MM", (0x0112, 3, 1, 6), (0x0112, 3, 1, 3)),
        tiff("MM", (0x0112, 3, 0, 6)),
        tiff("MM", (0x0112, 3, 2, 6)),
        tiff("MM", (0x0131, 3, 1, 6)),
        TURNED[:16],
        b"XX" + TURNED[2:],
        TURNED[:4] + b"\x7f\xff\xff\xff" + TURNED[8:],
        b"",
    ],
)
def test_exif_of_any_kind_means_the_same(decode, exif):
    np.testing.assert_array_equal(decode(jpeg_with(exif)), read_picture(jpeg_with(exif)))


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xfe\0\x08hello.",
        b"\xff\xff\xff",
        b"\xff\xfe\0\x02no segment",
        b"\xff\xe2\xff\xff" + b"c" * 0xFFFD,
        b"\xff\xe1\0\x1ehttp://ns.adobe.com/xap/1.0/",
    ],
)
def test_exif_is_found_behind_other_segments(decode, before):
    assert decode(jpeg_with(TURNED, before)).shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(decode(jpeg_with(TURNED, before)), read_picture(jpeg_with(TURNED, before)))


def chunk(kind, data, good=True):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ (not good))


def png(width, height, data=b"\0", good=True):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), good)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def changed(file, place, values):
    return file[:place] + values + file[place + len(values) :]


FRAME = PICTURES["JPEG"].index(b"\xff\xc0")  # Where a JPEG says how large it is.
BROKEN = {
    "empty": b"",
    "text": b"no picture, but a text of some length",
    "cut JPEG": PICTURES["JPEG"][: len(PICTURES["JPEG"]) // 2],
    "JPEG without its end": PICTURES["JPEG"][:-2],
    "start of a JPEG": PICTURES["JPEG"][:3],
    "cut PNG": PICTURES["PNG"][:-500],
    "start of a PNG": PICTURES["PNG"][:8],
    "PNG with a wrong checksum": png(2, 2, bytes(14), good=False),
    "PNG that holds less": png(2, 2),
    "PNG of nothing": png(0, 0),
    "PNG that fills the memory": png(60_000, 60_000),
    "PNG of impossible size": png(2**32 - 1, 2**32 - 1),
    "JPEG that fills the memory": changed(PICTURES["JPEG"], FRAME + 5, b"\xff\xdc\xff\xdc"),
    "cut GIF": PICTURES["GIF"][:-200],
    "cut BMP": PICTURES["BMP"][:-200],
    "BMP that fills the memory": changed(PICTURES["BMP"], 22, struct.pack("<i", 2**31 - 1)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_told_apart(decode, name):
    assert decode(BROKEN[name]) is None
    with pytest.raises(PictureError):
        read_picture(BROKEN[name])


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(encoded(COLOUR, "TIFF"), id="TIFF"),
        # TensorFlow 2.21 writes where it must not when it decodes an animated WebP.
        pytest.param(encoded(COLOUR, "WEBP", save_all=True, append_images=[OTHER]), id="WebP"),
        pytest.param(encoded(COLOUR.convert("1"), "BMP"), id="BMP of one bit"),
        pytest.param(changed(PICTURES["palette BMP"], 30, b"\1"), id="compressed BMP"),
    ],
)
def test_what_cannot_be_decoded_is_not_guessed(decode, file):
    assert decode(file) is None


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "transparent", "GIF", "BMP", "palette BMP", "turned"]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_damage_never_raises(decode, name, damage, left):
    """Whatever is changed or cut off, there is a picture or none."""
    file = jpeg_with(TURNED) if name == "turned" else PICTURES[name]
    for place, values in damage:
        file = changed(file, int(place * len(file)), values)
    if left < 0.5:
        file = file[: int(2 * left * len(file))]
    picture = decode(file)
    assert picture is None or (picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3)
