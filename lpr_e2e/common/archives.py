"""Zip archives, as `.keras` and `.npz` files are: looked at as a whole before anything of them is used."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from lpr_e2e.common.files import require_file

# An archive may be so many times larger unpacked, and so many bytes more: ours are stored, or hardly compressed.
_UNPACKED_RATIO, _UNPACKED_BYTES = 4, 16 * 2**20


def refuse_unsound(path: Path) -> None:
    """Refuse an archive that is damaged, or that would fill the memory.

    Whoever reads a file in it only as far as its own header says never comes to its check sum, which is of all of it:
    one changed byte in the header of an array, and its first half would be taken for numbers of half the size.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is no archive, a file in it is not what was written, or it is far larger unpacked.
    """
    try:
        _look_at(path)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # A damaged one raises many kinds, such as that it is of a version to come.
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def _look_at(path: Path) -> None:
    require_file(path, sys.maxsize)  # Opening a pipe would wait for ever.
    with zipfile.ZipFile(path) as archive:
        unpacked, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
        if unpacked > _UNPACKED_RATIO * size + _UNPACKED_BYTES:
            sizes = [f"{one / 2**20:.1f} MiB" for one in (size, unpacked)]
            raise zipfile.BadZipFile(f"{sizes[0]} that unpack to {sizes[1]}; expected numbers, which hardly compress")
        damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {damaged!r}")
