"""Slices: figures of kinds of photographs, and intervals that know how many plates there were."""

import json

import numpy as np
import pytest

from lpr_e2e.common.errors import UserError
from lpr_e2e.evaluation.appearance import Appearance, appearance_of
from lpr_e2e.evaluation.scoring import Scoring, score
from lpr_e2e.evaluation.slices import markdown, slices
from lpr_e2e.evaluation.summary import Summary
from lpr_e2e.evaluation.truth import TruePlate, Truth, read_texts
from lpr_e2e.prediction.reading import Reading

BOX = (10.0, 10.0, 30.0, 110.0)


def shows(img_id, text=None, box_px=None):
    """A photograph with one plate."""
    return Truth(img_id, (TruePlate(box_px, text),))


def photographs(right: list[bool], texts: list[str] | None = None):
    truths = [shows(f"{number}.jpg", texts[number] if texts else f"{number}T1", BOX) for number in range(len(right))]
    readings = {}
    for truth, good in zip(truths, right, strict=True):
        text = truth.plates[0].text
        readings[truth.img_id] = [Reading(truth.img_id, text if good else "9" * len(text), 0.9, BOX, 0.9, "ok")]
    return truths, readings


def test_the_whole_agrees_with_the_score():
    truths, readings = photographs([True] * 8 + [False] * 2)
    row, figures = slices(truths, readings, {})[0], score(truths, readings)
    assert row["slice"] == "all" and row["plates"] == 10
    for name in ("plates_right", "characters_right", "mean_iou"):
        assert row[name] == pytest.approx(getattr(figures, name))
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_more_plates_give_a_narrower_interval_but_more_photographs_of_them_do_not():
    def width(right, texts=None):
        row = slices(*photographs(right, texts), {})[0]
        return row["plates_right_high"] - row["plates_right_low"]

    few = width([True, False] * 10)
    assert width([True, False] * 80) < 0.5 * few
    texts = [f"{number // 8}T1" for number in range(160)]  # 20 plates, eight photographs of each.
    assert width([number // 8 % 2 == 0 for number in range(160)], texts) == pytest.approx(few, rel=0.25)


def test_every_kind_has_its_photographs():
    truths, readings = photographs([True, True, False, False])
    looks = [Appearance(60, 4, 30), Appearance(60, 4, 200), Appearance(300, 2, 120)]
    rows = slices(truths, readings, {f"{n}.jpg": (one,) for n, one in enumerate(looks)}, trained_texts=["0t1", "2T1 "])
    table = {(row["slice"], row["kind"]): row for row in rows}
    assert table["plate width", "below 80 px"]["plates_right"] == 1
    assert table["plate width", "180 px or more"]["plates_right"] == 0
    assert table["number", "trained on"]["plates"] == table["number", "never seen"]["plates"] == 2
    assert table["characters", "3"]["plates"] == 4
    kinds = [kind for name, kind in table if name == "brightness of the plate"]
    assert kinds == ["below 50", "100 to 150", "150 or more"]


def test_what_is_unknown_is_no_figure():
    truths = [shows("a.jpg", None, BOX), shows("b.jpg", "1T1", None)]
    readings = {"a.jpg": [Reading("a.jpg", "2", 0.5, BOX, 0.9, "ok")], "b.jpg": [Reading("b.jpg")]}
    row = slices(truths, readings, {})[0]
    assert row["mean_iou"] == 1 and row["plates_right"] == 0 and row["edit_distance"] == 1
    boxes_only = slices(truths[:1], readings, {})
    assert boxes_only[0]["plates_right"] is None and "| - |" in markdown(boxes_only)
    assert slices(truths, {}, {}) == []


def test_the_appearance_of_a_plate():
    photograph = np.zeros((60, 200, 3), "uint8")
    photograph[10:30, 10:110] = 200
    assert appearance_of(BOX, photograph) == Appearance(100.0, 5.0, 200.0)
    # Partly outside: only what is there counts.
    assert appearance_of((10, 190, 30, 290), photograph).brightness == 0
    assert appearance_of(BOX) == Appearance(100.0, 5.0, None)


def test_without_photographs_there_are_no_kinds_of_brightness():
    truths, readings = photographs([True])
    rows = slices(truths, readings, {"0.jpg": (appearance_of(BOX),)})
    assert [row["slice"] for row in rows] == ["all", "plate width", "box, longer by shorter side", "characters"]


class TestSummary:
    def summary(self, coco=None):
        truths, readings = photographs([True, False])
        scoring = Scoring([*truths, shows("absent.jpg", "1T1")])
        for img_id, plates in readings.items():
            scoring.write(img_id, None, plates)
        return Summary.of(scoring, coco=coco)

    def test_everything_is_told(self):
        text = self.summary({"AP50": 0.75}).text()
        assert "plate accuracy (exact match)" in text and "50.0%" in text
        assert "1.jpg                    1T1          999          0.900" in text
        assert "not among the photographs (1): absent.jpg" in text
        assert "AP50" in text and "0.750" in text and "| all | 2 | 50.0% (" in text
        assert "COCO" not in self.summary().text()

    def test_files(self, tmp_path):
        self.summary().write(tmp_path / "figures.json")
        written = json.loads((tmp_path / "figures.json").read_text())
        assert written["figures"]["plates_right"] == 0.5 and written["slices"][0]["plates"] == 2
        assert written["sizes"]["plates"] == 2 and written["counts"]["plates_right"]["of"] == 2
        assert "coco" not in written
        self.summary({"AP50": 0.75}).write(tmp_path / "figures.md")
        text = (tmp_path / "figures.md").read_text()
        assert "| all | 2 | 50.0% (" in text and "- COCO AP50: 0.7500" in text
        with pytest.raises(UserError, match=r"\.md or \.json"):
            self.summary().write(tmp_path / "figures.txt")

    def test_a_file_of_before_stays_if_the_new_one_cannot_be_written(self, tmp_path, monkeypatch):
        path = tmp_path / "figures.md"
        path.write_text("before")

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_text", full)
        with pytest.raises(OSError, match="No space"):
            self.summary().write(path)
        assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_texts_of_a_csv(tmp_path):
    (tmp_path / "texts.csv").write_text("img_id,text\na,12T3\nb, \nc,12T3\n")
    assert read_texts(tmp_path / "texts.csv") == {"12T3"}
    (tmp_path / "no.csv").write_text("img_id\na\n")
    with pytest.raises(ValueError, match=r"no\.csv.*text"):
        read_texts(tmp_path / "no.csv")
