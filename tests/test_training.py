"""A whole tiny training: what it leaves, what TensorBoard gets, and that a killed and resumed run ends the same."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from stand_in import FIRST
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lpr_e2e.common.errors import TrainingError, UserError
from lpr_e2e.common.images import read_picture
from lpr_e2e.data.dataset import DataSource, load_dataset
from lpr_e2e.model.plate_model import load
from lpr_e2e.training.optimizer import AveragedAdamW, WarmCosine, averaged_weights
from lpr_e2e.training.picture_cache import PictureCache
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.run_folder import RunError, RunFolder
from lpr_e2e.training.settings import PRESETS, Settings
from lpr_e2e.training.trainer import Training, training_vocabulary

# Trains in a process of its own that kills itself when an epoch of the stage is to be written down.
# Whole trainings with compiled steps are in `test_kills`, `test_train_script` and `test_without_tensorflow`.
pytestmark = pytest.mark.usefixtures("eagerly")

KILLED = """
import os, signal, sys
import tensorflow as tf
tf.config.run_functions_eagerly(True)
from lpr_e2e.data.dataset import DataSource, load_dataset
from lpr_e2e.training.callbacks import Record
from lpr_e2e.training.run_folder import RunFolder
from lpr_e2e.training.trainer import Training
folder, stage, deadly = RunFolder(sys.argv[1]), sys.argv[2], int(sys.argv[3])
config = folder.config()
write = Record.write
def write_or_die(self, epoch, *others):
    if (epoch.stage, epoch.number) == (stage, deadly):
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, epoch, *others)
Record.write = write_or_die
training = Training(config["settings"], load_dataset(config["data"]), folder)
training.run()
"""


def start(folder: Path, data: Path, settings: Settings) -> RunFolder:
    dataset = load_dataset(data)
    run = RunFolder(folder)
    run.start(settings, DataSource(data), dataset, training_vocabulary(dataset))
    return run


@pytest.fixture(scope="module")
def tiny_settings(tiny_settings):
    """Two steps teach nobody what a plate is; what looks most like one counts as one."""
    # Contrast is not evened out: runs from before it was go on with the same batches.
    mixture = replace(tiny_settings.mixture, equalised=0.0)
    return replace(tiny_settings, procedure=replace(tiny_settings.procedure, box_threshold=0.0), mixture=mixture)


@pytest.fixture(scope="module")
def finished(eagerly, tiny_data, tiny_settings, tmp_path_factory):
    """A run that was never interrupted, its figures and what it said."""
    run = start(tmp_path_factory.mktemp("runs") / "straight", tiny_data, tiny_settings)
    said: list[str] = []
    figures = Training(tiny_settings, load_dataset(tiny_data), run, say=said.append).run()
    return run, figures, said


class TestRunFolder:
    def test_everything_needed_is_there(self, finished, tiny_settings):
        run, figures, _ = finished
        names = "config.json versions.json split.csv problems.csv own_labels.csv letters.npz history.csv figures.json"
        assert {*names.split(), "best.keras", "last.keras"} <= {path.name for path in run.path.iterdir()}
        assert run.config()["settings"] == tiny_settings
        versions = json.loads((run.path / "versions.json").read_text())
        assert versions["keras"] == keras.__version__
        assert json.loads((run.path / "figures.json").read_text())["plates_right"] == figures.plates_right
        assert not list(run.path.glob("*part*"))

    def test_history_has_a_row_per_epoch(self, finished):
        history = pd.read_csv(finished[0].path / "history.csv")
        assert list(zip(history["stage"], history["epoch"], strict=True)) == [
            (stage, epoch) for stage in ("recognition", "joint") for epoch in (1, 2)
        ]
        joint = history[history["stage"] == "joint"]
        for term in ("loss/objectness", "loss/reading", "end to end/mean_iou", "end to end/plates_right"):
            assert joint[f"validation {term}"].notna().all()

    def test_split_is_disjoint(self, finished):
        split = pd.read_csv(finished[0].path / "split.csv", keep_default_na=False)
        pictures = split.groupby(["set", "img_id"])["side"].nunique()
        assert (pictures == 1).all()
        texts = {side: set(rows["text"]) - {""} for side, rows in split.groupby("side")}
        assert texts["train"].isdisjoint(texts["held"])

    def test_the_best_model_reads_like_the_figures_say(self, finished, tiny_data):
        run, figures, _ = finished
        model = load(run.path / "best.keras")
        dataset = load_dataset(tiny_data)
        assert model.vocabulary.characters == training_vocabulary(dataset, unseen=True).characters
        files = [(one.img_id, one.path) for one in dataset.validation_photographs]
        from lpr_e2e.evaluation.scoring import score
        from lpr_e2e.prediction.reader import PlateReader

        readings = {img_id: found for img_id, _, found in PlateReader.of(model).read_files(files)}
        again = score(dataset.validation_photographs, readings, model.vocabulary)
        assert again.mean_iou == pytest.approx(figures.mean_iou, abs=1e-6)
        assert again.characters_right == figures.characters_right

    def test_a_folder_with_a_run_is_not_overwritten(self, finished, tiny_data, tiny_settings):
        with pytest.raises(RunError, match="already holds a run.*--resume"):
            start(finished[0].path, tiny_data, tiny_settings)

    def test_changed_data_is_noticed(self, finished, tiny_data):
        dataset = load_dataset(tiny_data)
        dataset.crops.pop()
        with pytest.raises(RunError, match="data changed.*1 rows differ"):
            finished[0].check_split(dataset)

    @pytest.mark.parametrize(
        "change",
        [
            lambda box: tuple(value + 1 for value in box),
            lambda box: (*box[:3], box[3] - 5),
            lambda box: (box[0], box[1], box[2] + 0.5, box[3]),
        ],
        ids=["moved", "narrower", "half a pixel"],
    )
    def test_changed_boxes_are_noticed(self, finished, tiny_data, change):
        dataset = load_dataset(tiny_data)
        one = dataset.photographs[0]
        plates = tuple(replace(plate, box_px=change(plate.box_px)) for plate in one.plates)
        dataset.photographs[0] = replace(one, plates=plates)
        with pytest.raises(RunError, match="data changed.*2 rows differ"):
            finished[0].check_split(dataset)

    def test_the_same_data_is_what_it_was_also_for_runs_that_noted_no_boxes(self, finished, tiny_data, tmp_path):
        dataset = load_dataset(tiny_data)
        finished[0].check_split(dataset)
        noted = pd.read_csv(finished[0].path / "split.csv", dtype=str, keep_default_na=False)
        noted.drop(columns="box").to_csv(tmp_path / "split.csv", index=False)
        RunFolder(tmp_path).check_split(dataset)
        noted.rename(columns={"box": "boxes"}).to_csv(tmp_path / "split.csv", index=False)
        with pytest.raises(RunError, match="data changed"):
            RunFolder(tmp_path).check_split(dataset)

    def test_resuming_where_there_is_nothing(self, tmp_path):
        with pytest.raises(RunError, match="no run to resume"):
            RunFolder(tmp_path).config()

    def test_damaged_state_is_named(self, tmp_path):
        (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 cut off")
        with pytest.raises(RunError, match="state.npz: damaged.*--weights"):
            RunFolder(tmp_path).progress()

    def test_state_of_another_model_is_refused(self, tmp_path):
        folder = RunFolder(tmp_path)
        folder.save_state([np.zeros(3)], {"epoch": 1})
        assert folder.progress() == {"epoch": 1}
        with pytest.raises(RunError, match="other sizes"):
            folder.load_variables([keras.Variable(np.zeros(4))])

    def test_unknown_settings_are_named(self):
        values = PRESETS["small"].as_dict() | {"learning_speed": 3}
        with pytest.raises(ValueError, match="learning_speed"):
            Settings.from_dict(values)

    @pytest.mark.parametrize("preset", PRESETS)
    def test_settings_survive_json(self, preset):
        settings = PRESETS[preset]
        assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
        for stage in (settings.recognition, settings.joint):
            assert stage.steps % settings.epoch_steps == 0


class TestTensorBoard:
    @pytest.fixture(scope="class")
    def events(self, finished):
        folder = finished[0].path / "tensorboard"
        loaded = {}
        for side in ("training", "validation"):
            loaded[side] = EventAccumulator(str(folder / side), size_guidance={"scalars": 0, "tensors": 0})
            loaded[side].Reload()
        return loaded

    @staticmethod
    def pictures(events, tag):
        """Sizes `(height, width)` of the pictures of a tag's first step."""
        width, height, *pictures = events.Tensors(tag)[0].tensor_proto.string_val
        decoded = [read_picture(picture) for picture in pictures]
        assert all(picture.shape[:2] == (int(height), int(width)) for picture in decoded)
        return decoded

    def test_curves_on_both_sides(self, events):
        terms = {f"loss/{term}" for term in ("objectness", "box_overlap", "box_distance", "turns", "reading")}
        figures = {
            f"end to end/{figure}"
            for figure in ("mean_iou", "average_precision_50", "plates_right", "characters_right")
        }
        for side in ("training", "validation"):
            assert terms | figures <= set(events[side].Tags()["scalars"])
        assert [event.step for event in events["training"].Scalars("learning rate")] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        "tag",
        [
            "training/photographs",
            "training/glimpses",
            "validation/photographs",
            "validation/glimpses",
            "mistakes/photographs",
        ],
    )
    def test_pictures_show_something(self, events, tag):
        pictures = self.pictures(events["validation"], tag)
        # keras-cv puts the training photographs into one.
        assert len(pictures) >= (1 if tag == "training/photographs" else 4)
        if tag == "validation/glimpses":  # An untrained model may look at the grey beside every photograph.
            assert {picture.shape[:2] for picture in pictures} == {(64, 128)}
        else:
            assert max(picture.std() for picture in pictures) > 5

    def test_attention_has_a_cell_per_slot(self, events, finished):
        strips = self.pictures(events["validation"], "validation/attention")
        height = load(finished[0].path / "best.keras").architecture.glimpse_size[0]
        assert all(strip.shape[0] >= 3 * height for strip in strips)

    @pytest.mark.parametrize("tag", ["plots/confusion of characters", "plots/calibration", "training/sources"])
    def test_plots(self, events, tag):
        pictures = self.pictures(events["validation"], tag)
        assert pictures and all(picture.std() > 5 and min(picture.shape[:2]) > 100 for picture in pictures)

    def test_settings_and_final_figures(self, events):
        assert {"final/plates_right", "final/mean_iou"} <= set(events["validation"].Tags()["scalars"])
        assert "_hparams_/session_start_info" in events["validation"].summary_metadata
        assert events["validation"].summary_metadata["data"].plugin_data.plugin_name == "text"
        (text,) = events["validation"].Tensors("data")[0].tensor_proto.string_val
        assert b"photographs" in text


@pytest.fixture(scope="module")
def killed(tiny_data, tiny_settings, tmp_path_factory):
    """The folder of a run that was killed in either stage; one epoch of the second is done."""
    run = start(tmp_path_factory.mktemp("runs") / "killed", tiny_data, tiny_settings)
    for stage in ("recognition", "joint"):
        lost = subprocess.run([sys.executable, "-c", KILLED, str(run.path), stage, "2"], capture_output=True)
        assert lost.returncode == -signal.SIGKILL, lost.stderr.decode()[-2000:]
        assert (run.progress()["stage"], run.progress()["epoch"]) == (stage, 1)
    return run.path


def test_killed_in_either_stage_and_resumed_it_ends_with_the_same_weights(
    finished, killed, tiny_data, tiny_settings, tmp_path
):
    run = RunFolder(shutil.copytree(killed, tmp_path / "run"))
    Training(tiny_settings, load_dataset(tiny_data), run, say=lambda line: None).run()

    straight, resumed = (np.load(folder.path / "state.npz") for folder in (finished[0], run))
    assert straight.files == resumed.files
    for name in straight.files:
        if name.startswith("variable_"):
            np.testing.assert_allclose(resumed[name], straight[name], atol=2e-4, rtol=1e-3, err_msg=name)
    assert json.loads(str(resumed["progress"])) == json.loads(str(straight["progress"]))


def test_a_run_folder_of_before_goes_on(finished, killed, tiny_data, tiny_settings, tmp_path):
    """Its settings have no procedure, whose numbers were the model's or nobody's, and no evaluators."""
    run = RunFolder(shutil.copytree(killed, tmp_path / "before"))
    config = json.loads((run.path / "config.json").read_text())
    procedure = config["settings"].pop("procedure")
    names = ("plates", "second_look", "reading_scales", "sure", "rectify", "doubt")
    config["settings"]["architecture"] |= {name: procedure[name] for name in names}
    for stage in ("recognition", "joint"):
        del config["settings"][stage]["evaluators"]
    (run.path / "config.json").write_text(json.dumps(config))

    settings = run.config()["settings"]
    assert settings == replace(tiny_settings, procedure=replace(FIRST, plates=2, doubt=0.0))
    assert (settings.recognition, settings.joint) == (tiny_settings.recognition, tiny_settings.joint)
    assert set(run.progress()) == {"stage", "epoch", "best", "waited"}
    Training(run.config()["settings"], load_dataset(tiny_data), run, say=lambda line: None).run()
    straight, resumed = (np.load(folder.path / "state.npz") for folder in (finished[0], run))
    for name in straight.files:
        if name.startswith("variable_"):  # What an epoch is worth depends on the procedure, the weights do not.
            np.testing.assert_allclose(resumed[name], straight[name], atol=2e-4, rtol=1e-3, err_msg=name)


def test_a_finished_run_that_is_resumed_only_reports(finished, tiny_data, tiny_settings):
    run, figures, _ = finished
    state = (run.path / "state.npz").read_bytes()
    again = Training(tiny_settings, load_dataset(tiny_data), run, say=lambda line: None).run()
    assert again.plates_right == figures.plates_right
    assert (run.path / "state.npz").read_bytes() == state


def test_another_seed_gives_other_weights(tiny_data, tiny_settings, tmp_path):
    models = []
    for seed in (0, 0, 1):
        settings = replace(tiny_settings, seed=seed)
        run = start(tmp_path / f"{len(models)}", tiny_data, settings)
        models.append(Training(settings, load_dataset(tiny_data), run, say=lambda line: None).replicas.own)
    first, same, other = ([np.asarray(weight) for weight in model.trainable_weights] for model in models)
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert not all((a == b).all() for a, b in zip(first, other, strict=True))


def test_stage_two_alone_labels_with_the_weights_it_starts_from(
    finished, tiny_data, tiny_settings, tmp_path, monkeypatch
):
    labelling = []

    def label(model, dataset, share):
        labelling.extend(np.array(weight) for weight in model.trainable_weights)
        return PseudoLabels()

    monkeypatch.setattr("lpr_e2e.training.trainer.label", label)
    settings = tiny_settings.changed(["recognition.steps=0", "joint.steps=1"])
    run = start(tmp_path / "run", tiny_data, settings)
    weights = finished[0].path / "best.keras"
    Training(settings, load_dataset(tiny_data), run, say=lambda line: None, weights=weights).run()
    assert labelling
    for given, labelled in zip(load(weights).trainable_weights, labelling, strict=True):
        np.testing.assert_array_equal(np.asarray(given), labelled)


def test_not_finite_loss_stops_with_advice(tiny_data, tiny_settings, tmp_path):
    settings = replace(tiny_settings)
    # No setting may be so large; one that may takes longer to get there.
    object.__setattr__(settings, "recognition", replace(settings.recognition, learning_rate=float("inf")))
    run = start(tmp_path / "run", tiny_data, settings)
    with pytest.raises(TrainingError, match="loss is nan.*learning rate"):
        Training(settings, load_dataset(tiny_data), run, say=lambda line: None).run()


@pytest.mark.parametrize("lowest", [0.01, 0.25])
def test_schedule_warms_up_and_cools_down(lowest):
    schedule = WarmCosine(1.0, 10, 100, lowest)
    rates = [float(schedule(step)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(lowest, abs=0.01) and min(rates[10:]) >= lowest
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_averaged_weights_are_put_back():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    for _ in range(3):  # At its end, `fit` itself would leave the averages behind.
        model.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
    raw = [np.array(weight) for weight in model.trainable_weights]
    with averaged_weights(model):
        assert not np.allclose(model.trainable_weights[0], raw[0])
    for weight, value in zip(model.trainable_weights, raw, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(("power", "second"), [(8, 2 / 11), (11, 1 / 7)])
def test_the_average_follows_the_weights_sooner_at_first(power, second):
    """With momenta 0 (Keras starts the average so), one by the power, then at most 0.2, written out by hand."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(AveragedAdamW(0.25, 0.2, power), loss="mse", jit_compile=False)
    weights = []
    step = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: weights.append(float(model.trainable_variables[0][0, 0]))
    )
    ones = np.ones((4, 1), "float32")
    model.fit(ones, ones, batch_size=1, epochs=1, shuffle=False, verbose=0, callbacks=[step])
    average = 0.0
    for momentum, weight in zip((0.0, second, 0.2, 0.2), weights, strict=True):
        average = momentum * average + (1 - momentum) * weight
    # `fit` puts the average in place at its end.
    assert float(model.trainable_variables[0][0, 0]) == pytest.approx(average, abs=1e-6)
    assert average != pytest.approx(weights[-1], abs=1e-3)


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        with pytest.raises(UserError, match="another process is training"), RunFolder(tmp_path / "run").locked():
            pass
    with RunFolder(tmp_path / "run").locked():
        assert folder.path.is_dir()


def test_a_photograph_that_goes_away_stops_the_training_with_its_name(tiny_data, tiny_settings, tmp_path, monkeypatch):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    run = start(tmp_path / "run", data, tiny_settings)
    training = Training(tiny_settings, load_dataset(data), run, say=lambda line: None)

    def lose_photographs():
        """When the batches are about to be made, by another process, the photographs are away."""
        for photograph in training.dataset.photographs:
            photograph.path.unlink()

    monkeypatch.setattr(training, "_keep_start", lose_photographs)
    # The first batch is made here, for its sizes.
    (samples,) = training.maker.sets.values()
    monkeypatch.setattr(samples, "cache", PictureCache())
    for photograph in training.dataset.photographs:
        samples.cache.read(photograph.path)
    with pytest.raises(TrainingError, match=r"\.jpg: missing file: the data changed.*--resume"):
        training.run()
