"""The command `evaluate`: figures of a predictions.csv, or of photographs that are read first."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.commands import evaluate
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import csv_lines
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.evaluation.summary import Summary
from lpr_e2e.evaluation.truth import read_predictions
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import COLUMNS, Reading

TRUTH = """img_id,ymin,xmin,ymax,xmax,text
right.jpg,0,0,10,40,12T345
one off.jpg,0,0,10,40,99T1234
nothing.jpg,0,0,10,40,7T5
absent.jpg,0,0,10,40,1T1
"""
# Two plates on the first photograph; the box of the second overlaps by 0.6.
PREDICTIONS = """img_id,text,confidence,ymin,xmin,ymax,xmax,box_confidence,status
right.jpg,12T345,0.9000,0.0,0.0,10.0,40.0,0.9000,ok
right.jpg,1T1,0.9900,50.0,60.0,60.0,70.0,0.4000,ok
one off.jpg,99T1235,0.6000,0.0,0.0,10.0,24.0,0.8000,ok
nothing.jpg,,0.0000,,,,,0.1000,no plate
unknown.jpg,5T5,0.5000,0.0,0.0,10.0,40.0,0.5000,ok
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "known.csv").write_text(TRUTH)
    (tmp_path / "predictions.csv").write_text(PREDICTIONS)
    (tmp_path / "linked.json").symlink_to("known.csv")
    return tmp_path


def run(*arguments) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args(list(map(str, arguments))))


def test_figures_by_hand(files, capsys):
    assert run(files / "known.csv", files / "predictions.csv", "--figures", files / "figures.json") == 0
    figures = json.loads((files / "figures.json").read_text())["figures"]
    assert figures == {
        "plates_right": pytest.approx(1 / 3),
        "characters_right": pytest.approx((6 + 6 + 0) / 16),
        "plates_found": pytest.approx(2 / 3),
        "right_of_found": pytest.approx(1 / 2),
        "ok_coverage": pytest.approx(2 / 3),
        "ok_precision": pytest.approx(1 / 2),
        "false_ok": 1,
        "mean_certainty": pytest.approx(0.75),
        "calibration_error": pytest.approx((0.1 + 0.6) / 2),
        "mean_iou": pytest.approx((1 + 0.6 + 0) / 3),
        "iou_50": pytest.approx(2 / 3),
        "iou_70": pytest.approx(1 / 3),
        # Recall 2/3 with precision 1, before the box where no plate is: 67 of the 101 levels (0 to 0.66).
        "average_precision_50": pytest.approx(67 / 101),
    }
    shown = capsys.readouterr().out
    assert "plate accuracy (exact match)            33.3% (1 of 3; 6.1% to 79.2%)" in shown
    assert "one off.jpg              99T1234      99T1235      0.600" in shown
    assert "not among the photographs (1): absent.jpg" in shown and "unknown.jpg" not in shown
    assert "| plate width: below 80 px | 3 | 33.3% (0.0% to 100.0%)" in shown


def test_new_numbers_are_told_apart(files, capsys):
    (files / "seen.csv").write_text("text\n12T345\n")
    assert run(files / "known.csv", files / "predictions.csv", "--seen", files / "seen.csv") == 0
    shown = capsys.readouterr().out
    assert "| number: trained on | 1 | 100.0%" in shown and "| number: never seen | 2 | 0.0%" in shown


def test_cocos_metrics_are_added(files, capsys):
    assert run(files / "known.csv", files / "predictions.csv", "--coco", "--figures", files / "figures.json") == 0
    coco = json.loads((files / "figures.json").read_text())["coco"]
    assert coco["AP50"] == pytest.approx(67 / 101) and coco["AR100"] == pytest.approx((10 + 3) / 30)
    assert "COCO's box metrics" in capsys.readouterr().out


def test_without_keras_cv_one_line_says_so(files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    assert run(files / "known.csv", files / "predictions.csv", "--coco") == 0
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1 and "keras-cv" in said.err
    assert "plate accuracy" in said.out and "COCO" not in said.out


class FakeReader:
    """Reads what a photograph is called."""

    format_warning = ""
    vocabulary = Vocabulary("0123456789T", 8)

    def __init__(self):
        self.read, self.asked = [], None

    def read_files(self, photographs, batch_size):
        for img_id, _ in photographs:
            self.read.append(img_id)
            characters = np.full((8, self.vocabulary.classes), 0.01)
            characters[np.arange(8), self.vocabulary.encode(img_id.split(".")[0])] = 0.9
            found = Reading(img_id, img_id.split(".")[0], 0.9, (0.0, 0.0, 10.0, 40.0), 0.9, "ok", characters)
            yield img_id, np.full((50, 50, 3), 80, "uint8"), [found]


@pytest.fixture
def reader(monkeypatch):
    reader = FakeReader()

    def load(model, format, precision):
        reader.asked = (model, format, precision)
        return reader

    monkeypatch.setattr(PlateReader, "load", load)
    return reader


def test_photographs_of_known_truth_are_read_first(tmp_path, reader, capsys):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("12T345", "1T1", "55T555"):
        Image.new("RGB", (50, 50)).save(folder / f"{name}.png")
    (tmp_path / "known.csv").write_text(
        "img_id,ymin,xmin,ymax,xmax,text\n12T345.png,0,0,10,40,12T345\n1T1.png,,,,,2T2\n"
    )
    more = ("--format", "[0-9]+T[0-9]+", "--precision", "0.97")
    assert run(tmp_path / "known.csv", folder, "--figures", tmp_path / "figures.md", *more) == 0
    assert reader.asked == (None, "[0-9]+T[0-9]+", 0.97)
    assert reader.read == ["12T345.png", "1T1.png"]
    shown = capsys.readouterr().out
    assert "50.0%" in shown and "log loss" in shown and "brightness of the plate: 50 to 100" in shown
    assert "- plates_right: 0.5000" in (tmp_path / "figures.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["known.csv", "predictions.csv", "--figures", "figures.txt"], r"figures\.txt.*\.md or \.json"),
        (["known.csv", "predictions.csv", "other.csv"], "one predictions.csv"),
        (["known.csv", "predictions.csv", "--model", "x.keras"], "read already.*--model"),
        (["known.csv", "predictions.csv", "--precision", "0.9"], "read already.*--precision"),
        (["known.csv", "known.csv"], "known.csv: expected a predictions.csv"),
        (["known.csv", "predictions.csv", "--figures", "linked.json"], "linked.json: this would overwrite .*known.csv"),
        (["predictions.csv", "predictions.csv"], "predictions.csv, what a model read"),
        (["known.csv", "nowhere.csv"], "nowhere.csv"),
        (["known.csv", "predictions.csv", "--seen", "figures.csv"], "figures.csv"),
        (["others.csv", "predictions.csv"], "none of its 1 photographs.*'sub/left.jpg' there.*'right.jpg' here"),
        (["others.csv", "."], "none of its 1 photographs.*'a.png' here"),
    ],
)
def test_wrong_calls_are_refused(files, monkeypatch, reader, arguments, words):
    monkeypatch.chdir(files)
    Path("others.csv").write_text("img_id,text\nsub/left.jpg,12T345\n")
    Image.new("RGB", (50, 50)).save("a.png")
    with pytest.raises(UserError, match=words):
        run(*arguments)
    assert reader.read == []


def test_photographs_are_found_with_other_folders_before_them(files, capsys):
    (files / "elsewhere.csv").write_text(TRUTH.replace("right.jpg", "train\\Right.JPG").replace("one", "train/one"))
    assert run(files / "elsewhere.csv", files / "predictions.csv") == 0
    shown = capsys.readouterr().out
    assert "2 photographs of" in shown and "'train\\\\Right.JPG' is 'right.jpg'" in shown
    assert "33.3% (1 of 3;" in shown


def test_figures_that_cannot_be_written_are_shown_nevertheless(files, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "figures.md")

    monkeypatch.setattr(Summary, "write", full)
    with pytest.raises(OSError, match="No space left"):
        run(files / "known.csv", files / "predictions.csv", "--figures", files / "figures.md")
    assert "plate accuracy" in capsys.readouterr().out


def test_an_installation_for_reading_is_enough(files):
    """Nothing but what reading needs can be imported: figures and slices are there, AP is not."""
    absent = (
        "tensorflow keras keras_cv jax pandas pycocotools faster_coco_eval matplotlib jinja2 scipy onnx h5py".split()
    )
    script = f"""
import argparse, sys
for name in {absent}:
    sys.modules[name] = None
from lpr_e2e.commands import evaluate
parser = argparse.ArgumentParser()
evaluate.add_arguments(parser)
sys.exit(evaluate.run(parser.parse_args(sys.argv[1:])))
"""
    command = [sys.executable, "-c", script, "known.csv", "predictions.csv", "--coco", "--figures", "figures.json"]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, cwd=files, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "| all | 3 | 33.3%" in done.stdout and "AP" not in done.stdout
    assert len(done.stderr.splitlines()) == 1 and "no COCO box metrics" in done.stderr
    assert "average_precision_50" not in json.loads((files / "figures.json").read_text())["figures"]


def test_a_text_that_a_spreadsheet_would_compute_is_read_as_it_was_written(tmp_path):
    readings = [Reading("./=1.jpg", text, 0.9, (0.0, 0.0, 9.0, 9.0), 0.9, "ok") for text in ("=1+1", "-2", "12-3")]
    (tmp_path / "predictions.csv").write_text(csv_lines([COLUMNS, *(one.row() for one in readings)]), encoding="utf-8")
    (found,) = read_predictions(tmp_path / "predictions.csv").values()
    assert [one.text for one in found] == ["=1+1", "-2", "12-3"]
