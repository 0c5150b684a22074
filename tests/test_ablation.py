"""Ablation: every lever changes what it says, rows are trained once, and the table holds what was measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.experiments.ablation import (
    APART,
    EVERYTHING,
    FINDER,
    LEVERS,
    PRIOR,
    READER,
    STAGE_ONE,
    Ablation,
    scaled,
    table,
)
from lpr_e2e.model.plate_model import load
from lpr_e2e.training.settings import PRESETS

STANDARD = PRESETS["standard"]


@pytest.mark.parametrize("lever", [*LEVERS, FINDER, READER], ids=lambda lever: lever.name)
def test_every_lever_changes_the_training(lever):
    assert STANDARD.changed(lever.without) != STANDARD or lever.arguments or lever == PRIOR


def test_effort_scales_whole_epochs():
    quarter = scaled(STANDARD, 0.25)
    assert quarter.joint.steps == STANDARD.joint.steps // 4
    assert quarter.recognition.steps % STANDARD.epoch_steps == 0
    assert scaled(STANDARD, 1e-6).joint.steps == STANDARD.epoch_steps


class TestAblation:
    def started(self, tmp_path, **options):
        """An ablation whose trainings only note their arguments, and leave figures."""
        calls = []

        def train(arguments):
            calls.append(arguments)
            folder = arguments[arguments.index("--run" if "--run" in arguments else "--resume") + 1]
            path = tmp_path / folder
            path.mkdir(parents=True, exist_ok=True)
            (path / "figures.json").write_text(json.dumps({"plates_right": len(calls) / 10}))

        return Ablation(tmp_path, None, tmp_path / "runs", train=train, **options), calls

    def test_a_row_is_trained_once(self, tmp_path):
        ablation, calls = self.started(tmp_path)
        lever = next(lever for lever in LEVERS if lever.changes == "training")
        assert ablation.figures(lever) == ablation.figures(lever) == {"plates_right": 0.1}
        assert len(calls) == 1

    def test_rows_of_stage_two_share_their_stage_one(self, tmp_path):
        ablation, calls = self.started(tmp_path)
        others = [lever for lever in LEVERS if lever.changes == "stage two"][:2]
        for lever in (EVERYTHING, *others):
            ablation.figures(lever)
        assert calls == [
            ablation.command(lever, tmp_path / "runs" / f"{lever.name}-seed0")
            for lever in (STAGE_ONE, EVERYTHING, *others)
        ]
        for command in calls[1:]:
            assert command[command.index("--weights") + 1] == str(tmp_path / "runs" / "stage-one-seed0" / "best.keras")
            assert "recognition.steps=0" in command and "recognition.steps=0" not in calls[0]

    def test_an_interrupted_row_is_resumed(self, tmp_path):
        ablation, calls = self.started(tmp_path)
        folder = tmp_path / "runs" / "everything-seed0"
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
        ablation.figures(EVERYTHING)
        assert calls[1:] == [["--resume", str(folder)]]

    @pytest.mark.parametrize(
        ("named", "changes"),
        [("effort", {"effort": 0.5}), ("preset", {"preset": "small"}), ("set", {"extra": ["patience=3"]})],
    )
    def test_rows_of_another_call_are_not_taken_for_ours(self, tmp_path, named, changes):
        """They were put into one table, as if nothing but the lever differed."""
        ablation, _ = self.started(tmp_path)
        ablation.figures(EVERYTHING)
        other, trained = self.started(tmp_path, **changes)
        for lever in (EVERYTHING, PRIOR, LEVERS[0]):
            with pytest.raises(UserError, match=f"holds rows with {named} .*--output"):
                other.figures(lever)
        with pytest.raises(UserError, match="holds rows with exclude None"):
            Ablation(tmp_path, Path("x.csv"), tmp_path / "runs").figures(EVERYTHING)
        assert not trained
        again, calls = self.started(tmp_path, seed=3)  # Seeds have folders of their own.
        again.figures(EVERYTHING)
        assert len(calls) == 2

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            (["--seed", "-1"], "--seed: setting seed: -1; expected a whole number"),
            (["--seed", "4294967296"], "--seed: setting seed: 4294967296"),
            (["--exclude", "nowhere.csv"], "nowhere.csv: no such file or folder"),
            (["--exclude", "data"], "data: cannot be read"),
            (["--exclude", "/dev/zero"], "/dev/zero: cannot be read"),
            (["--set", "joint.steps=-1"], "--set: "),
        ],
    )
    def test_a_wrong_call_makes_no_folder(self, option, words, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data").mkdir()
        assert main(["ablation", "data", *option]) == 2 and main(["ablation", "mistyped"]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 2 and words in said[0] and "mistyped: no such file or folder" in said[1]
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_a_call_that_began_no_row_stands_in_no_ones_way(self, tmp_path):
        """After data that cannot be used, the mended call was refused for rows that there were none of."""

        def refused(arguments):
            raise UserError("the data cannot be used")

        with pytest.raises(UserError, match="cannot be used"):
            Ablation(tmp_path / "wrong", None, tmp_path / "runs", train=refused).figures(EVERYTHING)
        ablation, calls = self.started(tmp_path)
        ablation.figures(EVERYTHING)
        assert calls

    def test_the_lone_reader_sees_as_many_glimpses_as_the_joint_training(self, tmp_path):
        ablation, _ = self.started(tmp_path, effort=0.5)
        command = ablation.command(READER, tmp_path)
        steps = next(int(part.split("=")[1]) for part in command if part.startswith("recognition.steps"))
        joint = ablation.settings.joint
        seen = ablation.settings.recognition.steps * 64 + joint.steps * (joint.photographs + joint.plates)
        assert steps * 64 == pytest.approx(seen, rel=0.01)
        assert command.index("joint.steps=0") > command.index(f"joint.steps={joint.steps}")  # The later one counts.


@pytest.mark.thorough
@pytest.mark.usefixtures("eagerly")
def test_rows_that_need_no_training_and_heads_apart(tiny_data, tmp_path):
    """On real, tiny trainings: other readings of one model, and a model of two halves."""
    tiny = ["architecture.canvas_size=192", "architecture.glimpse_size=[32, 64]", "architecture.head_width=16"]
    tiny += ["architecture.widths=[8, 8, 16, 16, 16]", "recognition.plates=4", "joint.plates=2", "joint.photographs=2"]
    tiny += ['joint.evaluators=["photographs", "glimpses"]', 'recognition.evaluators=["glimpses"]', "picture_epochs=99"]
    tiny += ["epoch_steps=1", "procedure.doubt=0.0", "procedure.closer_part=0.0", "architecture.decoder_depth=1"]

    import train

    def run(arguments):
        assert train.main(arguments) == 0

    ablation = Ablation(tiny_data, None, tmp_path, "small", 1e-6, extra=tiny, train=run)
    models, score = [], ablation._score

    def note(model):
        models.append(model)
        return score(model)

    ablation._score = note
    assert {"plates_right", "mean_iou"} <= set(
        ablation.figures(next(lever for lever in LEVERS if lever.name == "second-look"))
    )
    ablation.figures(PRIOR)
    whole = load(tmp_path / "everything-seed0" / "best.keras")
    for ours, theirs in zip(models[1].trainable_weights, whole.trainable_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert models[0].procedure == replace(whole.procedure, second_look=0.0) != whole.procedure
    assert models[0].architecture == whole.architecture
    for ours, theirs in zip(models[0].get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    ablation.figures(APART)
    halves = [load(tmp_path / f"{name}-seed0" / "best.keras") for name in ("apart-finder", "apart-reader")]
    glimpses = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype="uint8")
    canvases = np.random.default_rng(0).integers(0, 256, (2, 192, 192, 3), dtype="uint8")
    for found, half in (
        (models[2].find(canvases), halves[0].find(canvases)),
        (models[2].read(glimpses), halves[1].read(glimpses)),
    ):
        for name in found:
            np.testing.assert_allclose(found[name], half[name], atol=1e-4)


def test_the_table():
    shown = table([("nothing", {"plates_right": 0.9, "mean_iou": 0.8}), ("x", {"log_loss": 0.12})])
    assert "| nothing | 90.0% | - | 0.800 | - | - |" in shown and "| x | - | - | - | - | 0.120 |" in shown
