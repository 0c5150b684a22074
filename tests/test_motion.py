"""Undoing motion: the matrices, the reading of plates in doubt, and what training shows of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from stand_in import CANVAS, PROCEDURE, VOCABULARY, MagentaEngine, car, description

from lpr_e2e.common import steps
from lpr_e2e.common.motion import undoing, undone
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.training.light import Light, motion_blur

LENGTHS = (0.02, 0.03, 0.04, 0.05)
NOISE = 0.02


def strokes(width: int = 192) -> np.ndarray:
    """Dark strokes of several widths and distances on a light ground, uint8 `(32, width, 3)`."""
    rng = np.random.default_rng(3)
    picture = np.full((32, width, 3), 210, "uint8")
    start = 12
    while start < width - 12:
        picture[4:28, start : start + int(rng.integers(3, 9))] = 30
        start += int(rng.integers(10, 24))
    return picture


def error(picture, other) -> float:
    return float(np.abs(picture.astype(float) - other)[:, 16:-16].mean())


class TestUndoing:
    @pytest.mark.parametrize("length", [5, 7, 9, 13])
    def test_strokes_come_back_by_the_right_length_alone(self, length):
        sharp = strokes()
        blurred = motion_blur(sharp, length, 0.0)
        shares = (length / 192, 2 * length / 192)
        right, wrong = undone(blurred[None], undoing(shares, 192, NOISE), np)[0]
        assert error(right, sharp) < 0.7 * error(blurred, sharp)
        assert error(wrong, sharp) > error(blurred, sharp)

    def test_what_is_flat_stays_and_levels_stay_levels(self):
        flat = np.full((1, 8, 64, 3), (200, 90, 3), "uint8")
        np.testing.assert_allclose(undone(flat, undoing(LENGTHS, 64, 1e-4), np), flat[:, None].repeat(4, 1), atol=1)
        found = undone(strokes()[None], undoing(LENGTHS, 192, NOISE), np)
        assert found.min() >= 0 and found.max() <= 255 and (found == np.round(found)).all()

    def test_numpy_and_keras_give_the_same(self):
        pictures = np.stack([strokes(), strokes()[::-1]])
        matrices = undoing(LENGTHS, 192, NOISE)
        plain = undone(pictures, matrices, np)
        graph = undone(ops.convert_to_tensor(pictures.astype("float32")), ops.convert_to_tensor(matrices), ops)
        assert plain.shape == (2, 4, 32, 192, 3)
        np.testing.assert_allclose(plain, np.asarray(graph), atol=1)


def test_the_most_certain_reading_that_agrees_with_one_beside_it():
    texts = np.array([[[1, 2], [3, 0], [3, 0], [4, 4]], [[1, 0], [2, 0], [1, 0], [2, 0]]])
    certainties = np.float32([[0.99, 0.5, 0.7, 0.9], [0.9, 0.9, 0.9, 0.9]])
    for xp in (np, ops):
        best, most = steps.best_agreed(xp.array(texts), xp.array(certainties), xp)
        assert int(best[0]) == 2
        np.testing.assert_allclose(most, [0.7, 0.0], atol=1e-6)


class MovedEngine(MagentaEngine):
    """Reads a plate with doubt, and after its motion is undone what `said` has, a text and a certainty a length."""

    def __init__(self, said):
        super().__init__(certainty=0.6)
        self.said = said

    def read(self, glimpses):
        if len(glimpses) != len(self.said):
            return super().read(glimpses)
        return self.answer(self.said)


WRONG, RIGHT = ("9N", 0.95), ("12T346", 0.9)


class TestReading:
    def read(self, said, **changes):
        procedure = replace(PROCEDURE, moved=LENGTHS[: len(said)] or (0.0,), tilts_degrees=(0.0,), **changes)
        driver = Driver(MovedEngine(said), description(VOCABULARY, procedure))
        return PlateReader(driver).read(car(CANVAS, CANVAS))[0]

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ((WRONG, RIGHT, RIGHT, ("", 1.0)), "12T346"),
            ((RIGHT, RIGHT, ("9", 0.99), WRONG), "12T346"),
            ((WRONG, RIGHT, WRONG, RIGHT), "12T345"),  # None agrees with its neighbour.
            ((WRONG, ("12T346", 0.5), ("12T346", 0.55), WRONG), "12T345"),  # Not more certain.
            ((("", 1.0),) * 4, "12T345"),  # Nothing is no reading.
        ],
    )
    def test_a_plate_in_doubt_says_what_two_lengths_agree_in(self, said, text):
        assert self.read(said).text == text

    def test_a_plate_without_doubt_is_read_as_it_is(self):
        assert self.read((RIGHT,) * 4, doubt=0.5).text == "12T345"

    def test_nothing_is_undone_where_the_procedure_says_so(self):
        assert self.read(()).text == "12T345"


class TestTraining:
    def glimpses(self, undone: float) -> list[np.ndarray]:
        light = Light(1.0, 0.0, 1.0, undone, NOISE, 0.0, 0.0)
        return [light.on_glimpse(strokes(), np.random.default_rng(seed), 170.0, (32, 192)) for seed in range(40)]

    def test_some_blurred_glimpses_are_shown_as_reading_shows_them_in_doubt(self):
        with_it, without = self.glimpses(0.5), self.glimpses(0.0)
        changed = [not np.array_equal(one, other) for one, other in zip(with_it, without, strict=True)]
        assert 5 <= sum(changed) <= 20
        assert all(one.dtype == np.uint8 and one.shape == (32, 192, 3) for one in with_it)
