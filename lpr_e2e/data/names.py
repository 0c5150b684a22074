"""From names of pictures as people and tools write them to the files that they mean.

A name is compared with the files from its end: the file's name first, then the folders before it. Case, the ending,
slashes, how accents are composed, folders of another machine, and the zeros that a spreadsheet takes from a number make
no difference, nor, where that finds nothing, do blanks and signs that systems exchange for others, as long as one file
alone is meant.
No name leads out of the folders that are searched, because only files that were listed there are ever found.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.data.labels import names_test
from lpr_e2e.data.spreadsheets import unquoted

# What tools put before a name: `file:`, a server, or Label Studio's `/data/local-files/?d=`.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*")
_QUERY = re.compile(r"\?(?:.*&)?d=([^&#]+).*")
# A number as programs write it among others: picture 7 is `7.0`.
_FLOAT = re.compile(r"(\d+)\.0")
# What Roboflow calls its copy of `car 1.jpg`: `car-1_jpg.rf.0123abcd.jpg`.
_ROBOFLOW = re.compile(r"(.+)_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.\w+")
# Signs that are exchanged where a name goes through an address or another system; blanks, and what no Windows allows.
_EXCHANGED = re.compile(r"[\s+_:?*<>|\"]+")
# Endings of label files, and of pictures that nothing here reads, in whose place a picture of the same name is meant.
_OTHER_ENDINGS = tuple(".txt .xml .json .nef .cr2 .cr3 .arw .dng .orf .rw2 .raf .raw .avif .jxl .svg .psd".split())
# Label Studio puts some digits of a checksum before the name of a picture that was uploaded, now eight of them.
_CHECKSUM, _UPLOADED = re.compile("[0-9a-f]{8}-(?=.)"), re.compile("[0-9a-f]{4,8}-(?=.)")


@dataclass(frozen=True)
class Found:
    """What a name means.

    Attributes:
        path: its file; None if there is none, or several.
        exact: whether it is written like the file, below the folder.
        others: files that it may mean as well, or instead.
    """

    path: Path | None
    exact: bool = False
    others: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _File:
    """A file: its path, and the parts of it, last first, as they are compared."""

    path: Path
    parts: tuple[str, ...]
    is_test: bool


class Listing:
    """The files in some folders and below them, listed once.

    Args:
        folders: to list; hidden folders are left out, links are followed.
    """

    def __init__(self, folders: Sequence[Path]):
        self._files: dict[Path, _File] = {}
        self._by_name: dict[str, list[_File]] = defaultdict(list)
        self._by_stem: dict[str, list[_File]] = defaultdict(list)
        self._by_number: dict[str, list[_File]] = defaultdict(list)
        self._by_parent: dict[tuple[str, str], list[_File]] = defaultdict(list)
        self._by_likeness: dict[str, list[_File]] = defaultdict(list)
        for folder in folders:
            for path in _files_below(folder):
                if path not in self._files:
                    self._add(path, any(names_test(part) for part in path.relative_to(folder).parts[:-1]))

    def _add(self, path: Path, is_test: bool) -> None:
        file = _File(path, tuple(map(_folded, reversed(path.parts))), is_test)
        self._files[path] = file
        self._by_name[file.parts[0]].append(file)
        self._by_parent[file.parts[:2]].append(file)
        if path.suffix.lower() in PICTURE_SUFFIXES:
            stem = _stem(file.parts[0])
            self._by_stem[stem].append(file)
            for alike in {_alike(stem), *([_alike(copy[1])] if (copy := _ROBOFLOW.fullmatch(stem)) else [])}:
                self._by_likeness[alike].append(file)
            if stem.isdecimal():
                self._by_number[stem.lstrip("0")].append(file)

    def pictures(self, folder: Path) -> Iterator[Path]:
        """The files in a folder and below it that are named like pictures, less hidden ones and those of test sets."""
        for path, file in self._files.items():
            is_picture = path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
            if is_picture and not file.is_test and path.is_relative_to(folder):
                yield path

    def find(self, written: str, folder: Path, without: Sequence[Path] = ()) -> Found:
        """The file in a folder or below it that a name means.

        Args:
            written: the name.
            folder: one of the folders listed, or below one.
            without: folders whose files are not meant, whatever they are called.
        """
        direct = self._files.get(folder / written) if _is_plain(written) else None
        if direct is not None and _lies_in(direct, folder, without):
            return Found(direct.path, exact=direct.path.relative_to(folder).as_posix() == written)
        parts = name_parts(written)
        candidates = self._named(parts)
        if not candidates and parts and (number := _FLOAT.sub(r"\1", parts[0])).isdecimal():
            candidates = self._by_number.get(number.lstrip("0"), [])
        if not candidates and parts and (uploaded := _without_checksum(written, parts[0])):
            parts = (uploaded, *parts[1:])
            candidates = self._named(parts)
        if not candidates and parts:
            candidates = self._by_likeness.get(_alike(_stem(parts[0])), [])
        inside = [file for file in candidates if _lies_in(file, folder, without)]
        reach = max((_agreeing(file, parts) for file in inside), default=-1)
        elsewhere = tuple(file.path for file in candidates if file not in inside and _agreeing(file, parts) > reach)
        if not inside or elsewhere:
            return Found(None, others=elsewhere)
        agreeing = [file for file in inside if _agreeing(file, parts) == reach]
        depth = len(folder.parts) + len(parts)
        exactness = [(len(file.parts) == depth, _exactness(file, parts[0], written)) for file in agreeing]
        best = [file for file, exact in zip(agreeing, exactness, strict=True) if exact == max(exactness)]
        if len(best) > 1:
            return Found(None, others=tuple(file.path for file in best))
        return Found(best[0].path)

    def _named(self, parts: tuple[str, ...]) -> list[_File]:
        """The files with a name or its stem; if some lie in the folder that is written before it, those alone."""
        if not parts:
            return []
        name, stem = parts[0], _stem(parts[0])
        if len(parts) > 1 and (name, parts[1]) in self._by_parent:
            # Where each picture has a folder of its own, there may be thousands of one name.
            return self._by_parent[name, parts[1]]
        return self._by_name.get(name, []) + [file for file in self._by_stem.get(stem, []) if file.parts[0] != name]


def name_parts(written: str) -> tuple[str, ...]:
    """The parts of a name, last first, as they are compared; without what stands before its last `..`.

    Backslashes, `file:`, servers, what follows a `?`, %20 and drives are understood.
    """
    name = unquoted(written.strip()).strip("\"'\u2018\u2019\u201c\u201d").replace("\\", "/")
    query = _QUERY.search(name)
    if query:
        name = query[1]
    elif _SCHEME.match(name):
        name = _SCHEME.sub("", name).split("?")[0].split("#")[0]
    parts = [part for part in unquote(name).replace("\\", "/").split("/") if part.strip(". ") or part == ".."]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return tuple(_folded(part.strip()) for part in reversed(parts))


def _is_plain(written: str) -> bool:
    """Whether a name can be that of a file below a folder as it stands."""
    return bool(written) and ".." not in written.split("/") and not os.path.isabs(written)


def _lies_in(file: _File, folder: Path, without: Sequence[Path]) -> bool:
    path = str(file.path)
    return (
        not file.is_test
        and path.startswith(f"{folder}{os.sep}")
        and not any(path.startswith(f"{other}{os.sep}") for other in without)
    )


def _agreeing(file: _File, parts: tuple[str, ...]) -> int:
    """How many folders before a file, from its own on, are the name's."""
    pairs = zip(file.parts[1:], parts[1:], strict=False)
    return next((count for count, (of_file, of_name) in enumerate(pairs) if of_file != of_name), len(parts) - 1)


def _exactness(file: _File, name: str, written: str) -> int:
    """How exactly a file's own name is the one that was written."""
    own = re.split(r"[\\/]", written.strip())[-1]
    of_file = file.path.name
    return 3 if own == of_file else 2 if _composed(own) == _composed(of_file) else int(file.parts[0] == name)


def _without_checksum(written: str, name: str) -> str:
    """The name of a picture before Label Studio stored it; "" if it was not stored there."""
    pattern = _UPLOADED if "/upload/" in written else _CHECKSUM
    return pattern.sub("", name, count=1) if pattern.match(name) else ""


def _stem(name: str) -> str:
    """A folded name without its ending, if that is a picture's."""
    stem, ending = os.path.splitext(name)
    return stem if ending in PICTURE_SUFFIXES else name


def _alike(stem: str) -> str:
    """A folded name without its ending, as it is compared where nothing else fits: `car+1` is `car 1` or `car_1`.

    Another width of letters, and an ending that a system has hidden (`car.jpg.jpg`), make no difference either.
    """
    stem = unicodedata.normalize("NFKC", stem).casefold()
    if stem.endswith(_OTHER_ENDINGS):
        stem = os.path.splitext(stem)[0]
    while _stem(stem) not in (stem, ""):
        stem = _stem(stem)
    return _EXCHANGED.sub("_", stem)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=1 << 14)
def _folded(name: str) -> str:
    seen = "".join(letter for letter in unquote(name) if unicodedata.category(letter) != "Cf")
    return _composed(_composed(seen).casefold())


def _files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and below it, sorted; a folder that a link leads back to is listed once."""
    seen = set()
    waiting = [str(folder)]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(current) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir():
                    if not entry.name.startswith("."):
                        waiting.append(entry.path)
                elif entry.is_file():
                    yield Path(entry.path)
            except OSError:  # A link to itself.
                continue
