"""Keras, ONNX Runtime and LiteRT: the same answers, and the numbers of a stored procedure lead all three."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import tensorflow as tf
from stand_in import seeing_model

from lpr_e2e import PlateReader
from lpr_e2e.common.errors import UserError, in_words
from lpr_e2e.export.exporting import export
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.description import FILE, Description, with_checksum
from lpr_e2e.prediction.engines.keras_model import KerasEngine, describe
from lpr_e2e.prediction.engines.loading import load_drivers

FORMS = ("ONNX", "TFLite")


@pytest.fixture(scope="module")
def model(tiny_settings):
    """A model that finds something everywhere, and reads something in it."""
    # Boxes of a model that has learned nothing overlap by little in the two looks. Some readings are believed.
    procedure = replace(tiny_settings.procedure, plates=2, same_plate_iou=0.001)
    return seeing_model(tiny_settings.architecture, procedure, find=1, read=8)


@pytest.fixture(scope="module")
def photograph(model):
    """A smooth picture: rounding to whole grey levels then changes little."""
    coarse = np.random.default_rng(1).integers(0, 256, (12, 12, 3)).astype("float32")
    size = (model.architecture.canvas_size,) * 2
    return tf.image.resize(coarse, size, "bicubic").numpy().clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(model, folder, forms=("onnx", "tflite"))
    return folder


def readers(model, folder):
    """A reader with each engine, as people get it from files."""
    found = {form: PlateReader(load_drivers(folder, 1, 1, form)[0]) for form in FORMS}
    return {"Keras": PlateReader.of(model), **found}


def with_procedure(model, folder, target, **numbers):
    """The same model, saved and exported, with other numbers in the stored procedure: a reader with each engine."""
    path = target / "changed"
    shutil.copytree(folder, path)
    values = json.loads((path / FILE).read_text(encoding="utf-8"))
    values["procedure"] |= numbers
    (path / FILE).write_text(json.dumps(with_checksum(values)), encoding="utf-8")
    config = model.get_config()
    config["procedure"] |= numbers
    changed = PlateModel.from_config(config)
    changed.set_weights(model.get_weights())
    changed.save(target / "changed.keras")
    found = {form: PlateReader(load_drivers(path, 1, 1, form)[0]) for form in FORMS}
    return {"Keras": PlateReader.load(target / "changed.keras"), **found}


def test_all_engines_read_alike(model, folder, photograph):
    found = {name: reader.read(photograph)[0] for name, reader in readers(model, folder).items()}
    expected = found["Keras"]
    assert expected.text and expected.box_confidence > 0.3
    for name, reading in found.items():
        assert reading.text == expected.text, name
        np.testing.assert_allclose(reading.box_px, expected.box_px, atol=0.5, err_msg=name)
        np.testing.assert_allclose(reading.characters, expected.characters, atol=0.03, err_msg=name)


@pytest.mark.parametrize(
    "numbers",
    [
        {"box_threshold": 1.0},
        {"certainty_threshold": 1.0, "doubt": 0.0},
        {"margin": [0.6, 0.4]},
        {"second_look": 0},
        {"letterbox_grey": 0},
        {"reading_scales": [1.4]},
    ],
    ids=lambda numbers: next(iter(numbers)),
)
def test_all_engines_follow_a_number_of_the_stored_procedure(model, folder, photograph, tmp_path, numbers):
    picture = photograph[:120] if "letterbox_grey" in numbers else photograph
    before = {name: reader.read(picture)[0] for name, reader in readers(model, folder).items()}
    after = {
        name: reader.read(picture)[0] for name, reader in with_procedure(model, folder, tmp_path, **numbers).items()
    }

    def seen(reading):
        """What a number of the procedure can change."""
        glimpse = None if reading.glimpse is None else reading.glimpse.astype(int)
        return reading.status, reading.box_px, glimpse

    for name in before:
        (status, box, glimpse), (new_status, new_box, new_glimpse) = seen(before[name]), seen(after[name])
        followed = status != new_status or np.abs(np.subtract(box, new_box)).max() > 0.5
        assert followed or np.abs(glimpse - new_glimpse).mean() > 2, name
    assert len({reading.status for reading in after.values()}) == 1
    boxes = [reading.box_px for reading in after.values() if reading.box_px is not None]
    assert all(np.abs(np.subtract(box, boxes[0])).max() < 1 for box in boxes)


class TestDescription:
    def test_it_comes_back_as_it_was_written(self, model, folder):
        assert Description.load(folder) == describe(model)

    def test_a_folder_without_a_model_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=rf"{FILE}.*lpr_e2e export"):
            load_drivers(tmp_path, 1, 1)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"slots": -1}, "slots"),
            ({"slots": 10**12}, "slots"),
            ({"temperature": "warm"}, "temperature"),
            ({"temperature": 0}, "temperature"),
            ({"glimpse_size": [64]}, "glimpse_size"),
            ({"characters": 7}, "characters"),
            ({"procedure": {"version": 99}}, "version 99"),
            ({"procedure": []}, "version"),
            ({"procedure": {"version": True}}, "version True"),
            *[({name: 10**400}, name) for name in ("slots", "canvas_size", "scene_shrink", "temperature")],
            *[({"temperature": value}, "temperature") for value in (-(10**400), 1e308, float("nan"), True, "1", [1])],
            *[({"canvas_size": size}, "canvas_size") for size in (1, 100, 100_000, 192.0, "192", [192])],
            *[({"glimpse_size": size}, "glimpse_size") for size in ([10**400, 64], [[32], [64]], "32", [32, 100_000])],
            *[({"grid_size": size}, "grid_size") for size in ([10**400, 2], [33, 16], [True, True])],
            *[({"slots": "x" * 10**6}, "slots"), ({"characters": ["x" * 10**6]}, "characters")],
            ({"promise": {"plates": 10**400, "confidence": 0.9, "bars": []}}, "promise"),
        ],
    )
    def test_what_it_cannot_be_is_one_line(self, folder, tmp_path, change, words):
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        (tmp_path / FILE).write_text(json.dumps(with_checksum(values | change)), encoding="utf-8")
        with pytest.raises(UserError, match=rf"{FILE}.*{words}.*export the model anew") as error:
            load_drivers(tmp_path, 1, 1)
        assert "\n" not in str(error.value) and len(str(error.value)) < 1000

    @pytest.mark.parametrize("name", ["tilts_degrees", "moved", "reading_scales", "part_pixels"])
    @pytest.mark.parametrize("value", [[1.0] * 100_000, [10**400], [[1.0]], [float("nan")], "1" * 1_000_000, [True]])
    def test_numbers_of_the_procedure_are_few_and_finite(self, folder, tmp_path, name, value):
        """Each of several is another look at every plate."""
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        values["procedure"][name] = value
        (tmp_path / FILE).write_text(json.dumps(with_checksum(values)), encoding="utf-8")
        with pytest.raises(UserError, match=f"procedure.{name}") as error:
            load_drivers(tmp_path, 1, 1)
        assert len(str(error.value)) < 1000

    @pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"model"', '{"characters": "01"}'])
    def test_a_damaged_one_is_one_line(self, tmp_path, text):
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=FILE):
            load_drivers(tmp_path, 1, 1)

    def test_a_folder_without_networks_is_named(self, folder, tmp_path):
        shutil.copy(folder / FILE, tmp_path)
        with pytest.raises(UserError, match="find.onnx"):
            load_drivers(tmp_path, 1, 1)


class TestLoading:
    @pytest.mark.parametrize("form", FORMS)
    def test_what_only_shows_when_it_runs_is_one_line(self, folder, photograph, form):
        """Networks that were exchanged, or that would fill the memory, load without a word."""
        engine = load_drivers(folder, 1, 1, form)[0].engine
        with pytest.raises(UserError, match="this model cannot be run") as error:
            engine.read(photograph[None, :31, :57])
        assert "\n" not in str(error.value)
        assert engine.read(np.zeros((1, 32, 64, 3), "uint8"))["logits"].shape[0] == 1  # The next one is read.

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"characters": "01"}, "logits"),
            ({"characters": "".join(map(chr, range(0x4E00, 0x5E00)))}, "logits"),
            ({"slots": 1}, "logits"),
            ({"slots": 128}, "logits"),
            ({"grid_size": [1, 1]}, "attention"),
        ],
    )
    def test_what_the_networks_do_not_give_as_described_is_one_line(
        self, folder, photograph, tmp_path, form, change, words
    ):
        """A description without a checksum may say anything that a model could be."""
        shutil.copytree(folder, tmp_path / "changed")
        values = json.loads((folder / FILE).read_text(encoding="utf-8")) | {"forms": None} | change
        (tmp_path / "changed" / FILE).write_text(json.dumps(with_checksum(values)), encoding="utf-8")
        reader = PlateReader(load_drivers(tmp_path / "changed", 1, 1, form)[0])
        with pytest.raises(
            UserError, match=f"this model cannot be run: .*gives {words} of .*; found .*float32"
        ) as error:
            reader.read(photograph)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("network", ["find", "read"])
    @pytest.mark.parametrize("change", ["renamed", "left out", "flat", "whole numbers"])
    def test_networks_that_give_something_else_are_one_line(self, folder, photograph, tmp_path, network, change):
        path = tmp_path / "changed"
        shutil.copytree(folder, path)
        model = onnx.load(str(path / f"{network}.onnx"), load_external_data=False)
        output = model.graph.output[0]
        if change == "left out":
            del model.graph.output[0]
        else:
            given = f"{output.name} as it was"
            for node in model.graph.node:
                names = [given if name == output.name else name for name in node.output]
                del node.output[:]
                node.output.extend(names)
            if change == "renamed":
                output.name += " anew"
            shape = onnx.helper.make_tensor("flat", onnx.TensorProto.INT64, [1], [-1])
            model.graph.initializer.append(shape)
            node = {
                "renamed": onnx.helper.make_node("Identity", [given], [output.name]),
                "flat": onnx.helper.make_node("Reshape", [given, "flat"], [output.name]),
                "whole numbers": onnx.helper.make_node("Cast", [given], [output.name], to=onnx.TensorProto.INT32),
            }[change]
            model.graph.node.append(node)
            kind = onnx.TensorProto.INT32 if change == "whole numbers" else onnx.TensorProto.FLOAT
            output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, None))
        (path / f"{network}.onnx").write_bytes(model.SerializeToString())
        values = json.loads((path / FILE).read_text(encoding="utf-8"))
        values.pop("files", None)
        (path / FILE).write_text(json.dumps(with_checksum(values)), encoding="utf-8")
        with pytest.raises(UserError, match="this model cannot be run: ") as error:
            PlateReader(load_drivers(path, 1, 1, "ONNX")[0]).read(photograph)
        assert "\n" not in str(error.value)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
    @pytest.mark.parametrize("name", [FILE, "find.onnx", "read.onnx", "weights.bin"])
    @pytest.mark.parametrize("kind", ["pipe", "device", "holes", "folder", "link to itself"])
    def test_what_has_no_end_is_refused_before_it_is_read(self, folder, tmp_path, name, kind):
        path = tmp_path / "changed"
        shutil.copytree(folder, path)
        (path / name).unlink()
        if kind == "pipe":
            os.mkfifo(path / name)
        elif kind == "device":
            (path / name).symlink_to("/dev/zero")
        elif kind == "holes":
            (path / name).touch()
            os.truncate(path / name, 2**36)
        elif kind == "folder":
            (path / name).mkdir()
        else:
            (path / name).symlink_to(name)
        with pytest.raises((UserError, OSError)) as error:
            load_drivers(path, 1, 1, "ONNX")
        assert name in in_words(error.value) and "\n" not in in_words(error.value)

    @pytest.mark.parametrize("kind", ["cut off", "header", "of ONNX", "empty", "holes"])
    def test_a_damaged_file_of_tflite_is_one_line(self, folder, tmp_path, kind):
        path, whole = tmp_path / "changed", (folder / "plates.tflite").read_bytes()
        shutil.copytree(folder, path)
        damaged = {
            "cut off": whole[: len(whole) // 2],
            "header": whole[:8] + bytes(64) + whole[72:],
            "of ONNX": (folder / "read.onnx").read_bytes(),
        }
        (path / "plates.tflite").write_bytes(damaged.get(kind, b""))
        if kind == "holes":
            os.truncate(path / "plates.tflite", 2**36)
        values = json.loads((path / FILE).read_text(encoding="utf-8"))
        values.pop("files", None)  # By whose checksums every damage is known.
        (path / FILE).write_text(json.dumps(with_checksum(values)), encoding="utf-8")
        with pytest.raises((UserError, OSError)) as error:
            load_drivers(path, 1, 1, "TFLite")
        assert "plates.tflite: " in in_words(error.value) and "\n" not in in_words(error.value)
        (path / "plates.tflite").write_bytes(whole)
        assert load_drivers(path, 1, 1, "TFLite")

    def test_one_session_serves_several_threads_and_each_thread_has_its_interpreter(self, folder):
        shared, own = ([driver.engine for driver in load_drivers(folder, 3, 1, form)] for form in FORMS)
        assert len(shared) == len(own) == 3
        assert len({id(engine) for engine in shared}) == 1 and len({id(engine) for engine in own}) == 3

    def test_jax_compiles_for_few_sizes(self, model, monkeypatch):
        """Where every size is compiled for, batches are filled up, and what fills them is not given back."""
        engine = KerasEngine(model)
        monkeypatch.setattr(engine, "_fixed_sizes", True)
        sizes, network = [], engine._reader

        class Spy:
            def predict_on_batch(self, batch):
                sizes.append(len(batch))
                return network.predict_on_batch(batch)

        monkeypatch.setattr(engine, "_reader", Spy())
        rng = np.random.default_rng(0)
        for count in (1, 3, 5, 8):
            glimpses = rng.integers(0, 256, (count, *model.architecture.glimpse_size, 3), "uint8")
            assert len(engine.read(glimpses)["logits"]) == count
        assert sizes == [1, 4, 8, 8]
