"""Slices: figures of kinds of photographs, and intervals that know how many plates there were."""

import json

import numpy as np
import pytest

from lpr_e2e.evaluation.metrics import Look, Truth, look, read_texts, score
from lpr_e2e.evaluation.slices import markdown, slices, write
from lpr_e2e.prediction.reading import Reading

BOX = (10.0, 10.0, 30.0, 110.0)


def photographs(right: list[bool], texts: list[str] | None = None):
    truths = [Truth(f"{number}.jpg", texts[number] if texts else f"{number}T1", BOX) for number in range(len(right))]
    readings = {
        truth.img_id: [Reading(truth.img_id, truth.text if good else "9" * len(truth.text), 0.9, BOX, 0.9, "ok")]
        for truth, good in zip(truths, right, strict=True)
    }
    return truths, readings


def test_the_whole_agrees_with_the_score():
    truths, readings = photographs([True] * 8 + [False] * 2)
    row, figures = slices(truths, readings, {}).iloc[0], score(truths, readings)
    assert row["slice"] == "all" and row["photographs"] == 10
    for name in ("plates_right", "characters_right", "mean_iou"):
        assert row[name] == pytest.approx(getattr(figures, name))
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_more_plates_give_a_narrower_interval_but_more_photographs_of_them_do_not():
    def width(right, texts=None):
        row = slices(*photographs(right, texts), {}).iloc[0]
        return row["plates_right_high"] - row["plates_right_low"]

    few = width([True, False] * 10)
    assert width([True, False] * 80) < 0.5 * few
    texts = [f"{number // 8}T1" for number in range(160)]  # 20 plates, eight photographs of each.
    assert width([number // 8 % 2 == 0 for number in range(160)], texts) == pytest.approx(few, rel=0.25)


def test_every_kind_has_its_photographs():
    truths, readings = photographs([True, True, False, False])
    looks = {f"{number}.jpg": Look(*values) for number, values in enumerate([(60, 4, 30), (60, 4, 200), (300, 2, 120)])}
    table = slices(truths, readings, looks, trained_texts=["0t1", "2T1 "]).set_index(["slice", "kind"])
    assert table.loc[("plate width", "below 80 px"), "plates_right"] == 1
    assert table.loc[("plate width", "180 px or more"), "plates_right"] == 0
    assert table.loc[("number", "trained on"), "photographs"] == table.loc[("number", "never seen"), "photographs"] == 2
    assert table.loc[("characters", "3"), "photographs"] == 4
    kinds = [kind for name, kind in table.index if name == "brightness of the plate"]
    assert kinds == ["below 50", "100 to 150", "150 or more"]


def test_what_is_unknown_is_no_figure():
    truths = [Truth("a.jpg", None, BOX), Truth("b.jpg", "1T1", None)]
    readings = {"a.jpg": [Reading("a.jpg", "2", 0.5, BOX, 0.9, "ok")], "b.jpg": [Reading("b.jpg")]}
    row = slices(truths, readings, {}).iloc[0]
    assert row["mean_iou"] == 1 and row["plates_right"] == 0 and row["edit_distance"] == 1
    boxes_only = slices(truths[:1], readings, {}).iloc[0]
    assert np.isnan(boxes_only["plates_right"]) and "| - |" in markdown(slices(truths[:1], readings, {}))
    assert slices(truths, {}, {}).empty


def test_the_look_of_a_plate():
    photograph = np.zeros((60, 200, 3), "uint8")
    photograph[10:30, 10:110] = 200
    assert look(photograph, BOX) == Look(100.0, 5.0, 200.0)
    assert look(photograph, (10, 190, 30, 290)).brightness == 0  # Partly outside: only what is there counts.


def test_figures_as_files(tmp_path):
    truths, readings = photographs([True, False])
    table, figures = slices(truths, readings, {}), score(truths, readings).as_dict()
    write(table, figures, tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["figures"]["plates_right"] == 0.5 and written["slices"][0]["photographs"] == 2
    write(table, figures, tmp_path / "figures.md")
    assert "| all | 2 | 50.0% (" in (tmp_path / "figures.md").read_text()
    with pytest.raises(ValueError, match=r"\.md or \.json"):
        write(table, figures, tmp_path / "figures.txt")


def test_texts_of_a_csv(tmp_path):
    (tmp_path / "texts.csv").write_text("img_id,text\na,12T3\nb, \nc,12T3\n")
    assert read_texts(tmp_path / "texts.csv") == {"12T3"}
    (tmp_path / "no.csv").write_text("img_id\na\n")
    with pytest.raises(ValueError, match=r"no\.csv.*text"):
        read_texts(tmp_path / "no.csv")
