"""Pictures of a few bytes that would take minutes or all the memory are refused before they are decoded."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.common.images import PictureError, read_picture, read_size


def segment(marker: int, held: bytes) -> bytes:
    return struct.pack(">HH", marker, len(held) + 2) + held


def coding(precinct: int = 0xFF, block: int = 4, levels: int = 0, layers: int = 1) -> bytes:
    """The marker that says in what blocks a JPEG 2000 is coded, sides as exponents."""
    held = struct.pack(">BBHBBBBBB", 1, 0, layers, 0, levels, block, block, 0, 1) + bytes([precinct] * (levels + 1))
    return segment(0xFF52, held)


def jpeg2000(side: int, tile: int = 0, main: bytes | None = None, in_tile: bytes = b"", boxed: bool = False) -> bytes:
    """A grey square whose one tile holds nothing."""
    main = coding() if main is None else main
    size = struct.pack(">H8IH3B", 0, side, side, 0, 0, tile or side, tile or side, 0, 0, 1, 7, 1, 1)
    steps = segment(0xFF5C, bytes([0x40, *[0x48] * 16]))
    tile_part = in_tile + b"\xff\x93" + bytes(100)
    start = segment(0xFF90, struct.pack(">HIBB", 0, len(tile_part) + 12, 0, 1))
    stream = b"\xff\x4f" + segment(0xFF51, size) + main + steps + start + tile_part + b"\xff\xd9"
    if not boxed:
        return stream
    # Within a box that says its length in 64 bits, behind one that looks like the beginning of another picture.
    head = struct.pack(">I4sIIHBBBB", 22, b"ihdr", side, side, 1, 7, 7, 0, 0)
    head += struct.pack(">I4sBBBI", 15, b"colr", 1, 0, 0, 17)
    decoy = struct.pack(">I4s", 12, b"free") + b"\xff\x4f\xff\x51"
    boxes = struct.pack(">I4s4s", 12, b"jP  ", b"\r\n\x87\n") + struct.pack(
        ">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 "
    )
    boxes += struct.pack(">I4s", 8 + len(head), b"jp2h") + head + decoy
    return boxes + struct.pack(">I4sQ", 1, b"jp2c", len(stream) + 16) + stream


# One component is coded in precincts of one pixel.
ONE = segment(0xFF53, bytes([0, 1, 0, 0, 0, 0, 1, 0]))


class TestJpeg2000:
    """A kilobyte took five gigabytes and half a minute; with very many layers it was never decoded to its end."""

    MANY = {
        "precincts of a pixel": jpeg2000(2000, main=coding(0x00, 0)),
        "blocks of a few pixels": jpeg2000(6000, main=coding(0xFF, 0)),
        "in tiles, too": jpeg2000(6000, tile=40, main=coding(0xFF, 0)),
        "layers": jpeg2000(4000, main=coding(0x44, 2, layers=65_535)),
        "of a tile": jpeg2000(2000, in_tile=coding(0x00, 0)),
        "of a component": jpeg2000(2000, main=coding() + ONE),
        "of a component of a tile": jpeg2000(2000, in_tile=ONE),
        "in a box": jpeg2000(2000, main=coding(0x00, 0), boxed=True),
        "of a tile, in a box": jpeg2000(2000, in_tile=coding(0x00, 0), boxed=True),
    }

    @pytest.mark.parametrize("data", MANY.values(), ids=MANY)
    def test_very_many_blocks_are_refused(self, data):
        with pytest.raises(PictureError, match="a JPEG 2000 in [0-9]+ blocks, which would take minutes; save it anew"):
            read_picture(data)

    @pytest.mark.parametrize("boxed", [False, True])
    @pytest.mark.parametrize("main", [coding(), coding(0x00, 0), coding(0x88, 2, levels=5, layers=20)])
    def test_the_same_in_few_is_decoded(self, main, boxed):
        assert read_picture(jpeg2000(64, main=main, boxed=boxed)).shape == (64, 64, 3)

    def test_markers_without_end_are_not_looked_at(self):
        ways = [segment(0xFF53, struct.pack(">BxBBBxx", *way, 4)) for way in np.ndindex(100, 30, 4)]
        with pytest.raises(PictureError, match="coded in too many ways"):
            read_picture(jpeg2000(64, main=coding() + b"".join(ways)))
        again = read_picture(jpeg2000(64, main=coding() + ways[0] * 20_000))
        assert again.shape == (64, 64, 3)
        with pytest.raises(PictureError, match="of 33 levels"):
            read_picture(jpeg2000(64, main=coding(levels=33)))

    @pytest.mark.parametrize("hidden", [b"\xff\x54", b"\xff\x4f", b"\xff\x30\xff\x30"])
    def test_what_a_decoder_passes_over_in_its_own_way_is_refused(self, hidden):
        """It goes on at the next marker that it knows; whoever goes by lengths would not see that."""
        with pytest.raises(PictureError, match="a JPEG 2000 with the marker"):
            read_picture(jpeg2000(2000, main=coding() + hidden + coding(0x00, 0)))

    WAYS = (
        {},
        {"tile_size": (64, 64)},
        {"codeblock_size": (4, 4)},
        {"precinct_size": (32, 32), "codeblock_size": (16, 16)},
        {"num_resolutions": 1},
        {"quality_layers": [80, 40, 20], "irreversible": True},
        {"no_jp2": True, "progression": "CPRL"},
        {"comment": "of a camera", "plt": True},
    )

    @pytest.mark.parametrize("way", WAYS, ids=str)
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    def test_however_one_is_saved_it_is_read(self, way, mode):
        picture, file = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype="uint8"), io.BytesIO()
        Image.fromarray(picture).convert(mode).save(file, "JPEG2000", **way)
        assert read_picture(file.getvalue()).shape == (90, 120, 3)

    def test_one_that_is_cut_off_anywhere_is_no_other_error(self):
        whole = self.MANY["in a box"]
        for end in range(13, len(whole), 7):
            with pytest.raises(PictureError):
                read_picture(whole[:end])


def tiff(width: int, height: int, tile: tuple[int, int]) -> bytes:
    """A grey picture whose tiles are all packed in the same bytes."""
    count = -(-width // tile[0]) * -(-height // tile[1])
    packed = zlib.compress(bytes(min(tile[0] * tile[1], 2**20)), 9)
    found = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    lists, data = (200, 200 + 4 * count), 200 + 8 * count
    written = lists if count > 1 else (data, len(packed))
    found += [(322, 4, 1, tile[0]), (323, 4, 1, tile[1]), (324, 4, count, written[0]), (325, 4, count, written[1])]
    head = struct.pack("<4sIH", b"II*\0", 8, len(found)) + b"".join(struct.pack("<HHII", *one) for one in found)
    return head.ljust(200, b"\0") + struct.pack("<I", data) * count + struct.pack("<I", len(packed)) * count + packed


@pytest.mark.parametrize(("width", "height", "tile"), [(32_000, 16, (16, 1_000_000)), (64, 64, (16_384, 65_536))])
def test_tiles_that_hold_far_more_than_the_picture_are_refused(width, height, tile):
    """All of each is unpacked: thirty kilobytes took a minute, or as long as one likes."""
    for read in (read_picture, read_size):
        with pytest.raises(PictureError, match="megapixels in its tiles, far more than it shows; save it anew"):
            read(tiff(width, height, tile))


@pytest.mark.parametrize("tile", [(16, 16), (64, 48), (256, 256), (1024, 1024)])
def test_tiles_that_stand_out_a_bit_are_read(tile):
    assert read_picture(tiff(64, 48, tile)).shape == (48, 64, 3)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_a_file_of_which_all_is_read_before_it_is_opened_has_an_end(kind, tmp_path):
    """Two gigabytes of holes took four of memory."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", kind)
    for size, words in ((2**21, ""), (2**30, "too large: expected at most 512 MiB, found 1024")):
        os.truncate(tmp_path / "a.jpg", size)
        for read in (read_picture, read_size):
            with pytest.raises(PictureError, match=words) if words else contextlib.suppress(PictureError):
                read(tmp_path / "a.jpg")


# What was tried, too, and is bounded: two thousand profiles, texts that unpack to gigabytes, endless lists of pictures.
def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4)


@pytest.mark.parametrize(("name", "size", "at_end"), [(b"zTXt", 1_000_000, True), (b"iCCP", 2_000_000, False)])
def test_texts_of_a_png_that_unpack_to_far_more_are_refused(name, size, at_end):
    file, bomb = io.BytesIO(), zlib.compress(bytes(size))
    Image.new("L", (4, 4)).save(file, "PNG")
    whole, parts = file.getvalue(), b"".join(chunk(name, b"k%d\0\0" % number + bomb) for number in range(80))
    place = len(whole) - 12 if at_end else 33
    with pytest.raises(PictureError, match="Too much memory used|too large"):
        read_picture(whole[:place] + parts + whole[place:])


def test_a_chain_of_pictures_in_a_tiff_is_not_followed():
    one = struct.pack("<H", 0)
    whole = bytearray(tiff(16, 16, (16, 16)))
    links = b"".join(one + struct.pack("<I", len(whole) + 6 * number) for number in range(1, 100_001))
    struct.pack_into("<I", whole, 10 + 10 * 12, len(whole))
    assert read_picture(bytes(whole) + links).shape == (16, 16, 3)
