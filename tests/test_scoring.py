"""Scores of photographs with several plates, with none, and in every script."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpr_e2e.common.errors import UserError
from lpr_e2e.evaluation.appearance import Appearance
from lpr_e2e.evaluation.matching import match
from lpr_e2e.evaluation.names import as_read
from lpr_e2e.evaluation.scoring import Scoring, score
from lpr_e2e.evaluation.slices import slices
from lpr_e2e.evaluation.truth import TruePlate, Truth, read_truth
from lpr_e2e.prediction.reading import Reading

LEFT, RIGHT, FAR = (0.0, 0.0, 10.0, 40.0), (0.0, 100.0, 10.0, 140.0), (200.0, 0.0, 210.0, 40.0)


def reading(text, box, confidence=0.9, status="ok", img_id="a"):
    return Reading(img_id, text, confidence, box, 0.9, status)


def shifted(box, by):
    """The box, moved to the right."""
    return (box[0], box[1] + by, box[2], box[3] + by)


class TestMatching:
    def test_every_plate_gets_the_reading_at_its_place(self):
        truth = Truth("a", (TruePlate(LEFT, "粤BA9H07"), TruePlate(RIGHT, "津G68991")))
        right, left, other = reading("津G68991", RIGHT), reading("粤B", shifted(LEFT, 4)), reading("7", FAR)
        found = match(truth, [right, other, left])
        assert [one.reading for one in found.outcomes] == [left, right] and found.rest == (other,)
        assert [one.iou for one in found.outcomes] == [pytest.approx(36 / 44), 1.0]
        assert [one.is_right for one in found.outcomes] == [False, True]
        assert found.of(right) is found.outcomes[1] and found.of(other) is None

    def test_the_best_overlap_comes_first_and_each_reading_serves_one_plate(self):
        near, between = shifted(LEFT, 10), shifted(LEFT, 4)
        truth = Truth("a", (TruePlate(LEFT, "1"), TruePlate(near, "2")))
        # `between` overlaps both plates by more than half, the first one better; only one of them can have it.
        only = match(truth, [reading("1", between)])
        assert [one.text for one in only.outcomes] == ["1", ""]
        both = match(truth, [reading("1", between), reading("2", shifted(LEFT, 11))])
        assert [one.text for one in both.outcomes] == ["1", "2"]

    def test_a_box_too_far_off_finds_nothing_but_says_how_far(self):
        (outcome,) = match(Truth("a", (TruePlate(LEFT, "1"),)), [reading("1", shifted(LEFT, 20))]).outcomes
        assert outcome.reading is None and outcome.iou == pytest.approx(20 / 60) and not outcome.is_right

    def test_a_plate_somewhere_gets_the_most_certain_reading_that_is_left(self):
        truth = Truth("a", (TruePlate(None, "2"), TruePlate(LEFT, "1")))
        readings = [reading("9", FAR, 0.5), reading("1", LEFT, 0.99), reading("2", RIGHT, 0.8)]
        found = match(truth, readings)
        assert [one.text for one in found.outcomes] == ["2", "1"] and found.outcomes[0].iou is None
        assert found.rest == (readings[0],)

    def test_several_plates_somewhere_are_told_apart_by_their_texts(self):
        truth = Truth("a", (TruePlate(None, "12T34"), TruePlate(None, "99T9")))
        found = match(truth, [reading("99T8", LEFT, 0.9), reading("12T34", RIGHT, 0.8), reading("12T34", FAR, 0.7)])
        assert [one.text for one in found.outcomes] == ["12T34", "99T8"] and len(found.rest) == 1

    def test_nothing_read_is_no_reading(self):
        found = match(Truth("a", (TruePlate(None, "1"), TruePlate(LEFT))), [Reading("a")])
        assert [one.reading for one in found.outcomes] == [None, None] and len(found.rest) == 1


def test_score_of_several_plates_and_none_by_hand():
    truths = [
        Truth("two", (TruePlate(LEFT, "سطن٧١٢٦"), TruePlate(RIGHT, "أنع٨١٩"))),
        Truth("box", (TruePlate(LEFT, None),)),
        Truth("none"),
        Truth("open", (TruePlate(LEFT, "粤B1"),), complete=False),
        Truth("unread", (TruePlate(LEFT, "1"),)),
    ]
    readings = {
        "two": [reading("أنع٨١٨", RIGHT, 0.75, "uncertain"), reading("سطن٧١٢٦", LEFT, 0.95), reading("8", FAR)],
        "box": [reading("5", LEFT), reading("6", FAR, 0.3, "uncertain")],
        "none": [reading("7", FAR, 0.99)],
        "open": [reading("粤B1", LEFT, 0.85), reading("粤B2", FAR)],
    }
    figures = score(truths, readings)
    assert figures.sizes() == {"photographs": 4, "empty_photographs": 1, "plates": 4, "texts": 3, "boxes": 4}
    assert figures.counts == {
        "plates_found": (4, 4),
        "plates_right": (2, 3),
        "right_of_found": (2, 3),
        "ok_coverage": (2, 3),
        "ok_precision": (2, 2),
        "iou_50": (4, 4),
        "iou_70": (4, 4),
    }
    # On a photograph that may show further plates, a reading elsewhere may be one of them.
    assert figures.false_ok == 2 and [one.read for one in figures.false_readings] == ["7", "8"]
    assert figures.characters_right == pytest.approx((7 + 5 + 3) / 16)
    assert figures.calibration_error == pytest.approx((0.05 + 0.75 + 0.15) / 3)
    assert [(one.truth, one.read) for one in figures.mistakes] == [("أنع٨١٩", "أنع٨١٨")]
    assert figures.missing == ("unread",)
    shown = figures.table()
    assert "photographs without a plate" in shown and "66.7% (2 of 3; 20.8% to 93.9%)" in shown


def test_photographs_without_plates_alone_are_a_score():
    figures = score([Truth("a"), Truth("b")], {"a": [Reading("a")], "b": [reading("1", LEFT, img_id="b")]})
    assert (figures.photographs, figures.empty_photographs, figures.plates, figures.false_ok) == (2, 2, 0, 1)
    assert figures.as_dict() == {"false_ok": 1.0} and figures.plates_right is None


def test_nothing_found_is_scored_too():
    figures = score([Truth("a", (TruePlate(LEFT, "1"),))], {"a": [Reading("a")]})
    assert (figures.plates_found, figures.plates_right, figures.mean_iou) == (0, 0, 0)
    assert figures.right_of_found is None and figures.calibration_error is None and figures.ok_precision is None
    assert figures.false_ok == 0


def test_a_second_reading_of_a_plate_is_a_false_one():
    figures = score([Truth("a", (TruePlate(LEFT, "1"),))], {"a": [reading("1", LEFT), reading("1", shifted(LEFT, 2))]})
    assert (figures.plates_right, figures.false_ok) == (1, 1)


BOXES = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(4, 9), st.integers(4, 9)).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)
TEXTS = st.sampled_from(["1", "12", "سطن٧", "粤B1"])
PLATES = st.lists(
    st.tuples(st.none() | BOXES, st.none() | TEXTS).filter(any), max_size=4, unique_by=(lambda one: one[0] or one[1])
)
READINGS = st.lists(
    st.tuples(TEXTS, BOXES, st.sampled_from([0.2, 0.55, 0.9, 0.97]), st.sampled_from(["ok", "uncertain"])), max_size=4
)
SETS = st.lists(st.tuples(PLATES, READINGS), min_size=1, max_size=4)


def as_set(drawn):
    """Truths and readings of what was drawn; where nothing was read, one reading says so."""
    truths = [
        Truth(str(number), tuple(TruePlate(*plate) for plate in plates)) for number, (plates, _) in enumerate(drawn)
    ]
    readings = {
        str(number): [Reading(str(number), text, told, box, 0.9, status) for text, box, told, status in found]
        or [Reading(str(number))]
        for number, (_, found) in enumerate(drawn)
    }
    return truths, readings


@settings(max_examples=80, deadline=None)
@given(SETS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(drawn, random):
    truths, readings = as_set(drawn)
    before = score(truths, readings)
    mixed = [replace(one, plates=tuple(random.sample(one.plates, len(one.plates)))) for one in truths]
    random.shuffle(mixed)
    after = score(mixed, {img_id: random.sample(found, len(found)) for img_id, found in readings.items()})
    assert after.as_dict() == pytest.approx(before.as_dict()) and after.counts == before.counts
    assert after.false_readings == before.false_readings and after.mistakes == before.mistakes


def share(box, other):
    """IoU of boxes with whole numbers, by counting pixels."""
    pixels = [
        {(y, x) for y in range(int(one[0]), int(one[2])) for x in range(int(one[1]), int(one[3]))}
        for one in (box, other)
    ]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


@settings(max_examples=80, deadline=None)
@given(SETS)
def test_boxes_are_matched_as_the_definition_says(drawn):
    """Again and again the pair that overlaps best, until none overlaps by half; where two are as good, nothing."""
    truths, readings = as_set(drawn)
    for truth in truths:
        plates = {plate.box_px for plate in truth.plates if plate.box_px}
        boxes = [one.box_px for one in readings[truth.img_id] if one.box_px]
        expected, left = {}, list(boxes)
        while True:
            pairs = [(share(a, b), a, b) for a in plates - expected.keys() for b in left]
            best = [pair for pair in pairs if pair[0] >= 0.5 and pair[0] == max(pairs)[0]]
            if not best:
                break
            if len(best) > 1:
                return
            expected[best[0][1]] = best[0][2]
            left.remove(best[0][2])
        found = {one.plate.box_px: one.reading.box_px for one in match(truth, readings[truth.img_id]).outcomes
                 if one.reading and one.plate.box_px}  # fmt: skip
        assert found == expected


@settings(max_examples=80, deadline=None)
@given(SETS)
def test_figures_fit_together(drawn):
    figures = score(*as_set(drawn))
    for name, (count, of) in figures.counts.items():
        assert 0 <= count <= of and getattr(figures, name) == count / of
    right, of = figures.counts.get("plates_right", (0, 0))
    assert figures.counts.get("right_of_found", (right, 0))[0] == right and len(figures.mistakes) == of - right
    assert figures.photographs == len(drawn) and figures.false_ok == len(figures.false_readings)


class TestTruthFiles:
    HEADER = "img_id,ymin,xmin,ymax,xmax,text\n"

    def test_several_plates_and_none(self, tmp_path):
        path = tmp_path / "truth.csv"
        rows = "a.jpg,0,0,10,40,粤BA9H07\nb.jpg,,,,,\na.jpg,0,100,10,140,\na.jpg,,,,,津G68991\n./=c.jpg,,,,,سطن٧١٢٦\n"
        path.write_text(self.HEADER + rows, "utf-8")
        assert read_truth(path) == [
            Truth("a.jpg", (TruePlate(LEFT, "粤BA9H07"), TruePlate(RIGHT), TruePlate(None, "津G68991"))),
            Truth("b.jpg"),
            Truth("=c.jpg", (TruePlate(None, "سطن٧١٢٦"),)),
        ]

    def test_boxes_alone_can_say_that_there_is_no_plate_and_texts_alone_cannot(self, tmp_path):
        (tmp_path / "boxes.csv").write_text("img_id,ymin,xmin,ymax,xmax\na,,,,\nb,0,0,10,40\n")
        assert read_truth(tmp_path / "boxes.csv") == [Truth("a"), Truth("b", (TruePlate(LEFT),))]
        (tmp_path / "texts.csv").write_text("img_id,text\na,\nb,1\n")
        first, second = read_truth(tmp_path / "texts.csv")
        assert first == Truth("a", (), complete=False) and second == Truth("b", (TruePlate(None, "1"),))
        assert score([first], {"a": [reading("1", LEFT)]}).false_ok is None

    def test_coco(self, tmp_path):
        path = tmp_path / "val.json"
        path.write_text(
            '{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}], "annotations": ['
            '{"id": 1, "image_id": 1, "bbox": [0, 0, 40, 10], "attributes": {"text": "B1876UYP"}},'
            '{"id": 2, "image_id": 1, "bbox": [100, 0, 40, 10]}]}'
        )
        assert read_truth(path) == [Truth("a.jpg", (TruePlate(LEFT, "B1876UYP"), TruePlate(RIGHT))), Truth("b.jpg")]
        path.write_text(path.read_text().replace("[100, 0, 40, 10]", "[100, 0, 40]"))
        notes: list[str] = []
        # What of its plates cannot be read is said, and readings on the rest of the photograph are no false ones.
        first, second = read_truth(path, notes)
        assert first == Truth("a.jpg", (TruePlate(LEFT, "B1876UYP"),), complete=False) and second.complete
        assert "val.json: 1 problem" in notes[0] and "[x, y, width, height]" in notes[0]

    def test_a_table_with_other_columns(self, tmp_path):
        path = tmp_path / "truth.csv"
        path.write_text("filename,xmin,ymin,xmax,ymax,plate\na.jpg,0,0,40,10,B1876UYP\na.jpg,100,0,140,10,\n")
        assert read_truth(path) == [Truth("a.jpg", (TruePlate(LEFT, "B1876UYP"), TruePlate(RIGHT)))]

    def test_of_a_folder_what_is_held_out_is_the_truth(self, tmp_path):
        (tmp_path / "plates.csv").write_text(self.HEADER + "a.jpg,0,0,10,40,1\n")
        (tmp_path / "validation.csv").write_text(self.HEADER + "b.jpg,0,0,10,40,2\n")
        assert read_truth(tmp_path) == [Truth("b.jpg", (TruePlate(LEFT, "2"),))]

    def test_shares_of_photographs_are_pixels_of_their_pictures(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "labels").mkdir()
        for name in "ab":
            cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((100, 200, 3), "uint8"))
        (tmp_path / "labels" / "a.txt").write_text("0 0.1 0.05 0.2 0.1\n0 0.6 0.05 0.2 0.1\n")
        (tmp_path / "labels" / "b.txt").write_text("")
        first, second = read_truth(tmp_path)
        assert [plate.box_px for plate in first.plates] == [pytest.approx(LEFT), pytest.approx(RIGHT)]
        assert first.img_id.endswith("a.png") and second.plates == () and second.complete

    def test_texts_are_brought_to_one_form(self, tmp_path):
        path, notes = tmp_path / "truth.csv", []
        path.write_text(self.HEADER + "a.jpg,0,0,10,40,B 1876|UYP\nb.jpg,0,0,10,40,B1877UYP\n", "utf-8")
        assert [one.plates[0].text for one in read_truth(path, notes)] == ["B1876UYP", "B1877UYP"]
        assert any("'B 1876|UYP' to 'B1876UYP'" in note for note in notes)


class TestNames:
    def named(self, names, img_ids):
        truths, note = as_read([Truth(name) for name in names], img_ids, "known.csv")
        return [truth.img_id for truth in truths], note

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("a.jpg", "photographs/a.jpg"),
            ("photographs/a.jpg", "a.jpg"),
            ("photographs\\A.JPG", "a.jpg"),
            ("C:\\cars\\a.jpg", "photographs/a.jpg"),
            ("/home/somebody/cars/a.jpg", "photographs/a.jpg"),
            ("cafe\u0301.jpg", "in/caf\u00e9.jpg"),
        ],
    )
    def test_one_photograph_is_found_and_said(self, written, read):
        names, note = self.named([written, "b.jpg"], [read, "b.jpg", "c.jpg"])
        assert names == [read, "b.jpg"] and note.startswith("1 photograph of known.csv") and repr(written) in note

    @pytest.mark.parametrize("written", ["val/a.jpg", "aa.jpg", "a.png", "a.jpg.jpg"])
    def test_another_photograph_is_not(self, written):
        assert self.named([written], ["train/a.jpg"]) == ([written], None)

    def test_a_name_that_is_read_as_it_stands_is_that_photographs(self):
        assert self.named(["a.jpg", "x/a.jpg"], ["a.jpg", "x/a.jpg", "y/a.jpg"]) == (["a.jpg", "x/a.jpg"], None)

    def test_what_may_mean_two_is_refused(self):
        with pytest.raises(UserError, match=r"known\.csv: 'a\.jpg' may be 'x/a\.jpg' or 'y/a\.jpg'"):
            self.named(["a.jpg"], ["x/a.jpg", "y/a.jpg"])
        with pytest.raises(UserError, match=r"both 'x/a\.jpg' and 'y/a\.jpg' may be 'a\.jpg'"):
            self.named(["x/a.jpg", "y/a.jpg"], ["a.jpg"])


def test_slices_count_plates_one_by_one():
    truths = [Truth("a", (TruePlate(LEFT, "123"), TruePlate(RIGHT, "1234"))), Truth("b")]
    readings = {"a": [reading("123", LEFT), reading("9", RIGHT)], "b": [reading("7", LEFT, img_id="b")]}
    looks = {"a": (Appearance(40, 4, 30), Appearance(300, 4, 200)), "b": ()}
    table = {(row["slice"], row["kind"]): row for row in slices(truths, readings, looks)}
    assert table["all", ""]["plates"] == 2 and table["all", ""]["plates_right"] == 0.5
    assert table["plate width", "below 80 px"]["plates_right"] == 1
    assert table["plate width", "180 px or more"]["plates_right"] == 0
    assert table["brightness of the plate", "below 50"]["plates"] == 1


def test_every_plate_has_its_appearance():
    photograph = np.zeros((60, 200, 3), "uint8")
    photograph[:, 100:] = 200
    scoring = Scoring([Truth("a", (TruePlate(LEFT, "1"), TruePlate(None, "3"), TruePlate(RIGHT, "2")))])
    scoring.write("a", photograph, [Reading("a")])
    first, second, third = scoring.appearances["a"]
    assert (first.brightness, second, third.brightness) == (0, None, 200)
