"""How certain a reading must be, so that a promised share of the believed ones is right: bars with a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lpr_e2e.common.promise import Bar, Promise

# What may be promised.
PRECISIONS = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
# Of so many measurements, this share keeps what it promises.
CONFIDENCE = 0.9
# Of the plates that are read rightly, this share stays believed whatever may be hidden on them; and with no more than
# this probability of something hidden, every reading does.
_KEPT, _LEAST_UNSEEN = 0.99, 0.001


def unseen_bar(holes: Sequence[float], most: float) -> float:
    """From which probability on that a character cannot be seen a reading is not believed.

    A model that guesses what is behind a bar is rarely sure that it sees it: it says so with one percent, where it has
    a thousandth for a plate that is whole. How much it says of whole ones differs from model to model.

    Args:
        holes: `(n,)`, 0..1, of the plates that are read rightly as they were photographed, see `Vocabulary.hole`.
        most: the highest bar there may be.
    """
    usual = float(np.quantile(holes, _KEPT, method="nearest")) if len(holes) else most
    return min(most, max(usual, _LEAST_UNSEEN))


def promise_of(
    certainties: Sequence[float],
    right: Sequence[bool],
    plates: int,
    ordinary: Sequence[float],
    precisions: Sequence[float] = PRECISIONS,
    confidence: float = CONFIDENCE,
) -> Promise:
    """What a reader can promise, after its readings of held-out plates.

    For each precision, the most certain reading is asked first, then the two most certain ones, and so on: are so many
    right that a reader of a lower precision would have done as well in less than `1 - confidence` of all cases (the
    bound of Clopper and Pearson 1934)? The first no ends it (fixed sequence testing, Angelopoulos et al. 2021,
    https://arxiv.org/abs/2110.01052): so the many questions do not add up to a chance of a false promise. It begins
    with as many readings as could say yes at all.

    Plates are read several times, as they were photographed and disturbed. These readings depend on each other, so they
    count together as much as one plate each does. A bar is no lower than a plate needs that was not disturbed.

    Args:
        certainties: `(n,)`, 0..1, of all readings that would be believed, disturbed ones too.
        right: bool `(n,)`.
        plates: how many plates these are readings of, found or not.
        ordinary: the certainties of the plates as they were photographed: `(plates,)`, 0 where nothing was read.
        precisions: those to try, 0..1.
        confidence: 0..1.
    """
    told, true = np.asarray(certainties, "float64"), np.asarray(right, bool)
    order = np.argsort(-told, kind="stable")
    told, wrong = told[order], np.cumsum(~true[order])
    # Of so many readings each plate has its share.
    weight = min(1.0, plates / len(told)) if len(told) else 0.0
    usual, bars = np.asarray(ordinary, "float64"), []
    for precision in sorted(precisions):
        least = math.ceil(math.log(1 - confidence) / math.log(precision) / weight) if weight else math.inf
        bar = _bar(told, wrong, weight, precision, confidence, least)
        if bar is not None:
            needed = min(usual[usual >= bar], default=bar)
            bar = float(needed) if np.count_nonzero(told >= needed) >= least else bar
            coverage = float(np.mean(usual >= bar)) if len(usual) else 0.0
            bars.append(Bar(precision, bar, coverage))
    return Promise(plates, confidence, tuple(bars))


def _bar(told, wrong, weight: float, precision: float, confidence: float, least: float) -> float | None:
    """The least certainty `(n,)`, the highest first, up to which the bound holds, see `promise_of`; None: nowhere.

    `least` is how many readings could say yes at all.
    """
    from scipy.special import betaincinv  # Late: it takes a while, and who reads does not need it.

    bar = None
    for last in range(len(told)):
        if last + 1 < least or (last + 1 < len(told) and told[last + 1] == told[last]):
            continue
        count, errors = weight * (last + 1), weight * float(wrong[last])
        bound = betaincinv(count - errors, errors + 1, 1 - confidence) if count > errors else 0.0
        if bound < precision:
            break
        bar = float(told[last])
    return bar
