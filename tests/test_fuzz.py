"""Broken and hostile input: whatever a file holds, the answer is a value or one clear error, never anything else.

A few hundred cases here; many more with `FUZZ_CASES=20000 python -m pytest tests/test_fuzz.py`, which is the number
per test.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_files import WRITERS
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.terminal import printable
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.labels import LabelOptions
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import BOX_COLUMNS, DatasetError, Table, read_table
from lpr_e2e.evaluation.report import ReportWriter
from lpr_e2e.evaluation.truth import read_truth
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.prediction.engines.loading import load_drivers
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training import letterforms
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.run_folder import RunError, RunFolder
from lpr_e2e.training.settings import PRESETS, Settings

CASES = int(os.environ.get("FUZZ_CASES", "30"))
FUZZ = settings(
    max_examples=CASES,
    deadline=None,
    derandomize="FUZZ_CASES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Reading a whole model takes long: a tenth of the cases.
SLOW = settings(FUZZ, max_examples=max(10, CASES // 10))

numbers = st.one_of(
    st.integers(-10, 400).map(str),
    st.floats().map(str),
    st.sampled_from(["", " 5", "1e999", "0x1", "١٢", "1_0", "5,5"]),
)
cells = st.one_of(
    numbers, st.text(max_size=12), st.sampled_from(["a.jpg", "../a.jpg", "C:a.jpg", "/a", "a.jpg\0", '"'])
)


@st.composite
def damaged(draw, files: list[bytes]) -> bytes:
    """One of the files with bytes changed, cut off, doubled or put in."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["change", "cut", "remove", "insert", "double", "zero"]))
        length = draw(st.integers(1, 40))
        if kind == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=40))
        elif kind == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = bytes(len(data[at : at + length]))
    return bytes(data)


class TestTables:
    def table(self, data: bytes) -> Table:
        path = Path(self.folder, "table.csv")
        path.write_bytes(data)
        return read_table(path)

    @pytest.fixture(autouse=True)
    def in_folder(self, tmp_path):
        self.folder = tmp_path

    @FUZZ
    @given(data=st.binary(max_size=200) | damaged([b"img_id,text\n1.jpg,12T34\n", "\ufeffimg_id;text\né;1\n".encode()]))
    def test_any_bytes_are_a_table_or_refused(self, data):
        try:
            table = self.table(data)
        except DatasetError as error:
            assert "table.csv" in str(error)
        else:
            assert all(set(table.columns) <= set(values) for _, values in table.records)

    @FUZZ
    @given(
        first=damaged([b"img_id,ymin,xmin,ymax,xmax\n1.png,1,2,20,40\n2.png,3,4,20,40\n"]),
        second=damaged([b"img_id,text\n1.png,12\n2.png,34\n"]),
    )
    def test_a_damaged_folder_is_loaded_or_refused(self, first, second):
        for name, data in (("photographs", first), ("crops", second)):
            Path(self.folder, f"{name}.csv").write_bytes(data)
            Path(self.folder, name).mkdir(exist_ok=True)
            for picture in ("1.png", "2.png"):
                if not Path(self.folder, name, picture).exists():
                    rng = np.random.default_rng(len(name) + ord(picture[0]))
                    Image.fromarray(rng.integers(0, 256, (30, 60, 3), "uint8")).save(Path(self.folder, name, picture))
        try:
            dataset = load_dataset(self.folder)
        except DatasetError as error:
            assert "\n" not in printable(str(error)).strip()
        else:
            assert all(one.path.is_relative_to(self.folder) for one in [*dataset.photographs, *dataset.crops])

    @FUZZ
    @given(data=damaged([b"img_id,text,ymin,xmin,ymax,xmax\n1.jpg,12T34,1,2,3,4\n2.jpg,,,,,\n"]))
    def test_any_truth_is_read_or_refused(self, data):
        path = Path(self.folder, "truth.csv")
        path.write_bytes(data)
        try:
            truths = read_truth(path)
        except ValueError as error:
            assert "truth.csv" in str(error)
        else:
            assert all(truth.img_id for truth in truths)


class TestLabels:
    """Labels in every form: what is in a file is used or named."""

    @FUZZ
    @given(
        rows=st.lists(st.lists(cells, min_size=1, max_size=8), max_size=8),
        delimiter=st.sampled_from(",;\t"),
        boxes=st.sampled_from([None, "yxyx", "rel_yxyx", "xyxy"]),
        columns=st.sampled_from([("text",), BOX_COLUMNS, (*BOX_COLUMNS, "text")]),
    )
    def test_every_row_of_a_table_is_used_or_named(self, rows, delimiter, boxes, columns, tmp_path):
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter).writerows([("img_id", *columns), *rows])
        path = tmp_path / "labels.csv"
        path.write_bytes(text.getvalue().encode())
        try:
            table = read_table(path)
        except DatasetError:
            return
        (labels,) = read_labels(path, LabelOptions(boxes=boxes))
        named = {one.row for one in labels.problems} | {one.row.number for one in labels.plates}
        assert named == {number for number, _ in table.records}
        self.assert_usable(labels)

    def assert_usable(self, labels):
        for one in labels.plates:
            assert one.row.img_id and (one.box is None or (len(one.box) == 4 and all(map(math.isfinite, one.box))))
            assert one.row.text is None or one.row.text.strip()

    values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.sampled_from(["0.png", 1, 2]),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["text", "id", "name"]), inner),
        max_leaves=6,
    )
    images = st.fixed_dictionaries({}, optional=dict.fromkeys(["id", "file_name", "width", "height"], values))
    annotations = st.fixed_dictionaries(
        {},
        optional={
            "image_id": st.sampled_from([1, 2, "1"]) | values,
            "bbox": st.lists(st.integers(-9, 99) | st.floats(), min_size=4, max_size=4) | values,
            **dict.fromkeys(["category_id", "iscrowd", "attributes"], values),
        },
    )

    @FUZZ
    @given(images=st.lists(images | values, max_size=3), annotations=st.lists(annotations | values, max_size=5))
    def test_every_annotation_is_used_or_named(self, images, annotations, tmp_path):
        images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, *images]
        path = tmp_path / "labels.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
        try:
            (labels,) = read_labels(path)
        except UserError as error:
            assert "several categories" in str(error) or "--text-key" in str(error)
            return
        of_images = ("faulty image", "duplicate image id")
        named = {one.row for one in labels.problems if one.kind not in of_images}
        assert named | {one.row.number for one in labels.plates if one.box} == set(range(1, len(annotations) + 1))
        self.assert_usable(labels)

    results = st.fixed_dictionaries(
        {"type": st.sampled_from(["rectanglelabels", "textarea", "polygonlabels"]) | values},
        optional={
            "value": st.fixed_dictionaries(
                {},
                optional={
                    **dict.fromkeys(["x", "y", "width", "height", "rotation"], st.integers(-9, 99) | values),
                    **dict.fromkeys(["points", "text", "rectanglelabels"], values),
                },
            )
            | values,
            **dict.fromkeys(["id", "parentID", "original_width", "original_height", "image_rotation"], values),
        },
    )
    tasks = st.fixed_dictionaries(
        {"data": st.just({"image": "/0.png"}) | values},
        optional={
            "annotations": st.lists(
                st.fixed_dictionaries(
                    {"result": st.lists(results | values, max_size=4) | values},
                    optional=dict.fromkeys(["was_cancelled", "ground_truth", "updated_at", "id"], values),
                )
                | values,
                max_size=3,
            )
            | values
        },
    )

    @FUZZ
    @given(tasks=st.lists(tasks | values, max_size=4))
    def test_every_task_is_used_or_named(self, tasks, tmp_path):
        path = tmp_path / "export.json"
        path.write_text(json.dumps([{"data": {"image": "/0.png"}, "annotations": []}, *tasks]), encoding="utf-8")
        try:
            (labels,) = read_labels(path)
        except UserError as error:
            assert "--category" in str(error) or "single characters" in str(error)
            return
        left_aside = sum("without an annotation left aside" in note for note in labels.notes)
        named = {one.row for one in labels.problems} | {one.row.number for one in labels.plates}
        assert named <= set(range(1, len(tasks) + 2)) and left_aside
        self.assert_usable(labels)

    @FUZZ
    @given(form=st.sampled_from(sorted(WRITERS)), data=st.data())
    def test_any_bytes_of_any_form_are_labels_or_refused(self, form, data, tmp_path_factory):
        folder = tmp_path_factory.mktemp(form)
        WRITERS[form](folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".png")
        path = data.draw(st.sampled_from(files))
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            found = read_labels(folder)
        except UserError as error:
            assert str(folder) in str(error) and "\n" not in printable(str(error)).strip()
        else:
            for labels in found:
                self.assert_usable(labels)


def encoded_pictures() -> list[bytes]:
    """Small pictures in every format and mode that is read."""
    rng, files = np.random.default_rng(0), []
    rgb = Image.fromarray(rng.integers(0, 256, (12, 17, 3), "uint8"))
    for form, modes in (
        ("JPEG", ("RGB", "L", "CMYK")),
        ("PNG", ("RGB", "RGBA", "P", "I;16", "1")),
        ("GIF", ("P",)),
        ("BMP", ("RGB",)),
        ("TIFF", ("RGB", "L")),
        ("WEBP", ("RGB", "RGBA")),
        ("PPM", ("RGB",)),
    ):
        for mode in modes:
            picture = (
                Image.fromarray(rng.integers(0, 65536, (12, 17), "uint16")) if mode == "I;16" else rgb.convert(mode)
            )
            file = io.BytesIO()
            picture.save(file, form)
            files.append(file.getvalue())
    return files


PICTURES = encoded_pictures()


class TestPictures:
    @FUZZ
    @given(data=damaged(PICTURES) | st.binary(max_size=100))
    def test_any_bytes_are_a_picture_or_refused_with_a_reason(self, data):
        try:
            picture = read_picture(data)
        except PictureError as error:
            assert str(error).strip()
        else:
            assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size


@pytest.fixture(scope="module")
def model_bytes(tiny_settings, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    PlateModel(tiny_settings.architecture, "0123", 4).save(path)
    return path.read_bytes()


class TestModelFiles:
    @SLOW
    @given(data=st.data())
    def test_a_damaged_model_is_loaded_or_refused(self, data, model_bytes, tmp_path):
        path = tmp_path / "model.keras"
        path.write_bytes(data.draw(damaged([model_bytes])))
        self.assert_loaded_or_refused(path)

    @SLOW
    @given(data=st.data())
    def test_a_changed_config_runs_nothing(self, data, model_bytes, tmp_path):
        """Names of classes and modules in the file are exchanged for those that could do harm."""
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(io.BytesIO(model_bytes)) as given_file, zipfile.ZipFile(path, "w") as changed:
            for name in given_file.namelist():
                content = given_file.read(name)
                if name == "config.json":
                    content = self.changed(data, content.decode(), tmp_path)
                changed.writestr(name, content)
        self.assert_loaded_or_refused(path)
        assert not (tmp_path / "harm").exists()

    def changed(self, data, config: str, folder: Path) -> str:
        names = re.findall(r'"(?:module|class_name|registered_name)": "[^"]*"', config)
        evil = data.draw(st.sampled_from(["os", "builtins", "subprocess", "lpr_e2e.model", "keras.layers", "Lambda"]))
        called = data.draw(
            st.sampled_from(["system", "eval", "exec", "Popen", "Lambda", "PlateModel", "load", "TFSMLayer"])
        )
        for old in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
            key = old.split(":")[0]
            config = config.replace(old, f'{key}: "{evil if "module" in key else called}"', 1)
        harm = json.dumps(f"touch {folder / 'harm'}")
        return (
            config.replace('"config": {', f'"config": {{"command": {harm}, ', 1) if data.draw(st.booleans()) else config
        )

    def assert_loaded_or_refused(self, path):
        try:
            assert isinstance(load(path), PlateModel)
        except ValueError as error:
            assert "model.keras" in str(error)

    @FUZZ
    @given(data=st.data())
    def test_a_damaged_description_is_refused(self, data, tmp_path):
        facts = {"characters": "0123", "slots": 4, "canvas_size": 96, "glimpse_size": [32, 64], "plates": 2}
        (tmp_path / "model.json").write_bytes(data.draw(damaged([json.dumps(facts).encode()])))
        (tmp_path / "find.onnx").write_bytes(data.draw(st.binary(max_size=60)))
        (tmp_path / "read.onnx").write_bytes(b"")
        with pytest.raises(ValueError):
            load_drivers(tmp_path, 1, 1)


class TestRunFolders:
    @FUZZ
    @given(data=st.data())
    def test_a_damaged_config_is_refused(self, data, tmp_path):
        config = {"data": "x", "exclude": None, "characters": "01", "slots": 3, "settings": PRESETS["small"].as_dict()}
        (tmp_path / "config.json").write_bytes(data.draw(damaged([json.dumps(config).encode()])))
        try:
            assert isinstance(RunFolder(tmp_path).config()["settings"], Settings)
        except RunError as error:
            assert "config.json" in str(error)

    @FUZZ
    @given(data=st.data())
    def test_a_damaged_state_is_refused(self, data, tmp_path):
        run = RunFolder(tmp_path)
        run.save_state([np.arange(6.0).reshape(2, 3)], {"stage": "joint", "epoch": 3})
        path = tmp_path / "state.npz"
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            progress = run.progress()
        except RunError as error:
            assert "state.npz" in str(error) and "--weights" in str(error)
        else:
            assert progress["epoch"] == 3

    @FUZZ
    @given(data=st.data())
    def test_damaged_own_labels_are_refused(self, data, tmp_path):
        path = tmp_path / "own_labels.csv"
        PseudoLabels({"a.jpg": ("12", 0)}, {("crop", "b.jpg"): [(0, np.array([0.1, 0.5]))]}, {"c.jpg": 0.2}).save(path)
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            own = PseudoLabels.load(path)
        except ValueError as error:
            assert "own_labels.csv" in str(error)
        else:
            assert all(math.isfinite(tilt) for tilt in own.tilts.values())

    @FUZZ
    @given(data=st.data())
    def test_damaged_letters_are_refused(self, data, tmp_path):
        path = tmp_path / "letters.npz"
        of_set = {"A": [np.eye(72, 40, dtype="uint8"), np.ones((72, 30), "uint8")]}
        letterforms.save({"": of_set, "b": {"国": [np.ones((72, 72), "uint8")]}}, path)
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            letters = letterforms.load(path)
        except UserError as error:
            assert "letters.npz: damaged" in str(error)
        else:
            assert all(
                mask.dtype == np.uint8 and mask.shape[0] == 72
                for of_set in letters.values()
                for masks in of_set.values()
                for mask in masks
            )


class TestNames:
    @FUZZ
    @given(name=st.text(min_size=1, max_size=30), text=st.text(max_size=12))
    def test_no_name_ends_a_tag_of_the_report(self, name, text, tmp_path):
        """Only the page's own script is one."""
        pages = ReportWriter(tmp_path / "report.html", name, {})
        with pages as page:
            page.write(name, None, [Reading(name, text, 0.5, None, 0.5, "ok")])
        shown = (tmp_path / "report.html").read_bytes().decode("utf-8", "surrogatepass")
        assert shown.count("<script") == shown.count("</script>") == self.scripts(tmp_path)

    def scripts(self, tmp_path) -> int:
        with ReportWriter(tmp_path / "plain.html", "plain", {}) as page:
            page.write("plain", None, [Reading("plain", "1", 0.5, None, 0.5, "ok")])
        return (tmp_path / "plain.html").read_text(encoding="utf-8").count("<script")

    @FUZZ
    @given(name=st.text(min_size=1, max_size=30))
    def test_nothing_of_a_table_is_a_formula_or_steers_a_terminal(self, name):
        reading, problem = Reading(name, name), Problem(name, None, name, "kind", name)
        for cell in (*reading.row()[:2], *problem.cells()):
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
        assert reading.row()[1] in (name, f"'{name}") and problem.cells()[2] in (name, f"'{name}")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printable(name))
