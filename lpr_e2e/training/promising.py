"""Which readings of a trained model are `ok`, and what that promises: of held-out photographs, also disturbed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpr_e2e.common.images import read_picture
from lpr_e2e.common.promise import Promise, least_certainty
from lpr_e2e.data.samples import Photograph
from lpr_e2e.evaluation.matching import match
from lpr_e2e.evaluation.promising import promise_of, unseen_bar
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.training.light import harsh_light, moved

# Photographs per call of the model.
_BATCH = 8


@dataclass(frozen=True)
class _Told:
    """What is read of a plate with a text, or of something that is none.

    Attributes:
        certainty: of a reading that is `ok` if the model promises nothing; else 0.
        hole: how likely something on it cannot be seen, see `Vocabulary.hole`.
        is_right: whether it is the plate's text.
        is_ordinary: whether it is of a plate as it was photographed.
    """

    certainty: float
    hole: float
    is_right: bool
    is_ordinary: bool


def fit_promise(model: PlateModel, photographs: Sequence[Photograph]) -> None:
    """Fit, in place, which readings of a model are `ok`, and what it promises of them.

    From which probability on that a character cannot be seen a reading is not believed (`unseen_threshold` of the
    procedure, which becomes no higher than it is) is fitted to the readings that are certain enough, see `unseen_bar`;
    the promise, see `promise_of`, to those that are left.

    Each photograph is read twice: as it is, and either blurred by motion or in light that leaves little to read. A
    reading of something that is no plate is a wrong one, where all plates are labelled; of a plate without a text it is
    left out.

    Args:
        model: with its temperature fitted.
        photographs: none of which it was trained on.
    """
    known = [one for one in photographs if any(plate.text for plate in one.plates) or not one.plates]
    plates = sum(bool(plate.text) for one in known for plate in one.plates)
    told = list(_told(PlateReader.of(model), known))
    least = least_certainty(_promise(told, plates), None)
    holes = [one.hole for one in told if one.is_ordinary and one.is_right and one.certainty and one.certainty >= least]
    bar = unseen_bar(holes, model.procedure.unseen_threshold)
    model.procedure = replace(model.procedure, unseen_threshold=bar)
    model.promise = _promise([one if one.hole <= bar else replace(one, certainty=0.0) for one in told], plates)


def _told(reader: PlateReader, photographs: Sequence[Photograph]) -> Iterator[_Told]:
    reader.least_certainty = 0.0
    for change in _CHANGES:
        pictures = ((one.img_id, change(one, place)) for place, one in enumerate(photographs))
        for photograph, (_, _, readings) in zip(photographs, reader.read_files(pictures, _BATCH), strict=True):
            matched = match(photograph, readings)
            told = [(one.reading, one.is_right, change is as_it_is) for one in matched.outcomes if one.plate.text]
            if photograph.complete:
                told += [(reading, False, False) for reading in matched.rest]
            for reading, is_right, is_ordinary in told:
                is_ok = reading is not None and reading.status == "ok"
                certainty = reading.confidence if is_ok else 0.0
                hole = reader.vocabulary.hole(reading.characters) if is_ok else 0.0
                yield _Told(certainty, hole, is_right, is_ordinary)


def _promise(told: Sequence[_Told], plates: int) -> Promise:
    believed = [one for one in told if one.certainty]
    return promise_of(
        [one.certainty for one in believed],
        [one.is_right for one in believed],
        plates,
        [one.certainty for one in told if one.is_ordinary],
    )


def as_it_is(photograph: Photograph, place: int) -> np.ndarray:
    """The photograph, uint8 RGB."""
    return read_picture(photograph.path)


def _disturbed(photograph: Photograph, place: int) -> np.ndarray:
    """The photograph as if its largest plate had moved while it was taken, or, every second one, in harsh light."""
    picture = read_picture(photograph.path)
    # The same disturbance each time, so that a model's promise does not depend on chance.
    rng = np.random.default_rng([place])
    if place % 2:
        return harsh_light(picture, rng)
    widths = [max(plate.box_px[2] - plate.box_px[0], plate.box_px[3] - plate.box_px[1]) for plate in photograph.plates]
    return moved(picture, rng, max(widths)) if widths else picture


_CHANGES: tuple[Callable[[Photograph, int], np.ndarray], ...] = (as_it_is, _disturbed)
