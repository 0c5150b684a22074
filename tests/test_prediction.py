"""`predict.py` on files and folders, with a stand-in for the model that finds magenta rectangles."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stand_in import MagentaEngine, car, description, reader

import predict
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import read_size
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.evaluation.truth import read_predictions
from lpr_e2e.prediction.outputs import PredictionsWriter, default_output
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import COLUMNS, Reading


@pytest.fixture
def engine(monkeypatch):
    """The engine of the model that every command loads."""
    engine = MagentaEngine()
    monkeypatch.setattr(
        PlateReader, "load", classmethod(lambda cls, path=None, format=None, **_: reader(engine, format))
    )
    return engine


def rows_of(output):
    with open(output / "predictions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box_of(row):
    return [float(row[name]) for name in ("ymin", "xmin", "ymax", "xmax")]


def save(folder, name, array=None, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(car() if array is None else array).save(path, **options)
    return path


@pytest.fixture
def odd_folder(tmp_path):
    """A folder with every kind of file that people have."""
    folder = tmp_path / "photographs"
    save(folder, "good.jpg")
    save(folder, "nested/deeper/good.jpg")
    save(folder, "voiture n° 3 éàü.jpg")
    save(folder, "grey.jpg", np.full((50, 60), 90, "uint8"))
    save(folder, "sixteen.png", np.full((50, 60), 40000, "uint16"))
    save(folder, "dot.png", np.zeros((1, 1, 3), "uint8"))
    Image.fromarray(car()).convert("RGBA").save(folder / "transparent.png")
    Image.fromarray(car()).convert("CMYK").save(folder / "print.jpg")
    (folder / "empty.jpg").touch()
    (folder / "letter.jpg").write_text("Dear Sir, this is no picture.")
    whole = save(folder, "cut.jpg", np.random.default_rng(0).integers(0, 255, (200, 200, 3), "uint8")).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("no photograph")
    (folder / ".hidden.jpg").write_text("no photograph")
    return folder


def test_every_file_of_a_folder_gets_a_row(odd_folder, tmp_path, engine):
    output = tmp_path / "out"
    assert predict.main([str(odd_folder), "--output", str(output), "--batch-size", "3"]) == 0
    rows = {row["img_id"]: row for row in rows_of(output)}
    read = {"good.jpg", "nested/deeper/good.jpg", "voiture n° 3 éàü.jpg", "transparent.png", "print.jpg"}
    without_plate = {"grey.jpg", "sixteen.png", "dot.png"}
    unreadable = {"empty.jpg", "letter.jpg", "cut.jpg"}
    assert set(rows) == read | without_plate | unreadable
    for name in read - {"print.jpg"}:  # CMYK colours are not the same after conversion.
        assert (rows[name]["text"], rows[name]["status"]) == ("12T345", "ok")
        assert float(rows[name]["confidence"]) == pytest.approx(0.9, abs=1e-3)
        assert box_of(rows[name]) == pytest.approx([100, 60, 140, 180], abs=2)
    for name in without_plate:
        assert (rows[name]["text"], rows[name]["ymin"], rows[name]["status"]) == ("", "", "no plate")
    for name in unreadable:
        assert rows[name]["status"].startswith("unreadable: ") and len(rows[name]["status"]) > 15
    assert "empty" in rows["empty.jpg"]["status"]


def test_pictures_keep_names_and_folders(odd_folder, tmp_path, engine):
    output = tmp_path / "out"
    predict.main([str(odd_folder), "--output", str(output)])
    pictures = {path.relative_to(output / "pictures").as_posix() for path in (output / "pictures").rglob("*.*")}
    assert {"good.jpg", "nested/deeper/good.jpg", "voiture n° 3 éàü.jpg", "dot.png.jpg"} <= pictures
    assert "empty.jpg" not in pictures
    with Image.open(output / "pictures" / "good.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (640, 480)
    predict.main([str(odd_folder), "--output", str(tmp_path / "plain"), "--no-pictures"])
    assert not (tmp_path / "plain" / "pictures").exists()


def test_every_photograph_has_a_picture_of_its_own(tmp_path, engine):
    """Names that one system tells apart and another one does not, names that `.jpg` makes alike, and the longest."""
    folder, output = tmp_path / "in", tmp_path / "out"
    names = ["a.png", "a.png.jpg", "A.PNG", "b.jpg", "c" * 251 + ".png", "c" * 251 + ".bmp", "é" * 125 + ".png"]
    for name in names:
        save(folder, name, car(), format="PNG")
    assert predict.main([str(folder), "--output", str(output)]) == 0
    assert {row["img_id"] for row in rows_of(output)} == set(names)
    pictures = sorted(path.name for path in (output / "pictures").iterdir())
    assert len(pictures) == len(names) and len({name.casefold() for name in pictures}) == len(names)
    assert {"b.jpg", "é" * 125 + "..jpg", "c" * 251 + ".jpg", "c" * 247 + " (2).jpg"} <= set(pictures)
    assert all(len(name.encode()) <= 255 and name.endswith(".jpg") for name in pictures)


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.png.jpg/b.jpg"),
        ("x.jpg", "X.JPG/x.jpg/x.jpg", "x.jpg (2)/y.jpg"),
        ("e\u0301.jpg", "\u00e9.jpg/a.jpg", "\u00e9.jpg/a.JPG"),
        ("c/d.bmp", "c/d.bmp.jpg/e/f.jpg", "c/d.bmp.jpg (2)/g.jpg"),
    ],
)
def test_a_folder_that_is_called_like_a_picture_of_ours_stops_nobody(names, tmp_path, engine):
    for name in names:
        path = tmp_path / "in" / name
        if path.parent.exists() and path.exists():
            pytest.skip("this system takes two of the names for one")
        save(tmp_path / "in", name, format="PNG")
    given = [str(path) for path in (tmp_path / "in").rglob("*") if path.is_file()]  # In any order.
    folder, found = tmp_path / "in", sorted(given)
    for number, photographs in enumerate(([str(folder)], found, found[::-1])):
        output = tmp_path / f"out{number}"
        assert predict.main([*photographs, "--output", str(output), "--redact", "box"]) == 0
        written = {row["img_id"] for row in rows_of(output)}
        for made in ("pictures", "redacted"):
            assert len([path for path in (output / made).rglob("*") if path.is_file()]) == len(names)
        assert len(written) == len(names)


@pytest.mark.parametrize(
    "name", ["cr\ra.jpg", "\r.jpg", "lf\r\na.jpg", "\u2028.jpg", '"\r".jpg', "\uff1d1.jpg", "  =1.jpg"]
)
def test_a_name_is_one_cell_of_one_row(name, tmp_path, engine):
    save(tmp_path / "in", "plain.jpg")
    save(tmp_path / "in", name)
    options = ["--jsonl", "--redact", "box"]
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), *options]) == 0
    for table in ("predictions.csv", "redacted.csv"):
        read = pd.read_csv(tmp_path / "out" / table, dtype=str, keep_default_na=False)
        assert {one.removeprefix("./") for one in read["img_id"]} == {name, "plain.jpg"}
    assert {row["img_id"].removeprefix("./") for row in rows_of(tmp_path / "out")} == {name, "plain.jpg"}
    assert {img_id for img_id in read_predictions(tmp_path / "out/predictions.csv") if "plain" in img_id} == {
        "plain.jpg"
    }


def test_a_folder_has_one_prediction_at_a_time(tmp_path):
    """Two of them would mix their rows; the second one changes nothing."""
    reading = Reading("a.jpg", "", 0.0, None, 0.0, "no plate")
    with PredictionsWriter(tmp_path, False, []) as first:
        first.write("a.jpg", None, [reading])
        before = (tmp_path / "predictions.csv").read_text()
        with pytest.raises(UserError, match="another process writes its predictions there.*--output"):
            PredictionsWriter(tmp_path, False, [])
        assert (tmp_path / "predictions.csv").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
    with PredictionsWriter(tmp_path, False, []):
        pass
    (tmp_path / "predictions.csv").unlink()
    (tmp_path / "predictions.csv").mkdir()
    for _ in range(2):  # What fails at the beginning holds nothing.
        with pytest.raises(OSError, match="predictions.csv"):
            PredictionsWriter(tmp_path, False, [])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--output", "out", "--truth", "out/predictions.csv"], "out/predictions.csv"),
        (["--output", "new", "--truth", "truth.csv", "--submission", "truth.csv"], "truth.csv"),
        (["--output", "new", "--truth", "truth.csv", "--figures", "link.json"], "link.json"),
        (["--output", "new", "--submission", "in/a.png"], "in/a.png"),
    ],
)
def test_what_is_read_is_not_written_over(tmp_path, engine, monkeypatch, capsys, options, named):
    monkeypatch.chdir(tmp_path)
    photograph = save(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    for place in ("truth.csv", "out/predictions.csv"):
        Path(place).write_text("img_id,text\na.png,12T345\n")
    Path("link.json").symlink_to("truth.csv")
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert predict.main(["in", *options]) == 2
    said = capsys.readouterr().err
    assert f"{named}: this would overwrite" in said and len(said.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == kept
    assert photograph in kept and not Path("new").exists()


def test_a_box_is_in_pixels_of_the_rotated_photograph(tmp_path, engine):
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera lay on its side: to be shown a quarter clockwise.
    upright = car(height=320, width=240, box=(200, 20, 230, 120))
    save(tmp_path, "side.jpg", np.rot90(upright), exif=exif, quality=95)
    predict.main([str(tmp_path / "side.jpg"), "--output", str(tmp_path / "out")])
    assert box_of(rows_of(tmp_path / "out")[0]) == pytest.approx([200, 20, 230, 120], abs=2)


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder_is_one_line(tmp_path, exists, capsys, engine, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    if exists:
        folder.mkdir()
    assert predict.main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and str(folder) in message
    assert not (tmp_path / "predictions").exists()


def test_a_missing_model_is_one_line(tmp_path, capsys):
    save(tmp_path, "car.jpg")
    assert predict.main([str(tmp_path), "--model", str(tmp_path / "none.keras"), "--output", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "none.keras" in message


def test_an_interruption_loses_nothing(tmp_path, capsys, engine):
    for number in range(5):
        save(tmp_path / "in", f"{number}.jpg")
    whole_batch, calls = engine.find, []

    def interrupted(scenes):
        calls.append(len(scenes))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole_batch(scenes)

    engine.find = interrupted
    submission = tmp_path / "form.csv"
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--batch-size", "2"]
    assert predict.main([*arguments, "--submission", str(submission)]) == 130
    assert [row["img_id"] for row in rows_of(tmp_path / "out")] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert "4 of 5" in capsys.readouterr().err
    assert len(submission.read_text().splitlines()) == 1 + 4 * 7


def test_rows_are_on_disk_before_the_next_photograph_is_read(tmp_path, engine):
    """A killed process loses nothing either."""
    for number in range(4):
        save(tmp_path / "in", f"{number}.jpg")
    on_disk = []
    whole_batch = engine.find

    def spy(scenes):
        on_disk.append(len((tmp_path / "out" / "predictions.csv").read_text().splitlines()))
        return whole_batch(scenes)

    engine.find = spy
    predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--batch-size", "1"])
    assert on_disk[1:] == [2, 3, 4]  # The header and the photographs before.


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent differently on Windows")
def test_ctrl_c_ends_a_running_command(tmp_path):
    for number in range(50):
        save(tmp_path / "in", f"{number:02}.jpg")
    script = (
        "import signal, sys, time, predict, stand_in as t\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # Ignored where the tests run in the background.
        "class Slow(t.MagentaEngine):\n"
        "    def find(self, scenes):\n"
        "        print('reading', flush=True); time.sleep(0.2); return super().find(scenes)\n"
        "t.PlateReader.load = classmethod(lambda cls, path=None, format=None, **_: t.reader(Slow()))\n"
        "sys.exit(predict.main([*sys.argv[1:], '--batch-size', '1', '--no-pictures']))"
    )
    tests = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    command = [sys.executable, "-c", script, str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    written = len(rows_of(tmp_path / "out"))
    assert 2 <= written < 50 and f"{written} of 50" in errors


def test_an_uncertain_plate_is_marked(tmp_path, engine):
    engine.certainty = 0.4
    save(tmp_path, "car.jpg")
    predict.main([str(tmp_path / "car.jpg"), "--output", str(tmp_path / "out")])
    assert rows_of(tmp_path / "out")[0]["status"] == "uncertain"


def test_files_folders_and_globs_are_found(tmp_path, monkeypatch):
    for name in ("a/1.jpg", "a/b/1.JPG", "a/notes.txt", "a/.git/2.jpg", "c/3.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)

    def names(*arguments):
        return [img_id for img_id, _ in find_photographs(arguments)]

    assert names("a") == ["1.jpg", "b/1.JPG"]
    assert names(".") == ["a/1.jpg", "a/b/1.JPG", "c/3.png"]
    assert names("a/../c") == ["3.png"]
    assert names("*/*.png", "a/notes.txt") == ["3.png", "notes.txt"]
    assert names("a", "a/1.jpg") == ["1.jpg", "b/1.JPG"]  # The same file once.
    (tmp_path / "c" / "1.jpg").touch()
    assert names("a", "c") == ["a/1.jpg", "a/b/1.JPG", "c/1.jpg", "c/3.png"]  # Names that would collide.
    with pytest.raises(FileNotFoundError, match=r"d\*\.jpg"):
        names("a", "d*.jpg")


def test_patterns_over_links_in_circles_end_and_name_each_photograph_once(tmp_path, monkeypatch):
    for name in ("in/1.jpg", "in/sub/2.jpg", "in/sub/[x]/3.jpg", "in/.git/4.jpg", "other/5.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for link, target in (("in/here", "."), ("in/sub/up", ".."), ("in/sub/self", "self"), ("in/away", "../other")):
        Path(link).symlink_to(target)

    def names(pattern):
        return sorted(path.resolve().relative_to(tmp_path).as_posix() for _, path in find_photographs([pattern]))

    everything = ["in/1.jpg", "in/sub/2.jpg", "in/sub/[x]/3.jpg", "other/5.jpg"]
    assert names("in/**/*.jpg") == names("in/**") == names("**/*.jpg") == names("in/**/**/*.jpg") == everything
    assert names("in/here/**/*.jpg") == everything  # Somebody asks for it.
    assert names("in/**/sub/*.jpg") == ["in/sub/2.jpg"] and names("in/*.jpg") == ["in/1.jpg"]
    assert names(f"{tmp_path}/in/**/[[]x]/*.jpg") == ["in/sub/[x]/3.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes exist on POSIX only")
def test_links_in_circles_and_pipes_do_not_hang(tmp_path):
    save(tmp_path, "in/car.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    found = find_photographs([tmp_path / "in"])
    results = reader().read_files(found)
    assert {img_id: readings[0].status.split(":")[0] for img_id, _, readings in results} == {
        "car.jpg": "ok",
        "gone.jpg": "unreadable",
        "pipe.jpg": "unreadable",
    }


def test_a_name_that_is_no_text_gets_a_row(tmp_path, engine):
    save(tmp_path / "in", "car.jpg")
    try:
        os.rename(tmp_path / "in" / "car.jpg", os.fsencode(tmp_path / "in") + b"/\xff.jpg")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert rows_of(tmp_path / "out")[0]["text"] == "12T345"


def test_own_results_are_no_photographs_and_no_photograph_is_overwritten(tmp_path, engine, capsys, monkeypatch):
    folder = tmp_path / "in"
    save(folder, "car.jpg")
    assert predict.main([str(folder), "--output", str(folder)]) == 0
    assert predict.main([str(folder), "--output", str(folder)]) == 0
    assert [row["img_id"] for row in rows_of(folder)] == ["car.jpg"]

    other = save(tmp_path / "mine", "pictures/car.jpg")
    before = other.read_bytes()
    assert predict.main([str(tmp_path / "mine"), "--output", str(tmp_path / "mine")]) == 2
    assert other.read_bytes() == before and "--output" in capsys.readouterr().err


def test_results_do_not_go_into_the_photographs_folder_by_default(tmp_path, monkeypatch):
    (tmp_path / "in" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert default_output(["in"]) == tmp_path / "predictions"
    monkeypatch.chdir(tmp_path / "in" / "below")
    assert default_output([".."]) == tmp_path / "predictions"
    assert default_output([".", ".."]) == tmp_path / "predictions"


def test_truth_is_scored_and_mistakes_are_listed(tmp_path, engine, capsys):
    save(tmp_path / "in", "right.jpg")
    save(tmp_path / "in", "wrong.jpg")
    truth = tmp_path / "truth.csv"
    truth.write_text("img_id,text\nright.jpg,12T345\nwrong.jpg,12T399\nabsent.jpg,1T1\n")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--truth", str(truth)]) == 0
    printed = capsys.readouterr().out
    assert "50.0%" in printed and "absent.jpg" in printed
    wrong = next(line for line in printed.splitlines() if line.startswith("wrong.jpg"))
    assert wrong.split() == ["wrong.jpg", "12T399", "12T345", "0.900"]


def test_a_submission_needs_the_challenges_characters(tmp_path, engine, capsys, monkeypatch):
    letters = replace(description(), characters="0123456789ABC")
    monkeypatch.setattr("stand_in.description", lambda **_: letters)
    save(tmp_path, "901.jpg")
    arguments = [str(tmp_path), "--output", str(tmp_path / "out"), "--submission", str(tmp_path / "form.csv")]
    assert predict.main(arguments) == 2
    assert "'T'" in capsys.readouterr().err and not (tmp_path / "form.csv").exists()


def test_figures_of_the_truth_are_written(tmp_path, engine, capsys):
    save(tmp_path / "in", "right.jpg")
    save(tmp_path / "in", "wrong.jpg")
    truth, seen, figures = tmp_path / "truth.csv", tmp_path / "seen.csv", tmp_path / "figures.json"
    truth.write_text("img_id,text,ymin,xmin,ymax,xmax\nright.jpg,12T345,100,60,140,180\nwrong.jpg,12T399,,,,\n")
    seen.write_text("img_id,text\n1.jpg,12T345\n")
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--truth", str(truth)]
    assert predict.main([*arguments, "--seen", str(seen), "--figures", str(figures)]) == 0
    shown = capsys.readouterr().out
    assert "| number: trained on | 1 | 100.0%" in shown and "| number: never seen | 1 | 0.0%" in shown
    written = json.loads(figures.read_text())
    assert written["figures"]["plates_right"] == 0.5
    assert any(row["slice"] == "brightness of the plate" for row in written["slices"])


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--figures", "a.json"], "--truth"), (["--truth", "t.csv", "--figures", "a.txt"], r".md or .json")],
)
def test_wrong_figures_are_refused_at_once(options, words, capsys):
    assert predict.main(["anywhere", *options]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint and complaint.startswith("predict.py: ") and complaint.count("\n") == 1


def test_json_lines_say_what_the_csv_says(odd_folder, tmp_path, engine):
    assert predict.main([str(odd_folder), "--output", str(tmp_path / "out"), "--jsonl", "--no-report"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text("utf-8").splitlines()]
    rows = rows_of(tmp_path / "out")
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert (line["img_id"], line["text"], line["status"]) == (row["img_id"], row["text"], row["status"])
        assert line["confidence"] == pytest.approx(float(row["confidence"]), abs=1e-4)
        assert (line["ymin"] is None) == (row["ymin"] == "")
        assert len(line["certainties"]) == (len(line["text"]) + 1 if line["text"] else 0)
    assert not (tmp_path / "out" / "report.html").exists()


def test_names_steer_neither_spreadsheet_nor_terminal(tmp_path, engine, capsys):
    """A formula as a name stays the name of a file; escape sequences are written out."""
    folder = tmp_path / "in"
    for name in ("=1+1.jpg", "-2.jpg", "\x1b[2J.jpg"):
        save(folder, name)
    truth = tmp_path / "truth.csv"
    truth.write_text("img_id,text\n\x1b[2J.jpg,9T9\n", encoding="utf-8")
    arguments = [str(folder), "--output", str(tmp_path / "out"), "--truth", str(truth), "--no-report"]
    assert predict.main(arguments) == 0
    with open(tmp_path / "out" / "predictions.csv", newline="", encoding="utf-8") as file:
        names = [row["img_id"] for row in csv.DictReader(file)]
    assert set(names) == {"./-2.jpg", "./=1+1.jpg", "\x1b[2J.jpg"}
    assert all((folder / name).exists() for name in names)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and r"\x1b[2J.jpg" in shown


def test_a_link_to_itself_is_a_row_like_any_other(tmp_path, engine):
    save(tmp_path, "in/car.jpg")
    (tmp_path / "in/self.jpg").symlink_to("self.jpg")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert [row["status"].split(":")[0] for row in rows_of(tmp_path / "out")] == ["ok", "unreadable"]


def test_a_picture_does_not_fill_the_terminal(tmp_path, engine, recwarn):
    """Of each of its wrong notes Pillow warned in two lines."""
    places = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(1000, 3000))
    notes = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2000) + places
    save(tmp_path, "in/car.jpg")
    whole = (tmp_path / "in/car.jpg").read_bytes()
    (tmp_path / "in/car.jpg").write_bytes(
        whole[:2] + b"\xff\xe1" + struct.pack(">H", len(notes) + 2) + notes + whole[2:]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        read_size(tmp_path / "in/car.jpg")
        assert len(recwarn.list) > 1000
        recwarn.clear()
        assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert [row["status"] for row in rows_of(tmp_path / "out")] == ["ok"]
    assert not [one for one in recwarn.list if "PIL" in one.filename]


def test_what_an_earlier_prediction_left_is_named(tmp_path, engine, capsys):
    """Whoever publishes the folder `redacted` must know that it is of other photographs."""
    for name in ("a.jpg", "b.jpg", "deep/c.jpg"):
        save(tmp_path / "first", name)
    save(tmp_path / "second", "a.jpg")
    call = ["--output", str(tmp_path / "out")]
    assert predict.main([str(tmp_path / "first"), *call, "--jsonl", "--redact", "box"]) == 0
    assert "not of this prediction" not in capsys.readouterr().out
    assert predict.main([str(tmp_path / "second"), *call]) == 0
    left = "out also holds what is not of this prediction: predictions.jsonl, redacted, redacted.csv, 2 in pictures\n"
    assert left in capsys.readouterr().out
    assert predict.main([str(tmp_path / "second"), *call, "--no-pictures", "--no-report"]) == 0
    assert "predictions.jsonl, report.html, redacted, redacted.csv, 3 in pictures\n" in capsys.readouterr().out
    assert len(list((tmp_path / "out" / "redacted").rglob("*.jpg"))) == 3


@pytest.mark.parametrize("mine", ["pictures/car.jpg", "report.html", "predictions.jsonl"])
def test_what_no_prediction_wrote_is_not_replaced(mine, tmp_path, engine, capsys):
    save(tmp_path / "in", "car.jpg")
    (tmp_path / "out" / mine).parent.mkdir(parents=True)
    (tmp_path / "out" / mine).write_text("mine")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--jsonl"]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "out" / mine).read_text() == "mine"


@pytest.mark.parametrize("name", ["report.html", "predictions.jsonl", "redacted.csv", "predictions.csv"])
def test_no_result_is_written_through_a_link(name, tmp_path, engine, capsys):
    """An earlier result, some of it put elsewhere: the report replaced what the link led to."""
    save(tmp_path / "in", "car.jpg")
    (tmp_path / "out").mkdir()
    earlier = ",".join(COLUMNS) + "\nold.jpg,1,0.9,,,,,0.9,ok\n"
    (tmp_path / "out/predictions.csv").write_text(earlier)
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--jsonl", "--no-pictures", "--redact", "box"]
    (tmp_path / "mine").write_text(earlier if name == "predictions.csv" else "mine")
    (tmp_path / "out" / name).unlink(missing_ok=True)
    (tmp_path / "out" / name).symlink_to(tmp_path / "mine")
    before = (tmp_path / "mine").read_text()
    assert predict.main(arguments) == 2
    assert f"{name}: a link to {tmp_path / 'mine'}, which is not overwritten; remove" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == before and (tmp_path / "out/predictions.csv").read_text() == earlier
    assert {path.name for path in (tmp_path / "out").iterdir()} == {name, "predictions.csv"}
    (tmp_path / "out" / name).unlink()
    assert predict.main(arguments) == 0


def test_no_picture_is_drawn_in_a_folder_that_a_link_leads_to(tmp_path, engine, capsys):
    """Beside an earlier result, pictures of the same names were lost in it."""
    save(tmp_path / "in", "car.jpg")
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--no-report"]
    assert predict.main(arguments) == 0
    (tmp_path / "out/pictures").rename(tmp_path / "mine")
    (tmp_path / "out/pictures").symlink_to(tmp_path / "mine")
    (tmp_path / "mine/car.jpg").write_text("mine")
    earlier = (tmp_path / "out/predictions.csv").stat().st_mtime_ns
    assert predict.main(arguments) == 2
    assert f"pictures: a link to {tmp_path / 'mine'}, which is not overwritten; remove" in capsys.readouterr().err
    assert (tmp_path / "mine/car.jpg").read_text() == "mine"
    assert (tmp_path / "out/predictions.csv").stat().st_mtime_ns == earlier
    assert predict.main([*arguments, "--no-pictures"]) == 0  # Nothing goes there then.


@pytest.mark.parametrize(
    "mine", ["id,class\n1,cat\n", "img_id,text\na.png,12T345\n", "\ufeffimg_id;text;confidence\n", "\0"]
)
def test_a_table_of_that_name_that_no_prediction_wrote_is_not_replaced(mine, tmp_path, engine, capsys):
    save(tmp_path / "in", "car.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/predictions.csv").write_text(mine, encoding="utf-8")
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--no-report", "--no-pictures"]
    assert predict.main(arguments) == 2
    assert "predictions.csv: is there already, and was not written by this command" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]
    assert (tmp_path / "out/predictions.csv").read_text(encoding="utf-8") == mine
    for ours in ("", ",".join(COLUMNS) + "\nold.jpg,1,0.9,,,,,0.9,ok\n"):
        (tmp_path / "out/predictions.csv").write_text(ours)
        assert predict.main(arguments) == 0 and [row["img_id"] for row in rows_of(tmp_path / "out")] == ["car.jpg"]


@pytest.mark.parametrize("name", ["out/predictions.csv", "out/report.html", "out/predictions.jsonl", "nowhere/x.csv"])
def test_no_two_results_go_into_one_file(name, tmp_path, engine, capsys):
    save(tmp_path / "in", "car.jpg")
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--jsonl", "--submission"]
    assert predict.main([*arguments, str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert "written twice" in said or "there is no folder" in said
    assert not (tmp_path / "out").exists()
    assert predict.main(arguments[:-1]) == 0
