"""The pictures of a data set that can be used: each is decoded once, in several processes, or known from a cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import cv2
from tqdm import tqdm

from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.processes import end_with_parent, started_alone
from lpr_e2e.data.fingerprint_cache import FingerprintCache
from lpr_e2e.data.fingerprints import (
    Box,
    CropFingerprint,
    PhotographFingerprint,
    clip_box,
    clipped,
    crop_fingerprint,
    photograph_fingerprint,
)
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row

# A process takes about as long to start as to decode so many pictures, and is given so many at a time.
PICTURES_FOR_A_PROCESS, PICTURES_AT_A_TIME = 150, 16


@dataclass(frozen=True)
class PhotographPicture:
    """A photograph that can be used.

    Attributes:
        labelled: what its labels say.
        plates: its plates' rows, clipped to the photograph; those without a usable box are left out.
        fingerprint: of it, and of each of `plates`.
        complete: whether none was left out.
    """

    labelled: LabelledPhotograph
    plates: tuple[Row, ...]
    fingerprint: PhotographFingerprint
    complete: bool = True

    @property
    def img_id(self) -> str:
        return self.labelled.img_id

    @property
    def path(self) -> Path:
        return self.labelled.path


@dataclass(frozen=True)
class CropPicture:
    """A crop that can be used: what its labels say, and its fingerprint."""

    labelled: LabelledCrop
    fingerprint: CropFingerprint

    @property
    def row(self) -> Row:
        return self.labelled.row

    @property
    def path(self) -> Path:
        return self.labelled.path


@dataclass
class Usable:
    """What can be used of a data set, in the order of its labels.

    Attributes:
        photographs, crops: the pictures that can be used.
        problems: what is wrong with the others, or was mended.
        notes: a sentence each.
        held_texts: every text that the labels hold out, also of pictures that cannot be used.
    """

    photographs: list[PhotographPicture] = field(default_factory=list)
    crops: list[CropPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    held_texts: frozenset[str] = frozenset()


def usable(labelled: Labelled, cache: FingerprintCache | None = None, processes: int | None = None) -> Usable:
    """Decode the pictures of a data set, or know them from a cache, and clip boxes to them.

    A photograph all of whose boxes are unusable is left out: it shows a plate, and must not pass for one without.

    Args:
        labelled: photographs and crops whose files were found.
        cache: what is known from before; what is new is added to it and written.
        processes: how many decode at most; None: as many as cores, where that saves time.
    """
    cache = cache or FingerprintCache(None)
    pictures = [
        *(_Picture(one.path, tuple(row.box_px for row in one.plates)) for one in labelled.photographs),
        *(_Picture(one.path, None) for one in labelled.crops),
    ]
    fingerprints = _fingerprints(pictures, cache, processes)
    held_rows = [row for one in labelled.photographs if one.held for row in one.plates]
    held_rows += [one.row for one in labelled.crops if one.held]
    found = Usable(held_texts=frozenset(row.text for row in held_rows if row.text))
    for photograph, fingerprint in zip(labelled.photographs, fingerprints, strict=False):
        if isinstance(fingerprint, PhotographFingerprint):
            _add_photograph(found, photograph, fingerprint)
            continue
        rows = photograph.plates or (Row(str(photograph.path.parent.name), 0, photograph.img_id, None, None),)
        found.problems += [_unusable(row, photograph.path, str(fingerprint)) for row in rows[:1]]
    for crop, fingerprint in zip(labelled.crops, fingerprints[len(labelled.photographs) :], strict=True):
        if isinstance(fingerprint, CropFingerprint):
            found.crops.append(CropPicture(crop, fingerprint))
        else:
            found.problems.append(_unusable(crop.row, crop.path, str(fingerprint)))
    if cache.note:
        found.notes.append(cache.note)
    return found


def _add_photograph(found: Usable, photograph: LabelledPhotograph, fingerprint: PhotographFingerprint) -> None:
    plates = []
    for row in photograph.plates:
        plate, problem = clip_box(row, *fingerprint.shape)
        if problem is not None:
            found.problems.append(problem)
        if plate is not None:
            plates.append(plate)
    if plates or not photograph.plates:
        complete = len(plates) == len(photograph.plates)
        found.photographs.append(PhotographPicture(photograph, tuple(plates), fingerprint, complete))


def _unusable(row: Row, path: Path, reason: str) -> Problem:
    kind = {"missing file": "missing picture", "empty file (0 bytes)": "empty picture"}.get(reason)
    message = f"{path.parent.name}/{path.name}: {reason}; skipped, replace the picture or remove the row"
    return Problem(row.csv, row.number or None, row.img_id, kind or "unusable picture", message)


@dataclass(frozen=True)
class _Picture:
    """A file to decode: a photograph with these boxes, yxyx, or a crop (None)."""

    path: Path
    boxes: tuple[Box, ...] | None


# Of a picture: its fingerprint, or why it cannot be used.
_Found = PhotographFingerprint | CropFingerprint | str


def _fingerprints(pictures: Sequence[_Picture], cache: FingerprintCache, processes: int | None) -> list[_Found]:
    """The fingerprint of each picture, or why it cannot be used."""
    found: list[_Found | None] = [cache.get(one.path, one.boxes) for one in pictures]
    unknown = [number for number, one in enumerate(found) if one is None]
    states = {number: cache.state_of(pictures[number].path, pictures[number].boxes) for number in unknown}
    if processes is None:
        processes = min(available_cores(), len(unknown) // PICTURES_FOR_A_PROCESS)
    with tqdm(
        total=len(unknown), desc="pictures", unit="picture", leave=False, disable=None if sys.stderr else True
    ) as progress:
        for numbers, fingerprints in _decoded(pictures, unknown, processes):
            for number, fingerprint in zip(numbers, fingerprints, strict=True):
                found[number] = fingerprint
                if not isinstance(fingerprint, str):
                    cache.put(pictures[number].path, pictures[number].boxes, fingerprint, states[number])
            progress.update(len(numbers))
    cache.save()
    return [one for one in found if one is not None]


def _decoded(
    pictures: Sequence[_Picture], numbers: Sequence[int], processes: int
) -> Iterator[tuple[list[int], list[_Found]]]:
    """What is found in these pictures, a few at a time, in any order; in this process where no other can be had."""
    parts = [list(numbers[start : start + PICTURES_AT_A_TIME]) for start in range(0, len(numbers), PICTURES_AT_A_TIME)]
    left = dict(enumerate(parts))
    if processes > 1:
        try:
            for part, fingerprints in _decoded_beside(pictures, left, processes):
                yield left.pop(part), fingerprints
        except (OSError, BrokenProcessPool):
            pass  # None can be started, or one was ended from outside.
    for part in left.values():
        yield part, _look([pictures[number] for number in part])


def _decoded_beside(
    pictures: Sequence[_Picture], parts: dict[int, list[int]], processes: int
) -> Iterator[tuple[int, list[_Found]]]:
    """As `_decoded`, in other processes: the key of each part, and what is found in it."""
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin)
    try:
        with started_alone():
            tasks = {
                pool.submit(_look, [pictures[number] for number in numbers]): part for part, numbers in parts.items()
            }
        for task in as_completed(tasks):
            yield tasks[task], task.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """What a process does first: it has a core for itself, and nothing to do once the others have ended."""
    end_with_parent()
    cv2.setNumThreads(1)


def _look(pictures: Sequence[_Picture]) -> list[_Found]:
    """Decode pictures: their fingerprints, or why they cannot be used."""
    found: list[_Found] = []
    for one in pictures:
        try:
            picture = read_picture(one.path)
        except PictureError as error:
            found.append(str(error))
            continue
        if one.boxes is None:
            found.append(crop_fingerprint(picture))
        else:
            boxes = [clipped(box, *picture.shape[:2])[0] for box in one.boxes]
            found.append(photograph_fingerprint(picture, [box for box in boxes if box is not None]))
    return found
