"""One model of several trainings: its weights, its figures, and runs that do not go together."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest

from lpr_e2e.cli import main
from lpr_e2e.data.dataset import DataSource, load_dataset
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.training.callbacks import Progress
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.trainer import training_vocabulary


@pytest.fixture(scope="module")
def make(tiny_data, tiny_settings):
    """Makes the folder of a finished run, whose model has learned nothing."""

    def run(path, seed=0, stage="done", changes=None, data=tiny_data, further=""):
        settings = replace(tiny_settings, seed=seed, architecture=replace(tiny_settings.architecture, **changes or {}))
        dataset = load_dataset(data)
        vocabulary = training_vocabulary(dataset, further, unseen=True)
        folder = RunFolder(path)
        folder.start(settings, DataSource(data), dataset, vocabulary)
        keras.utils.set_random_seed(seed)
        sizes = (settings.architecture, vocabulary.characters, vocabulary.slots, settings.procedure)
        folder.save_model(PlateModel(*sizes), "best.keras")
        folder.save_state([], asdict(Progress(stage)))
        return str(path)

    return run


@pytest.fixture(scope="module")
def runs(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [make(folder / str(seed), seed) for seed in range(3)]


@pytest.fixture(scope="module")
def output(runs, tmp_path_factory):
    output = tmp_path_factory.mktemp("averaged") / "new" / "mean.keras"
    assert main(["average", *runs, "--output", str(output)]) == 0
    return output


def test_each_weight_is_the_mean_of_those_of_the_runs(runs, output):
    models = [load(f"{run}/best.keras") for run in runs]
    for weight, *others in zip(load(output).weights, *(model.weights for model in models), strict=True):
        if weight.name == "temperature":
            continue
        of_all = [np.asarray(other) for other in others]
        np.testing.assert_allclose(np.asarray(weight), np.mean(of_all, axis=0), atol=1e-6)


def test_the_runs_stay_as_they_were_and_the_figures_lie_beside_the_model(runs, output):
    figures = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert {"plates_right", "temperature", "promise", "mistakes"} <= set(figures)
    assert figures["temperature"] == pytest.approx(float(load(output).temperature))
    assert sorted(path.name for path in output.parent.iterdir()) == ["mean.json", "mean.keras"]
    assert float(load(f"{runs[0]}/best.keras").temperature) == 1.0


def test_a_model_with_itself_is_itself(make, runs, tmp_path):
    copy = shutil.copytree(runs[1], tmp_path / "copy")
    assert main(["average", runs[1], str(copy), "--output", str(tmp_path / "same.keras")]) == 0
    for one, other in zip(load(tmp_path / "same.keras").weights, load(f"{runs[1]}/best.keras").weights, strict=True):
        if one.name != "temperature":
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)


class TestRefused:
    def refused(self, capsys, *arguments) -> str:
        assert main(["average", *map(str, arguments)]) == 2
        said = capsys.readouterr().err.strip()
        assert "\n" not in said
        return said

    def test_one_run_however_often_it_is_named(self, runs, tmp_path, capsys):
        output = ["--output", tmp_path / "mean.keras"]
        assert "at least two" in self.refused(capsys, runs[0], *output)
        assert "at least two" in self.refused(capsys, runs[0], f"{runs[0]}/../0", *output)
        assert not (tmp_path / "mean.keras").exists()

    def test_what_is_no_finished_run(self, make, runs, tmp_path, capsys):
        output = ["--output", tmp_path / "mean.keras"]
        (tmp_path / "empty").mkdir()
        assert "no run" in self.refused(capsys, runs[0], tmp_path / "empty", *output)
        unfinished = make(tmp_path / "unfinished", 5, stage="joint")
        assert "--resume" in self.refused(capsys, runs[0], unfinished, *output)

    @pytest.mark.parametrize(
        ("changes", "words"), [({"changes": {"head_width": 24}}, "sizes"), ({"further": "X"}, "characters")]
    )
    def test_models_that_do_not_correspond(self, make, runs, tmp_path, capsys, changes, words):
        other = make(tmp_path / "other", 1, **changes)
        assert words in self.refused(capsys, runs[0], other, "--output", tmp_path / "mean.keras")

    def test_runs_that_hold_out_other_pictures(self, make, runs, tiny_data, tmp_path, capsys):
        data = shutil.copytree(tiny_data, tmp_path / "data")
        rows = (data / "validation.csv").read_text(encoding="utf-8").splitlines()
        (data / "validation.csv").write_text("\n".join(rows[:-1]) + "\n", encoding="utf-8")
        other = make(tmp_path / "other", 1, data=data)
        assert "validation.csv" in self.refused(capsys, runs[0], other, "--output", tmp_path / "mean.keras")

    def test_figures_that_somebody_else_has_there_stay(self, runs, tmp_path, capsys):
        (tmp_path / "mean.json").write_text("{}")
        assert "mean.json" in self.refused(capsys, *runs, "--output", tmp_path / "mean.keras")
        assert (tmp_path / "mean.json").read_text() == "{}" and not (tmp_path / "mean.keras").exists()

    @pytest.mark.parametrize("output", ["folder.keras", "file/mean.keras", "file/new/mean.keras", "data/labels.keras"])
    def test_an_output_that_cannot_be_is_said_before_anything_is_averaged(self, tmp_path, capsys, output):
        """Of runs that are none: they were not looked at yet."""
        (tmp_path / "folder.keras").mkdir()
        (tmp_path / "data").mkdir()
        for name in ("file", "data/labels.keras", "data/labels.json"):
            (tmp_path / name).write_text("mine")
        said = self.refused(capsys, "no", "run", "--data", tmp_path / "data", "--output", tmp_path / output)
        assert "is a folder" in said or "is a file" in said or "overwrite" in said
        assert all(
            (tmp_path / name).read_text() == "mine" for name in ("file", "data/labels.keras", "data/labels.json")
        )

    def test_an_output_that_is_no_model_or_is_one_of_the_runs(self, runs, tmp_path, capsys):
        assert ".keras" in self.refused(capsys, *runs, "--output", tmp_path / "mean.h5")
        assert "overwrite" in self.refused(capsys, *runs, "--output", f"{runs[1]}/best.keras")
