"""Which photograph to look at next: the one whose answer teaches most, and no ten near twins in a row.

A photograph's *usefulness* is a number:

| from | what | why |
| --- | --- | --- |
| 1 to 2 | a label that a certain reading contradicts | one of the two is wrong: a fault of the labels, or a lesson |
| 0 to 1 | the doubt of the least certain reading on it | the less certain, the more is learned from the answer |
| `NOTHING_READ` | a plate on which nothing is read | mostly too small or covered: there is often nothing to answer |
| `NOTHING_FOUND` | no plate is found | one was missed, or there is none |

They are taken in this order, but one that looks like one of the last `APART` waits. What a person answers changes
nothing of the readings: it is the model's next training that does. `usefulness` and `spread` know nothing of pages or
tables; whoever proposes what to label next can use them with readings alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.data.fingerprints import PHOTOGRAPH_SIDE, scene_vector
from lpr_e2e.data.samples import Plate
from lpr_e2e.prediction.reading import Reading

NOTHING_READ, NOTHING_FOUND = 0.6, 0.5
# A reading and a label are of one plate if their boxes overlap so far (IoU): both are drawn around it, not along it.
SAME_PLACE = 0.3
# Photographs look alike from this correlation of their miniatures on; so many others stand between two of them.
ALIKE, APART = 0.9, 10


@dataclass(frozen=True)
class Contradiction:
    """A certain reading that a label contradicts.

    Attributes:
        reading: what the model reads.
        labelled: what the label says of the same place; None if it says nothing of it.
    """

    reading: Reading
    labelled: Plate | None

    def __str__(self) -> str:
        said = f"the label says {self.labelled.text}" if self.labelled else "the labels have no plate there"
        return f"The model reads {self.reading.text} with {100 * self.reading.confidence:.0f}\u00a0%; {said}."


def usefulness(readings: Sequence[Reading], labelled: Sequence[Plate] | None = None) -> float:
    """How much is learned from an answer to a photograph, 0 to 2; see above.

    Args:
        readings: of the photograph, at least one, as `PlateReader` gives them.
        labelled: its plates by labels that are there; None if it has none.
    """
    found = contradictions(readings, labelled or ()) if labelled is not None else []
    if found:
        return 1 + max(one.reading.confidence for one in found)
    return max(map(_doubt, readings))


def contradictions(readings: Sequence[Reading], labelled: Sequence[Plate]) -> list[Contradiction]:
    """The readings with status `ok` that say something else than the labels of the photograph."""
    found = []
    for reading in readings:
        if reading.status != "ok" or reading.box_px is None:
            continue
        label = at_place(reading.box_px, labelled)
        if label is None or (label.text is not None and label.text != reading.text):
            found.append(Contradiction(reading, label))
    return found


def at_place(box_px: Sequence[float], plates: Sequence[Plate]) -> Plate | None:
    """The plate whose box overlaps most with a box; None if none does by `SAME_PLACE`."""
    overlaps = [float(intersection_over_union(box_px, plate.box_px)) for plate in plates]
    best = int(np.argmax(overlaps)) if overlaps else -1
    return plates[best] if overlaps and overlaps[best] >= SAME_PLACE else None


def _doubt(reading: Reading) -> float:
    if reading.box_px is None:
        return NOTHING_FOUND
    if not reading.text:
        return NOTHING_READ
    return 1 - reading.confidence * reading.box_confidence


def spread(
    ranked: Iterable[int], look: Callable[[int], np.ndarray | None], before: Iterable[int] = ()
) -> Iterator[int]:
    """Photographs in their order, but those that look like one of the last `APART` wait until it is further away.

    Args:
        ranked: numbers of photographs, the most useful first.
        look: the miniature of a photograph by its number, uint8 grey `(48, 48)`; None if it is not known.
        before: those that were taken before, in order.
    """
    recent = deque((_vector(look(number)) for number in before), APART)
    waiting: list[tuple[int, np.ndarray | None]] = []
    for number in ranked:
        waiting.append((number, _vector(look(number))))
        while (place := next((n for n, (_, one) in enumerate(waiting) if not _seen(one, recent)), None)) is not None:
            taken, vector = waiting.pop(place)
            recent.append(vector)
            yield taken
    yield from (number for number, _ in waiting)


def _seen(vector: np.ndarray | None, recent: Iterable[np.ndarray | None]) -> bool:
    return vector is not None and any(one is not None and float(vector @ one) > ALIKE for one in recent)


def _vector(miniature: np.ndarray | None) -> np.ndarray | None:
    if miniature is None:
        return None
    assert miniature.shape == (PHOTOGRAPH_SIDE,) * 2
    return scene_vector(miniature)
