"""Vehicles that pass: the tracks of their plates, what their frames vote for, and their best picture.

A pass that has ended waits a while: a vehicle that was hidden meanwhile, and comes again, is the same pass.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.steps import may_go_on
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.video.frames import Frame
from lpr_e2e.video.tracker import (
    GAP,
    SAME_TEXT_REACH,
    Sighting,
    Track,
    Tracker,
    is_cut_off,
    lengths_apart,
    say_the_same,
    similarity,
)
from lpr_e2e.video.votes import Votes

# A plate that is seen again within so many seconds with the same text, at a place where it can be, is the same pass.
APART = 5.0
# A pass waits so much longer than that, seconds: one that began at the last moment must be read first.
_SETTLED = 1.0
# What is not read at all is the same plate only where it stays, by the overlap of its boxes.
_SAME_PLACE = 0.5
# What was hardly read, with less confidence than this or in part, must have been seen in so many frames: on a wall or
# a tree a model sees something like a plate now and then.
_HARDLY_READ, LEAST_SEEN = 0.2, 3
# Of two boxes in one frame, one that lies within the other with this share of its area is of the same plate.
_WITHIN = 0.7
# How much a plate that is cut off, by the edge of the frame or by what stands before it, counts beside others.
_CUT_OFF = 0.05
# A picture is taken in place of the best one so far if it is so many times as certain: each takes its time.
_BETTER = 1.05
_JPEG_QUALITY = 88
# What is shown around a plate on its picture, in shares of its height on each side.
_AROUND = 0.4


@dataclass(frozen=True)
class Shot:
    """The best picture of a vehicle.

    Attributes:
        seconds: when it was taken.
        box_px: of the plate, yxyx in pixels of the frame.
        box_confidence: how sure it is that there is a plate.
        certainty: what makes it the best.
        plate, frame: JPEGs of the plate with a little around it, and of all.
    """

    seconds: float
    box_px: tuple[float, float, float, float]
    box_confidence: float
    certainty: float
    plate: bytes
    frame: bytes


class Vehicle:
    """One vehicle that passes, with memory that does not grow.

    Args:
        reader: that reads it.
        track: of its plate.

    Attributes:
        first, last: seconds of its first and its last frame.
        seen: in how many frames.
        reading: what its frames say together.
        shot: its best picture.
    """

    def __init__(self, reader: PlateReader, track: Track):
        self.track, self.seen = track, 0
        self.first = self.last = track.first.seconds
        self._begun_at = track.first.box_px
        self._reader = reader
        self._votes = Votes(reader.vocabulary.slots, reader.vocabulary.classes)
        self._sides: tuple[int, int] | None = None  # Of the frames, as long as all sightings are at their edge.
        self.shot: Shot | None = None
        self.reading = Reading("")

    def see(self, frame: Frame, reading: Reading) -> None:
        """Add what one frame shows of it."""
        assert reading.box_px is not None
        sides = frame.picture.shape[0], frame.picture.shape[1]
        reader = self._reader
        box_px, unseen = np.asarray(reading.box_px), reader.vocabulary.unseen
        at_edge = bool(may_go_on(box_px, sides, reader.procedure, np, unseen))
        if not self.seen or not at_edge:
            self._sides = sides if at_edge else None
        cut_off = at_edge or is_cut_off(reading.text)
        if reading.characters is not None:
            since = frame.seconds - self.last if self.seen else None
            self._votes.add(reading.characters, since, _CUT_OFF if cut_off else 1.0)
        self.last, self.seen = frame.seconds, self.seen + 1
        certainty = reading.box_confidence * (0.05 + reading.confidence) * (0.5 if cut_off else 1.0)
        if self.shot is None or certainty > _BETTER * self.shot.certainty:
            self.shot = _shot(frame, reading, certainty)
        self._vote()

    def take(self, earlier: Vehicle) -> None:
        """Take another pass for a part of this one, as a rule for its beginning."""
        self._votes.take(earlier._votes)
        if earlier.first < self.first:
            self.first, self._begun_at = earlier.first, earlier._begun_at
        self.last, self.seen = max(self.last, earlier.last), self.seen + earlier.seen
        if earlier.shot and (self.shot is None or earlier.shot.certainty > self.shot.certainty):
            self.shot = earlier.shot
        if earlier._sides is None:
            self._sides = None
        self._vote()

    def _vote(self) -> None:
        characters = self._votes.characters()
        if characters is not None and self.shot is not None:
            self.reading = self._reader.reading_of(characters, self.shot.box_px, self.shot.box_confidence, self._sides)
            self.track.text, self.track.confidence = self.reading.text, self.reading.confidence

    def is_same(self, earlier: Vehicle, apart: float) -> bool:
        """Whether another pass, which has ended, may be the beginning of this one, or a part of it.

        Args:
            earlier: the other one.
            apart: this one began so many seconds after it had ended at most.
        """
        passed = self.first - earlier.last
        if passed < 0:
            return self._is_beside(earlier)
        if passed > apart:
            return False
        if not earlier.reading.text and not self.reading.text:
            ends, begins = np.asarray(earlier.track.last.box_px), np.asarray(self._begun_at)
            return bool(intersection_over_union(ends, begins) >= _SAME_PLACE)
        places = (earlier.track.expected(self.first), earlier.track.last.box_px)
        away = min(lengths_apart(one, self._begun_at) for one in places)
        if similarity(earlier.reading.text, self.reading.text) is None:
            # One of them was not read: it must be where the other one is expected, and soon.
            return passed <= 2 * GAP and away <= 1
        return self._says_the_same(earlier) and away <= SAME_TEXT_REACH * earlier.track.reach(self.first)

    def _is_beside(self, other: Vehicle) -> bool:
        """Whether another pass, which began or ended while this one went on, was of the same plate: in some frames a
        model sees a plate twice, or so differently that it was not recognised."""
        here, there = self.track.box_at(other.first, GAP), other.track.box_at(other.first)
        if here is None or there is None or not self._says_the_same(other):
            return False
        return lengths_apart(here, there) <= 1

    def _says_the_same(self, other: Vehicle) -> bool:
        sure = self.reading.status == other.reading.status == "ok"
        return say_the_same(self.reading.text, other.reading.text, sure)

    @property
    def is_known(self) -> bool:
        """Whether enough was seen of it to compare it with others."""
        return self.reading.status == "ok" or self.seen >= LEAST_SEEN

    @property
    def is_worth_telling(self) -> bool:
        """Whether it is believed to be a vehicle at all."""
        text = self.reading.text
        hardly = not text or UNSEEN in text or self.reading.confidence < _HARDLY_READ
        return self.seen >= LEAST_SEEN or not hardly


class PassBook:
    """Makes passes of the readings of following frames.

    Args:
        reader: that reads them.
        gap: see `lpr_e2e.video.tracker.Tracker`.
        apart: see `Vehicle.is_same`.

    Attributes:
        left_out: how many tracks were too short to believe in.
    """

    def __init__(self, reader: PlateReader, gap: float = GAP, apart: float = APART):
        self._reader, self._tracker, self._apart = reader, Tracker(gap), apart
        self._going: dict[Track, Vehicle] = {}
        self._waiting: list[Vehicle] = []
        self.left_out = 0

    def see(self, frame: Frame, readings: Sequence[Reading]) -> list[Vehicle]:
        """Go on with a frame.

        Args:
            frame: later than the one before.
            readings: of its plates.

        Returns:
            the vehicles on it.
        """
        found = _apart(readings)
        sightings = [
            Sighting(frame.seconds, reading.box_px, reading.text, reading.confidence)
            for reading in found
            if reading.box_px is not None
        ]
        tracks, ended = self._tracker.follow(frame.seconds, sightings)
        self._end(ended)
        for track, reading in zip(tracks, found, strict=True):
            if track not in self._going:
                self._going[track] = Vehicle(self._reader, track)
            self._going[track].see(frame, reading)
        self._merge()
        return [self._going[track] for track in tracks]

    def _merge(self) -> None:
        """Take what waits for the beginning of what came after it, where it is."""
        for earlier in list(self._waiting):
            going = [one for one in self._going.values() if one.is_known]
            for later in [*going, *self._waiting]:
                if later is not earlier and later.is_same(earlier, self._apart):
                    later.take(earlier)
                    self._waiting.remove(earlier)
                    break

    def _end(self, tracks: list[Track]) -> None:
        self._waiting += [self._going.pop(track) for track in tracks]

    def ended(self, seconds: float) -> list[Vehicle]:
        """The passes that have ended for good at a time from the last frame on, those that ended first come first."""
        self._end(self._tracker.expire(seconds))
        over = [one for one in self._waiting if seconds - one.last > self._apart + _SETTLED]
        self._waiting = [one for one in self._waiting if one not in over]
        return self._told(over)

    def finish(self) -> list[Vehicle]:
        """End all, and return them."""
        self._end(self._tracker.expire())
        self._merge()
        over, self._waiting = self._waiting, []
        return self._told(over)

    def _told(self, over: list[Vehicle]) -> list[Vehicle]:
        told = [one for one in over if one.is_worth_telling]
        self.left_out += len(over) - len(told)
        return sorted(told, key=lambda one: one.last)


def _apart(readings: Sequence[Reading]) -> list[Reading]:
    """The readings of plates, without those that lie around or within one that is more certain: plates do not."""
    kept: list[Reading] = []
    for one in readings:
        if one.box_px is not None and not any(_within(one.box_px, other.box_px) >= _WITHIN for other in kept):
            kept.append(one)
    return kept


def _within(box_px, other_px) -> float:
    """Which share of the smaller one of two boxes lies within the other."""
    one, other = np.asarray(box_px), np.asarray(other_px)
    overlap = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0).prod()
    return float(overlap / max(min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod()), 1e-9))


def _shot(frame: Frame, reading: Reading, certainty: float) -> Shot:
    assert reading.box_px is not None
    top, left, bottom, right = reading.box_px
    more = _AROUND * (bottom - top)
    height, width = frame.picture.shape[:2]
    # At least one pixel, wherever the box is.
    top, left = (int(np.clip(side - more, 0, most - 1)) for side, most in ((top, height), (left, width)))
    bottom, right = max(top + 1, int(np.ceil(bottom + more))), max(left + 1, int(np.ceil(right + more)))
    plate = frame.picture[top:bottom, left:right]
    return Shot(frame.seconds, reading.box_px, reading.box_confidence, certainty, _jpeg(plate), _jpeg(frame.picture))


def _jpeg(picture: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=_JPEG_QUALITY)
    return encoded.getvalue()
