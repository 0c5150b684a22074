"""Reading files and folders, with a stand-in for the model that finds magenta rectangles."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import predict
from lpr_e2e.common.images import PictureError
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction import reader as prediction
from lpr_e2e.prediction.outputs import default_output
from lpr_e2e.prediction.reader import PlateReader

MAGENTA = (255, 0, 255)


class MagentaModel:
    """Calls the bounding box of magenta pixels a plate that says 12T345; a second candidate is never certain."""

    canvas_size = 320
    vocabulary = Vocabulary("0123456789NT", 8)
    certainty = 0.9
    doubt = 0.8
    glimpse_size = (32, 64)

    def __init__(self):
        self.batches = []

    def read_glimpses(self, glimpses):
        """Bright glimpses say 9N, others nothing."""
        texts = ["9N" if glimpse.mean() > 127 else "" for glimpse in glimpses]
        return np.eye(self.vocabulary.classes)[[self.vocabulary.encode(text) for text in texts]]

    def predict_on_batch(self, canvases):
        assert canvases.dtype == np.uint8 and canvases.shape[1:] == (self.canvas_size, self.canvas_size, 3)
        self.batches.append(len(canvases))
        count, slots, classes = len(canvases), self.vocabulary.slots, self.vocabulary.classes
        boxes, confidences = np.zeros((count, 2, 4), "float32"), np.full((count, 2), 0.05, "float32")
        for index, canvas in enumerate(canvases.astype(int)):
            rows, columns = np.nonzero((canvas[..., 0] > 200) & (canvas[..., 1] < 60) & (canvas[..., 2] > 200))
            if len(rows):
                corners = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
                boxes[index, 0], confidences[index, 0] = np.array(corners) / self.canvas_size, 0.8
        characters = np.full((slots, classes), (1 - self.certainty) / (classes - 1), "float32")
        characters[np.arange(slots), self.vocabulary.encode("12T345")] = self.certainty
        return {
            "boxes_rel": boxes,
            "box_confidence": confidences,
            "turns": np.full((count, 2, 4), 0.25, "float32"),
            "characters": np.broadcast_to(characters, (count, 2, slots, classes)),
        }

    def read_again(self, canvas, box_rel, turns):
        """It looks as it did before."""
        outputs = self.predict_on_batch(canvas[None])
        return {"characters": outputs["characters"][0, 0]}


def car(height=240, width=320, box=(100, 60, 140, 180)):
    """A grey photograph with a magenta plate."""
    photograph = np.full((height, width, 3), 120, "uint8")
    top, left, bottom, right = box
    photograph[top:bottom, left:right] = MAGENTA
    return photograph


@pytest.fixture
def model(monkeypatch):
    model = MagentaModel()
    monkeypatch.setattr(PlateReader, "load", classmethod(lambda cls, path=None, format=None: cls(model, format)))
    return model


class TestDoubt:
    def reader(self, certainty, read_again):
        """A reader whose model reads `12T345` with one certainty, and `9N` with another when it reads again."""
        model = MagentaModel()
        model.certainty, asked = certainty, []

        def again(canvas, box_rel, turns):
            asked.append(box_rel)
            classes = model.vocabulary.encode("9N")
            rest = (1 - read_again) / (model.vocabulary.classes - 1)
            return {"characters": np.where(np.eye(model.vocabulary.classes)[classes] > 0, read_again, rest)}

        model.read_again = again
        return PlateReader(model), asked

    @pytest.mark.parametrize(
        ("certainty", "read_again", "text", "looks"),
        [(0.9, 0.99, "12T345", 0), (0.6, 0.99, "9N", 1), (0.6, 0.5, "12T345", 1)],
    )
    def test_a_doubtful_plate_is_read_again(self, certainty, read_again, text, looks):
        reader, asked = self.reader(certainty, read_again)
        reading = reader.read(car())[0]
        assert reading.text == text and len(asked) == looks
        assert reading.confidence == pytest.approx(max(certainty, read_again) if looks else certainty)

    @pytest.mark.parametrize(("beside", "looks"), [(0.39, 0), (0.45, 1)])
    def test_what_would_not_be_reported_is_not_read_again(self, beside, looks):
        """Of two plates, the first one is read with certainty, the second one's box is as doubtful as `beside`."""
        reader, asked = self.reader(0.95, 0.99)
        alone = reader.model.predict_on_batch

        def both(canvases):
            outputs = {name: np.array(values) for name, values in alone(canvases).items()}
            outputs["box_confidence"] = np.array([[0.9, beside]])
            outputs["characters"][0, 1] = 1 / reader.vocabulary.classes
            return outputs

        reader.model.predict_on_batch = both
        assert reader.read(car())[0].text == "12T345" and len(asked) == looks

    def test_what_is_no_plate_is_not_read_again(self):
        reader, asked = self.reader(0.6, 0.99)
        reader.read(np.full((100, 100, 3), 120, "uint8"))
        assert not asked


class TestCloserLook:
    """The model sees magenta plates of at least 80 pixels on its canvas, and says what their shade of red is."""

    def reader(self, certainty=0.9):
        class Nearsighted(MagentaModel):
            def predict_on_batch(self, canvases):
                outputs = super().predict_on_batch(canvases)
                sides = outputs["boxes_rel"][..., 2:] - outputs["boxes_rel"][..., :2]
                outputs["box_confidence"] *= sides.max(-1) * self.canvas_size >= 80
                return outputs

        model = Nearsighted()
        model.certainty = certainty
        return PlateReader(model), model

    def test_a_small_plate_is_read_in_a_part(self):
        reader, model = self.reader()
        box = (400, 480, 440, 600)  # In the lower right part only, 60 pixels wide on the canvas of 320.
        reading = reader.read(car(480, 640, box))[0]
        assert (reading.text, reading.status) == ("12T345", "ok")
        np.testing.assert_allclose(reading.box_px, box, atol=3)
        assert model.batches == [1, 4]

    def test_a_doubtful_reading_in_a_part_does_not_count(self):
        reader, _ = self.reader(certainty=0.7)
        assert reader.read(car(480, 640, (400, 480, 440, 600)))[0].status == "no plate"

    def test_a_certain_reading_needs_none(self):
        reader, model = self.reader()
        assert reader.read(car())[0].status == "ok"
        assert model.batches == [1]

    def test_a_plate_in_several_parts_is_one_plate(self):
        reader, _ = self.reader()
        readings = reader.read(car(480, 640, (220, 260, 260, 380)))
        assert [reading.text for reading in readings] == ["12T345"]


def test_crops_are_read_without_looking_for_a_plate(monkeypatch):
    monkeypatch.setattr("lpr_e2e.prediction.reader.CROPS_AT_ONCE", 2)
    crops = [np.full((20 + index, 90, 3), 40 * index, "uint8") for index in range(6)]
    readings = PlateReader(MagentaModel()).read_crops(crops)
    assert [reading.text for reading in readings] == ["", "", "", "", "9N", "9N"]
    assert [reading.status.split(":")[0] for reading in readings] == ["unreadable"] * 4 + ["ok"] * 2
    assert readings[5].box_px == (0, 0, 25, 90) and readings[5].confidence == 1
    with pytest.raises(ValueError, match="uint8 RGB"):
        PlateReader(MagentaModel()).read_crops([np.zeros((20, 90))])


@pytest.mark.parametrize(
    ("photographs", "fill", "sizes"), [(7, False, [4, 4]), (3, False, [3]), (3, True, [4]), (8, False, [4, 4])]
)
def test_a_short_batch_after_a_full_one_is_filled_up(photographs, fill, sizes):
    model = MagentaModel()
    named = [(str(number), car()) for number in range(photographs)]
    read = list(PlateReader(model).read_files(named, batch_size=4, fill=fill))
    assert model.batches == sizes
    assert [img_id for img_id, _, _ in read] == [img_id for img_id, _ in named]
    assert all(readings[0].text == "12T345" for _, _, readings in read)


class TestSeveralModels:
    """More than one batch is read by several models at the same time, each with one thread."""

    class Slow(MagentaModel):
        """Notes in which threads it is called, and whether by two at the same time."""

        def __init__(self):
            super().__init__()
            self.busy, self.threads, self.shared = threading.Lock(), set(), False

        def predict_on_batch(self, canvases):
            if not self.busy.acquire(blocking=False):
                self.shared = True
                return super().predict_on_batch(canvases)
            self.threads.add(threading.get_ident())
            time.sleep(0.01)
            self.busy.release()
            return super().predict_on_batch(canvases)

    def test_they_read_what_one_reads_in_the_same_order(self):
        models, alone = [self.Slow() for _ in range(3)], MagentaModel()
        named = [(str(number), car(box=(100, 60 + number, 140, 180 + number))) for number in range(23)]
        named[7] = ("7", PictureError("damaged"))
        found = list(PlateReader(alone, several=lambda: models).read_files(named, batch_size=2))
        expected = list(PlateReader(MagentaModel()).read_files(named, batch_size=2))
        assert [(img_id, readings) for img_id, _, readings in found] == [
            (img_id, readings) for img_id, _, readings in expected
        ]
        assert not alone.batches and sum(sum(model.batches) for model in models) == 22
        assert all(model.threads and not model.shared for model in models)

    def test_one_batch_is_read_by_the_one_with_all_threads(self):
        alone = MagentaModel()
        reader = PlateReader(alone, several=lambda: pytest.fail("not needed"))
        assert len(reader.read([car()] * 3)) == 3 and alone.batches == [3]

    def test_what_goes_wrong_there_is_raised_here(self):
        broken = MagentaModel()
        broken.predict_on_batch = lambda canvases: 1 / 0
        results = PlateReader(MagentaModel(), several=lambda: [broken]).read_files([("", car())] * 3, batch_size=1)
        with pytest.raises(ZeroDivisionError):
            list(results)

    def test_little_is_read_ahead(self):
        taken, models = [], [MagentaModel(), MagentaModel()]

        def endless():
            while True:
                taken.append(1)
                yield "car.jpg", car()

        results = PlateReader(MagentaModel(), several=lambda: models).read_files(endless(), batch_size=4)
        for _ in range(9):
            next(results)
        results.close()
        assert len(taken) <= 4 * (3 + 3)  # Three batches were used; two were being read, and one waited.


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


def test_every_file_of_a_folder_gets_a_row(odd_folder, tmp_path, model):
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


def test_pictures_keep_names_and_folders(odd_folder, tmp_path, model):
    output = tmp_path / "out"
    predict.main([str(odd_folder), "--output", str(output)])
    pictures = {path.relative_to(output / "pictures").as_posix() for path in (output / "pictures").rglob("*.*")}
    assert {"good.jpg", "nested/deeper/good.jpg", "voiture n° 3 éàü.jpg", "dot.png.jpg"} <= pictures
    assert "empty.jpg" not in pictures
    with Image.open(output / "pictures" / "good.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (640, 480)
    predict.main([str(odd_folder), "--output", str(tmp_path / "plain"), "--no-pictures"])
    assert not (tmp_path / "plain" / "pictures").exists()


def test_a_box_is_in_pixels_of_the_rotated_photograph(tmp_path, model):
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera lay on its side: to be shown a quarter clockwise.
    upright = car(height=320, width=240, box=(200, 20, 230, 120))
    save(tmp_path, "side.jpg", np.rot90(upright), exif=exif, quality=95)
    predict.main([str(tmp_path / "side.jpg"), "--output", str(tmp_path / "out")])
    assert box_of(rows_of(tmp_path / "out")[0]) == pytest.approx([200, 20, 230, 120], abs=2)


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder_is_one_line(tmp_path, exists, capsys, model, monkeypatch):
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


def test_an_interruption_loses_nothing(tmp_path, capsys, model):
    for number in range(5):
        save(tmp_path / "in", f"{number}.jpg")
    whole_batch, calls = model.predict_on_batch, []

    def interrupted(canvases):
        calls.append(len(canvases))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole_batch(canvases)

    model.predict_on_batch = interrupted
    submission = tmp_path / "form.csv"
    arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--batch-size", "2"]
    assert predict.main([*arguments, "--submission", str(submission)]) == 130
    assert [row["img_id"] for row in rows_of(tmp_path / "out")] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert "4 of 5" in capsys.readouterr().err
    assert len(submission.read_text().splitlines()) == 1 + 4 * 7


def test_rows_are_on_disk_before_the_next_photograph_is_read(tmp_path, model):
    """A killed process loses nothing either."""
    for number in range(4):
        save(tmp_path / "in", f"{number}.jpg")
    on_disk = []
    whole_batch = model.predict_on_batch

    def spy(canvases):
        on_disk.append(len((tmp_path / "out" / "predictions.csv").read_text().splitlines()))
        return whole_batch(canvases)

    model.predict_on_batch = spy
    predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--batch-size", "1"])
    assert on_disk[1:] == [2, 3, 4]  # The header and the photographs before.


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent differently on Windows")
def test_ctrl_c_ends_a_running_command(tmp_path):
    for number in range(50):
        save(tmp_path / "in", f"{number:02}.jpg")
    script = (
        "import signal, sys, time, predict, test_prediction as t\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # Ignored where the tests run in the background.
        "class Slow(t.MagentaModel):\n"
        "    def predict_on_batch(self, canvases):\n"
        "        print('reading', flush=True); time.sleep(0.2); return super().predict_on_batch(canvases)\n"
        "predict.prediction.PlateReader.load = classmethod(lambda cls, path=None, format=None: cls(Slow()))\n"
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


def test_an_uncertain_plate_is_marked(tmp_path, model):
    model.certainty = 0.4
    save(tmp_path, "car.jpg")
    predict.main([str(tmp_path / "car.jpg"), "--output", str(tmp_path / "out")])
    assert rows_of(tmp_path / "out")[0]["status"] == "uncertain"


def test_several_plates_give_several_rows_and_weak_boxes_none():
    class ThreePlates(MagentaModel):
        def predict_on_batch(self, canvases):
            outputs = super().predict_on_batch(canvases)
            boxes = np.array([[[0.5, 0.1, 0.6, 0.3], [0.4, 0.5, 0.5, 0.8], [0.3, 0.3, 0.4, 0.4]]], "float32")
            characters = np.repeat(outputs["characters"][:, :1], 3, axis=1)
            return {"boxes_rel": boxes, "box_confidence": np.array([[0.9, 0.5, 0.29]]), "characters": characters}

    readings = PlateReader(ThreePlates()).read(car())
    assert [reading.box_confidence for reading in readings] == [0.9, 0.5]


def test_the_confidence_is_that_of_the_weakest_character_the_end_included():
    class UncertainEnd(MagentaModel):
        def predict_on_batch(self, canvases):
            outputs = super().predict_on_batch(canvases)
            outputs["characters"] = outputs["characters"].copy()
            outputs["characters"][:, :, 6] = 0.03
            outputs["characters"][:, :, 6, 0] = 0.64
            outputs["characters"][:, :, 7, 0] = 0.1  # Behind the end: does not matter.
            return outputs

    assert PlateReader(UncertainEnd()).read(car())[0].confidence == pytest.approx(0.64)


def test_read_takes_a_path_an_array_or_a_list(tmp_path):
    path = save(tmp_path, "car.png")
    reader = PlateReader(MagentaModel())
    one = reader.read(path)
    assert (one[0].img_id, one[0].text) == ("car.png", "12T345")
    several = reader.read([str(path), car(), tmp_path / "none.jpg"])
    assert [readings[0].text for readings in several] == ["12T345", "12T345", ""]
    assert several[2][0].status.startswith("unreadable: ")
    with pytest.raises(ValueError, match="float"):
        reader.read(car() / 255.0)


def test_files_are_read_in_batches_and_decoded_at_most_one_batch_ahead(monkeypatch):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "car.jpg", car()

    model = MagentaModel()
    results = PlateReader(model).read_files(endless(), batch_size=4)
    for _ in range(9):
        next(results)
    results.close()
    assert model.batches == [4, 4, 4] and len(taken) <= 16


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes exist on POSIX only")
def test_links_in_circles_and_pipes_do_not_hang(tmp_path):
    save(tmp_path, "in/car.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    found = find_photographs([tmp_path / "in"])
    results = PlateReader(MagentaModel()).read_files(found)
    assert {img_id: readings[0].status.split(":")[0] for img_id, _, readings in results} == {
        "car.jpg": "ok",
        "gone.jpg": "unreadable",
        "pipe.jpg": "unreadable",
    }


def test_a_name_that_is_no_text_gets_a_row(tmp_path, model):
    save(tmp_path / "in", "car.jpg")
    try:
        os.rename(tmp_path / "in" / "car.jpg", os.fsencode(tmp_path / "in") + b"/\xff.jpg")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert rows_of(tmp_path / "out")[0]["text"] == "12T345"


def test_own_results_are_no_photographs_and_no_photograph_is_overwritten(tmp_path, model, capsys, monkeypatch):
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


def test_truth_is_scored_and_mistakes_are_listed(tmp_path, model, capsys):
    save(tmp_path / "in", "right.jpg")
    save(tmp_path / "in", "wrong.jpg")
    truth = tmp_path / "truth.csv"
    truth.write_text("img_id,text\nright.jpg,12T345\nwrong.jpg,12T399\nabsent.jpg,1T1\n")
    assert predict.main([str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--truth", str(truth)]) == 0
    printed = capsys.readouterr().out
    assert "50.0%" in printed and "absent.jpg" in printed
    wrong = next(line for line in printed.splitlines() if line.startswith("wrong.jpg"))
    assert wrong.split() == ["wrong.jpg", "12T399", "12T345", "0.900"]


def test_a_submission_needs_the_challenges_characters(tmp_path, model, capsys):
    model.vocabulary = Vocabulary("0123456789ABC", 8)
    save(tmp_path, "901.jpg")
    arguments = [str(tmp_path), "--output", str(tmp_path / "out"), "--submission", str(tmp_path / "form.csv")]
    assert predict.main(arguments) == 2
    assert "'T'" in capsys.readouterr().err and not (tmp_path / "form.csv").exists()


def test_the_default_model_is_the_projects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prediction.DEFAULT_MODEL == Path(predict.__file__).resolve().parent / "saved_models" / "tunisia.keras"


def test_the_most_certain_plate_comes_first_and_others_only_if_certain_and_elsewhere():
    class Candidates(MagentaModel):
        """A sure box with doubtful text, a less sure one with sure text, its double, and a doubtful third."""

        def predict_on_batch(self, canvases):
            boxes = [[0.5, 0.1, 0.6, 0.3], [0.4, 0.5, 0.5, 0.8], [0.4, 0.51, 0.5, 0.81], [0.7, 0.3, 0.8, 0.5]]
            certain = super().predict_on_batch(canvases)["characters"][:, :1]
            doubtful = 0.4 * certain + 0.6 / certain.shape[-1]
            characters = np.concatenate([doubtful, certain, certain, doubtful], axis=1)
            confidence = np.array([[0.8, 0.7, 0.6, 0.5]])
            turns = np.full((1, 4, 4), 0.25)
            return {
                "boxes_rel": np.array([boxes]),
                "box_confidence": confidence,
                "turns": turns,
                "characters": characters,
            }

    readings = PlateReader(Candidates()).read(car())
    assert [(reading.box_confidence, reading.status) for reading in readings] == [(0.7, "ok")]


def test_figures_of_the_truth_are_written(tmp_path, model, capsys):
    save(tmp_path / "in", "right.jpg")
    save(tmp_path / "in", "wrong.jpg")
    truth, seen, figures = tmp_path / "truth.csv", tmp_path / "seen.csv", tmp_path / "figures.json"
    truth.write_text("img_id,text,ymin,xmin,ymax,xmax\nright.jpg,12T345,0,0,50,50\nwrong.jpg,12T399,,,,\n")
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
    with pytest.raises(SystemExit, match="2"):
        predict.main(["anywhere", *options])
    assert words in capsys.readouterr().err


def test_json_lines_say_what_the_csv_says(odd_folder, tmp_path, model):
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


def test_names_steer_neither_spreadsheet_nor_terminal(tmp_path, model, capsys):
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
