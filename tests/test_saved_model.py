"""The SavedModel: the one reading procedure as a graph, and whatever bytes it is given, an answer for each."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from lpr_e2e.common import parts
from lpr_e2e.common.procedure import TODAY
from lpr_e2e.export.comparison import ServedReader
from lpr_e2e.export.saved_model import GraphArrays, Serving, write_saved_model
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.arrays import NumpyArrays
from lpr_e2e.prediction.reader import PlateReader


def smooth(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype="uint8")
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


class TestArrays:
    """In a graph the same as with numpy."""

    arrays, plain = GraphArrays(2), NumpyArrays()

    @pytest.mark.parametrize("sides", [(300, 400), (500, 123), (192, 192), (1, 900), (31, 17), (640, 481), (5, 2)])
    def test_a_photograph_lies_in_its_canvas_alike(self, sides):
        photograph = smooth(*sides)
        expected, plain = self.plain.letterbox(photograph, 192, 114)
        found, frame = self.arrays.letterbox(tf.constant(photograph), 192, 114)
        assert found.dtype == tf.uint8 and found.shape == (1, 192, 192, 3)
        assert ((found.numpy() == 114).all(-1) == (expected == 114).all(-1)).mean() > 0.99
        assert np.abs(found.numpy().astype(int) - expected).mean() < 0.5
        assert float(frame.scale) == pytest.approx(plain.scale) and frame.offset.numpy() == pytest.approx(plain.offset)
        boxes = np.array([[0.1, 0.2, 0.6, 0.9], [-0.1, 0.4, 1.2, 0.5]], "float32")
        np.testing.assert_allclose(frame.to_px(boxes), plain.to_px(boxes), rtol=1e-5, atol=1e-3)

    @pytest.mark.parametrize("sides", [(300, 400), (7, 5), (1, 1), (2160, 3840), (1100, 90), (12_000, 8_000)])
    def test_parts_are_the_same(self, sides):
        exact = np.array(sides, "int64")
        for parts_of in (parts.corners, parts.all_tiles):
            expected = parts_of(exact, TODAY, np)
            np.testing.assert_array_equal(parts_of(tf.constant(exact), TODAY, ops), expected)
            if max(sides) < 4000:
                photograph = smooth(*sides)
                for part in expected:
                    found = self.arrays.crop(tf.constant(photograph), tf.constant(part))
                    np.testing.assert_array_equal(found, self.plain.crop(photograph, part))
        assert self.arrays.sides(tf.zeros((*sides, 1))).numpy().tolist() == list(sides)
        boxes = np.array([[0.0, 0.0, 0.5, 1.0], [0.3, 0.1, 20.5, 90.2]], "float32")
        expected = parts.around(boxes, exact, 0.2, TODAY, np)
        np.testing.assert_array_equal(parts.around(boxes, tf.constant(exact), 0.2, TODAY, ops), expected)

    def test_work_on_a_few_at_a_time(self):
        nothing = {"a": np.zeros((2,), "float32")}

        def work(xp):
            return lambda rows: {"a": xp.reshape(xp.stack([rows, -rows], axis=1), (-1,))}

        for values in ([], [1.0], [1.0, 2.0, 3.0, 4.0, 5.0]):
            values = np.array(values, "float32")
            found = self.arrays.each(tf.constant(values), work(ops), {"a": tf.zeros((2,))})["a"]
            np.testing.assert_array_equal(self.plain.each(values, work(np), nothing)["a"], found)
            assert len(found) == 2 * len(values)

    def test_scenes_are_the_same(self):
        canvases = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), dtype="uint8")
        np.testing.assert_array_equal(self.plain.scenes(canvases, 3), self.arrays.scenes(canvases, 3))
        # OpenCV has its own way of rounding halves.
        assert np.abs(self.plain.scenes(canvases, 2) - self.arrays.scenes(canvases, 2)).max() <= 1

    def test_windows_are_cut_alike(self):
        canvases = np.stack([smooth(96, 96, seed) for seed in range(2)])
        places = (
            np.array([0, 1, 1]),
            np.array([[0.3, 0.35, 0.5, 0.8], [-0.1, 0.5, 0.3, 1.2], [0.2, 0.2, 0.6, 0.5]], "float32"),
            np.array([0, 1, 2]),
            np.array([0.0, -0.3, 0.2], "float32"),
        )
        expected = self.plain.cut(canvases, *places, (32, 96), (0.15, 0.06), 2, TODAY)
        found = self.arrays.cut(tf.constant(canvases), *map(tf.constant, places), (32, 96), (0.15, 0.06), 2, TODAY)
        assert np.abs(found - expected).max() < 3

    def test_rows_that_are_kept_come_first(self):
        values = {"a": tf.constant([1.0, 2.0, 3.0]), "b": tf.ones((3, 2))}
        for kept, rows in (("011", [2.0, 3.0]), ("001", [3.0, 0.0]), ("111", [1.0, 2.0]), ("000", [0.0, 0.0])):
            selected = self.arrays.select(values, tf.constant([one == "1" for one in kept]))
            assert selected["a"].numpy().tolist() == rows and selected["b"].shape == (2, 2)

    def test_places_and_conditions(self):
        arrays = self.arrays
        places = arrays.choose(tf.constant([True, False, True]))
        assert places.numpy().tolist() == [0, 2]
        assert arrays.put(tf.constant([1, 2, 3]), places, tf.constant([7, 8])).numpy().tolist() == [7, 2, 8]
        for condition in (True, tf.constant(True)):
            assert arrays.when(condition, lambda: {"a": tf.constant(1)}, lambda: {"a": tf.constant(2)})["a"] == 1


# Each sends what the model sees another way, to so many plates; today's numbers are those of `TestServing`.
ONE_LOOK = replace(TODAY, plates=2, second_look=0.0, reading_scales=(1.0,), doubt=0.0)
CLOSER_LOOKS = replace(
    TODAY,
    plates=2,
    certainty_threshold=0.3,
    sureness_threshold=0.05,
    closer_certainty=0.3,
    sure_plate=1.0,
    spared_plates=1000,
    doubt=0.0,
    part_plates=0,
)
PROCEDURES = {
    "no plate, one look": (replace(ONE_LOOK, box_threshold=0.6), 0),
    "all in doubt, from further away": (
        replace(TODAY, plates=1, doubt=1.0, sure=2.0, closer_part=0.0, filling_plate=0.0),
        1,
    ),
    "a street": (replace(CLOSER_LOOKS, distant_plate=1.0, part_plates=2, large_photograph=0), 10),
    "several": (replace(CLOSER_LOOKS, spared_plates=1, sure_plate=0.55, part_plates=2, large_photograph=0), 10),
}


# Tracing a graph takes half a minute: by itself the suite does it for what has most branches.
THOROUGH = ("no plate, one look", "a street")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough if name in THOROUGH else ()) for name in PROCEDURES]
)
def test_the_procedure_is_the_same_in_a_graph(seeing_model, name):
    procedure, plates = PROCEDURES[name]
    model = PlateModel(seeing_model.architecture, "0123456789T", 8, procedure)
    model.set_weights(seeing_model.get_weights())
    for weight in model.weights:
        if not plates and "find_objectness" in weight.path:
            weight.assign(np.zeros(weight.shape))  # One half everywhere.
    signature = [tf.TensorSpec((None, None, 3), tf.uint8)]
    read = tf.function(Serving(model)._read_picture, input_signature=signature, autograph=False)
    reader, counts = PlateReader.of(model), []
    for seed, sides in enumerate([(300, 200), (192, 192), (90, 160), (240, 320)]):
        photograph = smooth(*sides, seed)
        readings = reader.read(photograph)
        answer = {one: values.numpy() for one, values in read(photograph).items()}
        same({one: in_order_of(readings, answer, values)[None] for one, values in answer.items()}, readings)
        counts.append(sum(reading.box_px is not None for reading in readings))
    assert max(counts) == plates


def in_order_of(readings, answer, values):
    """An answer's values in the order of the readings: of two that are as certain, either may come first."""
    boxes = [reading.box_px for reading in readings if reading.box_px is not None]
    order = [int(np.abs(answer["boxes_px"] - box).sum(-1).argmin()) for box in boxes]
    order += [place for place in range(len(answer["boxes_px"])) if place not in order]
    return values[order] if np.ndim(values) else values


def same(answer, readings, row=0):
    """Whether an answer's row says what a reader's readings say."""
    texts = [text.decode() for text in answer["texts"][row]]
    assert texts == [reading.text for reading in readings] + [""] * (len(texts) - len(readings))
    for place, reading in enumerate(readings):
        assert answer["box_confidence"][row, place] == pytest.approx(reading.box_confidence, abs=0.02)
        assert answer["confidence"][row, place] == pytest.approx(reading.confidence, abs=0.05)
        if reading.box_px is not None:
            np.testing.assert_allclose(answer["boxes_px"][row, place], reading.box_px, atol=2.0)
            np.testing.assert_allclose(answer["characters"][row, place], reading.characters, atol=0.05)
    assert not answer["box_confidence"][row, len(readings) :].any()
    assert answer["readable"][row]


@pytest.fixture(scope="module")
def folder(seeing_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_saved_model(seeing_model, folder)
    return folder


@pytest.fixture(scope="module")
def served(folder):
    return ServedReader(folder / "saved_model")


@pytest.fixture(scope="module")
def serve(served):
    return lambda files: {one: values.numpy() for one, values in served.serve(tf.constant(files, tf.string)).items()}


def encoded(picture, form="PNG", **options):
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, form, **options)
    return file.getvalue()


class TestServing:
    def test_it_reads_what_the_reader_reads(self, seeing_model, served, serve, canvases, tmp_path):
        files = [encoded(canvas[: 150 + 10 * index]) for index, canvas in enumerate(canvases)]
        answer = serve(files)
        for row, readings in enumerate(PlateReader.of(seeing_model).read(files)):
            assert readings[0].text
            same(answer, readings, row)
            (tmp_path / "file").write_bytes(files[row])
            text, confidence = served.read(tmp_path / "file")
            assert text == readings[0].text and confidence == pytest.approx(readings[0].confidence, abs=0.05)

    def test_a_broken_picture_costs_its_own_answer_only(self, serve, canvases):
        good = encoded(canvases[0])
        broken = [b"", b"no picture", good[:-100], encoded(canvases[0], "JPEG")[:1000], encoded(canvases[0], "TIFF")]
        alone, together = serve([good]), serve([*broken, good, *broken])
        place = len(broken)
        assert together["readable"].tolist() == [False] * place + [True] + [False] * place
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][place], err_msg=name)
        for name, values in together.items():
            rest = np.delete(values, place, 0)
            assert not (rest != b"").any() if name == "texts" else not rest.any(), name
        assert serve(broken)["readable"].tolist() == [False] * place

    def test_no_photographs_give_no_answers(self, serve):
        assert {len(values) for values in serve([]).values()} == {0}

    @pytest.mark.parametrize("orientation", [3, 6, 7])
    def test_boxes_are_those_of_the_turned_photograph(self, seeing_model, serve, canvases, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = encoded(canvases[1][:130], "JPEG", quality=95, exif=exif)
        same(serve([file]), PlateReader.of(seeing_model).read(file))

    def test_white_is_behind_what_is_transparent(self, seeing_model, serve, canvases):
        picture = Image.fromarray(canvases[2])
        picture.putalpha(Image.fromarray(smooth(*canvases[2].shape[:2])[..., 0]))
        same(serve([encoded(picture)]), PlateReader.of(seeing_model).read(encoded(picture)))

    def test_it_needs_nothing_of_ours(self, seeing_model, folder, canvases, tmp_path):
        photographs = [tmp_path / f"{index}.png" for index in range(len(canvases))]
        for path, canvas in zip(photographs, canvases, strict=True):
            path.write_bytes(encoded(canvas))
        script = (
            "import sys, json, tensorflow as tf;"
            "loaded = tf.saved_model.load(sys.argv[1]);"
            "photographs = tf.constant([open(path, 'rb').read() for path in sys.argv[2:]]);"
            "answer = loaded.signatures['serving_default'](photographs);"
            "assert 'lpr_e2e' not in sys.modules;"
            "print(json.dumps({'texts': [[text.decode() for text in row] for row in answer['texts'].numpy()],"
            " 'boxes_px': answer['boxes_px'].numpy().tolist()}))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-c", script, str(folder / "saved_model"), *map(str, photographs)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        answer = json.loads(done.stdout.splitlines()[-1])
        for photograph, texts, boxes_px in zip(photographs, answer["texts"], answer["boxes_px"], strict=True):
            reading = PlateReader.of(seeing_model).read(photograph)[0]
            # Both plates of a photograph may be read alike.
            boxes = [box for text, box in zip(texts, boxes_px, strict=True) if text == reading.text]
            assert min(np.abs(np.array(box) - reading.box_px).max() for box in boxes) < 1.5
