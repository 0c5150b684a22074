"""The step back: a picture that a plate fills is read with room around it, and no other photograph is.

That a graph does the same is in `test_saved_model`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from stand_in import PROCEDURE, MagentaEngine, SeveralEngine, car, reader, street

from lpr_e2e.common import steps
from lpr_e2e.common.procedure import TODAY

STEPPING = replace(PROCEDURE, step_back=TODAY.step_back, filling_plate=TODAY.filling_plate, closer_part=0.0, edge=0.03)


class HalfEngine(MagentaEngine):
    """Takes each half of a plate that is wider than most of its scene for a plate of its own."""

    def find(self, scenes):
        found = super().find(scenes)
        for place, box in enumerate(found["cell_boxes"]):
            top, left, bottom, right = box[0]
            if max(right - left, bottom - top) > 0.8:
                (y, x), lying = ((top + bottom) / 2, (left + right) / 2), right - left > bottom - top
                first = [top, left, bottom, x] if lying else [top, left, y, right]
                box[:] = [first, [top, x, bottom, right] if lying else [y, left, bottom, right]]
                found["objectness"][place] = [2.0, 1.9]
        return found


class Margin(HalfEngine):
    """Keeps the widths of the plates that it was shown, in shares of the scene."""

    def __init__(self):
        super().__init__()
        self.widths: list[float] = []

    def find(self, scenes):
        found = super().find(scenes)
        self.widths += [float(box[0, 3] - box[0, 1]) for box in found["cell_boxes"]]
        return found


@pytest.mark.parametrize("sides", [(60, 200), (200, 60), (100, 130), (31, 97)])
@pytest.mark.parametrize("engine", [MagentaEngine, HalfEngine])
def test_a_picture_of_a_plate_alone_is_one_plate(sides, engine):
    height, width = sides
    (found,) = reader(engine(), procedure=STEPPING).read(car(height, width, (0, 0, height, width)))
    assert (found.text, found.status) == ("12T345", "ok")
    np.testing.assert_allclose(found.box_px, (0, 0, height, width), atol=2.5)


def test_without_it_each_half_is_taken_for_a_plate():
    halves = reader(HalfEngine(), procedure=replace(STEPPING, step_back=0.0)).read(car(60, 200, (0, 0, 60, 200)))
    assert len(halves) == 2 and all(one.box_px[3] - one.box_px[1] < 110 for one in halves)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_there_is_as_much_room_as_the_procedure_says(share):
    engine = Margin()
    reader(engine, procedure=replace(STEPPING, step_back=share)).read(car(60, 200, (0, 0, 60, 200)))
    assert engine.widths[-1] == pytest.approx(1 / (1 + 2 * share), abs=0.02)


@pytest.mark.parametrize(
    "photograph",
    [car(), car(240, 320, (100, 10, 140, 165)), np.full((100, 300, 3), 90, "uint8")],
    ids=["a plate", "nearly half as wide as the picture", "none"],
)
def test_other_photographs_are_looked_at_as_often_as_before(photograph):
    engines = MagentaEngine(), MagentaEngine()
    for engine, share in zip(engines, (STEPPING.step_back, 0.0), strict=True):
        readings = reader(engine, procedure=replace(STEPPING, step_back=share)).read(photograph)
        assert len(readings) == 1
    assert engines[0].found == engines[1].found and engines[0].read_ == engines[1].read_


def test_two_plates_side_by_side_stay_two():
    found = reader(SeveralEngine(), procedure=STEPPING).read(street((200, 10, 280, 300), (200, 330, 280, 630)))
    assert sorted(round(float(one.box_px[1])) for one in found) == [10, 330]


def test_of_several_pictures_each_is_judged_on_its_own():
    one, other = car(60, 200, (0, 0, 60, 200)), car()
    alone = [reader(HalfEngine(), procedure=STEPPING).read(picture)[0] for picture in (one, other)]
    files = [("one", one), ("other", other), ("again", one)]
    together = [found for _, _, found in reader(HalfEngine(), procedure=STEPPING).read_files(files)]
    for (found,), expected in zip(together, (*alone, alone[0]), strict=True):
        assert found.text == expected.text
        np.testing.assert_array_equal(found.box_px, expected.box_px)


def test_what_fills_its_picture_does_not_go_on_beyond_it():
    """At one end alone, as a detector's crop that is a little off."""
    crop = np.array([4.0, 0.0, 58.0, 180.0], "float32")
    assert not steps.may_go_on(crop, (60, 200), TODAY, np, unseen=7)
    assert steps.may_go_on(crop, (600, 2000), TODAY, np, unseen=7)
    assert steps.may_go_on(crop, (60, 200), replace(TODAY, filling_plate=1.0), np, unseen=7)
    # A model that cannot say what is hidden would not notice that the plate goes on.
    assert steps.may_go_on(crop, (60, 200), TODAY, np)
    boxes = np.random.default_rng(0).uniform(0, 90, (200, 4)).astype("float32")
    boxes[:, 2:] += boxes[:, :2]
    first, second = (np.asarray(steps.fills(boxes, (100, 110), TODAY, xp)) for xp in (np, ops))
    np.testing.assert_array_equal(first, second)
    assert 0 < first.sum() < 200
