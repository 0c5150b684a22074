"""Figures on cases worked out by hand."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Photograph, Plate
from lpr_e2e.evaluation.appearance import Appearance
from lpr_e2e.evaluation.metrics import (
    alignment,
    average_precision,
    challenge_log_loss,
    character_accuracy,
)
from lpr_e2e.evaluation.scoring import Scoring, score
from lpr_e2e.evaluation.truth import TruePlate, Truth, read_predictions, read_truth
from lpr_e2e.prediction.outputs import PredictionsWriter
from lpr_e2e.prediction.reading import Reading

VOCABULARY = Vocabulary("0123456789T", 8)
BOX = (0.0, 0.0, 10.0, 20.0)
HALF_BOX = (0.0, 0.0, 10.0, 12.0)  # IoU 0.6 with BOX.


def shows(img_id, text=None, box_px=None):
    """A photograph with one plate."""
    return Truth(img_id, (TruePlate(box_px, text),))


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


def test_score_by_hand():
    truths = [
        shows("right", "12T345", BOX),
        shows("one off", "99T1234", BOX),
        shows("nothing", "7T5", BOX),
        shows("absent", "1T1", BOX),
        shows("box only", None, BOX),
    ]
    readings = {
        # The other box lies elsewhere, however certain its text.
        "right": [reading("right", "1T1", 0.99, (50, 50, 60, 70), 0.4), reading("right", "12T345", 0.9)],
        "one off": [reading("one off", "99T1235", 0.6, HALF_BOX)],
        "nothing": [Reading("nothing")],
        "box only": [reading("box only", "5T5", 0.5)],
        "unknown": [reading("unknown", "5T5", 0.5)],
    }
    figures = score(truths, readings, VOCABULARY)
    assert (figures.photographs, figures.plates, figures.texts, figures.boxes) == (4, 4, 3, 4)
    assert figures.missing == ("absent",)
    assert figures.plates_found == 3 / 4 and figures.counts["plates_found"] == (3, 4)
    assert figures.plates_right == pytest.approx(1 / 3)
    assert figures.characters_right == pytest.approx((6 + 6 + 0) / 16)
    # The plate that was not found has no confidence that could be right or wrong.
    assert figures.right_of_found == pytest.approx(1 / 2)
    assert figures.mean_certainty == pytest.approx(0.75)
    assert figures.calibration_error == pytest.approx((0.1 + 0.6) / 2)
    assert (figures.ok_coverage, figures.ok_precision) == (pytest.approx(2 / 3), pytest.approx(1 / 2))
    assert figures.false_ok == 1
    assert [(one.img_id, one.read) for one in figures.false_readings] == [("right", "1T1")]
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
    assert "33.3% (1 of 3; 6.1% to 79.2%)" in figures.table()
    assert figures.as_dict()["plates_right"] == pytest.approx(1 / 3) and figures.as_dict()["false_ok"] == 1


def test_figures_without_truth_for_them_are_left_out():
    figures = score([shows("a", "12T3")], {"a": [reading("a", "12T3", 1.0)]})
    assert figures.plates_right == 1 and figures.mean_iou is None and figures.log_loss is None
    assert "IoU" not in figures.table() and "mean_iou" not in figures.as_dict()
    assert score([shows("a", "12T3")], {}).missing == ("a",)


def test_photographs_of_the_data_set_serve_as_truth():
    photograph = Photograph("a", Path("a"), (Plate(BOX, "12T3"),))
    assert score([photograph], {"a": [reading("a", "12T3", 1.0)]}).iou_70 == 1


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
    figures = score([shows("a", "12T3", BOX)], {"a": [reading("a", "12T3", 1.0)]})
    assert figures.average_precision_50 is None and figures.mean_iou == 1
    assert "AP" not in figures.table() and "average_precision_50" not in figures.as_dict()


def test_read_truth(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text(
        "\ufeffimg_id,ymin,xmin,ymax,xmax,text\na.jpg,1,2,3,4,12T3\nb.jpg,,,,,1T1\nc.jpg,1,2,3,4,\n", "utf-8"
    )
    assert read_truth(path) == [
        shows("a.jpg", "12T3", (1, 2, 3, 4)),
        shows("b.jpg", "1T1", None),
        shows("c.jpg", None, (1, 2, 3, 4)),
    ]


BOXED = "img_id,ymin,xmin,ymax,xmax,text\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("colour,size\na,1\n", "colour"),
        ("img_id,text\na,1\na,1\n", "line 3.*'a'.*line 2"),
        ("img_id,text\na,1\n./a,1\n", "line 3.*'a'"),
        (BOXED + "a,1,2,3,4,x\na,1,2,3,4,y\n", "line 3.*'a'.*one text.*'x'.*line 2"),
        (BOXED + "a,,,,,\na,1,2,3,4,y\n", "line 3.*'a'.*no plate.*line 2"),
        (BOXED + "b,1,2,3,4,y\na,,,,,\na,,,,,\n", "line 4.*'a'.*line 3"),
        (BOXED + "a,3,2,1,4,x\n", "line 2.*3,2,1,4.*ymin < ymax"),
        ("img_id,text,confidence,ymin,xmin,ymax,xmax,box_confidence,status\n", "predictions.csv, what a model read"),
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
    scoring = Scoring([shows("a", "12T3", BOX), shows("b", "1T1"), Truth("d")])
    photograph = np.full((30, 30, 3), 70, "uint8")
    for img_id in ("a", "b", "c", "d"):
        scoring.write(img_id, photograph, [reading(img_id, "12T3", 0.9)])
    assert set(scoring.readings) == {"a", "b", "d"}
    assert scoring.appearances == {"a": (Appearance(20, 2, 70),), "b": (None,), "d": ()}
    assert scoring.figures().plates_right == 0.5
    # Of a photograph that cannot be decoded, the plate's size is known nevertheless.
    scoring.write("a", None, [Reading("a", status="unreadable: empty file (0 bytes)")])
    assert scoring.appearances["a"] == (Appearance(20, 2, None),)
