"""Evening out contrast: pictures, the reading of plates that are not certain, and what training shows of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from stand_in import CANVAS, PROCEDURE, VOCABULARY, MagentaEngine, car, description

from lpr_e2e.common.contrast import equalised
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.training.light import Light

LIMIT = 2.0


def plate(paper=(220, 220, 220), ink=(30, 30, 30), sides=(64, 192)) -> np.ndarray:
    """A plate with strokes of many widths, uint8."""
    picture = np.full((*sides, 3), paper, "uint8")
    rng, start = np.random.default_rng(5), 10
    while start < sides[1] - 12:
        picture[sides[0] // 5 : -sides[0] // 5, start : start + int(rng.integers(2, 6))] = ink
        start += int(rng.integers(8, 18))
    return picture


def contrast(picture) -> float:
    """Of light against dark in the middle rows, grey levels."""
    middle = picture[len(picture) // 3 : -len(picture) // 3].astype(float).mean(2)
    return float(np.percentile(middle, 90) - np.percentile(middle, 5))


BLEACHED = ((240, 240, 240), (225, 225, 225))
IN_THE_DARK = ((24, 24, 24), (8, 8, 8))


class TestEqualised:
    @pytest.mark.parametrize(("paper", "ink"), [BLEACHED, IN_THE_DARK])
    @pytest.mark.parametrize("limit", [1.5, 2.0, 4.0])
    def test_faint_strokes_become_clearer_by_no_more_than_the_limit(self, paper, ink, limit):
        before = plate(paper, ink)
        factor = contrast(equalised(before[None], limit, np)[0]) / contrast(before)
        # What is cut off of the commonest levels goes to all of them, which adds up to one.
        assert 1.2 < factor < limit + 1

    def test_in_half_shade_both_halves_become_clearer(self):
        picture = np.hstack([plate(*BLEACHED)[:, :96], plate(*IN_THE_DARK)[:, 96:]])
        found = equalised(picture[None], 4.0, np)[0]
        for half in (slice(0, 70), slice(122, 192)):
            assert contrast(found[:, half]) > 1.5 * contrast(picture[:, half])

    @pytest.mark.parametrize("level", [0, 3, 128, 255])
    def test_what_is_flat_stays_flat_and_about_as_it_was(self, level):
        flat = np.full((1, 64, 192, 3), level, "uint8")
        np.testing.assert_allclose(equalised(flat, LIMIT, np), flat, atol=20)
        assert np.ptp(equalised(flat, LIMIT, np)) == 0

    def test_colours_stay(self):
        picture = plate((200, 60, 40), (120, 90, 100))
        found = equalised(picture[None], LIMIT, np)[0]
        inside = ((found > 0) & (found < 255)).all(-1)
        assert inside.mean() > 0.5
        for one, other in ((0, 1), (1, 2)):
            before = picture[..., one].astype(float) - picture[..., other]
            np.testing.assert_allclose((found[..., one] - found[..., other])[inside], before[inside], atol=1)

    def test_a_level_more_or_less_changes_little(self):
        """So that engines whose glimpses differ by a rounding read the same."""
        picture = plate()
        noise = np.random.default_rng(0).integers(-1, 2, picture.shape)
        other = np.clip(picture.astype(int) + noise, 0, 255).astype("uint8")
        assert np.abs(equalised(picture[None], LIMIT, np) - equalised(other[None], LIMIT, np)).max() <= 8

    @pytest.mark.parametrize("sides", [(64, 192), (48, 144), (17, 50), (4, 2), (1, 1)])
    def test_numpy_and_keras_give_the_same_levels(self, sides):
        rng = np.random.default_rng(0)
        pictures = rng.integers(0, 256, (3, *sides, 3)).astype("uint8")
        plain = equalised(pictures, LIMIT, np)
        graph = np.asarray(equalised(ops.convert_to_tensor(pictures.astype("float32")), LIMIT, ops))
        assert plain.shape == pictures.shape and plain.dtype == np.float32
        assert plain.min() >= 0 and plain.max() <= 255 and (plain == np.round(plain)).all()
        np.testing.assert_allclose(plain, graph, atol=1)

    def test_each_picture_is_by_itself(self):
        pictures = np.stack([plate(), plate(*BLEACHED), plate(*IN_THE_DARK)])
        together = equalised(pictures, LIMIT, np)
        for picture, found in zip(pictures, together, strict=True):
            np.testing.assert_allclose(equalised(picture[None], LIMIT, np)[0], found, atol=1)

    def test_none_are_none(self):
        assert equalised(np.zeros((0, 64, 192, 3), "uint8"), LIMIT, np).shape == (0, 64, 192, 3)


class KeepingEngine(MagentaEngine):
    """Keeps the glimpses that it reads."""

    def __init__(self, certainty: float):
        super().__init__(certainty=certainty)
        self.glimpses: list[np.ndarray] = []

    def read(self, glimpses):
        self.glimpses.append(np.array(glimpses))
        return super().read(glimpses)


class TestReading:
    def read(self, certainty: float, **changes) -> list[np.ndarray]:
        """The glimpses of a plate that is read with this certainty, call by call."""
        procedure = replace(PROCEDURE, reading_scales=(1.0, 1.15, 0.9), doubt=0.0, **changes)
        engine = KeepingEngine(certainty)
        PlateReader(Driver(engine, description(VOCABULARY, procedure))).read(car(CANVAS, CANVAS))
        return engine.glimpses

    def test_the_first_glimpse_is_seen_as_it_is_the_others_evened_out(self):
        (first, others), (same, plain) = self.read(0.6), self.read(0.6, equalised=0.0)
        np.testing.assert_array_equal(first, same)
        assert others.shape == plain.shape == (2, *first.shape[1:]) and others.dtype == plain.dtype
        np.testing.assert_allclose(others, equalised(plain, PROCEDURE.equalised, np), atol=1)
        assert np.abs(others.astype(float) - plain).mean() > 1

    def test_a_certain_plate_is_read_once(self):
        assert len(self.read(0.999)) == 1


class TestTraining:
    def glimpses(self, share: float, limit: float = LIMIT) -> list[np.ndarray]:
        light = Light(1.0, 0.0, 0.0, 0.0, 0.02, share, limit)
        return [light.on_glimpse(plate(), np.random.default_rng(seed), 170.0, (64, 192)) for seed in range(60)]

    def test_a_share_of_the_glimpses_is_shown_as_reading_shows_them(self):
        without, with_it, all_of_them = (self.glimpses(share) for share in (0.0, 0.3, 1.0))
        changed = [not np.array_equal(one, other) for one, other in zip(with_it, without, strict=True)]
        assert 9 <= sum(changed) <= 27
        for plain, found in zip(without, all_of_them, strict=True):
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, equalised(plain[None], LIMIT, np)[0])

    def test_none_is_where_reading_does_not(self):
        for one, other in zip(self.glimpses(1.0, 0.0), self.glimpses(0.0), strict=True):
            np.testing.assert_array_equal(one, other)
