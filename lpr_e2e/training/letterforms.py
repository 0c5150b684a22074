"""The letters of a country's plates, learned from its real plates: the typeface that drawn plates are set in.

No font has the letters of most countries' plates, and where two of them differ by a stroke, a drawn plate teaches the
wrong one: on Indonesian plates the tail of the Q lies inside and the O has a stroke. The reader of stage one knows
where on a plate each character stands. The cells of each are brought to one size and averaged: what they have in common
is the letter, what differs is dirt, light and blur. Where plates are set in two typefaces, as old and new ones often
are, a character whose cells are of two kinds has two looks: their average would be neither.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common.archives import refuse_unsound
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_file
from lpr_e2e.drawing.glyphs import GLYPH_HEIGHT
from lpr_e2e.drawing.letters import Looks

# What is looked at above and below a plate's box, and around the middle of its characters, in heights of the box.
_AROUND, _BAND = 0.1, 0.15
# Plates lower than this, pixels, or with less contrast, grey levels, show no shapes.
_LEAST_HEIGHT, _LEAST_CONTRAST = 24, 40
# Enlarged by this, so that cutting at whole pixels loses nothing.
_ENLARGED = 3
# Cells are cut at the emptiest column within this share of the distance between two characters. It has to be this
# empty, in shares of full ink, or the characters touch; and a character fills this share of its line's height, or it is
# none of those that are all as high as a digit.
_SNAP, _MOST_BETWEEN, _FILLED = 0.3, 0.5, 0.85
_LEAST_PART = 0.35  # a part that stands apart at a side and is lower than this share of the line is no part of it
# Where a line ends above and below: rows with less than this share of the ink of its middle.
_FAINT_ROW = 0.35
_INK = 0.55  # from here on it is ink, in shares of full ink
# A letter is known from so many plates on, if they are this much alike; widths may differ by this share.
_LEAST_PLATES, _LEAST_LIKENESS, _WIDTHS = 4, 0.75, 0.25
# Plates higher than this, pixels, count no more for it.
_SHARP_HEIGHT = 48
_ROUNDS = 3  # of weighing the cells by their likeness to the mean
# Stand in the file between the name of a data set and a character, and before the number of a further look.
_AFTER_NAME, _AFTER_CODE = "/", "-"
# How many there are, so that none can be missing.
_COUNT = "count"
# Cells are of two kinds if each is on this share of the plates, and the two are no more alike than this. They are
# compared a little blurred, by so many rows of a glyph.
_KIND_SHARE, _KINDS_ALIKE, _COMPARED_BLUR = 0.15, 0.75, 2
_STEEP = 3  # the mean of many is blurred: its edges are made so much steeper again


class LetterForms:
    """Collects the characters of real plates, and gives what each of them looks like."""

    def __init__(self) -> None:
        self._cells: dict[str, list[tuple[float, np.ndarray]]] = defaultdict(list)

    def add(self, picture: np.ndarray, box, characters: str, cuts: np.ndarray, level: float) -> None:
        """Collect characters that stand side by side; those that touch a neighbour are left out.

        Args:
            picture: uint8 RGB `(h, w, 3)`, the plate upright.
            box: yxyx of the plate in it.
            characters: n of them, from left to right.
            cuts: `(n + 1,)`, where to cut around them, in widths of the plate from its left edge, rising.
            level: where their middle is, in heights of the plate from its top.
        """
        top, left, bottom, right = (float(value) for value in box)
        if bottom - top < _LEAST_HEIGHT:
            return
        # A box that is too tight cuts nothing off.
        around = _AROUND * (bottom - top)
        first, last = max(0, round(top - around)), min(len(picture), round(bottom + around))
        grey = cv2.cvtColor(np.ascontiguousarray(picture[first:last]), cv2.COLOR_RGB2GRAY).astype("float32")
        grey = cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
        row = round((top + level * (bottom - top) - first) * _ENLARGED)
        band = max(1, round(_BAND * (bottom - top) * _ENLARGED))
        edges = np.clip((left + np.asarray(cuts) * (right - left)) * _ENLARGED, 0, grey.shape[1] - 1)
        if np.diff(edges).min() < _ENLARGED:
            return
        ink = _ink(grey, slice(max(0, row - band), row + band + 1), edges.astype(int))
        if ink is None:
            return
        rows = _rows(ink[:, int(edges[0]) : int(edges[-1])].mean(1), row, band)
        if rows is None:
            return
        line, reach = ink[rows], max(1, round(_SNAP * float(np.diff(edges).min())))
        places = [_emptiest(line, edge, reach) for edge in edges]
        for index, character in enumerate(characters):
            start, end = places[index], places[index + 1]
            cell = _trimmed(line[:, start:end]) if max(line[:, [start, end]].max(0)) < _MOST_BETWEEN else None
            if cell is not None:
                self._cells[character].append((min(_SHARP_HEIGHT, len(line) / _ENLARGED), cell))

    def looks(self) -> dict[str, tuple[np.ndarray, ...]]:
        """The characters whose looks are known, each as one mask or two, uint8 `(GLYPH_HEIGHT, width)`, the usual one
        first."""
        found = {character: _looks(self._cells[character]) for character in sorted(self._cells)}
        return {character: masks for character, masks in found.items() if masks}


def save(letters: Mapping[str, Looks], path: Path) -> None:
    """Write the looks of characters, by the name of their data set, to a file, at once or not at all."""
    arrays = {
        f"{name + _AFTER_NAME if name else ''}{ord(character):x}{f'{_AFTER_CODE}{number}' if number else ''}": mask
        for name, of_set in letters.items()
        for character, masks in of_set.items()
        for number, mask in enumerate(masks)
    }
    count = {_COUNT: np.int64(len(arrays))}
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays, **count)


def load(path: Path) -> dict[str, dict[str, tuple[np.ndarray, ...]]]:
    """The looks that `save` wrote; none where there is no such file.

    Raises:
        UserError: the file is damaged.
    """
    if not path.exists():
        return {}
    letters: dict[str, dict[str, tuple[np.ndarray, ...]]] = defaultdict(dict)
    try:
        refuse_unsound(path)
        with np.load(path, allow_pickle=False) as file:
            keys = [key for key in file.files if key != _COUNT]
            # Files of before have no count; an archive of nothing is none of them.
            is_whole = int(file[_COUNT]) == len(keys) if _COUNT in file.files else bool(keys)
            if not is_whole:
                raise ValueError("letters are missing")
            for key in keys:  # In the order in which they were written.
                name, _, code = key.rpartition(_AFTER_NAME)
                character, mask = chr(int(code.partition(_AFTER_CODE)[0], 16)), file[key]
                if mask.dtype != np.uint8 or mask.ndim != 2 or len(mask) != GLYPH_HEIGHT or not mask.size:
                    raise ValueError(f"no letter: {character}")
                letters[name][character] = (*letters[name].get(character, ()), mask)
    except Exception as error:  # A damaged zip raises many kinds.
        raise UserError(f"{path}: damaged ({error}); restore it, or start a new run with --weights") from error
    return dict(letters)


def specimen(letters: Looks, across: int = 12) -> np.ndarray:
    """A picture of the letters, uint8 RGB, so many in a row; the looks of one stand side by side."""
    masks = [mask for looks in letters.values() for mask in looks]
    width = max((mask.shape[1] for mask in masks), default=1)
    pages = [np.pad(mask, ((6, 6), (6, width + 6 - mask.shape[1]))) for mask in masks]
    pages += [np.zeros((GLYPH_HEIGHT + 12, width + 12), "uint8")] * (-len(pages) % across)
    rows = [np.concatenate(pages[start : start + across], axis=1) for start in range(0, len(pages), across)]
    return np.repeat(255 - np.concatenate(rows)[..., None], 3, axis=2)


def _ink(grey: np.ndarray, band: slice, edges: np.ndarray) -> np.ndarray | None:
    """How much ink there is, 0 to about 1, by the ground between the characters; None if there is hardly a contrast."""
    ground = float(np.median(grey[band][:, edges]))
    low, high = np.percentile(grey[band, edges[0] : edges[-1]] - ground, (3, 97))
    contrast = max(high, -low)
    if contrast < _LEAST_CONTRAST:
        return None
    return np.clip((grey - ground) * (1 if high > -low else -1) / contrast, 0, 1.2)


def _rows(profile: np.ndarray, row: int, band: int) -> slice | None:
    """The rows of a line of characters around a row; None if they reach the edge, of the plate or into another line."""
    full = profile > _FAINT_ROW * float(np.median(profile[max(0, row - band) : row + band + 1]))
    top = bottom = row
    while top > 0 and full[top - 1]:
        top -= 1
    while bottom < len(full) and full[bottom]:
        bottom += 1
    return slice(top, bottom) if 0 < top < bottom < len(full) else None


def _emptiest(line: np.ndarray, place: float, reach: int) -> int:
    columns = np.arange(max(0, round(place) - reach), min(line.shape[1], round(place) + reach + 1))
    away = np.abs(columns - place) / reach
    return int(columns[np.argmin(line[:, columns].max(0) + line[:, columns].mean(0) + 0.1 * away)])


def _trimmed(cell: np.ndarray) -> np.ndarray | None:
    """A cell cut to its ink, float32 `(GLYPH_HEIGHT, width)`; None if that is lower than its line."""
    inked = (cell > _INK).any(0)
    # A dot or a hyphen between groups is no part of the character beside it.
    runs = [run for run in np.split(np.arange(len(inked)), np.flatnonzero(np.diff(inked)) + 1) if inked[run[0]]]
    while runs and _height(cell[:, runs[0]]) < _LEAST_PART * len(cell):
        runs.pop(0)
    while runs and _height(cell[:, runs[-1]]) < _LEAST_PART * len(cell):
        runs.pop()
    if not runs:
        return None
    cell = cell[:, runs[0][0] : runs[-1][-1] + 1]
    rows = np.flatnonzero((cell > _INK).any(1))
    if len(rows) < _FILLED * len(cell) or cell.shape[1] < _ENLARGED:
        return None
    cell = cell[rows[0] : rows[-1] + 1]
    width = max(_ENLARGED, round(cell.shape[1] * GLYPH_HEIGHT / len(cell)))
    return cv2.resize(cell, (width, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA)


def _height(part: np.ndarray) -> int:
    return int(np.ptp(np.flatnonzero((part > _INK).any(1)))) + 1


def _looks(cells: Sequence[tuple[float, np.ndarray]]) -> tuple[np.ndarray, ...]:
    """The masks of a character, the usual one first: two, if its cells are clearly of two kinds."""
    masks = [_mean(kind) for kind in _kinds(cells)]
    if len(masks) > 1 and any(mask is None for mask in masks):
        masks = [_mean(cells)]
    return tuple(mask for mask in masks if mask is not None)


def _kinds(cells: Sequence[tuple[float, np.ndarray]]) -> list[list[tuple[float, np.ndarray]]]:
    """A character's cells parted into two kinds, the more frequent one first; all together if they are of one kind."""
    least = max(_LEAST_PLATES, math.ceil(_KIND_SHARE * len(cells)))
    if len(cells) < 2 * least:
        return [list(cells)]
    width = int(np.median([cell.shape[1] for _, cell in cells]))
    blurred = [cv2.GaussianBlur(cv2.resize(cell, (width, GLYPH_HEIGHT)), (0, 0), _COMPARED_BLUR) for _, cell in cells]
    shapes = np.stack(blurred).reshape(len(cells), -1)
    shapes = shapes - shapes.mean(1, keepdims=True)
    shapes = shapes / np.maximum(np.linalg.norm(shapes, axis=1, keepdims=True), 1e-9)
    # They are parted along what they differ by most, and then go to the kind that they are more alike (k-means).
    along = np.linalg.svd(shapes - shapes.mean(0), full_matrices=False)[0][:, 0]
    is_second = along > np.median(along)
    for _ in range(_ROUNDS):
        if not least <= is_second.sum() <= len(cells) - least:
            return [list(cells)]
        means = np.stack([shapes[is_second == kind].mean(0) for kind in (False, True)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        if means[0] @ means[1] > _KINDS_ALIKE:
            return [list(cells)]
        is_second = shapes @ means[1] > shapes @ means[0]
    kinds = [[cell for cell, its in zip(cells, is_second, strict=True) if its == kind] for kind in (False, True)]
    return sorted(kinds, key=len, reverse=True)


def _mean(cells: Sequence[tuple[float, np.ndarray]]) -> np.ndarray | None:
    """What a character's cells have in common, uint8 `(GLYPH_HEIGHT, width)`; None if they are too few, or unlike."""
    width = int(np.median([cell.shape[1] for _, cell in cells]))
    usual = [(height, cell) for height, cell in cells if abs(cell.shape[1] - width) <= _WIDTHS * width + 1]
    if len(usual) < _LEAST_PLATES:
        return None
    stack = np.stack([cv2.resize(cell, (width, GLYPH_HEIGHT)) for _, cell in usual])
    sharpness = np.array([height**2 for height, _ in usual])
    mean, likeness = np.average(stack, axis=0, weights=sharpness), sharpness
    for _ in range(_ROUNDS):
        likeness = np.array([_correlation(one, mean) for one in stack])
        mean = np.average(stack, axis=0, weights=sharpness * likeness**4 + 1e-9)
    if np.median(likeness) < _LEAST_LIKENESS:
        return None
    return np.round(255 * np.clip((mean - _INK) * _STEEP + 0.5, 0, 1)).astype("uint8")


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one**2).sum() * (other**2).sum())
    return max(0.0, float((one * other).sum() / size)) if size else 0.0
