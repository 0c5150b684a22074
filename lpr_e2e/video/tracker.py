"""Which plates of following frames are the same one: the tracks of plates.

Each track moves on as it moved before. What a frame shows is given to the tracks so that the cost of all together is
least (`scipy.optimize.linear_sum_assignment`): by place, by overlap and by what was read, which keeps plates apart that
cross, and finds again what was hidden.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.vocabulary import UNSEEN

# A track that was not seen for so long has ended, seconds, unless told.
GAP = 1.0
# How far from where it is expected a plate may be, in lengths of its box: at once, for each second since it was seen,
# and for each second besides while nobody knows yet how it moves. A plate half a metre long at 100 km/h moves 55
# lengths a second along the road, a tenth of that across the picture of a camera that looks along it.
_REACH, _REACH_A_SECOND, _UNKNOWN_REACH_A_SECOND = 0.8, 4.0, 12.0
# A plate that says the same may be so many times further away; one that surely says something else, half as far.
SAME_TEXT_REACH, _OTHER_TEXT_REACH = 3.0, 0.5
# Texts of at least so many characters are compared. From the first similarity on two say the same; below the second
# one, if both were read with this confidence, they are two plates, wherever they are.
_LEAST_TEXT, SAME_TEXT, _OTHER_TEXT, _SURE = 3, 0.75, 0.5, 0.8
# Boxes whose heights differ by more than this factor are of two plates; a length may be hidden in part. Now and then a
# box is far too wide: of plates that say the same they may differ more.
_MOST_GROWTH, _MOST_GROWTH_OF_SAME = 2.5, 5.0
# What counts how much; together 1.
_BY_PLACE, _BY_OVERLAP, _BY_TEXT = 0.45, 0.2, 0.35
# How much of what is new the speed takes on.
_SPEED_GAIN = 0.5
# Sightings that a track remembers, for its course.
REMEMBERED = 64
_IMPOSSIBLE = 1e6

Box = tuple[float, float, float, float]  # yxyx, pixels of the frame.


@dataclass(frozen=True)
class Sighting:
    """A plate in one frame.

    Attributes:
        seconds: the frame's time.
        box_px: yxyx in its pixels.
        text, confidence: what was read there, and how surely; empty and 0 if nothing was.
        what: what the caller wants to find again, such as the `Reading`.
    """

    seconds: float
    box_px: Box
    text: str = ""
    confidence: float = 0.0
    what: object = field(default=None, repr=False, compare=False)


class Track:
    """One plate over time.

    Attributes:
        first, last: its first and last sighting.
        seen: how many there were.
        text, confidence: what it says as far as is known; whoever follows the track may keep them up to date.
        recent: its last sightings.
    """

    def __init__(self, sighting: Sighting):
        self.first = self.last = sighting
        self.seen = 1
        self.text, self.confidence = sighting.text, sighting.confidence
        self.recent: deque[Sighting] = deque([sighting], maxlen=REMEMBERED)
        self._speed: np.ndarray | None = None  # Pixels a second, y and x.

    def see(self, sighting: Sighting) -> None:
        """Go on with a sighting."""
        passed = max(sighting.seconds - self.last.seconds, 1e-6)
        speed = (_centre(sighting.box_px) - _centre(self.last.box_px)) / passed
        self._speed = speed if self._speed is None else self._speed + _SPEED_GAIN * (speed - self._speed)
        self.last = sighting
        self.seen += 1
        if sighting.confidence >= self.confidence:
            self.text, self.confidence = sighting.text, sighting.confidence
        self.recent.append(sighting)

    def expected(self, seconds: float) -> np.ndarray:
        """The box `(4,)` at a time after the last sighting, if it goes on as it did."""
        speed = np.zeros(2) if self._speed is None else self._speed
        return np.asarray(self.last.box_px) + np.tile(speed * (seconds - self.last.seconds), 2)

    def reach(self, seconds: float) -> float:
        """How far from there it may be then, in lengths of its box."""
        passed = max(0.0, seconds - self.last.seconds)
        return _REACH + passed * (_REACH_A_SECOND + (_UNKNOWN_REACH_A_SECOND if self._speed is None else 0.0))

    def box_at(self, seconds: float, beyond: float = 0.0) -> Box | None:
        """Where it was at a time: between two sightings, or up to so many seconds before the first or after the last.

        Returns:
            the box, or None if the track was not there then.
        """
        sightings = list(self.recent)
        if not sightings[0].seconds - beyond <= seconds <= sightings[-1].seconds + beyond:
            return None
        after = next((place for place, one in enumerate(sightings) if one.seconds >= seconds), len(sightings) - 1)
        if len(sightings) == 1:
            return sightings[0].box_px
        one, other = sightings[max(after, 1) - 1], sightings[max(after, 1)]
        share = (seconds - one.seconds) / max(other.seconds - one.seconds, 1e-6)
        start, way = np.asarray(one.box_px), np.asarray(other.box_px) - np.asarray(one.box_px)
        if 0 <= share <= 1:
            return _box(start + share * way)
        # Beyond its ends a plate keeps its size: only its centre goes on.
        nearest = start if share < 0 else np.asarray(other.box_px)
        moved = (_centre(other.box_px) - _centre(one.box_px)) * (share if share < 0 else share - 1)
        return _box(nearest + np.tile(moved, 2))


class Tracker:
    """Follows plates from frame to frame.

    Args:
        gap: a track that was not seen for so long has ended, seconds.

    Attributes:
        tracks: those that go on.
    """

    def __init__(self, gap: float = GAP):
        self.gap = gap
        self.tracks: list[Track] = []

    def follow(self, seconds: float, sightings: Sequence[Sighting]) -> tuple[list[Track], list[Track]]:
        """Go on with a frame.

        Args:
            seconds: its time; later than that of the frame before.
            sightings: the plates on it.

        Returns:
            the track of each sighting, in their order, new ones included; and the tracks that have ended.
        """
        ended = self.expire(seconds)
        found: dict[int, Track] = {}
        if self.tracks and sightings:
            # Only who follows tracks needs SciPy.
            from scipy.optimize import linear_sum_assignment

            costs = np.array([[_cost(track, one) for one in sightings] for track in self.tracks])
            for row, column in zip(*linear_sum_assignment(costs), strict=True):
                if costs[row, column] < _IMPOSSIBLE:
                    found[int(column)] = self.tracks[row]
        for place, sighting in enumerate(sightings):
            if place in found:
                found[place].see(sighting)
            else:
                found[place] = Track(sighting)
                self.tracks.append(found[place])
        return [found[place] for place in range(len(sightings))], ended

    def expire(self, seconds: float = math.inf) -> list[Track]:
        """End the tracks that were not seen for too long at a time, all of them unless told, and return them."""
        ended = [track for track in self.tracks if seconds - track.last.seconds > self.gap]
        self.tracks = [track for track in self.tracks if seconds - track.last.seconds <= self.gap]
        return ended


def similarity(text: str, other: str) -> float | None:
    """How alike two texts are, 0..1; None if one is too short to tell.

    Of a plate that is cut off, what is seen of it is compared with where it fits best.
    """
    seen, other_seen = text.strip(UNSEEN), other.strip(UNSEEN)
    if min(len(seen), len(other_seen)) < _LEAST_TEXT:
        return None
    if is_cut_off(text) or is_cut_off(other):
        return fuzz.partial_ratio(seen, other_seen) / 100
    return Levenshtein.normalized_similarity(text, other)


def say_the_same(text: str, other: str, sure: bool) -> bool:
    """Whether two texts are taken for one plate's: they are the same, or nearly the same and not both read surely, as
    the numbers of a fleet differ in one character. What is seen of a plate that is cut off must all be in the other."""
    alike = similarity(text, other)
    exactly = sure or is_cut_off(text) or is_cut_off(other)
    return alike is not None and alike >= (1 if exactly else SAME_TEXT)


def is_cut_off(text: str) -> bool:
    """Whether a text says that there is more of it before or behind what is seen."""
    return text != text.strip(UNSEEN)


def lengths_apart(box_px, other_px) -> float:
    """The distance of the centres of two boxes `(4,)`, in lengths of the longer: the other may be hidden in part."""
    longer = max(_length(box_px), _length(other_px), 1)
    return float(np.linalg.norm(_centre(box_px) - _centre(other_px)) / longer)


def _cost(track: Track, sighting: Sighting) -> float:
    """What it costs to take a sighting for a track's, 0..1; `_IMPOSSIBLE` if it cannot be."""
    expected, reach = track.expected(sighting.seconds), track.reach(sighting.seconds)
    lower, higher = sorted(box[2] - box[0] for box in (sighting.box_px, expected))
    alike = similarity(track.text, sighting.text)
    sure = min(track.confidence, sighting.confidence) >= _SURE
    same = say_the_same(track.text, sighting.text, sure)
    if higher > (_MOST_GROWTH_OF_SAME if same else _MOST_GROWTH) * max(lower, 1):
        return _IMPOSSIBLE
    if alike is not None and alike < _OTHER_TEXT and sure:
        return _IMPOSSIBLE
    if same:
        reach *= SAME_TEXT_REACH
    elif alike is not None and sure:
        reach *= _OTHER_TEXT_REACH
    away = lengths_apart(expected, sighting.box_px) / reach
    if away > 1:
        return _IMPOSSIBLE
    overlap = float(intersection_over_union(expected, np.asarray(sighting.box_px)))
    unlike = 0.5 if alike is None else 1 - alike
    return _BY_PLACE * away + _BY_OVERLAP * (1 - overlap) + _BY_TEXT * unlike


def _box(sides: np.ndarray) -> Box:
    top, left, bottom, right = (float(side) for side in sides)
    return top, left, bottom, right


def _centre(box_px) -> np.ndarray:
    top, left, bottom, right = box_px
    return np.array([(top + bottom) / 2, (left + right) / 2])


def _length(box_px) -> float:
    """The longer side of a box."""
    return float(max(box_px[2] - box_px[0], box_px[3] - box_px[1]))
