"""Where the characters of a plate stand, and what its text is when some of them cannot be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from lpr_e2e.common.scripts import clusters, in_visual_order
from lpr_e2e.common.vocabulary import UNSEEN

# A character of which this share of its box is hidden cannot be told; one of which no more than the second is, can. In
# between it depends on the character: nothing is said of it.
HIDDEN, SEEN = 0.6, 0.2
# The same for characters whose own place is not known, only that of several together.
_ALL, _NONE = 0.97, 0.03


@dataclass(frozen=True)
class Places:
    """The places of a text's characters on an upright plate.

    Attributes:
        parts: the n clusters of the text in its logical order, see `lpr_e2e.common.scripts.clusters`; no blanks.
        boxes: float `(n, 4)` yxyx, in the frame of the plate's picture.
        apart: bool `(n,)`: whether the box is the character's own; else several share it, as joined letters do.
        rows_known: whether the boxes tell how high the characters reach, and not only where they stand along the plate.
    """

    parts: tuple[str, ...]
    boxes: np.ndarray
    apart: np.ndarray
    rows_known: bool = True

    @property
    def text(self) -> str:
        """What the plate says."""
        return "".join(self.parts)

    def moved(self, factor: Sequence[float], shift: Sequence[float]) -> Places:
        """In another frame: yx times the factor, then plus the shift."""
        return replace(self, boxes=self.boxes * np.tile(factor, 2) + np.tile(shift, 2))

    def text_seen(self, least: np.ndarray, most: np.ndarray, counted: bool) -> str | None:
        """The text of which parts are hidden.

        Args:
            least, most: `(n,)` shares of each box, 0..1: what is hidden for sure, and what may be.
            counted: whether hidden characters can still be counted, because the plate around them is seen; else one
                `UNSEEN` stands for all that are missing next to each other.

        Returns:
            the text with `UNSEEN` for what cannot be seen, `""` if nothing is legible; None where that cannot be said.
        """
        hidden = least >= np.where(self.apart, HIDDEN, _ALL)
        seen = most <= np.where(self.apart, SEEN, _NONE)
        if not (hidden | seen).all() or (counted and (hidden & ~self.apart).any()):
            return None
        if hidden.all():
            return ""
        shown = []
        for is_hidden, run in groupby(zip(self.parts, hidden, strict=True), key=lambda one: bool(one[1])):
            parts = [part for part, _ in run]
            shown += ([UNSEEN] * (len(parts) if counted else 1)) if is_hidden else parts
        return "".join(shown)


def beyond(boxes: np.ndarray, side: int, line: float) -> np.ndarray:
    """The share `(n,)` of boxes `(n, 4)` that lies beyond a line.

    Args:
        boxes: yxyx.
        side: of a box, as it is numbered there: 0 what is above the line, 1 left of it, 2 below, 3 right of it.
        line: in the boxes' frame.
    """
    low, high = boxes[:, side % 2], boxes[:, side % 2 + 2]
    share = np.clip((line - low) / np.maximum(high - low, 1e-6), 0, 1)
    return share if side < 2 else 1 - share


def places_by_cuts(text: str, groups: Sequence[tuple[int, np.ndarray]]) -> Places | None:
    """The places of the characters of a real plate that can be cut between some of them.

    Args:
        text: what it says.
        groups: see `lpr_e2e.training.pseudo_labels.PseudoLabels.cuts`.

    Returns:
        in shares of the plate's box; None where they cannot be told, as with two lines.
    """
    parts = clusters(text)
    if len(parts) != len(text) or any(part.isspace() for part in parts):
        return None
    along = {start + number: cuts[number : number + 2] for start, cuts in groups for number in range(len(cuts) - 1)}
    # Which character stands where, from left to right: by number, as a character can be there twice.
    order = [part.place for part in in_visual_order(numbered(parts))]
    known = [along[number] for number in order if number in along]
    if not known or any(one[1] > other[0] + 1e-6 for one, other in zip(known, known[1:], strict=False)):
        return None
    spans, left = np.zeros((len(text), 2)), 0.0
    for is_known, run in groupby(order, key=along.__contains__):
        numbers = list(run)
        if is_known:
            spans[numbers] = [along[number] for number in numbers]
            left = spans[numbers[-1], 1]
        else:  # Somewhere between the known ones.
            after = order[order.index(numbers[-1]) + 1 :]
            spans[numbers] = left, along[after[0]][0] if after else 1.0
    if (spans[:, 1] - spans[:, 0] <= 0).any():
        return None
    boxes = np.stack([np.full(len(text), 0.15), spans[:, 0], np.full(len(text), 0.85), spans[:, 1]], axis=1)
    apart = np.array([number in along for number in range(len(text))])
    return Places(tuple(parts), boxes, apart, rows_known=False)


class Numbered(str):
    """A cluster of a text that knows the place it has there, `place`, wherever it is put."""

    place: int

    def __new__(cls, cluster: str, place: int) -> Numbered:
        own = super().__new__(cls, cluster)
        own.place = place
        return own


def numbered(parts: Sequence[str]) -> list[Numbered]:
    """The clusters of a text with their places."""
    return [Numbered(part, place) for place, part in enumerate(parts)]
