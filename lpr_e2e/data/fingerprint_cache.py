"""Fingerprints of pictures on disk, so that a data set that did not change need not be decoded again.

One file holds those of a data set. It is a copy of what can be had from the pictures at any time: where it is missing,
damaged or of another version it is made anew, and where it cannot be written nothing is lost but time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lpr_e2e.common.archives import refuse_unsound
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import owned, read_file, whole_file
from lpr_e2e.data.fingerprints import (
    COLOUR_SIDE,
    PHOTOGRAPH_SIDE,
    VERSION,
    Box,
    CropFingerprint,
    PhotographFingerprint,
    PlateFingerprint,
)

FOLDER, FILE, COMPARISONS = ".lpr_e2e_cache", "fingerprints.npz", "comparisons.json"
# A data set is compared as a whole, without what a list excludes, and by a check: so many answers are kept.
_COMPARISONS_KEPT = 6
# Whatever a damaged file makes of its reader.
_DAMAGED = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)

Fingerprint = PhotographFingerprint | CropFingerprint
# The numbers and the pixels of a fingerprint.
_Kept = tuple[np.ndarray, np.ndarray]


class FingerprintCache:
    """Fingerprints by file, kept in a folder.

    Args:
        folder: where the file of fingerprints is or will be; None keeps nothing.

    Attributes:
        note: what people should know of where it is kept; "" if there is nothing to say.
    """

    def __init__(self, folder: Path | None, note: str = ""):
        self.note = note
        self._folder = None if folder is None else Path(folder)
        self._kept: dict[str, tuple[str, _Kept]] = {}
        self._used: set[str] = set()
        self._changed = False
        self._read_as: tuple[int, int] | None = None
        self._read()

    @classmethod
    def beside(cls, data: Path, folder: Path | None = None) -> FingerprintCache:
        """The cache of a data folder or label file: in `folder` if that is given, else in the data folder.

        Where that is read-only, it is kept among the user's own caches; where those are, too, nothing is kept.
        """
        if folder is not None:
            return cls(folder)
        base = data if data.is_dir() else data.parent
        if _is_writable(base / FOLDER):
            return cls(base / FOLDER)
        # Data of the same name elsewhere are other data.
        name = hashlib.sha256(os.fsencode(base.resolve())).hexdigest()[:16]
        own = _users_caches() / "lpr_e2e" / name
        if _is_writable(own):
            return cls(own, f"{base} is read-only: what its pictures look like is remembered in {own}.")
        return cls(None, f"{base} and {own} are read-only: its pictures are decoded anew each time; see --cache.")

    def get(self, path: Path, boxes: Sequence[Box] | None) -> Fingerprint | None:
        """The fingerprint of a photograph with these boxes, or of a crop (None), unless the file has changed since."""
        key, state = self._key(path, boxes is None), _state(path, boxes)
        known = self._kept.get(key)
        if known is None or state is None or known[0] != state:
            return None
        try:
            fingerprint = _crop_of(*known[1]) if boxes is None else _photograph_of(*known[1])
        except _DAMAGED:
            return None
        self._used.add(key)
        return fingerprint

    def put(self, path: Path, boxes: Sequence[Box] | None, fingerprint: Fingerprint, state: str | None) -> None:
        """Remember a fingerprint; `state` is what `state_of` gave before the picture was read."""
        if self._folder is not None and state is not None and state == _state(path, boxes):
            key = self._key(path, boxes is None)
            self._kept[key] = state, _kept(fingerprint)
            self._used.add(key)
            self._changed = True

    @staticmethod
    def state_of(path: Path, boxes: Sequence[Box] | None) -> str | None:
        """What a fingerprint depends on: the file's size and time, and the boxes; None where there is no file."""
        return _state(path, boxes)

    def save(self) -> None:
        """Write what is new, beside what another process has written in the meantime; without a word if that fails."""
        if self._folder is None or not self._changed:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with owned(self._folder / "lock", "another process writes it"):
                self._merge()
                with whole_file(_own(self._folder / FILE)) as temporary, temporary.open("wb") as file:
                    np.savez(file, **self._columns())
                self._changed = False
        except (OSError, UserError):
            # Full, read-only, or another process is at it: the pictures are still there.
            self.note = f"{self._folder}: not written, so pictures will be decoded anew next time."

    def comparison(self, key: str) -> dict[str, list] | None:
        """What was kept under this key, see `keep_comparison`."""
        return dict(self._comparisons()).get(key)

    def keep_comparison(self, key: str, found: dict[str, list]) -> None:
        """Keep what was found to show the same: lists of numbers by name; without a word if that fails."""
        if self._folder is None:
            return
        others = [one for one in self._comparisons() if one[0] != key]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with owned(self._folder / "lock", "another process writes it"):
                with whole_file(_own(self._folder / COMPARISONS)) as temporary:
                    kept = [*others[1 - _COMPARISONS_KEPT :], (key, found)]
                    temporary.write_text(json.dumps(kept), encoding="ascii")
        except (OSError, UserError):
            self.note = f"{self._folder}: not written, so pictures will be compared anew next time."

    def _comparisons(self) -> list[tuple[str, dict[str, list]]]:
        if self._folder is None:
            return []
        try:
            kept = json.loads(read_file(self._folder / COMPARISONS))
            return [(str(key), _lists_of_numbers(found)) for key, found in kept]
        except (*_DAMAGED, AttributeError, RecursionError):
            return []

    def _key(self, path: Path, is_crop: bool) -> str:
        try:
            # A data folder that is moved, with what is kept in it, is still the same.
            name = os.path.relpath(path, self._folder or path.anchor)
        except ValueError:  # Another drive.
            name = os.path.abspath(path)
        return ("crop " if is_crop else "photograph ") + name

    def _read(self) -> None:
        """What is kept on disk; nothing where that is missing, damaged or of another version."""
        self._kept = {}
        if self._folder is None:
            return
        try:
            file = self._folder / FILE
            self._read_as = _identity(file)
            refuse_unsound(file)
            with np.load(file, allow_pickle=False) as columns:
                if int(columns["version"]) != VERSION:
                    return
                entries = json.loads(columns["entries"].tobytes().decode("ascii"))
                numbers, pixels = columns["numbers"], columns["pixels"]
            if numbers.dtype != np.float64 or pixels.dtype != np.uint8 or numbers.ndim != 1 or pixels.ndim != 1:
                return
            ends = np.cumsum([[0, 0]] + [[int(entry[2]), int(entry[3])] for entry in entries], axis=0)
            if ends.min() < 0 or tuple(ends[-1]) != (len(numbers), len(pixels)):
                return
            self._kept = {
                str(key): (str(state), (numbers[start[0] : end[0]], pixels[start[1] : end[1]]))
                for (key, state, *_), start, end in zip(entries, ends, ends[1:], strict=False)
            }
        except Exception:  # NumPy has many kinds for headers that are none.
            self._kept = {}

    def _merge(self) -> None:
        """Take over what another process has written since; forget files that are gone."""
        if _identity(self._folder / FILE) != self._read_as:
            ours = {key: self._kept[key] for key in self._used}
            self._read()
            self._kept |= ours
        for key in set(self._kept) - self._used:
            if not os.path.exists(os.path.join(self._folder, key.split(" ", 1)[1])):
                del self._kept[key]

    def _columns(self) -> dict[str, np.ndarray]:
        entries = [
            [key, state, len(numbers), len(pixels)] for key, (state, (numbers, pixels)) in sorted(self._kept.items())
        ]
        kept = [kept for _, (_, kept) in sorted(self._kept.items())]
        return {
            "version": np.int64(VERSION),
            "entries": np.frombuffer(json.dumps(entries).encode("ascii"), np.uint8),
            "numbers": np.concatenate([np.zeros(0), *(numbers for numbers, _ in kept)]),
            "pixels": np.concatenate([np.zeros(0, np.uint8), *(pixels for _, pixels in kept)]),
        }


def _state(path: Path, boxes: Sequence[Box] | None) -> str | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    written = "" if boxes is None else repr([tuple(map(float, box)) for box in boxes])
    return f"{found.st_size} {found.st_mtime_ns} {hashlib.sha256(written.encode()).hexdigest()[:24]}"


def _own(file: Path) -> Path:
    """A file of ours to write. A link or a pipe in its place, which came with somebody's data, is removed."""
    if file.is_symlink() or (file.exists() and not file.is_file()):
        file.unlink()
    return file


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _is_writable(folder: Path) -> bool:
    """Whether a folder, which need not exist, can be written to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _users_caches() -> Path:
    """Where this system wants programs to keep what they can make anew."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _kept(fingerprint: Fingerprint) -> _Kept:
    """A fingerprint as numbers and pixels."""
    if isinstance(fingerprint, CropFingerprint):
        numbers = [*fingerprint.grey.shape, *fingerprint.shape, fingerprint.scale]
        pixels = [fingerprint.grey, fingerprint.colours]
    else:
        numbers, pixels = [*fingerprint.shape], [fingerprint.whole]
        for plate in fingerprint.plates:
            numbers += [*plate.grey.shape, *plate.box, *plate.shape, plate.scale]
            pixels += [plate.grey, plate.colours]
    return np.array(numbers, "float64"), np.concatenate([values.ravel() for values in pixels])


def digest(fingerprints: Sequence[Fingerprint]) -> str:
    """The same for the same pictures in the same order, and for no others."""
    found = hashlib.sha256()
    for fingerprint in fingerprints:
        for values in _kept(fingerprint):
            found.update(f"{type(fingerprint).__name__} {len(values)} ".encode())
            found.update(values.tobytes())
    return found.hexdigest()


def _lists_of_numbers(found: dict) -> dict[str, list]:
    """What `keep_comparison` was given, or an error if that is anything else."""
    for rows in found.values():
        if not all(isinstance(value, int | float) for row in rows for value in row):
            raise ValueError("expected numbers")
    return found


class _Pixels:
    """Takes pictures off an array of pixels, one after the other."""

    def __init__(self, pixels: np.ndarray):
        self._left = pixels

    def take(self, *shape: float) -> np.ndarray:
        sides = [int(side) for side in shape]
        count = int(np.prod(sides))
        taken, self._left = self._left[:count], self._left[count:]
        return taken.reshape(sides)

    def end(self) -> None:
        """Make sure that nothing is left."""
        if len(self._left):
            raise ValueError("more pixels than pictures")


def _crop_of(numbers: np.ndarray, values: np.ndarray) -> CropFingerprint:
    pixels = _Pixels(values)
    grey, colours = pixels.take(*numbers[:2]), pixels.take(COLOUR_SIDE, COLOUR_SIDE, 3)
    pixels.end()
    return CropFingerprint(grey, colours, float(numbers[4]), (int(numbers[2]), int(numbers[3])))


def _photograph_of(numbers: np.ndarray, values: np.ndarray) -> PhotographFingerprint:
    pixels = _Pixels(values)
    whole = pixels.take(PHOTOGRAPH_SIDE, PHOTOGRAPH_SIDE)
    plates = []
    for one in numbers[2:].reshape(-1, 9):
        grey, colours = pixels.take(*one[:2]), pixels.take(COLOUR_SIDE, COLOUR_SIDE, 3)
        ymin, xmin, ymax, xmax, height, width = (int(value) for value in one[2:8])
        plates.append(PlateFingerprint(grey, (ymin, xmin, ymax, xmax), colours, float(one[8]), (height, width)))
    pixels.end()
    return PhotographFingerprint(tuple(plates), whole, (int(numbers[0]), int(numbers[1])))
