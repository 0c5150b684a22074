"""What decoding a picture in JPEG 2000 costs, told from its headers: a kilobyte of them can ask for any memory."""

from __future__ import annotations

import struct
from typing import BinaryIO

# How a codestream begins, and a file that holds one in a box.
_BEGINNING, _BOXES = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
# Markers of a codestream. Those that are passed over are the others of the standard's first part, and of its 15th.
_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_PASSED = (0xFF50, 0xFF55, 0xFF57, 0xFF58, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63, 0xFF64)
# More boxes or markers than these, or more that say how something is coded, would take many seconds to look at.
_MOST_STEPS, _MOST_WAYS = 1_000_000, 10_000
# The standard has no more levels.
_MOST_LEVELS = 32
_LARGEST_PRECINCT = 15
# A precinct is looked at once for each layer, which takes as long as so many hundredths of making a block do.
_OF_LAYER = 10


def blocks(file: BinaryIO) -> int:
    """How many blocks and precincts the decoder makes an object of, at most, over all tiles; and what layers cost.

    Every tile may be coded in a way of its own: the costliest is taken for all.

    Raises:
        ValueError, struct.error: its headers are not as the standard has them, or too many.
    """
    place, tiles, part = _codestream(file) + 2, None, 0
    most, precincts, layers = 0, 0, 1
    ways = set()
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[:2] == _EOC.to_bytes(2):
            break
        marker, length = struct.unpack(">HH", head)
        if marker == _SOD:
            if not part:  # What is left of the file.
                break
            place = max(part, place + 2)
            continue
        if marker == _SOT:
            (size,) = struct.unpack(">2xI", file.read(6))
            part = place + size if size else 0
        elif marker == _SIZ:
            tiles = _Tiles(file.read(length - 2))
        elif marker in (_COD, _COC):
            if tiles is None:
                raise ValueError("a JPEG 2000 that does not begin with its size")
            way = marker, file.read(length - 2)
            if way not in ways:
                ways.add(way)
                if len(ways) > _MOST_WAYS:
                    raise ValueError("a JPEG 2000 that is coded in too many ways")
                found = tiles.blocks(way[1], marker == _COC)
                most, precincts = max(most, sum(found)), max(precincts, found[0])
                layers = max(layers, *struct.unpack_from(">2xH", way[1])) if marker == _COD else layers
        elif marker not in _PASSED:
            raise ValueError(f"a JPEG 2000 with the marker {marker:#x}")
        place += 2 + length
    else:
        raise ValueError("a JPEG 2000 in too many parts")
    return most + precincts * layers * _OF_LAYER // 100


def _codestream(file: BinaryIO) -> int:
    """Where the codestream begins."""
    file.seek(0)
    head = file.read(len(_BOXES))
    if head.startswith(_BEGINNING):
        return 0
    place = len(_BOXES)
    for _ in range(_MOST_STEPS):
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        head_size = 8
        if size == 1:
            head_size, (size,) = 16, struct.unpack(">Q", file.read(8))
        if kind == b"jp2c":
            return place + head_size
        if size < head_size:
            break
        place += size
    raise ValueError("a JPEG 2000 without a codestream")


class _Tiles:
    """How large the tiles of a picture are, from what its size's marker holds."""

    def __init__(self, segment: bytes):
        right, below, left, top, width, height, first_x, first_y, components = struct.unpack_from(">2x8IH", segment)
        if not (width and height and right > max(left, first_x) and below > max(top, first_y)):
            raise ValueError("a JPEG 2000 without pixels")
        self._count = components * _parts(right - first_x, width) * _parts(below - first_y, height)
        self._size = min(width, right - left), min(height, below - top)

    def blocks(self, segment: bytes, of_component: bool) -> tuple[int, int]:
        """Precincts and blocks of all tiles that are coded as a segment says.

        Args:
            of_component: whether it is about one component only, of a picture that has at most 256.
        """
        has_precincts, start = (segment[1] & 1, 2) if of_component else (segment[0] & 1, 5)
        levels, *exponents = segment[start : start + 3]
        if levels > _MOST_LEVELS:
            raise ValueError(f"a JPEG 2000 of {levels} levels")
        size, precincts, blocks = [exponent % 16 + 2 for exponent in exponents], 0, 0
        for level in range(levels + 1):
            told = segment[start + 5 + level] if has_precincts else _LARGEST_PRECINCT * 17
            sides = [_parts(side, 1 << (levels - level)) for side in self._size]
            # But for the lowest level there are three bands of half the sides, whose blocks fit into the precincts.
            half = min(level, 1)
            precincts_here = blocks_here = 3 if half else 1
            for side, block, precinct in zip(sides, size, (told % 16, told // 16), strict=True):
                precincts_here *= _parts(side, 1 << precinct)
                blocks_here *= _parts(_parts(side, 1 + half), 1 << max(min(block, precinct - half), 0))
            precincts, blocks = precincts + precincts_here, blocks + blocks_here
        return precincts * self._count, blocks * self._count


def _parts(whole: int, part: int) -> int:
    return -(-whole // part)
