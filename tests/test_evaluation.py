"""Figures on cases worked out by hand."""

import math
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.evaluation.appearance import Appearance
from lpr_e2e.evaluation.calibration import expected_calibration_error, fitted_temperature, reliability_bins
from lpr_e2e.evaluation.metrics import (
    alignment,
    average_precision,
    challenge_log_loss,
    character_accuracy,
    plate_accuracy,
)
from lpr_e2e.evaluation.scoring import Scoring, Truth, read_predictions, read_truth, score
from lpr_e2e.prediction.outputs import PredictionsWriter
from lpr_e2e.prediction.reading import Reading

VOCABULARY = Vocabulary("0123456789T", 8)
BOX = (0.0, 0.0, 10.0, 20.0)
HALF_BOX = (0.0, 0.0, 10.0, 12.0)  # IoU 0.6 with BOX.


def reading(img_id, text, confidence, box=BOX, box_confidence=0.9):
    characters = np.zeros((VOCABULARY.slots, VOCABULARY.classes))
    characters[np.arange(VOCABULARY.slots), VOCABULARY.encode(text)] = 1
    return Reading(img_id, text, confidence, box, box_confidence, "ok", characters)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("12T3", "", 4), ("", "12T3", 4), ("12T34", "12T34", 0), ("12T34", "12T3", 1), ("112T3", "12T34", 2)]
    + [("123", "321", 2), ("kitten", "sitting", 3)],
)
def test_an_alignment_has_the_fewest_differences(first, second, distance):
    assert sum(a != b for a, b in alignment(first, second)) == distance


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("", "", []),
        ("12T", "12T", [("1", "1"), ("2", "2"), ("T", "T")]),
        ("12T3", "13T3", [("1", "1"), ("2", "3"), ("T", "T"), ("3", "3")]),
        ("1T3", "13", [("1", "1"), ("T", ""), ("3", "3")]),
        ("1", "21", [("", "2"), ("1", "1")]),
        ("سطن٧", "سطن٨", [("س", "س"), ("ط", "ط"), ("ن", "ن"), ("٧", "٨")]),
    ],
)
def test_alignment(first, second, pairs):
    assert alignment(first, second) == pairs


def fewest_edits(first, second):
    """Straight from the definition: the last characters are a pair, or one of them has none."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        fewest_edits(first[:-1], second[:-1]) + (first[-1] != second[-1]),
        fewest_edits(first[:-1], second) + 1,
        fewest_edits(first, second[:-1]) + 1,
    )


def test_an_alignment_holds_both_texts_and_no_needless_difference():
    rng = np.random.default_rng(0)
    for _ in range(300):
        first, second = ("".join(rng.choice(list("01T"), rng.integers(6))) for _ in range(2))
        pairs = alignment(first, second)
        assert "".join(a for a, _ in pairs) == first and "".join(b for _, b in pairs) == second
        assert ("", "") not in pairs
        assert sum(a != b for a, b in pairs) == fewest_edits(first, second)


def test_character_accuracy_is_floored_and_weighted_by_length():
    assert character_accuracy(["12T34", "1T1"], ["12T35", "999999"]) == pytest.approx((4 + 0) / 8)
    assert character_accuracy(["1234"], ["1243"]) == pytest.approx(2 / 4)
    assert character_accuracy([], []) is None


def test_plate_accuracy_is_exact_match():
    assert plate_accuracy(["12T3", "1t1", "4T4"], ["12T3", "1T1", ""]) == pytest.approx(1 / 3)
    assert plate_accuracy([], []) is None


def test_score_by_hand():
    truths = [
        Truth("right", "12T345", BOX),
        Truth("one off", "99T1234", BOX),
        Truth("nothing", "7T5", BOX),
        Truth("absent", "1T1", BOX),
        Truth("box only", None, BOX),
    ]
    readings = {
        # The less confident box reads something else: it does not count.
        "right": [reading("right", "1T1", 0.99, (50, 50, 60, 70), 0.4), reading("right", "12T345", 0.9)],
        "one off": [reading("one off", "99T1235", 0.6, HALF_BOX)],
        "nothing": [Reading("nothing")],
        "box only": [reading("box only", "5T5", 0.5)],
        "unknown": [reading("unknown", "5T5", 0.5)],
    }
    figures = score(truths, readings, VOCABULARY)
    assert (figures.texts, figures.boxes, figures.missing) == (3, 4, ("absent",))
    assert figures.plates_right == pytest.approx(1 / 3)
    assert figures.characters_right == pytest.approx((6 + 6 + 0) / 16)
    assert figures.mean_certainty == pytest.approx(0.5)
    assert figures.calibration_error == pytest.approx((0.1 + 0.6 + 0) / 3)
    assert figures.mean_iou == pytest.approx((1 + 0.6 + 0 + 1) / 4)
    assert (figures.iou_50, figures.iou_70) == (0.75, 0.5)
    # Recall 3/4 with precision 1: 76 of the 101 levels (0 to 0.75).
    assert figures.average_precision_50 == pytest.approx(76 / 101)
    assert [(m.img_id, m.truth, m.read) for m in figures.mistakes] == [
        ("one off", "99T1234", "99T1235"),
        ("nothing", "7T5", ""),
    ]
    # Seven rows of ln 10 where nothing was read, one certain error of the 14 others.
    floor = math.log((1 + 8e-4) / 1e-4)
    assert figures.log_loss == pytest.approx((7 * math.log(10) + floor) / 21, abs=0.01)
    assert "33.3%" in figures.table() and "plates_right" in figures.as_dict()


def test_figures_without_truth_for_them_are_left_out():
    figures = score([Truth("a", "12T3")], {"a": [reading("a", "12T3", 1.0)]})
    assert figures.plates_right == 1 and figures.mean_iou is None and figures.log_loss is None
    assert "IoU" not in figures.table() and "mean_iou" not in figures.as_dict()
    assert score([Truth("a", "12T3")], {}).missing == ("a",)


def test_photographs_of_the_data_set_serve_as_truth():
    @dataclass(frozen=True)
    class Photograph:
        img_id: str
        box_px: tuple
        text: str | None

    assert score([Photograph("a", BOX, "12T3")], {"a": [reading("a", "12T3", 1.0)]}).iou_70 == 1


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


def test_challenge_log_loss():
    sure = np.full((7, 10), 0.05 / 9)
    sure[np.arange(7), [0, 1, 2, 0, 3, 4, 5]] = 0.95
    assert challenge_log_loss(["12T345"], [sure]) == pytest.approx(-math.log(0.95))
    uniform = np.full((7, 10), 0.1)
    assert challenge_log_loss(["12T345", "123456N", "1T1"], [sure, uniform, uniform]) == pytest.approx(
        (-math.log(0.95) + math.log(10)) / 2
    )
    assert challenge_log_loss(["123456N"], [uniform]) is None


def test_average_precision():
    pytest.importorskip("pycocotools")
    far = (100, 100, 110, 120)
    truth = [("a", BOX)]
    assert average_precision(truth, [("a", 0.9, BOX)], 0.5) == pytest.approx(1)
    assert average_precision(truth, [], 0.5) == 0
    assert average_precision([], [("a", 0.9, BOX)], 0.5) is None
    assert average_precision(truth, [("a", 0.9, HALF_BOX)], 0.7) == 0
    # A false box first: precision 1/2 at every recall. Last: it costs nothing.
    assert average_precision(truth, [("a", 0.9, far), ("a", 0.5, BOX)], 0.5) == pytest.approx(0.5)
    assert average_precision(truth, [("a", 0.9, BOX), ("a", 0.5, far)], 0.5) == pytest.approx(1)
    # So does one on a photograph without a plate.
    assert average_precision(truth, [("b", 0.9, BOX), ("a", 0.5, BOX)], 0.5) == pytest.approx(0.5)
    # The same plate found twice counts once: precision 1 up to recall 1/2 (51 levels), then 2/3.
    boxes = [("a", 0.9, BOX), ("a", 0.8, BOX), ("b", 0.7, BOX)]
    assert average_precision([("a", BOX), ("b", BOX)], boxes, 0.5) == pytest.approx((51 + 50 * 2 / 3) / 101)
    # Two plates on one photograph, one of them found: recall 1/2.
    assert average_precision([("a", BOX), ("a", far)], [("a", 0.9, BOX)], 0.5) == pytest.approx(51 / 101)


def test_average_precision_says_nothing_aloud(capfd):
    average_precision([("a", BOX)], [("a", 0.9, BOX)], 0.5)
    assert capfd.readouterr() == ("", "")


def test_without_cocos_library_there_is_no_average_precision(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    assert average_precision([("a", BOX)], [("a", 0.9, BOX)], 0.5) is None
    figures = score([Truth("a", "12T3", BOX)], {"a": [reading("a", "12T3", 1.0)]})
    assert figures.average_precision_50 is None and figures.mean_iou == 1
    assert "AP" not in figures.table() and "average_precision_50" not in figures.as_dict()


def test_read_truth(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text(
        "\ufeffimg_id,ymin,xmin,ymax,xmax,text\na.jpg,1,2,3,4,12T3\nb.jpg,,,,,1T1\nc.jpg,1,2,3,4,\n", "utf-8"
    )
    assert read_truth(path) == [
        Truth("a.jpg", "12T3", (1, 2, 3, 4)),
        Truth("b.jpg", "1T1", None),
        Truth("c.jpg", None, (1, 2, 3, 4)),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,text\na,1\n", "img_id"),
        ("img_id,text\na,1\na,2\n", "line 3.*'a'"),
        ("img_id,text\na,1\n./a,2\n", "line 3.*'a'"),
        ("img_id,text\n,1\n", "line 2.*img_id"),
        ("img_id,text\na,1,2\n", "line 2.*too much"),
        ("img_id,text,ymin,xmin,ymax,xmax\na,1,2,3,4,x\n", "line 2.*x"),
        ("", "none"),
    ],
)
def test_a_faulty_truth_says_where(tmp_path, content, words):
    path = tmp_path / "truth.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=words) as error:
        read_truth(path)
    assert "truth.csv" in str(error.value)


class TestPredictions:
    def test_what_was_written_is_read_back(self, tmp_path):
        readings = {
            "a.jpg": [reading("a.jpg", "12T3", 0.75), reading("a.jpg", "4T4", 0.5, (1.5, 2.0, 3.0, 40.5), 0.25)],
            "=1+1.jpg": [reading("=1+1.jpg", "5T5", 1.0)],
            "b, c/d.jpg": [Reading("b, c/d.jpg", box_confidence=0.125)],
            "e.jpg": [Reading("e.jpg", status="unreadable: empty file (0 bytes)")],
        }
        with PredictionsWriter(tmp_path, False, []) as writer:
            for img_id, plates in readings.items():
                writer.write(img_id, None, plates)
        assert read_predictions(tmp_path / "predictions.csv") == readings

    HEADER = "img_id,text,confidence,ymin,xmin,ymax,xmax,box_confidence,status\n"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("img_id,text\na,1\n", "expected a predictions.csv.*box_confidence.*found img_id,text"),
            (HEADER + "a,1,0.5,,,,,x,ok\n", "line 2.*box_confidence.*'x'"),
            (HEADER + "a,1,1.5,,,,,0,ok\n", "line 2.*confidence.*'1.5'"),
            (HEADER + "a,1,0.5,,,,,0.5,ok\na,1,0.5,1,2,3,,0.5,ok\n", "line 3.*box"),
            (HEADER + ",1,0.5,,,,,0.5,ok\n", "line 2.*img_id"),
        ],
    )
    def test_a_faulty_row_says_where(self, tmp_path, content, words):
        path = tmp_path / "predictions.csv"
        path.write_text(content)
        with pytest.raises(UserError, match=words) as error:
            read_predictions(path)
        assert "predictions.csv" in str(error.value)


def test_a_scoring_keeps_what_is_known():
    scoring = Scoring([Truth("a", "12T3", BOX), Truth("b", "1T1")])
    photograph = np.full((30, 30, 3), 70, "uint8")
    for img_id in ("a", "b", "c"):
        scoring.write(img_id, photograph, [reading(img_id, "12T3", 0.9)])
    assert set(scoring.readings) == {"a", "b"}
    assert scoring.appearances == {"a": Appearance(20, 2, 70)}
    assert scoring.figures().plates_right == 0.5
    # Of a photograph that cannot be decoded, the plate's size is known nevertheless.
    scoring.write("a", None, [Reading("a", status="unreadable: empty file (0 bytes)")])
    assert scoring.appearances == {"a": Appearance(20, 2, None)}


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
