"""How far a certainty can be trusted: reliability bins and their error, the temperature, errors over coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.evaluation.intervals import wilson_interval

# Bins of equal width of the confidence, 0..1.
CALIBRATION_BINS = 10
# The temperatures that are tried: 81 steps of four per cent.
_TEMPERATURES = np.geomspace(0.25, 4.0, 81)
# What is known of a temperature before a plate is seen counts as much as so many plates, and one plate of a reader that
# reads 93 of 100 tells so much about the temperature's logarithm (Fisher information; it is 0.7 at 96 of 100, 1.25 at
# 86). Together they are the precision of the prior: nineteen of twenty temperatures lie between 0.57 and 1.76.
# Simulated readers of temperatures 0.5 to 2 give their new plates the best likelihoods by it, from 1 held-out plate to
# 100; from 150 on it makes no difference. tests/test_calibration.py holds the simulation.
PRIOR_PLATES, PLATE_INFORMATION = 12, 1.0


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


def fitted_temperature(probabilities: np.ndarray, classes: np.ndarray, prior_plates: float = PRIOR_PLATES) -> float:
    """The temperature that is likeliest after what was held out (Guo et al. 2017), and before it likely near 1.

    The log of the temperature has a normal prior about 0 that counts as much as `prior_plates` plates. Few plates
    hardly move it: a reader that is right on two of two is not certain for that. A hundred decide alone.

    Args:
        probabilities: float `(n, slots, classes)`, at temperature 1; of plates of photographs, of crops, or of both.
        classes: int `(n, slots)`, the truth.
        prior_plates: 0 for the maximum of the likelihood alone.

    Returns:
        What logits are divided by: above 1 for a reader that is too sure of itself; 1 for no plates at all.
    """
    if not len(classes):
        return 1.0
    logits = np.log(np.maximum(probabilities, 1e-12))

    def cost(temperature: float) -> float:
        scaled = logits / temperature
        normaliser = np.log(np.exp(scaled - scaled.max(-1, keepdims=True)).sum(-1)) + scaled.max(-1)
        likelihood = float((normaliser - np.take_along_axis(scaled, classes[..., None], axis=-1)[..., 0]).sum())
        return likelihood + prior_plates * PLATE_INFORMATION * np.log(temperature) ** 2 / 2

    return float(min(_TEMPERATURES, key=cost))


def certainty_bar(confidences: Sequence[float], right: Sequence[bool], precision: float) -> float | None:
    """The lowest confidence from which on the readings held out were right often enough, beyond chance.

    Args:
        confidences, right: as in `reliability_bins`.
        precision: 0..1, the least share of right ones: the lower end of its 95 % interval is compared, so that a bar
            is not set by a few lucky readings. 0.95 takes 73 right ones of 73, 0.9 takes 35.

    Returns:
        Readings of at least this confidence are that good; None if none can be shown to be.
    """
    told, true = np.asarray(confidences, "float64"), np.asarray(right, bool)
    order = np.argsort(-told, kind="stable")
    told, correct = told[order], np.cumsum(true[order])
    bar = None
    for last in range(len(told)):
        tied = last + 1 < len(told) and told[last + 1] == told[last]
        if not tied and wilson_interval(int(correct[last]), last + 1)[0] >= precision:
            bar = float(told[last])
    return bar


def risk_coverage(answers: Sequence[tuple[float, bool]]) -> list[tuple[float, float, float]]:
    """How many errors are made if only the most certain readings are accepted.

    Args:
        answers: confidence and rightness of every plate.

    Returns:
        For each number of accepted plates, most certain first: the share accepted (coverage), the share of wrong
        ones among them (risk), and the confidence of the last one accepted.
    """
    ordered = sorted(answers, key=lambda answer: -answer[0])
    wrong = np.cumsum([not right for _, right in ordered])
    return [
        (round(count / len(ordered), 4), round(float(wrong[count - 1]) / count, 4), round(ordered[count - 1][0], 4))
        for count in range(1, len(ordered) + 1)
    ]
