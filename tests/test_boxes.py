"""Boxes keep their place through letterboxing and quarter turns."""

import numpy as np
import pytest

from lpr_e2e.common.boxes import Letterbox, intersection_over_union, letterbox, turn_box, turn_picture
from lpr_e2e.common.procedure import TODAY


@pytest.mark.parametrize("height, width", [(60, 200), (200, 60), (97, 97), (1, 300), (1333, 750)])
def test_boxes_survive_the_way_to_the_canvas_and_back(height, width):
    frame = Letterbox(height, width, 96)
    boxes_px = np.array([[0, 0, height, width], [0.2 * height, 0.1 * width, 0.5 * height, 0.9 * width]])
    boxes_rel = frame.to_rel(boxes_px)
    assert boxes_rel.dtype == np.float32 and boxes_rel.min() >= 0 and boxes_rel.max() <= 1
    np.testing.assert_allclose(frame.to_px(boxes_rel), boxes_px, atol=1e-2)


def test_to_px_clips_to_the_photograph():
    np.testing.assert_array_equal(Letterbox(50, 100, 64).to_px([[-1, -1, 2, 2]]), [[0, 0, 50, 100]])


def test_letterbox_puts_the_box_where_the_pixels_are():
    photograph = np.zeros((60, 200, 3), "uint8")
    photograph[12:30, 40:120] = (255, 0, 0)
    canvas, frame = letterbox(photograph, 400)
    assert canvas.shape == (400, 400, 3) and canvas.dtype == np.uint8
    red = np.argwhere(canvas[..., 0] > 200)
    red = red[canvas[red[:, 0], red[:, 1], 1] < 50]
    ymin, xmin, ymax, xmax = frame.to_rel([12, 40, 30, 120]) * 400
    np.testing.assert_allclose([*red.min(0), *(red.max(0) + 1)], [ymin, xmin, ymax, xmax], atol=1)
    assert (canvas[:100] == TODAY.letterbox_grey).all() and not (canvas[200] == TODAY.letterbox_grey).all()


@pytest.mark.parametrize("shape", [(60, 200, 3), (200, 60, 3), (64, 64, 3), (1, 90, 3), (90, 1, 3)])
def test_a_canvas_that_is_given_is_filled_likewise(shape):
    photograph = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    batch = np.full((2, 64, 64, 3), 7, "uint8")
    canvas, frame = letterbox(photograph, 64, batch[1])
    expected, its_frame = letterbox(photograph, 64)
    np.testing.assert_array_equal(batch[1], expected)
    assert canvas is not expected and frame == its_frame and (batch[0] == 7).all()


def test_iou_of_known_boxes():
    box = [0, 0, 2, 2]
    others = [[0, 0, 2, 2], [0, 1, 2, 3], [5, 5, 6, 6], [2, 0, 4, 2], [1, 1, 1, 1]]
    np.testing.assert_allclose(intersection_over_union(box, others), [1, 1 / 3, 0, 0, 0])


def test_iou_of_empty_boxes_is_zero_and_shapes_broadcast():
    assert intersection_over_union([1, 1, 1, 1], [1, 1, 1, 1]) == 0
    assert intersection_over_union(np.ones((3, 1, 4)), np.ones((1, 5, 4))).shape == (3, 5)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4, 5])
def test_turned_box_frames_the_turned_pixels(turns):
    photograph = np.zeros((20, 31), "uint8")
    photograph[3:8, 10:24] = 1
    places = np.argwhere(np.rot90(photograph, turns))
    expected = [*places.min(0), *(places.max(0) + 1)]
    np.testing.assert_array_equal(turn_box(np.array([3, 10, 8, 24]), 20, 31, turns), expected)


@pytest.mark.parametrize("turns", range(-1, 5))
def test_a_turned_picture_is_the_one_numpy_turns(turns):
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    turned = turn_picture(picture, turns)
    assert np.array_equal(turned, np.rot90(picture, turns))
    assert turned.flags["C_CONTIGUOUS"]
