"""Robustness: what is measured is what a reader of known behaviour does."""

import json

import cv2
import numpy as np
import pytest

from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Photograph
from lpr_e2e.experiments.robustness import SMALLEST_WINDOW, certain_errors, measure, plate_free_windows
from lpr_e2e.prediction.reading import Reading

RED = np.array([250, 10, 10])


@pytest.fixture
def photographs(tmp_path):
    """Grey photographs with a red plate; their texts are 1, 2, 3 ..."""
    rng, made = np.random.default_rng(0), []
    for number in range(1, 9):
        picture = np.full((300, 400, 3), 120, "uint8")
        top, left = int(rng.integers(100, 200)), int(rng.integers(100, 200))
        picture[top : top + 30, left : left + 100] = RED
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        made.append(Photograph(path.name, path, (top, left, top + 30, left + 100), str(number), 0))
    return made


def red_pixels(picture):
    return np.argwhere((picture == RED).all(-1))


class RedReader:
    """Finds the red plate exactly; reads the photograph's number from its name, but only if it lies as it should."""

    vocabulary = Vocabulary("0123456789", 1)

    def __init__(self, invents: bool = False):
        self.invents = invents

    def read_files(self, photographs):
        for img_id, picture in photographs:
            spots = red_pixels(picture)
            if not len(spots):
                yield img_id, picture, [Reading(img_id, "7", 0.9, None, 0.9, "ok") if self.invents else Reading(img_id)]
                continue
            box = (*spots.min(0), *(spots.max(0) + 1))
            upright = picture.shape[0] < picture.shape[1]
            text = img_id.split(".")[0] if upright else "0"
            yield img_id, picture, [Reading(img_id, text, 0.9, box, 0.9, "ok")]

    def read_crops(self, crops):
        """Upright crops say how wide they are."""
        return [Reading("", str(crop.shape[1])) for crop in crops]


def test_turned_photographs_and_their_boxes(photographs):
    found = measure(RedReader(), photographs, windows=0)
    assert found.turned == {0: (1.0, 1.0), 90: (0.0, 1.0), 180: (1.0, 1.0), 270: (0.0, 1.0)}
    assert (found.certain, found.certain_errors, found.crops) == (7, 0, {})
    assert "turned by 180 degrees" in found.table() and "100.0%" in found.table()


def test_crops_by_kind(tmp_path):
    crops = []
    for number, (height, width, turns, text) in enumerate(
        [
            (20, 100, 0, "100"),
            (20, 90, 0, "91"),
            (120, 30, 1, "120"),
            (50, 80, 0, "80"),
            (20, 70, 0, "7N"),
            (9, 9, None, "9"),
        ]
    ):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.zeros((height, width, 3), "uint8"))
        crops.append(Crop(path.name, path, text, turns))
    found = measure(RedReader(), [], crops=crops, windows=0)
    assert found.crops == {
        "all": (5, pytest.approx(3 / 5)),
        "high, such as two lines (below 2.2:1)": (1, 1.0),
        "series #N": (1, 0.0),
    }
    assert "held-out crops: series #N" in found.table()


@pytest.mark.parametrize("invents", [False, True])
def test_readings_without_a_plate(photographs, invents):
    found = measure(RedReader(invents), photographs[:2], photographs[2:], windows=5)
    assert found.windows == 5
    assert found.false_readings == (5 if invents else 0)
    written = json.loads(json.dumps(found.as_dict()))
    assert written["turned"]["0"] == {"plates_right": 1.0, "mean_iou": 1.0} and written["windows"] == 5


def test_windows_miss_the_plate_and_are_large_enough(photographs):
    for seed in range(5):
        windows = list(plate_free_windows(photographs, 100, np.random.default_rng(seed)))
        assert len(windows) == len(photographs)
        for _, window in windows:
            assert not len(red_pixels(window))
            assert min(window.shape[:2]) >= SMALLEST_WINDOW


def test_no_window_where_the_plate_leaves_no_room(tmp_path):
    path = tmp_path / "close.png"
    cv2.imwrite(str(path), np.zeros((120, 300, 3), "uint8"))
    photograph = Photograph(path.name, path, (30, 50, 90, 250), None, 0)
    assert not list(plate_free_windows([photograph], 3, np.random.default_rng(0)))


def test_only_the_most_certain_count(photographs):
    confidences = [0.99, 0.98, 0.97, 0.96, 0.5, 0.4, 0.3, 0.2]
    readings = {
        photograph.img_id: [Reading(photograph.img_id, photograph.text, confidence, status="ok")]
        for photograph, confidence in zip(photographs, confidences, strict=True)
    }
    for doubtful, errors in (("8.png", 0), ("7.png", 0), ("4.png", 1)):
        wrong = {**readings, doubtful: [Reading(doubtful, "x", readings[doubtful][0].confidence, status="ok")]}
        assert certain_errors(photographs, wrong, 0.5) == (4, errors)
