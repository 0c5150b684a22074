"""Plots: what they count, and that they show it."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from lpr_e2e.training.plots import calibration_plot, confusion_plot, shares_plot


@pytest.fixture
def texts(monkeypatch):
    """The texts that are written into a plot, with their places."""
    written = []
    write = Axes.text

    def note(self, x, y, text, **options):
        written.append((x, y, str(text)))
        return write(self, x, y, text, **options)

    monkeypatch.setattr(Axes, "text", note)
    return written


def test_confusion_counts_characters_by_truth_and_reading(texts):
    plot = confusion_plot([("12", "12"), ("12", "11"), ("1", "12"), ("21", "1"), ("1", "")], "12")
    # Rows are true, columns read: 1, 2, none.
    assert {(row, column): int(count) for column, row, count in texts} == {
        (0, 0): 4,
        (0, 2): 1,
        (1, 0): 1,
        (1, 1): 1,
        (1, 2): 1,
        (2, 1): 1,
    }
    assert plot.dtype == np.uint8 and plot.ndim == 3 and plot.std() > 5


def test_a_character_that_the_model_does_not_know_counts_as_missed(texts):
    confusion_plot([("1A", "1")], "12")
    assert {(row, column) for column, row, _ in texts} == {(0, 0), (2, 3)}


def test_calibration_shows_the_share_of_right_plates_per_bin(texts):
    calibration_plot([0.95, 0.99, 0.91, 0.25, 1.0], [True, True, False, False, True])
    shown = {(round(x, 2), round(y - 0.02, 2)): count for x, y, count in texts}
    assert shown == {(0.95, 0.75): "4", (0.25, 0.0): "1"}


def test_shares_are_ordered(texts):
    shares_plot({"a": 0.2, "b": 0.5, "c": 0.3}, "title")
    assert [text.strip() for _, _, text in texts] == ["20.0%", "30.0%", "50.0%"]
