"""Which photographs a person means by files, folders and patterns."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lpr_e2e.common.errors import UserError

# What counts as a photograph in a folder. Formats that cannot be decoded here (HEIC) get a row that says so.
PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .jp2 .png .bmp .webp .gif .tif .tiff .ppm .pgm .heic .heif .avif".split()
)

# A file in a folder of drawn pictures, which says that they are: see `lpr_e2e.data.samples.Dataset.drawn_sets`.
DRAWN = "drawn.md"
# Folders of pictures that a prediction makes beside its `predictions.csv`.
_MADE = ("pictures", "redacted")


def note_of_drawn(data: Path) -> Path:
    """Where a data folder, or that of a label file, has the note that its pictures are drawn, if they are."""
    return (data if data.is_dir() else data.parent) / DRAWN


def find_photographs(arguments: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """The photographs that files, folders and glob patterns stand for, sorted within each argument.

    A folder stands for all files in it and below that are named like pictures (`PICTURE_SUFFIXES`), without hidden
    ones and without what an earlier run has made (the folders `pictures` and `redacted` beside a `predictions.csv`).
    A file that is named itself is taken whatever its name.

    Returns:
        Pairs of img_id and path. The img_id is the path below the folder given, with `/`; the name alone for a file
        given; and where that would name two files alike, the path below the folder that holds all of them. It is text,
        see `as_text`.

    Raises:
        FileNotFoundError: an argument stands for nothing.
        ValueError: there is no picture in all the folders given.
    """
    found: dict[str, str] = {}  # Absolute path to img_id.
    for argument in map(str, arguments):
        matches = [argument] if os.path.lexists(argument) else sorted(_matches(argument))
        if not matches:
            raise FileNotFoundError(f"{argument}: no such file or folder")
        for match in matches:
            for path in _pictures_below(match) if os.path.isdir(match) else [match]:
                img_id = Path(path).relative_to(match).as_posix() if path != match else Path(path).name or path
                found.setdefault(os.path.abspath(path), img_id)
    if not found:
        raise UserError(f"no pictures in {', '.join(map(str, arguments))} (names ending in .jpg, .png and so on)")
    if len(set(found.values())) < len(found):
        found = _apart(list(found))
    return [(as_text(img_id), Path(path)) for path, img_id in found.items()]


def as_text(name: str) -> str:
    r"""A file's name as text that tables can hold: the same in every locale, and another one for every other file.

    Names are read as UTF-8, also where the system says that they are ASCII. A byte that is no UTF-8 is written as
    `\udcff`, and backslashes before what is, or looks like, such a byte are doubled.
    """
    try:
        text = os.fsencode(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # It is text already, of letters that the system's encoding lacks.
        text = name
    text = re.sub(r"(\\+)(?=udc[0-9a-f]{2}|[\udc80-\udcff])", r"\1\1", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _apart(paths: list[str]) -> dict[str, str]:
    """Each absolute path with the part of it, with `/`, that tells it from the others."""
    try:
        common = os.path.commonpath([os.path.dirname(path) for path in paths])
        return {path: Path(path).relative_to(common).as_posix() for path in paths}
    except ValueError:  # They lie on several drives of Windows, whose letter is like a folder then.
        parts = {path: os.path.splitdrive(path) for path in paths}
        return {
            path: "/".join([drive.strip("\\/:").replace("\\", "/"), tail.replace("\\", "/").lstrip("/")])
            for path, (drive, tail) in parts.items()
        }


def _matches(pattern: str) -> set[str]:
    """What a glob pattern matches. `**` is a folder and all below it; at the end, it is the folder alone."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return set(glob.glob(pattern))
    place = parts.index("**")
    roots = glob.glob(os.path.join(*parts[:place])) if place else [os.curdir]
    below = list(itertools.dropwhile(lambda part: part == "**", parts[place:]))
    if not below:
        return set(roots)
    found: set[str] = set()
    for root in roots:
        for folder, _ in _folders(root, lambda error: None):
            found |= _matches(os.path.join(glob.escape(folder), *below))
    return found


def _folders(root: str, note_unlisted: Callable[[OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """A folder and those below it, links followed, each with the names of its files.

    Each is there once, whatever links lead to it: some lead in circles. Hidden ones, and the annotated pictures of an
    earlier run, are left out.
    """
    seen = set()
    for parent, folders, names in os.walk(root, followlinks=True, onerror=note_unlisted):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (name in _MADE and "predictions.csv" in names)
        )
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield parent, names


def _pictures_below(folder: str) -> list[str]:
    """Paths of the files named like pictures in a folder and below it, links followed, sorted."""
    paths: list[str] = []

    def note_unlisted(error: OSError) -> None:
        paths.append(error.filename)  # A folder that cannot be listed gets a row with the reason.

    for parent, names in _folders(folder, note_unlisted):
        paths += [
            os.path.join(parent, name)
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    return paths
