"""Zip archives, as `.keras` and `.npz` files are: looked at as a whole before anything of them is used."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

from lpr_e2e.common.files import require_file

# An archive may be so many times larger unpacked, and so many bytes more: ours are stored, or hardly compressed.
_UNPACKED_RATIO, _UNPACKED_BYTES = 4, 16 * 2**20
# The head of a file in an archive, bytes, its last four being the lengths of the name and of further notes that follow;
# and how much may come after the file: its size once more.
_HEAD, _SIZE_AGAIN = 30, 24
# What stands before the name of whoever an archive belongs to.
_OWNER = "lpr_e2e: of "


def refuse_unsound(path: Path) -> None:
    """Refuse an archive that is damaged, or that would fill the memory.

    Whoever reads a file in it only as far as its own header says never comes to its check sum, which is of all of it:
    one changed byte in the header of an array, and its first half would be taken for numbers of half the size.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is no archive, a file in it is not what was written or is not in its list of files, or it
            is far larger unpacked.
    """
    try:
        _look_at(path)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # A damaged one raises many kinds, such as that it is of a version to come.
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def note_owner(path: Path, owner: str) -> None:
    """Write into an archive whose it is, where nobody else looks: as its comment."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = f"{_OWNER}{owner}".encode()


def owner_of(path: Path) -> str:
    """Whose an archive is, see `note_owner`; "" if it does not say.

    Raises:
        OSError, zipfile.BadZipFile: as `refuse_unsound`.
    """
    refuse_unsound(path)
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment.decode("latin-1")
    return comment.removeprefix(_OWNER) if comment.startswith(_OWNER) else ""


def _look_at(path: Path) -> None:
    require_file(path, sys.maxsize)  # Opening a pipe would wait for ever.
    with zipfile.ZipFile(path) as archive:
        unpacked, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
        if unpacked > _UNPACKED_RATIO * size + _UNPACKED_BYTES:
            sizes = [f"{one / 2**20:.1f} MiB" for one in (size, unpacked)]
            raise zipfile.BadZipFile(f"{sizes[0]} that unpack to {sizes[1]}; expected numbers, which hardly compress")
        _refuse_unlisted(archive)
        damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {damaged!r}")


def _refuse_unlisted(archive: zipfile.ZipFile) -> None:
    """Make sure that nothing stands before, between or after the files that the archive lists."""
    starts, ends, file = [], [0], archive.fp
    for member in sorted(archive.infolist(), key=lambda one: one.header_offset):
        assert file is not None  # It is open.
        file.seek(member.header_offset)
        head = _HEAD + sum(struct.unpack("<HH", file.read(_HEAD)[-4:]))
        starts.append(member.header_offset)
        ends.append(member.header_offset + head + member.compress_size)
    starts.append(archive.start_dir)
    if not all(0 <= start - end <= _SIZE_AGAIN for start, end in zip(starts, ends, strict=True)):
        raise zipfile.BadZipFile("it holds more than the files that it lists")
