"""The exported model: the same answers as the Keras model, in every form, without TensorFlow where none is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from lpr_e2e.prediction.exported import ExportedModel, best_plates, cut_window
from PIL import Image

import predict
from lpr_e2e.common.procedure import window_margin
from lpr_e2e.export import exporter as export
from lpr_e2e.model import box_head
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction import exported
from lpr_e2e.prediction.reader import PlateReader

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(tiny_settings):
    """A model that finds something everywhere, and reads something in it."""
    keras.utils.set_random_seed(3)
    model = PlateModel(replace(tiny_settings.architecture, plates=2), "0123456789T", 8)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean")):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif "find_objectness" in weight.path:
            weight.assign([1.0] if weight.path.endswith("bias") else np.asarray(weight) * 10)
        elif "find_distances" in weight.path:
            weight.assign(np.asarray(weight) * 0.1)
        elif "classifier" in weight.path:
            weight.assign(np.asarray(weight) * 3)
    model.temperature.assign(1.3)
    return model


@pytest.fixture(scope="module")
def canvases(model):
    """Smooth pictures: rounding to whole grey levels then changes little."""
    coarse = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 3)).astype("float32")
    return tf.image.resize(coarse, (model.canvas_size,) * 2, "bicubic").numpy().clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def mirrored(model):
    """The exported model, with the Keras model's own networks in it."""
    networks = export.Networks(model)

    def numpy(network):
        return lambda batch: {name: one.numpy() for name, one in network(tf.constant(batch, tf.float32)).items()}

    return ExportedModel(export.description(model), numpy(networks.find), numpy(networks.read))


class TestExportedModel:
    def test_it_gives_what_the_keras_model_gives(self, model, mirrored, canvases):
        expected, found = model.predict_on_batch(canvases), mirrored.predict_on_batch(canvases)
        assert (expected["box_confidence"] > 0.2).all()
        assert set(found) == set(expected)
        for name in ("boxes_rel", "box_confidence", "turns", "tilts", "characters"):
            tolerance = 0.03 if name == "characters" else 5e-3
            assert found[name].shape == expected[name].shape
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)
        assert np.abs(found["glimpses"] - expected["glimpses"]).mean() < 1.0

    # A box and how likely its turns are.
    place = np.array([0.3, 0.35, 0.5, 0.8], "float32"), np.array([0.2, 0.6, 0.195, 0.005], "float32")

    def test_what_is_read_again_is_the_same(self, model, mirrored, canvases):
        expected, found = model.read_again(canvases[0], *self.place), mirrored.read_again(canvases[0], *self.place)
        np.testing.assert_allclose(found["characters"], expected["characters"], atol=0.03)
        assert np.abs(found["glimpses"] - expected["glimpses"]).mean() < 1.0

    def test_a_side_that_cannot_win_is_not_read_again(self, mirrored, canvases, monkeypatch):
        read, batches = mirrored._read, []
        monkeypatch.setattr(mirrored, "_read", lambda batch: batches.append(len(batch)) or read(batch))
        monkeypatch.setattr(mirrored, "sure", 0.0)  # One scale is enough.
        monkeypatch.setattr(mirrored.vocabulary, "certainty", lambda characters: 0.7)
        for second, sides in ((0.4, 2), (0.02, 1)):  # To the power of 1/4, 0.4 is 0.8 and 0.02 is 0.38.
            del batches[:]
            mirrored.read_again(canvases[0], self.place[0], np.array([0, second, 0, 1 - second], "float32"))
            assert batches == [len(exported.TILTS)] * sides + [1]

    def test_the_served_graph_reads_again_likewise(self, model, canvases, monkeypatch):
        monkeypatch.setattr(model, "doubt", 1.1)
        expected = model.read_again(canvases[0], *self.place)["characters"]
        assert model.vocabulary.certainty(expected) > 0
        nothing = np.eye(model.vocabulary.classes, dtype="float32")[np.zeros(model.vocabulary.slots, int)]
        served = export.Serving(model)._read_again_in_doubt(tf.constant(canvases[0]), *self.place, 1.0, nothing)
        np.testing.assert_allclose(served, expected, atol=1e-3)

    def test_crops_are_read_alike(self, model, mirrored):
        glimpses = np.random.default_rng(0).integers(0, 256, (3, *model.glimpse_size, 3), dtype="uint8")
        np.testing.assert_allclose(mirrored.read_glimpses(glimpses), model.read_glimpses(glimpses), atol=1e-3)

    def test_what_is_no_candidate_costs_nothing(self, mirrored, canvases, monkeypatch):
        read = []
        monkeypatch.setattr(mirrored, "_read", lambda batch: read.append(batch))
        for name in ("LEAST_CONFIDENCE", "FURTHER_CONFIDENCE", "BOX_THRESHOLD"):
            monkeypatch.setattr(exported, name, 1.1)
        assert not mirrored.predict_on_batch(canvases)["characters"].any() and not read

    def test_only_the_unsure_are_read_in_the_other_scales(self, mirrored, canvases, monkeypatch):
        box = np.array([0.3, 0.35, 0.5, 0.8], "float32")
        plates = [(canvas, box, 0, 0.0) for canvas in canvases]
        read, batches = mirrored._read, []
        monkeypatch.setattr(mirrored, "_read", lambda batch: batches.append(len(batch)) or read(batch))
        monkeypatch.setattr(mirrored, "sure", 1.1)
        expected = [one["characters"] for one in mirrored._read_plates(plates)]
        certainties = [
            mirrored.vocabulary.certainty(one)
            for one in mirrored.read_glimpses(
                np.stack([cut_window(*plate[:3], mirrored.glimpse_size, window_margin(1.0), 2) for plate in plates])
            )
        ]
        assert len(set(certainties)) == 3
        del batches[:]
        monkeypatch.setattr(mirrored, "sure", np.mean(sorted(certainties)[:2]))
        found = [one["characters"] for one in mirrored._read_plates(plates)]
        others = len(mirrored.reading_scales) - 1
        assert others and batches == [3, others]
        for one, other, certainty in zip(found, expected, certainties, strict=True):
            assert np.allclose(one, other, atol=1e-5) == (certainty < mirrored.sure)

    @pytest.mark.parametrize("tilt", [0.0, -0.3, 0.2])
    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    def test_windows_are_cut_alike(self, canvases, turns, tilt):
        for box in ([0.3, 0.35, 0.5, 0.8], [-0.1, 0.5, 0.3, 1.2]):
            box = np.array(box, "float32")
            tilts = np.array([tilt], "float32") if tilt else None
            expected = cut_glimpses(canvases[:1], box[None], np.array([turns], "int32"), 32, 96, tilts=tilts)
            found = cut_window(canvases[0], box, turns, (32, 96), (0.15, 0.06), 2, tilt)
            assert np.abs(found - np.asarray(expected)[0]).max() < 3.0

    def test_plates_are_chosen_alike(self):
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 0.7, (2, 64, 2))
        found = {
            "objectness": rng.normal(0, 2, (2, 64)).astype("float32"),
            "cell_boxes": np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (2, 64, 2))], -1).astype("float32"),
            "cell_turns": rng.normal(0, 1, (2, 64, 4)).astype("float32"),
            "cell_tilts": rng.normal(0, 1, (2, 64)).astype("float32"),
        }
        expected = box_head.best_plates({name: tf.constant(values) for name, values in found.items()}, 3)
        for index in range(2):
            one = best_plates({name: values[index] for name, values in found.items()}, 3)
            for name, values in one.items():
                np.testing.assert_allclose(values, expected[name][index], atol=1e-5)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, canvases):
    folder = tmp_path_factory.mktemp("photographs")
    for index, canvas in enumerate(canvases):
        Image.fromarray(canvas[: 150 + 10 * index]).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def folder(model, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export.export(model, folder, photographs)
    return folder


class TestExport:
    def test_every_form_reads_as_keras_does(self, model, folder, photographs):
        keras_text = PlateReader(model).read(photographs[0])[0].text
        rows = {
            row["form"]: row for row in export.compare(model, folder, photographs, {photographs[0].name: keras_text})
        }
        assert list(rows) == ["Keras", "ONNX int8", "ONNX", "TFLite", "TFLite int8", "SavedModel"]
        for form in ("ONNX", "TFLite", "SavedModel"):
            assert rows[form]["same_texts"] == 3 and rows[form]["right"] == 1.0, form
            assert rows[form]["largest_difference"] < 0.05
        assert rows["TFLite int8"]["bytes"] < 0.75 * rows["TFLite"]["bytes"]
        sizes = [(folder / files["find"]).stat().st_size for files in (exported.ONNX_INT8_FILES, exported.ONNX_FILES)]
        assert sizes[0] < 0.75 * sizes[1] + 1e5
        assert "ONNX" in export.table(list(rows.values()), folder)

    def test_shared_filters_are_stored_once(self, model, folder):
        stored = sum((folder / file).stat().st_size for file in exported.ONNX_FILES.values())
        # The graphs of the tiny model weigh more than its weights; all filters twice would weigh more than both.
        weights = 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
        graphs = sum((folder / exported.ONNX_FILES[name]).stat().st_size for name in ("find", "read"))
        assert stored < weights + graphs
        muls = [
            node
            for node in onnx.load(folder / "read.onnx").graph.node
            if any("_factors" in name for name in node.input)
        ]
        assert len(muls) >= 5

    def test_8_bits_mean_the_same_on_every_processor(self, folder):
        filters = {}
        for name in ("find", "read"):
            graph = onnx.load(folder / exported.ONNX_INT8_FILES[name]).graph
            arrays = [onnx.numpy_helper.to_array(array) for array in graph.initializer]
            filters[name] = [array for array in arrays if array.ndim == 4 and array.dtype == np.int8]
            # Two products with a byte add up to no more than 16 bits hold.
            assert filters[name] and max(np.abs(array.astype(int)).max() for array in filters[name]) <= 64
        bytes_of_filters = [array.tobytes() for array in filters["find"]]
        shared = [array for array in filters["read"] if array.tobytes() in bytes_of_filters]
        assert len(shared) >= 5
        stored = (folder / exported.ONNX_INT8_FILES["weights"]).stat().st_size
        assert stored < (folder / exported.ONNX_FILES["weights"]).stat().st_size

    def test_the_finder_in_8_bits_takes_the_bytes_of_a_picture(self, folder, canvases):
        exact, coarse = (
            exported.onnx_networks(folder, 1, files)[0] for files in (exported.ONNX_FILES, exported.ONNX_INT8_FILES)
        )
        given = onnx.load(folder / exported.ONNX_INT8_FILES["find"]).graph.input[0].type.tensor_type.elem_type
        assert given == onnx.TensorProto.UINT8
        scenes = np.stack([exported.shrunk(canvas, 3) for canvas in canvases])
        expected, found = exact(scenes), coarse(scenes)
        for name, values in expected.items():
            spread = values.max() - values.min()
            assert np.abs(found[name] - values).mean() < 0.05 * spread, name

    def test_the_finders_last_convolutions_are_not_rounded_to_8_bits(self, folder):
        tensors = tf.lite.Interpreter(str(folder / exported.INT8_FILE)).get_tensor_details()
        kinds = {
            name: {
                one["dtype"] for one in tensors if f"/{name}_1/" in one["name"] and one["shape"][1:].tolist() == sides
            }
            for name, sides in (("find_distances", [3, 3, 16]), ("find_objectness", [1, 1, 16]), ("stem", [3, 3, 3]))
        }
        assert kinds == {"find_distances": {np.float32}, "find_objectness": {np.float32}, "stem": {np.int8}}

    def test_several_share_what_can_be_shared(self, folder, photographs):
        models = exported.load_several(folder, 3)
        assert len(models) == 3 and len({id(model) for model in models}) == 3
        texts = {PlateReader(model).read(photographs[0])[0].text for model in models}
        assert len(texts) == 1

    def test_predict_reads_with_it_and_without_tensorflow(self, folder, photographs, tmp_path):
        script = (
            "import sys; import predict;"
            f"code = predict.main(['{photographs[0].parent}', '--model', '{folder}', '--output', '{tmp_path}']);"
            "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules; sys.exit(code)"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len((tmp_path / "predictions.csv").read_text().splitlines()) >= 4

    def test_the_saved_model_needs_nothing_of_ours(self, model, folder, photographs, tmp_path):
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
            reading = PlateReader(model).read(photograph)[0]
            # Both plates of a photograph may be read alike.
            boxes = [box for text, box in zip(texts, boxes_px, strict=True) if text == reading.text]
            assert min(np.abs(np.array(box) - reading.box_px).max() for box in boxes) < 1.5

    def test_a_folder_without_a_model_is_named(self, tmp_path, capsys):
        with pytest.raises(FileNotFoundError, match="model.json"):
            exported.load(tmp_path)
        Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
        assert predict.main([str(tmp_path), "--model", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
        assert "lpr_e2e export" in capsys.readouterr().err

    def test_a_damaged_file_is_named(self, folder, tmp_path):
        (tmp_path / "model.json").write_text((folder / "model.json").read_text())
        (tmp_path / "find.onnx").write_bytes(b"nothing")
        with pytest.raises(ValueError, match="find.onnx"):
            exported.load(tmp_path)

    def test_wrong_calls_end_with_one_line(self, tmp_path, capsys):
        assert export.main([str(tmp_path / "none.keras")]) == 2
        assert export.main(["--truth", "x.csv"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 2
