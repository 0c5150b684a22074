"""In which form a label file has its boxes, told by all of them together and by the sizes of their pictures.

A reading says how four numbers are a box (`BOX_FORMS`), and whether of the picture as it is stored or as EXIF says it
is meant to be seen. The names of columns are believed as long as the boxes fit the pictures in that reading. Else the
one reading is taken in which they do; where there are several, nobody guesses: people have to say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureSize
from lpr_e2e.data.labels import BOX_ARRANGEMENTS, BOX_FORMS, BOX_SCALES

# So many boxes lie in their pictures in the right reading; the others may be faults. Below the second share the reading
# itself is in doubt.
_MOST, _DOUBTFUL = 0.98, 0.9
# Pixels of small pictures fit as thousandths, too: these are thought of only if fewer boxes than that fit as named.
_HARDLY_ANY = 0.5
# From so many boxes on they say more than the names of their columns; or from so few, if hardly any fits as named.
_MANY, _SOME = 10, 4
# What a box may reach out of its picture, in shares of its side and in pixels.
_SLACK, _SLACK_PX = 0.01, 1.5
# In any picture a plate is at least so high and wide; and boxes of photographs reach beyond this share of their sides.
_THINNEST, _SPREAD = 1.5, 0.35
# What people use, and what tools use: looked at only where those fit in nothing else.
_USUAL_SCALES, _ODD_SCALES = ("", "rel_"), ("percent_", "permille_")
# Boxes of two readings that are the same for all purposes.
_SAME_BOX = 0.9


@dataclass(frozen=True)
class Reading:
    """How boxes are to be read: a form of `BOX_FORMS`, and whether of the picture as it is stored, before EXIF."""

    form: str
    before_exif: bool = False


@dataclass(frozen=True)
class Frames:
    """The pictures of some boxes.

    Attributes:
        sizes: `(n, 2)` (height, width) as the pictures are seen.
        stored: `(n, 2)` (height, width) as they are stored.
        orientations: `(n,)` of EXIF.
        factors: `(n,)` by which boxes in pixels are too small, because a larger picture is there than was labelled.
    """

    sizes: np.ndarray
    stored: np.ndarray
    orientations: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, sizes: Sequence[PictureSize], factors: Iterable[float] = ()) -> Frames:
        """The frames of boxes whose pictures have these sizes."""
        seen = np.array([(size.height, size.width) for size in sizes], "float64").reshape(-1, 2)
        stored = np.array([size.stored for size in sizes], "float64").reshape(-1, 2)
        orientations = np.array([size.orientation for size in sizes], "int64")
        by = np.array([*factors], "float64")
        return cls(seen, stored, orientations, by if len(by) else np.ones(len(sizes)))


def corners_px(boxes: np.ndarray, form: str, sizes: np.ndarray) -> np.ndarray:
    """Boxes as labels write them to corners in pixels.

    Args:
        boxes: `(n, 4)`, in the order of `form`.
        form: one of `BOX_FORMS`.
        sizes: `(n, 2)`: (height, width) of their pictures, in pixels.

    Returns:
        float64 `(n, 4)` yxyx, not clipped, and turned inside out where the sides are negative.
    """
    scale, arrangement = _parts(form)
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    first, second = boxes[:, :2], boxes[:, 2:]
    if arrangement.removeprefix("center_").startswith("xy"):
        first, second = first[:, ::-1], second[:, ::-1]
    if arrangement.startswith("center_"):
        first = first - second / 2
    if arrangement not in ("yxyx", "xyxy"):
        second = first + second
    corners = np.concatenate([first, second], 1)
    return corners / BOX_SCALES[scale] * np.tile(sizes, 2) if scale else corners


def to_photograph(boxes: np.ndarray, reading: Reading, frames: Frames) -> np.ndarray:
    """Boxes `(n, 4)` as written to yxyx `(n, 4)` in pixels of the photographs as they are seen, not clipped."""
    sizes = frames.stored if reading.before_exif else frames.sizes
    corners = corners_px(boxes, reading.form, sizes)
    if not _parts(reading.form)[0]:
        corners = corners * frames.factors[:, None]
    return _seen(corners, frames) if reading.before_exif else corners


def _parts(form: str) -> tuple[str, str]:
    """The scale and the arrangement of a form."""
    scale = next((prefix for prefix in BOX_SCALES if prefix and form.startswith(prefix)), "")
    return scale, form.removeprefix(scale)


def _seen(corners: np.ndarray, frames: Frames) -> np.ndarray:
    """Boxes yxyx of pictures as they are stored, in the pictures as they are seen (EXIF orientation 1 to 8)."""
    top, left, bottom, right = corners.T
    height, width = frames.stored.T
    ways = {
        1: (top, left, bottom, right),
        2: (top, width - right, bottom, width - left),
        3: (height - bottom, width - right, height - top, width - left),
        4: (height - bottom, left, height - top, right),
        5: (left, top, right, bottom),
        6: (left, height - bottom, right, height - top),
        7: (width - right, height - bottom, width - left, height - top),
        8: (width - right, top, width - left, bottom),
    }
    every = np.stack([np.stack(ways[orientation], 1) for orientation in range(1, 9)])
    return every[frames.orientations - 1, np.arange(len(corners))]


@dataclass(frozen=True)
class Decision:
    """How the boxes of a label file are read, and what to say about it."""

    reading: Reading
    notes: tuple[str, ...] = ()


class _Boxes:
    """The boxes of a label file, and how they look in a reading."""

    def __init__(self, name: str, boxes: np.ndarray, frames: Frames):
        self.name, self.boxes, self.frames = name, np.asarray(boxes, "float64").reshape(-1, 4), frames
        # How much the boxes say: the same box everywhere says no more than one.
        self.evidence = len(np.unique(self.boxes, axis=0))
        self._known: dict[Reading, tuple[float, bool, bool]] = {}

    def possible(self, forms: Iterable[str]) -> _Boxes:
        """The boxes that lie in their pictures in some form: the others are faults, and tell nothing of the form."""
        readings = [Reading(form, before) for form in forms for before in self._sides()]
        inside = np.array([self._lie_inside(to_photograph(self.boxes, one, self.frames)) for one in readings]).any(0)
        if inside.mean() < _HARDLY_ANY:
            return self
        frames = self.frames
        return _Boxes(
            self.name,
            self.boxes[inside],
            Frames(frames.sizes[inside], frames.stored[inside], frames.orientations[inside], frames.factors[inside]),
        )

    def exchanged(self) -> _Boxes:
        """The same with their two corners exchanged."""
        return _Boxes(self.name, self.boxes[:, [2, 3, 0, 1]], self.frames)

    def inside(self, form: str) -> float:
        """The share of boxes that lie in their pictures, before EXIF or after."""
        return max(self._look(Reading(form, before))[0] for before in self._sides())

    def plausible(self, forms: Iterable[str]) -> list[str]:
        """The forms in which nearly all boxes lie in their pictures, and look like plates."""
        return self.different([form for form in forms if self._is_plausible(form)])

    def different(self, forms: Iterable[str]) -> list[str]:
        """The forms, less those that give the same boxes as one before."""
        kept: list[str] = []
        for form in forms:
            if not any(self._are_same(form, other) for other in kept):
                kept.append(form)
        return kept

    def is_cornered(self, form: str) -> bool:
        """Whether all boxes are in one corner of their pictures: numbers of another scale look so."""
        return self.evidence >= _MANY and not any(self._look(Reading(form, before))[2] for before in self._sides())

    def inside_of(self, reading: Reading, chosen: np.ndarray) -> np.ndarray:
        """bool `(n,)`: which of the chosen boxes lie in their pictures."""
        return self._lie_inside(to_photograph(self.boxes, reading, self.frames))[chosen]

    def wide_of(self, reading: Reading, chosen: np.ndarray) -> float:
        """The share of the chosen boxes that are wider than high."""
        top, left, bottom, right = to_photograph(self.boxes, reading, self.frames)[chosen].T
        return float(np.mean(right - left > bottom - top))

    def example(self, form: str) -> str:
        """The first box, in a reading."""
        top, left, bottom, right = to_photograph(self.boxes[:1], Reading(form), _first(self.frames))[0]
        height, width = self.frames.sizes[0]
        return f"x {left:g} to {right:g} and y {top:g} to {bottom:g} of {width:g} x {height:g}"

    def _is_plausible(self, form: str) -> bool:
        looks = [self._look(Reading(form, before)) for before in self._sides()]
        return any(inside >= _MOST and wide and spread for inside, wide, spread in looks)

    def _are_same(self, one: str, other: str) -> bool:
        """Whether two readings give nearly the same boxes."""
        first, second = (to_photograph(self.boxes, Reading(form), self.frames) for form in (one, other))
        return bool(np.median(intersection_over_union(first, second)) > _SAME_BOX)

    def _sides(self) -> tuple[bool, ...]:
        return (False, True) if (self.frames.orientations > 1).any() else (False,)

    def _look(self, reading: Reading) -> tuple[float, bool, bool]:
        if reading not in self._known:
            corners = to_photograph(self.boxes, reading, self.frames)
            inside = self._lie_inside(corners)
            top, left, bottom, right = corners[inside].T
            wide = bool(len(top)) and float(np.mean(right - left > 0.8 * (bottom - top))) >= 0.5
            reach = (corners[inside][:, 2:] / self.frames.sizes[inside]).max(0, initial=0)
            spread = self.evidence < _MANY or bool((reach > _SPREAD).all())
            self._known[reading] = float(inside.mean()), wide, spread
        return self._known[reading]

    def _lie_inside(self, corners: np.ndarray) -> np.ndarray:
        slack = self.frames.sizes * _SLACK + _SLACK_PX
        first, second = corners[:, :2], corners[:, 2:]
        inside = (first >= -slack) & (second <= self.frames.sizes + slack) & (second - first >= _THINNEST)
        return inside.all(1)


def _first(frames: Frames) -> Frames:
    return Frames(frames.sizes[:1], frames.stored[:1], frames.orientations[:1], frames.factors[:1])


def decide(
    name: str,
    boxes: np.ndarray,
    frames: Frames,
    named: str | None = None,
    candidates: Sequence[str] = (),
    told: str | None = None,
    exif: str | None = None,
    said_stored: np.ndarray | None = None,
) -> Decision:
    """How the boxes of a label file are to be read.

    Args:
        name: of the label file, for messages.
        boxes: `(n, 4)` as written, at least one; their pictures are `frames`.
        named: the form that the label file says, or the names of its columns.
        candidates: forms that the names of columns allow, where they settle none, the likeliest first.
        told: the form that somebody says (`--boxes`), which decides.
        exif: "before" or "after", if somebody says so.
        said_stored: bool `(n,)`: which pictures the label file says to be as large as they are stored, which is not as
            they are seen.

    Raises:
        UserError: several readings are possible, or what is called the sides of boxes is those of their pictures.
    """
    all_of = _Boxes(name, boxes, frames)
    arrangements = list(dict.fromkeys(_parts(form)[1] for form in candidates))
    if named is None and len(arrangements) == 1:
        named = candidates[0]
    if told is None and _are_of_pictures(all_of, [named, *candidates]):
        raise UserError(
            f"{name}: the width and height of its boxes, such as {_written(all_of)}, are those of the pictures; say "
            "with --box-columns and --boxes which columns the boxes have"
        )
    if told is not None:
        form, notes = told, []
    elif named is not None:
        form, notes = _believed(all_of, named)
    else:
        arrangements = arrangements or list(BOX_ARRANGEMENTS)
        usual = [scale + one for scale in _USUAL_SCALES for one in arrangements]
        form, notes = _told_by_numbers(all_of.possible(usual), arrangements)
    inside = all_of.inside(form)
    if inside < _DOUBTFUL:
        fitting = round(inside * len(all_of.boxes))
        notes.append(f"{name}: only {fitting} of {len(all_of.boxes)} boxes lie in their pictures, read as {form}.")
    before, note = _before_exif(all_of, form, exif, said_stored)
    return Decision(Reading(form, before), (*notes, *([note] if note else [])))


def _are_of_pictures(boxes: _Boxes, forms: Iterable[str | None]) -> bool:
    """Whether the sides of boxes are those of their pictures, which begin elsewhere than in the corner."""
    sides = boxes.boxes[:, 2:]
    same = [(sides == frames[:, ::-1]).all(1).mean() for frames in (boxes.frames.sizes, boxes.frames.stored)]
    have_sides = any(form and _parts(form)[1] in ("xywh", "center_xywh") for form in forms)
    return have_sides and max(same) > _HARDLY_ANY and len(np.unique(boxes.boxes[:, :2], axis=0)) > 1


def _believed(boxes: _Boxes, named: str) -> tuple[str, list[str]]:
    """The form that was named, unless the boxes contradict it and fit in one other, of another scale or any."""
    inside = boxes.inside(named)
    others = [form for form in BOX_FORMS if form != named]
    if inside >= _MOST and boxes.is_cornered(named) and (found := boxes.plausible(others)):
        raise _unclear(boxes, [named, *found])
    if inside >= _DOUBTFUL:
        rivals = boxes.plausible([named, *(form for form in others if _parts(form)[0] in _USUAL_SCALES)])
        if not rivals or named in rivals or boxes.evidence < _MANY:
            return named, []
        return named, [
            f"{boxes.name}: its boxes are read as {named}, as they are called; they would fit better and look more "
            f"like plates as {' or '.join(rivals)}: if that is meant, say --boxes {rivals[0]}."
        ]
    usual, odd = ([form for form in others if _parts(form)[0] in scales] for scales in (_USUAL_SCALES, _ODD_SCALES))
    same = [form for form in usual if _parts(form)[1] == _parts(named)[1]]
    tiers = [same]
    if boxes.evidence >= (_SOME if inside < _HARDLY_ANY else _MANY):
        tiers += [usual]
    if boxes.evidence >= _MANY and inside < _HARDLY_ANY:
        tiers += [odd]
    found = next(filter(None, map(boxes.plausible, tiers)), [])
    if not found:
        return named, []
    if found[0] in odd and _parts(named)[1] in ("yxyx", "xyxy") and boxes.exchanged().plausible([named]):
        # Nearly any numbers are thousandths of something: these may as well be columns whose names are exchanged.
        raise UserError(
            f"{boxes.name}: its boxes, such as {_written(boxes)}, are inside out as {named}, which they are called; if "
            "the names of the least and the greatest corner are exchanged, exchange them; if not, say --boxes "
            f"{' or '.join(found)}"
        )
    if len(found) > 1:
        raise _unclear(boxes, found)
    fitting = round(inside * len(boxes.boxes))
    return found[0], [
        f"{boxes.name}: its boxes are read as {found[0]}, as which they lie in their pictures; as {named}, which they "
        f"are called, {fitting} of {len(boxes.boxes)} do."
    ]


def _told_by_numbers(boxes: _Boxes, arrangements: Sequence[str]) -> tuple[str, list[str]]:
    """The one form, of these arrangements in any scale, in which the boxes fit their pictures.

    Pixels and shares come first; percent and thousandths are looked at where neither fits.
    """
    usual, odd = ([scale + one for scale in scales for one in arrangements] for scales in (_USUAL_SCALES, _ODD_SCALES))
    found = boxes.plausible(usual)
    if not found:
        fitting = [form for form in usual if boxes.inside(form) >= _MOST]
        found = boxes.different(fitting + boxes.plausible(odd))
    if len(found) > 1:
        raise _unclear(boxes, found)
    if found:
        return found[0], [f"{boxes.name}: its boxes are read as {found[0]}."]
    raise UserError(
        f"{boxes.name}: its boxes, such as {_written(boxes)}, fit their pictures in none of the forms "
        f"{', '.join(arrangements)}; correct them, or say the form with --boxes"
    )


def _unclear(boxes: _Boxes, forms: Sequence[str]) -> UserError:
    readings = "; ".join(f"{form}, {boxes.example(form)}" for form in forms)
    return UserError(
        f"{boxes.name}: its boxes can be read in several ways, such as {_written(boxes)}: {readings}; say which with "
        f"--boxes {forms[0]} and so on"
    )


def _written(boxes: _Boxes) -> str:
    return ",".join(f"{value:g}" for value in boxes.boxes[0])


def _before_exif(boxes: _Boxes, form: str, exif: str | None, said_stored: np.ndarray | None) -> tuple[bool, str]:
    """Whether boxes are of pictures as they are stored, and what to say about it.

    Pictures that EXIF turns by a quarter tell: boxes lie in them one way only, or plates are wide one way only.
    """
    turned = boxes.frames.orientations >= 5
    if exif is not None:
        return exif == "before", ""
    if not turned.any():
        return False, ""
    said = f"{boxes.name}: {int(turned.sum())} boxes are on photographs that EXIF turns; they are read as drawn "
    ways = {True: "before the turn.", False: "after it."}
    if said_stored is not None and said_stored[turned].mean() > 0.5:
        return True, said + ways[True]
    after, before = (Reading(form, way) for way in (False, True))
    inside = {way: float(boxes.inside_of(reading, turned).mean()) for way, reading in ((False, after), (True, before))}
    wide = {way: boxes.wide_of(reading, turned) for way, reading in ((False, after), (True, before))}
    for shares, clear in ((inside, _MOST), (wide, 0.5)):
        better = shares[True] > shares[False]
        if shares[better] >= clear and shares[not better] < (_DOUBTFUL if shares is inside else 0.5):
            return better, said + ways[better]
    return False, said + "after it, though they fit either way; if that is wrong, --exif before."
