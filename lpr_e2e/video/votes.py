"""Votes: what several readings of one plate say together, with probabilities that mean what those of one reading mean.

Each reading gives a distribution over texts: of its length, and of each character. Their logarithms are added, as if
the readings were independent. That they are not is told by the design effect (Kish 1965, "Survey Sampling"): n looks
of correlation r are worth n / (1 + (n - 1) r) independent ones, never more than 1 / r.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from rapidfuzz.distance import Levenshtein

from lpr_e2e.common.vocabulary import BLANK

# How alike the errors of two looks at one plate are: chosen so that on drawn clips the voted confidence is as well
# calibrated as that of single readings; see the README.
CORRELATION = 0.5
# Looks that follow each other sooner than this count for less, seconds: two frames of one moment are one look.
APART = 0.15
# No single look can rule out a character by more than this.
_FLOOR = 1e-4


@dataclass
class _Group:
    """The readings of one length: the sum of the logarithms of their characters, and their weight."""

    sums: np.ndarray
    weight: float = 0.0


@dataclass
class Votes:
    """Collects readings of one plate, with memory that does not grow.

    Attributes:
        slots, classes: of the characters.
        looks: how many looks apart from each other there were, each by its weight.
    """

    slots: int
    classes: int
    looks: float = 0.0
    _groups: dict[int, _Group] = field(default_factory=dict, repr=False)
    _lengths: np.ndarray | None = field(default=None, repr=False)
    _weight: float = 0.0

    def add(self, characters: np.ndarray, since: float | None = None, weight: float = 1.0) -> None:
        """Add a reading.

        Args:
            characters: probabilities, `(slots, classes)`.
            since: seconds since the one before; None of the first.
            weight: how much it counts beside the others, above 0.
        """
        probabilities = np.asarray(characters, "float64")
        blank = probabilities[:, BLANK]
        ends = np.flatnonzero(probabilities.argmax(-1) == BLANK)
        length = int(ends[0]) if len(ends) else self.slots
        group = self._groups.setdefault(length, _Group(np.zeros((self.slots, self.classes))))
        group.sums += weight * np.log(np.maximum(probabilities, _FLOOR))
        group.weight += weight
        goes_on = np.concatenate([[1.0], np.cumprod(1 - blank)])
        lengths = np.log(np.maximum(np.append(goes_on[:-1] * blank, goes_on[-1]), _FLOOR))
        self._lengths = weight * lengths if self._lengths is None else self._lengths + weight * lengths
        self._weight += weight
        self.looks += weight * (1.0 if since is None else min(1.0, since / APART))

    def take(self, other: Votes) -> None:
        """Add all the readings of another plate, which has turned out to be this one."""
        for length, group in other._groups.items():
            own = self._groups.setdefault(length, _Group(np.zeros((self.slots, self.classes))))
            own.sums += group.sums
            own.weight += group.weight
        if other._lengths is not None:
            self._lengths = other._lengths.copy() if self._lengths is None else self._lengths + other._lengths
        self._weight += other._weight
        self.looks += other.looks

    def characters(self) -> np.ndarray | None:
        """The voted probabilities `(slots, classes)`, as a reading has them; None if there were no readings."""
        if self._lengths is None:
            return None
        worth = effective(self.looks)
        likely = _softmax(worth * self._lengths / self._weight)
        length = max(self._groups, key=lambda one: (likely[one], self._groups[one].weight))
        sums, weights = self._aligned(length)
        voted = np.zeros((self.slots, self.classes))
        left = np.cumsum(likely[::-1])[::-1]  # How likely the text is at least so long.
        for slot in range(self.slots):
            if slot > length:
                voted[slot, BLANK] = 1.0
                continue
            ends = likely[slot] / left[slot]
            # Of a character that only a part of the readings have, the others say nothing.
            means = worth * sums[slot] / max(weights[slot], 1e-12)
            means[BLANK] = -np.inf
            voted[slot] = (1 - ends) * _softmax(means)
            voted[slot, BLANK] = ends
        return voted

    def _aligned(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The sums and weights of all groups, each slot of other lengths where it stands in a text of this length."""
        own = self._groups[length]
        sums, weights = own.sums.copy(), np.full(self.slots, own.weight)
        text = _classes(own.sums, length)
        for other, group in self._groups.items():
            if other == length:
                continue
            for part in Levenshtein.opcodes(_classes(group.sums, other), text):
                if part.tag in ("equal", "replace"):
                    for step in range(part.src_end - part.src_start):
                        sums[part.dest_start + step] += group.sums[part.src_start + step]
                        weights[part.dest_start + step] += group.weight
        return sums, weights


def effective(looks: float) -> float:
    """How many independent looks so many are worth: at least 1."""
    return max(looks, 1.0) / (1 + (max(looks, 1.0) - 1) * CORRELATION)


def _classes(sums: np.ndarray, length: int) -> list[int]:
    """The likeliest characters of the first slots; no blanks."""
    return [int(one) for one in sums[:length, BLANK + 1 :].argmax(-1) + BLANK + 1]


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()
