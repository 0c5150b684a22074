"""What precision a trained model can promise: its held-out photographs are read as they are, and disturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lpr_e2e.common.images import read_picture
from lpr_e2e.common.promise import Promise
from lpr_e2e.data.samples import Photograph
from lpr_e2e.evaluation.matching import match
from lpr_e2e.evaluation.promising import promise_of
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.training.light import harsh_light, moved

# Photographs per call of the model.
_BATCH = 8


def best_promise(model: PlateModel, photographs: Sequence[Photograph]) -> Promise:
    """What the model, as it stands, can promise on photographs like these: see `promise_of`.

    Each is read twice: as it is, and either blurred by motion or in light that leaves little to read. A reading of
    something that is no plate is a wrong one, where all plates are labelled; of a plate without a text it is left out.

    Args:
        model: with its temperature fitted.
        photographs: none of which it was trained on.
    """
    known = [one for one in photographs if any(plate.text for plate in one.plates) or not one.plates]
    reader = PlateReader.of(model)
    reader.least_certainty = 0.0  # What is asked for is what would be `ok` without a promise.
    plates = [plate for one in known for plate in one.plates if plate.text]
    ordinary: list[float] = []
    certainties: list[float] = []
    right: list[bool] = []
    for change in _CHANGES:
        pictures = ((one.img_id, change(one, place)) for place, one in enumerate(known))
        for one, (_, _, readings) in zip(known, reader.read_files(pictures, _BATCH), strict=True):
            matched = match(one, readings)
            told = [(found.reading, found.is_right) for found in matched.outcomes if found.plate.text]
            if change is as_it_is:
                ordinary += [found.confidence if found and found.status == "ok" else 0.0 for found, _ in told]
            if one.complete:
                told += [(reading, False) for reading in matched.rest]
            for found, is_right in told:
                if found is not None and found.status == "ok":
                    certainties.append(found.confidence)
                    right.append(is_right)
    return promise_of(certainties, right, len(plates), ordinary)


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
