"""How real plates look: colours, shape and where the characters stand, learned from plate crops.

A style is a sample of looks, each taken from one crop, so that what goes together stays together: yellow ground and
black characters, two lines and a squarer plate. All of it is rough: crops are small, tilted and lit in every way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from lpr_e2e.common.scripts import clusters, joins_next

Colour = tuple[float, float, float]
# Crops are looked at with so many rows, and looks kept of at most so many crops.
ROWS, MOST_LOOKS = 48, 400
LEAST_CROPS = 8  # a style of fewer would be chance
# Letters are joined if more than this share of the plates looks so. Of drawn joined plates 42 % do; apart, 3 %.
JOINED_SHARE = 0.2
# The columns that are looked at: the ends of a crop often show the car.
_INNER = (0.08, 0.92)
# Rows with this share of the greatest change from column to column belong to a line of characters; a line takes at
# least this share of the plate, and the second of two is at least so high in heights of the first.
_LINE, _LEAST_LINE, _SECOND_LINE = 0.42, 0.2, 0.6
_FAINTEST = 0.3  # change along a second line, in that along the first
_TWO_LINES_ASPECT = 2.6  # no plate longer than this has two lines
# Distance of RGB colours from which on a part of a plate has another colour than its ground, and characters show.
_OTHER_COLOUR, _LEAST_CONTRAST = 60.0, 24.0
_SMALL_PRINT = 0.3  # change along a row outside the lines, in those of the lines, that speaks of small print
_GAP = 1.4  # a step from one character to the next is a gap from so many usual steps on


@dataclass(frozen=True)
class PlateLook:
    """What one plate looks like. Colours are RGB 0..255, places shares of the plate's height.

    Attributes:
        ground, paint: colours of the ground and the characters.
        aspect: width per height.
        lines: centre and height of each line of characters, the upper one first.
        above, below: colours of what is above and below the characters; None: that of the ground.
        small_above, small_below: whether there is small print.
        length: how many characters the plate has.
        gaps: after how many characters from the left, all lines together, there is a gap; None: unknown.
        pieces: how many separate pieces of ink stand side by side on the lines.
    """

    ground: Colour
    paint: Colour
    aspect: float
    lines: tuple[tuple[float, float], ...]
    above: Colour | None
    below: Colour | None
    small_above: bool
    small_below: bool
    length: int
    gaps: tuple[int, ...] | None
    pieces: tuple[int, ...]

    @property
    def form(self) -> tuple[int, int]:
        """Plates of one form have gaps at the same places: the numbers of characters and lines."""
        return self.length, len(self.lines)

    @property
    def dark_on_light(self) -> bool:
        """Whether the characters are darker than their ground."""
        return sum(self.paint) < sum(self.ground)


@dataclass(frozen=True)
class PlateStyle:
    """Looks of real plates: plain numbers, small enough to be sent to another process or stored.

    Attributes:
        looks: of the plates sampled.
        joined: whether Arabic letters are joined; None: unknown.
    """

    looks: tuple[PlateLook, ...]
    joined: bool | None = None

    def summary(self) -> dict[str, float]:
        """Shares and middle values for people."""
        return {
            "plates": len(self.looks),
            "dark_on_light": float(np.mean([look.dark_on_light for look in self.looks])),
            "two_lines": float(np.mean([len(look.lines) == 2 for look in self.looks])),
            "aspect": float(np.median([look.aspect for look in self.looks])),
            "character_height": float(np.median([look.lines[0][1] for look in self.looks])),
        }

    def as_numbers(self) -> dict:
        """For a JSON file; `PlateStyle.of_numbers` takes it."""
        return asdict(self)

    @classmethod
    def of_numbers(cls, numbers: dict) -> PlateStyle:
        """The style that `as_numbers` gave, also after its way through JSON."""
        return cls(tuple(PlateLook(**_tuples(look)) for look in numbers["looks"]), numbers["joined"])


def learn_style(plates: Iterable[tuple[np.ndarray, str]]) -> PlateStyle | None:
    """The style of real plates; None if too few of them can be made out. Takes about 1 ms a plate.

    Args:
        plates: upright crops, uint8 RGB `(h, w, 3)`, about as large as their plates, with their texts; 200 are enough.
    """
    looks: list[PlateLook] = []
    judged: list[bool] = []
    for picture, text in plates:
        look = read_look(picture, text)
        if look is None:
            continue
        looks.append(look)
        if (joined := _looks_joined(look, text)) is not None:
            judged.append(joined)
        if len(looks) == MOST_LOOKS:
            break
    if len(looks) < LEAST_CROPS:
        return None
    return PlateStyle(tuple(looks), bool(np.mean(judged) > JOINED_SHARE) if len(judged) >= LEAST_CROPS else None)


def read_look(picture: np.ndarray, text: str) -> PlateLook | None:
    """The look of one upright crop, uint8 RGB `(h, w, 3)`; None if no characters can be made out on it."""
    height, width = picture.shape[:2]
    if min(height, width) < 8 or not text.strip():
        return None
    aspect = width / height
    small = cv2.resize(picture, (max(8, round(ROWS * aspect)), ROWS), interpolation=cv2.INTER_AREA)
    inner = small[:, round(_INNER[0] * small.shape[1]) : round(_INNER[1] * small.shape[1])]
    change = np.abs(np.diff(inner.astype("float32"), axis=1)).max(2).mean(1)
    change = np.convolve(change, np.ones(3) / 3, "same")
    length = len(clusters(text.replace(" ", "")))
    lines = _lines_of(text_lines, inner, length) if (text_lines := _lines(change, aspect)) else []
    if not lines:
        return None
    top, bottom = lines[0][0], lines[-1][1]
    ground, paint = _ground_and_paint(inner[slice(*max(lines, key=lambda line: line[1] - line[0]))])
    if np.linalg.norm(paint - ground) < _LEAST_CONTRAST:
        return None
    runs = [_runs(inner[first:last]) for first, last in lines]
    level = max(float(change[first:last].mean()) for first, last in lines)
    return PlateLook(
        _plain(ground),
        _plain(paint),
        aspect,
        tuple(((first + last) / 2 / ROWS, (last - first) / ROWS) for first, last in lines),
        _other_colour(inner[: max(0, top - 2)], ground),
        _other_colour(inner[bottom + 2 :], ground),
        bool(change[: max(0, top - 3)].max(initial=0) > _SMALL_PRINT * level),
        bool(change[bottom + 3 :].max(initial=0) > _SMALL_PRINT * level),
        length,
        _gaps(runs, length),
        tuple(map(len, runs)),
    )


def _looks_joined(look: PlateLook, text: str) -> bool | None:
    """Whether the letters of a plate are joined; None if it has none that could be, or cannot say."""
    parts = clusters(text) if len(look.lines) == 1 else []
    joints = sum(
        joins_next(one[0]) and joins_next(next_one[0]) for one, next_one in zip(parts, parts[1:], strict=False)
    )
    if not joints:
        return None
    return sum(look.pieces) <= look.length - 0.5 * joints - 0.5


def _lines(change: np.ndarray, aspect: float) -> list[tuple[int, int]]:
    """First row, and row behind the last, of each line of characters, by the change along each row, `(ROWS,)`.

    The main line comes first; another one may stand above or below it.
    """
    first = _strongest(change, 2, len(change) - 2)
    if first is None or first[1] - first[0] < _LEAST_LINE * ROWS:
        return []
    if aspect > _TWO_LINES_ASPECT:
        return [first]
    # A line of two characters changes less than one of five: it is sought by itself, in what the first one leaves.
    above, below = _strongest(change, 2, first[0] - 1), _strongest(change, first[1] + 1, len(change) - 2)
    others = [run for run in (above, below) if run and change[slice(*run)].max() > _FAINTEST * change[2:-2].max()]
    second = max(others, key=lambda run: run[1] - run[0], default=(0, 0))
    high_enough = second[1] - second[0] >= max(_SECOND_LINE * (first[1] - first[0]), _LEAST_LINE * ROWS)
    return [first, second] if high_enough else [first]


def _strongest(change: np.ndarray, start: int, end: int) -> tuple[int, int] | None:
    """Of the rows from `start` to before `end`, the longest run of those that change much."""
    if end - start < 3:
        return None
    strong = np.concatenate([[False], change[start:end] >= _LINE * change[start:end].max(), [False]])
    steps = np.flatnonzero(np.diff(strong.astype(int)))
    first, last = max(zip(steps[::2], steps[1::2], strict=True), key=lambda run: run[1] - run[0])
    return int(first) + start, int(last) + start


def _lines_of(lines: list[tuple[int, int]], inner: np.ndarray, length: int) -> list[tuple[int, int]]:
    """Those of the lines, the main one first, that the text stands on, from above: both if both are needed for it.

    Above or below the number there may be a country's name nearly as large as that.
    """
    pieces = [len(_runs(inner[first:last])) for first, last in lines]
    needed = len(lines) == 2 and abs(sum(pieces) - length) <= 1 < abs(pieces[0] - length)
    return sorted(lines) if needed else lines[:1]


def _ground_and_paint(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two colours of a part of a plate, float `(3,)` each; most of it is ground."""
    pixels = part.reshape(-1, 3).astype("float32")
    middle = pixels.mean(0)
    axis = np.linalg.eigh(np.cov((pixels - middle).T))[1][:, -1]
    along = (pixels - middle) @ axis
    levels = np.interp(along, (along.min(), along.max()), (0, 255)).astype("uint8")
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    high = levels > threshold
    if not high.any() or high.all():
        return middle, middle
    means = [_outer_mean(pixels[side], pixels[~side].mean(0)) for side in (high, ~high)]
    return (means[0], means[1]) if 2 * high.sum() > len(high) else (means[1], means[0])


def _outer_mean(pixels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The mean colour of the half of the pixels that is further from the other colour: blur mixes both at the edges."""
    distances = np.linalg.norm(pixels - other, axis=1)
    return pixels[distances >= np.median(distances)].mean(0)


def _runs(line: np.ndarray) -> list[tuple[float, float]]:
    """The pieces of ink of a line of characters from left to right: where each begins and ends, in line heights."""
    ground, paint = _ground_and_paint(line)
    axis = (paint - ground) / max(1.0, np.sum((paint - ground) ** 2))
    ink = ((line.astype("float32") - ground) @ axis > 0.5).sum(0) >= max(2, 0.15 * line.shape[0])
    steps = np.flatnonzero(np.diff(np.concatenate([[0], ink.astype(int), [0]])))
    return [(first / line.shape[0], last / line.shape[0]) for first, last in zip(steps[::2], steps[1::2], strict=True)]


def _gaps(runs: list[list[tuple[float, float]]], length: int) -> tuple[int, ...] | None:
    """After how many characters there is a gap or the line ends; None unless every piece is one character."""
    if sum(map(len, runs)) != length:
        return None
    gaps, before = [], 0
    for line in runs:
        middles = np.array([(first + last) / 2 for first, last in line])
        steps = np.diff(middles)
        gaps += [before + index + 1 for index in np.flatnonzero(steps > _GAP * np.median(steps))] if len(steps) else []
        before += len(line)
        gaps += [before] if before < length else []
    return tuple(int(gap) for gap in gaps)


def _other_colour(part: np.ndarray, ground: np.ndarray) -> Colour | None:
    """The colour of a part of the plate if it is high enough to count and not like the ground."""
    if part.shape[0] < 0.12 * ROWS:
        return None
    colour = np.median(part.reshape(-1, 3), 0)
    return _plain(colour) if np.linalg.norm(colour - ground) > _OTHER_COLOUR else None


def _plain(colour: Sequence[float] | np.ndarray) -> Colour:
    red, green, blue = (round(float(value), 1) for value in colour)
    return red, green, blue


def _tuples(look: dict) -> dict:
    """Lists, as JSON gives them, turned into tuples."""
    return {name: _tuple(value) for name, value in look.items()}


def _tuple(value):
    return tuple(_tuple(one) for one in value) if isinstance(value, list | tuple) else value
