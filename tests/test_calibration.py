"""Calibration: bins, the temperature and its prior, and the bar that held-out readings set."""

import numpy as np
import pytest

from lpr_e2e.evaluation.calibration import (
    PRIOR_PLATES,
    certainty_bar,
    expected_calibration_error,
    fitted_temperature,
    reliability_bins,
)
from lpr_e2e.evaluation.intervals import interval_in_words, wilson_interval


def test_calibration_error():
    assert expected_calibration_error([1.0, 1.0, 0.0], [True, True, False]) == 0
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert expected_calibration_error([0.95, 0.95, 0.15, 0.15], [True, False, False, False]) == pytest.approx(0.3)
    assert expected_calibration_error([], []) == 0


def test_reliability_bins():
    # 0.55 and 0.58 share a bin; 1.0 belongs to the last one; the others are empty.
    first, last = reliability_bins([0.55, 1.0, 0.58, 0.98], [False, True, True, True])
    assert (first.low, first.high, first.count, first.accuracy) == (0.5, 0.6, 2, 0.5)
    assert first.confidence == pytest.approx(0.565)
    assert (last.low, last.high, last.count, last.accuracy, last.confidence) == (0.9, 1.0, 2, 1.0, 0.99)


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (0, 7), (3, 10), (155, 159), (400, 400)])
def test_the_interval_is_the_librarys(count, of):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(count, of).proportion_ci(method="wilson")
    assert wilson_interval(count, of) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_an_interval_in_words():
    assert interval_in_words(155, 159) == "(155 of 159; 93.7% to 99.0%)"


def read_plates(count, temperature, rng, slots=8, classes=12, hard=0.05):
    """Probabilities of a reader whose right temperature is known, and the truth.

    The truth is drawn from the reader's probabilities at that temperature. Most slots are easy, some are not: about
    nine plates of ten are read.
    """
    logits = rng.normal(0, 1, (count, slots, classes))
    lead = np.where(rng.random((count, slots)) < hard, rng.uniform(0, 4, (count, slots)), 8.0)
    first = rng.integers(0, classes, (count, slots, 1))
    np.put_along_axis(logits, first, logits.max(-1, keepdims=True) + lead[..., None], axis=-1)
    right = softmax(logits)
    truth = (right.cumsum(-1) < rng.random((count, slots, 1))).sum(-1).clip(0, classes - 1)
    return softmax(logits * temperature), truth


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def cost(probabilities, truth, temperature):
    """Mean negative log-likelihood of a plate at a temperature."""
    told = softmax(np.log(np.maximum(probabilities, 1e-12)) / temperature)
    return -np.log(np.take_along_axis(told, truth[..., None], axis=-1)).sum((1, 2)).mean()


class TestTemperature:
    def probabilities(self, classes, wrong_every):
        told = classes.copy()
        if wrong_every:
            told[:, ::wrong_every] = (told[:, ::wrong_every] + 1) % 12
        characters = np.full((*classes.shape, 12), 0.001)
        np.put_along_axis(characters, told[..., None], 1 - 0.011, axis=-1)
        return characters

    def test_overconfidence_is_softened_and_diffidence_sharpened(self):
        classes = np.random.default_rng(0).integers(0, 12, (20, 8))
        assert fitted_temperature(self.probabilities(classes, 3), classes) > 1.5
        assert fitted_temperature(self.probabilities(classes, 0), classes) < 1

    def test_nothing_to_fit_changes_nothing(self):
        assert fitted_temperature(np.empty((0, 8, 12)), np.empty((0, 8), int)) == 1.0

    def test_two_plates_hardly_move_it_and_many_decide_alone(self):
        rng = np.random.default_rng(0)
        few = [fitted_temperature(*read_plates(2, 1.0, rng)) for _ in range(40)]
        alone = [fitted_temperature(*read_plates(2, 1.0, rng), prior_plates=0) for _ in range(40)]
        assert np.quantile(np.abs(np.log(few)), 0.9) < np.log(1.25)
        assert np.median(np.abs(np.log(alone))) > np.log(2)  # By themselves they would have moved it anywhere.
        for true in (0.6, 1.0, 1.6):
            many = read_plates(150, true, rng)
            assert fitted_temperature(*many) == pytest.approx(fitted_temperature(*many, prior_plates=0), rel=0.15)
            assert fitted_temperature(*many) == pytest.approx(true, rel=0.25)

    @pytest.mark.parametrize("plates", [2, 10, 40, 150])
    def test_the_prior_does_no_harm_and_much_good_where_plates_are_few(self, plates):
        """Readers of every temperature that a training ends with: what new plates cost, with the prior and without."""
        rng = np.random.default_rng(plates)
        costs = []
        for _ in range(30):
            true = float(np.exp(rng.normal(0, 0.35)))
            held, new = read_plates(plates, true, rng), read_plates(300, true, rng)
            temperatures = [fitted_temperature(*held, prior_plates=prior) for prior in (PRIOR_PLATES, 0)]
            costs.append([cost(*new, one) for one in temperatures])
        with_prior, without = np.mean(costs, axis=0)
        assert with_prior < without * (0.9 if plates <= 2 else 1.01)

    def test_plates_and_crops_count_alike(self):
        rng = np.random.default_rng(1)
        plates, crops = read_plates(30, 1.6, rng), read_plates(120, 1.6, rng)
        both = [np.concatenate(pair) for pair in zip(plates, crops, strict=True)]
        assert fitted_temperature(*both) == fitted_temperature(*[one[::-1] for one in both])
        assert abs(np.log(fitted_temperature(*both) / 1.6)) < 0.25


class TestBar:
    def test_it_is_the_lowest_confidence_with_so_few_errors(self):
        # A hundred right ones above 0.8, then every second one is wrong.
        confidences = [*np.linspace(0.99, 0.8, 100), *np.linspace(0.79, 0.3, 50)]
        right = [True] * 100 + [number % 2 == 0 for number in range(50)]
        bar = certainty_bar(confidences, right, 0.9)
        assert 0.7 < bar < 0.8
        accepted = [good for told, good in zip(confidences, right, strict=True) if told >= bar]
        assert wilson_interval(sum(accepted), len(accepted))[0] >= 0.9
        assert certainty_bar(confidences, right, 0.95) > bar

    def test_the_order_does_not_matter(self):
        rng = np.random.default_rng(0)
        confidences = rng.uniform(0.5, 1, 200).round(2)
        right = rng.random(200) < confidences
        order = rng.permutation(200)
        assert certainty_bar(confidences, right, 0.6) == certainty_bar(confidences[order], right[order], 0.6)

    def test_few_readings_show_nothing(self):
        assert certainty_bar([0.99] * 34, [True] * 34, 0.9) is None
        assert certainty_bar([0.99] * 35, [True] * 35, 0.9) == 0.99
        assert certainty_bar([0.99] * 72, [True] * 72, 0.95) is None
        assert certainty_bar([0.99] * 73, [True] * 73, 0.95) == 0.99
        assert certainty_bar([], [], 0.5) is None

    def test_readings_as_certain_as_one_another_are_taken_or_left_together(self):
        assert certainty_bar([0.9] * 60, [True] * 40 + [False] * 20, 0.9) is None
