"""How far a certainty can be trusted: reliability bins and their error, the temperature, errors over coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Bins of equal width of the confidence, 0..1.
CALIBRATION_BINS = 10
# The temperatures that are tried: 81 steps of four per cent.
_TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@dataclass(frozen=True)
class ReliabilityBin:
    """The readings whose confidence lies in one interval.

    Attributes:
        low, high: the ends of the interval, 0..1.
        count: number of readings.
        confidence: their mean confidence.
        accuracy: the share of them that is right; the same as `confidence` for a calibrated reader.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability_bins(confidences: Sequence[float], right: Sequence[bool]) -> list[ReliabilityBin]:
    """The readings by their confidence, in `CALIBRATION_BINS` bins of equal width; empty bins are left out.

    Args:
        confidences: float `(n,)`, 0..1.
        right: bool `(n,)`, whether the reading was right.
    """
    told, true = np.asarray(confidences, "float64"), np.asarray(right, "float64")
    which = np.clip((told * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    bins = []
    for index in range(CALIBRATION_BINS):
        here = which == index
        if here.any():
            low, high = index / CALIBRATION_BINS, (index + 1) / CALIBRATION_BINS
            bins.append(ReliabilityBin(low, high, int(here.sum()), float(told[here].mean()), float(true[here].mean())))
    return bins


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """ECE: mean distance between confidence and accuracy over the reliability bins, weighted by their size.

    Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599). 0 where there are no readings.

    Args:
        confidences, right: as in `reliability_bins`.
    """
    bins = reliability_bins(confidences, right)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / max(len(confidences), 1)


def fitted_temperature(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The temperature under which the true characters are likeliest (Guo et al. 2017).

    Args:
        probabilities: float `(n, slots, classes)`, at temperature 1.
        classes: int `(n, slots)`, the truth.

    Returns:
        What logits are divided by: above 1 for a reader that is too sure of itself; 1 for no plates at all.
    """
    if not len(classes):
        return 1.0
    logits = np.log(np.maximum(probabilities, 1e-12))

    def cost(temperature: float) -> float:
        scaled = logits / temperature
        normaliser = np.log(np.exp(scaled - scaled.max(-1, keepdims=True)).sum(-1)) + scaled.max(-1)
        return float((normaliser - np.take_along_axis(scaled, classes[..., None], axis=-1)[..., 0]).mean())

    return float(min(_TEMPERATURES, key=cost))


def risk_coverage(answers: Sequence[tuple[float, bool]]) -> list[tuple[float, float, float]]:
    """How many errors are made if only the most certain readings are accepted.

    Args:
        answers: confidence and rightness of every photograph.

    Returns:
        For each number of accepted photographs, most certain first: the share accepted (coverage), the share of wrong
        ones among them (risk), and the confidence of the last one accepted.
    """
    ordered = sorted(answers, key=lambda answer: -answer[0])
    wrong = np.cumsum([not right for _, right in ordered])
    return [
        (round(count / len(ordered), 4), round(float(wrong[count - 1]) / count, 4), round(ordered[count - 1][0], 4))
        for count in range(1, len(ordered) + 1)
    ]
