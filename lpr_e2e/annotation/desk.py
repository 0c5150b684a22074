"""The desk at which a person answers: what is shown of each photograph, which is next, what becomes of answers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lpr_e2e.annotation.answers import Answer, Answers, plain_text, revision_of
from lpr_e2e.annotation.beginning import Beginning
from lpr_e2e.annotation.order import APART, at_place, contradictions, spread, usefulness
from lpr_e2e.annotation.pictures import Pictures
from lpr_e2e.annotation.reading_ahead import ReadingAhead
from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError
from lpr_e2e.data.fingerprints import THINNEST_BOX, clipped
from lpr_e2e.data.resolving import SAME_PLATE
from lpr_e2e.data.samples import Plate
from lpr_e2e.prediction.reading import Reading

# Of the most useful photographs, among so many near twins are told apart.
WINDOW = 100
# The speed of work is measured over so many answers, and says nothing after so many seconds of rest.
ANSWERS_TIMED, REST_SECONDS = 30, 120
# So many of the photographs answered last can be turned back to on a page that is opened anew.
TURNED_BACK = 50
# What a page was given is kept for it so many seconds after it has asked last.
KEPT_SECONDS = 300
# Usefulness of a photograph on which nothing was read: it comes after those on which something was.
_UNREAD = 0.0

# Where the plates come from that are shown of a photograph.
ANSWERED, LABELLED, READ, NOTHING = "answer", "labels", "model", "nothing"


class Desk:
    """All that the page asks for; each call may come from another thread.

    Args:
        beginning: photographs, and what is known of them.
        answers: the table.
        goal: how many photographs shall be answered in the end; None: as many as somebody answers.

    Attributes:
        pictures: the photographs as the page shows them.
        ahead: the model at work; None without one.
    """

    def __init__(self, beginning: Beginning, answers: Answers, goal: int | None = None):
        self.beginning, self.answers, self.pictures = beginning, answers, Pictures()
        self.ahead: ReadingAhead | None = None
        self._mutex = threading.RLock()
        count = len(beginning.photographs)
        self._numbers = {img_id: number for number, (img_id, _) in enumerate(beginning.photographs)}
        self._readings: list[list[Reading] | None] = [None] * count
        self._looks: list[np.ndarray | None] = [None] * count
        self._unreadable: dict[int, str] = {}
        # Not a number: nothing has been read of it yet, so it waits.
        self._usefulness = np.full(count, _UNREAD)
        self._open = np.array([answers.get(img_id) is None for img_id, _ in beginning.photographs], bool)
        self._goal = goal
        self._shown: deque[int] = deque(maxlen=APART)
        # By page: the photographs that it was given, in this order, and when it has asked last.
        self._given: dict[str, dict[int, None]] = {}
        self._asked: dict[str, float] = {}
        self._put_off = self._serial = 0
        self._times: deque[float] = deque(maxlen=ANSWERS_TIMED)
        for number, readings in beginning.readings.items():
            self.receive(number, readings, None)

    def read_with(self, make: Callable[..., ReadingAhead]) -> None:
        """Let a model read what is not answered yet; `make` is `ReadingAhead` with its first argument given."""
        unread = [number for number in np.flatnonzero(self._open).tolist() if self._readings[number] is None]
        self._usefulness[unread] = np.nan
        self.ahead = make(self.beginning.photographs, unread, self.receive)
        self.ahead.start()

    def receive(self, number: int, readings: list[Reading], look: np.ndarray | None) -> None:
        """Take what the model reads on a photograph."""
        with self._mutex:
            if readings[0].status.startswith("unreadable"):
                self._give_up(number, readings[0].status.partition(": ")[2])
                return
            self._readings[number], self._looks[number] = readings, look
            self._usefulness[number] = usefulness(readings, self.beginning.labels.get(number))

    def next(self, count: int, without: Collection[int] = (), page: str = "") -> list[int]:
        """The photographs to answer next, by their numbers, at most `count`, none of those in `without`.

        What other pages were given comes when nothing else is left, and what they come to last comes first.

        Args:
            page: who asks.
        """
        with self._mutex:
            ready = self._open.copy()
            ready[[number for number in without if 0 <= number < len(ready)]] = False
            waiting = np.isnan(self._usefulness)
            if self.is_reading:
                ready &= ~waiting
            worth = np.where(waiting, _UNREAD, self._usefulness)
            elsewhere = [number for number in self._given_elsewhere(page) if ready[number]]
            ready[elsewhere] = False
            numbers = np.flatnonzero(ready)
            # Faults are gone through as they stand in their file.
            rank = np.minimum(worth, 0) if self.beginning.problems else worth
            order = numbers[np.argsort(-rank[numbers], kind="stable")]
            window = order[:WINDOW].tolist()
            # A page that is opened anew gets what it had: nothing is its own twin.
            before = [number for number in self._shown if number not in window]
            near = spread(window, self._looks.__getitem__, before)
            found = [number for number, _ in zip(near, range(count), strict=False)]
            found += elsewhere[::-1][: count - len(found)]
            self._shown.extend(found)
            self._given.setdefault(page, {}).update(dict.fromkeys(found))
            self._asked[page] = time.monotonic()
            return found

    def leave(self, page: str) -> None:
        """A page is closed: what it was given, others may be given."""
        with self._mutex:
            self._given.pop(page, None)
            self._asked.pop(page, None)

    def _given_elsewhere(self, page: str) -> list[int]:
        """The photographs that other pages were given, in this order."""
        for one in [one for one, asked in self._asked.items() if asked < time.monotonic() - KEPT_SECONDS]:
            self.leave(one)
        return [number for one, given in self._given.items() if one != page for number in given]

    def put_off(self, number: int) -> None:
        """Let a photograph come last."""
        with self._mutex:
            self._put_off += 1
            self._usefulness[number] = -self._put_off

    @property
    def is_reading(self) -> bool:
        """Whether the model is at work."""
        return self.ahead is not None and self.ahead.is_at_work

    @property
    def wanted(self) -> int | None:
        """How many more answers are wanted; None: as many as somebody gives."""
        if self._goal is None:
            return None
        with self._mutex:
            return max(0, min(self._goal, self._total) - self._answered)

    @property
    def _total(self) -> int:
        return len(self._open) - len(self._unreadable)

    @property
    def _answered(self) -> int:
        return self._total - int(self._open.sum())

    def progress(self) -> dict[str, Any]:
        """How far the work is, as plain values; `serial` is larger each time."""
        with self._mutex:
            unread = int(np.isnan(self._usefulness[self._open]).sum())
            self._serial += 1
            return {
                "serial": self._serial,
                "answered": self._answered,
                "total": self._total,
                "unreadable": len(self._unreadable),
                "unread": unread if self.is_reading else 0,
                "wanted": self.wanted,
                "per_minute": self._per_minute(),
                "failure": self.ahead.failure if self.ahead else "",
            }

    def recent(self) -> list[int]:
        """The photographs that were answered last, the latest one at the end."""
        names = self.answers.last(TURNED_BACK)
        return [self._numbers[name] for name in names if name in self._numbers]

    def path(self, number: int) -> Path:
        """The file of a photograph.

        Raises:
            UserError: there is none of this number.
        """
        return self._photograph(number)[1]

    def photograph(self, number: int) -> dict[str, Any]:
        """What the page shows of a photograph, as plain values.

        Raises:
            UserError: there is none of this number.
        """
        img_id, path = self._photograph(number)
        try:
            height, width = self.pictures.photograph(path).shape[:2]
        except PictureError as error:
            with self._mutex:
                self._give_up(number, str(error))
            return {"number": number, "name": img_id, "error": str(error)}
        with self._mutex:
            answer = self.answers.get(img_id)
            source, plates, remarks = self._known(number, answer)
            return {
                "number": number,
                "name": img_id,
                "height": height,
                "width": width,
                "source": source,
                "plates": plates,
                "remarks": remarks,
                "suggestion": self._suggestion(number) if source == LABELLED else None,
                "revision": revision_of(answer),
            }

    def answer(self, number: int, plates: Sequence[tuple[Sequence[float], str]] | None, revision: str) -> None:
        """Take the answer to a photograph, or take it back (None); it is on disk afterwards.

        Args:
            plates: boxes, yxyx in pixels of the photograph, and texts; "" cannot be read.
            revision: of the answer from which this one was made.

        Raises:
            UserError: a box is none, or two are around one plate; or, as `StaleAnswer`, see `Answers.give`.
            OSError: the table cannot be written.
        """
        img_id, path = self._photograph(number)
        answer = None if plates is None else _checked(plates, *self.pictures.photograph(path).shape[:2])
        with self._mutex:
            self.answers.give(img_id, answer, revision)
            self._open[number] = answer is None
            for given in self._given.values():
                given.pop(number, None)
            if answer is not None:
                self._times.append(time.monotonic())
            elif self._times:
                self._times.pop()

    def _photograph(self, number: int) -> tuple[str, Path]:
        if not 0 <= number < len(self.beginning.photographs):
            raise UserError(f"photograph {number}: expected 0 to {len(self.beginning.photographs) - 1}")
        return self.beginning.photographs[number]

    def _known(self, number: int, answer: Answer) -> tuple[str, list[dict], list[str]]:
        """Where the plates of a photograph come from, they themselves, and what there is to say about it."""
        labels, readings = self.beginning.labels.get(number), self._readings[number]
        remarks = list(self.beginning.problems.get(number, ()))
        if answer is not None:
            return ANSWERED, [_shown(plate, is_answer=True) for plate in answer], remarks
        if labels is not None:
            remarks += map(str, contradictions(readings or (), labels))
            return LABELLED, [_filled(plate, readings or ()) for plate in labels], remarks
        if readings is None:
            return NOTHING, [], remarks
        found = [(Plate(one.box_px, one.text or None), one) for one in readings if one.box_px is not None]
        return READ, [_shown(plate, reading) for plate, reading in found], remarks

    def _suggestion(self, number: int) -> list[dict] | None:
        """The labelled plates with what contradicts them put right; None if nothing does."""
        labels, readings = self.beginning.labels[number], self._readings[number] or ()
        found = contradictions(readings, labels)
        if not found:
            return None
        instead = {id(one.labelled): one.reading for one in found if one.labelled is not None}
        plates = [
            _shown(replace(plate, text=instead[id(plate)].text), instead[id(plate)])
            if id(plate) in instead
            else _filled(plate, readings)
            for plate in labels
        ]
        further = [one.reading for one in found if one.labelled is None and one.reading.box_px is not None]
        return plates + [_shown(Plate(one.box_px, one.text), one) for one in further if one.box_px is not None]

    def _give_up(self, number: int, reason: str) -> None:
        """Leave aside a photograph that cannot be shown."""
        self._unreadable[number], self._open[number] = reason, False

    def _per_minute(self) -> float | None:
        """Answers a minute; None as long as, or after a rest when, nobody can say."""
        if len(self._times) < 3 or time.monotonic() - self._times[-1] > REST_SECONDS:
            return None
        return 60 * (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-3)


def _shown(plate: Plate, reading: Reading | None = None, is_answer: bool = False) -> dict[str, Any]:
    """A plate as plain values. Without a text it is `unread`, one that cannot be read, if a person has said so."""
    shown = {"box": list(plate.box_px), "text": plate.text or "", "unread": is_answer and plate.text is None}
    return shown if reading is None else shown | {"certainty": reading.confidence, "status": reading.status}


def _filled(plate: Plate, readings: Sequence[Reading]) -> dict[str, Any]:
    """A labelled plate; with what is read at its place, if the labels have no text for it."""
    if plate.text is None:
        for reading in readings:
            if reading.text and reading.box_px is not None and at_place(reading.box_px, [plate]):
                return _shown(replace(plate, text=reading.text), reading)
    return _shown(plate)


def _checked(plates: Sequence[tuple[Sequence[float], str]], height: int, width: int) -> tuple[Plate, ...]:
    """Plates with their boxes within a photograph and their texts in one form."""
    found: list[Plate] = []
    for box, text in plates:
        ymin, xmin, ymax, xmax = box
        box_px = clipped((ymin, xmin, ymax, xmax), height, width)[0] if ymin < ymax and xmin < xmax else None
        if box_px is None:
            raise UserError(f"a box is thinner than {THINNEST_BOX} pixels, or outside of the photograph; draw it anew")
        for number, other in enumerate(found, start=1):
            if float(intersection_over_union(box_px, other.box_px)) > SAME_PLATE:
                raise UserError(f"boxes {number} and {len(found) + 1} are around one plate; delete one of them")
        found.append(Plate(box_px, plain_text(text)))
    return tuple(found)
