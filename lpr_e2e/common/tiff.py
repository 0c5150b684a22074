"""What the lists at the beginning of a TIFF announce, before anybody makes an object of each part and value."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

# The tags that say where strips or tiles are, and how long they are; and those that lead to further lists of notes, by
# the kinds of numbers that say where: of 32 or, in a BigTIFF, 64 bits.
_PARTS, _FURTHER = (273, 279, 324, 325), (34665, 34853, 40965)
_PLACES = {False: {4: "I", 13: "I"}, True: {4: "I", 13: "I", 16: "Q"}}
# Of these kinds, bytes and letters, Pillow makes no object for each value.
_KEPT_AS_BYTES = (1, 2, 7)
# A longer list is not looked at to its end, nor one that would be further away.
_MOST_ENTRIES, _FURTHEST = 1_000_000, 2 * 2**30


def listed(file: BinaryIO) -> tuple[int, int]:
    """How many strips or tiles a TIFF tells of, and how many values its notes have in all; of other files none.

    Raises:
        ValueError: its notes lead nowhere.
    """
    head = file.read(16)
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if not order or len(head) < 16 or not (42 in head[2:4] or 43 in head[2:4]):
        return 0, 0
    is_big = head[2] == 43  # As Pillow tells a BigTIFF.
    (place,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", head, 8 if is_big else 4)
    found = _listed(file, order, is_big, place)
    file.seek(0)
    return found


def _listed(file: BinaryIO, order: str, is_big: bool, place: int, deeper: int = 2) -> tuple[int, int]:
    """What a list tells of at most, the values with those of lists that it leads to."""
    count, entry = (f"{order}Q", f"{order}HHQ8s") if is_big else (f"{order}H", f"{order}HHI4s")
    length = file.seek(0, os.SEEK_END)
    file.seek(min(place, _FURTHEST))
    told = file.read(struct.calcsize(count))
    entries = min(*struct.unpack(count, told), _MOST_ENTRIES) if len(told) == struct.calcsize(count) else 0
    table = file.read(entries * struct.calcsize(entry))
    table = table[: len(table) // struct.calcsize(entry) * struct.calcsize(entry)]
    parts, values = 0, len(table) // struct.calcsize(entry)
    for tag, kind, many, written in struct.iter_unpack(entry, table):
        if tag in _PARTS:
            parts = max(parts, many)
        elif kind not in _KEPT_AS_BYTES and many <= length:  # Pillow passes over what cannot be there.
            values += many
        if tag in _FURTHER and deeper:
            if kind not in _PLACES[is_big]:
                raise ValueError("a TIFF whose notes lead nowhere; save it anew")
            further = struct.unpack_from(order + _PLACES[is_big][kind], written)[0]
            values += _listed(file, order, is_big, further, deeper - 1)[1]
    return parts, values
