"""The export: every form reads as Keras does, and a folder never holds forms of two models."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf
from PIL import Image

import predict
from lpr_e2e import cli
from lpr_e2e.commands import export as command
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import owned
from lpr_e2e.export import comparison, exporting
from lpr_e2e.export.exporting import export
from lpr_e2e.export.forms import FORMS
from lpr_e2e.prediction.arrays import shrunk
from lpr_e2e.prediction.checksums import check_files
from lpr_e2e.prediction.engines import litert, onnx_runtime
from lpr_e2e.prediction.engines.loading import load_drivers
from lpr_e2e.prediction.reader import PlateReader

ROOT = Path(__file__).resolve().parent.parent
ALL = {name for files in FORMS.values() for name in files} | {"model.json"}


def names(folder):
    """What lies in an export's folder, but for the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"}


def facts_in(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model(seeing_model):
    return seeing_model


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, canvases):
    folder = tmp_path_factory.mktemp("photographs")
    for index, canvas in enumerate(canvases):
        Image.fromarray(canvas[: 150 + 10 * index]).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def folder(model, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export(model, folder, photographs, [form for form in FORMS if form != "saved_model"])
    return folder


class TestExport:
    def test_every_form_reads_as_keras_does(self, model, folder, photographs, monkeypatch):
        class Served:
            """In place of a SavedModel, which `test_saved_model.py` reads with."""

            def __init__(self, folder):
                assert folder.name == "saved_model"

            def read(self, path):
                reading = PlateReader.of(model).read(path)[0]
                return reading.text, reading.confidence

        monkeypatch.setattr(comparison, "ServedReader", Served)
        (folder / "saved_model" / "variables").mkdir(parents=True)
        (folder / "saved_model" / "variables" / "file").write_bytes(b"12345")
        keras_text = PlateReader.of(model).read(photographs[0])[0].text
        rows = comparison.compare(model, folder, photographs, {photographs[0].name: {keras_text}})
        rows = {row["form"]: row for row in rows}
        assert list(rows) == ["Keras", "ONNX int8", "ONNX", "TFLite", "TFLite int8", "SavedModel"]
        for form in ("ONNX", "TFLite", "SavedModel"):
            assert rows[form]["same_texts"] == 3 and rows[form]["right"] == 1.0, form
            assert rows[form]["largest_difference"] < 0.05
        assert rows["TFLite int8"]["bytes"] < 0.75 * rows["TFLite"]["bytes"] and rows["SavedModel"]["bytes"] == 5
        assert rows["ONNX int8"]["bytes"] < 0.75 * rows["ONNX"]["bytes"] + 1e5
        assert "ONNX" in comparison.table(list(rows.values()), folder)

    def test_shared_filters_are_stored_once(self, model, folder):
        stored = sum((folder / file).stat().st_size for file in onnx_runtime.FLOAT_FILES.values())
        # The graphs of the tiny model weigh more than its weights; all filters twice would weigh more than both.
        weights = 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
        graphs = sum((folder / onnx_runtime.FLOAT_FILES[name]).stat().st_size for name in ("find", "read"))
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
            graph = onnx.load(folder / onnx_runtime.INT8_FILES[name]).graph
            arrays = [onnx.numpy_helper.to_array(array) for array in graph.initializer]
            filters[name] = [array for array in arrays if array.ndim == 4 and array.dtype == np.int8]
            # Two products with a byte add up to no more than 16 bits hold.
            assert filters[name] and max(np.abs(array.astype(int)).max() for array in filters[name]) <= 64
        bytes_of_filters = [array.tobytes() for array in filters["find"]]
        shared = [array for array in filters["read"] if array.tobytes() in bytes_of_filters]
        assert len(shared) >= 5
        stored = (folder / onnx_runtime.INT8_FILES["weights"]).stat().st_size
        assert stored < (folder / onnx_runtime.FLOAT_FILES["weights"]).stat().st_size

    def test_the_finder_in_8_bits_takes_the_bytes_of_a_picture(self, folder, canvases):
        exact, coarse = (
            onnx_runtime.OnnxEngine(folder, files, 1).find
            for files in (onnx_runtime.FLOAT_FILES, onnx_runtime.INT8_FILES)
        )
        given = onnx.load(folder / onnx_runtime.INT8_FILES["find"]).graph.input[0].type.tensor_type.elem_type
        assert given == onnx.TensorProto.UINT8
        scenes = np.stack([shrunk(canvas, 3) for canvas in canvases])
        expected, found = exact(scenes), coarse(scenes)
        for name, values in expected.items():
            spread = values.max() - values.min()
            assert np.abs(found[name] - values).mean() < 0.05 * spread, name

    def test_the_finders_last_convolutions_are_not_rounded_to_8_bits(self, folder):
        tensors = tf.lite.Interpreter(str(folder / litert.INT8_FILE)).get_tensor_details()
        kinds = {
            name: {
                one["dtype"] for one in tensors if f"/{name}_1/" in one["name"] and one["shape"][1:].tolist() == sides
            }
            for name, sides in (("find_distances", [3, 3, 16]), ("find_objectness", [1, 1, 16]), ("stem", [3, 3, 3]))
        }
        assert kinds == {"find_distances": {np.float32}, "find_objectness": {np.float32}, "stem": {np.int8}}

    def test_several_share_what_can_be_shared(self, folder, photographs):
        drivers = load_drivers(folder, 3, 1)
        assert len(drivers) == 3 and len({id(driver) for driver in drivers}) == 3
        texts = {PlateReader(driver).read(photographs[0])[0].text for driver in drivers}
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

    def test_a_folder_without_a_model_is_named(self, tmp_path, capsys):
        with pytest.raises(FileNotFoundError, match="model.json"):
            load_drivers(tmp_path, 1, 1)
        Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
        assert predict.main([str(tmp_path), "--model", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
        assert "lpr_e2e export" in capsys.readouterr().err

    def test_a_damaged_file_is_named(self, folder, tmp_path):
        (tmp_path / "model.json").write_text((folder / "model.json").read_text())
        (tmp_path / "find.onnx").write_bytes(b"nothing")
        with pytest.raises(ValueError, match="find.onnx"):
            load_drivers(tmp_path, 1, 1)


class TestFolder:
    """A folder holds forms of one model, or is refused."""

    @pytest.fixture(scope="class")
    def other(self, model):
        """The same model but for its temperature."""
        other = type(model).from_config(model.get_config())
        other.set_weights(model.get_weights())
        other.temperature.assign(0.5)
        return other

    @pytest.fixture
    def quick(self, monkeypatch):
        """Writers that write nothing but the temperature: what goes where is quickly seen."""

        def write(form):
            def wrote(model, folder, *_):
                for name in FORMS[form]:
                    path = folder / name / "saved_model.pb" if form == "saved_model" else folder / name
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(f"{float(model.temperature)}")

            return wrote

        for form, writer in (("onnx", "onnx"), ("tflite", "tflite"), ("saved_model", "saved_model")):
            monkeypatch.setattr(exporting, f"write_{writer}", write(form))
        monkeypatch.setattr(exporting, "write_onnx_int8", write("int8"))
        monkeypatch.setattr(exporting, "write_tflite_int8", lambda *_: None)
        monkeypatch.setattr(exporting, "examples_of", lambda _, photographs: photographs or None)

    @pytest.fixture
    def written(self, model, quick, tmp_path):
        """A folder with every form of the model."""
        export(model, tmp_path / "written", [Path("some.png")])
        assert names(tmp_path / "written") == ALL
        return tmp_path / "written"

    def test_forms_of_another_model_do_not_survive(self, other, written, capsys):
        export(other, written, forms=["onnx"])
        assert names(written) == {*FORMS["onnx"], "model.json"}
        assert {(written / name).read_text() for name in FORMS["onnx"]} == {"0.5"}
        assert facts_in(written)["temperature"] == 0.5
        said = capsys.readouterr().err
        assert all(name in said for form in ("tflite", "int8", "saved_model") for name in FORMS[form])

    def test_forms_of_the_same_model_stay(self, model, written, capsys):
        before = facts_in(written)
        export(model, written, forms=["tflite", "int8"])  # Without photographs, no form in 8 bits is written.
        assert names(written) == ALL and facts_in(written) == before
        assert set(before["files"]) == ALL - {"model.json", "saved_model"}
        assert not capsys.readouterr().err

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "x"}', '{"model": "x", "files": []}'])
    def test_forms_of_an_unknown_model_do_not_survive(self, model, written, text):
        (written / "model.json").write_text(text)
        export(model, written, forms=["tflite"])
        assert names(written) == {*FORMS["tflite"], "model.json"}

    def test_what_else_lies_there_stays(self, other, written):
        (written / "notes.txt").write_text("mine")
        export(other, written, forms=["tflite"])
        assert (written / "notes.txt").read_text() == "mine"

    @pytest.mark.parametrize("name", ["saved_model/saved_model.pb", "weights.bin", "plates.tflite"])
    def test_files_that_no_export_wrote_stay(self, model, quick, tmp_path, name):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="was not written by this command"):
            export(model, tmp_path, forms=["onnx"])
        assert (tmp_path / name).read_text() == "mine" and not (tmp_path / "model.json").exists()

    @pytest.mark.parametrize("text", ['{"format": "layers-model", "modelTopology": {}}', "[]", "{}", "no JSON"])
    def test_a_description_of_another_program_stays(self, model, quick, tmp_path, text):
        """TensorFlow.js, for one, calls its models so."""
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(UserError, match="model.json: is there already, and was not written by this command"):
            export(model, tmp_path, forms=["onnx"])
        assert names(tmp_path) == {"model.json"} and (tmp_path / "model.json").read_text() == text
        (tmp_path / "weights.bin").write_text("mine")  # Which such a program writes beside it.
        (tmp_path / "saved_model").mkdir()
        with pytest.raises(UserError, match="model.json: is there already, and was not written by this command"):
            export(model, tmp_path, forms=["onnx"])
        assert (tmp_path / "weights.bin").read_text() == "mine" and (tmp_path / "model.json").read_text() == text
        (tmp_path / "weights.bin").unlink()
        (tmp_path / "saved_model").rmdir()
        (tmp_path / "model.json").write_text('{"characters": "0123", "slots": 7}')  # Of an old export, its files lost.
        export(model, tmp_path, forms=["onnx"])
        assert names(tmp_path) == {*FORMS["onnx"], "model.json"}

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_asked_to_end_between_the_last_steps_it_leaves_the_new_model(
        self, model, other, quick, tmp_path, monkeypatch, number
    ):
        export(model, tmp_path, forms=["onnx"])
        replace, asked = exporting.os.replace, []

        def replaced(*arguments):
            replace(*arguments)
            if not asked:
                asked.append(number)
                signal.raise_signal(number)

        def ends(*_):
            raise KeyboardInterrupt

        before = signal.signal(number, ends)
        try:
            monkeypatch.setattr(exporting.os, "replace", replaced)
            with pytest.raises(KeyboardInterrupt):
                export(other, tmp_path, forms=["onnx"])
        finally:
            signal.signal(number, before)
        facts = facts_in(tmp_path)
        check_files(tmp_path, facts["files"])
        assert facts["temperature"] == 0.5 and names(tmp_path) == {*FORMS["onnx"], "model.json"}

    def test_an_export_that_fails_leaves_the_folder_as_it_was(self, other, written, monkeypatch):
        before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}

        def fail(*_):
            raise OSError("No space left on device")

        monkeypatch.setattr(exporting, "write_saved_model", fail)
        with pytest.raises(OSError, match="No space"):
            export(other, written)
        assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("call", ["os.replace", "shutil.rmtree", "Path.unlink"])
    def test_a_killed_export_leaves_one_model_or_none(self, model, other, quick, tmp_path, monkeypatch, call):
        """Killed at any of the last steps, and then run again."""
        holder = Path if call == "Path.unlink" else getattr(exporting, call.split(".")[0])
        name = call.split(".")[1]
        genuine, step, ended = getattr(holder, name), 0, False
        while not ended:
            step, calls = step + 1, []
            folder = tmp_path / str(step)
            export(model, folder, [Path("some.png")])

            def dies(*arguments, calls=calls, step=step, **named):
                calls.append(arguments)
                if len(calls) == step:
                    raise KeyboardInterrupt
                return genuine(*arguments, **named)

            with monkeypatch.context() as patched:
                patched.setattr(holder, name, dies)
                try:
                    export(other, folder, forms=["onnx", "saved_model"])
                    ended = len(calls) < step
                except KeyboardInterrupt:
                    pass
            if (folder / "model.json").exists():
                facts = facts_in(folder)
                check_files(folder, facts["files"])
                temperature = f"{facts['temperature']}"
                assert all((folder / file).read_text() == temperature for file in facts["files"])
            (folder / "part.export" / "left over").mkdir(parents=True, exist_ok=True)
            export(other, folder, forms=["onnx"])
            assert names(folder) - {"saved_model"} == {*FORMS["onnx"], "model.json"}
        assert step > 2

    def test_two_processes_do_not_export_into_one_folder(self, model, written):
        with owned(written / ".lock", ""), pytest.raises(UserError, match="another process"):
            export(model, written)

    def test_files_of_two_exports_are_refused(self, other, folder, quick, tmp_path):
        copy = Path(shutil.copytree(folder, tmp_path / "copy"))
        for name in ("weights_int8.bin", "find_int8.onnx"):
            (copy / name).write_bytes((copy / name).read_bytes() + b" ")
            with pytest.raises(UserError, match=f"{name}: damaged, or not exported together"):
                load_drivers(copy, 1, 1)
        export(other, tmp_path / "other", [Path("some.png")])
        copy = Path(shutil.copytree(folder, tmp_path / "mixed"))
        shutil.copy(tmp_path / "other" / "model.json", copy)
        with pytest.raises(UserError, match="not exported together"):
            load_drivers(copy, 1, 1)

    def test_an_export_from_before_there_were_checksums_is_read(self, folder, tmp_path, photographs):
        copy = Path(shutil.copytree(folder, tmp_path / "copy"))
        facts = facts_in(copy)
        del facts["model"], facts["files"], facts["checksum"]
        (copy / "model.json").write_text(json.dumps(facts))
        expected = PlateReader(*load_drivers(folder, 1, 1)).read(photographs[0])
        assert PlateReader(*load_drivers(copy, 1, 1)).read(photographs[0]) == expected


class TestCommand:
    def test_it_exports_and_compares(self, model, photographs, tmp_path, capsys):
        model.save(tmp_path / "own.keras")
        output = tmp_path / "out"
        assert cli.main(["export", str(tmp_path / "own.keras"), "--output", str(output), "--forms", "onnx"]) == 0
        assert "ONNX" in capsys.readouterr().out
        assert load_drivers(output, 1, 1)[0].vocabulary.characters == model.vocabulary.characters

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["nowhere.keras"], "no model at nowhere.keras"),
            (["tests"], "tests: is a folder"),
            (["broken.keras"], "broken.keras: expected a .keras file"),
            (["--truth", "x.csv"], "--truth needs --photographs"),
            (["--photographs", "nowhere"], "nowhere: no such file or folder"),
        ],
    )
    def test_wrong_calls_end_with_one_line(self, tmp_path, monkeypatch, capsys, arguments, words):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tests").mkdir()
        (tmp_path / "broken.keras").write_bytes(b"no model")
        assert cli.main(["export", *arguments]) == 2
        complaint = capsys.readouterr().err.strip()
        assert words in complaint and "\n" not in complaint
        assert not (tmp_path / "exports").exists()

    def test_a_converter_that_is_missing_is_named(self, model, tmp_path, monkeypatch, capsys):
        model.save(tmp_path / "own.keras")
        monkeypatch.setitem(sys.modules, "tf2onnx", None)
        arguments = [str(tmp_path / "own.keras"), "--output", str(tmp_path / "out"), "--forms", "onnx"]
        assert cli.main(["export", *arguments]) == 2
        assert "tf2onnx" in capsys.readouterr().err
        assert names(tmp_path / "out") == set()

    def test_another_backend_is_refused(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("KERAS_BACKEND", "jax")
        assert cli.main(["export", "--output", str(tmp_path / "out")]) == 2
        assert "expected tensorflow" in capsys.readouterr().err.replace("'", "")

    def test_the_forms_are_those_that_there_are(self):
        assert command.FORMS == tuple(FORMS)
