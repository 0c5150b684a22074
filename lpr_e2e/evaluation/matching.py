"""Which reading of a photograph belongs to which of its labelled plates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.evaluation.truth import Known, KnownPlate
from lpr_e2e.prediction.reading import Reading

# The overlap (IoU) from which a reading's box is about a plate.
FOUND_IOU = 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of one labelled plate.

    Attributes:
        img_id: its photograph.
        plate: what is known of it.
        reading: the reading that belongs to it, or None: it was not found.
        iou: the overlap of its box with that of the reading or, if there is none, with a box that was too far off;
            0 if no box touches it, None if its own box is unknown.
    """

    img_id: str
    plate: KnownPlate
    reading: Reading | None
    iou: float | None

    @property
    def text(self) -> str:
        """What was read; empty if nothing was."""
        return self.reading.text if self.reading else ""

    @property
    def confidence(self) -> float:
        """How certain it is that this is the plate's text; 0 if nothing was read, or if it has a hole."""
        return self.reading.confidence if self.reading and UNSEEN not in self.reading.text else 0.0

    @property
    def is_right(self) -> bool:
        """Whether the text is exactly the plate's, with nothing unseen; only to be asked of a plate with a text."""
        return self.text == self.plate.text and UNSEEN not in self.text


@dataclass(frozen=True)
class Matched:
    """A photograph's plates and readings side by side.

    Attributes:
        outcomes: one for each labelled plate, in the order of the labels.
        rest: the readings that belong to no labelled plate, in their order.
    """

    outcomes: tuple[Outcome, ...]
    rest: tuple[Reading, ...]

    def of(self, reading: Reading) -> Outcome | None:
        """The plate that a reading (this very object) belongs to, or None."""
        return next((one for one in self.outcomes if one.reading is reading), None)


def match(truth: Known, readings: Sequence[Reading]) -> Matched:
    """Match a photograph's readings with its labelled plates, one to one; the order of neither matters.

    The pair of boxes that overlap best comes first, then the next best of what is left, while the overlap is at least
    `FOUND_IOU`. A plate whose box is unknown gets one of the readings that are left then, the most certain ones; where
    there are several such plates, those whose texts are most alike.

    Args:
        truth: what is known.
        readings: all readings of the photograph.
    """
    of_plate: dict[int, int] = {}
    ious = {number: 0.0 for number, plate in enumerate(truth.plates) if plate.box_px is not None}
    taken: set[int] = set()
    touched: dict[int, int] = {}  # Plates and readings whose boxes overlap at all, one to one.
    for iou, plate, reading in _overlapping(truth, readings):
        if plate not in touched and reading not in touched.values():
            touched[plate] = reading
            ious[plate] = iou
            if iou >= FOUND_IOU:
                of_plate[plate] = reading
                taken.add(reading)
    free = [number for number, one in enumerate(readings) if number not in taken and (one.text or one.box_px)]
    for plate, reading in _somewhere(truth, readings, free):
        of_plate[plate] = reading
        taken.add(reading)
    outcomes = tuple(
        Outcome(truth.img_id, plate, readings[of_plate[number]] if number in of_plate else None, ious.get(number))
        for number, plate in enumerate(truth.plates)
    )
    return Matched(outcomes, tuple(one for number, one in enumerate(readings) if number not in taken))


def _order(reading: Reading) -> tuple:
    """Puts the more certain of two readings first, whatever order they came in."""
    box, confidence = reading.certainty
    return -box, -confidence, reading.text, reading.box_px or (), reading.status


def _overlapping(truth: Known, readings: Sequence[Reading]) -> list[tuple[float, int, int]]:
    """IoU, number of the plate and number of the reading of all pairs of boxes that overlap, the best first."""
    known = [(number, plate.box_px) for number, plate in enumerate(truth.plates) if plate.box_px is not None]
    found = [(number, one.box_px) for number, one in enumerate(readings) if one.box_px is not None]
    if not known or not found:
        return []
    boxes = [np.array([box for _, box in side], "float64") for side in (known, found)]
    table = intersection_over_union(boxes[0][:, None], boxes[1][None])
    pairs = [
        (float(table[row, column]), known[row][0], found[column][0])
        for row, column in zip(*np.nonzero(table > 0), strict=True)
    ]

    def order(pair: tuple[float, int, int]) -> tuple:
        iou, plate, reading = pair
        return -iou, _order(readings[reading]), truth.plates[plate].box_px, truth.plates[plate].text or ""

    return sorted(pairs, key=order)


def _somewhere(truth: Known, readings: Sequence[Reading], free: Sequence[int]) -> list[tuple[int, int]]:
    """The plates without a box, each with one of the free readings: pairs of their numbers."""
    from rapidfuzz.distance import Levenshtein  # Late: who reads without a truth does not wait for it.

    texts = {number: plate.text for number, plate in enumerate(truth.plates) if plate.box_px is None and plate.text}
    likeliest = sorted(free, key=lambda number: _order(readings[number]))[: len(texts)]
    pairs = sorted(
        (Levenshtein.distance(text, readings[reading].text), _order(readings[reading]), text, plate, reading)
        for plate, text in texts.items()
        for reading in likeliest
    )
    chosen: dict[int, int] = {}
    for *_, plate, reading in pairs:
        if plate not in chosen and reading not in chosen.values():
            chosen[plate] = reading
    return list(chosen.items())
