"""Broken and hostile input: whatever a file holds, the answer is a value or one clear error, never anything else.

A few hundred cases here; many more with `FUZZ_CASES=20000 python -m pytest tests/test_fuzz.py`, which is the number
per test.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from foreign_files import READERS, assert_usable, damage, keras_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import printable
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.labels import LabelOptions
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import BOX_COLUMNS, DatasetError, read_table
from lpr_e2e.evaluation.report import ReportWriter
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.prediction.reading import Reading

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


def damaged(files: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of the files, damaged in a place or a few."""
    return st.builds(damage, st.sampled_from(files), st.randoms(use_true_random=False))


class TestReaders:
    """Each reader, on damaged files of its kind and on any bytes; what it may answer stands in `foreign_files`."""

    @pytest.mark.parametrize("name", READERS)
    def test_any_bytes_are_read_or_refused(self, name, tmp_path):
        reader = READERS[name]

        @(SLOW if reader.slow else FUZZ)
        @given(data=damaged(reader.seeds()) | st.binary(max_size=200))
        def attempt(data):
            reader.check(data, tmp_path)

        attempt()


class TestTables:
    @pytest.fixture(autouse=True)
    def in_folder(self, tmp_path):
        self.folder = tmp_path

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
        assert_usable(labels)

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
        assert_usable(labels)

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
        assert_usable(labels)


class TestModelFiles:
    @SLOW
    @given(data=st.data())
    def test_a_changed_config_runs_nothing(self, data, tmp_path):
        """Names of classes and modules in the file are exchanged for those that could do harm."""
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(io.BytesIO(keras_bytes())) as given_file, zipfile.ZipFile(path, "w") as changed:
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
